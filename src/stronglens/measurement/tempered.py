"""Tempered sequential Monte Carlo: slower than importance sampling, for posteriors it cannot hold.

What is sampled is up to the caller, as in `importance`.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from stronglens.measurement.importance import StudentMixture, WeightedDraws

_TARGET_SHARE = 0.5
_SCALE = 2.0
_MOST_STAGES = 30


def tempered_draws(
    log_density: Callable[[Float[np.ndarray, "dim"]], float],
    proposal: StudentMixture,
    n: int,
    generator: np.random.Generator,
    n_moves: int = 3,
) -> WeightedDraws:
    """Carry draws from a mixture to a density in small steps, with Metropolis moves after each.

    Args:
        log_density: Logarithm of the target, minus infinity outside its range.
        proposal: The mixture.
        n: Number of draws.
        generator: Source of randomness.
        n_moves: Moves of each draw after each step.

    Returns:
        Draws of equal weight; k-hat is not defined and given as NaN.

    Reference:
        Del Moral, Doucet & Jasra 2006; the power rises so that half of the effective size is kept.
    """
    points = proposal.draw(n, generator)
    values = np.array([log_density(point) for point in points])
    base = proposal.log_density(points)
    power, log_evidence, variance = 0.0, 0.0, 0.0
    for _ in range(_MOST_STAGES):
        rise = _next_rise(values - base, 1.0 - power)
        log_weights = rise * (values - base)
        log_evidence += float(np.logaddexp.reduce(log_weights) - np.log(n))
        weights = np.exp(log_weights - np.logaddexp.reduce(log_weights))
        variance += float((weights**2).sum() - 1.0 / n)
        power += rise
        spread = np.cov(points.T, aweights=weights) + 1e-12 * np.eye(points.shape[1])
        kept = _resampled(weights, generator)
        points, values, base = points[kept], values[kept], base[kept]
        lower = np.linalg.cholesky(spread) * _SCALE / np.sqrt(points.shape[1])
        for _ in range(n_moves):
            trial = points + generator.standard_normal(points.shape) @ lower.T
            new = np.array([log_density(point) for point in trial])
            new_base = proposal.log_density(trial)
            change = power * (new - values) + (1.0 - power) * (new_base - base)
            moves = np.log(generator.random(n)) < change
            points = np.where(moves[:, None], trial, points)
            values, base = np.where(moves, new, values), np.where(moves, new_base, base)
        if power >= 1.0:
            break
    size = float(len(np.unique(points, axis=0)))
    even = np.full(n, 1.0 / n)
    error = float(np.sqrt(max(variance, 0.0)))
    return WeightedDraws(points, even, float("nan"), size, log_evidence, error, values)


def _next_rise(log_ratios: np.ndarray, most: float) -> float:
    """Largest rise of the power that keeps half of the effective size."""
    low, high = 0.0, most
    if _effective_share(log_ratios, most) >= _TARGET_SHARE:
        return most
    for _ in range(40):
        middle = 0.5 * (low + high)
        is_kept = _effective_share(log_ratios, middle) >= _TARGET_SHARE
        low, high = (middle, high) if is_kept else (low, middle)
    return max(low, 1e-6)


def _effective_share(log_ratios: np.ndarray, rise: float) -> float:
    weights = np.exp(rise * log_ratios - np.logaddexp.reduce(rise * log_ratios))
    return float(1.0 / (weights**2).sum() / len(weights))


def _resampled(weights: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Indices of draws, systematic resampling."""
    n = len(weights)
    ladder = (np.arange(n) + generator.random()) / n
    return np.minimum(np.searchsorted(np.cumsum(weights), ladder), n - 1)
