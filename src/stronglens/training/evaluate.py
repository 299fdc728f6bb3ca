"""The work of the task Evaluate: score images not seen in training, and say how good that is.

The numbers come from `stronglens.evaluation`, the pictures from `stronglens.plots`.
"""

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stronglens.core.device import torch_device
from stronglens.core.errors import MissingDataError
from stronglens.core.files import write_json
from stronglens.core.rundir import RunDirectory
from stronglens.data.catalog import write_table
from stronglens.data.store import Dataset, open_dataset
from stronglens.evaluation.confusion import Confusion, confusion
from stronglens.evaluation.estimate import Estimate
from stronglens.evaluation.metrics import (
    Bootstrap,
    auroc_of,
    binomial_estimate,
    estimates,
    over_tenths,
    refusal,
    tpr0,
    tpr10,
    tpr_at_fpr,
)
from stronglens.finders import Finder, load_finder, sigmoid
from stronglens.training.batches import labelled_rows
from stronglens.training.report import Scored, draw_figures
from stronglens.training.task import Evaluate, EvaluateResult

RATES = (1e-1, 1e-2, 1e-3)
"""False-positive rates at which the true-positive rate is stated, if the test set allows."""
_TRUTH_COLUMNS = ("object_id", "theta_e", "arc_snr", "scene_class")
_CHUNK = 2000


@dataclass(frozen=True)
class _Inputs:
    """What is judged on what."""

    finder: Finder
    dataset: Dataset
    rows: np.ndarray


def evaluate(task: Evaluate, run: RunDirectory) -> EvaluateResult:
    """Judge a finder.

    Args:
        task: The settings.
        run: Where metrics.json, scores.parquet and figures go.

    Returns:
        The main numbers.
    """
    inputs = open_inputs(task)
    scored, ms_per_image = _score(inputs, task)
    how = Bootstrap(task.seed, task.n_bootstrap, task.level)
    is_scored = np.isfinite(scored.logits)
    good = scored.only(is_scored)
    run.log(f"{inputs.finder!r}: {len(good.labels):,} images scored, {ms_per_image:.3f} ms each")
    values, refused = _metrics(good, how)
    matrices = [confusion(good.scores, good.labels, t) for t in (0.5, good.threshold)]
    facts: dict[str, Any] = {
        "n_positive": int((good.labels == 1).sum()),
        "n_negative": int((good.labels == 0).sum()),
        "n_failed": int((~is_scored).sum()),
        "ms_per_image": ms_per_image,
        "level": task.level,
    }
    record = {
        **{name: asdict(value) for name, value in values.items()},
        **_threshold_facts(matrices, task.level),
        "called_lens": _by_class(good, task.level),
        **facts,
        "refused": refused,
        "intervals": _INTERVALS,
    }
    write_json(run.path / "metrics.json", record)
    write_table(run.path / "scores.parquet", scored.columns())
    draw_figures(inputs.finder, inputs.dataset, good, how, run.path / "figures")
    return EvaluateResult(
        path=run.path,
        n_positive=facts["n_positive"],
        n_negative=facts["n_negative"],
        accuracy=values["accuracy"],
        auroc=values["auroc"],
        tpr0=values["tpr0"],
        tpr10=values["tpr10"],
        ms_per_image=ms_per_image,
    )


_INTERVALS = {
    "accuracy": "Clopper-Pearson, threshold fixed at a score of 0.5",
    "accuracy_at_threshold": "Clopper-Pearson, threshold chosen on validation images",
    "p_*": "Clopper-Pearson, threshold fixed at a score of 0.5",
    "called_lens": "Clopper-Pearson, share of each class of scenes above a score of 0.5",
    "auroc, tpr_at_fpr_*": "percentile bootstrap, lenses and others resampled apart",
    "tpr0, tpr10": "range over ten disjoint tenths of the negatives, and the value on all of them",
}


def open_inputs(task: Evaluate) -> _Inputs:
    """Open finder and dataset and make sure that they fit.

    Raises:
        WrongShapeError: Bands, pixel scale or size differ.
        MissingDataError: One of them is not there, or holds one class only.
    """
    finder = load_finder(task.finder, device=torch_device(task.device))
    dataset = open_dataset(task.data)
    height, width = dataset.size
    finder.check(dataset.bands, dataset.pixel_scale, height=height, width=width)
    return _Inputs(finder, dataset, labelled_rows(dataset, task.split))


def _score(inputs: _Inputs, task: Evaluate) -> tuple[Scored, float]:
    """Score every image; the time is that of scaling and network, without reading."""
    finder, dataset, rows = inputs.finder, inputs.dataset, inputs.rows
    logits, seconds = [], 0.0
    for start in range(0, len(rows), _CHUNK):
        images = dataset.images(rows[start : start + _CHUNK])
        if start == 0:
            finder(images.flux[:1])  # the first pass through a network is slower
        began = time.perf_counter()
        planes = (images.flux, images.ivar, images.mask)
        logits.append(finder.logits(*planes, batch_size=task.batch_size))
        seconds += time.perf_counter() - began
    joined = np.concatenate(logits)
    if not np.isfinite(joined).any():
        raise MissingDataError(f"no image of {dataset.path} has a good pixel in every band.")
    truth = {n: dataset.column(n)[rows] for n in _TRUTH_COLUMNS if n in dataset.columns()}
    labels = np.asarray(dataset.column("label"))[rows].astype(np.int64)
    scored = Scored(rows, joined, sigmoid(joined), labels, truth, finder.facts.threshold)
    return scored, 1e3 * seconds / len(rows)


def _metrics(good: Scored, how: Bootstrap) -> tuple[dict[str, Estimate], dict[str, str]]:
    """Return every metric with its interval, and the reasons why some are not stated."""
    scores, labels = good.logits, good.labels
    n_negative = int((labels == 0).sum())
    reasons = {f"tpr_at_fpr_{rate:g}": refusal(rate, n_negative) for rate in RATES}
    stated = {f"tpr_at_fpr_{rate:g}": tpr_at_fpr(rate) for rate in RATES}
    drawn = {"auroc": auroc_of}
    drawn |= {name: metric for name, metric in stated.items() if reasons[name] is None}
    values = estimates(drawn, scores, labels, how)
    fixed = confusion(good.scores, labels, 0.5).rates(how.level)
    extremes = {
        name: over_tenths(metric, scores, labels, seed=how.seed)
        for name, metric in (("tpr0", tpr0), ("tpr10", tpr10))
    }
    refused = {name: reason for name, reason in reasons.items() if reason is not None}
    return {**fixed, **values, **extremes}, refused


def _by_class(good: Scored, level: float) -> dict[str, dict[str, float]]:
    """Return the share of each class of scenes that is called a lens, groups among them."""
    kinds = good.truth.get("scene_class", np.empty(0))
    called = good.scores >= 0.5
    shares = {}
    for kind in sorted(set(kinds)):
        rows = kinds == kind
        share = binomial_estimate(int(called[rows].sum()), int(rows.sum()), level)
        shares[str(kind)] = {**asdict(share), "n": int(rows.sum())}
    return shares


def _threshold_facts(matrices: list[Confusion], level: float) -> dict[str, Any]:
    """Return both confusion matrices, and the rates at the threshold chosen on validation."""
    half, chosen = matrices
    return {
        "confusion": asdict(half),
        "confusion_at_threshold": asdict(chosen),
        "accuracy_at_threshold": asdict(chosen.rates(level)["accuracy"]),
        "threshold": chosen.threshold,
    }
