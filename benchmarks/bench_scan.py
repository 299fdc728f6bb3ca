"""Rates and memory of `scan` on tiles; local and Ray give one result; Cutana beside it.

.venv/bin/python benchmarks/bench_scan.py                       # all of this, about 20 min
.venv/bin/python benchmarks/bench_scan.py tile --side 3000 --targets 5000
.venv/bin/python benchmarks/bench_scan.py many                  # 10^5 and 10^6 targets
.venv/bin/python benchmarks/bench_scan.py engines               # needs ray
.venv/bin/python benchmarks/bench_scan.py cutana --python OTHER/bin/python   # needs cutana there

Rates are per second of processor time, which a busy machine does not change, with the time that
went by in brackets.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scan_peers import compare_with_cutana
from scan_toys import Job, write_finder, write_targets, write_tiles

from stronglens.data.catalog import read_table
from stronglens.data.cutting import cut_many
from stronglens.data.tile_sources import list_tiles, open_tile
from stronglens.finders.finder import Finder
from stronglens.scanning.tile_scores import Judge
from stronglens.scanning.tile_view import see, view_tile

COMMAND = Path(sys.executable).with_name("stronglens")
PARTS = ("tile", "many", "engines", "cutana")
BATCH = 256


def main() -> None:
    """Print a line for each measurement."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}; all by default")
    options.add_argument("--side", type=int, default=10_000, help="of the large tile [pixel]")
    options.add_argument("--targets", type=int, default=50_000, help="on each tile")
    options.add_argument("--many", type=int, nargs="*", default=[100_000, 1_000_000])
    options.add_argument("--network", default="deck-cnn")
    options.add_argument("--width", type=int, default=8, help="of the network on the large tile")
    options.add_argument("--python", default=sys.executable, help="of Cutana's environment")
    given = options.parse_args()
    torch.set_num_threads(1)
    large = Job(given.side, 1, given.targets, network=given.network, width=given.width)
    small = Job(2500, 1, given.targets, ("lsst-g", "lsst-r"), 32, "deck-cnn", width=8)
    for part in given.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="bench-scan-") as name:
            folder = Path(name)
            if part == "tile":
                one_tile(folder, large)
            elif part == "many":
                for n in given.many:
                    n_tiles = -(-n // given.targets)
                    per_tile = min(given.targets, n)
                    many(folder / str(n), replace(small, n_tiles=n_tiles, per_tile=per_tile))
            elif part == "engines":
                engines(folder, replace(small, n_tiles=4, per_tile=given.targets // 10))
            else:
                tiles = write_tiles(folder / "tiles", large)
                table = write_targets(folder / "targets.parquet", tiles, large)
                compare_with_cutana(folder, given.python, table, large.size)


def one_tile(folder: Path, job: Job) -> None:
    """Each step by itself, then the whole command, on one large tile."""
    print(f"1 tile of {job.side} x {job.side} x {len(job.bands)}, {job.n_targets} targets of "
          f"{job.size} px, {job.network} of width {job.width}, one core", flush=True)  # fmt: skip
    finder = write_finder(folder / "weights.safetensors", job)
    (tile,) = write_tiles(folder / "tiles", job)
    steps(tile, finder, job)
    targets = write_targets(folder / "targets.parquet", [tile], job)
    scan(folder, targets, "local", 1)


def steps(folder: Path, finder: Finder, job: Job) -> None:
    """Rates of cutting, of preparing what was cut for the finder, and of scoring."""
    opened = open_tile(list_tiles([folder])[0])
    grid, view = opened.grids[0], view_tile(opened, finder.facts)
    judge = Judge(finder, prevalence=1e-3, abstain=False)
    x, y = np.random.default_rng(3).uniform(job.size, job.side - job.size, (2, job.n_targets))
    rate("cut from the tile", x, lambda s: cut_many(grid, x[s], y[s], job.size))
    rate("cut and prepared", x, lambda s: see(view, x[s], y[s]))
    seen = see(view, x[:BATCH], y[:BATCH])
    rate("scored", x[: 20 * BATCH], lambda _: judge(seen))


def rate(name: str, x: np.ndarray, work: Callable[[slice], object]) -> None:
    """Do a step batch by batch and print its rate."""
    began, used = time.perf_counter(), time.process_time()
    for start in range(0, len(x), BATCH):
        work(slice(start, start + BATCH))
    used, passed = time.process_time() - used, time.perf_counter() - began
    print(f"{name}: {len(x) / used:.0f} per s ({len(x) / passed:.0f})", flush=True)


def many(folder: Path, job: Job) -> None:
    """Scan more and more targets: memory must not grow with them."""
    print(f"{job.n_targets} targets on {job.n_tiles} tiles of {job.side} x {job.side} x "
          f"{len(job.bands)}, {job.size} pixels, {job.network} of width {job.width}")  # fmt: skip
    folder.mkdir(parents=True)
    finder = write_finder(folder / "weights.safetensors", job)
    tiles = write_tiles(folder / "tiles", job)
    targets = write_targets(folder / "targets.parquet", tiles, job)
    steps(tiles[0], finder, job=replace(job, n_tiles=1, per_tile=20 * BATCH))
    table = scan(folder, targets, "local", 1)
    n_ok, n_names = (table["status"] == "ok").sum(), len(set(table["object_id"]))
    print(f"{len(table['score'])} rows, {n_ok} ok, {n_names} different objects", flush=True)


def engines(folder: Path, job: Job) -> None:
    """One job by processes and by Ray: the scores must be the same."""
    write_finder(folder / "weights.safetensors", job)
    targets = write_targets(folder / "t.parquet", write_tiles(folder / "tiles", job), job)
    found = [scan(folder, targets, engine, 2) for engine in ("local", "ray")]
    scores = [dict(zip(t["object_id"], t["score"], strict=True)) for t in found]
    apart = max(abs(scores[0][key] - scores[1][key]) for key in scores[0])
    same = len(scores[0]) == len(scores[1]) == job.n_targets
    print(f"local against Ray: largest difference of {len(scores[0])} scores {apart:.1e}; "
          f"{'the same objects' if same else 'NOT the same objects'}", flush=True)  # fmt: skip


def scan(folder: Path, targets: Path, engine: str, workers: int) -> dict[str, np.ndarray]:
    """Scan by a command, with its rate and the memory of all its processes."""
    out = folder / f"scan-{engine}"
    command = [COMMAND, "scan", folder / "tiles", "--targets", targets, "--out", out, "--finder"]
    command += [folder / "weights.safetensors", "--engine", engine, "--workers", workers]
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        [str(word) for word in command],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(anonymous_memory, (process.pid, *descendants(process.pid)))))
        time.sleep(0.25)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if process.returncode not in (0, 3):
        raise SystemExit(f"scan ended with status {process.returncode}")
    table = read_table(out / "candidates.parquet")
    n = len(table["score"])
    print(
        f"scan with {engine}, {workers} workers: {n} targets from start to products in {used:.0f} "
        f"s of processor time ({seconds:.0f} s), {n / used:.0f} per s; status "
        f"{process.returncode}; {table['is_candidate'].sum()} candidates; peak memory "
        f"{peak / 1e6:.0f} MB",
        flush=True,
    )
    return table


def anonymous_memory(pid: int) -> int:
    """Memory of a process [byte] without pages of files, which the system takes back at will."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def descendants(pid: int) -> list[int]:
    """Return the children of a process, and theirs."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        found = [int(word) for word in children.read_text().split()]
    except OSError:
        return []
    return [*found, *(below for child in found for below in descendants(child))]


if __name__ == "__main__":
    main()
