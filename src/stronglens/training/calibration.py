"""The work of the task Calibrate: a finder that gives probabilities, promises lists and abstains.

The maps are in `stronglens.finders.calibrate`, the promises in `stronglens.evaluation.conformal`,
the look at unusual images in `stronglens.finders.abstain`.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from stronglens.core.device import torch_device
from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.core.files import write_json
from stronglens.core.rundir import RunDirectory
from stronglens.core.seeds import numpy_generator
from stronglens.core.weights import WEIGHTS
from stronglens.data.store import Dataset, open_dataset
from stronglens.evaluation.conformal import ConformalList, conformal_list
from stronglens.evaluation.low_rates import threshold_at_fpr
from stronglens.evaluation.metrics import Bootstrap, refusal, roc_curve
from stronglens.evaluation.prevalence import Sky
from stronglens.evaluation.reliability import Reliability, reliability
from stronglens.finders import Finder, load_finder
from stronglens.finders.abstain import Abstention, fit_abstention
from stronglens.finders.calibrate import fit_calibration
from stronglens.plots.reliability import reliability_figure
from stronglens.training.calibrate_task import Calibrate, CalibrateResult
from stronglens.training.scoring import calibration_rows, logits_of_rows, sky_weights

PROMISES = (0.5, 0.8, 0.9, 0.95, 0.99)
"""Shares of lenses that lists promise, as far as there are lenses enough."""
RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""False-positive rates for which thresholds are kept, as far as there are negatives enough."""
_MOST_IMAGES = 4000
_FOLDS = 5


@dataclass(frozen=True)
class _Scores:
    """Finite logits of the calibration images."""

    rows: np.ndarray
    words: str
    logits: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None


def calibrate(task: Calibrate, run: RunDirectory) -> CalibrateResult:
    """Calibrate a finder on images of neither training nor test.

    Args:
        task: The settings.
        run: Where the calibrated weights, calibration.json and the figure go.

    Returns:
        The main numbers.
    """
    finder = load_finder(task.finder, device=torch_device(task.device))
    dataset = open_dataset(task.data)
    height, width = dataset.size
    finder.check(dataset.bands, dataset.pixel_scale, height=height, width=width)
    scores = _scores(finder, dataset, weighted=task.weighted)
    calibration = fit_calibration(
        scores.logits, scores.labels, task.method, weights=scores.weights, rows=scores.words
    )
    lists, thresholds, refused = _promises(scores)
    record = {
        **calibration.to_record(),
        "data": str(task.data),
        "lists": [asdict(one) for one in lists],
        "thresholds": thresholds,
    }
    abstention = _abstention(finder, dataset, scores, task, refused)
    finder.facts = replace(
        finder.facts,
        calibration=record,
        abstention=None if abstention is None else abstention.to_record(),
    )
    finder.save(run.path / WEIGHTS)
    checked = _cross_checked(scores, task)
    _report(run, task, record, checked, refused)
    run.log(f"{finder!r}: {task.method} on {len(scores.labels):,} images, {scores.words}")
    return CalibrateResult(
        path=run.path,
        method=task.method,
        rows=scores.words,
        n_positive=calibration.n_positive,
        n_negative=calibration.n_negative,
        slope=checked.slope,
        intercept=checked.intercept,
        abstain_above=None if abstention is None else abstention.threshold,
    )


def _report(
    run: RunDirectory,
    task: Calibrate,
    record: dict[str, Any],
    checked: Reliability,
    refused: dict[str, str],
) -> None:
    """Write calibration.json and draw the reliability on folds not fitted to."""
    sky = Sky(task.prevalence)
    lists = [ConformalList(**entry) for entry in record["lists"]]
    report = {
        **{name: record[name] for name in ("rows", "n_positive", "n_negative", "thresholds")},
        "prevalence": task.prevalence,
        "cross_checked": asdict(checked),
        "lists_per_million": {f"{one.promise:g}": asdict(one.length(sky)) for one in lists},
        "refused": refused,
    }
    write_json(run.path / "calibration.json", report)
    (run.path / "figures").mkdir(exist_ok=True)
    reliability_figure(checked).savefig(run.path / "figures" / "reliability.png")


def _scores(finder: Finder, dataset: Dataset, *, weighted: bool) -> _Scores:
    rows, words = calibration_rows(dataset)
    logits = logits_of_rows(finder, dataset, rows)[0].astype(np.float64)
    good = np.isfinite(logits)
    rows, logits = rows[good], logits[good]
    labels = np.asarray(dataset.column("label"), float)[rows].astype(np.int64)
    weights = sky_weights(dataset, rows) if weighted else None
    return _Scores(rows, words, logits, labels, weights)


def _promises(
    scores: _Scores,
) -> tuple[list[ConformalList], dict[str, float], dict[str, str]]:
    """Return lists and thresholds that the images support, and why others are not given."""
    lens, other = scores.logits[scores.labels == 1], scores.logits[scores.labels == 0]
    lists, refused = [], {}
    for promise in PROMISES:
        try:
            lists.append(conformal_list(lens, other, promise))
        except OutOfRangeError as error:
            refused[f"list_{promise:g}"] = str(error)
    roc = roc_curve(scores.logits, scores.labels)
    thresholds = {}
    for rate in RATES:
        reason = refusal(rate, len(other))
        if reason is None:
            thresholds[f"{rate:g}"] = threshold_at_fpr(roc, rate)
        else:
            refused[f"threshold_{rate:g}"] = reason
    return lists, {n: t for n, t in thresholds.items() if np.isfinite(t)}, refused


def _abstention(
    finder: Finder, dataset: Dataset, scores: _Scores, task: Calibrate, refused: dict[str, str]
) -> Abstention | None:
    """Return what is usual, or None and the reason among those refused."""
    order = numpy_generator(task.seed, "abstention").permutation(scores.rows)[:_MOST_IMAGES]
    # scattered rows are read one by one in any order, but cost most when sorted apart
    rows = np.sort(order)
    images = dataset.images(rows)
    mixed = numpy_generator(task.seed, "abstention order").permutation(len(rows))
    planes = [None if p is None else p[mixed] for p in (images.flux, images.ivar, images.mask)]
    try:
        return fit_abstention(finder, planes[0], planes[1], planes[2], keep=task.keep)  # type: ignore[arg-type]
    except MissingDataError as error:
        refused["abstention"] = str(error)
        return None


def _cross_checked(scores: _Scores, task: Calibrate) -> Reliability:
    """Reliability of maps fitted to other folds of the calibration images."""
    order = numpy_generator(task.seed, "calibration folds").permutation(len(scores.labels))
    fold = np.empty(len(order), int)
    for label in (0, 1):
        chosen = order[scores.labels[order] == label]
        fold[chosen] = np.arange(len(chosen)) % _FOLDS
    log_odds = np.empty(len(fold))
    for k in range(_FOLDS):
        inner, outer = fold != k, fold == k
        if not outer.any():
            continue
        weights = None if scores.weights is None else scores.weights[inner]
        fitted = fit_calibration(
            scores.logits[inner], scores.labels[inner], task.method, weights=weights
        )
        log_odds[outer] = fitted.log_odds(scores.logits[outer], task.prevalence)
    how = Bootstrap(task.seed, n=200)
    return reliability(log_odds, scores.labels, prevalence=task.prevalence, bootstrap=how)
