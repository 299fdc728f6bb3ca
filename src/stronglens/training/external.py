"""Scores that other code gave to our images, or to those of the challenge, ready to be judged.

Reading the tables is the business of `stronglens.data.challenge`.
"""

from pathlib import Path

import numpy as np
from scipy import special

from stronglens.core.errors import MissingDataError
from stronglens.data.challenge import (
    ScoreTable,
    read_challenge_labels,
    read_scores,
    rows_of_scores,
)
from stronglens.data.layout import IMAGES
from stronglens.data.store import Dataset
from stronglens.evaluation.metrics import best_threshold
from stronglens.finders import sigmoid
from stronglens.training.batches import labelled_rows
from stronglens.training.report import Scored
from stronglens.training.task import Evaluate

_TRUTH_COLUMNS = ("object_id", "theta_e", "arc_snr", "scene_class")
_CLOSEST = 1e-12


def has_images(path: Path) -> bool:
    """Whether a path is a dataset of ours, and not the labels of a challenge."""
    return (path / IMAGES).is_dir() or not path.exists()


def scored_from_file(task: Evaluate, dataset: Dataset | None, rows: np.ndarray) -> Scored:
    """Scores of a file beside the truth.

    The threshold is the best one on validation images if the file scores those too, by name; else
    a score of 0.5.

    Args:
        task: The settings.
        dataset: The dataset; None where the data are labels of a challenge.
        rows: Rows of it to judge.

    Raises:
        MissingDataError: An image has no score.
        WrongShapeError: The file has no names, and another number of rows.
    """
    if task.scores is None:
        raise MissingDataError("neither finder nor scores are given. Pass one of them.")
    table = read_scores(task.scores)
    source = str(task.scores)
    if dataset is None:
        labels = read_challenge_labels(task.data)
        scores = rows_of_scores(table, labels.object_id, source)
        truth = {"object_id": labels.object_id, **labels.truth}
        return _scored(np.arange(len(scores)), scores, labels.label, truth, table, 0.5)
    names = _names(dataset)
    scores = rows_of_scores(table, names[rows], source)
    truth = {n: dataset.column(n)[rows] for n in _TRUTH_COLUMNS if n in dataset.columns()}
    label = np.asarray(dataset.column("label"), float)[rows].astype(np.int64)
    threshold = 0.5 if task.split == "validation" else _threshold(table, dataset, names)
    return _scored(rows, scores, label, truth, table, threshold)


def _scored(
    rows: np.ndarray,
    values: np.ndarray,
    label: np.ndarray,
    truth: dict[str, np.ndarray],
    table: ScoreTable,
    threshold: float,
) -> Scored:
    logits = _logits(values, table).astype(np.float32)
    return Scored(rows, logits, sigmoid(logits), label, truth, threshold)


def _logits(values: np.ndarray, table: ScoreTable) -> np.ndarray:
    """Logits of scores; those of 0 and 1 are large and not infinite."""
    if table.is_logit:
        return values
    return special.logit(np.clip(values, _CLOSEST, 1 - _CLOSEST))


def _names(dataset: Dataset) -> np.ndarray:
    if "object_id" in dataset.columns():
        return np.asarray(dataset.column("object_id"), dtype=object)
    return np.arange(dataset.n).astype(str).astype(object)


def _threshold(table: ScoreTable, dataset: Dataset, names: np.ndarray) -> float:
    """Best threshold on validation images, or 0.5 where the file does not score them all."""
    if table.object_id is None or "split" not in dataset.columns():
        return 0.5
    if not (dataset.column("split") == "validation").any():
        return 0.5
    rows = labelled_rows(dataset, "validation")
    if not set(names[rows].astype(str)) <= set(table.object_id.astype(str)):
        return 0.5
    values = rows_of_scores(table, names[rows], "scores")
    good = np.isfinite(values)
    label = np.asarray(dataset.column("label"), float)[rows]
    return best_threshold(sigmoid(_logits(values[good], table)), label[good])
