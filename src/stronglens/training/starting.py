"""Trainings that start from a trained finder instead of random weights.

What is learnt and how is in `train.py`; nothing of the finder but its weights changes.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from stronglens.core.errors import OutOfRangeError, StaleCheckpointError, WrongShapeError
from stronglens.data.store import Dataset
from stronglens.finders import Finder, FinderFacts, load_finder, networks, own_fit
from stronglens.finders.normalise import normalisation_settings

if TYPE_CHECKING:
    from stronglens.training.task import Train

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


def check_start(facts: FinderFacts, dataset: Dataset, bands_as: str | None) -> None:
    """Refuse a dataset on which a finder cannot be trained further.

    Args:
        facts: What the finder was made for.
        dataset: The new images; their pixel scale may differ.
        bands_as: Bands of the finder, separated by commas, that those of the dataset stand for.

    Raises:
        WrongShapeError: Bands or sizes differ.
    """
    stand_for = tuple(part.strip() for part in (bands_as or "").split(",") if part.strip())
    called = stand_for or tuple(dataset.bands)
    if called != facts.bands or len(called) != len(dataset.bands):
        ours, theirs = ",".join(facts.bands), ",".join(dataset.bands)
        raise WrongShapeError(
            f"dataset {dataset.path} has bands {theirs} but the finder to start from has {ours}. "
            f"If they stand for those in this order, say --bands-as {ours}; else fetch the images "
            "with --bands in that order."
        )
    size = dataset.size
    if not facts.any_size and size != (facts.height, facts.width):
        raise WrongShapeError(
            f"images are {size[0]}x{size[1]} pixels but '{facts.network}' takes "
            f"{facts.height}x{facts.width}. Fetch them with --size {facts.width}, or start from a "
            "finder for any size."
        )


def take_over(network: nn.Module, start: Finder, path: Path | None) -> dict[str, Any]:
    """Put the weights of a finder into a network, and return the record of where they come from.

    Raises:
        StaleCheckpointError: They do not fit.
    """
    try:
        network.load_state_dict(start.network.state_dict())
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
