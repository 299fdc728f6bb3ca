"""The table of candidates and its contact sheet.

Where the scores come from is in `stronglens.scanning.score`.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stronglens.core.files import atomic_path
from stronglens.plots.mosaic import mosaic
from stronglens.scanning.score import Entry

COLUMNS = (
    "object_id", "input", "ra", "dec", "score", "p_lens", "is_candidate", "status", "reason",
    "finder", "band",
)  # fmt: skip
"""Columns of the table of candidates, in order."""
CANDIDATE_COLOUR = "#1b7837"
"""Frame of a candidate on contact sheets."""
_LISTED_FAILURES = 14
_NAME_LENGTH = 20


@dataclass(frozen=True)
class Ranking:
    """Entries from the highest score to the lowest, failed ones last."""

    entries: list[Entry]
    """All of them, without pixels."""
    best: list[Entry]
    """Those with the highest scores, with pixels."""

    @property
    def failed(self) -> list[Entry]:
        """Entries without a score."""
        return [entry for entry in self.entries if not entry.ok]


def rank(entries: Iterable[Entry], top: int, on_entry: Callable[[Entry], None]) -> Ranking:
    """Sort entries by score, and keep the pixels of the best only.

    Args:
        entries: Scored entries; they may come one by one from disk.
        top: Number of entries whose pixels are kept.
        on_entry: Called with each entry as it comes.

    Returns:
        The ranking, with every object_id made unique.
    """
    rows: list[Entry] = []
    best: list[tuple[int, Entry]] = []
    for index, entry in enumerate(entries):
        on_entry(entry)
        rows.append(replace(entry, pixels=None))
        if entry.ok:
            best.append((index, entry))
        if len(best) > 2 * top + 64:
            best = _highest(best, top)
    names = _unique_names(rows)
    rows = [replace(row, object_id=name) for row, name in zip(rows, names, strict=True)]
    highest = [replace(entry, object_id=names[k]) for k, entry in _highest(best, top)]
    return Ranking(sorted(rows, key=_order), highest)


def candidate_columns(entries: Sequence[Entry]) -> dict[str, np.ndarray]:
    """Table of candidates, one row per entry.

    Args:
        entries: Entries in the order of the rows.

    Returns:
        Columns by name; score and p_lens are NaN where an entry failed.
    """
    score = np.array([entry.score for entry in entries], dtype=np.float64)
    values: dict[str, np.ndarray] = {
        "object_id": np.array([entry.object_id for entry in entries], dtype=object),
        "input": np.array([entry.input for entry in entries], dtype=object),
        "ra": np.array([entry.ra for entry in entries], dtype=np.float64),
        "dec": np.array([entry.dec for entry in entries], dtype=np.float64),
        "score": score,
        "p_lens": np.array([entry.p_lens for entry in entries], dtype=np.float64),
        "is_candidate": score > np.array([entry.threshold for entry in entries], dtype=float),
        "status": np.array(["ok" if entry.ok else "failed" for entry in entries], dtype=object),
        "reason": np.array([entry.reason for entry in entries], dtype=object),
        "finder": np.array([entry.finder for entry in entries], dtype=object),
        "band": np.array([entry.band for entry in entries], dtype=object),
    }
    return {name: values[name] for name in COLUMNS}


def write_contact_sheet(path: Path, ranking: Ranking) -> None:
    """Draw a page with the best entries as the finder saw them, and a list of those that failed.

    Args:
        path: PNG file to write.
        ranking: Entries in order; the frame of a candidate is green.
    """
    shown = [entry for entry in ranking.best if entry.pixels is not None]
    figure = mosaic(
        [_picture(entry) for entry in shown],
        [f"{entry.score:.3f}  {entry.band}\n{short_name(entry.object_id)}" for entry in shown],
        footnote=_footnote(ranking, len(shown)),
        frame_colours=[CANDIDATE_COLOUR if e.score > e.threshold else None for e in shown],
    )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def log_line(entry: Entry) -> str:
    """One line on an entry for the log."""
    if not entry.ok:
        return f"failed {entry.object_id} ({entry.input}): {entry.reason}"
    note = f"; {entry.reason}" if entry.reason else ""
    return f"ok {entry.object_id} ({entry.input}): score {entry.score:.4f}, band {entry.band}{note}"


def _highest(best: list[tuple[int, Entry]], top: int) -> list[tuple[int, Entry]]:
    return sorted(best, key=lambda item: (-item[1].score, item[0]))[:top]


def _order(entry: Entry) -> float:
    """Sort key: highest score first, no score last."""
    return -entry.score if math.isfinite(entry.score) else math.inf


def _unique_names(entries: Sequence[Entry]) -> list[str]:
    """Object names, with the folder in front and a number behind where they would be equal."""
    count = Counter(entry.object_id for entry in entries)
    names = [
        f"{Path(entry.input).absolute().parent.name}_{entry.object_id}"
        if count[entry.object_id] > 1
        else entry.object_id
        for entry in entries
    ]
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return unique


def _picture(entry: Entry) -> np.ndarray:
    """Middle band of an entry, bad pixels blank."""
    if entry.pixels is None:
        return np.zeros((1, 1))
    middle = len(entry.pixels.flux) // 2
    return np.where(entry.pixels.mask[middle], np.nan, entry.pixels.flux[middle])


def short_name(name: str) -> str:
    """Name that fits above a picture."""
    return name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH - 1]}…"


def _footnote(ranking: Ranking, n_shown: int) -> str:
    """What the page shows, and the first of those that failed with their reasons."""
    n_ok = len(ranking.entries) - len(ranking.failed)
    thresholds = {entry.finder: entry.threshold for entry in ranking.entries if entry.ok}
    finders = ", ".join(f"{name} (green above {cut:.3f})" for name, cut in thresholds.items())
    lines = [
        f"{n_shown} of {n_ok} scored by {finders}; above each image its score and band. "
        "Each image is scaled by the noise of its own sky."
    ]
    if ranking.failed:
        lines.append(f"Failed: {len(ranking.failed)} of {len(ranking.entries)}.")
        lines += [f"{e.object_id}: {e.reason}" for e in ranking.failed[:_LISTED_FAILURES]]
    if len(ranking.failed) > _LISTED_FAILURES:
        lines.append(f"… and {len(ranking.failed) - _LISTED_FAILURES} more, in candidates.parquet.")
    return "\n".join(lines)
