"""Workers for tests of the engines; they must be importable in other processes."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Toy:
    """Builds a worker that squares numbers, and has accidents where a file in `folder` says so."""

    folder: Path
    is_broken: bool = False

    def __call__(self):
        if self.is_broken:
            raise ZeroDivisionError("cannot be built")
        _note(self.folder, f"built-{os.getpid()}")
        return self._work

    def _work(self, shard, following):
        _note(self.folder, f"seen-{shard}")
        if shard == 13 or (shard == 5 and len(_notes(self.folder, "seen-5")) == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if shard == 3:
            raise OSError(28, "No space left on device", "part")
        return shard * shard, following


def _note(folder, name):
    with (folder / name).open("a") as file:
        file.write("x")


def _notes(folder, name):
    path = folder / name
    return path.read_text() if path.exists() else ""


def count(folder, shard):
    """Times that a shard was begun."""
    return len(_notes(folder, f"seen-{shard}"))
