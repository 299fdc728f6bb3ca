"""Starts for a fit: a grid over Einstein radius and shear, judged by the evidence, and descents.

Nothing here needs a network; starts that one proposes are judged together with those of the grid.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from stronglens.measurement.inversion import Inversion, Solution, lighter
from stronglens.measurement.mass_model import MassPrior
from stronglens.measurement.optimise import Minimum, descend, objective, source_window

N_RADII = 16
"""Einstein radii on the grid."""
N_DESCENTS = 7
"""Starts that are followed to their minima."""
_SHEAR = 0.08
_SAME_RADIUS = 0.07
_FIRST_STRENGTH = 100.0
_ALIKE_OBJECTIVE, _ALIKE_PULL = 3.0, 0.5


def grid_vectors(prior: MassPrior, *, has_shear: bool) -> list[Float[np.ndarray, "8"]]:
    """Mass models spread over the prior's range of radii, with shear in four directions.

    Args:
        prior: Where light and range are.
        has_shear: Whether the mass model has a shear.
    """
    low, high = prior.theta_e_range
    radii = np.geomspace(1.02 * low, 0.98 * high, N_RADII)
    turns = np.exp(0.5j * np.pi * np.arange(4)) * _SHEAR
    shears = [0j, *turns] if has_shear else [0j]
    vectors = []
    for radius in radii:
        for shear in shears:
            vector = prior.mean.copy()
            vector[0], vector[5], vector[6] = np.log(radius), shear.real, shear.imag
            vectors.append(vector)
    return vectors


def best_starts(
    inversion: Inversion,
    vectors: Sequence[Float[np.ndarray, "8"]],
    prior: MassPrior,
    arcs: Float[np.ndarray, "pixel"],
    n_best: int = N_DESCENTS,
) -> list[Solution]:
    """The best mass models of a list that differ in their Einstein radius.

    Args:
        inversion: The likelihood.
        vectors: Mass models to try.
        prior: Priors of the parameters.
        arcs: Light of the arcs in the fitted pixels.
        n_best: Most that are returned.
    """
    tried: list[tuple[float, Solution]] = []
    strength = _FIRST_STRENGTH
    for vector in vectors:
        window = source_window(inversion, vector, arcs)
        solution = lighter(inversion.solve_best(vector, window, strength))
        strength = float(np.clip(solution.strength, 1e-6, 1e8))
        tried.append((objective(solution, prior), solution))
    tried.sort(key=lambda pair: pair[0])
    chosen: list[Solution] = []
    for _, solution in tried:
        log_radius = solution.vector[0]
        if all(abs(log_radius - other.vector[0]) > _SAME_RADIUS for other in chosen):
            chosen.append(solution)
    return chosen[:n_best]


def minima_from(
    inversion: Inversion,
    starts: Sequence[Solution],
    prior: MassPrior,
    arcs: Float[np.ndarray, "pixel"] | None,
) -> list[Minimum]:
    """Follow starts to their minima and keep those that differ, the best first.

    Args:
        inversion: The likelihood.
        starts: Where to begin.
        prior: Priors of the parameters.
        arcs: Light that the source window follows; None holds each window still.
    """
    found = []
    for start in starts:
        full = inversion.solve(start.vector, start.window, start.strength)
        found.append(descend(inversion, full, prior, arcs))
    found.sort(key=lambda minimum: minimum.objective)
    kept: list[Minimum] = []
    for minimum in found:
        if not any(_is_same(minimum, other) for other in kept):
            kept.append(minimum)
    return kept


def _is_same(minimum: Minimum, other: Minimum) -> bool:
    """Whether two descents ended in the same place."""
    n_free = len(other.hessian)
    difference = (minimum.solution.vector - other.solution.vector)[:n_free]
    distance = float(difference @ other.hessian @ difference)
    gap = abs(minimum.objective - other.objective)
    return distance < _ALIKE_PULL**2 * n_free and gap < _ALIKE_OBJECTIVE + distance
