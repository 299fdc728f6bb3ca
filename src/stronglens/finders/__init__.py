"""Networks that tell lenses from other galaxies: images in, one logit per image out."""

from stronglens.finders import all_hog, all_scaling, cmu, cnn, petrillo, resnet, ring
from stronglens.finders.finder import Finder, FinderFacts, load_finder, sigmoid
from stronglens.finders.networks import (
    Architecture,
    FitData,
    InputShape,
    Recipe,
    architecture_of,
    build_network,
    check_network,
    n_parameters,
    networks,
    own_fit,
)

__all__ = [
    "Architecture",
    "Finder",
    "FinderFacts",
    "FitData",
    "InputShape",
    "Recipe",
    "all_hog",
    "all_scaling",
    "architecture_of",
    "build_network",
    "check_network",
    "cmu",
    "cnn",
    "load_finder",
    "n_parameters",
    "networks",
    "own_fit",
    "petrillo",
    "resnet",
    "ring",
    "sigmoid",
]
