"""Real cutouts beside simulated ones on one stretch, for eyes.

    python benchmarks/realism_pictures.py            # all surveys with real cutouts
    python benchmarks/realism_pictures.py kids ps1   # some of them

It writes runs/realism/<survey>.png, which are not kept: their pixels are other people's. The first
objects are shown, none is chosen; galaxies of the KiDS field are the brightest of its columns below
1100, each beside a simulated one of the same magnitude.
"""

import sys
import tempfile
from pathlib import Path

import bench_realism
import numpy as np
import torch
from realism_fields import FIELD
from realism_ranks import REAL, as_published

from stronglens.core.seeds import numpy_generator
from stronglens.data.fits import read_cutouts
from stronglens.evaluation.two_sample import border_rms, magnitude_matched
from stronglens.plots.gallery import gallery, picture
from stronglens.simulation.simulated_set import STACK
from stronglens.simulation.task import Simulate
from stronglens.surveys import survey, write_survey

FOLDER = Path("runs/realism")
COLUMNS = 8
KIDS_ROWS = 4
WHITE = 80.0
"""Brightness that becomes white, in units of the noise."""
COLOURS = {"g": 1.5, "r": 1.0, "i": 0.75, "z": 0.65}
"""Weight of a band's flux at one zero point, by its filter."""
# files, bands from blue to red as in the preset, classes, pixel scale, side of the frames, noise
CASES = {
    "cfhtls": ("cfhtls_lenses/[SW]*", "gri", ("lens",), 0.186, 41),
    "ps1": ("ps1_lenses/*.fits", "gri", ("lens",), 0.25, 61),
    "euclid-vis": ("euclid_q1_lenses/*.fits", ("euclid-vis",), ("lens",), 0.1, 81),
    "hst-acs-f814w": ("slacs_hst_development/J*", ("hst-f814w",), ("lens",), 0.05, 161),
    "hsc-pdr3": (
        "hsc_cosmos_blends/Cut_HSC*.fits",
        "gri",
        ("blue-neighbours", "merger"),
        0.168,
        49,
    ),
    "legacy-dr10": ("decals_galaxies/*.fits", "grz", ("spiral", "edge-on"), 0.262, 99),
}


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or ["kids", *CASES]:
        rows = kids_rows() if name == "kids" else survey_rows(name, *CASES[name])
        gallery(rows, footnote=f"{name}: real above simulated, white at {WHITE:g} times the noise"
                ).savefig(FOLDER / f"{name}.png")  # fmt: skip
        sys.stdout.write(f"{FOLDER / name}.png\n")


def shown(flux: np.ndarray, bands: tuple[str, ...]) -> list[np.ndarray]:
    """Pictures of cutouts at one zero point."""
    weights = np.array([COLOURS.get(band.rsplit("-", 1)[-1], 1.0) for band in bands])
    # one noise for all bands, so that colour survives
    noise = np.nanmean(border_rms(flux) * weights, axis=1)
    return [
        picture(one.astype(np.float32), sigma / weights, white=WHITE)
        for one, sigma in zip(flux, noise, strict=True)
    ]


def survey_rows(
    preset: str, pattern: str, filters: str | tuple[str, ...], classes: tuple[str, ...],
    scale: float, side: int,
) -> dict[str, list[np.ndarray]]:  # fmt: skip
    seen = survey(preset)
    names = {band.name.rsplit("-", 1)[-1]: band.name for band in seen.bands}
    bands = filters if isinstance(filters, tuple) else tuple(names[f] for f in filters)
    real = [
        middle(cutout, bands, side)
        for path in sorted(REAL.glob(pattern))
        for cutout in read_cutouts(path)
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "survey.toml"
        write_survey(as_published(seen, scale), file)
        task = Simulate(
            survey=str(file), bands=bands, size=side, shares=dict.fromkeys(classes, 1.0),
            planes=False, seed=5,
        )  # fmt: skip
        flux = task.plan().draw(0, (STACK,))[STACK].images.flux
    rows = {"real": shown(np.stack(real[:COLUMNS]), bands)}
    return rows | {"simulated": shown(flux[:COLUMNS].astype(np.float64), bands)}


def middle(cutout: object, bands: tuple[str, ...], side: int) -> np.ndarray:
    """The bands in the middle of a cutout, at one zero point where all are known."""
    height, width = cutout.flux.shape[1:]
    rows, columns = (slice(n // 2 - side // 2, n // 2 + side // 2 + 1) for n in (height, width))
    last = [band.rsplit("-", 1)[-1] for band in cutout.bands]
    order = [0] if len(bands) == 1 and bands[0] not in cutout.bands else [
        cutout.bands.index(band) if band in cutout.bands else last.index(band.rsplit("-", 1)[-1])
        for band in bands
    ]  # fmt: skip
    factor = 10.0 ** (0.4 * (30.0 - np.nan_to_num(cutout.zero_point[order], nan=30.0)))
    return cutout.flux[order, rows, columns].astype(np.float64) * factor[:, None, None]


def kids_rows() -> dict[str, list[np.ndarray]]:
    """Bright galaxies of the field and as many simulated ones of their magnitudes."""
    real, measured = bench_realism.open_real(bench_realism.TRAINING)
    with tempfile.TemporaryDirectory() as folder:
        camera = bench_realism.seen_by(measured, Path(folder), bench_realism.KINDS[-1])
        drawn = bench_realism.simulated(real, camera, FIELD, 3)
    both = [cutouts(field) for field in (real, drawn)]
    first, second = magnitude_matched(both[0][1], both[1][1], 1, 0.3)
    order = np.argsort(both[0][1][first])[: 2 * KIDS_ROWS * COLUMNS : 2]
    order = numpy_generator(1, "pictures").permutation(order)
    bands = ("kids-g", "kids-r", "kids-i")
    rows = {}
    for what, (flux, _), chosen in zip(("real", "simulated"), both, (first, second), strict=True):
        pictures = shown(flux[chosen[order]], bands)
        rows |= {f"{what} {k + 1}": pictures[k * COLUMNS : (k + 1) * COLUMNS]
                 for k in range(KIDS_ROWS)}  # fmt: skip
    return rows


def cutouts(field: bench_realism.Field) -> tuple[np.ndarray, np.ndarray]:
    """Cutouts of the galaxies of a field in g, r and i, and their magnitudes."""
    sample, row, column = bench_realism.galaxies(field)
    order = [field.tile.index(f"kids-{name}") for name in "gri"]
    flux = bench_realism.cut(field.flat[order], row, column, bench_realism.SIZE)
    return flux.astype(np.float64), sample.mag


if __name__ == "__main__":
    main(sys.argv[1:])
