"""Sersic profile of a galaxy's light, normalised to its total flux; rendering is elsewhere."""

import math
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.errors import OutOfRangeError
from stronglens.light.light_profile import (
    EXPONENT_FLOOR,
    RADIUS2_FLOOR,
    LightProfile,
    lights,
)

Approximation = Literal["exact", "linear"]

N_SERSIC_MIN = 0.2
"""Smallest Sersic index in the table of b_n [-]."""
N_SERSIC_MAX = 12.0
"""Largest Sersic index in the table of b_n [-]."""

_STEP = 0.005


@dataclass(frozen=True)
class Sersics:
    """Light of one or several Sersic components per image."""

    flux: Float[Tensor, "batch component"]
    """Total flux over the infinite plane [pixel units]."""
    r_eff: Float[Tensor, "batch component"]
    """Half-light radius along the major axis [arcsec]."""
    n_sersic: Float[Tensor, "batch component"]
    """Sersic index from 0.2 to 12 [-]."""
    q: Float[Tensor, "batch component"]
    """Minor-to-major axis ratio in (0, 1] [-]."""
    phi: Float[Tensor, "batch component"]
    """Angle of the major axis [rad]."""
    x_center: Float[Tensor, "batch component"]
    """Centre along x [arcsec]."""
    y_center: Float[Tensor, "batch component"]
    """Centre along y [arcsec]."""

    def __getitem__(self, index: slice | Tensor) -> "Sersics":
        """Return the components of some of the images."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def __len__(self) -> int:
        """Return the number of images."""
        return self.flux.shape[0]

    def to(self, target: torch.device | torch.dtype | str) -> "Sersics":
        """Return the same components on another device or in another precision."""
        return type(self)(**{f.name: getattr(self, f.name).to(target) for f in fields(self)})


@lru_cache(maxsize=1)
def _b_table() -> Tensor:
    """b_n - 2 n at n = N_SERSIC_MIN, + _STEP, ...: bisection of P(2n, b) = 1/2."""
    count = round((N_SERSIC_MAX - N_SERSIC_MIN) / _STEP) + 1
    n = N_SERSIC_MIN + _STEP * torch.arange(count, dtype=torch.float64)
    low, high = torch.zeros_like(n), 2.0 * n + 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        is_low = torch.special.gammainc(2.0 * n, middle) < 0.5
        low, high = torch.where(is_low, middle, low), torch.where(is_low, high, middle)
    return 0.5 * (low + high) - 2.0 * n


def sersic_b(
    n_sersic: Float[Tensor, "*shape"], approximation: Approximation = "exact"
) -> Float[Tensor, "*shape"]:
    """Constant b_n that makes r_eff enclose half of the total flux.

    Args:
        n_sersic: Sersic index from 0.2 to 12 [-].
        approximation: "exact" solves P(2n, b) = 1/2 (table with cubic interpolation, relative
            error below 1e-7); "linear" is 1.9992 n - 0.3271, which lenstronomy uses.

    Returns:
        b_n [-].

    Raises:
        OutOfRangeError: An index lies outside the table or is not a number.

    Reference:
        Ciotti 1991 for the definition; Capaccioli 1989 for the linear form.
    """
    if not bool(((n_sersic >= N_SERSIC_MIN) & (n_sersic <= N_SERSIC_MAX)).all()):
        raise OutOfRangeError(
            f"n_sersic from {float(n_sersic.min())} to {float(n_sersic.max())} is outside "
            f"{N_SERSIC_MIN}-{N_SERSIC_MAX}. Draw Sersic indices inside that range."
        )
    if approximation == "linear":
        return 1.9992 * n_sersic - 0.3271
    return 2.0 * n_sersic + _interpolated(_b_table(), (n_sersic - N_SERSIC_MIN) / _STEP)


def _interpolated(table: Tensor, position: Tensor) -> Tensor:
    """Cubic Lagrange interpolation of a table at fractional positions."""
    table = table.to(position)
    start = position.detach().floor().clamp(1, len(table) - 3).to(torch.int64)
    t = position - start
    below, left, right, above = (table[start + k] for k in (-1, 0, 1, 2))
    return (
        -below * t * (t - 1.0) * (t - 2.0) / 6.0
        + left * (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0
        - right * (t + 1.0) * t * (t - 2.0) / 2.0
        + above * (t + 1.0) * t * (t - 1.0) / 6.0
    )


def central_brightness(
    sersics: Sersics, b_n: Float[Tensor, "batch component"]
) -> Float[Tensor, "batch component"]:
    """Surface brightness at the centre of each component.

    Args:
        sersics: Components.
        b_n: Their constants b_n [-].

    Returns:
        Surface brightness [pixel units / arcsec^2].

    Reference:
        Graham & Driver 2005, eq. 2 taken to infinity: the total flux is
        2 pi n q r_eff^2 Gamma(2n) b^(-2n) times the central brightness.
    """
    n = sersics.n_sersic
    log_area = torch.lgamma(2.0 * n) - 2.0 * n * torch.log(b_n)
    area = 2.0 * math.pi * n * sersics.q * sersics.r_eff**2 * torch.exp(log_area)
    return sersics.flux / area


def coefficients(
    sersics: Sersics, approximation: Approximation = "exact"
) -> Float[Tensor, "8 batch component 1 1"]:
    """All that is constant over an image: worked out once, however many pieces it is drawn in.

    Args:
        sersics: Components.
        approximation: How b_n is computed; "exact" or lenstronomy's "linear".

    Returns:
        Centre x and y [arcsec]; the three coefficients of the quadratic form (r / r_eff)^2 of the
        offsets, xx, xy, yy [1 / arcsec^2]; half the inverse index, minus b_n [-]; the central
        brightness [pixel units / arcsec^2]. For `evaluate`.

    Reference:
        Graham & Driver 2005, eq. 1, with the elliptical radius sqrt(u^2 + v^2 / q^2), u and v
        along the major and minor axis.
    """
    b_n = sersic_b(sersics.n_sersic, approximation)
    cos, sin = torch.cos(sersics.phi) / sersics.r_eff, torch.sin(sersics.phi) / sersics.r_eff
    flattening = 1.0 / sersics.q**2
    rows = (
        *(sersics.x_center, sersics.y_center),
        *(cos**2 + flattening * sin**2, 2.0 * cos * sin * (1.0 - flattening)),
        *(sin**2 + flattening * cos**2, 0.5 / sersics.n_sersic),
        *(-b_n, central_brightness(sersics, b_n)),
    )
    return torch.stack(rows)[..., None, None]


def evaluate(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    constants: Float[Tensor, "8 batch component 1 1"],
) -> Float[Tensor, "batch y x"]:
    """Surface brightness from prepared coefficients, summed over the components of each image.

    Args:
        x: Position along x [arcsec]; axes of length one broadcast.
        y: Position along y [arcsec].
        constants: What `coefficients` returned, or a slice of it.

    Returns:
        Surface brightness [pixel units / arcsec^2].

    Reference:
        Graham & Driver 2005, eq. 1.
    """
    first, *others = constants.unbind(2)
    total = _component(x, y, first)
    for component in others:
        total = total.add_(_component(x, y, component))
    return total


def surface_brightness(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    sersics: Sersics,
    approximation: Approximation = "exact",
) -> Float[Tensor, "batch y x"]:
    """Surface brightness of Sersic profiles, summed over the components of each image.

    The integral over the infinite plane is `flux`; nothing is renormalised inside a frame.

    Args:
        x: Position along x [arcsec]; axes of length one broadcast.
        y: Position along y [arcsec].
        sersics: Components, at least one per image.
        approximation: How b_n is computed; "exact" or lenstronomy's "linear".

    Returns:
        Surface brightness [pixel units / arcsec^2].

    Reference:
        Sersic 1968; Graham & Driver 2005, eq. 1; checked against lenstronomy `SERSIC_ELLIPSE` in
        tests/reference.
    """
    return evaluate(x, y, coefficients(sersics, approximation))


def _component(x: Tensor, y: Tensor, constants: Tensor) -> Tensor:
    """One component: center exp(-b (r / r_eff)^(1/n))."""
    x_center, y_center, xx, xy, yy, half_inverse_n, minus_b, center = constants.unbind(0)
    dx, dy = x - x_center, y - y_center
    # (r / r_eff)^2 as a quadratic form of the offsets: half the passes of a rotation
    radius2 = (dx * xx + dy * xy).mul_(dx).add_(dy.square().mul_(yy))
    # a power as exp(log): three times faster than pow
    power = radius2.clamp_min_(RADIUS2_FLOOR).log_().mul_(half_inverse_n).exp_()
    return (power * minus_b).clamp_min_(EXPONENT_FLOOR).exp_() * center


def _of_unit_flux(x: Tensor, y: Tensor, **parameters: Tensor) -> Tensor:
    """One component per image, as the registry holds it."""
    flux = torch.ones_like(parameters["r_eff"])
    columns = {name: value[:, None] for name, value in parameters.items()}
    return surface_brightness(x, y, Sersics(flux=flux[:, None], **columns))


lights.register("sersic")(
    LightProfile(_of_unit_flux, ("r_eff", "n_sersic", "q", "phi", "x_center", "y_center"))
)
