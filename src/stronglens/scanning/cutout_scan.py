"""A scan of cutout files, one object per file or per entry of a stack.

Scans of survey tiles are in `scanning.survey`.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, logit
from tqdm import tqdm

from stronglens.core.rundir import RunDirectory
from stronglens.data.catalog import write_fits_table, write_table
from stronglens.data.inputs import list_inputs
from stronglens.data.planes import Hints
from stronglens.finders.calibrate import Calibration
from stronglens.scanning.choice import Group, Named, groups_of_cutouts
from stronglens.scanning.rank import (
    Ranking,
    candidate_columns,
    log_line,
    rank,
    write_contact_sheet,
)
from stronglens.scanning.result import ScanResult
from stronglens.scanning.score import Entry, ScoreOptions, prepared, scored
from stronglens.scanning.tile_scores import calibration_of

if TYPE_CHECKING:
    from stronglens.scanning.task import Scan


def scan_cutouts(task: "Scan", named: Named, run: RunDirectory) -> ScanResult:
    """Score every file and write table, FITS copy and contact sheet.

    Args:
        task: Settings; without a finder each file goes to the one nearest its bands and pixels.
        named: How finders are loaded.
        run: The open run directory.
    """
    groups, failed = _groups(task, named, run)
    ranking = _ranking(task, groups, failed, run)
    n_candidates = _write(ranking, run)
    n_failed = len(ranking.failed)
    n_ok = len(ranking.entries) - n_failed
    run.log(f"{n_ok} scored, {n_failed} failed, {n_candidates} candidates")
    return ScanResult(
        path=run.path,
        n_rows=len(ranking.entries),
        n_ok=n_ok,
        n_failed=n_failed,
        n_candidates=n_candidates,
        threshold=_threshold(task, groups[0]) if len(groups) == 1 else None,
        prevalence=task.prevalence,
        first_failure=ranking.failed[0].reason if n_failed else "",
    )


def _groups(task: "Scan", named: Named, run: RunDirectory) -> tuple[list[Group], list[Entry]]:
    """Inputs by the finder that scores them, and those that none can score."""
    paths = list_inputs(task.files)
    run.progress(n_inputs=len(paths))
    if task.finder is not None:
        groups = [Group(str(task.finder), named.load(task.finder), paths)]
        failed: list[Entry] = []
    else:
        groups, failed, reasons = groups_of_cutouts(paths, _hints(task, ()), named)
        for reason in reasons:
            run.log(f"finder chosen: {reason}")
    for group in groups:
        run.log(f"{group.finder!r}; threshold used {_threshold(task, group):.4f}")
    return groups, failed


def _ranking(
    task: "Scan", groups: Sequence[Group], failed: Sequence[Entry], run: RunDirectory
) -> Ranking:
    """Read and score all inputs, with a line in the log for each."""
    total = sum(len(group.paths) for group in groups)
    with tqdm(total=total, desc="scan", unit="file", disable=None) as bar:
        scores = (entry for group in groups for entry in _scored(task, group, bar))
        entries = itertools.chain(failed, scores)
        return rank(entries, task.top, lambda entry: run.log(log_line(entry)))


def _scored(task: "Scan", group: Group, bar: "tqdm[Any]") -> Iterator[Entry]:
    """Entries of a group with their scores."""
    asked = task.listed("band")
    hints = _hints(task, asked or group.finder.facts.bands)
    options = ScoreOptions(hints, asked, task.pad, task.batch_size)

    def entries() -> Iterator[Entry]:
        for path in group.paths:
            yield from prepared(path, group.finder, options)
            bar.update()

    threshold, calibration = _threshold(task, group), calibration_of(group.finder)
    for entry in scored(entries(), group.finder, task.batch_size):
        p_lens = _probability(calibration, entry.score, task.prevalence)
        yield replace(entry, p_lens=p_lens, finder=group.name, threshold=threshold)


def _probability(calibration: Calibration | None, score: float, prevalence: float) -> float:
    """Probability of a lens at a prevalence; NaN without a calibration or a score."""
    if calibration is None or not math.isfinite(score):
        return math.nan
    return float(expit(calibration.log_odds(np.array([logit(score)]), prevalence))[0])


def _hints(task: "Scan", wanted: tuple[str, ...]) -> Hints:
    return Hints(
        pixel_scale=None if task.pixel_scale is None else float(task.pixel_scale),
        zero_point=None if task.zero_point is None else float(task.zero_point),
        bands=task.listed("plane_bands"),
        use_mask=task.use_mask,
        wanted=wanted,
    )


def _threshold(task: "Scan", group: Group) -> float:
    return group.finder.facts.threshold if task.threshold is None else task.threshold


def _write(ranking: Ranking, run: RunDirectory) -> int:
    """Write what the run leaves behind, and return the number of candidates."""
    columns = candidate_columns(ranking.entries)
    thresholds = {entry.finder: entry.threshold for entry in ranking.entries if entry.ok}
    facts = {"thresholds": thresholds, "format_version": 1}
    write_table(run.path / "candidates.parquet", columns, facts)
    one = {"THRESH": next(iter(thresholds.values()))} if len(thresholds) == 1 else {}
    write_fits_table(run.path / "candidates.fits", columns, one)
    write_contact_sheet(run.path / "contact_sheet.png", ranking)
    return int(columns["is_candidate"].sum())
