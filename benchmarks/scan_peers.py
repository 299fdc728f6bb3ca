"""ESA's Cutana beside our cutting, on the same tile and targets; run by `bench_scan.py`.

Cutana lives in an environment of its own, whose Python runs `peer_cutana.py`.
"""

import itertools
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from stronglens.data.cutting import cut_many
from stronglens.data.targets import assign_to_tiles, read_targets
from stronglens.data.tile_sources import footprint_of, list_tiles, open_tile

PEER = Path(__file__).with_name("peer_cutana.py")
COMMAND = Path(sys.executable).with_name("stronglens")
ROUNDS, COMPARED, BATCH = 2, 200, 1000
Rates = dict[str, float]


def compare_with_cutana(folder: Path, python: str, table: Path, size: int) -> None:
    """Cut by turns with both, into memory and onto disk, and print rates and their ratio.

    Args:
        folder: Where `tiles` is.
        python: Interpreter that has Cutana.
        table: Targets.
        size: Side of a cutout [pixel].
    """
    found: list[tuple[Rates, Rates]] = []
    for number in range(ROUNDS):
        out = folder / f"round{number}"
        out.mkdir()
        found.append((ours(folder, table, size, out), theirs(python, folder, table, out, size)))
        shown = [json.dumps({k: round(v) for k, v in rates.items()}) for rates in found[-1]]
        print(f"round {number + 1}: ours {shown[0]}, Cutana {shown[1]}", flush=True)
    apart = difference(*(np.load(folder / "round0" / f"{n}.npy") for n in ("ours", "cutana")))
    print(f"pixels of {COMPARED} targets differ by at most {apart:.1e}, up to a shift of one pixel")
    for name in found[0][0]:
        a, b = (float(np.median([pair[k][name] for pair in found])) for k in (0, 1))
        print(f"{name}: ours {a:.0f} per s, Cutana {b:.0f}, ratio {a / b:.1f}", flush=True)


def ours(folder: Path, table: Path, size: int, out: Path) -> Rates:
    """Rates of `cut_many` from table and file to arrays, and of `stronglens fetch`."""
    used = time.process_time()
    (source,) = list_tiles([folder / "tiles"])
    n, first = 0, []
    grid = open_tile(source).grids[0]
    for targets in read_targets(table):
        placed = assign_to_tiles(targets, [footprint_of(source)], 0.0)
        for start in range(0, len(targets), BATCH):
            some = slice(start, start + BATCH)
            cuts = cut_many(grid, placed.x[some], placed.y[some], size)
            n += len(cuts)
            if not first:
                # Cutana has its channels in the order of the names
                order = np.argsort(grid.bands)
                first.append(cuts.flux[:COMPARED, order])
    memory = n / (time.process_time() - used)
    np.save(out / "ours.npy", first[0])
    command = [COMMAND, "fetch", folder / "tiles", "--targets", table, "--size", size]
    return {"memory": memory, "disk": n / processor_time([*command, "--out", out / "fetched"])}


def theirs(python: str, folder: Path, table: Path, out: Path, size: int) -> Rates:
    """Rates of Cutana, from its own process."""
    processor_time([python, PEER, folder / "tiles", table, size, out])
    return json.loads((out / "cutana.json").read_text())


def difference(mine: np.ndarray, other: np.ndarray) -> float:
    """Largest difference of pixels, where each cutout may be a whole pixel off: both round."""
    shifts = list(itertools.product((-1, 0, 1), (-1, 0, 1)))
    inner = mine[..., 1:-1, 1:-1]
    apart = [
        np.abs(inner - np.roll(other, shift, (2, 3))[..., 1:-1, 1:-1]).max((1, 2, 3))
        for shift in shifts
    ]
    return float(np.min(apart, axis=0).max())


def processor_time(command: list[object]) -> float:
    """Processor time of a command and its children [s]."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if command[0] == COMMAND:
        environment = dict(os.environ)
    environment["OMP_NUM_THREADS"] = "1"
    words = [str(word) for word in command]
    subprocess.run(words, check=True, env=environment, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
