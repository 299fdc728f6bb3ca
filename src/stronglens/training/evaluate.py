"""The work of the task Evaluate: score images not seen in training, and say how good that is.

The numbers come from `merits.py`, the pictures from `report.py`; scores may come from a file.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from stronglens.core.device import torch_device
from stronglens.core.errors import MissingDataError
from stronglens.core.files import write_json
from stronglens.core.rundir import RunDirectory
from stronglens.data.catalog import write_table
from stronglens.data.store import Dataset, open_dataset
from stronglens.evaluation.metrics import Bootstrap
from stronglens.evaluation.prevalence import Sky
from stronglens.finders import Finder, load_finder, sigmoid
from stronglens.finders.abstain import Abstention
from stronglens.finders.calibrate import Calibration
from stronglens.plots.reliability import reliability_figure
from stronglens.plots.selection import selection_figure
from stronglens.training.batches import labelled_rows
from stronglens.training.external import has_images, scored_from_file
from stronglens.training.merits import (
    INTERVALS,
    Merits,
    calibrated_merits,
    checked_reliability,
    merits,
)
from stronglens.training.report import Scored, draw_feature_maps, draw_figures, draw_galleries
from stronglens.training.scoring import logits_of_rows
from stronglens.training.selection import (
    SELECTION,
    cell_errors,
    completeness_map,
    selection_columns,
    selection_of,
    write_selection,
)
from stronglens.training.task import Evaluate, EvaluateResult

_TRUTH_COLUMNS = ("object_id", "theta_e", "arc_snr", "scene_class")
_CHUNK = 1000


@dataclass(frozen=True)
class _Inputs:
    """What is judged on what."""

    name: str
    """What to call it in figures."""
    finder: Finder | None
    """The finder; None where scores come from a file."""
    dataset: Dataset | None
    """The images; None where there are labels alone."""
    rows: np.ndarray
    """Rows of the dataset."""


def evaluate(task: Evaluate, run: RunDirectory) -> EvaluateResult:
    """Judge a finder, or the scores of any other code.

    Args:
        task: The settings.
        run: Where metrics.json, scores.parquet, selection.parquet and figures go.

    Returns:
        The main numbers.
    """
    inputs = open_inputs(task)
    scored, ms_per_image = _score(inputs, task)
    how = Bootstrap(task.seed, task.n_bootstrap, task.level)
    sky = Sky(task.prevalence, seconds_per_object=task.seconds_per_object)
    is_scored = np.isfinite(scored.logits)
    good = scored.only(is_scored)
    run.log(f"{inputs.name}: {len(good.labels):,} images scored, {ms_per_image:.3f} ms each")
    found = merits(good, how, sky)
    (run.path / "figures").mkdir(exist_ok=True)
    more = [_of_calibration(inputs, good, how, sky, run), _of_selection(inputs, good, task, run)]
    more.append(_of_abstention(inputs, good))
    n_positive, n_negative = (int((good.labels == k).sum()) for k in (1, 0))
    record: dict[str, Any] = {
        **{name: asdict(value) for name, value in found.values.items()},
        **found.facts,
        **{name: fact for one in more for name, fact in one.facts.items()},
        "n_positive": n_positive,
        "n_negative": n_negative,
        "n_failed": int((~is_scored).sum()),
        "ms_per_image": ms_per_image,
        "level": task.level,
        "refused": {**found.refused, **{k: v for one in more for k, v in one.refused.items()}},
        "intervals": INTERVALS,
    }
    write_json(run.path / "metrics.json", record)
    write_table(run.path / "scores.parquet", scored.columns())
    _draw(inputs, good, how, run)
    return EvaluateResult(
        path=run.path,
        n_positive=n_positive,
        n_negative=n_negative,
        accuracy=found.values["accuracy"],
        auroc=found.values["auroc"],
        tpr0=found.values["tpr0"],
        tpr10=found.values["tpr10"],
        ms_per_image=ms_per_image,
    )


def open_inputs(task: Evaluate) -> _Inputs:
    """Open finder or scores and the dataset, and make sure that they fit.

    Raises:
        WrongShapeError: Bands, pixel scale or size differ.
        MissingDataError: One of them is not there, or holds one class only.
    """
    if task.scores is not None and not has_images(task.data):
        return _Inputs(task.scores.stem, None, None, np.zeros(0, np.int64))
    dataset = open_dataset(task.data)
    rows = labelled_rows(dataset, task.split)
    if task.scores is not None or task.finder is None:
        name = "" if task.scores is None else task.scores.stem
        return _Inputs(name, None, dataset, rows)
    finder = load_finder(task.finder, device=torch_device(task.device), views=task.views)
    height, width = dataset.size
    finder.check(dataset.bands, dataset.pixel_scale, height=height, width=width)
    return _Inputs(repr(finder), finder, dataset, rows)


def _score(inputs: _Inputs, task: Evaluate) -> tuple[Scored, float]:
    """Score every image, or read its score; the time is that of scaling and network [ms]."""
    finder, dataset, rows = inputs.finder, inputs.dataset, inputs.rows
    if finder is None or dataset is None:
        return scored_from_file(task, dataset, rows), 0.0
    logits, seconds = logits_of_rows(finder, dataset, rows, task.batch_size)
    if not np.isfinite(logits).any():
        raise MissingDataError(f"no image of {dataset.path} has a good pixel in every band.")
    truth = {n: dataset.column(n)[rows] for n in _TRUTH_COLUMNS if n in dataset.columns()}
    labels = np.asarray(dataset.column("label"))[rows].astype(np.int64)
    scored = Scored(rows, logits, sigmoid(logits), labels, truth, finder.facts.threshold)
    if finder.facts.calibration is not None:
        calibration = Calibration.from_record(finder.facts.calibration)
        scored = replace(scored, p_lens=calibration.p_lens(logits, task.prevalence))
    return scored, 1e3 * seconds / len(rows)


def _of_calibration(
    inputs: _Inputs, good: Scored, how: Bootstrap, sky: Sky, run: RunDirectory
) -> Merits:
    """Return what came of the finder's promises, and draw the reliability of its probabilities."""
    record = None if inputs.finder is None else inputs.finder.facts.calibration
    if record is None:
        reason = "the finder is not calibrated: stronglens calibrate --finder … --data …"
        if inputs.finder is None:
            reason = "scores from a file come without a calibration"
        return Merits({}, {}, {"calibration": reason})
    title = f"{record['method']} calibration on {record['rows']}"
    checked = checked_reliability(good, how, sky, record)
    figure = reliability_figure(checked, title=title)
    figure.savefig(run.path / "figures" / "reliability.png")
    return calibrated_merits(good, how, sky, record, checked)


