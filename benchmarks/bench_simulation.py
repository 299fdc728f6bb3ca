"""Speed of the renderer beside lenstronomy's, on the same scenes, interleaved in one run.

Run it on a machine that does nothing else:

    python benchmarks/bench_simulation.py

It prints a table and writes it to benchmarks/results/simulation.md. Every method draws the same
scenes: 45 x 45 pixels, a deflector's Sersic light, a lensed Sersic source in an SIE with shear, a
Gaussian PSF. Our renderer gets a kernel of its own for every image; lenstronomy may use one PSF
for all, so that its objects are built once, which is its fastest use.
"""

import argparse
import multiprocessing
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path

# waiting threads sleep: a busy neighbour then costs its share and not a hundred times that
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from lenstronomy.Data.pixel_grid import PixelGrid
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.image_model import ImageModel
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel
from torch import Tensor

from stronglens.core.conventions import circularised_radius
from stronglens.core.lenstronomy import mass_to_lenstronomy, sersic_to_lenstronomy
from stronglens.lensing.raytrace import deflection
from stronglens.lensing.records import SieShear
from stronglens.light.sersic import Approximation, Sersics, central_brightness, sersic_b
from stronglens.simulation.noise import NoiseModel, observe
from stronglens.simulation.psf import gaussian_kernel
from stronglens.simulation.render import (
    Grid,
    observe_noiseless,
    pixel_coordinates,
    render_lensed,
    render_light,
)
from stronglens.simulation.task import Simulate

RESULTS = Path(__file__).parent / "results" / "simulation.md"
FWHM = 0.8
SAME = Grid(45, 45, 0.2, oversample=3, center_oversample=1)
"""The frame that lenstronomy draws: nothing outside the picture, plain sampling."""
PLAIN = Grid(45, 45, 0.2, oversample=3, padding=12, center_oversample=1)
"""A padded frame, plain sampling."""
COARSE = Grid(45, 45, 0.2, oversample=2, padding=12)
"""A padded frame with fewer sub-pixels, finer at centres and along arcs."""
FINE = Grid(45, 45, 0.2, oversample=3, padding=12)
"""The same with more sub-pixels."""
TRUTH = Grid(45, 45, 0.2, oversample=20, padding=12, center_oversample=1)
N_TRUTHS = 12
NOISE = NoiseModel(gain=4.5, read_noise=10.0, sky_brightness=21.7, zero_point=30.0, pixel_scale=0.2)


@dataclass(frozen=True)
class Scenes:
    """The scenes that all methods draw."""

    lens: SieShear
    source: Sersics
    deflector: Sersics

    def __getitem__(self, index: slice) -> "Scenes":
        return Scenes(self.lens[index], self.source[index], self.deflector[index])

    def __len__(self) -> int:
        return len(self.lens)


def draw_scenes(n: int, seed: int = 1) -> Scenes:
    rng = np.random.default_rng(seed)

    def draw(shape: tuple[int, ...], ranges: dict[str, tuple[float, float]]) -> dict[str, Tensor]:
        values = {name: rng.uniform(*ends, shape) for name, ends in ranges.items()}
        return {name: torch.as_tensor(v, dtype=torch.float32) for name, v in values.items()}

    place = {"phi": (0.0, np.pi), "x_center": (-0.2, 0.2), "y_center": (-0.2, 0.2)}
    mass = {"theta_e": (0.6, 1.8), "q": (0.5, 0.95), "gamma1": (-0.05, 0.05)}
    near = {"flux": (50.0, 100.0), "r_eff": (0.1, 0.4), "n_sersic": (0.8, 2.5), "q": (0.4, 0.95)}
    far = {"flux": (200.0, 900.0), "r_eff": (0.5, 1.5), "n_sersic": (2.0, 5.0), "q": (0.5, 0.95)}
    return Scenes(
        SieShear(**draw((n,), place | mass | {"gamma2": (-0.05, 0.05)})),
        Sersics(**draw((n, 1), place | near)),
        Sersics(**draw((n, 1), place | far)),
    )


