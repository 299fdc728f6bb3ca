"""Is the finder fit for this survey: how unlike its training images some of the survey's are.

It looks before anything is scanned, at noise and its correlation, background, brightness, colours
and concentration. Scanning itself is in `scanning.survey`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.stats import ks_2samp

from stronglens.core.errors import MissingDataError, StronglensError
from stronglens.core.files import atomic_path
from stronglens.core.rundir import RunDirectory
from stronglens.data.catalog import write_table
from stronglens.data.store import Dataset, open_dataset
from stronglens.data.stretch import MAD_TO_SIGMA
from stronglens.data.tile_sources import open_tile
from stronglens.finders.abstain import Abstention
from stronglens.finders.finder import Finder
from stronglens.plots.fitness import FeaturePair, fitness_figure
from stronglens.scanning.plan import Plan
from stronglens.scanning.sources import find_targets
from stronglens.scanning.tile_view import see, view_tile
from stronglens.scanning.tile_work import TileWork

Images = tuple[
    Float[np.ndarray, "n band y x"],
    Float[np.ndarray, "n band y x"],
    Bool[np.ndarray, "n band y x"],
]
_SAMPLE = 600
_MOST_TILES = 3
_PEDESTAL = 3.0
"""Level of the sky above which it was not subtracted [noise]."""
_SHOWN = 8
_APERTURE = 1.0
_OUTER = 0.02


@dataclass(frozen=True)
class Difference:
    """One feature, here and in the training images."""

    name: str
    """Feature and band."""
    ks: float
    """Largest distance of the two cumulative distributions (Kolmogorov-Smirnov) [0-1]."""
    share_outside: float
    """Share of the survey's images beyond the central 98 % of the training images."""
    here: float
    """Median of the survey's images."""
    there: float
    """Median of the training images."""


def check_fitness(
    run: RunDirectory, work: TileWork, finder: Finder, plan: Plan, training: Path
) -> list[Difference]:
    """Compare images of the survey with training images, and write fitness.parquet and .png.

    Args:
        run: The open run directory.
        work: How tiles are looked at.
        finder: The finder.
        plan: Tiles and targets.
        training: Dataset that the finder was trained on.

    Returns:
        The differences, the largest first.

    Raises:
        MissingDataError: No target can be cut out.
        WrongShapeError: The dataset has other bands or pixels than the finder.
    """
    dataset = open_dataset(training)
    size = dataset.size
    finder.check(dataset.bands, dataset.pixel_scale, height=size[0], width=size[1])
    here, there = _of_survey(work, finder, plan), _of_dataset(dataset)
    scale, bands = finder.facts.pixel_scale, finder.facts.bands
    mine, theirs = (features(i[0], i[2], bands, scale) for i in (here, there))
    found = sorted((_difference(n, mine[n], theirs[n]) for n in mine), key=lambda d: -d.ks)
    names = ("name", "ks", "share_outside", "here", "there")
    table = {name: np.array([getattr(d, name) for d in found]) for name in names}
    write_table(run.path / "fitness.parquet", table, {"training": str(training)})
    pairs = [FeaturePair(d.name, mine[d.name], theirs[d.name]) for d in found[:_SHOWN]]
    with atomic_path(run.path / "fitness.png") as temporary:
        fitness_figure(pairs).savefig(temporary, format="png")
    for line in [*_lines(found, len(here[0]), len(there[0])), *_abstained(finder, here)]:
        run.log(line)
    return found


def features(
    flux: Float[np.ndarray, "n band y x"],
    mask: Bool[np.ndarray, "n band y x"],
    bands: tuple[str, ...],
    pixel_scale: float,
) -> dict[str, Float64[np.ndarray, "n"]]:
    """Numbers that tell surveys apart, image by image; NaN where one cannot be had.

    Args:
        flux: Images [pixel units].
        mask: True where a pixel is bad.
        bands: Names of the bands.
        pixel_scale: Side of a pixel [arcsec].

    Returns:
        Noise, its correlation between neighbours, background, brightest pixel, share of bright
        pixels and concentration of each band, and colours of neighbouring bands [mag].
    """
    values = np.where(mask, np.nan, flux).astype(np.float64)
    height, width = flux.shape[2:]
    edge = max(2, min(height, width) // 6)
    corners = np.concatenate(
        [values[..., r, c].reshape(*flux.shape[:2], -1) for r in (slice(edge), slice(-edge, None))
         for c in (slice(edge), slice(-edge, None))], axis=2,
    )  # fmt: skip
    y, x = np.indices((height, width))
    radius = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2) * pixel_scale
    inner, wider = radius <= _APERTURE, radius <= 2 * _APERTURE
    with np.errstate(all="ignore"):
        level = _quiet_median(corners)
        rms = MAD_TO_SIGMA * _quiet_median(np.abs(corners - level[..., None]))
        central = np.nansum(values[..., inner] - level[..., None], axis=2)
        around = np.nansum(values[..., wider] - level[..., None], axis=2)
        signal = (values - level[..., None, None]) / rms[..., None, None]
        table = {
            "log10 noise": np.log10(rms),
            "noise correlation": _neighbours(values, level, edge),
            "background / noise": level / rms,
            "log10 peak / noise": np.log10(_peak(signal)),
            "share of bright pixels": (signal > 3).mean(axis=(2, 3)),
            "flux in 1 arcsec / in 2": np.where(around > 0, central / around, np.nan),
        }
        magnitude = -2.5 * np.log10(np.where(central > 0, central, np.nan))
    found = {f"{name}, {band}": column[:, k] for name, column in table.items()
             for k, band in enumerate(bands)}  # fmt: skip
    for k in range(len(bands) - 1):
        found[f"colour {bands[k]} - {bands[k + 1]}"] = magnitude[:, k] - magnitude[:, k + 1]
    return found


