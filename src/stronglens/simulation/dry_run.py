"""What a set will cost before it is made: one block simulated and written, then forgotten."""

import resource
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from stronglens.core.errors import OutOfRangeError
from stronglens.core.task import TaskResult
from stronglens.simulation.dataset import write_shard
from stronglens.simulation.simulated_set import BLOCK, AbstractSimulatedSet


@dataclass(frozen=True)
class Estimate(TaskResult):
    """What a set would take."""

    n: int
    """Number of images."""
    images_per_second: float
    """Scenes drawn, rendered, observed and written per second and process."""
    minutes: float
    """Time for all of them, in as many processes as asked for [min]."""
    disk_gigabytes: float
    """Size on disk, compressed."""
    memory_gigabytes: float
    """Peak memory of all processes together."""


def estimate(plan: AbstractSimulatedSet, out: Path) -> Estimate:
    """Simulate a block, write it to a temporary folder, and scale up.

    Args:
        plan: What would be simulated.
        out: Where it would be written; nothing is.

    Raises:
        OutOfRangeError: The disk has no room for it.
    """
    task, n = plan.task, int(plan.task.n or 0)
    # the first block also loads tables and libraries
    plan.draw(task.start // BLOCK, plan.variants)
    with tempfile.TemporaryDirectory(prefix="stronglens-dry-run-") as folder:
        began = time.perf_counter()
        write_shard(plan, Path(folder), (0, min(BLOCK, n)))
        seconds = time.perf_counter() - began
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    per_image = size / min(BLOCK, n)
    _check_room(n * per_image, out)
    rate = min(BLOCK, n) / seconds
    return Estimate(
        path=out,
        n=n,
        images_per_second=rate,
        minutes=n / rate / task.workers / 60.0,
        disk_gigabytes=n * per_image / 1e9,
        memory_gigabytes=_peak_memory() * task.workers / 1e9,
    )


def _check_room(needed: float, out: Path) -> None:
    folder = next(parent for parent in (out, *out.resolve().parents) if parent.is_dir())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutOfRangeError(
            f"the images would take {needed / 1e9:.1f} GB and {folder} has {free / 1e9:.1f} GB "
            "free. Choose another --out, fewer images, or --no-planes."
        )


def _peak_memory() -> int:
    """Return the peak memory of this process [bytes]; the unit differs between systems."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
