"""Logistic regression on features: the last step of finders that are no networks.

What the features are is decided where the finder is.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

MOST_STEPS = 1000
"""Steps after which a fit is taken as it is."""


@dataclass(frozen=True)
class LinearLogit:
    """A logit that is a weighted sum of features."""

    weight: Float32[np.ndarray, "feature"]
    """Weight of each feature."""
    bias: float
    """Logit where all features are 0."""
    has_converged: bool
    """Whether the fit ended by itself."""

    def __call__(self, features: Float32[np.ndarray, "n feature"]) -> Float32[np.ndarray, "n"]:
        """Logits of features."""
        return features @ self.weight + np.float32(self.bias)


def fit_logits(
    features: Float32[np.ndarray, "n feature"],
    label: Float[np.ndarray, "n"],
    strengths: Sequence[float],
) -> list[LinearLogit]:
    """Fit logits whose weights are held down by a penalty, for several strengths of the data.

    Args:
        features: Features of the training images.
        label: 1 for lenses, 0 for others.
        strengths: Inverse strengths of the penalty (C of scikit-learn), best in rising order,
            since each fit starts from the one before.

    Returns:
        One logit per strength.
    """
    regression = LogisticRegression(max_iter=MOST_STEPS, warm_start=True)
    logits = []
    with warnings.catch_warnings():
        # whether a fit has ended by itself is part of what is returned
        warnings.simplefilter("ignore", ConvergenceWarning)
        for strength in strengths:
            regression.set_params(C=strength).fit(features, label)
            steps = int(np.max(regression.n_iter_))
            weight = np.asarray(regression.coef_[0], dtype=np.float32)
            bias = float(np.ravel(regression.intercept_)[0])
            logits.append(LinearLogit(weight, bias, steps < MOST_STEPS))
    return logits


def auroc(logits: Float[np.ndarray, "n"], label: Float[np.ndarray, "n"]) -> float:
    """Area under the ROC curve; 0.5 where only one class is there."""
    if len(np.unique(label)) < 2:
        return 0.5
    return float(roc_auc_score(label, logits))