def kernels(grid: Grid, n: int) -> Tensor:
    """One kernel per image, five widths across, at the oversampled scale."""
    return gaussian_kernel(torch.full((n,), FWHM), grid.fine_scale, _kernel_size(grid.oversample))


def _kernel_size(oversample: int) -> int:
    return 2 * round(2.5 * FWHM / SAME.pixel_scale * oversample) + 1


@torch.inference_mode()
def ours(scenes: Scenes, grid: Grid, approximation: Approximation = "exact") -> Tensor:
    light = render_lensed(grid, scenes.lens, scenes.source, approximation)
    light += render_light(grid, scenes.deflector, approximation)
    return observe_noiseless(light, kernels(grid, len(scenes)), grid)


@torch.inference_mode()
def ours_with_noise(scenes: Scenes) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return observe(ours(scenes, COARSE), NOISE, 1, generator)[0]


@dataclass(frozen=True)
class Way:
    """How lenstronomy samples and convolves."""

    oversample: int
    is_supersampled: bool
    """Whether the PSF is applied at the oversampled scale."""


WAYS = {
    "lenstronomy native": Way(3, is_supersampled=False),
    "lenstronomy supersampled": Way(3, is_supersampled=True),
    "lenstronomy 6": Way(6, is_supersampled=True),
}


class Lenstronomy:
    """lenstronomy with its objects built once."""

    def __init__(self, way: "Way") -> None:
        factor = way.oversample if way.is_supersampled else 1
        scale = SAME.pixel_scale / factor
        kernel = gaussian_kernel(torch.tensor([FWHM]), scale, _kernel_size(factor))[0]
        middle = -0.5 * (SAME.width - 1) * SAME.pixel_scale
        numerics = {"supersampling_factor": way.oversample}
        if way.is_supersampled:
            numerics |= {"supersampling_convolution": True, "supersampling_kernel_size": None}
        self.images = ImageModel(
            PixelGrid(
                nx=SAME.width,
                ny=SAME.height,
                transform_pix2angle=np.eye(2) * SAME.pixel_scale,
                ra_at_xy_0=middle,
                dec_at_xy_0=middle,
            ),
            PSF(
                psf_type="PIXEL",
                kernel_point_source=kernel.double().numpy(),
                point_source_supersampling_factor=factor,
            ),
            LensModel(["SIE", "SHEAR"]),
            LightModel(["SERSIC_ELLIPSE"]),
            LightModel(["SERSIC_ELLIPSE"]),
            kwargs_numerics=numerics,
        )

    def draw(self, keywords: list[tuple]) -> np.ndarray:
        return np.stack([self.images.image(*scene) for scene in keywords])


def lenstronomy_keywords(scenes: Scenes) -> list[tuple]:
    """Keyword arguments of lens, source and deflector for every scene, made beforehand."""
    lights = []
    for sersics in (scenes.source, scenes.deflector):
        b_n = sersic_b(sersics.n_sersic, "linear")
        values = {field.name: getattr(sersics, field.name)[:, 0] for field in fields(sersics)}
        values["brightness"] = (central_brightness(sersics, b_n) * torch.exp(-b_n))[:, 0]
        values["r_eff_circ"] = circularised_radius(values["r_eff"], values["q"])
        lights.append([sersic_to_lenstronomy(one) for one in _rows(values)])
    lens = {field.name: getattr(scenes.lens, field.name) for field in fields(scenes.lens)}
    lenses = [
        [mass_to_lenstronomy(name, one)[1] for name in ("sie", "shear")] for one in _rows(lens)
    ]
    return [(a, [b], [c]) for a, b, c in zip(lenses, *lights, strict=True)]


def _rows(columns: dict[str, Tensor]) -> list[dict[str, float]]:
    lists = {name: values.tolist() for name, values in columns.items()}
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


WRITTEN = 2000
"""Scenes that each process of `simulate` makes and writes at a time."""

