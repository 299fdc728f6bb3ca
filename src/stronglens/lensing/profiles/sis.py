"""Singular isothermal sphere; its flattened form is in `sie`."""

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.lensing.profiles.mass_profile import Profile, profiles

# A ray is never closer to the singular centre than 1e-7 arcsec: keeps values and gradients finite.
_RADIUS2_FLOOR = 1e-14


def _offsets(
    x: Tensor, y: Tensor, x_center: Tensor, y_center: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Position relative to the centre and squared radius."""
    dx, dy = x - x_center[:, None, None], y - y_center[:, None, None]
    dx, dy = torch.broadcast_tensors(dx, dy)
    return dx, dy, (dx * dx + dy * dy).clamp_min(_RADIUS2_FLOOR)


def deflection(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    theta_e: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> tuple[Float[Tensor, "batch y x"], Float[Tensor, "batch y x"]]:
    """Reduced deflection angle of a singular isothermal sphere.

    Its length is theta_e everywhere; at the centre, where the direction is undefined, it is zero.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        theta_e: Einstein radius [arcsec].
        x_center: Centre along x [arcsec].
        y_center: Centre along y [arcsec].

    Returns:
        alpha_x, alpha_y [arcsec].

    Reference:
        Schneider, Ehlers & Falco 1992, section 8.1.4:
        alpha = theta_e theta / |theta|; checked in tests/properties as the round limit of the SIE.
    """
    dx, dy, radius2 = _offsets(x, y, x_center, y_center)
    scale = theta_e[:, None, None] * radius2.rsqrt()
    return dx * scale, dy * scale


def potential(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    theta_e: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Lensing potential of a singular isothermal sphere, zero at its centre.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        theta_e: Einstein radius [arcsec].
        x_center: Centre along x [arcsec].
        y_center: Centre along y [arcsec].

    Returns:
        psi [arcsec^2].

    Reference:
        Schneider, Ehlers & Falco 1992, section 8.1.4: psi = theta_e |theta|.
    """
    _, _, radius2 = _offsets(x, y, x_center, y_center)
    return theta_e[:, None, None] * radius2.sqrt()


def convergence(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    theta_e: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Convergence of a singular isothermal sphere, diverging at its centre.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        theta_e: Einstein radius [arcsec].
        x_center: Centre along x [arcsec].
        y_center: Centre along y [arcsec].

    Returns:
        kappa [-].

    Reference:
        Schneider, Ehlers & Falco 1992, section 8.1.4: kappa = theta_e / (2 |theta|).
    """
    _, _, radius2 = _offsets(x, y, x_center, y_center)
    return 0.5 * theta_e[:, None, None] * radius2.rsqrt()


profiles.register("sis")(
    Profile(deflection, potential, convergence, ("theta_e", "x_center", "y_center"))
)
