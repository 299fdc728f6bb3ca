"""The register of networks: what a network is told, what it states about itself.

Each family of networks has a file of its own; trained ones are `Finder`s, in `finder.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stronglens.core.errors import OutOfRangeError
from stronglens.core.registry import Registry
from stronglens.core.seeds import derived_seed
from stronglens.finders.views import ViewsName

Loss = Literal["cross-entropy", "focal", "mse", "hinge"]
Optimiser = Literal["sgd", "rmsprop", "adam", "adamw", "adadelta"]
Schedule = Literal["constant", "cosine", "one-cycle", "step"]
Augmentation = Literal["none", "deck", "d4", "d4-shift", "cmu", "petrillo"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class InputShape:
    """Shape of one image as a network takes it."""

    n_bands: int
    height: int
    width: int
    pixel_scale: float | None = None
    """Side of a pixel [arcsec]; None where the finder does not care."""
    zero_point: float | None = None
    """Magnitude of one pixel unit [mag AB]."""
    bands: tuple[str, ...] = ()
    """Names of the bands, where they are known."""


@dataclass(frozen=True)
class Architecture:
    """The three settings of every network; each family says what they mean for it."""

    width: int
    """Channels of the first block of layers."""
    depth: int
    """Number of blocks: of convolutions and a pooling, or of residuals in each stage."""
    dropout: float
    """Probability that a feature is dropped before the last layer, in training."""


@dataclass(frozen=True)
class Recipe:
    """How a finder is trained unless the user says otherwise; None where it does not apply."""

    normalisation: str
    loss: Loss | None = None
    optimiser: Optimiser | None = None
    learning_rate: float | None = None
    decay: float | None = None
    weight_decay: float | None = None
    schedule: Schedule | None = None
    batch_size: int | None = None
    epochs: int | None = None
    augmentation: Augmentation | None = None
    precision: Precision | None = None
    average: float | None = None
    """Decay per update of the running mean of the weights that becomes the finder."""
    clip: float | None = None
    """Largest norm of the gradient; None for any."""
    views: ViewsName = "none"
    """Views of an image over which the logits are averaged when it is scored."""


@dataclass(frozen=True)
class FitData:
    """What a finder that is no network learns from."""

    images: Float[Tensor, "n band y x"]
    """Normalised training images."""
    label: Float[Tensor, "n"]
    """1 for lenses, 0 for others."""
    keeps_flux: bool
    """Whether the images are still in pixel units."""
    seed: int
    """Seed of everything drawn."""


Factory = Callable[[InputShape, Architecture], nn.Module]
OwnFit = Callable[[Any, FitData], dict[str, Any]]
"""Finds the weights of a module in place, and returns what it chose on the way."""
networks: Registry[Factory] = Registry("network")
"""Factories by name. Facts: summary, citation, input_shape, architecture, recipe, any_size; and for
a finder that is no network `fit`, an `OwnFit` that takes the place of the training loop."""


def own_fit(name: str) -> OwnFit | None:
    """Way in which a registered finder fits itself; None for networks, which are trained."""
    return networks.facts(name).get("fit")


def architecture_of(
    name: str,
    *,
    width: int | None = None,
    depth: int | None = None,
    dropout: float | None = None,
) -> Architecture:
    """Architecture of a registered network, with the settings that are not None in their place."""
    given = {"width": width, "depth": depth, "dropout": dropout}
    default: Architecture = networks.facts(name)["architecture"]
    return replace(default, **{key: value for key, value in given.items() if value is not None})


def build_network(
    name: str,
    shape: InputShape | None = None,
    architecture: Architecture | None = None,
    *,
    seed: int = 0,
) -> nn.Module:
    """Build a network with random weights that depend on the seed alone.

    Args:
        name: A registered network.
        shape: Shape of one image; the documented input by default.
        architecture: Width, depth and dropout; the documented ones by default.
        seed: Seed of the initial weights.

    Returns:
        A module that maps normalised images (batch, band, y, x) to logits (batch,).

    Raises:
        UnknownNameError: There is no such network.
        OutOfRangeError: The images are too small for its layers, or a setting makes no sense.
    """
    factory, facts = networks.get(name), networks.facts(name)
    wanted: Architecture = architecture or facts["architecture"]
    if wanted.width < 1 or wanted.depth < 1 or not 0 <= wanted.dropout < 1:
        raise OutOfRangeError(
            f"{wanted} makes no network. Allowed: width and depth of at least 1, dropout in [0, 1)."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, "initial-weights"))
        return factory(shape or facts["input_shape"], wanted)


def check_network(name: str, shape: InputShape, architecture: Architecture) -> None:
    """Refuse images that a network cannot take, without the memory that its weights need.

    Args:
        name: A registered network.
        shape: Shape of one image.
        architecture: Width, depth and dropout.

    Raises:
        OutOfRangeError: The images are too small for its layers, or a setting makes no sense.
        WrongShapeError: It needs other bands.
    """
    with torch.device("meta"):
        build_network(name, shape, architecture)


def n_parameters(network: nn.Module) -> int:
    """Number of trainable parameters of a network."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
