"""Elliptical power law; its isothermal case is in `sie`, with a formula in closed form."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.conventions import major_axis_frame
from stronglens.core.errors import OutOfRangeError
from stronglens.lensing.profiles.mass_profile import Profile, profiles

# A ray is never closer to the singular centre than 1e-7 arcsec: keeps values and gradients finite.
_RADIUS2_FLOOR = 1e-14


def _n_terms(q: Tensor) -> int:
    """Terms after which the rest of the series is below four roundings of theta_e.

    In single precision that is 5e-7 arcsec at theta_e = 1: 14 terms for q = 0.5, 25 for 0.3.
    """
    if q.numel() == 0:
        return 1
    q = q.detach()
    f = float(((1.0 - q) / (1.0 + q)).abs().max())
    if not f < 1.0:
        raise OutOfRangeError(
            f"axis ratio q from {float(q.min())} to {float(q.max())} is not above 0. "
            "Draw axis ratios in (0, 1]."
        )
    # the terms fall at least as fast as those of a geometric series of ratio f
    rest = 4.0 * torch.finfo(q.dtype).eps * (1.0 - f)
    # two at least: the second carries the gradient of a round lens
    return max(2, math.ceil(math.log(rest) / math.log(max(f, rest))))


def harmonic_factors(
    slope: Float[Tensor, "batch"], q: Float[Tensor, "batch"]
) -> Float[Tensor, "term batch"]:
    """Factors of the angular harmonics, as many as the flattest ellipsoid needs.

    Args:
        slope: -dln rho / dln r of the density [-].
        q: Axis ratio of the convergence in (0, 1] [-].
    """
    k = torch.arange(1, _n_terms(q), dtype=q.dtype, device=q.device)[:, None]
    ratios = (2.0 * k - 3.0 + slope) / (2.0 * k + 3.0 - slope)
    harmonics = torch.cumprod(ratios, dim=0) * ((q - 1.0) / (q + 1.0)) ** k
    return torch.cat([torch.ones_like(q)[None], harmonics])


def _angular_sums(minor2: Tensor, radius2: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over n of c_n cos((2n+1) a) / cos(a) and c_n sin((2n+1) a) / sin(a) by Clenshaw.

    Real throughout, and free of trigonometry: the recurrence needs 2 cos(2a) = 2 - 4 sin(a)^2.
    """
    double_cos = torch.addcdiv(minor2.new_tensor(2.0), minor2, radius2, value=-4.0)
    newer = older = torch.zeros_like(double_cos)
    for coefficient in coefficients.flip(0):
        newer, older = (coefficient - older).addcmul_(double_cos, newer), newer
    return newer - older, newer + older


