"""The running mean of the weights of a network while it learns.

When it is judged and kept is decided by the loop, in `fit.py`.
"""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

SHORTEST = 10.0
"""The first means reach back a tenth of the updates so far, so that they forget the beginning."""


class WeightAverage(Callback):
    """Exponential mean of all weights, in whose place it stands during validation and at the end.

    Running means of batch normalisation are averaged too. It must come after whatever looks at the
    weights when validation ends.

    Args:
        network: What learns.
        decay: Part of the mean that stays at each update.

    Reference:
        Polyak & Juditsky 1992, SIAM J. Control Optim. 30, 838, with exponential weights.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = network
        self.decay = decay
        self.updates = 0
        self.mean: dict[str, Tensor] = {}
        self._raw: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"updates": self.updates, "mean": self.mean}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self.updates, self.mean = state_dict["updates"], state_dict["mean"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin with the weights as they are, or put a mean from a checkpoint where they are."""
        weights = _floats(self.network)
        self.mean = {
            name: self.mean.get(name, value).to(value.device, copy=True)
            for name, value in weights.items()
        }

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Take in the weights after an update."""
        self.updates += 1
        kept = min(self.decay, (1 + self.updates) / (SHORTEST + self.updates))
        for name, value in _floats(self.network).items():
            self.mean[name].lerp_(value, 1 - kept)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the mean in the place of the weights."""
        self._raw = {name: value.clone() for name, value in _floats(self.network).items()}
        self._put(self.mean)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the weights back."""
        self._put(self._raw)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the mean behind."""
        self._put(self.mean)

    def _put(self, values: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, weight in _floats(self.network).items():
                weight.copy_(values[name])


def _floats(network: nn.Module) -> dict[str, Tensor]:
    """Return all weights and running numbers that are no integers; they share the memory."""
    state = network.state_dict()
    return {name: value for name, value in state.items() if value.is_floating_point()}