_LENSTRONOMY: dict[str, Lenstronomy] = {}


def _build() -> None:
    torch.set_num_threads(1)
    _LENSTRONOMY.update({name: Lenstronomy(way) for name, way in WAYS.items()})


def _draw(job: tuple[str, list[tuple]]) -> np.ndarray:
    return _LENSTRONOMY[job[0]].draw(job[1])


def in_processes(pool: Pool, n: int, name: str, keywords: list[tuple]) -> np.ndarray:
    """lenstronomy has no threads of its own: it gets as many processes."""
    if n == 1:
        return _draw((name, keywords))
    parts = [keywords[k::n] for k in range(n)]
    drawn = pool.map(_draw, [(name, part) for part in parts], chunksize=1)
    images = np.empty((len(keywords), SAME.height, SAME.width))
    for k, part in enumerate(drawn):
        images[k::n] = part
    return images


def differences(scenes: Scenes, keywords: list[tuple]) -> tuple[float, float]:
    """Largest difference of images, in units of their peak, and of deflections [arcsec]."""
    theirs = _draw(("lenstronomy supersampled", keywords))
    image = np.abs(ours(scenes, SAME, "linear").numpy() - theirs).max(axis=(1, 2))
    x, y = pixel_coordinates(SAME)
    alpha = np.stack([a.numpy() for a in deflection(x, y, scenes.lens.lens_model())])
    positions = [axis[0].double().numpy().ravel() for axis in (x, y)]
    peer = LensModel(["SIE", "SHEAR"])
    expected = np.stack([peer.alpha(*positions, lens) for lens, _, _ in keywords], axis=1)
    angle = np.abs(alpha.reshape(expected.shape) - expected).max()
    return float((image / theirs.max(axis=(1, 2))).max()), float(angle)


def simulate_and_write(workers: int) -> None:
    """Run `stronglens simulate` whole: draws, both classes, stack and single, planes, files."""
    with tempfile.TemporaryDirectory() as folder:
        Simulate(n=WRITTEN * workers, workers=workers).run(Path(folder) / "set")


