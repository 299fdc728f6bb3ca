"""The lens equation for sums of mass profiles, and the magnification it gives.

Where a source has several images is in `caustics`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.lensing.caustics import is_multiply_imaged
from stronglens.lensing.records import CallableMass, LensModel, MassProfile, SieShear

__all__ = [
    "CallableMass",
    "LensModel",
    "MassProfile",
    "SieShear",
    "deflection",
    "is_multiply_imaged",
    "magnification",
    "trace",
]


def deflection(
    x: Float[Tensor, "#batch #y #x"], y: Float[Tensor, "#batch #y #x"], lens_model: LensModel
) -> tuple[Float[Tensor, "batch y x"], Float[Tensor, "batch y x"]]:
    """Reduced deflection angle of a sum of mass profiles.

    Args:
        x: Image-plane position along x [arcsec]; axes of length one broadcast.
        y: Image-plane position along y [arcsec].
        lens_model: The profiles, at least one.

    Returns:
        alpha_x, alpha_y [arcsec].

    Reference:
        Schneider, Ehlers & Falco 1992, section 5.1: deflections of one plane add up.
    """
    first, *others = (mass.deflection(x, y) for mass in lens_model)
    alpha_x, alpha_y = first
    for more_x, more_y in others:
        alpha_x, alpha_y = alpha_x + more_x, alpha_y + more_y
    return alpha_x, alpha_y


def trace(
    x: Float[Tensor, "#batch #y #x"], y: Float[Tensor, "#batch #y #x"], lens_model: LensModel
) -> tuple[Float[Tensor, "batch y x"], Float[Tensor, "batch y x"]]:
    """Source-plane positions of image-plane positions: the lens equation.

    Args:
        x: Image-plane position along x [arcsec]; axes of length one broadcast.
        y: Image-plane position along y [arcsec].
        lens_model: The profiles, at least one.

    Returns:
        beta_x, beta_y [arcsec].

    Reference:
        Schneider, Ehlers & Falco 1992, section 2.1: beta = theta - alpha(theta).
    """
    beta_x, beta_y = x, y
    for mass in lens_model:
        alpha_x, alpha_y = mass.deflection(x, y)
        beta_x, beta_y = beta_x - alpha_x, beta_y - alpha_y
    return beta_x, beta_y


def magnification(
    x: Float[Tensor, "batch y x"], y: Float[Tensor, "batch y x"], lens_model: LensModel
) -> Float[Tensor, "batch y x"]:
    """Signed magnification of a point source seen at these image-plane positions.

    For an extended source, compare fluxes instead: this value diverges on the critical curves.

    Args:
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        lens_model: The profiles, at least one.

    Returns:
        mu = 1 / det(d beta / d theta) [-], negative at saddle points.

    Reference:
        Schneider, Ehlers & Falco 1992, section 5.2; derivatives by automatic differentiation.
    """
    with torch.inference_mode(mode=False), torch.enable_grad():
        x, y = (position.detach().clone().requires_grad_() for position in (x, y))
        beta_x, beta_y = trace(x, y, [mass.detached() for mass in lens_model])
        a_xx, a_xy = torch.autograd.grad(beta_x.sum(), (x, y), retain_graph=True)
        a_yx, a_yy = torch.autograd.grad(beta_y.sum(), (x, y))
    return 1.0 / (a_xx * a_yy - a_xy * a_yx)
