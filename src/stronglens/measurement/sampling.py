"""The posterior of a lens from its minima: importance sampling, and tempering where that fails."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from stronglens.core.seeds import numpy_generator
from stronglens.measurement.importance import (
    DEGREES,
    DrawPool,
    StudentMixture,
    WeightedDraws,
)
from stronglens.measurement.inversion import Inversion
from stronglens.measurement.mass_model import (
    VECTOR,
    MassPrior,
    effective_radius,
    free_parameters,
)
from stronglens.measurement.optimise import Minimum, objective
from stronglens.measurement.source_summary import summarise_source
from stronglens.measurement.tempered import tempered_draws

QUANTITIES = ("beta_x", "beta_y", "log_r_source", "magnification")
"""What is read off the source of every draw."""
K_HAT_MAX = 0.7
"""Largest tail shape at which importance weights are trusted [-]."""
LEAST_EFFECTIVE = 60.0
"""Effective size below which more is done [-]."""
_LEAST_TO_KEEP = 20.0
_PILOTS, _PILOT_SHARE, _ROUNDS, _DEEPEST = 2, 0.2, 5, 15.0
_QUADRATIC_PULL, _PRECISIONS, _LARGEST_SHIFT = 3.0, (0.25, 3.0), 2.5
_NEW_SHARE = 0.8
_TEMPERED = 48
_SMALLEST_SHARE = 0.02
_N_EVEN = 2000


@dataclass(frozen=True, eq=False)
class Sampled:
    """Weighted draws of a lens's parameters and of what follows from them."""

    draws: WeightedDraws
    """The free parameters as sampled, and their weights."""
    values: dict[str, Float[np.ndarray, "n"]]
    """Every parameter and quantity of each draw."""
    method: str
    """importance or tempered."""

    def with_spread(self, spread: dict[str, float], seed: int) -> dict[str, np.ndarray]:
        """Draws of equal weight, widened by the scatter between choices of the model.

        Args:
            spread: Standard deviation by name; that of theta_e and of magnification is relative.
            seed: Seed of the resampling.
        """
        generator = numpy_generator(seed, "resample")
        chosen = generator.choice(len(self.draws.weights), _N_EVEN, p=self.draws.weights)
        even = {}
        for name, column in self.values.items():
            noise = spread.get(name, 0.0) * generator.standard_normal(_N_EVEN)
            is_relative = name in {"theta_e", "theta_e_effective", "magnification"}
            even[name] = column[chosen] * np.exp(noise) if is_relative else column[chosen] + noise
        return even


