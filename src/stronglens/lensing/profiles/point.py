"""Point mass, such as a compact perturber; spread-out masses are in the other files."""

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
    """Reduced deflection angle of a point mass.

    At the mass itself, where the direction is undefined, the deflection is zero.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        theta_e: Einstein radius [arcsec].
        x_center: Position of the mass along x [arcsec].
        y_center: Position of the mass along y [arcsec].

    Returns:
        alpha_x, alpha_y [arcsec].

    Reference:
        Schneider, Ehlers & Falco 1992, section 2.1: alpha = theta_e^2 theta / |theta|^2; checked
        against lenstronomy `POINT_MASS` in tests/reference.
    """
    dx, dy, radius2 = _offsets(x, y, x_center, y_center)
    scale = theta_e.square()[:, None, None] / radius2
    return dx * scale, dy * scale


def potential(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    theta_e: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Lensing potential of a point mass, zero at 1 arcsec from it.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        theta_e: Einstein radius [arcsec].
        x_center: Position of the mass along x [arcsec].
        y_center: Position of the mass along y [arcsec].

    Returns:
        psi [arcsec^2].

    Reference:
        Schneider, Ehlers & Falco 1992, section 5.1: psi = theta_e^2 ln |theta|.
    """
    _, _, radius2 = _offsets(x, y, x_center, y_center)
    return 0.5 * theta_e.square()[:, None, None] * radius2.log()


def convergence(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    theta_e: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Convergence of a point mass: zero but for the mass itself, whose spike is left out.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        theta_e: Einstein radius [arcsec].
        x_center: Position of the mass along x [arcsec].
        y_center: Position of the mass along y [arcsec].

    Returns:
        kappa [-].

    Reference:
        Schneider, Ehlers & Falco 1992, section 5.1: kappa = pi theta_e^2 delta(theta).
    """
    return torch.zeros_like(x + y + (x_center + y_center + theta_e)[:, None, None])


profiles.register("point")(
    Profile(deflection, potential, convergence, ("theta_e", "x_center", "y_center"))
)
