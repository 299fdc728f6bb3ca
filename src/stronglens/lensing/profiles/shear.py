"""External shear about a centre of choice; it carries no mass."""

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.lensing.profiles.mass_profile import Profile, profiles


def deflection(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    gamma1: Float[Tensor, "batch"],
    gamma2: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> tuple[Float[Tensor, "batch y x"], Float[Tensor, "batch y x"]]:
    """Reduced deflection angle of an external shear, zero at its centre.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        gamma1: Shear gamma_ext cos 2 phi_ext; positive stretches images along x [-].
        gamma2: Shear gamma_ext sin 2 phi_ext [-].
        x_center: Point without deflection, along x [arcsec].
        y_center: The same along y [arcsec].

    Returns:
        alpha_x, alpha_y [arcsec].

    Reference:
        Gradient of the potential below; checked against lenstronomy `SHEAR`.
    """
    g1, g2 = gamma1[:, None, None], gamma2[:, None, None]
    dx, dy = x - x_center[:, None, None], y - y_center[:, None, None]
    return g1 * dx + g2 * dy, g2 * dx - g1 * dy


def potential(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    gamma1: Float[Tensor, "batch"],
    gamma2: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Lensing potential of an external shear, zero at its centre.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        gamma1: Shear gamma_ext cos 2 phi_ext [-].
        gamma2: Shear gamma_ext sin 2 phi_ext [-].
        x_center: Point without deflection, along x [arcsec].
        y_center: The same along y [arcsec].

    Returns:
        psi [arcsec^2].

    Reference:
        Keeton 2001 (astro-ph/0102341), external shear: psi = gamma1 (x^2 - y^2) / 2 + gamma2 x y.
    """
    g1, g2 = gamma1[:, None, None], gamma2[:, None, None]
    dx, dy = x - x_center[:, None, None], y - y_center[:, None, None]
    return 0.5 * g1 * (dx * dx - dy * dy) + g2 * dx * dy


def convergence(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    gamma1: Float[Tensor, "batch"],
    gamma2: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Convergence of an external shear: zero, since it is the tide of masses elsewhere.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        gamma1: Shear gamma_ext cos 2 phi_ext [-].
        gamma2: Shear gamma_ext sin 2 phi_ext [-].
        x_center: Point without deflection, along x [arcsec].
        y_center: The same along y [arcsec].

    Returns:
        kappa [-].

    Reference:
        Laplacian of the potential, which vanishes.
    """
    shift = (x_center + y_center + gamma1 + gamma2)[:, None, None]
    return torch.zeros_like(x + y + shift)


profiles.register("shear")(
    Profile(deflection, potential, convergence, ("gamma1", "gamma2", "x_center", "y_center"))
)
