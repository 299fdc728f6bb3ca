"""A simulated dataset: blocks drawn and observed in order, written shard by shard or streamed.

One scene is observed both as the stack of all exposures and as a single one; the stack is the
dataset, the single exposures are a dataset of their own in its folder `single`.
"""

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from stronglens.core.device import cpu_threads, torch_device
from stronglens.core.rundir import RunDirectory
from stronglens.data.layout import ImageFacts, Images
from stronglens.data.writer import DatasetWriter
from stronglens.simulation.detectability import (
    LensFacts,
    arc_snr,
    arc_snr_collett,
    is_detectable,
    is_discoverable,
)
from stronglens.simulation.observing import Observed, Seeing, draw_seeing, observe_block
from stronglens.simulation.population import Columns
from stronglens.simulation.render import Grid
from stronglens.simulation.scenes import BLOCK, SceneBlock, draw_block
from stronglens.surveys import Band

if TYPE_CHECKING:
    from stronglens.simulation.task import Simulate

PADDING_WIDTHS = 2.5  # padding around the frame, in median PSF widths
SINGLE = "single"


@dataclasses.dataclass(frozen=True)
class SimulatedSet:
    """What a Simulate task describes, block by block."""

    task: "Simulate"
    """The task, resolved."""
    band: Band
    """The band observed."""

    @property
    def grid(self) -> Grid:
        """The frame rendered on."""
        padding = int(np.ceil(PADDING_WIDTHS * self.band.psf_fwhm / self.band.pixel_scale))
        size = self.task.size
        return Grid(size, size, self.band.pixel_scale, self.task.oversample, padding)

    def scenes(self, block: int) -> SceneBlock:
        """Draw and render a block of scenes."""
        task, band = self.task, self.band
        device = torch_device(task.device)
        scenes = draw_block(task.population, self.grid, band.zero_point, (task.seed, block), device)
        if task.deflector_light:
            return scenes
        return dataclasses.replace(scenes, deflector=torch.zeros_like(scenes.deflector))

    def seeing(self, block: int) -> Seeing:
        """Draw the PSF widths of a block."""
        return draw_seeing(self.band, self.task.seed, block, BLOCK)

    def observe(self, block: int, scenes: SceneBlock, seeing: Seeing, n_exposures: int) -> Observed:
        """Observe a block as the mean of n exposures."""
        key = (self.task.seed, block)
        return observe_block(scenes, seeing, self.band, self.grid, n_exposures, key)

    def facts(self, n_exposures: int) -> ImageFacts:
        """What all images of the set share."""
        time_text = f"{self.band.exposure_time:g} s"
        which = "one exposure" if n_exposures == 1 else f"mean of {n_exposures} exposures"
        return ImageFacts(
            bands=(self.band.name,),
            pixel_scale=self.band.pixel_scale,
            zero_point=self.band.zero_point,
            height=self.task.size,
            width=self.task.size,
            grid=f"{self.band.pixel_scale:g}arcsec",
            unit=f"counts per {time_text} ({which} of {time_text})",
        )


def write_dataset(plan: SimulatedSet, run: RunDirectory) -> float:
    """Write every shard that is missing, as stack and as single exposure.

    Args:
        plan: What to simulate.
        run: The open run directory.

    Returns:
        Scenes per second, writing included; 0 where nothing was left to do.
    """
    writers = _writers(plan, run.path)
    missing = sorted({s for writer in writers.values() for s in writer.missing_shards()})
    if run.is_resumed:
        run.log(f"{len(missing)} shards left")
    began = time.perf_counter()
    n_scenes = sum(stop - start for start, stop in missing)
    # the working set of a chunk fits one core's cache: a second thread only makes it wait
    progress = tqdm(total=n_scenes, unit="image", desc="simulate", disable=None)
    with cpu_threads(1), progress as bar:
        for start, stop in missing:
            _write_shard(plan, writers, start, stop)
            bar.update(stop - start)
            run.progress(images_done=stop, images=plan.task.n)
    for n_exposures, writer in writers.items():
        writer.finish(_provenance(plan, n_exposures))
    return n_scenes / (time.perf_counter() - began) if n_scenes else 0.0


def _writers(plan: SimulatedSet, root: Path) -> dict[int, DatasetWriter]:
    """Return a writer per number of exposures averaged; the single ones go first."""
    planes = ("noiseless", "source", "deflector_light") if plan.task.planes else ()
    n = int(plan.task.n or 0)
    stack = plan.band.n_exposures
    writers = {stack: DatasetWriter(root, plan.facts(stack), n, planes=planes)}
    if plan.task.single:
        single = DatasetWriter(root / SINGLE, plan.facts(1), n, planes=planes)
        writers = {1: single, **writers}
    return writers


