"""A small task for tests of what all tasks share."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from stronglens.core.errors import OutOfRangeError
from stronglens.core.rundir import RunDirectory
from stronglens.core.task import AbstractTask, TaskResult, settings


@settings
@dataclass(frozen=True)
class Population:
    """What toys are made from."""

    theta_min: float = 0.5
    """Smallest Einstein radius [arcsec]."""
    theta_max: float = 3.0
    """Largest Einstein radius [arcsec]."""


@dataclass(frozen=True)
class ToyResult(TaskResult):
    """What a toy made."""

    n_ok: int
    """Number of toys."""

    @property
    def exit_code(self) -> int:
        return 0 if self.n_ok else 1


@settings
@dataclass(frozen=True)
class Toy(AbstractTask):
    """Make toys."""

    verb: ClassVar[str] = "toy"
    result_type: ClassVar[type[TaskResult]] = ToyResult
    positional: ClassVar[tuple[str, ...]] = ("files",)
    execution_options: ClassVar[frozenset[str]] = frozenset({"workers"})

    finder: Path
    """Run directory of a finder."""
    files: tuple[Path, ...] = ()
    """Files to play with."""
    n: int = 3
    """Number of toys."""
    wait: float | None = None
    """Time to wait [s]."""
    mood: Literal["good", "bad", "stop"] = "good"
    """What happens."""
    is_deep: bool = False
    """Whether the toys are deep."""
    population: Population = field(default_factory=Population)
    """What toys are made from."""
    workers: int = 0
    """Processes."""

    def check(self) -> None:
        if self.n < 0:
            raise OutOfRangeError(f"n={self.n} is negative.\nUse 0 or more.")

    def inputs(self) -> dict[str, Path]:
        return {"finder": self.finder}

    def work(self, run: RunDirectory) -> ToyResult:
        if self.mood == "stop":
            raise KeyboardInterrupt
        if self.mood == "bad":
            raise PermissionError(13, "Permission denied", str(self.finder))
        time.sleep(self.wait or 0)
        return ToyResult(run.path, self.n)