def _quiet_median(values: np.ndarray) -> np.ndarray:
    """Median along the last axis; NaN where there is no value, without a warning."""
    empty = np.asarray(np.isnan(values).all(axis=-1))
    filled = np.where(empty[..., None], 0.0, values)
    return np.where(empty, np.nan, np.nanmedian(filled, axis=-1))


def _peak(signal: np.ndarray) -> np.ndarray:
    """Largest value of each band; NaN where there is none, or none above 0."""
    largest = np.where(np.isnan(signal), -np.inf, signal).max(axis=(2, 3))
    return np.where(largest > 0, largest, np.nan)


def _neighbours(values: np.ndarray, level: np.ndarray, edge: int) -> np.ndarray:
    """Correlation of pixels with those beside them, in the corners."""
    away = values - level[..., None, None]
    # far from sources: robust against the few that lie in a corner
    away = np.where(np.abs(away) < 5 * MAD_TO_SIGMA * _quiet_median(
        np.abs(away.reshape(*level.shape, -1)))[..., None, None], away, np.nan)  # fmt: skip
    both, square = np.zeros(level.shape), np.zeros(level.shape)
    for rows in (slice(edge), slice(-edge, None)):
        for columns in (slice(edge), slice(-edge, None)):
            corner = away[..., rows, columns]
            both += np.nansum(corner[..., 1:] * corner[..., :-1], axis=(2, 3))
            square += np.nansum(corner[..., 1:] ** 2, axis=(2, 3))
    return np.where(square > 0, both / np.where(square > 0, square, 1.0), np.nan)


def _of_survey(work: TileWork, finder: Finder, plan: Plan) -> Images:
    """Some targets of the first tiles that can be opened, as the finder sees them."""
    parts: list[Images] = []
    for block in plan.blocks(_SAMPLE):
        if block.source is None or len(parts) == _MOST_TILES:
            break
        if block.start:
            continue
        try:
            tile = open_tile(block.source)
            view = view_tile(tile, finder.facts, work.bands)
            known = block.stop >= 0
            rows = plan.targets(block) if known else find_targets(tile, work.cut)
        except (StronglensError, OSError):
            continue
        seen = see(view, rows["x"][:_SAMPLE], rows["y"][:_SAMPLE], work.pad)
        ok = seen.status == "ok"
        parts.append((seen.flux[ok], seen.ivar[ok], seen.mask[ok]))
    if not sum(len(part[0]) for part in parts):
        raise MissingDataError(
            "no target of the first tiles can be cut out, so nothing can be compared with the "
            "training images. Check bands, positions and WCS."
        )
    flux, ivar, mask = (np.concatenate(planes) for planes in zip(*parts, strict=True))
    return flux, ivar, mask


def _of_dataset(dataset: Dataset) -> Images:
    """Some training images, evenly spread over the dataset."""
    rows = np.unique(np.linspace(0, dataset.n - 1, min(_SAMPLE, dataset.n)).astype(int))
    images = dataset.images(rows)
    ivar = np.zeros_like(images.flux) if images.ivar is None else images.ivar
    mask = np.zeros(images.flux.shape, bool) if images.mask is None else images.mask
    return images.flux, ivar, mask


def _difference(name: str, here: np.ndarray, there: np.ndarray) -> Difference:
    mine, theirs = here[np.isfinite(here)], there[np.isfinite(there)]
    if not len(mine) or not len(theirs):
        return Difference(name, float(len(mine) != len(theirs)), np.nan, np.nan, np.nan)
    low, high = np.quantile(theirs, [_OUTER / 2, 1 - _OUTER / 2])
    outside = float(((mine < low) | (mine > high)).mean())
    ks = float(ks_2samp(mine, theirs).statistic)  # type: ignore[attr-defined]
    return Difference(name, ks, outside, float(np.median(mine)), float(np.median(theirs)))


def _lines(found: list[Difference], n_here: int, n_there: int) -> list[str]:
    """What differs most, in words."""
    head = f"fit for use: {n_here} images of the survey against {n_there} of the training set"
    differences = [
        f"  {d.name}: median {d.here:.3g} here, {d.there:.3g} there; {d.share_outside:.0%} of the "
        f"images beyond the training set's central 98 % (KS distance {d.ks:.2f})"
        for d in found[:_SHOWN]
    ]
    return [head, *differences, *_advice(found)]


def _advice(found: list[Difference]) -> list[str]:
    """What to do about the commonest mistake."""
    levels = [d for d in found if d.name.startswith("background")]
    if any(abs(d.here) > _PEDESTAL and abs(d.there) < _PEDESTAL for d in levels):
        return ["the sky is still in the survey's images: subtract it from the tiles first"]
    return []


def _abstained(finder: Finder, images: Images) -> list[str]:
    """For how many of the images the finder would give no verdict, where it knows that."""
    if finder.facts.abstention is None:
        return ["the finder does not know when to abstain (stronglens calibrate teaches it)"]
    kept = Abstention.from_record(finder.facts.abstention)
    unlike, _ = kept.unlikeness(finder, *images)
    share = float((unlike > kept.threshold).mean())
    return [
        f"the finder is at a loss for {share:.1%} of the images, of training-like ones "
        f"{1 - kept.keep:.1%}: expect to lose as many lenses, or scan with --abstain to see them"
    ]
