"""The KiDS field: how many of its galaxies pass the threshold for 1 %, and how many lenses do.

The columns are those kept for the last word, none of which any training or tuning has seen.
Detectable lenses are painted there by `stronglens scan --inject` and must be found as sources.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io.fits import Header
from astropy.wcs import WCS

from stronglens.core.rundir import is_finished
from stronglens.data.catalog import read_table
from stronglens.data.tile_files import write_tile
from stronglens.data.tiles import read_tile
from stronglens.evaluation.estimate import Estimate
from stronglens.evaluation.metrics import binomial_estimate
from stronglens.finders.finder import Finder, load_finder, sigmoid
from stronglens.finders.shipped import ShippedFinder, choose_finder
from stronglens.scanning.source_cut import SourceCut
from stronglens.scanning.task import Scan

COLUMNS = (1160, 1600)
PIXEL_SCALE = 0.30
RATE = 0.01
FAINTEST = 21.5
LENSES_PER_ARCMIN2 = 6.0
SEEDS = (1, 2, 3)
"""Each paints another set of lenses into the same field."""


@dataclass(frozen=True)
class FieldFigures:
    """What one finder does on the field."""

    finder: str
    """Its name."""
    threshold: float
    """Score above which an object passes."""
    stated: str
    """Where the threshold comes from."""
    n_sources: int
    """Extended sources with a score."""
    fpr: Estimate
    """Share of them that passes."""
    n_lenses: int
    """Detectable lenses painted."""
    recovered: Estimate
    """Share of them found as a source within the magnitude limit and passing."""
    n_targets: int
    """Detectable lenses that were found as a source within the limit."""
    recovered_targets: Estimate
    """Share of those that passes."""
    recovered_at_true_rate: Estimate
    """Share of detectable lenses that pass where 1 % of the field's sources do."""


def write_field(kids: Path, out: Path) -> Path:
    """Write the columns as a tile with a TAN WCS, unless they are there."""
    folder = out / "kids-field"
    if folder.is_dir():
        return folder
    whole = read_tile(kids)
    first, stop = COLUMNS
    planes = {
        name: values[:, :, first:stop]
        for name in ("flux", "mask", "ivar")
        if (values := getattr(whole, name)) is not None
    }
    height = whole.height
    header = Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0})
    header.update(CRPIX1=(stop - first + 1) / 2, CRPIX2=(height + 1) / 2)
    header.update(CD1_1=-PIXEL_SCALE / 3600, CD2_2=PIXEL_SCALE / 3600)
    return write_tile(folder, replace(whole, **planes, pixel_scale=PIXEL_SCALE, wcs=WCS(header)))


def judge_field(
    tile: Path, one: ShippedFinder, out: Path, threshold: float | None = None
) -> FieldFigures:
    """Scan the field and the same field with lenses painted in.

    Args:
        tile: From `write_field`.
        one: The finder.
        out: Where the scans are kept.
        threshold: Score of the threshold, instead of the finder's own for 1 %.
    """
    if threshold is None:
        threshold, stated = stated_threshold(load_finder(one.path))
    else:
        stated = "given"
    # a finder trained anew under the same name is scanned with anew
    content = hashlib.sha256(one.path.read_bytes()).hexdigest()[:8]
    tables, lenses = [], []
    for seed in SEEDS:
        run = out / f"kids-{one.name}-{content}-{seed}"
        task = Scan(
            files=(tile,), finder=one.path, kind="tiles", threshold=threshold,
            sources=SourceCut(faintest=FAINTEST), inject=LENSES_PER_ARCMIN2, seed=seed,
        )  # fmt: skip
        if not is_finished(run):
            task.run(run)
        tables.append(read_table(run / "candidates.parquet"))
        found = read_table(run / "recovery.parquet")
        lenses.append({name: found[name] for name in ("is_detectable", "is_detected", "score")})
    field = tables[0]["score"][tables[0]["status"] == "ok"]
    joined = {name: np.concatenate([part[name] for part in lenses]) for name in lenses[0]}
    return figures(one.name, (threshold, stated), field, joined)


def figures(
    name: str, threshold: tuple[float, str], field: np.ndarray, lenses: dict[str, np.ndarray]
) -> FieldFigures:
    """Rates of a finder on the field's sources and on the lenses painted there.

    Args:
        name: Name of the finder.
        threshold: Score, and where it comes from.
        field: Scores of the field's sources.
        lenses: Columns is_detectable, is_detected, score.
    """
    cut, stated = threshold
    # the score below which 99 % of the field's sources are
    true_cut = float(np.quantile(field, 1 - RATE, method="higher"))
    seen = lenses["is_detectable"].astype(bool)
    is_target = lenses["is_detected"].astype(bool)[seen]
    score = np.nan_to_num(lenses["score"][seen], nan=-1.0)
    passes = is_target & (score > cut)
    return FieldFigures(
        finder=name, threshold=cut, stated=stated, n_sources=len(field),
        fpr=binomial_estimate(int((field > cut).sum()), len(field)),
        n_lenses=len(passes), recovered=binomial_estimate(int(passes.sum()), len(passes)),
        n_targets=int(is_target.sum()),
        recovered_targets=binomial_estimate(int(passes.sum()), int(is_target.sum())),
        recovered_at_true_rate=binomial_estimate(
            int((is_target & (score > true_cut)).sum()), len(passes)
        ),
    )  # fmt: skip


def stated_threshold(finder: Finder) -> tuple[float, str]:
    """Return the score for a false-positive rate of 1 %, and where it was found."""
    record = finder.facts.calibration or {}
    logit = record.get("thresholds", {}).get(f"{RATE:g}")
    if logit is None:
        return finder.facts.threshold, "not calibrated: its own threshold, no 1 % stated"
    score = float(sigmoid(np.array([float(logit)]))[0])
    return float(np.nextafter(score, 0.0)), f"1 % on {record.get('rows', 'calibration images')}"


def finder_of_field(tile_bands: tuple[str, ...], finders: list[ShippedFinder]) -> ShippedFinder:
    """Return the finder that `stronglens scan` would take for the field."""
    return choose_finder(tile_bands, PIXEL_SCALE, finders)[0]
