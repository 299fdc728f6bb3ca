"""The training loop: Lightning's Trainer around anything that states its loss and its batches.

What is trained and on what is decided by the caller; nothing here knows finders or datasets.
"""

import logging
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from stronglens.core.seeds import derived_seed
from stronglens.training.average import WeightAverage
from stronglens.training.batches import Batch, Batches
from stronglens.training.journal import Journal, Limits, Memory, Row
from stronglens.training.optim import LearningRate, build_optimiser
from stronglens.training.progress import EpochBar

CHECKPOINT = Path("checkpoints") / "last.ckpt"
_PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed"}


@dataclass(frozen=True)
class Problem:
    """What is to be learnt: a network, its figures on a batch, and the batches."""

    network: nn.Module
    """What learns."""
    figures: Callable[[nn.Module, Batch], dict[str, Tensor]]
    """Mean figures of the network on a batch; "loss" is made small, the others are shown."""
    training: Batches
    """Batches to learn from."""
    validation: Batches
    """Batches to be judged on, without augmentation."""


@dataclass(frozen=True)
class Plan:
    """How it is learnt."""

    seed: int
    """Seed of everything random inside the network."""
    optimiser: str
    """Name of the optimiser."""
    learning_rate: LearningRate
    """Its learning rate at every moment."""
    weight_decay: float
    """Its weight decay."""
    precision: str
    """float32 or bfloat16; weights are float32 in both."""
    limits: Limits
    """When to stop."""
    device: torch.device
    """Where to work."""
    average: float | None = None
    """Decay per update of the running mean of the weights, which is then what is judged and kept;
    None for the weights themselves."""
    clip: float | None = None
    """Largest norm of the gradient; None for any."""


@dataclass(frozen=True)
class Hooks:
    """What the caller wants to be told."""

    keep_best: Callable[[int], None]
    """Called with the epoch when the network is the best so far."""
    report: Callable[[Row], None]
    """Called with the figures of every epoch."""


def fit(problem: Problem, plan: Plan, folder: Path, hooks: Hooks) -> Memory:
    """Train, or go on with a training of the same folder that was interrupted.

    Args:
        problem: What is to be learnt.
        plan: How.
        folder: Where history.csv and checkpoints/last.ckpt are kept.
        hooks: What the caller wants to be told.

    Returns:
        The history, the best epoch and the time.

    Raises:
        OutOfRangeError: The training diverged.
        KeyboardInterrupt: The user stopped it; calling again goes on from the last full epoch.
    """
    (folder / CHECKPOINT).parent.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder, plan.limits, keep_best=hooks.keep_best, report=hooks.report)
    bar = EpochBar(lambda: journal.memory.rows[-1] if journal.memory.rows else {})
    checkpoint = folder / CHECKPOINT
    # the mean of the weights takes their place while the journal judges and keeps them
    averages = [] if plan.average is None else [WeightAverage(problem.network, plan.average)]
    with _quiet_lightning(), torch.random.fork_rng():
        trainer = Trainer(
            max_epochs=plan.limits.epochs if plan.limits.epochs is not None else -1,
            accelerator="gpu" if plan.device.type == "cuda" else "cpu",
            devices=1,
            precision=_PRECISIONS[plan.precision],  # type: ignore[arg-type]
            gradient_clip_val=plan.clip,
            callbacks=[bar, journal, *averages],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=folder,
        )
        module = _Module(problem, plan, journal)
        resumed = str(checkpoint) if checkpoint.is_file() else None
        trainer.fit(module, ckpt_path=resumed, weights_only=True)
    journal.memory.seconds = journal.memory.seconds or journal.clock.seconds
    return journal.memory


class _Epochs:
    """Lightning's view of batches: an iterable that starts a new epoch each time."""

    def __init__(self, batches: Batches, module: "_Module", *, is_training: bool) -> None:
        self._batches = batches
        self._module = module
        self._is_training = is_training

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Batch]:
        number = self._module.trainer.current_epoch if self._is_training else 0
        if self._is_training:
            # dropout and the like: a resumed epoch must draw what an uninterrupted one draws
            torch.manual_seed(derived_seed(self._module.plan.seed, "epoch", number))
        yield from self._batches.epoch(number)


class _Module(LightningModule):
    """What Lightning trains; nobody outside this file sees it."""

    def __init__(self, problem: Problem, plan: Plan, journal: Journal) -> None:
        super().__init__()
        self.network = problem.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.plan = plan
        self._problem = problem
        self._journal = journal

    def train_dataloader(self) -> Any:  # noqa: ANN401 - any iterable will do
        return _Epochs(self._problem.training, self, is_training=True)

    def val_dataloader(self) -> Any:  # noqa: ANN401 - any iterable will do
        return _Epochs(self._problem.validation, self, is_training=False)

    def configure_optimizers(self) -> Optimizer:
        return build_optimiser(
            self.plan.optimiser,
            self.network.parameters(),
            learning_rate=self.plan.learning_rate.highest,
            weight_decay=self.plan.weight_decay,
        )

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rate of the update that follows."""
        journal, updates = self._journal, self.global_step
        journal.clock.start()
        done = journal.done(updates, len(self._problem.training))
        journal.learning_rate = self.plan.learning_rate.at(updates, done)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = journal.learning_rate

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        figures = self._problem.figures(self.network, batch)
        self._journal.training.add(figures, len(next(iter(batch.values()))))
        return figures["loss"]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        figures = self._problem.figures(self.network, batch)
        self._journal.validation.add(figures, len(next(iter(batch.values()))))


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep Lightning from talking, and turn its exit on Ctrl-C back into an interrupt."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if is_main else None
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
            warnings.filterwarnings("ignore", message="Checkpoint directory .* exists")
            yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        logger.setLevel(level)
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
