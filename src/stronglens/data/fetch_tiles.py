"""Targets of a table, or sources found, laid out tile by tile for fetching.

Where targets lie is found in `stronglens.data.targets`; the cutting is in `data.fetch_inputs`.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from stronglens.core.errors import MissingDataError, StronglensError
from stronglens.data.cutting import CutRules
from stronglens.data.detected_targets import detect_targets
from stronglens.data.fetch_inputs import FailedInput, FetchInput, LostInput, TileInput
from stronglens.data.targets import (
    Assignment,
    Footprint,
    TargetOptions,
    Targets,
    assign_to_tiles,
    read_targets,
)
from stronglens.data.tile_sources import TileSource, footprint_of, open_tile


def list_tile_inputs(
    tiles: Sequence[TileSource],
    table: Path | None,
    options: TargetOptions,
    *,
    size: int,
    pad: float,
) -> list[FetchInput]:
    """Targets by tile, those on no tile last; each target is in exactly one input.

    Args:
        tiles: The tiles; one that cannot be opened is marked with a row of its own.
        table: Table of targets; None to take the sources on the tiles.
        options: Names of columns, and cuts.
        size: Side of the cutouts on the finest pixels [pixel].
        pad: Part of a cutout that may lie outside its tile.

    Raises:
        MissingDataError: No tile can be opened.
    """
    good, footprints, failed = _footprints(tiles)
    margin = 0.0 if pad else size / 2
    rules = CutRules(max_outside=pad)
    found: list[FetchInput] = []
    if table is None:
        pairs = [
            (s, f, detect_targets(open_tile(s), options))
            for s, f in zip(good, footprints, strict=True)
        ]
        found = [
            TileInput(s, t, assign_to_tiles(t, [f], margin), size=size, rules=rules)
            for s, f, t in pairs
        ]
        return [*found, *failed]
    targets = _joined(list(read_targets(table, options)))
    places = assign_to_tiles(targets, footprints, margin)
    for index, source in enumerate(good):
        rows = np.flatnonzero(places.tile == index)
        if len(rows):
            own = _places(places, rows)
            found.append(TileInput(source, targets.rows(rows), own, size=size, rules=rules))
    lost = np.flatnonzero(places.tile < 0)
    if len(lost):
        found.append(LostInput(targets.rows(lost), places.status[lost]))
    return [*found, *failed]


def _footprints(
    tiles: Sequence[TileSource],
) -> tuple[list[TileSource], list[Footprint], list[FetchInput]]:
    """Tiles that can be opened, where they lie, and a mark for each of the others."""
    good, footprints, failed = [], [], []
    for source in tiles:
        try:
            footprints.append(footprint_of(source))
            good.append(source)
        except StronglensError as error:
            failed.append(FailedInput(source.tile_id, str(error)))
    if not good:
        reasons = "; ".join(entry.reason for entry in failed[:3]) or "no files"
        raise MissingDataError(f"no tile can be opened: {reasons}")
    return good, footprints, failed


def _joined(chunks: Sequence[Targets]) -> Targets:
    """All targets of a table."""
    if not chunks:
        raise MissingDataError("the table of targets has no rows. Give one with targets.")
    names = ("object_id", "ra", "dec", "x", "y", "tile_id")
    arrays = {name: np.concatenate([getattr(c, name) for c in chunks]) for name in names}
    extra = {n: np.concatenate([c.extra[n] for c in chunks]) for n in chunks[0].extra}
    return replace(chunks[0], extra=extra, **arrays)


def _places(places: Assignment, rows: np.ndarray) -> Assignment:
    names = ("tile", "x", "y", "edge_distance", "status")
    return Assignment(**{name: getattr(places, name)[rows] for name in names})
