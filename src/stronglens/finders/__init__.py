"""Networks that tell lenses from other galaxies: images in, one logit per image out."""

from stronglens.finders import cnn, resnet
from stronglens.finders.finder import Finder, FinderFacts, load_finder, sigmoid
from stronglens.finders.networks import (
    Architecture,
    InputShape,
    Recipe,
    architecture_of,
    build_network,
    n_parameters,
    networks,
)

__all__ = [
    "Architecture",
    "Finder",
    "FinderFacts",
    "InputShape",
    "Recipe",
    "architecture_of",
    "build_network",
    "cnn",
    "load_finder",
    "n_parameters",
    "networks",
    "resnet",
    "sigmoid",
]
