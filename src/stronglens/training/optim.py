"""Losses, optimisers and how the learning rate changes over a training.

The loop that uses them is in `fit.py`.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from stronglens.core.errors import unknown_name
from stronglens.finders.networks import Schedule

WARM_UP = 0.25
"""Part of a one-cycle training in which the learning rate rises."""
FIRST_FRACTION = 0.04
"""Learning rate at the start of a one-cycle training, as a fraction of the highest."""
STEPS = (1 / 3, 2 / 3)
"""Parts of a stepwise training after which the learning rate drops tenfold."""
STEP = 0.1
"""Learning rate after such a step over that before."""
FOCUS = 2.0
"""Exponent of the focal loss."""
_ROUNDING = 1e-9


def cross_entropy(
    logits: Float[Tensor, "batch"], labels: Float[Tensor, "batch"]
) -> Float[Tensor, ""]:
    """Mean cross-entropy; the same number as over a softmax of two units with this difference."""
    return functional.binary_cross_entropy_with_logits(logits, labels)


def focal(logits: Float[Tensor, "batch"], labels: Float[Tensor, "batch"]) -> Float[Tensor, ""]:
    """Mean cross-entropy in which images already classified well count less.

    Reference:
        Lin et al. 2017 (arXiv 1708.02002), equation 4, with exponent 2.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    # 1 - p of the true class, taken from the logit so that it keeps its precision near 0
    miss = torch.sigmoid(logits * (1 - 2 * labels))
    return (miss**FOCUS * entropy).mean()


def mean_squared_error(
    logits: Float[Tensor, "batch"], labels: Float[Tensor, "batch"]
) -> Float[Tensor, ""]:
    """Mean squared difference of score and label (the Brier score)."""
    return (torch.sigmoid(logits) - labels).square().mean()


def hinge(logits: Float[Tensor, "batch"], labels: Float[Tensor, "batch"]) -> Float[Tensor, ""]:
    """Mean of max(0, 1 - t logit), with t = 1 for lenses and -1 for others."""
    return functional.relu(1 - (2 * labels - 1) * logits).mean()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": cross_entropy,
    "focal": focal,
    "mse": mean_squared_error,
    "hinge": hinge,
}
"""Losses by name; each takes logits and labels 0 or 1 and returns the mean over the batch."""

OPTIMISERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": torch.optim.SGD,
    # the running average of Keras (0.9), not torch's own default
    "rmsprop": lambda groups, rate: torch.optim.RMSprop(groups, rate, alpha=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adadelta": lambda groups, rate: torch.optim.Adadelta(groups, rate, rho=0.95),
}
"""Optimisers by name."""


def build_optimiser(
    name: str, parameters: Iterable[nn.Parameter], *, learning_rate: float, weight_decay: float
) -> Optimizer:
    """Build an optimiser; weight decay is for weights, not for biases and normalisations.

    Args:
        name: One of `OPTIMISERS`.
        parameters: What it shall change.
        learning_rate: Its first learning rate.
        weight_decay: Its weight decay.

    Raises:
        UnknownNameError: There is no such optimiser.
    """
    if name not in OPTIMISERS:
        raise unknown_name("optimiser", name, OPTIMISERS)
    trainable = [weight for weight in parameters if weight.requires_grad]
    groups = [
        {"params": [w for w in trainable if w.ndim > 1], "weight_decay": weight_decay},
        {"params": [w for w in trainable if w.ndim <= 1], "weight_decay": 0.0},
    ]
    return OPTIMISERS[name](groups, learning_rate)


@dataclass(frozen=True)
class LearningRate:
    """The learning rate at every moment of a training."""

    highest: float
    """The learning rate from which everything follows."""
    decay: float = 0.0
    """Per update: the rate is divided by 1 + decay x updates, as in Keras before its version 2.3;
    0.01 divides it by 801 after 200 epochs of 400 updates."""
    schedule: Schedule = "constant"
    """constant; cosine (falls to zero); one-cycle (rises over the first quarter, then
    falls); step (drops tenfold after each third, at epochs 40 and 80 of 120)."""

    def at(self, updates: int, done: float) -> float:
        """Learning rate of the next update.

        Args:
            updates: Number of updates made so far.
            done: How much of the training lies behind, from 0 to 1, by updates or by time.

        Returns:
            The learning rate.

        Reference:
            Smith & Topin 2018 (arXiv 1708.07120) for one-cycle, here with a cosine fall.
        """
        done = min(max(done, 0.0), 1.0)
        return self.highest * self._shape(done) / (1 + self.decay * updates)

    def _shape(self, done: float) -> float:
        if self.schedule == "constant":
            return 1.0
        if self.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * done))
        if self.schedule == "step":
            return STEP ** sum(done >= step - _ROUNDING for step in STEPS)
        if done < WARM_UP:
            return FIRST_FRACTION + (1 - FIRST_FRACTION) * done / WARM_UP
        return 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))
