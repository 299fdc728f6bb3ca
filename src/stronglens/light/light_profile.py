"""What a light profile is, the registry of all of them, and how one is put on the sky.

The formulae are in the other files, most of them for a galaxy seen face-on at the origin.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from stronglens.core.conventions import major_axis_frame
from stronglens.core.registry import Registry

EXPONENT_FLOOR = -70.0
"""Exponents are cut here: exp(-70) is nothing, and smaller numbers would slow the sums tenfold."""

RADIUS2_FLOOR = 1e-14
"""Squared radius below which a profile is flat, so that gradients stay finite at centres [arcsec^2,
or r_eff^2 for a Sersic]."""


@dataclass(frozen=True)
class LightProfile:
    """A light profile of unit total flux, as a function of positions and named parameters."""

    brightness: Callable[..., Tensor]
    """Surface brightness [1 / arcsec^2], (batch, y, x), of positions x, y [arcsec] that broadcast
    to that shape and of the parameters by name, each (batch,) or, if an image, (batch, y, x)."""
    parameters: tuple[str, ...]
    """Names of the parameters, all of them required."""


lights: Registry[LightProfile] = Registry("light profile")


def placed(own: Callable[..., Tensor], parameters: tuple[str, ...]) -> LightProfile:
    """Light profile with a centre and an angle, from one in its own frame.

    Args:
        own: Surface brightness [1 / arcsec^2] of positions along the major and along the minor
            axis [arcsec] and of its parameters by name.
        parameters: Names of those parameters.

    Returns:
        The profile with `phi` [rad], `x_center` and `y_center` [arcsec] in addition.
    """

    def _on_sky(
        x: Tensor, y: Tensor, phi: Tensor, x_center: Tensor, y_center: Tensor, **others: Tensor
    ) -> Tensor:
        u, v = major_axis_frame(x, y, phi, x_center, y_center)
        return own(u, v, **others)

    return LightProfile(_on_sky, (*parameters, "phi", "x_center", "y_center"))


def inclined(face_on: Callable[..., Tensor], parameters: tuple[str, ...]) -> LightProfile:
    """Light profile on the sky, from one seen face-on: flattened to the axis ratio `q`.

    The minor axis shrinks by q and the brightness grows by 1 / q, so the flux stays.

    Args:
        face_on: Surface brightness [1 / arcsec^2] of positions in the plane of the galaxy [arcsec]
            and of its parameters by name.
        parameters: Names of those parameters.

    Returns:
        The profile with `q` [-], `phi` [rad], `x_center` and `y_center` [arcsec] in addition.
    """

    def _tilted(u: Tensor, v: Tensor, q: Tensor, **others: Tensor) -> Tensor:
        q = q[:, None, None]
        return face_on(u, v / q, **others) / q

    return placed(_tilted, (*parameters, "q"))
