"""Elliptical Gaussian: clumps, and the pieces that steeper profiles can be made of."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.light.light_profile import EXPONENT_FLOOR, inclined, lights


def face_on(
    x: Float[Tensor, "batch y x"],
    y: Float[Tensor, "batch y x"],
    sigma: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Surface brightness of a round Gaussian of unit flux.

    Args:
        x: Position from the centre along x [arcsec].
        y: Position from the centre along y [arcsec].
        sigma: Standard deviation; on the sky that along the major axis [arcsec].

    Returns:
        Surface brightness [1 / arcsec^2].

    Reference:
        Definition of the bivariate Gaussian; checked against lenstronomy `GAUSSIAN_ELLIPSE`, whose
        `sigma` is sigma sqrt(q), in tests/reference.
    """
    sigma2 = sigma[:, None, None] ** 2
    exponent = (-0.5 * (x * x + y * y) / sigma2).clamp_min(EXPONENT_FLOOR)
    return torch.exp(exponent) / (2.0 * math.pi * sigma2)


lights.register("gaussian")(inclined(face_on, ("sigma",)))
