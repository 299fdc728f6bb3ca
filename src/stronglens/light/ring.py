"""Ring galaxy: light that is Gaussian across a circle, seen at an inclination."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.light.light_profile import EXPONENT_FLOOR, RADIUS2_FLOOR, inclined, lights


def face_on(
    x: Float[Tensor, "batch y x"],
    y: Float[Tensor, "batch y x"],
    radius: Float[Tensor, "batch"],
    width: Float[Tensor, "batch"],
    asymmetry: Float[Tensor, "batch"],
    asymmetry_phase: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Surface brightness of a ring of unit flux, brighter on one side.

    The asymmetry is an odd function of the position, so it adds no flux.

    Args:
        x: Position from the centre along x [arcsec].
        y: Position from the centre along y [arcsec].
        radius: Radius of the ridge; on the sky along the major axis [arcsec].
        width: Standard deviation of the light across the ridge [arcsec].
        asymmetry: Amplitude of the variation around the ring, 0 for none, at most 1 [-].
        asymmetry_phase: Azimuth of the bright side from the major axis, in the plane of the
            ring [rad].

    Returns:
        Surface brightness [1 / arcsec^2].

    Reference:
        exp(-(r - radius)^2 / (2 width^2)) (1 + asymmetry r cos(azimuth - phase) /
        sqrt(r^2 + width^2)), divided by 2 pi [width^2 exp(-t^2) + sqrt(pi) t width^2 (1 + erf t)]
        with t = radius / (sqrt(2) width): our own definition, integrated over the plane.
    """
    radius, width = radius[:, None, None], width[:, None, None]
    r2 = (x * x + y * y).clamp_min(RADIUS2_FLOOR)
    offset = (r2.sqrt() - radius) / width
    ridge = torch.exp((-0.5 * offset * offset).clamp_min(EXPONENT_FLOOR))
    cos, sin = (asymmetry * part(asymmetry_phase) for part in (torch.cos, torch.sin))
    toward = x * cos[:, None, None] + y * sin[:, None, None]
    t = radius / (math.sqrt(2.0) * width)
    area = torch.exp(-t * t) + math.sqrt(math.pi) * t * (1.0 + torch.erf(t))
    uneven = 1.0 + toward * torch.rsqrt(r2 + width * width)
    return ridge * uneven / (2.0 * math.pi * width * width * area)


lights.register("ring")(inclined(face_on, ("radius", "width", "asymmetry", "asymmetry_phase")))
