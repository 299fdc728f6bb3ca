"""Rates and memory of `scan` on tiles; local and Ray give one result.

.venv/bin/python benchmarks/bench_scan.py                        # small, some minutes
.venv/bin/python benchmarks/bench_scan.py --side 10000 --targets 50000
.venv/bin/python benchmarks/bench_scan.py --many 100000 1000000
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from astropy.io import fits

from stronglens.data.catalog import read_table, write_table
from stronglens.data.cutting import cut_many
from stronglens.data.tile_sources import list_tiles, open_tile
from stronglens.finders.finder import Finder, FinderFacts
from stronglens.finders.networks import InputShape, architecture_of, build_network
from stronglens.finders.normalise import SkyAsinh
from stronglens.scanning.tile_view import see, view_tile

BANDS = ("lsst-g", "lsst-r", "lsst-i", "lsst-z")
SCALE, SIZE = 0.2, 45
COMMAND = Path(sys.executable).with_name("stronglens")


def main() -> None:
    """Print a line for each measurement."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--side", type=int, default=3000, help="of a tile [pixel]")
    options.add_argument("--targets", type=int, default=5000)
    options.add_argument("--many", type=int, nargs="*", default=[], help="targets end to end")
    options.add_argument("--network", default="deck-cnn")
    options.add_argument("--workers", type=int, default=2)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-scan-") as name:
        folder = Path(name)
        weights = write_finder(folder / "weights.safetensors", given.network)
        tile = write_tile(folder / "tiles" / "tile0", given.side)
        if given.many:
            end_to_end(folder, weights, given)
            return
        targets = write_targets(folder / "targets.parquet", given.side, given.targets)
        cutting(tile, given)
        local = scan_with("local", folder, weights, targets, given.workers)
        if importlib.util.find_spec("ray") is not None:
            ray = scan_with("ray", folder, weights, targets, given.workers)
            both = [dict(zip(t["object_id"], t["score"], strict=True)) for t in (local, ray)]
            apart = max(abs(both[0][key] - both[1][key]) for key in both[0])
            print(f"local against Ray: largest difference of a score {apart:.1e}", flush=True)


def write_finder(path: Path, network: str) -> Path:
    """Write a finder that nobody trained: its rate does not depend on its weights."""
    torch.manual_seed(1)
    architecture, shape = architecture_of(network), InputShape(len(BANDS), SIZE, SIZE)
    facts = FinderFacts(network, architecture, BANDS, SIZE, SIZE, SCALE, 30.0, threshold=0.9)
    Finder(build_network(network, shape, architecture), SkyAsinh(), facts=facts).save(path)
    return path


def write_tile(folder: Path, side: int) -> Path:
    """Write a tile of noise, a file per band, without holding it in memory."""
    folder.mkdir(parents=True)
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "MAGZERO": 30.0})
    header.update(CRVAL1=150.0, CRVAL2=2.0, CRPIX1=(side + 1) / 2, CRPIX2=(side + 1) / 2)
    header.update(CD1_1=-SCALE / 3600, CD2_2=SCALE / 3600)
    rng = np.random.default_rng(1)
    for band in BANDS:
        full = fits.PrimaryHDU(np.zeros((1, 1), np.float32), header).header
        full.update(NAXIS1=side, NAXIS2=side, FILTER=band)
        path = folder / f"{band[-1]}.fits"
        with path.open("wb") as file:
            file.write(full.tostring().encode("ascii"))
            for _ in range(side):
                file.write(rng.normal(0, 1, side).astype(">f4").tobytes())
            file.write(b"\0" * (-(side * side * 4) % 2880))
    return folder


def write_targets(path: Path, side: int, n: int) -> Path:
    """Write a table of random targets by column and row."""
    rng = np.random.default_rng(2)
    x, y = rng.uniform(40, side - 41, (2, n))
    names = np.array([f"o{k}" for k in range(n)], object)
    tile = np.full(n, "tile0", object)
    return write_table(path, {"object_id": names, "tile_id": tile, "x": x, "y": y})


def cutting(folder: Path, given: argparse.Namespace) -> None:
    """Rates of cutting alone, and of cutting with all that comes before the network."""
    grid = open_tile(list_tiles([folder])[0]).grids[0]
    rng = np.random.default_rng(3)
    x, y = rng.uniform(40, given.side - 41, (2, given.targets))
    facts = FinderFacts("deck-cnn", architecture_of("deck-cnn"), BANDS, SIZE, SIZE, SCALE, 30.0)
    tile = open_tile(list_tiles([folder])[0])
    for name, work in (
        ("cut", lambda s: cut_many(grid, x[s], y[s], SIZE)),
        ("cut and prepared", lambda s: see(view_tile(tile, facts), x[s], y[s])),
    ):
        began = time.perf_counter()
        for start in range(0, len(x), 256):
            work(slice(start, start + 256))
        rate = len(x) / (time.perf_counter() - began)
        print(f"{name}: {rate:.0f} per s and core ({len(BANDS)} bands, {SIZE} pixels)", flush=True)


def scan_with(
    engine: str, folder: Path, weights: Path, targets: Path, workers: int
) -> dict[str, np.ndarray]:
    """Scan by a command, with its rate and the memory of all its processes."""
    out = folder / f"scan-{engine}-{targets.stem}"
    command = [COMMAND, "scan", folder / "tiles" / "tile0", "--targets", targets]
    command += ["--finder", weights, "--out", out, "--engine", engine, "--workers", workers]
    command += ["--most-cutouts", 1000]
    began = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [str(word) for word in command], env=environment, stdout=subprocess.DEVNULL
    )
    peak, largest = 0, 0
    while process.poll() is None:
        used = [anonymous_memory(pid) for pid in (process.pid, *descendants(process.pid))]
        peak, largest = max(peak, sum(used)), max(largest, *used)
        time.sleep(0.2)
    seconds = time.perf_counter() - began
    table = read_table(out / "candidates.parquet")
    n = len(table["score"])
    print(
        f"scan with {engine}, {workers} workers: {n} targets in {seconds:.1f} s with start and "
        f"products ({n / seconds:.0f} per s), {work_rate(out):.0f} per s and worker without; peak "
        f"memory {peak / 1e9:.2f} GB in all, {largest / 1e9:.2f} GB in one process",
        flush=True,
    )
    return table


def work_rate(out: Path) -> float:
    """Targets per second of work, as the log says."""
    line = next(row for row in (out / "log.txt").open() if "s of work" in row)
    words = line.split()
    n, seconds = int(words[words.index("targets") - 1]), float(words[words.index("in") + 1])
    return n / max(seconds, 1.0)


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


def end_to_end(folder: Path, weights: Path, given: argparse.Namespace) -> None:
    """Scan more and more targets: memory must not grow with them."""
    for n in given.many:
        targets = write_targets(folder / f"targets-{n}.parquet", given.side, n)
        scan_with("local", folder, weights, targets, given.workers)


if __name__ == "__main__":
    main()
