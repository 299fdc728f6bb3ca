"""Scans killed at random moments: no row lost, none doubled, at most one block per worker redone.

.venv/bin/python benchmarks/bench_kills.py --engine local --kills 20
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fits_toys import finder
from survey_toys import write_survey

from stronglens.data.catalog import read_table

COMMAND = Path(sys.executable).with_name("stronglens")


def main() -> None:
    """Kill workers and main processes by turns until there were enough, and count rows."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--engine", default="local", choices=("local", "ray"))
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    random.seed(given.seed)
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        folder = Path(name)
        finder().save(folder / "weights.safetensors")
        tiles, targets, names = write_survey(folder / "survey", n_tiles=3, n=1500)
        total = {"main": 0, "worker": 0, "scans": 0, "lost": 0, "doubled": 0}
        while total["main"] + total["worker"] < given.kills:
            out = folder / f"scan-{total['scans']}"
            command = [str(COMMAND), "scan", *map(str, tiles), "--targets", str(targets)]
            command += ["--finder", str(folder / "weights.safetensors"), "--out", str(out)]
            command += ["--engine", given.engine, "--workers", "2", "--block", "50"]
            killed_until_done(command, out, total, given.kills)
            check(out, names, total)
    print(json.dumps({"engine": given.engine, **total}))


def killed_until_done(command: list[str], out: Path, total: dict[str, int], most: int) -> None:
    """Give a command again and again, killing something of it, until it ends by itself."""
    total["scans"] += 1
    while True:
        process = subprocess.Popen(
            command,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        while process.poll() is None and total["main"] + total["worker"] < most:
            wait_for_a_moment(process, out)
            kill_one(process, total)
        _, message = process.communicate()
        if process.returncode == 0:
            return
        if process.returncode != -signal.SIGKILL:
            raise SystemExit(f"status {process.returncode}: {message.decode()[-2000:]}")


def wait_for_a_moment(process: "subprocess.Popen[bytes]", out: Path) -> None:
    """Wait for a random moment: one in four while it starts, the others while blocks are done."""
    if random.random() < 0.25:
        time.sleep(random.uniform(1, 12))
        return
    before = n_parts(out)
    while process.poll() is None and n_parts(out) <= before:
        time.sleep(0.2)
    time.sleep(random.uniform(0, 6))


def n_parts(out: Path) -> int:
    """Return the number of finished blocks."""
    return sum(1 for _ in (out / "work" / "parts").glob("*.parquet"))


def kill_one(process: "subprocess.Popen[bytes]", total: dict[str, int]) -> None:
    """Kill the main process, or one of those that do its work."""
    if process.poll() is not None:
        return
    workers = [pid for pid in descendants(process.pid) if is_worker(pid)]
    if workers and random.random() < 0.6:
        os.kill(random.choice(workers), signal.SIGKILL)
        total["worker"] += 1
    else:
        process.kill()
        process.wait()
        total["main"] += 1


def descendants(pid: int) -> list[int]:
    """Return the children of a process, and theirs."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    found = [int(word) for word in children.read_text().split()] if children.exists() else []
    return [*found, *(below for child in found for below in descendants(child))]


def is_worker(pid: int) -> bool:
    """Return whether a process does the work of a scan."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False
    return "spawn_main" in words or "ray::_Actor" in words


def check(out: Path, names: list[str], total: dict[str, int]) -> None:
    """Count rows that are lost or doubled, in the table and in the cutouts."""
    table = list(read_table(out / "candidates.parquet")["object_id"])
    total["lost"] += len(set(names) - set(table))
    total["doubled"] += len(table) - len(set(table))
    journal = [json.loads(line)["part"] for line in (out / "journal.jsonl").open()]
    again = len(journal) - len(set(journal))
    print(
        f"scan {total['scans']}: {len(table)} rows, {again} finished blocks done again, {total}",
        flush=True,
    )


if __name__ == "__main__":
    main()
