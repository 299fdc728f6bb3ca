"""A scan of cutout files, one object per file or per entry of a stack.

Scans of survey tiles are in `scanning.survey`.
"""

from typing import TYPE_CHECKING

from tqdm import tqdm

from stronglens.core.rundir import RunDirectory
from stronglens.data.catalog import write_fits_table, write_table
from stronglens.data.inputs import list_inputs
from stronglens.data.planes import Hints
from stronglens.finders.finder import Finder
from stronglens.scanning.rank import (
    Ranking,
    candidate_columns,
    log_line,
    rank,
    write_contact_sheet,
)
from stronglens.scanning.result import ScanResult
from stronglens.scanning.score import ScoreOptions, prepared, scored

if TYPE_CHECKING:
    from stronglens.scanning.task import Scan


def scan_cutouts(task: "Scan", finder: Finder, threshold: float, run: RunDirectory) -> ScanResult:
    """Score every file and write table, FITS copy and contact sheet.

    Args:
        task: Settings.
        finder: Finder that scores.
        threshold: Score above which an object is a candidate.
        run: The open run directory.
    """
    ranking = _ranking(task, finder, run)
    n_candidates = _write(task, ranking, threshold, run)
    n_failed = len(ranking.failed)
    n_ok = len(ranking.entries) - n_failed
    run.log(f"{n_ok} scored, {n_failed} failed, {n_candidates} candidates")
    return ScanResult(
        path=run.path,
        n_rows=len(ranking.entries),
        n_ok=n_ok,
        n_failed=n_failed,
        n_candidates=n_candidates,
        threshold=threshold,
        prevalence=task.prevalence,
        first_failure=ranking.failed[0].reason if n_failed else "",
    )


def _ranking(task: "Scan", finder: Finder, run: RunDirectory) -> Ranking:
    """Read and score all inputs, with a line in the log for each."""
    asked = task.listed("band")
    hints = Hints(
        pixel_scale=None if task.pixel_scale is None else float(task.pixel_scale),
        zero_point=None if task.zero_point is None else float(task.zero_point),
        bands=task.listed("plane_bands"),
        use_mask=task.use_mask,
        wanted=asked or finder.facts.bands,
    )
    options = ScoreOptions(hints, asked, task.pad, task.batch_size)
    paths = list_inputs(task.files)
    run.progress(n_inputs=len(paths))
    bar = tqdm(paths, desc="scan", unit="file", disable=None)
    entries = (entry for path in bar for entry in prepared(path, finder, options))
    scores = scored(entries, finder, task.batch_size)
    return rank(scores, task.top, lambda entry: run.log(log_line(entry)))


def _write(task: "Scan", ranking: Ranking, threshold: float, run: RunDirectory) -> int:
    """Write what the run leaves behind, and return the number of candidates."""
    columns = candidate_columns(ranking.entries, threshold, str(task.finder))
    facts = {"threshold": threshold, "finder": str(task.finder), "format_version": 1}
    write_table(run.path / "candidates.parquet", columns, facts)
    write_fits_table(run.path / "candidates.fits", columns, {"THRESH": threshold})
    sheet = run.path / "contact_sheet.png"
    write_contact_sheet(sheet, ranking, threshold, str(task.finder))
    return int(columns["is_candidate"].sum())
