"""A simulated dataset: the blocks of a simulated set written in order, shard by shard.

What is in the blocks is decided by the set; several kinds of images of the same scenes become
datasets of their own in folders of the first.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from tqdm.auto import tqdm

from stronglens.core.device import cpu_threads
from stronglens.core.rundir import RunDirectory
from stronglens.data.writer import DatasetWriter
from stronglens.simulation.simulated_set import (
    BLOCK,
    AbstractSimulatedSet,
    ObservedBlock,
    join_blocks,
)

Shard = tuple[int, int]


def write_dataset(plan: AbstractSimulatedSet, run: RunDirectory, workers: int = 1) -> float:
    """Write every shard that is missing, in every variant.

    Args:
        plan: What to simulate.
        run: The open run directory.
        workers: Processes that simulate and write; more than one share the shards.

    Returns:
        Scenes per second, writing included; 0 where nothing was left to do.
    """
    writers = _writers(plan, run.path)
    for writer in writers.values():
        writer.grow()
    missing = sorted({shard for writer in writers.values() for shard in writer.missing_shards()})
    if run.is_resumed:
        run.log(f"{len(missing)} shards left")
    began = time.perf_counter()
    n_scenes = sum(stop - start for start, stop in missing)
    with tqdm(total=n_scenes, unit="image", desc="simulate", disable=None) as bar:
        done = 0
        for start, stop in _written(plan, run.path, missing, workers):
            bar.update(stop - start)
            done += stop - start
            run.progress(images_done=done, images=n_scenes)
    for variant, writer in writers.items():
        writer.finish(plan.provenance(variant))
    return n_scenes / (time.perf_counter() - began) if n_scenes else 0.0


def _written(
    plan: AbstractSimulatedSet, root: Path, missing: list[Shard], workers: int
) -> Iterator[Shard]:
    """Write the shards and yield each one when it is on disk."""
    # the first one makes the arrays, so that other processes need not
    alone = missing if workers <= 1 else missing[:1]
    for shard in alone:
        yield write_shard(plan, root, shard)
    shared = missing[len(alone) :]
    if shared:
        # fresh processes: a fork of one that has used threads may hang
        context = get_context("spawn")
        with ProcessPoolExecutor(min(workers, len(shared)), mp_context=context) as pool:
            waiting = [pool.submit(write_shard, plan, root, shard) for shard in shared]
            try:
                for future in as_completed(waiting):
                    yield future.result()
            finally:
                for future in waiting:
                    future.cancel()


def write_shard(plan: AbstractSimulatedSet, root: Path, shard: Shard) -> Shard:
    """Simulate the blocks of one shard and write them; what other processes write is not touched.

    Args:
        plan: What to simulate.
        root: Directory of the dataset.
        shard: First row, and the row after the last one.

    Returns:
        The shard.
    """
    start, stop = shard
    first = plan.task.start
    parts: dict[str, list[ObservedBlock]] = {variant: [] for variant in plan.variants}
    # the working set of a chunk fits one core's cache: a second thread only makes it wait
    with cpu_threads(1):
        for block in range((first + start) // BLOCK, -(-(first + stop) // BLOCK)):
            begin = block * BLOCK - first
            rows = slice(max(start - begin, 0), min(BLOCK, stop - begin))
            for variant, seen in plan.draw(block, plan.variants).items():
                parts[variant].append(seen.rows(rows))
    for variant, writer in _writers(plan, root).items():
        joined = join_blocks(parts[variant])
        writer.write_shard(start, joined.images, joined.truth, joined.planes)
    return shard


def _writers(plan: AbstractSimulatedSet, root: Path) -> dict[str, DatasetWriter]:
    """Return a writer per variant; the dataset itself goes last, so that it ends what it began."""
    n = int(plan.task.n or 0)
    folders = {
        variant: root if place == 0 else root / variant
        for place, variant in enumerate(plan.variants)
    }
    return {
        variant: DatasetWriter(folders[variant], plan.facts(variant), n, planes=plan.planes)
        for variant in reversed(plan.variants)
    }