def sample_posterior(
    inversion: Inversion,
    minima: Sequence[Minimum],
    prior: MassPrior,
    plan: tuple[int, int, float],
) -> Sampled:
    """Sample evidence times prior around minima.

    The curvature at the minima shapes the first proposal. Pilot draws from it reshape it, and
    the draws do so again where they are worth too little; all of them count in the end.

    Args:
        inversion: The likelihood; the window and smoothness of the source are those of the minima.
        minima: Minima on one window, the best first.
        prior: Priors of the parameters.
        plan: Number of draws; seed; temperature the deviance is divided by.
    """
    n, seed, temperature = plan
    target = _Target(inversion, minima[0], prior, temperature)
    proposal = laplace_mixture(minima, temperature)
    pool = DrawPool(target)
    for k in range(_PILOTS):
        pool.add(proposal, int(_PILOT_SHARE * n), numpy_generator(seed, "pilot", k))
        proposal = reshaped(proposal, pool.points, pool.log_target)
    pool.add(proposal, n - len(pool.points), numpy_generator(seed, "draws", 0))
    draws = pool.weighed()
    for k in range(1, _ROUNDS):
        if draws.k_hat < K_HAT_MAX and draws.effective_size >= LEAST_EFFECTIVE:
            break
        proposal = reshaped(proposal, pool.points, pool.log_target)
        pool.add(proposal, n // 2, numpy_generator(seed, "draws", k))
        draws = pool.weighed()
    method = "importance"
    if draws.k_hat > K_HAT_MAX or not draws.effective_size >= _LEAST_TO_KEEP:
        generator = numpy_generator(seed, "tempered")
        draws, method = tempered_draws(target, proposal, _TEMPERED, generator, 2), "tempered"
    return Sampled(draws, target.values(draws.points), method)


def laplace_mixture(minima: Sequence[Minimum], temperature: float = 1.0) -> StudentMixture:
    """One Student t distribution per minimum, of its curvature and with its share of the evidence.

    Args:
        minima: The minima.
        temperature: Number that deviances are divided by [-].
    """
    n_free = len(minima[0].hessian)
    covariances = np.array([temperature * np.linalg.inv(m.hessian) for m in minima])
    log_volume = 0.5 * np.linalg.slogdet(covariances)[1]
    best = minima[0].objective
    log_share = np.array([-0.5 * (m.objective - best) / temperature for m in minima]) + log_volume
    share = np.maximum(np.exp(log_share - log_share.max()), _SMALLEST_SHARE)
    means = np.array([minimum.solution.vector[:n_free] for minimum in minima])
    scales = covariances * (DEGREES - 2.0) / DEGREES * 1.2
    return StudentMixture(means, scales, share / share.sum())


def reshaped(
    mixture: StudentMixture,
    points: Float[np.ndarray, "n dim"],
    log_target: Float[np.ndarray, "n"],
) -> StudentMixture:
    """A mixture with a part more: the normal distribution that fits the density at some points.

    A quadratic surface is fitted to the logarithm of the density over the points, its quadratic
    terms held near those of the mixture's first part.

    Args:
        mixture: The mixture that the points were drawn from.
        points: Where the density is known.
        log_target: Its logarithm there.
    """
    lower = np.linalg.cholesky(mixture.scales[0])
    white = np.linalg.solve(lower, (points - mixture.means[0]).T).T
    high = log_target > log_target.max() - _DEEPEST
    white, heights = white[high], log_target[high] + 0.5 * (white[high] ** 2).sum(axis=1)
    dim = white.shape[1]
    if len(white) < 2 * dim + 2:
        return mixture
    rows, columns = np.triu_indices(dim)
    quadratic = -white[:, rows] * white[:, columns] * np.where(rows == columns, 0.5, 1.0)
    design = np.hstack([np.ones((len(white), 1)), white, quadratic])
    held = np.concatenate([[1e-6], np.full(dim, 0.05), np.full(len(rows), _QUADRATIC_PULL)])
    answer = np.linalg.solve(design.T @ design + np.diag(held), design.T @ heights)
    precision = np.eye(dim)
    precision[rows, columns] += answer[1 + dim :]
    precision = np.triu(precision) + np.triu(precision, 1).T
    values, axes = np.linalg.eigh(precision)
    values = np.clip(values, *_PRECISIONS)
    covariance = (axes / values) @ axes.T
    shift = np.clip(covariance @ answer[1 : 1 + dim], -_LARGEST_SHIFT, _LARGEST_SHIFT)
    mean = mixture.means[0] + lower @ shift
    scale = lower @ covariance @ lower.T
    means = np.concatenate([mean[None], mixture.means])
    scales = np.concatenate([scale[None], mixture.scales])
    return StudentMixture(means, scales, np.append(_NEW_SHARE, (1.0 - _NEW_SHARE) * mixture.shares))


class _Target:
    """Logarithm of the tempered posterior; remembers what each source was like."""

    def __init__(
        self, inversion: Inversion, best: Minimum, prior: MassPrior, temperature: float
    ) -> None:
        self.inversion, self.prior, self.temperature = inversion, prior, temperature
        self.best = best.solution
        self.offset = best.objective
        self.free = free_parameters(inversion.lens_model)
        self._sources: dict[bytes, tuple[float, ...]] = {}

    def __call__(self, point: Float[np.ndarray, "dim"]) -> float:
        vector = self.best.vector.copy()
        vector[self.free] = point
        penalty = self.prior.penalty(vector)
        if not np.isfinite(penalty):
            return -np.inf
        solution = self.inversion.solve(vector, self.best.window, self.best.strength)
        self._sources[point.tobytes()] = summarise_source(self.inversion, solution)
        return -0.5 * (objective(solution, self.prior) - self.offset) / self.temperature

    def values(self, points: Float[np.ndarray, "n dim"]) -> dict[str, Float[np.ndarray, "n"]]:
        """Named parameters and quantities of points that were visited."""
        vectors = np.tile(self.best.vector, (len(points), 1))
        vectors[:, self.free] = points
        named = {"theta_e": np.exp(vectors[:, 0])}
        named |= {name: vectors[:, k] for k, name in enumerate(VECTOR) if k > 0}
        named["theta_e_effective"] = np.array(
            [effective_radius(vector, self.inversion.lens_model) for vector in vectors]
        )
        nothing = (np.nan,) * len(QUANTITIES)
        seen = [self._sources.get(point.tobytes(), nothing) for point in points]
        named |= dict(zip(QUANTITIES, np.array(seen).T, strict=True))
        # draws outside the prior have no source and no weight
        return {name: np.where(np.isfinite(v), v, np.nanmedian(v)) for name, v in named.items()}
