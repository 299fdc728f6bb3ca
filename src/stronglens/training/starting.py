"""Trainings that start from a trained finder instead of random weights.

What is learnt and how is in `train.py`; nothing of the finder but its weights changes.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from stronglens.core.errors import OutOfRangeError, StaleCheckpointError, WrongShapeError
from stronglens.data.store import Dataset
from stronglens.finders import Finder, FinderFacts, load_finder, networks, own_fit
from stronglens.finders.normalise import normalisation_settings

if TYPE_CHECKING:
    from stronglens.training.task import Train

NEW = "new"
"""What stands in the place of a band that a finder does not know."""
SLOWER = 10
"""How much smaller the learning rate is by default than that of the network's recipe."""


def starting_settings(task: "Train", default_network: str) -> dict[str, Any]:
    """Settings that follow from the finder from which a training starts.

    Args:
        task: The settings as given; `start_from` is not None.
        default_network: The network that stands in the settings where none was given.

    Returns:
        Network, architecture, scaling, views and learning rate.

    Raises:
        OutOfRangeError: A setting contradicts the finder, or the finder cannot be trained further.
    """
    start = opened(task.start_from)
    facts = start.facts
    own = {
        "network": facts.network,
        "width": facts.architecture.width,
        "depth": facts.architecture.depth,
        "normalisation": normalisation_settings(start.normalisation)["name"],
    }
    given = {name: getattr(task, name) for name in own}
    given["network"] = None if task.network == default_network else task.network
    for name, value in given.items():
        if value is not None and value != own[name]:
            raise OutOfRangeError(
                f"{name}={value} contradicts start_from={task.start_from}, which has "
                f"{name}={own[name]}. Leave it out, or train without --start-from."
            )
    rate = networks.facts(facts.network)["recipe"].learning_rate
    free = {"dropout": facts.architecture.dropout, "views": facts.views}
    free["learning_rate"] = None if rate is None else rate / SLOWER
    return own | {name: value for name, value in free.items() if getattr(task, name) is None}


def opened(path: Path | None) -> Finder:
    """Load the finder from which a training starts.

    Raises:
        OutOfRangeError: It is a committee, or it is no network and fits itself.
    """
    finder = load_finder(path or Path())
    if finder.facts.committee is not None:
        raise OutOfRangeError(
            f"start_from={path} is a committee. Start from its members one by one, and combine "
            "what comes out."
        )
    if own_fit(finder.facts.network) is not None:
        raise OutOfRangeError(
            f"start_from={path} holds '{finder.facts.network}', which fits itself at once and has "
            "nothing to start from. Train it anew on the data."
        )
    return finder


def stands_for(facts: FinderFacts, dataset: Dataset, bands_as: str | None) -> tuple[str, ...]:
    """For each band of a dataset the band of a finder that it stands for, or `NEW`.

    Args:
        facts: What the finder was made for.
        dataset: The new images; their pixel scale may differ.
        bands_as: Those bands, separated by commas; by default bands of the same name.

    Raises:
        WrongShapeError: A band of the finder has no counterpart.
    """
    named = tuple(part.strip() for part in (bands_as or "").split(",") if part.strip())
    called = named or tuple(band if band in facts.bands else NEW for band in dataset.bands)
    known = tuple(band for band in called if band != NEW)
    if known != facts.bands or len(called) != len(dataset.bands):
        ours, theirs = ",".join(facts.bands), ",".join(dataset.bands)
        raise WrongShapeError(
            f"dataset {dataset.path} has bands {theirs} but the finder to start from has {ours}. "
            f"If they stand for those in this order, say --bands-as {ours}, with '{NEW}' for each "
            "that the finder does not know; else fetch the images with --bands in that order."
        )
    return called


def check_start(facts: FinderFacts, dataset: Dataset, bands_as: str | None) -> None:
    """Refuse a dataset on which a finder cannot be trained further.

    Args:
        facts: What the finder was made for.
        dataset: The new images; their pixel scale may differ.
        bands_as: Bands of the finder, separated by commas, that those of the dataset stand for.

    Raises:
        WrongShapeError: Bands or sizes differ.
    """
    stands_for(facts, dataset, bands_as)
    size = dataset.size
    if not facts.any_size and size != (facts.height, facts.width):
        raise WrongShapeError(
            f"images are {size[0]}x{size[1]} pixels but '{facts.network}' takes "
            f"{facts.height}x{facts.width}. Fetch them with --size {facts.width}, or start from a "
            "finder for any size."
        )


def take_over(
    network: nn.Module, start: Finder, called: tuple[str, ...], path: Path | None
) -> dict[str, Any]:
    """Put the weights of a finder into a network, and return the record of where they come from.

    Args:
        network: The network for the new images.
        start: The finder.
        called: For each band of the new images that of the finder, or `NEW`, which begins with
            weights of zero.
        path: Where the finder is.

    Raises:
        StaleCheckpointError: They do not fit.
    """
    wanted = network.state_dict()
    weights = {
        name: widened(weight, called) if weight.shape != wanted[name].shape else weight
        for name, weight in start.network.state_dict().items()
        if name in wanted
    }
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise StaleCheckpointError(
            f"the weights of {path} do not fit the network for these images. Train without "
            "--start-from."
        ) from error
    facts = start.facts
    before = {
        name: facts.training[name] for name in ("data", "epoch", "seed") if name in facts.training
    }
    return {
        "started_from": {
            "finder": str(path),
            "network": facts.network,
            "bands": list(facts.bands),
            "pixel_scale": facts.pixel_scale,
            "training": before,
        }
    }


def widened(weight: Tensor, called: tuple[str, ...]) -> Tensor:
    """Weights of a first layer for more bands: those of new bands are zero.

    Args:
        weight: Weights (out, in, ...), in which the band changes fastest along `in`.
        called: For each band of the wider layer that of the narrower, or `NEW`.
    """
    n_known = len(called) - called.count(NEW)
    if weight.ndim < 2 or weight.shape[1] % n_known:
        return weight
    shape = weight.shape
    wide = weight.new_zeros(shape[0], shape[1] // n_known, len(called), *shape[2:])
    known = [k for k, band in enumerate(called) if band != NEW]
    wide[:, :, known] = weight.view(shape[0], -1, n_known, *shape[2:])
    return wide.flatten(1, 2)
