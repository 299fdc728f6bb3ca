"""What must not be in the environment: CUDA without a GPU, and more than 3 GB.

A script for the Makefile, which stops before gigabytes are fetched, and functions for the suite.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

LARGEST = 3_000_000_000
"""Size the environment may take on disk [byte]."""

LARGE_BY_CHOICE = ("ray", "timm", "lenscat", "jaxtronomy", "paltas")
"""Optional packages and peers: an environment with one of them may be larger."""


def has_gpu() -> bool:
    """Return whether this machine has an NVIDIA GPU that answers."""
    if Path("/dev/nvidia0").exists():
        return True
    if shutil.which("nvidia-smi") is None:
        return False
    answer = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return answer.returncode == 0 and "GPU" in answer.stdout


def installed() -> list[str]:
    """Return the names of all installed packages, in lower case."""
    return sorted({package.metadata["Name"].lower() for package in metadata.distributions()})


def cuda_packages(names: Iterable[str]) -> list[str]:
    """Return those names that belong to CUDA."""
    pattern = re.compile(r"(nvidia|cuda)[-_].*|(pytorch[-_])?triton")
    return [name for name in names if pattern.fullmatch(name)]


def cuda_of_torch() -> str | None:
    """Return the CUDA version that the installed torch was built for, read without importing it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8")
    found = re.search(r"^cuda\b.*?=\s*'([\d.]+)'", text, flags=re.MULTILINE)
    return found.group(1) if found else None


def size_on_disk(folder: Path) -> int:
    """Return the disk space of a folder's files [byte], linked ones counted once."""
    files = {}
    for path in folder.rglob("*"):
        stat = path.lstat()
        files[stat.st_dev, stat.st_ino] = stat.st_blocks * 512
    return sum(files.values())


def faults() -> list[str]:
    """Return what is wrong with the environment of this interpreter, a sentence each."""
    if has_gpu():
        return []
    found = []
    names = installed()
    cuda = cuda_packages(names)
    if (version := cuda_of_torch()) is not None:
        cuda.insert(0, f"torch for CUDA {version}")
    if cuda:
        found.append(
            f"CUDA came along, and this machine has no GPU: {', '.join(cuda)}. Take the CPU wheel: "
            "rm -rf .venv, then give make TORCH_INDEX=URL as well."
        )
    size = size_on_disk(Path(sys.prefix))
    if size > LARGEST and not set(LARGE_BY_CHOICE) & set(names):
        found.append(
            f"{sys.prefix} takes {size / 1e9:.2f} GB; at most {LARGEST / 1e9:.0f} GB are allowed. "
            "See what came with the last new package: pip list, du -sh .venv/lib/*/site-packages/*."
        )
    return found


if __name__ == "__main__":
    sys.exit("\n".join(faults()) or 0)
