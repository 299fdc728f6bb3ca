"""What becomes of lenses and others at one threshold.

Figures that need no threshold are in `metrics.py`.
"""

from dataclasses import dataclass

import numpy as np

from stronglens.evaluation.estimate import Estimate
from stronglens.evaluation.metrics import Labels, Scores, binomial_estimate, check_labels


@dataclass(frozen=True)
class Confusion:
    """Counts of the four outcomes at a threshold fixed beforehand."""

    threshold: float
    """Images with a score above it count as lenses."""
    true_positives: int
    """Lenses found."""
    false_negatives: int
    """Lenses missed."""
    false_positives: int
    """Others taken for lenses."""
    true_negatives: int
    """Others left alone."""

    @property
    def n(self) -> int:
        """Number of images."""
        return (
            self.true_positives + self.false_negatives + self.false_positives + self.true_negatives
        )

    def rates(self, level: float = 0.95) -> dict[str, Estimate]:
        """Probabilities of right and wrong classification, with exact binomial intervals.

        Args:
            level: Probability that an interval holds.

        Returns:
            accuracy; p_right_lens and p_wrong_lens, of a lens; p_right_other and p_wrong_other, of
            another image.
        """
        right, wrong = self.true_positives, self.false_negatives
        kept, taken = self.true_negatives, self.false_positives
        return {
            "accuracy": binomial_estimate(right + kept, self.n, level),
            "p_right_lens": binomial_estimate(right, right + wrong, level),
            "p_wrong_lens": binomial_estimate(wrong, right + wrong, level),
            "p_right_other": binomial_estimate(kept, kept + taken, level),
            "p_wrong_other": binomial_estimate(taken, kept + taken, level),
        }


def confusion(scores: Scores, labels: Labels, threshold: float = 0.5) -> Confusion:
    """Count the four outcomes.

    Args:
        scores: Scores.
        labels: 1 for lenses, 0 for others.
        threshold: Images with a score above it count as lenses.

    Returns:
        The counts.
    """
    lens = check_labels(scores, labels)
    found = scores > threshold
    return Confusion(
        threshold=threshold,
        true_positives=int(np.count_nonzero(found & lens)),
        false_negatives=int(np.count_nonzero(~found & lens)),
        false_positives=int(np.count_nonzero(found & ~lens)),
        true_negatives=int(np.count_nonzero(~found & ~lens)),
    )
