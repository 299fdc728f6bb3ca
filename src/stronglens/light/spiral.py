"""Exponential disc with logarithmic spiral arms, seen at an inclination."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.errors import OutOfRangeError
from stronglens.light.light_profile import EXPONENT_FLOOR, RADIUS2_FLOOR, inclined, lights

HALF_LIGHT_PER_SCALE_LENGTH = 1.6783469900166605
"""Half-light radius of an exponential disc over its scale length [-]."""

# Concentration of the von Mises function across an arm: half maximum over 27 % of the period.
_SHARPNESS = 2.0
_MEAN = float(torch.special.i0e(torch.tensor(_SHARPNESS, dtype=torch.float64)))


def face_on(  # noqa: PLR0913, PLR0917 - one argument per parameter
    x: Float[Tensor, "batch y x"],
    y: Float[Tensor, "batch y x"],
    r_eff: Float[Tensor, "batch"],
    n_arms: Float[Tensor, "batch"],
    pitch: Float[Tensor, "batch"],
    arm_contrast: Float[Tensor, "batch"],
    arm_phase: Float[Tensor, "batch"],
    arm_onset: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Surface brightness of a spiral galaxy of unit flux.

    On every circle the arms have a mean of exactly one (the integral of exp(k cos) over whole
    periods is 2 pi I_0(k)), so they move light along circles only: the flux is that of the disc,
    and so is the half-light radius, for any contrast.

    Args:
        x: Position from the centre along x, in the plane of the disc [arcsec].
        y: Position from the centre along y, in the plane of the disc [arcsec].
        r_eff: Half-light radius of the disc [arcsec].
        n_arms: Number of arms, a whole number; 2 to 4 in most galaxies [-].
        pitch: Angle between arm and circle, not zero; its sign is the sense of winding, positive
            where the azimuth grows outwards [rad].
        arm_contrast: Share of the disc's light that is in the arms, from 0 to 1 [-].
        arm_phase: Azimuth of an arm at r_eff, from the major axis [rad].
        arm_onset: Radius inside which the arms fade and stop winding; larger washes out more of
            the centre [arcsec].

    Returns:
        Surface brightness [1 / arcsec^2].

    Raises:
        OutOfRangeError: A contrast outside 0 to 1, or arms that are not a whole number.

    Reference:
        Freeman 1970 for the disc; the arms follow ln r = tan(pitch) (azimuth - arm_phase), Binney &
        Tremaine 2008, section 6.1.3. Their profile across (von Mises) and their fading by
        r^2 / (r^2 + arm_onset^2) are our own choice.
    """
    _check(n_arms, arm_contrast)
    onset2 = arm_onset[:, None, None] ** 2
    r2 = (x * x + y * y).clamp_min(RADIUS2_FLOOR)
    log_radius = 0.5 * torch.log((r2 + onset2) / (r_eff[:, None, None] ** 2 + onset2))
    azimuth = torch.atan2(y, x) - arm_phase[:, None, None]
    winding = azimuth - log_radius / torch.tan(pitch)[:, None, None]
    crest = torch.exp(_SHARPNESS * (torch.cos(n_arms[:, None, None] * winding) - 1.0)) / _MEAN
    share = arm_contrast[:, None, None] * r2 / (r2 + onset2)
    return _disc(r2, r_eff) * (1.0 + share * (crest - 1.0))


def _disc(r2: Tensor, r_eff: Tensor) -> Tensor:
    """Exponential disc of unit flux."""
    scale = (r_eff / HALF_LIGHT_PER_SCALE_LENGTH)[:, None, None]
    exponent = (-r2.sqrt() / scale).clamp_min(EXPONENT_FLOOR)
    return torch.exp(exponent) / (2.0 * math.pi * scale * scale)


def _check(n_arms: Tensor, arm_contrast: Tensor) -> None:
    if not bool(((n_arms >= 1) & (n_arms == n_arms.round())).all()):
        raise OutOfRangeError(
            f"n_arms={n_arms.tolist()} holds a number that is not whole or is below 1; arms would "
            "not close around the disc. Draw whole numbers."
        )
    if not bool(((arm_contrast >= 0) & (arm_contrast <= 1)).all()):
        raise OutOfRangeError(
            f"arm_contrast={arm_contrast.tolist()} leaves 0-1, where the light between the arms "
            "stays positive. Draw contrasts inside that range."
        )


lights.register("spiral")(
    inclined(face_on, ("r_eff", "n_arms", "pitch", "arm_contrast", "arm_phase", "arm_onset"))
)
