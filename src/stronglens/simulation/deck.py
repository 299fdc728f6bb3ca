"""The set of the 2017 deck: each scene as the stack of all exposures and as a single one.

The scenes are those of `scenes`, the telescope that of `observing`; the images are frozen.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from stronglens.core.device import torch_device
from stronglens.data.layout import ImageFacts, Images
from stronglens.simulation.detectability import (
    LensFacts,
    arc_snr,
    arc_snr_collett,
    is_detectable,
    is_discoverable,
)
from stronglens.simulation.observing import Observed, Seeing, draw_seeing, observe_block
from stronglens.simulation.relations import Columns
from stronglens.simulation.render import Grid
from stronglens.simulation.scenes import SceneBlock, draw_block
from stronglens.simulation.simulated_set import (
    BLOCK,
    SINGLE,
    STACK,
    AbstractSimulatedSet,
    ObservedBlock,
)
from stronglens.surveys import Band

if TYPE_CHECKING:
    from stronglens.simulation.task import Simulate

PADDING_WIDTHS = 2.5  # padding around the frame, in median PSF widths


@dataclasses.dataclass(frozen=True)
class DeckSet(AbstractSimulatedSet):
    """Lenses and galaxies with companions in one band."""

    task: "Simulate"
    """The task, resolved."""
    band: Band
    """The band observed."""

    @property
    def variants(self) -> tuple[str, ...]:  # type: ignore[override]
        """Kinds of images made of each scene."""
        return (STACK, SINGLE) if self.task.single else (STACK,)

    @property
    def planes(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the aligned planes."""
        return ("noiseless", "source", "deflector_light") if self.task.planes else ()

    @property
    def grid(self) -> Grid:
        """The frame rendered on."""
        padding = int(np.ceil(PADDING_WIDTHS * self.band.psf_fwhm / self.band.pixel_scale))
        size = int(self.task.size or 0)
        return Grid(size, size, self.band.pixel_scale, int(self.task.oversample or 1), padding)

    def n_exposures(self, variant: str) -> int:
        """Number of exposures averaged in a variant."""
        return 1 if variant == SINGLE else self.band.n_exposures

    def draw(self, block: int, variants: Sequence[str]) -> dict[str, ObservedBlock]:
        """Draw, render and observe the 250 scenes of a block."""
        scenes, seeing = self.scenes(block), draw_seeing(self.band, self.task.seed, block, BLOCK)
        drawn = {}
        for variant in variants:
            seen = self.observe(block, scenes, seeing, self.n_exposures(variant))
            truth = self._truth(block, scenes, seen)
            drawn[variant] = ObservedBlock(_images(seen), truth, self._planes(seen))
        return drawn

    def scenes(self, block: int) -> SceneBlock:
        """Draw and render a block of scenes."""
        task, band = self.task, self.band
        device = torch_device(task.device)
        scenes = draw_block(task.population, self.grid, band.zero_point, (task.seed, block), device)
        if task.deflector_light:
            return scenes
        return dataclasses.replace(scenes, deflector=torch.zeros_like(scenes.deflector))

    def observe(self, block: int, scenes: SceneBlock, seeing: Seeing, n_exposures: int) -> Observed:
        """Observe a block as the mean of n exposures."""
        key = (self.task.seed, block)
        return observe_block(scenes, seeing, self.band, self.grid, n_exposures, key)

    def facts(self, variant: str) -> ImageFacts:
        """Return what all images of a variant share."""
        n_exposures = self.n_exposures(variant)
        time_text = f"{self.band.exposure_time:g} s"
        which = "one exposure" if n_exposures == 1 else f"mean of {n_exposures} exposures"
        size = int(self.task.size or 0)
        return ImageFacts(
            bands=(self.band.name,),
            pixel_scale=self.band.pixel_scale,
            zero_point=self.band.zero_point,
            height=size,
            width=size,
            grid=f"{self.band.pixel_scale:g}arcsec",
            unit=f"counts per {time_text} ({which} of {time_text})",
        )

    def provenance(self, variant: str) -> dict[str, Any]:
        """Return how the images of a variant were made."""
        n_exposures = self.n_exposures(variant)
        return {
            "seed": self.task.seed,
            "settings": self.task.to_dict(),
            "variant": variant,
            "n_exposures": n_exposures,
            "exposure_time": self.band.exposure_time * n_exposures,
            "survey": dataclasses.asdict(self.band),
            "classes": {
                "1": "lens: source inside the caustic",
                "0": "companions: unlensed, with the flux and radii of another lensed scene",
            },
        }

    def _truth(self, block: int, scenes: SceneBlock, seen: Observed) -> Columns:
        """Return the truth columns of a block, as its images were observed."""
        index = np.arange(block * BLOCK, (block + 1) * BLOCK)
        seed = self.task.seed
        columns: Columns = {
            "object_id": np.array([f"sim-{seed}-{i:08d}" for i in index]),
            "group_id": np.array([f"scene-{seed}-{i:08d}" for i in index]),
            "split": split_of(index, int(self.task.n or 0)),
            "psf_fwhm": seen.psf_fwhm.numpy().astype(float),
            "arc_snr_band": np.where(scenes.label, self.band.name, ""),
        }
        return columns | scenes.truth | _visibility(scenes, seen)

    def _planes(self, seen: Observed) -> dict[str, np.ndarray]:
        if not self.task.planes:
            return {}
        return {
            "noiseless": _plane(seen.features + seen.deflector),
            "source": _plane(seen.features),
            "deflector_light": _plane(seen.deflector),
        }


def _images(seen: Observed) -> Images:
    return Images(flux=_plane(seen.flux), ivar=_plane(seen.ivar), psf=_plane(seen.psf))


def _plane(values: Tensor) -> np.ndarray:
    return values[:, None].cpu().numpy()


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
