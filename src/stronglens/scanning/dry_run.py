"""What a scan of tiles will cost before it is made: one small block done, then forgotten."""

import resource
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.core.task import TaskResult
from stronglens.scanning.plan import Plan, open_plan
from stronglens.scanning.survey import SurveyScan
from stronglens.scanning.tile_work import BlockResult, TileWork

_SAMPLE = 1000
_BYTES_PER_ROW = 250.0
"""Of catalogue, copies and partitions together, compressed."""


@dataclass(frozen=True)
class ScanEstimate(TaskResult):
    """What a scan would take."""

    in_words: str
    """What, how long and in how many processes."""
    n_tiles: int
    """Tiles."""
    n_targets: int
    """Targets; of a scan that finds its own, as many per tile as on the tile tried."""
    targets_per_second: float
    """Cut and scored by one process."""
    seconds_per_tile: float
    """Time to open a tile and, without a table, to find its sources [s]."""
    hours: float
    """Time for everything, in as many processes as asked for [h]."""
    disk_gigabytes: float
    """Size of what is written, cutouts included."""
    memory_gigabytes: float
    """Peak memory of all processes together."""


def estimate(scan: SurveyScan, work: TileWork, out: Path) -> ScanEstimate:
    """Plan the scan in a temporary folder, do a small block, and scale up.

    Args:
        scan: Tiles, targets and workers.
        work: What is done with each block.
        out: Where it would be written; nothing is.

    Raises:
        MissingDataError: No target lies on a tile.
        OutOfRangeError: The disk has no room for it.
    """
    with tempfile.TemporaryDirectory(prefix="stronglens-dry-run-") as name:
        folder = Path(name)
        plan = open_plan(folder / "plan" / "plan", scan.sources, scan.table, scan.options)
        first, warm = _tried(plan, replace(work, plan=plan, parts=folder))
        pixels = sum(file.stat().st_size for file in folder.glob("*.npz"))
    rate = warm.n_rows / warm.seconds
    n_targets = plan.n_targets or warm.n_rows * len(plan.sources)
    n_kept = warm.n_candidates / warm.n_rows * n_targets
    per_cutout = pixels / max(warm.n_candidates, 1)
    disk = _BYTES_PER_ROW * n_targets + per_cutout * min(n_kept, work.most_cutouts)
    _check_room(disk, out)
    opening = max(first.seconds - warm.seconds, 0.0)
    seconds = (n_targets / rate + opening * len(plan.sources)) / scan.crew.workers
    n_tiles, workers = len(plan.sources), scan.crew.workers
    return ScanEstimate(
        path=out,
        in_words=f"{n_targets} targets on {n_tiles} tiles: {_duration(seconds)} in {workers} "
        f"process{'es' if workers > 1 else ''}",
        n_tiles=n_tiles,
        n_targets=n_targets,
        targets_per_second=rate,
        seconds_per_tile=opening,
        hours=seconds / 3600.0,
        disk_gigabytes=disk / 1e9,
        memory_gigabytes=_peak_memory() * scan.crew.workers / 1e9,
    )


def _tried(plan: Plan, work: TileWork) -> tuple[BlockResult, BlockResult]:
    """Do the start of the first block twice: with the tile unopened, and with it at hand."""
    block = next((b for b in plan.blocks(_SAMPLE) if b.source is not None), None)
    if block is None:
        raise MissingDataError(
            f"none of the targets lies on one of the {len(plan.sources)} tiles. Check positions "
            "and WCS."
        )
    worker = work()
    first = worker(block, None)
    began = time.perf_counter()
    again = worker(block, None)
    seconds = max(time.perf_counter() - began, 1e-3)
    if again.n_ok == 0:
        raise MissingDataError(f"no target of the first block can be scored: {again.first_fault}")
    return first, replace(again, seconds=seconds)


def _check_room(needed: float, out: Path) -> None:
    folder = next(parent for parent in (out, *out.resolve().parents) if parent.is_dir())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutOfRangeError(
            f"the scan would take {needed / 1e9:.1f} GB and {folder} has {free / 1e9:.1f} GB free. "
            "Choose another --out, or fewer --most-cutouts."
        )


def _duration(seconds: float) -> str:
    """Time in the unit that people would use."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"


def _peak_memory() -> int:
    """Return the peak memory of this process [bytes]; the unit differs between systems."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
