"""Fitting a selection function to lenses that were found and lenses that were missed.

The surface itself is in `selection.py`.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import linalg, special

from stronglens.core.errors import MissingDataError, WrongShapeError
from stronglens.core.seeds import numpy_generator
from stronglens.evaluation.selection import Columns, Selection, Variable, basis_at

FEWEST_LENSES = 100
"""Lenses from which on a surface is fitted."""
LENGTH_SCALES = (1.0, 1.7, 3.0)
"""Lengths tried for all variables together."""
STRETCHES = (0.5, 2.0)
"""Factors tried on the length of one variable after another."""
AMPLITUDES = (0.5, 1.0, 2.0, 4.0)
"""Sizes tried of the smooth part [log-odds]."""
_PRIOR_OF_CONSTANT = 5.0
_PRIOR_OF_LINE = 3.0
_MOST_TO_CHOOSE_BY = 10_000
_ROUNDS = 2
_INDIFFERENT = 2.0  # difference in log evidence that tells nothing
_ITERATIONS = 60
_HALVINGS = 30


@dataclass(frozen=True)
class Shape:
    """What a fit does not find by itself."""

    is_logarithmic: Mapping[str, bool]
    """Variables of the surface, and whether the logarithm of each counts."""
    n_centers: int = 64
    """Centres of the smooth part."""
    seed: int = 1
    """Seed of their draw."""


@dataclass(frozen=True)
class _Fit:
    """Weights at the top of the posterior, its width, and how probable the data are."""

    weights: Float[np.ndarray, "basis"]
    covariance: Float[np.ndarray, "basis basis"]
    log_evidence: float


def fit_selection(
    columns: Columns,
    found: Bool[np.ndarray, "lens"],
    shape: Shape,
    facts: dict[str, Any] | None = None,
) -> Selection:
    """Fit the completeness surface; its smoothness is what makes the data most probable.

    Args:
        columns: Properties of lenses, finite, and above 0 where the logarithm counts.
        found: Whether each lens was found.
        shape: Variables and size of the surface.
        facts: Of which finder, dataset and threshold it is; kept with it.

    Returns:
        The surface. Its interval is Laplace's: normal in the log-odds about the most probable.

    Raises:
        MissingDataError: There are fewer than 100 lenses, or a variable is missing.
        WrongShapeError: Lengths differ, or a value cannot be used.

    Reference:
        Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, section 3.4 and
        equation 3.32, for Laplace's method and the evidence.
    """
    _check(columns, found, shape)
    variables = tuple(
        Variable.of(name, np.asarray(columns[name], float), is_logarithmic=logarithmic)
        for name, logarithmic in shape.is_logarithmic.items()
    )
    scaled = np.stack([v.scaled(np.asarray(columns[v.name], float)) for v in variables], axis=1)
    generator = numpy_generator(shape.seed, "selection centres")
    centers = _spread(scaled, min(shape.n_centers, len(scaled)), generator)
    few = generator.permutation(len(scaled))[:_MOST_TO_CHOOSE_BY]

    def log_evidence(lengths: tuple[float, ...], amplitude: float) -> float:
        basis = basis_at(scaled[few], centers, lengths, amplitude)
        return _fit(basis, found[few], len(variables)).log_evidence

    lengths, amplitude = _smoothness(log_evidence, len(variables))
    basis = basis_at(scaled, centers, lengths, amplitude)
    fitted = _fit(basis, found, len(variables))
    return Selection(
        variables=variables,
        centers=centers,
        length_scales=lengths,
        amplitude=amplitude,
        weights=fitted.weights,
        covariance=fitted.covariance,
        n=len(found),
        n_found=int(found.sum()),
        facts=dict(facts or {}),
    )


def with_facts(selection: Selection, **facts: Any) -> Selection:  # noqa: ANN401 - facts are free
    """Return the same surface with more said about it."""
    return replace(selection, facts={**selection.facts, **facts})


def _check(columns: Columns, found: np.ndarray, shape: Shape) -> None:
    for name, logarithmic in shape.is_logarithmic.items():
        if name not in columns:
            raise MissingDataError(f"column '{name}' is missing. Give every variable of the shape.")
        values = np.asarray(columns[name], float)
        if values.shape != found.shape:
            raise WrongShapeError(
                f"column '{name}' has {len(values)} values for {len(found)} lenses. Give one each."
            )
        if not np.isfinite(values).all() or (logarithmic and (values <= 0).any()):
            raise WrongShapeError(
                f"column '{name}' holds values that cannot be used "
                f"({'0 or below, or ' if logarithmic else ''}not finite). Leave those lenses out."
            )
    if len(found) < FEWEST_LENSES:
        raise MissingDataError(
            f"{len(found)} lenses are too few for a selection function. Use at least "
            f"{FEWEST_LENSES} with all of: {', '.join(shape.is_logarithmic)}."
        )


def _spread(
    scaled: Float[np.ndarray, "n variable"], n: int, generator: np.random.Generator
) -> Float[np.ndarray, "center variable"]:
    """Centres among the lenses, each drawn far from those before (k-means++ seeding)."""
    first = scaled[generator.integers(len(scaled))]
    chosen, distance = [first], ((scaled - first) ** 2).sum(axis=1)
    while len(chosen) < n and distance.max() > 0:
        row = scaled[generator.choice(len(scaled), p=distance / distance.sum())]
        chosen.append(row)
        distance = np.minimum(distance, ((scaled - row) ** 2).sum(axis=1))
    return np.stack(chosen)


def _smoothness(
    log_evidence: Callable[[tuple[float, ...], float], float], n_variables: int
) -> tuple[tuple[float, ...], float]:
    """Lengths and size: the most probable on a grid, then one variable at a time.

    Of those nearly as probable the roughest is taken, lest the interval be too narrow.
    """
    grid = [((length,) * n_variables, a) for length in LENGTH_SCALES for a in AMPLITUDES]
    tried = {pair: log_evidence(*pair) for pair in grid}
    best = max(tried, key=tried.__getitem__)
    for _ in range(_ROUNDS):
        for k, factor in itertools.product(range(n_variables), STRETCHES):
            lengths = tuple(v * factor if j == k else v for j, v in enumerate(best[0]))
            tried[lengths, best[1]] = log_evidence(lengths, best[1])
            best = max(tried, key=tried.__getitem__)
    nearly = [pair for pair, height in tried.items() if height > tried[best] - _INDIFFERENT]
    return min(nearly, key=lambda pair: float(np.log(pair[0]).mean() - np.log(pair[1])))


def _fit(basis: np.ndarray, found: np.ndarray, n_variables: int) -> _Fit:
    """Climb to the most probable weights by Newton's steps, halved where they overshoot."""
    precision = np.ones(basis.shape[1])
    precision[0] = _PRIOR_OF_CONSTANT**-2
    precision[1 : 1 + n_variables] = _PRIOR_OF_LINE**-2

    def height(weights: np.ndarray) -> float:
        eta = basis @ weights
        likelihood = float((found * eta - np.logaddexp(0.0, eta)).sum())
        return likelihood - 0.5 * float((precision * weights**2).sum())

    weights, top = np.zeros(basis.shape[1]), height(np.zeros(basis.shape[1]))
    for _ in range(_ITERATIONS):
        root = _curvature_root(basis, weights, precision)
        slope = basis.T @ (found - special.expit(basis @ weights)) - precision * weights
        step = linalg.cho_solve((root, True), slope)
        before = top
        for _ in range(_HALVINGS):
            if height(weights + step) >= before:
                weights, top = weights + step, height(weights + step)
                break
            step = 0.5 * step
        if top - before < 1e-8 * (1 + abs(top)):
            break
    root = _curvature_root(basis, weights, precision)
    covariance = linalg.cho_solve((root, True), np.eye(len(weights)))
    evidence = top + 0.5 * np.log(precision).sum() - np.log(np.diag(root)).sum()
    return _Fit(weights, covariance, float(evidence))


def _curvature_root(
    basis: np.ndarray, weights: np.ndarray, precision: np.ndarray
) -> Float[np.ndarray, "basis basis"]:
    """Cholesky root of minus the second derivative of the log posterior."""
    p = special.expit(basis @ weights)
    curvature = (basis.T * (p * (1 - p))) @ basis + np.diag(precision)
    return linalg.cholesky(curvature, lower=True)
