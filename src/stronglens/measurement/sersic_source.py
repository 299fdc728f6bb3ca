"""A Sersic source in place of the reconstructed one, for codes that know no source on a grid."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.optimize import least_squares

from stronglens.core.conventions import axis_ratio_from_ellipticity
from stronglens.measurement.inversion import Inversion, Solution
from stronglens.measurement.mass_model import source_positions
from stronglens.measurement.source_summary import summarise_source

_N_RANGE, _SMALLEST_RADIUS, _LARGEST_ELLIPTICITY = (0.5, 6.0), 0.005, 0.6
_MOST_EVALUATIONS = 60
_SCALES = np.array([0.02, 0.02, 0.1, 0.1, 0.2, 0.3])


@dataclass(frozen=True)
class SersicSource:
    """A source that is one Sersic profile."""

    row: dict[str, float]
    """What `core.coolest.sersic_to_coolest` takes: brightness [pixel units / arcsec^2], r_eff_circ
    and centre [arcsec], n_sersic, q, phi [rad]; for a constant b of 1.9992 n - 0.3271."""
    image: Float[np.ndarray, "pixel"]
    """Its blurred image in the fitted pixels [noise standard deviations]."""


def fit_sersic_source(inversion: Inversion, solution: Solution) -> SersicSource:
    """Fit a Sersic profile to the arcs of a solution, its mass and deflector held.

    Args:
        inversion: The likelihood.
        solution: A mass model with its source and deflector light.

    Returns:
        The best profile; its brightness is solved for at every step (Golub & Pereyra 1973).
    """
    region = inversion.region
    rays = region.rays_x, region.rays_y
    beta_x, beta_y = source_positions(solution.vector[None], *rays, inversion.lens_model)
    data = inversion.without_light(solution)
    area = inversion.frame.image.pixel_scale**2

    def image(point: np.ndarray) -> np.ndarray:
        light = _brightness(beta_x[0], beta_y[0], point)
        pixels = light.reshape(-1, region.rays_per_pixel).mean(axis=1)
        return inversion.weight * (region.blur @ pixels) * area

    def amplitude(unit: np.ndarray) -> float:
        return max(float(unit @ data) / max(float(unit @ unit), 1e-300), 0.0)

    def residual(point: np.ndarray) -> np.ndarray:
        unit = image(point)
        return amplitude(unit) * unit - data

    start, bounds = _start(inversion, solution)
    found = least_squares(
        residual, start, bounds=bounds, x_scale=_SCALES, max_nfev=_MOST_EVALUATIONS, ftol=1e-5
    ).x
    unit = image(found)
    q, phi = axis_ratio_from_ellipticity(*_limited(found[2], found[3]))
    row = {
        "brightness": amplitude(unit), "r_eff_circ": math.exp(found[4]), "n_sersic": found[5],
        "q": q, "phi": phi, "x_center": found[0], "y_center": found[1],
    }  # fmt: skip
    return SersicSource({k: float(v) for k, v in row.items()}, amplitude(unit) * unit)


def _start(
    inversion: Inversion, solution: Solution
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Centre x and y, ellipticity, logarithm of the radius, index; and their limits."""
    x, y, log_radius, _ = summarise_source(inversion, solution)
    window = solution.window
    largest = _LARGEST_ELLIPTICITY
    low = [window.x - window.half_width, window.y - window.half_width, -largest, -largest]
    high = [window.x + window.half_width, window.y + window.half_width, largest, largest]
    low += [math.log(_SMALLEST_RADIUS), _N_RANGE[0]]
    high += [math.log(window.half_width), _N_RANGE[1]]
    start = np.clip([x, y, 0.0, 0.0, log_radius, 1.0], np.array(low) + 1e-6, np.array(high) - 1e-6)
    return start, (np.array(low), np.array(high))


def _brightness(x: np.ndarray, y: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Sersic profile of unit brightness at its radius, on the intermediate axis."""
    q, phi = axis_ratio_from_ellipticity(*_limited(point[2], point[3]))
    dx, dy = x - point[0], y - point[1]
    cos, sin = math.cos(phi), math.sin(phi)
    along, across = dx * cos + dy * sin, dy * cos - dx * sin
    radius2 = (q * along**2 + across**2 / q) * math.exp(-2.0 * point[4]) + 1e-12
    b = 1.9992 * point[5] - 0.3271
    return np.exp(-b * (radius2 ** (0.5 / point[5]) - 1.0))


def _limited(e1: float, e2: float) -> tuple[float, float]:
    """Ellipticity within what a Sersic profile may have."""
    shrink = min(1.0, _LARGEST_ELLIPTICITY / max(math.hypot(e1, e2), 1e-9))
    return float(e1) * shrink, float(e2) * shrink
