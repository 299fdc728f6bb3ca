"""From one start to the nearest best mass model: Levenberg-Marquardt on the exact evidence."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from stronglens.measurement.deflector_light import smoothed_snr
from stronglens.measurement.inversion import Inversion, Solution
from stronglens.measurement.mass_model import STEPS, MassPrior, free_parameters, source_positions
from stronglens.measurement.source_grid import Window

LARGEST_WINDOW = 0.55
"""Largest half width of the source grid in units of the Einstein radius [-]."""
SMALLEST_WINDOW = 0.25
"""Smallest half width of the source grid [arcsec]."""
_ARC_SNR = 3.5
_MARGIN, _MARGIN_FACTOR, _SHARE = 0.08, 1.25, 0.9
_MOVING_ITERATIONS, _FOLLOWS = 8, 0.1
_TRIALS, _RAISE, _RELAX, _LEAST_DAMPING = 5, 8.0, 0.2, 1e-3
_GOOD, _POOR = 0.7, 0.3
_LEAST_GAIN, _HOPING = 0.3, 3


@dataclass(frozen=True, eq=False)
class Minimum:
    """A mass model from which no small step leads on."""

    solution: Solution
    """The model with its source."""
    objective: float
    """Minus twice the logarithm of evidence times prior, up to a constant."""
    hessian: Float[np.ndarray, "free free"] = field(repr=False)
    """Half the curvature of the objective: the inverse covariance of the free parameters."""

    @property
    def theta_e(self) -> float:
        """Einstein radius [arcsec]."""
        return float(np.exp(self.solution.vector[0]))


def arc_light(inversion: Inversion) -> Float[np.ndarray, "pixel"]:
    """Light that the deflector does not explain, in fitted pixels where it is significant.

    Args:
        inversion: The region, with the light of the deflector.
    """
    residual = inversion.frame.image.flux - inversion.light_image - inversion.light.sky
    used = inversion.region.is_fitted
    snr = np.zeros(used.shape)
    snr[used] = residual[used] * inversion.weight
    return np.where(smoothed_snr(snr) > _ARC_SNR, residual, 0.0)[used].clip(0.0)


def source_window(
    inversion: Inversion, vector: Float[np.ndarray, "8"], arcs: Float[np.ndarray, "pixel"]
) -> Window:
    """Square around the place where a mass model puts the arcs in the source plane.

    It is never larger than a part of the Einstein radius: a source is compact, and a model that
    needs a source as large as its ring has not explained the ring.

    Args:
        inversion: The region.
        vector: The mass model.
        arcs: Light of the arcs in the fitted pixels.
    """
    theta_e = float(np.exp(vector[0]))
    largest = max(LARGEST_WINDOW * theta_e, SMALLEST_WINDOW)
    used = inversion.region.is_fitted
    x, y = inversion.frame.x[used], inversion.frame.y[used]
    traced = source_positions(vector[None], x, y, inversion.lens_model)
    beta_x, beta_y = traced[0][0], traced[1][0]
    middle_x, middle_y, reach = float(vector[3]), float(vector[4]), 1.2 * theta_e
    weight = arcs
    for _ in range(6):
        is_near = (np.abs(beta_x - middle_x) < reach) & (np.abs(beta_y - middle_y) < reach)
        weight = arcs * is_near
        total = float(weight.sum())
        if total <= 0:
            return Window(middle_x, middle_y, largest)
        middle_x = float((weight * beta_x).sum() / total)
        middle_y = float((weight * beta_y).sum() / total)
        reach = max(largest, 0.75 * reach)
    distance = np.maximum(np.abs(beta_x - middle_x), np.abs(beta_y - middle_y))[weight > 0]
    order = np.argsort(distance)
    share = np.cumsum(weight[weight > 0][order])
    extent = float(distance[order][np.searchsorted(share, _SHARE * share[-1])])
    half_width = np.clip(_MARGIN_FACTOR * extent + _MARGIN, SMALLEST_WINDOW, largest)
    return Window(middle_x, middle_y, float(half_width))


def objective(solution: Solution, prior: MassPrior) -> float:
    """Minus twice the logarithm of evidence times prior, up to a constant."""
    return solution.deviance + prior.penalty(solution.vector)


def descend(
    inversion: Inversion,
    start: Solution,
    prior: MassPrior,
    arcs: Float[np.ndarray, "pixel"] | None,
    max_iterations: int = 15,
    bar: float = np.inf,
) -> Minimum:
    """Follow the evidence from a start to a minimum.

    Args:
        inversion: The likelihood.
        start: Where to begin, with its window and weight of the smoothness.
        prior: Priors of the parameters.
        arcs: Light that the window of the source follows in the first steps; None holds it still.
        max_iterations: Most steps.
        bar: Objective of a minimum that is known; the descent ends early where even steps as good
            as the last one would not get down to it.

    Reference:
        Levenberg 1944; Marquardt 1963.
    """
    free = free_parameters(inversion.lens_model)
    here, value = start, objective(start, prior)
    damping = 1e-2
    for k in range(max_iterations):
        equations = inversion.step_equations(here, free, prior)
        stepped = _step(inversion, here, prior, (*equations, damping, value))
        if stepped is None:
            break
        gain = value - stepped[1]
        here, value, damping = stepped
        window = here.window
        if arcs is not None and k < _MOVING_ITERATIONS:
            window = _followed(window, source_window(inversion, here.vector, arcs))
        if k % 3 == 1 or window is not here.window:
            here = inversion.solve_best(here.vector, window, here.strength, 2)
            value = objective(here, prior)
        elif gain < _LEAST_GAIN:
            break
        if k >= _HOPING and value - gain * (max_iterations - k) > bar:
            break
    here = inversion.solve_best(here.vector, here.window, here.strength, 2)
    hessian, _ = inversion.step_equations(here, free, prior)
    return Minimum(here, objective(here, prior), hessian)


def _followed(window: Window, wanted: Window) -> Window:
    """The window that is wanted, if it is quite another.

    The evidence of a model changes by several units with the nodes alone: a window that moved with
    every step would hide the slope.
    """
    apart = max(abs(wanted.x - window.x), abs(wanted.y - window.y))
    apart = max(apart, abs(wanted.half_width - window.half_width))
    return wanted if apart > _FOLLOWS * window.half_width else window


def _step(
    inversion: Inversion,
    here: Solution,
    prior: MassPrior,
    equations: tuple[np.ndarray, np.ndarray, float, float],
) -> tuple[Solution, float, float] | None:
    """One step downhill: solution, objective and damping; None where there is none."""
    hessian, slope, damping, value = equations
    free = free_parameters(inversion.lens_model)
    for _ in range(_TRIALS):
        step = np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), slope)
        step *= min(1.0, float((STEPS[free] / np.maximum(np.abs(step), 1e-12)).min()))
        vector = here.vector.copy()
        vector[free] += step
        if np.isfinite(prior.penalty(vector)):
            there = inversion.solve(vector, here.window, here.strength)
            if (new := objective(there, prior)) < value:
                share = (value - new) / float(2.0 * step @ slope - step @ hessian @ step)
                factor = _RELAX if share > _GOOD else 1.0 if share > _POOR else 1.0 / _RELAX
                return there, new, max(damping * factor, _LEAST_DAMPING)
        damping *= _RAISE
    return None
