"""What the reconstructed source is like: its place, its size, and how much it is magnified."""

import math

import numpy as np

from stronglens.measurement.inversion import Inversion, Solution

_CUT = 0.1


def summarise_source(inversion: Inversion, solution: Solution) -> tuple[float, float, float, float]:
    """Place, logarithm of the half-light radius, and magnification of the source of a solution.

    Nodes fainter than a tenth of the brightest are noise more than source, and are left out.

    Args:
        inversion: The likelihood it belongs to.
        solution: A mass model with its source.

    Returns:
        beta_x, beta_y [arcsec]; ln of the half-light radius [ln arcsec]; magnification, lensed
        flux over unlensed flux [-].
    """
    n_side = inversion.n_side
    x, y = solution.window.node_positions(n_side)
    flux = np.where(solution.source > _CUT * solution.source.max(), solution.source, 0.0)
    total = float(flux.sum())
    if total <= 0.0:
        return solution.window.x, solution.window.y, math.log(solution.window.half_width), 1.0
    beta_x, beta_y = float(flux @ x) / total, float(flux @ y) / total
    distance = np.hypot(x - beta_x, y - beta_y)
    order = np.argsort(distance)
    share = np.cumsum(flux[order])
    step = solution.window.step(n_side)
    radius = float(distance[order][np.searchsorted(share, 0.5 * share[-1])])
    # nodes are coarse: interpolate within the last ring of them
    radius = max(radius, 0.5 * step)
    lensed = float((solution.interpolation @ flux).sum())
    area = (step / inversion.frame.image.pixel_scale) ** 2
    return beta_x, beta_y, math.log(radius), lensed / (total * area)
