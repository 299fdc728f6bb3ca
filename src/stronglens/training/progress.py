"""The bar that shows how a training goes, epoch by epoch.

It writes to the error stream, so that results on the output stream stay clean.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

_QUIET_SECONDS = 5.0


class EpochBar(ProgressBar):
    """A bar over the batches of each epoch, which leaves one line of figures behind.

    Where the error stream is not a terminal, the line appears at most every five seconds.

    Args:
        latest: Returns the figures of the last epoch.
    """

    def __init__(self, latest: Callable[[], dict[str, float]]) -> None:
        super().__init__()
        self._latest = latest
        self._bar: tqdm | None = None
        self._is_shown = True
        self._last_line = -_QUIET_SECONDS

    def disable(self) -> None:
        """Show nothing from now on."""
        self._is_shown = False

    def enable(self) -> None:
        """Show the bar again."""
        self._is_shown = True

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin the bar of an epoch."""
        total = self.total_train_batches
        self._bar = tqdm(
            desc=self._title(trainer),
            total=int(total) if total != float("inf") else None,
            unit=" batches",
            leave=False,
            file=sys.stderr,
            disable=not self._is_shown or not sys.stderr.isatty(),
        )

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Advance the bar by a batch."""
        if self._bar is not None:
            self._bar.update()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace the bar by a line of figures."""
        if self._bar is not None:
            self._bar.close()
        is_due = sys.stderr.isatty() or time.monotonic() - self._last_line >= _QUIET_SECONDS
        if self._is_shown and (is_due or trainer.should_stop):
            self._last_line = time.monotonic()
            tqdm.write(f"{self._title(trainer)}: {figures_line(self._latest())}", file=sys.stderr)

    def on_exception(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Take the bar away before the error is shown."""
        if self._bar is not None:
            self._bar.close()

    def _title(self, trainer: Trainer) -> str:
        last = f"/{trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
        return f"epoch {trainer.current_epoch + 1}{last}"


def figures_line(row: dict[str, float]) -> str:
    """One line of the figures of an epoch."""
    left_out = {"epoch", "updates", "learning_rate", "seconds"}
    figures = [
        f"{name.replace('val_', 'validation ')} {value:.4f}"
        for name, value in row.items()
        if name not in left_out
    ]
    return ", ".join([*figures, f"{row.get('seconds', 0.0):.0f} s"])