def measure(scenes: Scenes, keywords: list[tuple], n_rounds: int) -> dict[tuple[str, int], float]:
    """Median images per second of each method and number of threads."""
    n_scenes = len(scenes)
    few = keywords[: max(2, n_scenes // 8)]
    speeds: dict[tuple[str, int], list[float]] = {}
    context = multiprocessing.get_context("spawn")
    with context.Pool(2, initializer=_build) as pool:
        in_processes(pool, 2, "lenstronomy 6", few)

        def methods(n: int) -> dict[str, tuple[int, Callable[[], object]]]:
            return {
                "coarse": (n_scenes, lambda: ours(scenes, COARSE)),
                "with noise": (n_scenes, lambda: ours_with_noise(scenes)),
                "fine": (n_scenes, lambda: ours(scenes, FINE)),
                "plain": (n_scenes, lambda: ours(scenes, PLAIN)),
                "like for like": (n_scenes, lambda: ours(scenes, SAME, "linear")),
                "simulate": (WRITTEN * n, partial(simulate_and_write, n)),
            } | {name: (len(few), partial(in_processes, pool, n, name, few)) for name in WAYS}

        for _ in range(n_rounds):
            for n in (1, 2):
                torch.set_num_threads(n)
                # one thread is timed by what it used of its core, so that neighbours do not count
                clock = time.process_time if n == 1 else time.perf_counter
                for name, (count, run) in methods(n).items():
                    start = clock()
                    run()
                    speeds.setdefault((name, n), []).append(count / (clock() - start))
        # the first round warms caches up
        return {key: float(np.median(values[1:])) for key, values in speeds.items()}


def errors(scenes: Scenes, keywords: list[tuple]) -> dict[str, float]:
    """Median over images of the largest error in units of the peak, against 20-fold sampling."""
    truth: dict[Approximation, np.ndarray] = {}
    for approximation in ("exact", "linear"):
        one_by_one = [
            ours(scenes[k : k + 1], TRUTH, approximation).numpy() for k in range(len(scenes))
        ]
        truth[approximation] = np.concatenate(one_by_one)

    def error(images: np.ndarray, approximation: Approximation) -> float:
        expected = truth[approximation]
        largest = np.abs(images - expected).max(axis=(1, 2)) / expected.max(axis=(1, 2))
        return float(np.median(largest))

    found = {
        name: error(ours(scenes, grid).numpy(), "exact")
        for name, grid in (("coarse", COARSE), ("fine", FINE), ("plain", PLAIN))
    }
    found["with noise"] = found["simulate"] = float("nan")
    found["like for like"] = error(ours(scenes, SAME, "linear").numpy(), "linear")
    return found | {name: error(_draw((name, keywords)), "linear") for name in WAYS}


ROWS = (
    ("ours, 2 x 2, padded, finer at centres and arcs", "coarse"),
    ("the same with noise and ivar", "with noise"),
    ("ours, 3 x 3, padded, finer at centres and arcs", "fine"),
    ("ours, 3 x 3, padded, plain sampling", "plain"),
    ("ours, 3 x 3, like for like: lenstronomy's sums", "like for like"),
    ("`simulate`: draws, both classes, stack and single, planes, files", "simulate"),
    ("lenstronomy, 3 x 3, PSF at the pixel scale (its default)", "lenstronomy native"),
    ("lenstronomy, 3 x 3, PSF at the oversampled scale", "lenstronomy supersampled"),
    ("lenstronomy, 6 x 6, PSF at the oversampled scale", "lenstronomy 6"),
)


def table(medians: dict[tuple[str, int], float], error: dict[str, float]) -> str:
    lines = [
        "| 45 x 45 pixels | images/s, 1 thread | 2 threads | / lenstronomy default | "
        "/ lenstronomy oversampled | median error [peak] |",
        "|---|---|---|---|---|---|",
    ]
    for title, name in ROWS:
        speeds = [medians[name, n] for n in (1, 2)]
        cells = [f"{speed:,.0f}" for speed in speeds]
        for peer in ("lenstronomy native", "lenstronomy supersampled"):
            ratios = [speed / medians[peer, n] for n, speed in zip((1, 2), speeds, strict=True)]
            cells.append(", ".join(f"{ratio:.1f}" for ratio in ratios))
        cells.append("" if np.isnan(error[name]) else f"{error[name]:.1e}")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def commit() -> str:
    """Short hash of the commit, or a word where there is none."""
    call = ["git", "rev-parse", "--short", "HEAD"]
    result = subprocess.run(
        call, capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    return result.stdout.strip() or "not committed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=256, help="scenes per round")
    parser.add_argument("--rounds", type=int, default=6, help="rounds, the first is not counted")
    options = parser.parse_args()
    _build()
    scenes = draw_scenes(options.scenes)
    keywords = lenstronomy_keywords(scenes)
    medians = measure(scenes, keywords, options.rounds)
    image, angle = differences(scenes[:100], keywords[:100])
    error = errors(scenes[:N_TRUTHS], keywords[:N_TRUTHS])
    text = f"""# Simulation speed

{table(medians, error)}

- Medians of {options.rounds - 1} interleaved rounds; ratios for one thread, then two. One thread is
  timed by the processor time it used, two by the clock on the wall; lenstronomy uses as many
  processes as we use threads, and its objects are built once.
- Error: the largest of each picture against the same scene sampled 20 x 20, padded, with the same
  b_n; the median of {N_TRUTHS} scenes.
- Largest difference on the same grid, float32 against lenstronomy's float64: images {image:.1e} of
  the peak, deflections {angle:.1e} arcsec.
- {datetime.now(tz=UTC):%Y-%m-%d}, commit {commit()}, torch {torch.__version__}, {os.cpu_count()}
  CPU cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}.
- Made by `python benchmarks/bench_simulation.py`.
"""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
