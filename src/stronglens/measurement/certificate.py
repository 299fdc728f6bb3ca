"""Whether posteriors hold: coverage, ranks, TARP, and how their width follows the S/N.

Arithmetic on draws and true values; where they come from is in `calibration`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.core.seeds import numpy_generator

LEVELS = np.linspace(0.05, 0.95, 19)
"""Probabilities of the central intervals whose coverage is looked at."""
NMAD_PER_MAD = 1.4826
"""Normalised median absolute deviation over the plain one: 1 sigma of a normal distribution."""


def ranks(
    draws: Float[np.ndarray, "draw lens parameter"],
    truth: Float[np.ndarray, "lens parameter"],
    seed: int = 0,
) -> Float[np.ndarray, "lens parameter"]:
    """Place of the true values among draws, from 0 to 1, uniform if the posterior is right.

    Args:
        draws: Draws from the posterior of each lens.
        truth: True values.
        seed: Seed of the place between two draws, without which ranks would be discrete.

    Returns:
        Ranks [-].

    Raises:
        WrongShapeError: Draws and truth do not fit, or there are none.

    Reference:
        Talts et al. 2018 (simulation-based calibration), algorithm 1, here made continuous.
    """
    if draws.shape[1:] != truth.shape or not draws.size:
        raise WrongShapeError(
            f"draws of shape {draws.shape} do not fit truth of shape {truth.shape}. Pass draws "
            "(draw, lens, parameter) and truth (lens, parameter), neither of them empty."
        )
    below = (draws < truth).sum(axis=0)
    place = numpy_generator(seed, "ranks").uniform(size=truth.shape)
    return (below + place) / (draws.shape[0] + 1)


def coverage(
    places: Float[np.ndarray, "lens parameter"], levels: Float[np.ndarray, "level"] = LEVELS
) -> Float[np.ndarray, "level parameter"]:
    """Fraction of lenses whose true value lies inside the central interval of each level.

    Args:
        places: What `ranks` returned.
        levels: Probabilities of the intervals [-].

    Returns:
        Coverage [-].
    """
    distance = np.abs(2.0 * places - 1.0)
    return (distance[None] <= levels[:, None, None]).mean(axis=1)


def sbc_p_values(places: Float[np.ndarray, "lens parameter"]) -> Float[np.ndarray, "parameter"]:
    """Probabilities that the ranks of each parameter are this uneven by chance.

    Args:
        places: What `ranks` returned.

    Returns:
        p-values of a Kolmogorov-Smirnov test against the uniform distribution [-].

    Reference:
        Talts et al. 2018.
    """
    return np.array([float(stats.kstest(column, "uniform").pvalue) for column in places.T])


def tarp_coverage(
    draws: Float[np.ndarray, "draw lens parameter"],
    truth: Float[np.ndarray, "lens parameter"],
    levels: Float[np.ndarray, "level"] = LEVELS,
    seed: int = 0,
) -> Float[np.ndarray, "level"]:
    """Coverage of the joint posterior by distances to random points.

    Args:
        draws: Draws from the posterior of each lens.
        truth: True values.
        levels: Probabilities [-].
        seed: Seed of the points, drawn uniformly from the box that the true values span.

    Returns:
        Fraction of lenses whose truth is nearer to the point than the draws of that share; equal
        to the levels if the posterior is right [-].

    Raises:
        WrongShapeError: Draws and truth do not fit, or there are none.

    Reference:
        Lemos et al. 2023 (arXiv 2302.03026), algorithm 2.
    """
    if draws.shape[1:] != truth.shape or not draws.size:
        raise WrongShapeError(
            f"draws of shape {draws.shape} do not fit truth of shape {truth.shape}. Pass draws "
            "(draw, lens, parameter) and truth (lens, parameter), neither of them empty."
        )
    low, high = truth.min(axis=0), truth.max(axis=0)
    width = np.where(high > low, high - low, 1.0)
    points = numpy_generator(seed, "tarp").uniform(size=truth.shape)
    to_truth = np.linalg.norm((truth - low) / width - points, axis=-1)
    to_draws = np.linalg.norm((draws - low) / width - points, axis=-1)
    inside = (to_draws < to_truth).mean(axis=0)
    return (inside[None] <= levels[:, None]).mean(axis=1)


def fitted_temperature(
    draws: Float[np.ndarray, "draw lens parameter"],
    truth: Float[np.ndarray, "lens parameter"],
    tried: Float[np.ndarray, "temperature"] | None = None,
) -> Float[np.ndarray, "parameter"]:
    """Factors by which draws must be stretched about their median for the best coverage.

    Args:
        draws: Draws from the posterior of each lens.
        truth: True values.
        tried: Factors to choose from; 0.6 to 1.6 by default [-].

    Returns:
        One factor per parameter, with the smallest mean square error of the coverage [-].
    """
    factors = np.geomspace(0.6, 1.6, 99) if tried is None else tried
    median = np.median(draws, axis=0)
    best = []
    for j in range(truth.shape[1]):
        spread = np.abs(draws[:, :, j] - median[:, j])
        distance = np.abs(truth[:, j] - median[:, j])
        # the part of the draws nearer to the median than the truth, for each factor
        share = np.stack([(spread * factor < distance).mean(axis=0) for factor in factors])
        found = (share[:, None, :] <= LEVELS[None, :, None]).mean(axis=2)
        best.append(factors[np.square(found - LEVELS).mean(axis=1).argmin()])
    return np.array(best)


@dataclass(frozen=True)
class Accuracy:
    """Errors of one parameter over some lenses."""

    nmad: float
    """Normalised median absolute deviation of median minus truth."""
    rms: float
    """Root mean square of it."""
    bias: float
    """Median of it."""
    sigma: float
    """Median half width of the central 68 % interval."""
    n: int
    """Number of lenses."""


def accuracy(draws: Float[np.ndarray, "draw lens"], truth: Float[np.ndarray, "lens"]) -> Accuracy:
    """Errors of the medians of posteriors, and the errors that the posteriors state.

    Args:
        draws: Draws of one parameter for each lens.
        truth: Its true values.

    Returns:
        Errors in the unit of the draws.

    Raises:
        OutOfRangeError: There is no lens.
    """
    if not truth.size:
        raise OutOfRangeError("accuracy needs at least one lens; got none. Draw a larger set.")
    low, middle, high = np.quantile(draws, (0.16, 0.5, 0.84), axis=0)
    error = middle - truth
    return Accuracy(
        nmad=float(NMAD_PER_MAD * np.median(np.abs(error - np.median(error)))),
        rms=float(np.sqrt(np.mean(error**2))),
        bias=float(np.median(error)),
        sigma=float(np.median(0.5 * (high - low))),
        n=int(truth.size),
    )
