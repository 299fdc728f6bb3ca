"""The training of a finder that is no network: it fits itself to all images at once.

Networks are trained by the loop in `fit.py`.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from stronglens.finders import Finder, FitData
from stronglens.finders.networks import OwnFit
from stronglens.training.batches import Batch, Batches, StoredBatches
from stronglens.training.fit import Hooks, Problem
from stronglens.training.journal import Clock, Means, Memory, Row, write_history


def fit_at_once(
    finder: Finder, fit: OwnFit, problem: Problem, folder: Path, hooks: Hooks, *, seed: int
) -> Memory:
    """Let a finder fit itself; its history has one row, and its facts hold what it chose.

    Args:
        finder: What is fitted, in place.
        fit: How.
        problem: The images, and the figures that are reported.
        folder: Where history.csv is kept.
        hooks: What the caller wants to be told.
        seed: Seed of everything drawn.

    Returns:
        The history.
    """
    images, label = all_images(problem.training)
    data = FitData(images, label, finder.normalisation.keeps_flux, seed)
    clock = Clock()
    clock.start()
    chosen = fit(finder.network, data)
    seconds = clock.seconds
    finder.facts = replace(finder.facts, training={"fit": chosen})
    row: Row = {"epoch": 1, **_mean_figures(finder.network, problem.figures, problem.training)}
    validation = _mean_figures(finder.network, problem.figures, problem.validation)
    row |= {f"val_{name}": value for name, value in validation.items()}
    row |= {"learning_rate": 0.0, "updates": 1, "seconds": seconds}
    memory = Memory([row], best_epoch=1, best_loss=row["val_loss"], seconds=seconds)
    hooks.keep_best(1)
    write_history(folder / "history.csv", memory.rows)
    hooks.report(row)
    return memory


def all_images(batches: Batches) -> tuple[Tensor, Tensor]:
    """Return the normalised images (n, band, y, x) and labels (n,) of one epoch."""
    if isinstance(batches, StoredBatches):
        return batches.images, batches.label
    parts = list(batches.epoch(0))
    return torch.cat([part["image"] for part in parts]), torch.cat(
        [part["label"] for part in parts]
    )


def _mean_figures(
    network: nn.Module,
    figures: Callable[[nn.Module, Batch], dict[str, Tensor]],
    batches: Batches,
) -> Row:
    """Return mean figures over the batches of an epoch."""
    means = Means()
    with torch.inference_mode():
        for batch in batches.epoch(0):
            means.add(figures(network, batch), len(batch["label"]))
    return means.take()
