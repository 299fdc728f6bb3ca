"""False positives that several finders share: members that err alike gain little from each other.

Scores in, numbers out; how members are combined is the business of others.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from stronglens.core.errors import OutOfRangeError
from stronglens.evaluation.low_rates import threshold_at_fpr
from stronglens.evaluation.metrics import Labels, refusal, roc_curve


@dataclass(frozen=True)
class Overlap:
    """Which false positives of each finder are those of the others too."""

    rate: float
    """False-positive rate at which every finder has its own threshold."""
    share: Float[np.ndarray, "member member"]
    """Share of the row's false positives that the column has too; NaN where the row has none."""
    n_false: Int[np.ndarray, "member"]
    """False positives of each finder."""


def shared_false_positives(
    scores: Float[np.ndarray, "member n"], labels: Labels, rate: float
) -> Overlap:
    """Matrix of shared false positives at one rate; independent finders share about the rate.

    Args:
        scores: Scores or logits of each finder on the same images.
        labels: 1 for lenses, 0 for others.
        rate: False-positive rate of every finder.

    Returns:
        The matrix.

    Raises:
        OutOfRangeError: There are too few negatives for that rate.
    """
    negative = np.asarray(labels) != 1
    reason = refusal(rate, int(negative.sum()))
    if reason is not None:
        raise OutOfRangeError(f"{reason}.")
    found = np.stack(
        [row[negative] >= threshold_at_fpr(roc_curve(row, labels), rate) for row in scores]
    )
    shared = found.astype(float) @ found.T.astype(float)
    n_false = np.diag(shared)
    share = np.full_like(shared, np.nan)
    np.divide(shared, n_false[:, None], out=share, where=n_false[:, None] > 0)
    return Overlap(rate, share, n_false.astype(np.int64))
