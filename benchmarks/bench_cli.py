"""How long the command line takes to answer: best and median of several calls [s]."""

import statistics
import subprocess
import sys
import time

REPEATS = 7
COMMANDS = {
    "import stronglens": [sys.executable, "-c", "import stronglens"],
    "stronglens --help": [sys.executable, "-m", "stronglens.cli.main", "--help"],
    "stronglens simulate --help": [
        sys.executable,
        "-m",
        "stronglens.cli.main",
        "simulate",
        "--help",
    ],
    "stronglens train --help": [sys.executable, "-m", "stronglens.cli.main", "train", "--help"],
    "stronglens scan --help": [sys.executable, "-m", "stronglens.cli.main", "scan", "--help"],
    "stronglens list networks": [sys.executable, "-m", "stronglens.cli.main", "list", "networks"],
}


def seconds(command: list[str]) -> float:
    """Return how long one call takes [s]."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    print(f"{'command':<28}{'best [s]':>10}{'median [s]':>12}")
    for name, command in COMMANDS.items():
        times = [seconds(command) for _ in range(REPEATS)]
        print(f"{name:<28}{min(times):>10.2f}{statistics.median(times):>12.2f}")


if __name__ == "__main__":
    main()
