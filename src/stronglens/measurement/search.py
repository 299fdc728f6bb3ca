"""Starts for a fit: a grid over Einstein radius and shear, judged by the evidence, and descents.

Nothing here needs a network; starts that one proposes are judged together with those of the grid.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from stronglens.measurement.inversion import Inversion, Solution, lighter
from stronglens.measurement.mass_model import MassPrior
from stronglens.measurement.optimise import Minimum, descend, objective, source_window

N_SOURCE = 14
"""Nodes along the side of the source grid of the first descents: few make a smooth way down."""
N_RADII = 36
"""Einstein radii on the grid: no further apart than the evidence is wide."""
N_DESCENTS = 8
"""Starts that are followed to their minima."""
_N_SHEARED, _SHEAR = 10, 0.08
_SAME_RADIUS = 0.04
_FIRST_STRENGTH = 100.0
_ALIKE_OBJECTIVE, _ALIKE_PULL = 3.0, 0.5


def find_starts(
    inversion: Inversion,
    prior: MassPrior,
    arcs: Float[np.ndarray, "pixel"],
    proposed: Sequence[Float[np.ndarray, "8"]] = (),
) -> list[Solution]:
    """The best mass models of a grid that differ in their Einstein radius, the best first.

    The grid is of radii alone at first, mass following light; the best of them are tried again
    with shear in four directions.

    Args:
        inversion: The likelihood.
        prior: Priors of the parameters, and the range of radii.
        arcs: Light of the arcs in the fitted pixels.
        proposed: Further mass models to try.
    """
    low, high = prior.theta_e_range
    vectors = []
    for radius in np.geomspace(1.02 * low, 0.98 * high, N_RADII):
        vector = prior.mean.copy()
        vector[0] = np.log(radius)
        vectors.append(vector)
    tried = _tried(inversion, [*vectors, *proposed], prior, arcs)
    if "shear" in inversion.lens_model:
        best = [solution.vector for _, solution in tried[:_N_SHEARED]]
        sheared = [_with_shear(vector, turns) for vector in best for turns in range(4)]
        tried += _tried(inversion, sheared, prior, arcs)
        tried.sort(key=lambda pair: pair[0])
    chosen: list[Solution] = []
    for _, solution in tried:
        log_radius = solution.vector[0]
        if all(abs(log_radius - other.vector[0]) > _SAME_RADIUS for other in chosen):
            chosen.append(solution)
    return chosen[:N_DESCENTS]


def _with_shear(vector: Float[np.ndarray, "8"], turns: int) -> Float[np.ndarray, "8"]:
    """A mass model with a shear of its own in one of four directions."""
    sheared = vector.copy()
    shear = _SHEAR * np.exp(0.5j * np.pi * turns)
    sheared[5], sheared[6] = shear.real, shear.imag
    return sheared


def _tried(
    inversion: Inversion,
    vectors: Sequence[Float[np.ndarray, "8"]],
    prior: MassPrior,
    arcs: Float[np.ndarray, "pixel"],
) -> list[tuple[float, Solution]]:
    """Objectives and solutions of mass models, the best first."""
    tried, strength = [], _FIRST_STRENGTH
    for vector in vectors:
        window = source_window(inversion, vector, arcs)
        solution = lighter(inversion.solve_best(vector, window, strength))
        strength = float(np.clip(solution.strength, 1e-6, 1e8))
        tried.append((objective(solution, prior), solution))
    return sorted(tried, key=lambda pair: pair[0])


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
    found: list[Minimum] = []
    for start in starts:
        full = inversion.solve_best(start.vector, start.window, start.strength, 2)
        bar = min((minimum.objective for minimum in found), default=np.inf)
        found.append(descend(inversion, full, prior, arcs, bar=bar))
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
