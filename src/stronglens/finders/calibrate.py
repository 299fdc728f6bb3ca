"""From logits to probabilities for a stated prevalence: temperature, beta and isotonic maps.

Whether the probabilities hold is measured in `stronglens.evaluation.reliability`; on which images
a map is fitted, in `stronglens.training.calibration`.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import optimize, special

from stronglens.core.errors import MissingDataError, OutOfRangeError, WrongShapeError
from stronglens.core.registry import Registry

MOST_EXTREME = 60.0
"""Largest log-odds before a change of prevalence."""
_PRIOR_OF_SLOPE = 2.0
_PRIOR_OF_OFFSET = 5.0
_TEMPERATURES = (0.05, 20.0)

Logits = Float[np.ndarray, "n"]


@dataclass(frozen=True)
class Calibration:
    """A rising map from logits to log-odds, and the mixture of images for which it was found."""

    method: str
    """Name of the map."""
    parameters: tuple[float, ...]
    """Its numbers: 1 / temperature; or a, b, c of the beta map; none for isotonic."""
    prior: float
    """Share of lenses among the images of the fit."""
    n_positive: int
    """Lenses of the fit."""
    n_negative: int
    """Others of the fit."""
    knots: tuple[tuple[float, float], ...] = ()
    """Logit and log-odds between which the isotonic map is straight, rising."""
    rows: str = ""
    """Which images the fit used, in words."""
    is_weighted: bool = False
    """Whether images counted by the sky's prior."""

    def log_odds(
        self, logits: Float[np.ndarray, "*shape"], prevalence: float | None = None
    ) -> Float[np.ndarray, "*shape"]:
        """Log-odds of being a lens.

        Args:
            logits: Raw outputs of the finder.
            prevalence: Lenses over all objects among which these are; by default as in the fit.

        Returns:
            Log-odds; NaN where a logit is.

        Raises:
            OutOfRangeError: The prevalence is no share.

        Reference:
            Saerens, Latinne & Decaestecker 2002, Neural Computation 14, 21, equation 2.4, for the
            change of prior, in log-odds.
        """
        values = maps.get(self.method).apply(self, np.asarray(logits, np.float64))
        mapped = np.clip(values, -MOST_EXTREME, MOST_EXTREME)
        if prevalence is None:
            return mapped
        if not 0 < prevalence < 1:
            raise OutOfRangeError(
                f"prevalence={prevalence:g} is no share of lenses. Allowed: (0, 1), such as 1e-3."
            )
        return mapped + float(special.logit(prevalence) - special.logit(self.prior))

    def p_lens(
        self, logits: Float[np.ndarray, "*shape"], prevalence: float | None = None
    ) -> Float[np.ndarray, "*shape"]:
        """Probability of being a lens, at a prevalence; see `log_odds`."""
        return special.expit(self.log_odds(logits, prevalence))

    def to_record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {**asdict(self), "knots": [list(knot) for knot in self.knots]}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Calibration":
        """Build a map from what `to_record` returned; other entries are left alone."""
        own = {f.name: record[f.name] for f in fields(cls) if f.name in record}
        own["parameters"] = tuple(own["parameters"])
        own["knots"] = tuple((float(x), float(y)) for x, y in own.get("knots", ()))
        return cls(**own)


@dataclass(frozen=True)
class Sample:
    """Logits with labels, each counted by its weight."""

    logits: Logits
    """Finite logits."""
    lens: Bool[np.ndarray, "n"]
    """Whether each is a lens."""
    weights: Float[np.ndarray, "n"]
    """Weights whose mean is 1 in each class."""


@dataclass(frozen=True)
class Map:
    """How one kind of map is fitted and applied."""

    fit: Callable[[Sample], tuple[tuple[float, ...], tuple[tuple[float, float], ...]]]
    """Parameters and knots of a sample."""
    apply: Callable[[Calibration, np.ndarray], np.ndarray]
    """Log-odds of logits."""


maps: Registry[Map] = Registry("calibration")
"""Kinds of maps by name."""


def fit_calibration(
    logits: Logits,
    labels: Float[np.ndarray, "label"] | np.ndarray,
    method: str = "beta",
    *,
    weights: Float[np.ndarray, "n"] | None = None,
    rows: str = "",
) -> Calibration:
    """Find the map from logits to log-odds on images used for neither training nor test.

    Args:
        logits: Raw outputs of the finder.
        labels: 1 for lenses, 0 for others.
        method: temperature, beta or isotonic.
        weights: Density of images on the sky over that drawn from; they count within each class.
        rows: Which images these are, in words.

    Returns:
        The map.

    Raises:
        UnknownNameError: There is no such map.
        WrongShapeError: Lengths differ, or a logit is not finite.
        MissingDataError: One of the classes is missing.
    """
    kind = maps.get(method)
    sample = _sample(logits, np.asarray(labels), weights)
    parameters, knots = kind.fit(sample)
    return Calibration(
        method=method,
        parameters=parameters,
        prior=float(sample.lens.mean()),
        n_positive=int(sample.lens.sum()),
        n_negative=int((~sample.lens).sum()),
        knots=knots,
        rows=rows,
        is_weighted=weights is not None,
    )


