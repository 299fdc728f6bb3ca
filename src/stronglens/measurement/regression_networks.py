"""Networks that give lens parameters as plain numbers: the two of 2017 and the one of 2019.

They are here to be compared with. How they are trained and judged is in `regression`.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stronglens.finders import Architecture, InputShape
from stronglens.finders.cnn import DeckNetwork, deck_cnn, deck_cnn_deeper

DECK_TARGETS = ("sigma_v", "e1", "e2", "z_lens", "magnification")
"""What the study of 2017 asked for; e1 and e2 stand for its ellipticity and orientation angle,
which jumps at half a turn."""
BOTTLENECK_TARGETS = ("theta_e", "e1", "e2")
"""What Madireddy et al. asked for."""
N_LATENT = 10
"""Latent numbers of their bottleneck."""
_BOTTLENECK_SIDE = 111
_DECK_IMAGE = InputShape(1, 45, 45)


class DeckRegressor(nn.Module):
    """The body of a network of 2017 with a linear layer of one output per parameter.

    Args:
        body: A network that tells lenses from others; its last layer is not used.
        n_targets: Number of parameters.
    """

    def __init__(self, body: DeckNetwork, n_targets: int) -> None:
        super().__init__()
        self.features = body.features
        self.dense = body.dense
        self.activation = body.activation
        self.dropout = body.dropout
        self.values = nn.Linear(body.dense.out_features, n_targets)

    def forward(self, images: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch target"]:
        """Scaled parameters of normalised images."""
        hidden = self.activation(self.dense(torch.flatten(self.features(images), 1)))
        return self.values(self.dropout(hidden))


class BottleneckEncoder(nn.Module):
    """Images of 3 bands and 111 x 111 pixels to means and log-sigmas of ten latent numbers.

    Reference:
        Madireddy et al. 2019 (arXiv 1911.03867), section on detection and modelling; sides 111, 55,
        27, 9, 3, 1.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for wide, size, stride, padding in (
            (64, 4, 2, 1),
            (64, 4, 2, 1),
            (128, 4, 3, 1),
            (128, 4, 3, 1),
            (256, 3, 1, 0),
        ):
            layers += [nn.Conv2d(channels, wide, size, stride, padding), nn.BatchNorm2d(wide)]
            layers.append(nn.ReLU())
            channels = wide
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, 2 * N_LATENT, 1))

    def forward(self, images: Float[Tensor, "batch 3 111 111"]) -> Float[Tensor, "batch 20"]:
        """Means and logarithms of the widths of the latent numbers."""
        return self.layers(images).flatten(1)


class BottleneckRegressor(nn.Module):
    """Encoder, a draw of the latent numbers, and a small network from them to parameters.

    Images of other sizes are resampled to 111 pixels, and a single band is repeated. In training
    one latent draw is taken; outside it, the mean.

    Args:
        n_targets: Number of parameters.
    """

    def __init__(self, n_targets: int) -> None:
        super().__init__()
        self.encoder = BottleneckEncoder()
        sizes = (N_LATENT, 15, 15, 10)
        layers: list[nn.Module] = []
        for n_in, n_out in itertools.pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.Tanh()]
        self.head = nn.Sequential(*layers, nn.Linear(sizes[-1], n_targets))

    def forward(self, images: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch target"]:
        """Scaled parameters of normalised images."""
        mean, log_sigma = self.encoder(fitted_to_bottleneck(images)).chunk(2, dim=1)
        if self.training:
            mean = mean + log_sigma.clamp(-8.0, 4.0).exp() * torch.randn_like(mean)
        return self.head(mean)


def fitted_to_bottleneck(
    images: Float[Tensor, "batch band y x"],
) -> Float[Tensor, "batch 3 111 111"]:
    """Resample images bilinearly to 111 x 111 pixels, and repeat a single band."""
    three = images[:, :3] if images.shape[1] >= 3 else images[:, :1].expand(-1, 3, -1, -1)
    if three.shape[-2:] == (_BOTTLENECK_SIDE, _BOTTLENECK_SIDE):
        return three
    size = (_BOTTLENECK_SIDE, _BOTTLENECK_SIDE)
    return nn.functional.interpolate(three, size, mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class Regressor:
    """A way of getting parameters from images."""

    build: Callable[[int], nn.Module]
    """Network for a number of parameters, for images of one band and 45 x 45 pixels."""
    targets: tuple[str, ...]
    """The parameters it was made for."""
    optimiser: str
    """Optimiser of its publication."""
    learning_rate: float
    """Learning rate."""
    batch_size: int
    """Images per update."""


def _shallower(n_targets: int) -> nn.Module:
    body = cast(DeckNetwork, deck_cnn(_DECK_IMAGE, Architecture(32, 2, 0.5)))
    return DeckRegressor(body, n_targets)


def _deeper(n_targets: int) -> nn.Module:
    body = cast(DeckNetwork, deck_cnn_deeper(_DECK_IMAGE, Architecture(32, 4, 0.5)))
    return DeckRegressor(body, n_targets)


REGRESSORS = {
    "deck-regression": Regressor(_shallower, DECK_TARGETS, "adam", 1e-3, 256),
    "deck-regression-deeper": Regressor(_deeper, DECK_TARGETS, "adam", 1e-3, 256),
    "madireddy": Regressor(BottleneckRegressor, BOTTLENECK_TARGETS, "rmsprop", 1e-3, 2048),
}
"""Regressors by name."""
