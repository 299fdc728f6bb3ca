"""How unlike the sky simulated galaxies and blank fields are, by a fixed list of features.

    python benchmarks/bench_realism.py

It writes benchmarks/results/realism.md; `--best` leaves out the poorer kinds of noise and writes
realism_best.md. Simulated galaxies are those that `simulate` draws as
neighbours, in a field as large as the real one, found, chosen and cut out as the real ones are.
Columns below 1100 of the KiDS field are used; `--final` takes columns 1160 to 1600 instead and is
for the last word only.
"""

import argparse
import dataclasses
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from bench_simulation import commit
from realism_fields import BRIGHT, FIELD, painted_tile, simulated_tile
from realism_ranks import rank_table
from scipy.ndimage import maximum_filter

from stronglens.core.seeds import numpy_generator
from stronglens.data.detections import Detections, detect, without_background
from stronglens.data.measure import MeasuredSurvey, completed, measure_survey
from stronglens.data.selection import select_galaxies
from stronglens.data.tiles import Tile, read_tile, with_zero_point, within_columns
from stronglens.evaluation.two_sample import Features, features, magnitude_matched
from stronglens.simulation.sky import Sky
from stronglens.simulation.survey_camera import SurveyCamera
from stronglens.surveys import Band, survey
from stronglens.training.two_sample import TwoSample, two_sample_auroc

KIDS = Path(__file__).parents[2] / "shared" / "data" / "real" / "kids_viking_field"
RESULTS = Path(__file__).parent / "results" / "realism.md"
SEED, SEEDS = 1, (1, 2)
KINDS = ("white", "covariance", "covariance, depth", "covariance, depth, PSF kernel")
"""What of the measured noise and PSF the simulation knows."""
TRAINING, FINAL = (0, 1100), (1160, 1600)
BANDS = ("kids-r", "kids-g", "kids-i", "kids-u")
"""Bands of the features, the reference first."""
SIZE, RADIUS, BLANK = 41, 10.0, 25
"""Side of a cutout, radius of its aperture, side of a blank patch [pixel]."""
N_FOLDS, CELL = 5, 256
N_BLANK = 400
MARGIN = 5
"""Distance of the sky from sources [pixel]."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Objects or patches of one tile."""

    features: Features
    mag: np.ndarray
    fold: np.ndarray

    def __len__(self) -> int:
        return len(self.fold)

    def __getitem__(self, rows: np.ndarray) -> "Sample":
        own = {name: values[rows] for name, values in self.features.items()}
        return Sample(own, self.mag[rows], self.fold[rows])


@dataclass(frozen=True, eq=False)
class Field:
    """A field, what is found in it, and the noise that its pixels are measured by."""

    tile: Tile
    found: Detections
    rms: np.ndarray
    is_levelled: bool = True
    """Whether the mean of the sky is taken off, too, which the smooth background leaves."""

    @cached_property
    def flat(self) -> np.ndarray:
        flux = without_background(self.tile).flux
        if not self.is_levelled:
            return flux
        sky = ~self.found.sky_mask(MARGIN) & ~self.tile.is_bad
        return flux - np.stack([_level(plane[sky]) for plane in flux])[:, None, None]

    def as_it_was(self) -> "Field":
        return dataclasses.replace(self, is_levelled=False)


def _level(values: np.ndarray) -> np.float32:
    """Mean without what is beyond five standard deviations."""
    return values[np.abs(values - values.mean()) < 5.0 * values.std()].mean()


def joined(samples: list[Sample]) -> Sample:
    names = samples[0].features
    return Sample(
        {name: np.concatenate([one.features[name] for one in samples]) for name in names},
        np.concatenate([one.mag for one in samples]),
        np.concatenate([one.fold for one in samples]),
    )


