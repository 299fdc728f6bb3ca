"""What a scan of tiles leaves behind: catalogue, copies, cutouts, contact sheet, forecast.

The parts that it is made of are written by `scanning.tile_work`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from stronglens.core.files import write_json
from stronglens.core.rundir import RunDirectory
from stronglens.data.catalog import write_table
from stronglens.data.hats import write_hats
from stronglens.data.table_stream import read_in_parts
from stronglens.scanning.candidates import write_cutouts, write_sheet
from stronglens.scanning.catalogue import Columns, Summary, write_catalogue
from stronglens.scanning.exports import write_copies
from stronglens.scanning.known import read_known
from stronglens.scanning.result import ScanResult

_ROWS = 100_000


@dataclass(frozen=True)
class ProductOptions:
    """What is made of the parts."""

    finder: str
    """Name of the finder in the table."""
    threshold: float
    """Score above which a target is a candidate."""
    prevalence: float
    """Lenses over all targets."""
    radius: float
    """Of the circles that mark candidates [arcsec]."""
    top: int = 64
    """Targets on the contact sheet."""
    most_cutouts: int = 100_000
    """Candidates whose cutouts are written."""
    known: Path | None = None
    """Table of known lenses."""
    known_radius: float = 2.0
    """Distance within which a target is the same object [arcsec]."""


def write_products(run: RunDirectory, parts: Sequence[Path], options: ProductOptions) -> ScanResult:
    """Make everything from the parts.

    Args:
        run: The open run directory.
        parts: One finished part per block, in the order of the plan.
        options: What is made.
    """
    facts = {
        "threshold": options.threshold,
        "finder": options.finder,
        "prevalence": options.prevalence,
        "format_version": 1,
    }
    table = run.path / "candidates.parquet"
    summary = write_catalogue(table, parts, facts, _marks(options))
    rows = partial(read_in_parts, table, _ROWS)
    n_placed = write_hats(run.path / "catalogue", "candidates", rows)
    found = ", ".join(f"{n} {status}" for status, n in summary.statuses.most_common())
    run.log(f"{summary.n_rows} rows in the table ({found}), {n_placed} of them in the catalogue")
    cards = {"THRESH": options.threshold, "PREVAL": options.prevalence}
    n_copied = write_copies(run.path, cards, options.radius)
    run.log(f"copies for other tools hold the first {n_copied} rows")
    _write_pixels(run, parts, summary, options)
    _write_forecast(run, summary, options)
    write_json(run.path / "manifest.json", {**facts, "parts": len(parts), "rows": summary.n_rows,
               "statuses": dict(summary.statuses)})  # fmt: skip
    return _result(run, summary, options)


def _marks(options: ProductOptions) -> Callable[[Columns], Columns] | None:
    """Return what adds the column `known`."""
    if options.known is None:
        return None
    lenses = read_known(options.known, options.known_radius)

    def marks(rows: Columns) -> Columns:
        return {"known": lenses.marks(rows["ra"], rows["dec"])}

    return marks


def _write_pixels(
    run: RunDirectory, parts: Sequence[Path], summary: Summary, options: ProductOptions
) -> None:
    """Write cutouts of the candidates and the contact sheet of the best."""
    best = summary.best
    if not best or not len(best["row"]):
        run.log("no target has a score: neither cutouts nor a contact sheet")
        return
    folder = run.path / "work" / "parts"
    rows = {key: values[: options.top] for key, values in best.items()}
    notes = {"footnote": _footnote(summary, len(rows["row"]), options)}
    write_sheet(run.path / "contact_sheet.png", folder, parts, rows, notes)
    chosen = np.flatnonzero(best["is_candidate"])[: options.most_cutouts]
    if not len(chosen):
        run.log("no candidates, so no cutouts")
        return
    candidates = {key: values[chosen] for key, values in best.items()}
    provenance = {"made_by": "stronglens scan", "finder": options.finder,
                  "threshold": options.threshold}  # fmt: skip
    written = write_cutouts(run.path, folder, parts, candidates, provenance)
    for place, n in written.items():
        run.log(f"{n} cutouts in {place}")
    if len(chosen) < summary.n_candidates:
        run.log(f"{summary.n_candidates} candidates are more than --most-cutouts: best ones kept")


def _write_forecast(run: RunDirectory, summary: Summary, options: ProductOptions) -> None:
    """Write the lenses to be expected per threshold, as a table and as lines of the log."""
    if summary.expected.is_calibrated:
        facts: dict[str, Any] = {"prevalence": options.prevalence}
        write_table(run.path / "expected.parquet", summary.expected.table(), facts)
    for line in summary.expected.to_lines(options.prevalence):
        run.log(line)


def _footnote(summary: Summary, n_shown: int, options: ProductOptions) -> str:
    """What the page shows, and how many targets have no score."""
    n_ok = summary.statuses["ok"]
    text = (
        f"{n_shown} of {n_ok} scored by {Path(options.finder).stem}; above each image its score. "
        f"Green: score above {options.threshold:.3f}. Each image is scaled by the noise of its own "
        "sky."
    )
    others = {name: n for name, n in summary.statuses.items() if name != "ok"}
    listed = ", ".join(f"{n} {name}" for name, n in sorted(others.items()))
    return text + (f"\nNot scored: {listed}." if others else "")


def _result(run: RunDirectory, summary: Summary, options: ProductOptions) -> ScanResult:
    n_ok = summary.statuses["ok"]
    seen = summary.expected if summary.expected.is_calibrated else None
    return ScanResult(
        path=run.path,
        n_rows=summary.n_rows,
        n_ok=n_ok,
        n_failed=summary.n_rows - n_ok,
        n_candidates=summary.n_candidates,
        threshold=options.threshold,
        prevalence=options.prevalence,
        expected_lenses=None if seen is None else seen.n_lenses_listed,
        purity=None if seen is None else seen.purity(),
        completeness=None if seen is None else seen.completeness(seen.n_lenses_listed),
        first_failure=summary.first_fault,
    )
