"""What is remembered of a training: the history of its epochs, the best one, the time it took.

Everything here goes into the checkpoint, so a killed training goes on as if nothing had happened.
"""

import csv
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from stronglens.core.errors import OutOfRangeError
from stronglens.core.files import atomic_path

Row = dict[str, float]


class Clock:
    """Seconds of training, over all processes that worked on it; it starts at the first update."""

    now: Callable[[], float] = staticmethod(time.perf_counter)
    """What it reads; on a busy machine a benchmark reads processor time instead."""

    def __init__(self) -> None:
        self.before = 0.0
        self._started: float | None = None

    def start(self) -> None:
        """Start, unless it runs already."""
        self._started = self.now() if self._started is None else self._started

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        running = 0.0 if self._started is None else self.now() - self._started
        return self.before + running


@dataclass
class Means:
    """Running means of named figures over the batches of an epoch."""

    totals: dict[str, Tensor | float] = field(default_factory=dict)
    weight: int = 0

    def add(self, figures: dict[str, Tensor], n: int) -> None:
        """Take in the means over one batch of n items."""
        self.weight += n
        for name, value in figures.items():
            self.totals[name] = self.totals.get(name, 0.0) + value.detach().float() * n

    def take(self) -> Row:
        """Return the means and start again."""
        means = {name: float(total) / max(self.weight, 1) for name, total in self.totals.items()}
        self.totals, self.weight = {}, 0
        return means


@dataclass(frozen=True)
class Limits:
    """When a training ends."""

    epochs: int | None = None
    """After so many epochs."""
    seconds: float | None = None
    """After so much time since the first update [s]."""
    patience: int | None = None
    """After so many epochs without a better validation loss."""


@dataclass
class Memory:
    """The part of the journal that a checkpoint keeps."""

    rows: list[Row] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf
    seconds: float = 0.0


class Journal(Callback):
    """Keeps history, best weights and time, and ends the training when its limits say so.

    Args:
        folder: Where history.csv and checkpoints/last.ckpt go.
        limits: When the training ends.
        keep_best: Called with the number of each epoch whose validation loss is the best so far.
        report: Called with each row of the history.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        *,
        keep_best: Callable[[int], None],
        report: Callable[[Row], None],
    ) -> None:
        self.folder = folder
        self.limits = limits
        self.keep_best = keep_best
        self.report = report
        self.memory = Memory()
        self.clock = Clock()
        self.training = Means()
        self.validation = Means()
        self.learning_rate = 0.0

    def done(self, updates: int, updates_per_epoch: int) -> float:
        """Return how much of the training lies behind, from 0 to 1."""
        if self.limits.seconds is not None:
            return self.clock.seconds / self.limits.seconds
        return updates / max((self.limits.epochs or 1) * updates_per_epoch, 1)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        self.memory.seconds = self.clock.seconds
        return asdict(self.memory)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self.memory = Memory(**state_dict)
        self.clock.before = self.memory.seconds

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop at once if the checkpoint was the last one."""
        if self.memory.rows and self._is_over():
            trainer.should_stop = True

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Stop within an epoch when the time is up."""
        limit = self.limits.seconds
        if limit is not None and self.clock.seconds >= limit:
            trainer.should_stop = True

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the row of the epoch and keep the weights if they are the best."""
        epoch = trainer.current_epoch + 1
        row: Row = {"epoch": epoch, **self.training.take()}
        row |= {f"val_{name}": value for name, value in self.validation.take().items()}
        row |= {"learning_rate": self.learning_rate, "updates": trainer.global_step}
        row["seconds"] = self.clock.seconds
        self._check_finite(row)
        self.memory.rows.append(row)
        if row["val_loss"] < self.memory.best_loss:
            self.memory.best_epoch, self.memory.best_loss = epoch, row["val_loss"]
            self.keep_best(epoch)
        write_history(self.folder / "history.csv", self.memory.rows)
        self.report(row)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave a checkpoint to resume from, whole or not at all."""
        if self._is_over():
            trainer.should_stop = True
        with atomic_path(self.folder / "checkpoints" / "last.ckpt") as temporary:
            trainer.save_checkpoint(temporary, weights_only=False)

    def _is_over(self) -> bool:
        limits, memory = self.limits, self.memory
        without_gain = len(memory.rows) - memory.best_epoch
        is_stale = limits.patience is not None and without_gain >= limits.patience
        return is_stale or (limits.seconds is not None and self.clock.seconds >= limits.seconds)

    def _check_finite(self, row: Row) -> None:
        if not (math.isfinite(row["loss"]) and math.isfinite(row["val_loss"])):
            raise OutOfRangeError(
                f"the loss is {row['loss']} (validation {row['val_loss']}) after epoch "
                f"{row['epoch']:.0f}: the training diverged. Use a smaller learning_rate."
            )


def write_history(path: Path, rows: list[Row]) -> None:
    """Write the history of the epochs as CSV."""
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_history(path: Path) -> dict[str, list[float]]:
    """Read a history back, column by column."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}
