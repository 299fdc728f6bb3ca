"""Spherical halo of Navarro, Frenk & White, such as that of a group; galaxies are in `epl`."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.lensing.profiles.mass_profile import Profile, profiles

# A ray is never closer to the centre than 1e-7 arcsec: keeps values and gradients finite.
_RADIUS2_FLOOR = 1e-14
INNER = 0.25
"""Squared radius below which differences of logarithms would lose digits [r_scale^2]."""
# Where |x^2 - 1| is smaller, a power series takes the place of 0 / 0.
_NEAR = 0.04
_N_TERMS = 11


def _offsets(
    x: Tensor, y: Tensor, r_scale: Tensor, x_center: Tensor, y_center: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Position relative to the centre and squared radius in units of r_scale."""
    dx, dy = x - x_center[:, None, None], y - y_center[:, None, None]
    radius2 = (dx * dx + dy * dy).clamp_min(_RADIUS2_FLOOR)
    return dx, dy, radius2 / r_scale.square()[:, None, None]


def _arc_ratio(x2: Tensor) -> Tensor:
    """artanh(s) / s with s^2 = 1 - x^2, going on as arctan(s) / s, s^2 = x^2 - 1, beyond x = 1."""
    excess = x2 - 1.0
    is_near = excess.abs() < _NEAR
    s = torch.where(is_near, 0.5, excess.abs()).sqrt()
    # artanh(s) = ln((1 + s) / x) keeps its digits where s is next to 1
    arc = torch.where(excess < 0.0, torch.log1p(s) - 0.5 * torch.log(x2), torch.atan(s))
    return torch.where(is_near, _series(excess, 0), arc / s)


def _series(excess: Tensor, start: int) -> Tensor:
    """Sum over k of (-excess)^k / (2 k + 1 + 2 start): the ratio above, or its `start`-th rest."""
    small = excess.clamp(-_NEAR, _NEAR)
    total = torch.zeros_like(small)
    for k in reversed(range(_N_TERMS)):
        total = 1.0 / (2 * (k + start) + 1) - small * total
    return total


def _inner(x2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """s, (1 - s) / x^2 and ln((1 + s) / 2), s = sqrt(1 - x^2), for small radii."""
    x2 = x2.clamp_max(INNER)
    s = (1.0 - x2).sqrt()
    slack = 1.0 / (1.0 + s)
    return s, slack, torch.log1p(-0.5 * x2 * slack)


def deflection(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    r_scale: Float[Tensor, "batch"],
    alpha_r_scale: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> tuple[Float[Tensor, "batch y x"], Float[Tensor, "batch y x"]]:
    """Reduced deflection angle of a spherical NFW halo, zero at its centre.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        r_scale: Radius at which the density falls as r^-2 [arcsec].
        alpha_r_scale: Deflection at that radius, which sets the mass [arcsec].
        x_center: Centre along x [arcsec].
        y_center: Centre along y [arcsec].

    Returns:
        alpha_x, alpha_y [arcsec].

    Reference:
        Wright & Brainerd 2000, eq. 13, integrated (Bartelmann 1996): alpha is proportional to
        g(x) / x with g = ln(x / 2) + artanh(s) / s; for small x rewritten so that nothing
        cancels; checked against lenstronomy `NFW` in tests/reference.
    """
    dx, dy, x2 = _offsets(x, y, r_scale, x_center, y_center)
    s, slack, log_half = _inner(x2)
    inner = ((math.log(2.0) - 0.5 * torch.log(x2)) * slack + log_half / x2.clamp_max(INNER)) / s
    outer = (0.5 * torch.log(0.25 * x2) + _arc_ratio(x2)) / x2
    scale = (alpha_r_scale / (r_scale * (1.0 - math.log(2.0))))[:, None, None]
    mean = torch.where(x2 < INNER, inner, outer) * scale
    return dx * mean, dy * mean


def potential(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    r_scale: Float[Tensor, "batch"],
    alpha_r_scale: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Lensing potential of a spherical NFW halo, zero at its centre.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        r_scale: Radius at which the density falls as r^-2 [arcsec].
        alpha_r_scale: Deflection at that radius [arcsec].
        x_center: Centre along x [arcsec].
        y_center: Centre along y [arcsec].

    Returns:
        psi [arcsec^2].

    Reference:
        Meneghetti, Bartelmann & Moscardini 2003, eq. 6:
        psi is proportional to ln(x / 2)^2 - artanh(s)^2 with s^2 = 1 - x^2.
    """
    _, _, x2 = _offsets(x, y, r_scale, x_center, y_center)
    _, _, log_half = _inner(x2)
    log = 0.5 * torch.log(0.25 * x2)
    # artanh(s) = ln((1 + s) / 2) - ln(x / 2): the difference of squares as a product
    inner = log_half * (2.0 * log - log_half)
    outer = log.square() + (x2 - 1.0) * _arc_ratio(x2).square()
    scale = (0.5 * alpha_r_scale * r_scale / (1.0 - math.log(2.0)))[:, None, None]
    return torch.where(x2 < INNER, inner, outer) * scale


def convergence(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    r_scale: Float[Tensor, "batch"],
    alpha_r_scale: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Convergence of a spherical NFW halo, diverging at its centre as a logarithm.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        r_scale: Radius at which the density falls as r^-2 [arcsec].
        alpha_r_scale: Deflection at that radius [arcsec].
        x_center: Centre along x [arcsec].
        y_center: Centre along y [arcsec].

    Returns:
        kappa [-].

    Reference:
        Wright & Brainerd 2000, eq. 11: kappa is proportional to (1 - artanh(s) / s) / (x^2 - 1).
    """
    _, _, x2 = _offsets(x, y, r_scale, x_center, y_center)
    excess = x2 - 1.0
    is_near = excess.abs() < _NEAR
    ratio = (1.0 - _arc_ratio(x2)) / torch.where(is_near, 1.0, excess)
    scale = (0.5 * alpha_r_scale / (r_scale * (1.0 - math.log(2.0))))[:, None, None]
    return torch.where(is_near, _series(excess, 1), ratio) * scale


profiles.register("nfw")(
    Profile(
        deflection, potential, convergence, ("r_scale", "alpha_r_scale", "x_center", "y_center")
    )
)
