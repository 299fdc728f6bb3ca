"""The table of verbs: which task each one is, and what `stronglens --help` says of it.

Strings only, so that the list of verbs appears at once; a task is imported when it is called.
"""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stronglens.core.errors import unknown_name

if TYPE_CHECKING:
    from stronglens.core.task import AbstractTask


@dataclass(frozen=True)
class Verb:
    """One line of the table."""

    summary: str
    """What it does, in a few words."""
    example: str
    """A command that works."""
    task: str | None = None
    """Module and class of its task; None where the command line does it by itself."""


GROUPS: dict[str, dict[str, Verb]] = {
    "from nothing": {
        "quickstart": Verb(
            "simulate, train and test a finder; ends with one page to read",
            "stronglens quickstart",
            "stronglens.pipelines.task:Quickstart",
        ),
    },
    "images": {
        "simulate": Verb(
            "survey facts → images with and without lenses, with truth",
            "stronglens simulate --preset deck --n 2000 --out runs/sims",
            "stronglens.simulation.task:Simulate",
        ),
        "fetch": Verb(
            "tiles and targets, cutouts, stacks, pictures → dataset",
            "stronglens fetch tiles --targets t.csv --out runs/real",
            "stronglens.data.task:Fetch",
        ),
        "audit": Verb(
            "dataset → tricks that tell its classes apart without arcs",
            "stronglens audit --data runs/sims",
            "stronglens.training.task:Audit",
        ),
    },
    "finders": {
        "train": Verb(
            "dataset → trained finder, with its learning curves",
            "stronglens train --data runs/sims --out runs/finder",
            "stronglens.training.task:Train",
        ),
        "tune": Verb(
            "dataset → study of many trainings, the best settings",
            "stronglens tune --data runs/sims --space deck --out runs/study",
            "stronglens.training.tune_task:Tune",
        ),
        "combine": Verb(
            "finders and dataset → committee that works as one finder",
            "stronglens combine --finders runs/study --data runs/sims",
            "stronglens.training.committee_task:Combine",
        ),
        "calibrate": Verb(
            "finder and dataset → probabilities, promised lists",
            "stronglens calibrate --finder runs/finder --data runs/sims",
            "stronglens.training.calibrate_task:Calibrate",
        ),
        "evaluate": Verb(
            "finder and dataset → metrics with intervals, figures, galleries",
            "stronglens evaluate --finder runs/finder --data runs/sims",
            "stronglens.training.task:Evaluate",
        ),
        "explain": Verb(
            "finder and dataset → attribution maps, look-alikes, arc removed",
            "stronglens explain --finder runs/finder --data runs/sims",
            "stronglens.training.explain_task:Explain",
        ),
        "scan": Verb(
            "finder and tiles or cutouts → candidates, contact sheet",
            "stronglens scan tiles --finder runs/finder",
            "stronglens.scanning.task:Scan",
        ),
    },
    "measurements": {
        "measure": Verb(
            "images of lenses → parameters with uncertainties, verdicts, pages",
            "stronglens measure lens.fits --pixel-scale 0.05 --out runs/lens",
            "stronglens.measurement.task:Measure",
        ),
        "floor": Verb(
            "lens and image quality → smallest possible errors (Fisher)",
            "stronglens floor --theta-e 1.2 --arc-snr 100",
            "stronglens.measurement.task:Floor",
        ),
        "population": Verb(
            "table of lenses → slopes and their drift; Om and w",
            "stronglens population runs/lenses --redshifts redshifts.csv",
            "stronglens.measurement.population_task:Population",
        ),
        "train-posterior": Verb(
            "nothing → network of posteriors, from fresh mock lenses",
            "stronglens train-posterior --max-minutes 60 --out runs/posterior",
            "stronglens.measurement.posterior_task:TrainPosterior",
        ),
        "calibrate-posterior": Verb(
            "network of posteriors → certificate inside its weights",
            "stronglens calibrate-posterior --posterior runs/posterior",
            "stronglens.measurement.posterior_task:CalibratePosterior",
        ),
    },
    "expectations": {
        "forecast": Verb(
            "survey → expected numbers of lenses, ideal and discoverable",
            "stronglens forecast --survey euclid-vis --out runs/forecast",
            "stronglens.forecasting.task:Forecast",
        ),
    },
    "around them": {
        "list": Verb(
            "networks, surveys, presets, finders: what there is",
            "stronglens list networks",
        ),
        "cite": Verb(
            "BibTeX for exactly what a run used",
            "stronglens cite runs/finder",
        ),
        "rerun": Verb(
            "any run directory again, with the same settings",
            "stronglens rerun runs/sims --out runs/sims-again",
        ),
    },
}

VERBS: dict[str, Verb] = {name: verb for group in GROUPS.values() for name, verb in group.items()}


def verb_of(name: str) -> Verb:
    """Return the verb of that name.

    Raises:
        UnknownNameError: No such verb; the message lists those that exist.
    """
    if name not in VERBS:
        raise unknown_name("verb", name, VERBS)
    return VERBS[name]


def task_of(name: str) -> type["AbstractTask"]:
    """Import the task of a verb.

    Raises:
        UnknownNameError: No such verb, or one without a task.
    """
    location = VERBS[name].task if name in VERBS else None
    if location is None:
        raise unknown_name("task", name, [verb for verb, entry in VERBS.items() if entry.task])
    module, _, attribute = location.partition(":")
    return getattr(importlib.import_module(module), attribute)