def class_weights(
    weights: Float[np.ndarray, "n"] | None, lens: Bool[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Weights with mean 1 in each class; those that are not known become 1.

    Raises:
        WrongShapeError: A weight is below 0, or all of a class are 0.
    """
    even = np.ones(len(lens))
    if weights is None:
        return even
    if (weights < 0).any():
        raise WrongShapeError("some weights are below 0. A weight is a density ratio, 0 or more.")
    for rows in (lens, ~lens):
        known = rows & np.isfinite(weights)
        if known.any():
            total = float(weights[known].mean())
            if total <= 0:
                raise WrongShapeError("all weights of a class are 0. Leave the weights out.")
            even[known] = weights[known] / total
    return even


def _sample(logits: Logits, labels: np.ndarray, weights: np.ndarray | None) -> Sample:
    if logits.shape != labels.shape or (weights is not None and weights.shape != logits.shape):
        raise WrongShapeError(
            f"{len(logits)} logits, {len(labels)} labels and "
            f"{'no' if weights is None else len(weights)} weights. Pass one of each an image."
        )
    if not np.isfinite(logits).all():
        raise WrongShapeError("some logits are not finite. Leave those images out.")
    lens = labels == 1
    if lens.all() or not lens.any():
        raise MissingDataError(
            f"{int(lens.sum())} lenses among {len(lens)} images cannot calibrate. Both classes "
            "are needed."
        )
    return Sample(np.asarray(logits, np.float64), lens, class_weights(weights, lens))


def _loss(eta: np.ndarray, sample: Sample) -> float:
    """Log loss of log-odds."""
    return float((sample.weights * (np.logaddexp(0.0, eta) - sample.lens * eta)).sum())


def _fit_temperature(sample: Sample) -> tuple[tuple[float, ...], tuple[tuple[float, float], ...]]:
    """Guo et al. 2017, ICML, section 4.2: one number divides all logits."""

    def loss(log_temperature: float) -> float:
        prior = 0.5 * log_temperature**2
        return _loss(sample.logits * np.exp(-log_temperature), sample) + prior

    low, high = np.log(_TEMPERATURES)
    found = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded")
    return (float(np.exp(-found.x)),), ()  # type: ignore[union-attr]


def _fit_beta(sample: Sample) -> tuple[tuple[float, ...], tuple[tuple[float, float], ...]]:
    """Kull, Silva Filho & Flach 2017, AISTATS, section 3: slopes a and b of the two tails, c.

    A weak prior about a = b = 1 and c = 0 keeps classes that do not overlap from endless slopes.
    """
    low, high = _tails(sample.logits)

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        eta = values[0] * low + values[1] * high + values[2]
        wrong = sample.weights * (special.expit(eta) - sample.lens)
        slopes = (values[:2] - 1) / _PRIOR_OF_SLOPE**2
        offset = values[2] / _PRIOR_OF_OFFSET**2
        prior = 0.5 * float((slopes * (values[:2] - 1)).sum() + offset * values[2])
        gradient = np.array([wrong @ low, wrong @ high, wrong.sum()])
        return _loss(eta, sample) + prior, gradient + np.array([*slopes, offset])

    bounds = [(0.0, None), (0.0, None), (None, None)]
    found = optimize.minimize(loss, np.array([1.0, 1.0, 0.0]), jac=True, bounds=bounds)
    a, b, c = (float(value) for value in found.x)
    return (a, b, c), ()


def _fit_isotonic(sample: Sample) -> tuple[tuple[float, ...], tuple[tuple[float, float], ...]]:
    """Zadrozny & Elkan 2002, KDD, section 3: steps; half a lens and half another added to each.

    Without these halves the outer steps would claim certainty. Between the middles of the steps
    the map is straight in log-odds, outside it stays level.
    """
    values, group = np.unique(sample.logits, return_inverse=True)
    total = np.bincount(group, weights=sample.weights)
    lenses = np.bincount(group, weights=sample.weights * sample.lens)
    used = total > 0
    values, total, lenses = values[used], total[used], lenses[used]
    blocks = optimize.isotonic_regression(lenses / total, weights=total).blocks
    starts = blocks[:-1]
    n = np.add.reduceat(total, starts)
    share = (np.add.reduceat(lenses, starts) + 0.5) / (n + 1.0)
    middle = np.add.reduceat(values * total, starts) / n
    # small outer steps may have been pulled below their neighbours
    level = optimize.isotonic_regression(share, weights=n).x
    pairs = zip(middle, special.logit(level), strict=True)
    return (), tuple((float(x), float(y)) for x, y in pairs)


def _apply_temperature(calibration: Calibration, logits: np.ndarray) -> np.ndarray:
    return calibration.parameters[0] * logits


def _apply_beta(calibration: Calibration, logits: np.ndarray) -> np.ndarray:
    a, b, c = calibration.parameters
    low, high = _tails(logits)
    return a * low + b * high + c


def _apply_isotonic(calibration: Calibration, logits: np.ndarray) -> np.ndarray:
    x, y = np.array(calibration.knots).T
    return np.where(np.isnan(logits), np.nan, np.interp(logits, x, y))


def _tails(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms ln s and -ln(1 - s) of the score s, each straight in one tail of the logit."""
    with np.errstate(invalid="ignore"):  # NaN is an answer, not a mistake
        return -np.logaddexp(0.0, -logits), np.logaddexp(0.0, logits)


maps.register("temperature")(Map(_fit_temperature, _apply_temperature))
maps.register("beta")(Map(_fit_beta, _apply_beta))
maps.register("isotonic")(Map(_fit_isotonic, _apply_isotonic))
