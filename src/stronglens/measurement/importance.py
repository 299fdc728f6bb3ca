"""Importance sampling from mixtures of Student t distributions, and how far its weights hold.

What is sampled is up to the caller: a function that gives the logarithm of a density.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln

DEGREES = 8.0
"""Degrees of freedom of the Student t distributions."""
_FEWEST_TAIL = 5


@dataclass(frozen=True, eq=False)
class StudentMixture:
    """A sum of multivariate Student t distributions."""

    means: Float[np.ndarray, "part dim"]
    """Middles."""
    scales: Float[np.ndarray, "part dim dim"]
    """Scale matrices: covariance times (degrees - 2) / degrees."""
    shares: Float[np.ndarray, "part"]
    """Weights; their sum is one."""
    degrees: float = DEGREES
    """Degrees of freedom."""

    def draw(self, n: int, generator: np.random.Generator) -> Float[np.ndarray, "n dim"]:
        """Draw points.

        Args:
            n: Number of points.
            generator: Source of randomness.
        """
        part = generator.choice(len(self.shares), size=n, p=self.shares)
        normal = generator.standard_normal((n, self.means.shape[1]))
        chi2 = generator.chisquare(self.degrees, size=n)
        lower = np.linalg.cholesky(self.scales)
        stretched = np.einsum("nij,nj->ni", lower[part], normal)
        return self.means[part] + stretched * np.sqrt(self.degrees / chi2)[:, None]

    def log_density(self, points: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n"]:
        """Logarithm of the density at points."""
        dim, nu = points.shape[1], self.degrees
        terms = []
        for mean, scale, share in zip(self.means, self.scales, self.shares, strict=True):
            lower = np.linalg.cholesky(scale)
            away = np.linalg.solve(lower, (points - mean).T)
            distance = (away**2).sum(axis=0)
            log_norm = gammaln(0.5 * (nu + dim)) - gammaln(0.5 * nu)
            log_norm -= 0.5 * dim * math.log(nu * math.pi) + np.log(np.diag(lower)).sum()
            power = -0.5 * (nu + dim) * np.log1p(distance / nu)
            terms.append(np.log(max(float(share), 1e-300)) + log_norm + power)
        return np.logaddexp.reduce(np.array(terms), axis=0)


@dataclass(frozen=True, eq=False)
class WeightedDraws:
    """Points with weights that stand for a distribution, and how well they do."""

    points: Float[np.ndarray, "n dim"]
    """The points."""
    weights: Float[np.ndarray, "n"]
    """Their weights, the largest smoothed; their sum is one."""
    k_hat: float
    """Shape of the tail of the raw weights; below 0.7 they can be trusted [-]."""
    effective_size: float
    """Independent draws they are worth: 1 / sum of squared weights [-]."""
    log_evidence: float
    """Logarithm of the integral of the density."""
    log_evidence_error: float
    """Its standard error."""
    log_target: Float[np.ndarray, "n"]
    """Logarithm of the density at the points."""


def weigh(
    points: Float[np.ndarray, "n dim"],
    log_target: Float[np.ndarray, "n"],
    log_proposal: Float[np.ndarray, "n"],
) -> WeightedDraws:
    """Weights of draws from a proposal that make them draws from a target.

    Args:
        points: The draws.
        log_target: Logarithm of the target's density, which need not be normalised.
        log_proposal: Logarithm of the proposal's density.

    Reference:
        Vehtari et al. 2024 (Pareto smoothed importance sampling); Dax et al. 2023, eq. 6, for the
        error of the evidence.
    """
    n = len(points)
    log_ratios = log_target - log_proposal
    log_evidence = float(np.logaddexp.reduce(log_ratios) - math.log(n))
    smoothed, k_hat = pareto_smoothed(log_ratios)
    weights = np.exp(smoothed - np.logaddexp.reduce(smoothed))
    effective = float(1.0 / (weights**2).sum())
    error = math.sqrt(max(n - effective, 0.0) / (n * effective))
    return WeightedDraws(points, weights, k_hat, effective, log_evidence, error, log_target)


def pareto_smoothed(
    log_ratios: Float[np.ndarray, "n"],
) -> tuple[Float[np.ndarray, "n"], float]:
    """Replace the largest importance ratios by quantiles of the Pareto tail fitted to them.

    Args:
        log_ratios: Logarithms of the raw ratios.

    Returns:
        Logarithms of the smoothed ratios; k-hat, the shape of the tail, infinite where there are
        too few ratios to tell.

    Reference:
        Vehtari et al. 2024, section 2.2 and algorithm 1.
    """
    n = len(log_ratios)
    n_tail = math.ceil(min(0.2 * n, 3.0 * math.sqrt(n)))
    shifted = log_ratios - log_ratios.max()
    order = np.argsort(shifted)
    if n_tail < _FEWEST_TAIL or n_tail >= n:
        return shifted, math.inf
    tail = order[-n_tail:]
    cut = float(np.exp(shifted[order[-n_tail - 1]]))
    excess = np.exp(shifted[tail]) - cut
    if not excess[-1] > 0.0:
        return shifted, -math.inf
    k_hat, scale = fit_pareto(excess)
    ranks = (np.arange(n_tail) + 0.5) / n_tail
    tail_values = cut + _pareto_quantile(ranks, k_hat, scale)
    smoothed = shifted.copy()
    smoothed[tail] = np.minimum(np.log(np.maximum(tail_values, 1e-300)), 0.0)
    return smoothed, k_hat


def fit_pareto(excess: Float[np.ndarray, "n"]) -> tuple[float, float]:
    """Shape and scale of a generalised Pareto distribution.

    Args:
        excess: Values above the cut, sorted upwards, 0 or more.

    Returns:
        Shape k, with the weak prior of Vehtari et al. 2024 (appendix C), and scale.

    Reference:
        Zhang & Stephens 2009, section 3.
    """
    n = len(excess)
    n_grid = 30 + math.floor(math.sqrt(n))
    quarter = max(float(excess[max(int(n / 4 + 0.5) - 1, 0)]), 1e-300)
    j = np.arange(1, n_grid + 1)
    b = 1.0 / excess[-1] + (1.0 - np.sqrt(n_grid / (j - 0.5))) / (3.0 * quarter)
    shapes = np.log1p(-b[:, None] * excess[None, :]).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_likelihood = n * (np.log(-b / shapes) - shapes - 1.0)
    log_likelihood = np.where(np.isfinite(log_likelihood), log_likelihood, -np.inf)
    share = np.exp(log_likelihood - np.logaddexp.reduce(log_likelihood))
    rate = float((b * share).sum())
    shape = float(np.log1p(-rate * excess).mean())
    scale = -shape / rate
    return (n * shape + 10 * 0.5) / (n + 10), scale


class DrawPool:
    """Draws of several proposals, one after the other, that are weighed together.

    Args:
        log_density: Logarithm of the target, minus infinity outside its range.

    Reference:
        Balance heuristic over all proposals: Veach & Guibas 1995; Cornuet et al. 2012, eq. 2, for
        proposals that follow from earlier draws.
    """

    def __init__(self, log_density: Callable[[Float[np.ndarray, "dim"]], float]) -> None:
        self.log_density = log_density
        self.parts: list[tuple[StudentMixture, np.ndarray, np.ndarray]] = []

    @property
    def points(self) -> Float[np.ndarray, "n dim"]:
        """All draws."""
        return np.concatenate([points for _, points, _ in self.parts])

    @property
    def log_target(self) -> Float[np.ndarray, "n"]:
        """Logarithm of the density at all draws."""
        return np.concatenate([heights for _, _, heights in self.parts])

    def add(self, proposal: StudentMixture, n: int, generator: np.random.Generator) -> None:
        """Draw from one more proposal.

        Args:
            proposal: The proposal.
            n: Number of draws.
            generator: Source of randomness.
        """
        points = proposal.draw(n, generator)
        heights = np.array([self.log_density(point) for point in points])
        self.parts.append((proposal, points, heights))

    def weighed(self) -> WeightedDraws:
        """All draws with their weights, as if drawn from the sum of the proposals."""
        points = self.points
        terms = [
            np.log(len(own) / len(points)) + proposal.log_density(points)
            for proposal, own, _ in self.parts
        ]
        return weigh(points, self.log_target, np.logaddexp.reduce(np.array(terms), axis=0))


def _pareto_quantile(share: np.ndarray, shape: float, scale: float) -> np.ndarray:
    if abs(shape) < 1e-9:
        return -scale * np.log1p(-share)
    return scale * np.expm1(-shape * np.log1p(-share)) / shape
