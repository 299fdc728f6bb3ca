"""Simulate, find and measure strong gravitational lenses in survey images with deep networks.

Tasks (`Simulate`, `Train`, `Evaluate`, ...) are settings that run; parts are plain functions.
Each name is imported at its first use, so `import stronglens` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stronglens.cli.citations import cite as cite
    from stronglens.cli.runs import load_run as load_run
    from stronglens.core.errors import StronglensError as StronglensError
    from stronglens.data.store import open_dataset as open_dataset
    from stronglens.data.task import Fetch as Fetch
    from stronglens.finders.finder import load_finder as load_finder
    from stronglens.forecasting.task import Forecast as Forecast
    from stronglens.measurement.posterior_network import load_posterior as load_posterior
    from stronglens.measurement.posterior_task import CalibratePosterior as CalibratePosterior
    from stronglens.measurement.posterior_task import TrainPosterior as TrainPosterior
    from stronglens.measurement.task import Floor as Floor
    from stronglens.measurement.task import Measure as Measure
    from stronglens.pipelines.task import Quickstart as Quickstart
    from stronglens.scanning.task import Scan as Scan
    from stronglens.simulation.pictures import draw_lenses as draw_lenses
    from stronglens.simulation.pictures import render as render
    from stronglens.simulation.task import Simulate as Simulate
    from stronglens.surveys.survey import survey as survey
    from stronglens.training.calibrate_task import Calibrate as Calibrate
    from stronglens.training.committee_task import Combine as Combine
    from stronglens.training.explain_task import Explain as Explain
    from stronglens.training.task import Audit as Audit
    from stronglens.training.task import Evaluate as Evaluate
    from stronglens.training.task import Train as Train
    from stronglens.training.tune_task import Tune as Tune

    __version__: str

_HOMES = {
    "Audit": "stronglens.training.task",
    "Calibrate": "stronglens.training.calibrate_task",
    "CalibratePosterior": "stronglens.measurement.posterior_task",
    "Combine": "stronglens.training.committee_task",
    "Evaluate": "stronglens.training.task",
    "Explain": "stronglens.training.explain_task",
    "Fetch": "stronglens.data.task",
    "Floor": "stronglens.measurement.task",
    "Forecast": "stronglens.forecasting.task",
    "Measure": "stronglens.measurement.task",
    "Quickstart": "stronglens.pipelines.task",
    "Scan": "stronglens.scanning.task",
    "Simulate": "stronglens.simulation.task",
    "StronglensError": "stronglens.core.errors",
    "Train": "stronglens.training.task",
    "TrainPosterior": "stronglens.measurement.posterior_task",
    "Tune": "stronglens.training.tune_task",
    "cite": "stronglens.cli.citations",
    "draw_lenses": "stronglens.simulation.pictures",
    "load_finder": "stronglens.finders.finder",
    "load_posterior": "stronglens.measurement.posterior_network",
    "load_run": "stronglens.cli.runs",
    "open_dataset": "stronglens.data.store",
    "render": "stronglens.simulation.pictures",
    "survey": "stronglens.surveys.survey",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever is asked for
    """Import a public name at its first use."""
    if name == "__version__":
        from importlib import metadata

        value = metadata.version("stronglens")
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        from stronglens.core.errors import unknown_name

        raise AttributeError(str(unknown_name("name in stronglens", name, _HOMES)))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names, for completion."""
    return sorted([*_HOMES, "__version__"])