def _axis_deflection(u: Tensor, v: Tensor, slope: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Deflection along the major and the minor axis without `strength`."""
    qu, minor2 = u * q[:, None, None], v * v
    radius2 = torch.addcmul(minor2, qu, qu).clamp_min_(_RADIUS2_FLOOR)
    major, minor = _angular_sums(minor2, radius2, harmonic_factors(slope, q)[..., None, None])
    # a power as exp(log): three times faster than pow
    power = (radius2.log() * (0.5 - 0.5 * slope)[:, None, None]).exp_()
    return major.mul_(qu).mul_(power), minor.mul_(v).mul_(power)


def strength(
    theta_e: Float[Tensor, "batch"], slope: Float[Tensor, "batch"], q: Float[Tensor, "batch"]
) -> Float[Tensor, "batch"]:
    """Factor of the deflection that makes theta_e the Einstein radius.

    Args:
        theta_e: Einstein radius, intermediate-axis normalisation [arcsec].
        slope: -dln rho / dln r of the density [-].
        q: Axis ratio of the convergence in (0, 1] [-].
    """
    return 2.0 / (1.0 + q) * (theta_e * q.sqrt()) ** (slope - 1.0)


def deflection(  # noqa: PLR0913, PLR0917 - one argument per parameter
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    theta_e: Float[Tensor, "batch"],
    slope: Float[Tensor, "batch"],
    q: Float[Tensor, "batch"],
    phi: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> tuple[Float[Tensor, "batch y x"], Float[Tensor, "batch y x"]]:
    """Reduced deflection angle of an elliptical power law.

    The mean convergence inside the ellipse of semi-axes theta_e / sqrt(q) and theta_e sqrt(q) is
    one. At the centre, where the direction is undefined, the deflection is zero.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        theta_e: Einstein radius, intermediate-axis normalisation [arcsec].
        slope: -dln rho / dln r of the density, between 1 and 3; at 2 the result is the SIE [-].
        q: Axis ratio of the convergence in (0, 1]; the flatter, the more terms are summed [-].
        phi: Angle of the major axis [rad].
        x_center: Centre along x [arcsec].
        y_center: Centre along y [arcsec].

    Returns:
        alpha_x, alpha_y [arcsec].

    Raises:
        OutOfRangeError: An axis ratio is not above 0, or not a number.

    Reference:
        Tessore & Metcalf 2015, eqs. 13, 23 and 29, with t = slope - 1: cosines and sines of odd
        multiples of their angle a, for which tan(a) = v / (q u), here summed in real numbers
        (Clenshaw 1955); checked against lenstronomy `EPL` in tests/reference.
    """
    u, v = major_axis_frame(x, y, phi, x_center, y_center)
    major, minor = _axis_deflection(u, v, slope, q)
    scale = strength(theta_e, slope, q)
    cos, sin = (scale * torch.cos(phi))[:, None, None], (scale * torch.sin(phi))[:, None, None]
    return (major * cos).sub_(minor * sin), (major * sin).add_(minor * cos)


def potential(  # noqa: PLR0913, PLR0917 - one argument per parameter
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    theta_e: Float[Tensor, "batch"],
    slope: Float[Tensor, "batch"],
    q: Float[Tensor, "batch"],
    phi: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Lensing potential of an elliptical power law, zero at its centre.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        theta_e: Einstein radius, intermediate-axis normalisation [arcsec].
        slope: -dln rho / dln r of the density, between 1 and 3 [-].
        q: Axis ratio of the convergence in (0, 1] [-].
        phi: Angle of the major axis [rad].
        x_center: Centre along x [arcsec].
        y_center: Centre along y [arcsec].

    Returns:
        psi [arcsec^2].

    Reference:
        Tessore & Metcalf 2015, eq. 15: the potential is homogeneous of degree 3 - slope, so
        psi = (u alpha_u + v alpha_v) / (3 - slope) (Euler).
    """
    u, v = major_axis_frame(x, y, phi, x_center, y_center)
    major, minor = _axis_deflection(u, v, slope, q)
    scale = strength(theta_e, slope, q) / (3.0 - slope)
    return (u * major + v * minor) * scale[:, None, None]


def convergence(  # noqa: PLR0913, PLR0917 - one argument per parameter
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    theta_e: Float[Tensor, "batch"],
    slope: Float[Tensor, "batch"],
    q: Float[Tensor, "batch"],
    phi: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Convergence of an elliptical power law, diverging at its centre.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        theta_e: Einstein radius, intermediate-axis normalisation [arcsec].
        slope: -dln rho / dln r of the density, between 1 and 3 [-].
        q: Axis ratio in (0, 1] [-].
        phi: Angle of the major axis [rad].
        x_center: Centre along x [arcsec].
        y_center: Centre along y [arcsec].

    Returns:
        kappa [-].

    Reference:
        Tessore & Metcalf 2015, eq. 2: kappa = (3 - slope) / 2 (theta_e / R)^(slope - 1) with
        R^2 = q u^2 + v^2 / q.
    """
    u, v = major_axis_frame(x, y, phi, x_center, y_center)
    q, slope, theta_e = (value[:, None, None] for value in (q, slope, theta_e))
    radius2 = (q * u * u + v * v / q).clamp_min(_RADIUS2_FLOOR)
    power = torch.exp((0.5 - 0.5 * slope) * torch.log(radius2))
    return (1.5 - 0.5 * slope) * theta_e ** (slope - 1.0) * power


profiles.register("epl")(
    Profile(
        deflection,
        potential,
        convergence,
        ("theta_e", "slope", "q", "phi", "x_center", "y_center"),
    )
)