def _write_shard(
    plan: SimulatedSet, writers: dict[int, DatasetWriter], start: int, stop: int
) -> None:
    """Simulate the blocks of one shard and write them; a last block is cut to the rows wanted."""
    parts: dict[int, list[tuple[Images, Columns, dict[str, np.ndarray]]]] = {k: [] for k in writers}
    for block in range(start // BLOCK, -(-stop // BLOCK)):
        rows = slice(0, min(BLOCK, stop - block * BLOCK))
        scenes, seeing = plan.scenes(block), plan.seeing(block)
        for n_exposures in writers:
            seen = plan.observe(block, scenes, seeing, n_exposures)
            truth = block_truth(plan, block, scenes, seen)
            parts[n_exposures].append(_cut(seen, truth, rows))
    for n_exposures, writer in writers.items():
        images, truth, planes = _join(parts[n_exposures])
        writer.write_shard(start, images, truth, planes if writer.planes else None)


def block_truth(plan: SimulatedSet, block: int, scenes: SceneBlock, seen: Observed) -> Columns:
    """Return the truth columns of a block, as its images were observed."""
    index = np.arange(block * BLOCK, (block + 1) * BLOCK)
    seed = plan.task.seed
    columns: Columns = {
        "object_id": np.array([f"sim-{seed}-{i:08d}" for i in index]),
        "group_id": np.array([f"scene-{seed}-{i:08d}" for i in index]),
        "split": split_of(index, int(plan.task.n or 0)),
        "psf_fwhm": seen.psf_fwhm.numpy().astype(float),
        "arc_snr_band": np.where(scenes.label, plan.band.name, ""),
    }
    return columns | scenes.truth | _visibility(scenes, seen)


def _visibility(scenes: SceneBlock, seen: Observed) -> Columns:
    """Return arc S/N and the flags made from it; null where there is no arc."""
    arc, truth = seen.features.cpu(), scenes.truth
    ivar, deflector_ivar = seen.ivar.cpu(), seen.deflector_ivar.cpu()
    offset = np.hypot(truth["x_source"] - truth["x_center"], truth["y_source"] - truth["y_center"])
    facts = LensFacts(
        theta_e=torch.as_tensor(truth["theta_e"]),
        source_offset=torch.as_tensor(offset),
        r_eff_source=torch.as_tensor(truth["r_eff_source"]),
        magnification=torch.as_tensor(truth["magnification"]),
        psf_fwhm=seen.psf_fwhm.double(),
    )
    collett = arc_snr_collett(arc, ivar).double()
    detectable = is_detectable(arc, deflector_ivar, facts.magnification).numpy()
    discoverable = is_discoverable(collett, facts).numpy()
    return {
        "arc_snr": np.where(scenes.label, arc_snr(arc, ivar).double().numpy(), np.nan),
        "arc_snr_collett": np.where(scenes.label, collett.numpy(), np.nan),
        "is_detectable": detectable & scenes.label,
        "is_discoverable": discoverable & scenes.label,
    }


def split_of(index: np.ndarray, n: int) -> np.ndarray:
    """Return the split of each scene: 64 % train, 16 % validation, 20 % test, by scene number.

    Args:
        index: Number of the scene.
        n: Scenes in the dataset.
    """
    n_test = n // 5
    n_train = round(0.64 * n)
    return np.where(index < n_train, "train", np.where(index < n - n_test, "validation", "test"))


def _cut(
    seen: Observed, truth: Columns, rows: slice
) -> tuple[Images, Columns, dict[str, np.ndarray]]:
    def plane(values: Tensor) -> np.ndarray:
        return values[rows, None].cpu().numpy()

    images = Images(flux=plane(seen.flux), ivar=plane(seen.ivar), psf=plane(seen.psf))
    planes = {
        "noiseless": plane(seen.features + seen.deflector),
        "source": plane(seen.features),
        "deflector_light": plane(seen.deflector),
    }
    return images, {name: values[rows] for name, values in truth.items()}, planes


def _join(
    parts: list[tuple[Images, Columns, dict[str, np.ndarray]]],
) -> tuple[Images, Columns, dict[str, np.ndarray]]:
    images = [part[0] for part in parts]
    joined = Images(
        flux=np.concatenate([i.flux for i in images]),
        ivar=np.concatenate([i.ivar for i in images if i.ivar is not None]),
        psf=np.concatenate([i.psf for i in images if i.psf is not None]),
    )
    truth = {name: np.concatenate([part[1][name] for part in parts]) for name in parts[0][1]}
    planes = {name: np.concatenate([part[2][name] for part in parts]) for name in parts[0][2]}
    return joined, truth, planes


def _provenance(plan: SimulatedSet, n_exposures: int) -> dict[str, object]:
    return {
        "seed": plan.task.seed,
        "settings": plan.task.to_dict(),
        "n_exposures": n_exposures,
        "exposure_time": plan.band.exposure_time * n_exposures,
        "survey": dataclasses.asdict(plan.band),
        "classes": {
            "1": "lens: source inside the caustic",
            "0": "companions: unlensed, with the flux and radii of another lensed scene",
        },
    }
