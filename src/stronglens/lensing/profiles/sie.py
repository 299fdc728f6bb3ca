"""Singular isothermal ellipsoid; the circular case by itself is in `sis`."""

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.conventions import major_axis_frame
from stronglens.lensing.profiles.mass_profile import Profile, profiles

# Below this eccentricity squared, 1 - q^2, the ellipsoid equals the sphere to 1e-10.
_ECCENTRICITY2_FLOOR = 1e-10
# A ray is never closer to the singular centre than 1e-7 arcsec: keeps values and gradients finite.
_RADIUS2_FLOOR = 1e-14


def _arc_functions(u: Tensor, v: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """atan(f u / r) and 2 artanh(f v / r) with f^2 = 1 - q^2 and r^2 = q^2 u^2 + v^2.

    In-place steps touch only what automatic differentiation does not keep.
    """
    q = q[:, None, None]
    f = _eccentricity(q)
    radius = (u * q).square_().add_(v * v).clamp_min_(_RADIUS2_FLOOR).sqrt_()
    # 2 artanh t is log1p(2 t / (1 - t)): fast, and exact where t is small
    twice = v * (2.0 * f)
    minor = twice.div_(torch.sub(radius, twice, alpha=0.5)).log1p_()
    return (u * f).div_(radius).atan_(), minor


def _eccentricity(q: Tensor) -> Tensor:
    return ((1.0 - q) * (1.0 + q)).clamp_min(_ECCENTRICITY2_FLOOR).sqrt()


def deflection(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    theta_e: Float[Tensor, "batch"],
    q: Float[Tensor, "batch"],
    phi: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> tuple[Float[Tensor, "batch y x"], Float[Tensor, "batch y x"]]:
    """Reduced deflection angle of a singular isothermal ellipsoid.

    The mean convergence inside the ellipse of semi-axes theta_e / sqrt(q) and theta_e sqrt(q) is
    one. At the centre, where the direction is undefined, the deflection is zero.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        theta_e: Einstein radius, intermediate-axis normalisation [arcsec].
        q: Axis ratio of the convergence in (0, 1]; at 1 the result is the SIS [-].
        phi: Angle of the major axis [rad].
        x_center: Centre along x [arcsec].
        y_center: Centre along y [arcsec].

    Returns:
        alpha_x, alpha_y [arcsec].

    Reference:
        Kormann, Schneider & Bartelmann 1994, eq. 27a, here as Keeton 2001 (astro-ph/0102341)
        writes it, without core: theta_e sqrt(q) / f times atan(f u / r) along the major and
        artanh(f v / r) along the minor axis, f^2 = 1 - q^2, r^2 = q^2 u^2 + v^2; checked against
        lenstronomy `SIE` in tests/reference.
    """
    u, v = major_axis_frame(x, y, phi, x_center, y_center)
    major, minor = _arc_functions(u, v, q)
    scale = theta_e * q.sqrt() / _eccentricity(q)
    cos, sin = (scale * torch.cos(phi))[:, None, None], (scale * torch.sin(phi))[:, None, None]
    alpha_x = (major * cos).sub_(minor * (0.5 * sin))
    return alpha_x, (major * sin).add_(minor * (0.5 * cos))


def potential(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    theta_e: Float[Tensor, "batch"],
    q: Float[Tensor, "batch"],
    phi: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Lensing potential of a singular isothermal ellipsoid, zero at its centre.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        theta_e: Einstein radius, intermediate-axis normalisation [arcsec].
        q: Axis ratio of the convergence in (0, 1] [-].
        phi: Angle of the major axis [rad].
        x_center: Centre along x [arcsec].
        y_center: Centre along y [arcsec].

    Returns:
        psi [arcsec^2].

    Reference:
        Keeton 2001 (astro-ph/0102341), without core: an isothermal potential is homogeneous
        of degree one, so psi = u alpha_u + v alpha_v (Euler).
    """
    u, v = major_axis_frame(x, y, phi, x_center, y_center)
    major, minor = _arc_functions(u, v, q)
    scale = theta_e * q.sqrt() / _eccentricity(q)
    return (u * major + 0.5 * v * minor) * scale[:, None, None]


def convergence(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    theta_e: Float[Tensor, "batch"],
    q: Float[Tensor, "batch"],
    phi: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Convergence of a singular isothermal ellipsoid, diverging at its centre.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        theta_e: Einstein radius, intermediate-axis normalisation [arcsec].
        q: Axis ratio in (0, 1] [-].
        phi: Angle of the major axis [rad].
        x_center: Centre along x [arcsec].
        y_center: Centre along y [arcsec].

    Returns:
        kappa [-].

    Reference:
        Kormann, Schneider & Bartelmann 1994, section 3:
        kappa = theta_e / (2 sqrt(q u^2 + v^2 / q)).
    """
    u, v = major_axis_frame(x, y, phi, x_center, y_center)
    q = q[:, None, None]
    radius2 = (q * u * u + v * v / q).clamp_min(_RADIUS2_FLOOR)
    return 0.5 * theta_e[:, None, None] * radius2.rsqrt()


profiles.register("sie")(
    Profile(deflection, potential, convergence, ("theta_e", "q", "phi", "x_center", "y_center"))
)