def _of_selection(inputs: _Inputs, good: Scored, task: Evaluate, run: RunDirectory) -> Merits:
    """Fit, write and draw the completeness of lenses at the threshold."""
    if inputs.dataset is None:
        return Merits({}, {}, {"selection": "labels alone say nothing of the lenses' properties"})
    lenses = good.labels == 1
    columns = selection_columns(inputs.dataset, good.rows[lenses])
    found = good.scores[lenses] > good.threshold
    facts = {"threshold": good.threshold, "finder": inputs.name, "data": str(task.data)}
    try:
        surface, compared = selection_of(columns, found, facts, task.seed)
    except MissingDataError as error:
        return Merits({}, {}, {"selection": str(error)})
    write_selection(run.path / SELECTION, surface, columns)
    names = [variable.name for variable in surface.variables[:2]]
    figure = selection_figure(
        completeness_map(surface, columns),
        np.stack([columns[name] for name in names]),
        title=f"P(found) above a score of {good.threshold:.3f}, other properties at their median",
    )
    figure.savefig(run.path / "figures" / "selection.png")
    usable = {v.name: columns[v.name] for v in surface.variables}
    finite = np.all([np.isfinite(values) for values in usable.values()], axis=0)
    whole = surface.mean({name: values[finite] for name, values in usable.items()})
    errors = cell_errors(compared)
    return Merits({}, {"selection": {"completeness": asdict(whole), **errors}}, {})


def _of_abstention(inputs: _Inputs, good: Scored) -> Merits:
    """Return the share of test images from which the finder abstains."""
    record = None if inputs.finder is None else inputs.finder.facts.abstention
    if record is None or inputs.finder is None or inputs.dataset is None:
        return Merits({}, {}, {})
    habit = Abstention.from_record(record)
    shares = []
    for start in range(0, len(good.rows), _CHUNK):
        images = inputs.dataset.images(good.rows[start : start + _CHUNK])
        planes = (images.flux, images.ivar, images.mask)
        shares.append(habit.unlikeness(inputs.finder, *planes)[0] > habit.threshold)
    abstained = np.concatenate(shares)
    lens = good.labels == 1
    facts = {
        "keep": habit.keep,
        "share_of_lenses": float(abstained[lens].mean()),
        "share_of_others": float(abstained[~lens].mean()),
    }
    return Merits({}, {"abstention": facts}, {})


def _draw(inputs: _Inputs, good: Scored, how: Bootstrap, run: RunDirectory) -> None:
    """Draw what there is to draw."""
    folder = run.path / "figures"
    name = inputs.finder.facts.network if inputs.finder is not None else inputs.name
    draw_figures(name, good, how, folder)
    if inputs.dataset is not None:
        draw_galleries(inputs.dataset, good, folder)
        if inputs.finder is not None:
            draw_feature_maps(inputs.finder, inputs.dataset, good, folder / "feature_maps.png")