def fold_of(row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Sky cells dealt to folds so that neighbours differ."""
    return (row // CELL + 2 * (column // CELL)) % N_FOLDS


def cut(flux: np.ndarray, row: np.ndarray, column: np.ndarray, size: int) -> np.ndarray:
    half = size // 2
    return np.stack(
        [
            flux[:, y - half : y + half + 1, x - half : x + half + 1]
            for y, x in zip(row, column, strict=True)
        ]
    )


def described(field: Field, row: np.ndarray, column: np.ndarray, size: int) -> Features:
    """Features of cutouts, in units of the tile's noise."""
    order = [field.tile.index(band) for band in BANDS]
    flux = cut(field.flat[order], row, column, size).astype(np.float64)
    mask = cut(field.tile.mask[order], row, column, size)
    own = np.broadcast_to(field.rms[order], flux.shape[:2])
    radius = RADIUS if size == SIZE else size / 4
    return features(flux, own, BANDS, mask=mask, radius=radius)


def inside(tile: Tile, row: np.ndarray, column: np.ndarray, size: int) -> np.ndarray:
    """Whether a cutout lies on the tile and on good pixels."""
    half = size // 2
    fits = (row >= half) & (column >= half)
    fits &= (row < tile.height - half) & (column < tile.width - half)
    bad = maximum_filter(tile.is_bad.astype(np.uint8), size)
    return fits & (bad[np.clip(row, 0, tile.height - 1), np.clip(column, 0, tile.width - 1)] == 0)


def galaxies(field: Field) -> tuple[Sample, np.ndarray, np.ndarray]:
    """Sample of all whole galaxies of a field, and their rows and columns."""
    rows = np.sort(select_galaxies(field.found, 0))
    row, column = (np.rint(values[rows]).astype(int) for values in (field.found.y, field.found.x))
    mag = field.found.magnitude(field.tile.index(BANDS[0]))[rows]
    keep = inside(field.tile, row, column, SIZE) & np.isfinite(mag)
    row, column = row[keep], column[keep]
    own = described(field, row, column, SIZE)
    return Sample(own, mag[keep], fold_of(row, column)), row, column


def blank_places(tile: Tile, found: Detections, n: int, seed: int) -> tuple:
    """Patches without a source, none over another."""
    free = maximum_filter((found.segmentation > 0).astype(np.uint8), BLANK) == 0
    row, column = np.nonzero(free)
    order = numpy_generator(seed, "blank").permutation(len(row))[:20_000]
    row, column = row[order], column[order]
    keep = inside(tile, row, column, BLANK)
    taken = np.zeros((tile.height, tile.width), bool)
    chosen = []
    for y, x in zip(row[keep], column[keep], strict=True):
        square = taken[y - BLANK // 2 : y + BLANK // 2 + 1, x - BLANK // 2 : x + BLANK // 2 + 1]
        if not square.any() and len(chosen) < n:
            square[:] = True
            chosen.append((y, x))
    return tuple(np.array(chosen).T)


def blank(field: Field, seed: int) -> Sample:
    row, column = blank_places(field.tile, field.found, N_BLANK, seed)
    own = described(field, row, column, BLANK)
    return Sample(own, np.zeros(len(row)), fold_of(row, column))


def seen_by(measured: MeasuredSurvey, folder: Path, kind: str) -> SurveyCamera:
    """Camera of the measured survey with some of what was measured of its noise and PSF."""
    left_out = {
        "white": ("noise_covariance", "noise_correlation", "noise_scatter", "psf_kernel"),
        "covariance": ("noise_scatter", "psf_kernel"),
        "covariance, depth": ("psf_kernel",),
        "covariance, depth, PSF kernel": (),
    }[kind]
    none = {field.name: field.default for field in dataclasses.fields(Band)}
    changes = {name: none[name] for name in left_out}
    own = survey(str(measured.write(folder))).bands
    bands = tuple(dataclasses.replace(band, **changes) for band in own)
    return SurveyCamera(measured.to_survey(), bands, measured.bands[0].zero_point, None)


def open_real(columns: tuple[int, int]) -> tuple[Field, MeasuredSurvey]:
    tile = within_columns(with_zero_point(read_tile(KIDS), 27.5), *columns)
    parts = {name: getattr(tile, name)[:, :, slice(*columns)] for name in ("flux", "mask")}
    tile = dataclasses.replace(tile, **parts, wcs=None)
    found = detect(tile)
    measured = measure_survey(tile, found)
    return Field(tile, found, np.array([band.noise.rms for band in measured.bands])), measured


def near(row: np.ndarray, column: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Whether each pixel is within four of one of some places."""
    distance = np.maximum(abs(row[:, None] - places[0]), abs(column[:, None] - places[1]))
    return (distance <= 4).any(axis=1)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is compared with the real field, in one unit."""

    name: str
    galaxies: TwoSample | None
    blank: TwoSample | None


def compare_galaxies(real: Sample, other: Sample) -> TwoSample:
    a, b = magnitude_matched(real.mag, other.mag, SEED)
    first, second = real[a], other[b]
    return two_sample_auroc(first.features, second.features, (first.fold, second.fold), SEED)


def compare_blank(real: Field, other: Field) -> TwoSample:
    first, second = blank(real, SEED), blank(other, SEED)
    return two_sample_auroc(first.features, second.features, (first.fold, second.fold), SEED)


def compared(columns: tuple[int, int], kinds: tuple[str, ...]) -> list[Comparison]:
    """All comparisons with one part of the real field."""
    real, measured = open_real(columns)
    own, rows = galaxies(real)[0], []
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            camera = seen_by(measured, Path(folder), kind)
            drawn = [simulated(real, camera, FIELD, seed) for seed in SEEDS]
            empty = simulated(real, camera, None, SEEDS[0])
            sample = joined([galaxies(one)[0] for one in drawn])
            rows.append(
                Comparison(kind, compare_galaxies(own, sample), compare_blank(real, drawn[0]))
            )
            rows.append(Comparison(f"{kind}; no galaxies", None, compare_blank(real, empty)))
            print(rows[-2].name, cell(rows[-2].galaxies), cell(rows[-2].blank), flush=True)
            print(rows[-1].name, cell(rows[-1].blank), flush=True)
        left = [one.as_it_was() for one in (real, *drawn)]
        sample = joined([galaxies(one)[0] for one in left[1:]])
        whole = compare_galaxies(galaxies(left[0])[0], sample)
        name = f"{kinds[-1]}; mean of the sky left in"
        rows.append(Comparison(name, whole, compare_blank(*left[:2])))
        complete = completed(without_background(real.tile), measured)
        onto = [painted(dataclasses.replace(real, tile=complete), camera, s) for s in SEEDS]
    sample = joined([near_places(*one) for one in onto])
    rows.append(Comparison("painted", compare_galaxies(own, sample), None))
    print("painted", cell(rows[-1].galaxies), flush=True)
    return rows


def simulated(real: Field, camera: SurveyCamera, sky: Sky | None, seed: int) -> Field:
    tile = simulated_tile(real.tile, camera, sky, seed)
    return Field(tile, detect(tile), real.rms)


def painted(real: Field, camera: SurveyCamera, seed: int) -> tuple[Field, np.ndarray]:
    tile, row, column = painted_tile(real.tile, real.found, camera, BRIGHT, seed)
    return Field(tile, detect(tile), real.rms), np.stack([row, column])


def near_places(field: Field, places: np.ndarray) -> Sample:
    sample, row, column = galaxies(field)
    return sample[near(row, column, places)]


def listed(values: dict[str, float], n: int = 6) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in list(values.items())[:n])


def cell(result: TwoSample | None) -> str:
    if result is None:
        return ""
    return f"{result.auroc} [{result.n_first}, {result.n_second}]"


def table(rows: list[Comparison]) -> str:
    lines = ["| against real KiDS | galaxies | blank sky |", "|---|---|---|"]
    lines += [f"| {row.name} | {cell(row.galaxies)} | {cell(row.blank)} |" for row in rows]
    lines += ["", "| | loss when shuffled | alone, above a half where larger than in real ones |"]
    lines += ["|---|---|---|"]
    for row in rows:
        for what, result in (("galaxies", row.galaxies), ("blank", row.blank)):
            if result is not None:
                told = f"{listed(result.importance)} | {listed(result.single)}"
                lines.append(f"| {row.name}: {what} | {told} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--final", action="store_true", help="columns 1160 to 1600, best kind only")
    parser.add_argument("--best", action="store_true", help="best kind only, no ranks")
    options = parser.parse_args()
    flag = "final" if options.final else "best" if options.best else ""
    is_short = bool(flag)
    torch.set_num_threads(1)
    columns = FINAL if options.final else TRAINING
    start = time.monotonic()
    rows = compared(columns, KINDS[-1:] if is_short else KINDS)
    ranks = "" if is_short else rank_table()
    text = f"""# How unlike the sky{" (final columns)" if options.final else ""}

{table(rows)}

{ranks}

- AUROC of telling simulated from real by the features of `stronglens.evaluation.two_sample`, with
  95 % interval and [real, simulated] numbers; folds are sky cells of {CELL} pixels. 0.5: alike.
- Real: all whole galaxies of `select_galaxies` (S/N above 20) in columns {columns[0]} to
  {columns[1]} of the KiDS field, and patches of {BLANK} pixels without a source.
- Simulated: neighbours as `simulate` draws them (boost 1) in {len(SEEDS)} fields of the same size,
  found, chosen and cut out as the real ones, then matched to 0.1 mag in r. Painted: the same
  galaxies on clear sky of the real field.
- The mean of the sky, up to 0.12 of the noise in u after the smooth background is subtracted, is
  taken off every field, real or not.
- {datetime.now(tz=UTC):%Y-%m-%d}, commit {commit()}, {time.monotonic() - start:.0f} s on one core.
- Made by `python benchmarks/bench_realism.py{flag and " --" + flag}`.
"""
    target = RESULTS.with_stem(f"realism_{flag}") if flag else RESULTS
    target.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
