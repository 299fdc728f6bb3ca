"""A scan of survey tiles from the plan to the products; it goes on where it was stopped.

Everything between is kept in the folder `work` of the run: the plan, and a part for each block.
"""

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from stronglens.core.engine import Crew, Outcome, map_shards
from stronglens.core.errors import (
    InterruptedRunError,
    MissingDataError,
    StronglensError,
    UnreadableFileError,
)
from stronglens.core.rundir import RunDirectory
from stronglens.data.catalog import write_table
from stronglens.data.table_stream import count_rows
from stronglens.data.tile_sources import footprint_of
from stronglens.scanning.plan import Plan, TileBlock, open_plan
from stronglens.scanning.products import write_products
from stronglens.scanning.result import ScanResult
from stronglens.scanning.tile_work import BlockResult, TileWork, lost_rows

if TYPE_CHECKING:
    from stronglens.data.targets import TargetOptions
    from stronglens.data.tile_sources import TileSource
    from stronglens.scanning.products import ProductOptions
WORK = "work"
_LISTED = 3
_LARGE_FIELD = 5  # sides of what a finder sees
_LARGE_SIDE = 600  # pixels


class IncompleteScanError(InterruptedRunError):
    """A scan of which some blocks could not be written; the same command goes on with them.

    Args:
        message: What is wrong and what to do.
        exit_code: Status for scripts: 3 some written, 1 none.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class NothingToScanError(MissingDataError):
    """No table row and no source: nothing could be done."""

    exit_code = 1


@dataclass(frozen=True)
class SurveyScan:
    """What a scan of tiles needs to know."""

    sources: tuple["TileSource", ...]
    """Tiles."""
    table: Path | None
    """Table of targets; None to find sources on the tiles."""
    options: "TargetOptions"
    """How the table is read."""
    block: int
    """Targets of a block."""
    crew: Crew
    """Who works."""
    products: "ProductOptions"
    """What is made in the end."""


@dataclass
class _Tally:
    """What has come in so far."""

    n_done: int = 0
    n_candidates: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


def scan_survey(scan: SurveyScan, work: TileWork, run: RunDirectory) -> ScanResult:
    """Scan tiles: plan, work on the blocks that are missing, and make the products.

    Args:
        scan: Tiles, targets and workers.
        work: What is done with each block; its plan and folder of parts are filled in here.
        run: The open run directory.

    Raises:
        IncompleteScanError: Some blocks could not be written.
    """
    parts = (run.path / WORK / "parts").absolute()
    plan = planned(scan, run.path)
    work = replace(work, plan=plan, parts=parts)
    parts.mkdir(parents=True, exist_ok=True)
    blocks = plan.blocks(scan.block)
    missing = missing_blocks(parts, blocks)
    run.log(_opening(plan, blocks, missing))
    for reason in plan.unreadable:
        run.log(f"tile that cannot be read: {reason}")
    tally = _Tally()
    with tqdm(total=_total(plan, missing), desc="scan", unit="target", disable=None) as bar:
        for outcome in map_shards(work, missing, scan.crew):
            _take(outcome, tally, plan=plan, parts=parts, run=run)
            bar.update(outcome.result.n_rows if outcome.result else outcome.shard.n_rows)
            bar.set_postfix(candidates=tally.n_candidates, refresh=False)
    if tally.faults:
        raise _incomplete(tally, blocks, parts)
    run.log(f"{tally.n_done} targets done in {tally.seconds:.0f} s of work")
    paths = [parts / f"{block.name}.parquet" for block in blocks]
    if not sum(map(count_rows, paths)):
        where = "in the table" if scan.table else f"among the sources of {len(plan.sources)} tiles"
        raise NothingToScanError(f"no target {where}. Ask less of them, or name others.")
    try:
        return write_products(run, paths, scan.products)
    except OSError as error:
        raise _unfinished(error, len(blocks), parts) from error


def planned(scan: SurveyScan, root: Path) -> Plan:
    """Return the plan of a scan in its directory, made if it is not there."""
    folder = (root / WORK / "plan").absolute()
    return open_plan(folder, scan.sources, scan.table, scan.options)


def is_larger_than_cutouts(sources: Sequence["TileSource"], field: float | None) -> bool:
    """Whether the first input that can be read is a tile: far larger than what a finder sees.

    Args:
        sources: Inputs.
        field: Side of what the finder sees [arcsec]; None where it is yet to be chosen, so that
            what is larger than a cutout usually is counts as a tile.
    """
    for source in sources:
        try:
            found = footprint_of(source)
        except (StronglensError, OSError):
            continue
        side = min(found.height, found.width)
        if field is None or not math.isfinite(found.pixel_scale):
            return side > _LARGE_SIDE
        return side * found.pixel_scale > _LARGE_FIELD * field
    return False


def missing_blocks(parts: Path, blocks: Sequence[TileBlock]) -> list[TileBlock]:
    """Return the blocks without a whole part on disk.

    Args:
        parts: Folder of the parts.
        blocks: All blocks of the plan.
    """
    return [block for block in blocks if not _is_done(parts / f"{block.name}.parquet", block)]


def _is_done(path: Path, block: TileBlock) -> bool:
    if not path.is_file():
        return False
    try:
        n_rows = count_rows(path)
    except UnreadableFileError:
        return False
    return block.stop < 0 or n_rows == block.n_rows


def _take(
    outcome: Outcome[TileBlock, BlockResult],
    tally: _Tally,
    *,
    plan: Plan,
    parts: Path,
    run: RunDirectory,
) -> None:
    """Note what became of a block in the tally, the log and the journal."""
    block, result = outcome.shard, outcome.result
    if result is None and outcome.is_lost:
        rows = lost_rows(plan, block, outcome.fault)
        write_table(parts / f"{block.name}.parquet", rows)
        result = BlockResult(len(rows["row"]), 0, 0, 0.0, outcome.fault)
    if result is None:
        tally.faults.append(f"{block.name}: {outcome.fault}")
        _log_quietly(run, f"block {block.name} not written: {outcome.fault}")
        return
    tally.n_done += result.n_rows
    tally.n_candidates += result.n_candidates
    tally.seconds += result.seconds
    if result.first_fault:
        n_bad = result.n_rows - result.n_ok
        run.log(f"block {block.name}: {n_bad} of {result.n_rows} not ok: {result.first_fault}")
    line = {"part": block.name, "rows": result.n_rows, "ok": result.n_ok,
            "candidates": result.n_candidates, "seconds": round(result.seconds, 3)}  # fmt: skip
    with (run.path / "journal.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _log_quietly(run: RunDirectory, text: str) -> None:
    """Log if there is room: the fault may be a full disk."""
    try:
        run.log(text)
    except OSError:
        return


def _incomplete(tally: _Tally, blocks: Sequence[TileBlock], parts: Path) -> IncompleteScanError:
    """Error for blocks that could not be written."""
    n_missing = len(missing_blocks(parts, blocks))
    shown = "; ".join(tally.faults[:_LISTED])
    free = shutil.disk_usage(parts).free / 1e9
    return IncompleteScanError(
        f"{n_missing} of {len(blocks)} blocks could not be written ({shown}). {free:.1f} GB are "
        "free there. Make room, then give the same command again: only those blocks are done.",
        exit_code=3 if n_missing < len(blocks) else 1,
    )


def _unfinished(error: OSError, n_blocks: int, parts: Path) -> IncompleteScanError:
    """Error for tables and cutouts that could not be written, most likely by a full disk."""
    free = shutil.disk_usage(parts).free / 1e9
    return IncompleteScanError(
        f"all {n_blocks} blocks are scored, but their tables and cutouts could not be written "
        f"({error}). {free:.1f} GB are free there. Make room, then give the same command "
        "again: nothing is scored twice.",
        exit_code=3,
    )


def _total(plan: Plan, missing: Sequence[TileBlock]) -> int | None:
    """Targets that are left; None where they are yet to be found."""
    return None if any(block.stop < 0 for block in missing) else sum(b.n_rows for b in missing)


def _opening(plan: Plan, blocks: Sequence[TileBlock], missing: Sequence[TileBlock]) -> str:
    known = f"{plan.n_targets} targets" if plan.n_targets else "targets to be found"
    return (
        f"{len(plan.sources)} tiles, {known}, {plan.n_elsewhere} of them on no tile; "
        f"{len(missing)} of {len(blocks)} blocks to do"
    )
