"""The plan of a scan: which targets lie on which tile, in blocks that are done one at a time.

Positions come from a table, or are found on the tiles; the work itself is in `scanning.tile_work`.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from stronglens.core.errors import StaleCheckpointError, StronglensError
from stronglens.core.files import read_json, write_json
from stronglens.data.spool import Spool, pile_name
from stronglens.data.targets import (
    Footprint,
    TargetOptions,
    Targets,
    TargetStatus,
    assign_to_tiles,
    read_targets,
)
from stronglens.data.tile_sources import TileSource, footprint_of

DETECTED = -1
"""Number of targets of a tile whose sources are yet to be found."""
NO_TILE = "no-tile"
"""Pile of the targets that lie on no tile."""


@dataclass(frozen=True)
class TileBlock:
    """Some targets of one tile: the shard of a scan, done and written as one."""

    tile: int
    """Number of the tile in the plan; -1 for targets on no tile."""
    start: int
    """First of the tile's targets."""
    stop: int
    """The one after the last; -1 for all sources found on the tile."""
    source: TileSource | None
    """The tile, not opened; None for no tile."""

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"t{self.tile:06d}-{self.start:08d}" if self.tile >= 0 else f"none-{self.start:08d}"

    @property
    def n_rows(self) -> int:
        """Number of targets; 0 where they are yet to be found."""
        return max(self.stop - self.start, 0)


@dataclass(frozen=True)
class Plan:
    """Tiles and the number of targets on each."""

    folder: Path
    """Where the targets of each tile wait."""
    sources: tuple[TileSource, ...]
    """The tiles."""
    counts: tuple[int, ...]
    """Targets of each tile, or `DETECTED`."""
    n_elsewhere: int = 0
    """Targets on no tile."""
    unreadable: tuple[str, ...] = ()
    """Tiles whose headers cannot be read, each with the reason."""

    @property
    def n_targets(self) -> int:
        """Number of targets; of a scan that finds its own, those known beforehand: none."""
        return sum(max(count, 0) for count in self.counts) + self.n_elsewhere

    def blocks(self, length: int) -> list[TileBlock]:
        """Return every block, tile by tile.

        Args:
            length: Targets of a block.
        """
        found = [
            block
            for number, (source, count) in enumerate(zip(self.sources, self.counts, strict=True))
            for block in _blocks_of(number, source, count, length)
        ]
        return [*found, *_blocks_of(-1, None, self.n_elsewhere, length)]

    def targets(self, block: TileBlock) -> dict[str, np.ndarray]:
        """Return the targets of a block: object_id, ra, dec, x, y and row of the table."""
        name = NO_TILE if block.tile < 0 else pile_name(block.tile)
        return Spool(self.folder).read(name, block.start, block.stop)


def open_plan(
    folder: Path, sources: Sequence[TileSource], table: Path | None, options: TargetOptions
) -> Plan:
    """Plan of an interrupted scan, or a new one.

    Args:
        folder: Where the plan is kept.
        sources: Tiles.
        table: Table of targets; None to look for sources on the tiles.
        options: How the table is read.

    Raises:
        StaleCheckpointError: The tiles are not those of the plan.
    """
    if not (folder / "plan.json").is_file():
        _write_plan(folder, sources, table, options)
    kept = read_json(folder / "plan.json")
    if kept["tiles"] != [source.tile_id for source in sources]:
        raise StaleCheckpointError(
            f"the scan in {folder.parent.parent} was begun with {len(kept['tiles'])} tiles and now "
            f"there are {len(sources)}, or others. Give the same tiles, or choose another --out."
        )
    return Plan(
        folder / "targets",
        tuple(sources),
        tuple(kept["counts"]),
        kept["n_elsewhere"],
        tuple(kept["unreadable"]),
    )


def _blocks_of(
    number: int, source: TileSource | None, count: int, length: int
) -> Iterator[TileBlock]:
    if count == DETECTED:
        yield TileBlock(number, 0, -1, source)
    for start in range(0, count, length):
        yield TileBlock(number, start, min(start + length, count), source)


def _write_plan(
    folder: Path, sources: Sequence[TileSource], table: Path | None, options: TargetOptions
) -> None:
    """Sort the targets by tile; a plan that was not finished is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    spool = Spool(folder / "targets")
    counts = np.full(len(sources), DETECTED, np.int64)
    n_elsewhere, unreadable = 0, []
    if table is not None:
        footprints, readable, unreadable = _footprints(sources)
        counts[:] = 0
        for targets in read_targets(table, options):
            tile = _put_on_tiles(spool, targets, footprints, readable)
            counts += np.bincount(tile[tile >= 0], minlength=len(counts))
            n_elsewhere += int((tile < 0).sum())
    write_json(
        folder / "plan.json",
        {
            "tiles": [source.tile_id for source in sources],
            "counts": counts.tolist(),
            "n_elsewhere": n_elsewhere,
            "unreadable": unreadable,
        },
    )


def _footprints(
    sources: Sequence[TileSource],
) -> tuple[list[Footprint], Int64[np.ndarray, "tile"], list[str]]:
    """Where tiles lie, their numbers, and which cannot be read."""
    found, numbers, unreadable = [], [], []
    for number, source in enumerate(sources):
        try:
            found.append(footprint_of(source))
            numbers.append(number)
        except (StronglensError, OSError) as error:
            unreadable.append(f"{source.tile_id}: {error}")
    return found, np.array(numbers, np.int64), unreadable


def _put_on_tiles(
    spool: Spool,
    targets: Targets,
    footprints: Sequence[Footprint],
    readable: Int64[np.ndarray, "tile"],
) -> Int64[np.ndarray, "n"]:
    """Put targets on the piles of their tiles, and return the number of each one's tile."""
    placed = assign_to_tiles(targets, footprints, 0.0)
    on_tile = placed.tile >= 0
    tile = np.full(len(targets), -1, np.int64)
    tile[on_tile] = readable[placed.tile[on_tile]]
    rows: dict[str, np.ndarray] = {
        "object_id": np.asarray(targets.object_id),
        "ra": targets.ra,
        "dec": targets.dec,
        "x": placed.x,
        "y": placed.y,
        "row": targets.first_row + np.arange(len(targets)),
        "status": np.array([str(status) for status in placed.status], object),
    }
    if on_tile.any():
        spool.add_sorted(tile[on_tile], {key: values[on_tile] for key, values in rows.items()})
    if not on_tile.all():
        spool.add(NO_TILE, {key: values[~on_tile] for key, values in rows.items()})
    return tile


def status_elsewhere(status: str, plan: Plan) -> tuple[str, str]:
    """Status and reason of a target that lies on no tile.

    Args:
        status: What was found when targets were put on tiles.
        plan: The plan.
    """
    if status == TargetStatus.FAILED:
        return status, "no position: ra and dec, or x and y, must be numbers."
    reason = f"on none of the {len(plan.sources)} tiles"
    if plan.unreadable:
        reason += f", of which {len(plan.unreadable)} cannot be read: {plan.unreadable[0]}"
    return str(TargetStatus.OUTSIDE), reason
