"""Logits of rows of a dataset, read in parts, and the rows on which a finder may be calibrated.

What is done with them is in `evaluate.py`, `calibration.py` and `shortcuts.py`.
"""

import hashlib
import time

import numpy as np
from jaxtyping import Bool, Float

from stronglens.core.errors import MissingDataError
from stronglens.data.store import Dataset
from stronglens.finders import Finder
from stronglens.training.batches import labelled_rows

CALIBRATION = "calibration"
"""Name of a split kept for calibration, where a dataset has one."""
FEWEST_PER_CLASS = 20
"""Lenses, and others, from which on a calibration makes sense."""
_CHUNK = 2000


def logits_of_rows(
    finder: Finder, dataset: Dataset, rows: np.ndarray, batch_size: int = 256
) -> tuple[np.ndarray, float]:
    """Logits of some rows, and the time that scaling and network took, without reading [s].

    Args:
        finder: A finder that fits the dataset.
        dataset: Where the images are.
        rows: Which of them.
        batch_size: Images per pass.

    Returns:
        A logit per row, NaN where a band has no good pixel; seconds.
    """
    logits, seconds = [np.zeros(0, np.float32)], 0.0
    for start in range(0, len(rows), _CHUNK):
        images = dataset.images(rows[start : start + _CHUNK])
        if start == 0:
            finder(images.flux[:1])  # the first pass through a network is slower
        began = time.perf_counter()
        planes = (images.flux, images.ivar, images.mask)
        logits.append(finder.logits(*planes, batch_size=batch_size))
        seconds += time.perf_counter() - began
    return np.concatenate(logits), seconds


def calibration_rows(dataset: Dataset) -> tuple[np.ndarray, str]:
    """Labelled rows for calibration, and what they are in words: no training image, no test image.

    They are the split `calibration` where the dataset has one; else the half of the validation
    split that a hash of the group's name picks, the other half being left for choosing the epoch
    and the threshold.

    Raises:
        MissingDataError: There are none, or too few to share the validation split.
    """
    split = dataset.column("split") if "split" in dataset.columns() else np.empty(0, object)
    if (split == CALIBRATION).any():
        rows, words = np.flatnonzero(split == CALIBRATION), "split 'calibration'"
        label = np.asarray(dataset.column("label"), float)[rows]
        rows = rows[(label == 1) | (label == 0)]
    else:
        rows = labelled_rows(dataset, "validation")
        rows = rows[is_calibration_half(dataset, rows)]
        words = "half of the validation split, by a hash of the group"
    if not _is_enough(dataset, rows):
        n_lenses = int((np.asarray(dataset.column("label"), float)[rows] == 1).sum())
        raise MissingDataError(
            f"{words} of {dataset.path} holds {n_lenses} lenses and {len(rows) - n_lenses} others; "
            f"{FEWEST_PER_CLASS} of each are needed to calibrate. Use more images."
        )
    return rows, words


def stopping_rows(dataset: Dataset) -> np.ndarray:
    """Labelled validation rows on which a training chooses its epoch and its threshold.

    They are those that `calibration_rows` leaves; all of them where these are too few to share.
    """
    rows = labelled_rows(dataset, "validation")
    if (dataset.column("split") == CALIBRATION).any():
        return rows
    is_kept = is_calibration_half(dataset, rows)
    shared = _is_enough(dataset, rows[is_kept]) and _is_enough(dataset, rows[~is_kept])
    return rows[~is_kept] if shared else rows


def _is_enough(dataset: Dataset, rows: np.ndarray) -> bool:
    label = np.asarray(dataset.column("label"), float)[rows]
    return min(int((label == 1).sum()), int((label == 0).sum())) >= FEWEST_PER_CLASS


def is_calibration_half(dataset: Dataset, rows: np.ndarray) -> Bool[np.ndarray, " rows"]:
    """Whether each row's group is in the half kept for calibration, for ever."""
    columns = dataset.columns()
    name = next((n for n in ("group_id", "object_id") if n in columns), None)
    keys = rows if name is None else dataset.column(name)[rows]
    digests = [hashlib.sha256(f"calibration half:{key}".encode()).digest() for key in keys]
    return np.array([digest[0] % 2 == 0 for digest in digests], dtype=bool)


def sky_weights(dataset: Dataset, rows: np.ndarray) -> Float[np.ndarray, " rows"]:
    """Weights of rows to the sky's prior; NaN where the truth table has none for an image.

    Raises:
        MissingDataError: The dataset has no column of weights.
    """
    if "weight" not in dataset.columns():
        raise MissingDataError(
            f"{dataset.path} has no truth column 'weight'. Calibrate without weights, or simulate "
            "with a prior other than the sky's, which writes them."
        )
    return np.asarray(dataset.column("weight"), float)[rows]
