"""The catalogue of a scan: all parts in one table, the most probable lens first.

Rows are sorted on disk, a range of scores at a time, so that their number does not count for
memory. What is made of the table is in `scanning.products`.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from stronglens.data.catalog import read_table
from stronglens.data.spool import Spool, pile_name
from stronglens.data.table_stream import TableWriter, read_in_parts
from stronglens.scanning.expected import Expectation
from stronglens.scanning.rank import COLUMNS
from stronglens.scanning.tile_pixels import NO_PIXELS

Columns = dict[str, np.ndarray]
_EDGES = np.linspace(-60.0, 60.0, 60_001)
_MOST_ROWS = 100_000
_TAKEN = 20_000  # rows that are put on piles together


@dataclass
class Summary:
    """What stands in the catalogue."""

    statuses: Counter[str] = field(default_factory=Counter)
    """Rows by status."""
    n_candidates: int = 0
    """Rows above the threshold."""
    first_fault: str = ""
    """Reason of the first row that is not ok."""
    best: Columns = field(default_factory=dict)
    """Rows whose pixels were kept, best first."""
    expected: Expectation = field(default_factory=Expectation)
    """Lenses to be expected, from calibrated probabilities."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.statuses.total()


def write_catalogue(
    path: Path,
    parts: Sequence[Path],
    facts: dict[str, Any],
    marks: Callable[[Columns], Columns] | None = None,
) -> Summary:
    """Sort the rows of all parts by log-odds, else by logit, into one table.

    Args:
        path: Parquet file to write.
        parts: Finished parts, in the order of the plan, which decides where scores are equal.
        facts: Kept with the table; `finder` among them.
        marks: Gives further columns for some rows, such as `known`.

    Returns:
        What the table holds.
    """
    folder = path.with_name("sorting.tmp")
    shutil.rmtree(folder, ignore_errors=True)
    spool, summary, best = Spool(folder), Summary(), []
    limits = _limits(parts)
    for rows in _gathered(parts):
        _count(summary, rows)
        spool.add_sorted(_pile(rank_key(rows), limits), rows)
    with TableWriter(path, facts) as writer:
        for rows in _sorted_rows(spool, len(limits) + 1):
            table = {name: rows[name] for name in COLUMNS if name in rows}
            table["finder"] = np.full(len(rows["row"]), facts["finder"], object)
            ordered = {name: table[name] for name in COLUMNS}
            extra = {} if marks is None else marks(ordered)
            writer.write({**ordered, **extra})
            summary.expected.add(rows["p_lens"], rows["score"], rows["is_candidate"])
            kept = rows["pixel_file"] != NO_PIXELS
            best.append({k: v[kept] for k, v in {**rows, **extra}.items()})
    if best:
        summary.best = {key: np.concatenate([rows[key] for rows in best]) for key in best[0]}
    shutil.rmtree(folder)
    return summary


def rank_key(rows: Columns) -> Float64[np.ndarray, "n"]:
    """What rows are sorted by: log-odds, or logit where the finder is not calibrated."""
    return np.where(np.isfinite(rows["log_odds"]), rows["log_odds"], rows["logit"])


def _limits(parts: Sequence[Path]) -> Float64[np.ndarray, "limit"]:
    """Keys between the piles, falling, so that most piles have at most so many rows."""
    counts = np.zeros(len(_EDGES) - 1, np.int64)
    for part in parts:
        for rows in read_in_parts(part, _MOST_ROWS, ("log_odds", "logit")):
            key = rank_key(rows)
            key = np.clip(key[np.isfinite(key)], _EDGES[0], _EDGES[-1])
            counts += np.histogram(key, _EDGES)[0]
    limits, rows = [], 0
    for index in range(len(counts) - 1, 0, -1):
        rows += int(counts[index])
        if rows and rows + counts[index - 1] > _MOST_ROWS:
            limits.append(_EDGES[index])
            rows = 0
    return np.array(limits)


def _pile(
    key: Float64[np.ndarray, "n"], limits: Float64[np.ndarray, "limit"]
) -> Int64[np.ndarray, "n"]:
    """Number of each row's pile, from the highest keys on; rows without a key come last."""
    # below a limit comes the next pile
    number = len(limits) - np.searchsorted(limits[::-1], key, side="right")
    return np.where(np.isfinite(key), number, len(limits) + 1).astype(np.int64)


def _gathered(parts: Sequence[Path]) -> Iterator[Columns]:
    """Rows of some parts together, each with the number of its part."""
    waiting: list[Columns] = []
    for number, part in enumerate(parts):
        rows = read_table(part)
        waiting.append({**rows, "part": np.full(len(rows["row"]), number)})
        is_last = number + 1 == len(parts)
        if is_last or sum(len(some["row"]) for some in waiting) >= _TAKEN:
            yield {name: np.concatenate([some[name] for some in waiting]) for name in waiting[0]}
            waiting = []


def _sorted_rows(spool: Spool, without_key: int) -> Iterator[Columns]:
    """Rows of pile after pile, each sorted; equal keys stay in the order of the plan.

    Rows without a key, which may be most of a table, are in that order already.
    """
    for name in spool.names():
        if name == pile_name(without_key):
            yield from _in_slices(spool, name)
            continue
        rows = spool.read(name)
        key = np.nan_to_num(-rank_key(rows), nan=np.inf)
        order = np.lexsort((rows["row"], rows["part"], np.nan_to_num(-rows["logit"]), key))
        yield {column: values[order] for column, values in rows.items()}


def _in_slices(spool: Spool, name: str) -> Iterator[Columns]:
    """Rows of a pile as they lie, some at a time."""
    start = 0
    while len((rows := spool.read(name, start, start + _MOST_ROWS))["row"]):
        yield rows
        start += _MOST_ROWS


def _count(summary: Summary, rows: Columns) -> None:
    """Add the rows of a part to the summary."""
    summary.statuses.update(str(status) for status in rows["status"])
    summary.n_candidates += int(rows["is_candidate"].sum())
    if not summary.first_fault and (rows["status"] != "ok").any():
        summary.first_fault = str(rows["reason"][rows["status"] != "ok"][0])
