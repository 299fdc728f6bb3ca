"""Verdicts on targets: logits, scores, probabilities, and which get none.

How targets come to the finder's pixels is in `scanning.tile_view`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Shaped
from scipy.special import expit

from stronglens.data.targets import TargetStatus
from stronglens.finders.abstain import Abstention
from stronglens.finders.calibrate import Calibration
from stronglens.finders.finder import Finder
from stronglens.scanning.score import has_noise
from stronglens.scanning.tile_view import Seen

ABSTAIN = "abstain"
"""Status of a target that is unlike the training images."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """What the finder says of some targets."""

    score: Float64[np.ndarray, "n"]
    """Sigmoid of the logit; NaN where there is none."""
    logit: Float64[np.ndarray, "n"]
    """Raw output of the finder."""
    log_odds: Float64[np.ndarray, "n"]
    """Calibrated for the prevalence; NaN where the finder is not calibrated."""
    p_lens: Float64[np.ndarray, "n"]
    """Probability of that."""
    status: Shaped[np.ndarray, "n"]
    """As in `TargetStatus`, or abstain."""
    reason: Shaped[np.ndarray, "n"]
    """Why there is no verdict."""


class Judge:
    """A finder with its calibration and its sense of the unusual.

    Args:
        finder: The finder.
        prevalence: Lenses over all targets.
        abstain: Whether targets unlike the training images get no verdict.
    """

    def __init__(self, finder: Finder, *, prevalence: float, abstain: bool) -> None:
        self.finder = finder
        self.prevalence = prevalence
        self.calibration = calibration_of(finder)
        kept = finder.facts.abstention if abstain else None
        self.abstention = None if kept is None else Abstention.from_record(kept)

    def __call__(self, seen: Seen) -> Verdict:
        """Judge targets; those that cannot be used keep their status and have no score."""
        status, reason = seen.status.copy(), seen.reason.copy()
        usable = np.flatnonzero(status == TargetStatus.OK)
        logit = np.full(len(status), np.nan)
        is_noise_known = has_noise(seen.ivar[usable], seen.mask[usable])
        # a batch either has a noise map for every image or for none
        for with_noise in (True, False):
            rows = usable[is_noise_known == with_noise]
            if len(rows):
                logit[rows] = self._logits(seen, rows, with_noise=with_noise)
        nothing = usable[~np.isfinite(logit[usable])]
        status[nothing] = str(TargetStatus.FAILED)
        reason[nothing] = "the finder gave no number for this image. Look at its pixels."
        self._abstain(seen, status, reason)
        odds = np.full(len(logit), np.nan)
        if self.calibration is not None:
            odds = np.asarray(self.calibration.log_odds(logit, self.prevalence), np.float64)
        return Verdict(
            np.asarray(expit(logit)), logit, odds, np.asarray(expit(odds)), status, reason
        )

    def _logits(self, seen: Seen, rows: np.ndarray, *, with_noise: bool) -> np.ndarray:
        ivar = seen.ivar[rows] if with_noise else None
        return self.finder.logits(seen.flux[rows], ivar, seen.mask[rows], batch_size=len(rows))

    def _abstain(self, seen: Seen, status: np.ndarray, reason: np.ndarray) -> None:
        rows = np.flatnonzero(status == TargetStatus.OK)
        if self.abstention is None or not len(rows):
            return
        unlike, number = self.abstention.unlikeness(
            self.finder, seen.flux[rows], seen.ivar[rows], seen.mask[rows]
        )
        is_unlike = unlike > self.abstention.threshold
        status[rows[is_unlike]] = ABSTAIN
        for row, amount, name in zip(
            rows[is_unlike], unlike[is_unlike], number[is_unlike], strict=True
        ):
            reason[row] = f"unlike the training images: {name} is {amount:.1f} from usual"


def calibration_of(finder: Finder) -> Calibration | None:
    """Calibration that came with a finder, None where it has none."""
    record = finder.facts.calibration
    return None if record is None else Calibration.from_record(record)
