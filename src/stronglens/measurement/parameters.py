"""The parameters that are measured, their priors, and the numbers a flow sees in their place.

Every prior is carried to a standard normal distribution: u = Phi^-1(F(value)). A flow whose base is
standard normal then starts from the prior and cannot leave its range. The two members of a pair
(e1 and e2, positions along x and y) share a symmetric prior, so that turning and mirroring an image
acts on u as it does on the values themselves.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.errors import OutOfRangeError

PARAMETERS = (
    "theta_e",
    "e1",
    "e2",
    "x_center",
    "y_center",
    "gamma1",
    "gamma2",
    "slope",
    "beta_x",
    "beta_y",
    "log_r_source",
)
"""What is measured: Einstein radius [arcsec], ellipticity, centre [arcsec], shear, slope, source
position [arcsec] and natural logarithm of the source's half-light radius [ln arcsec]."""

THETA_E_MIN, THETA_E_MAX = 0.4, 5.0
"""Outermost limits of the prior of theta_e [arcsec]."""
THETA_E_PER_FWHM = 0.7
"""Smallest theta_e in units of the PSF's width."""
THETA_E_PER_FIELD = 0.38
"""Largest theta_e in units of the side of the frame."""
_SMALLEST_RATIO = 1.3
# Furthest from the middle that u goes: one in 1e7 draws
_U_MAX = 5.2


@dataclass(frozen=True)
class TruncatedNormal:
    """A normal prior cut off at equal distances on both sides."""

    mean: float
    """Middle."""
    sd: float
    """Standard deviation before the cut."""
    limit: float
    """Largest distance from the middle."""

    def to_latent(self, value: Tensor) -> Tensor:
        """Return u = Phi^-1(F(value))."""
        edge = _ndtr(-self.limit / self.sd)
        share = torch.special.ndtr((value - self.mean) / self.sd)
        return torch.special.ndtri((share - edge) / (1.0 - 2.0 * edge)).clamp(-_U_MAX, _U_MAX)

    def from_latent(self, u: Tensor) -> Tensor:
        """Return the value of u."""
        edge = _ndtr(-self.limit / self.sd)
        share = edge + (1.0 - 2.0 * edge) * torch.special.ndtr(u)
        value = self.mean + self.sd * torch.special.ndtri(share)
        return value.clamp(self.mean - self.limit, self.mean + self.limit)


_ELLIPTICITY = TruncatedNormal(0.0, 0.16, 0.48)
_CENTER = TruncatedNormal(0.0, 0.11, 0.40)
_SHEAR = TruncatedNormal(0.0, 0.05, 0.25)
_OFFSET = TruncatedNormal(0.0, 0.25, 0.80)

PRIORS: dict[str, TruncatedNormal] = {
    "e1": _ELLIPTICITY,
    "e2": _ELLIPTICITY,
    "x_center": _CENTER,
    "y_center": _CENTER,
    "gamma1": _SHEAR,
    "gamma2": _SHEAR,
    "slope": TruncatedNormal(2.0, 0.2, 0.6),
    "beta_x": _OFFSET,
    "beta_y": _OFFSET,
    "log_r_source": TruncatedNormal(math.log(0.2), 0.6, 1.5),
}
"""Priors of all but theta_e, whose logarithm is uniform between limits that depend on the image;
that of the source position is for (beta - centre) / theta_e."""


def theta_e_limits(
    field: Float[Tensor, "batch"], fwhm: Float[Tensor, "batch"]
) -> Float[Tensor, "batch 2"]:
    """Limits of the prior of theta_e: what the PSF resolves and the frame holds.

    Args:
        field: Smaller side of the frame [arcsec].
        fwhm: Full width at half maximum of the PSF [arcsec].

    Returns:
        Lower and upper limit [arcsec].

    Raises:
        OutOfRangeError: A frame is too small for any lens.
    """
    low = (THETA_E_PER_FWHM * fwhm).clamp_min(THETA_E_MIN)
    high = (THETA_E_PER_FIELD * field).clamp_max(THETA_E_MAX)
    if not bool((high >= _SMALLEST_RATIO * low).all()):
        i = int((high / low).argmin())
        raise OutOfRangeError(
            f"a frame of {float(field[i]):.2f} arcsec with a PSF of {float(fwhm[i]):.2f} arcsec "
            f"leaves theta_e no room ({float(low[i]):.2f} to {float(high[i]):.2f} arcsec). Pass a "
            "larger cutout."
        )
    return torch.stack([low, high], dim=-1)


def to_latent(
    values: dict[str, Tensor], limits: Float[Tensor, "batch 2"]
) -> Float[Tensor, "batch 11"]:
    """Standard normal numbers that stand for parameters.

    Args:
        values: Every one of `PARAMETERS`, each (batch,).
        limits: Limits of the prior of theta_e [arcsec].

    Returns:
        u, one column per parameter, in single precision.
    """
    theta_e = values["theta_e"].double()
    low, high = limits.double().log().unbind(-1)
    share = ((theta_e.log() - low) / (high - low)).clamp(0.0, 1.0)
    columns = [torch.special.ndtri(share).clamp(-_U_MAX, _U_MAX)]
    for name in PARAMETERS[1:]:
        value = values[name].double()
        if name in {"beta_x", "beta_y"}:
            value = (value - values[_center_of(name)].double()) / theta_e
        columns.append(PRIORS[name].to_latent(value))
    return torch.stack(columns, dim=-1).float()


def from_latent(
    u: Float[Tensor, "batch 11"], limits: Float[Tensor, "#batch 2"]
) -> dict[str, Tensor]:
    """Parameters that standard normal numbers stand for.

    Args:
        u: What `to_latent` gives, or draws of a flow.
        limits: Limits of the prior of theta_e [arcsec].

    Returns:
        Every one of `PARAMETERS`, each (batch,), in double precision.
    """
    columns = dict(zip(PARAMETERS, u.double().unbind(-1), strict=True))
    low, high = limits.double().log().unbind(-1)
    values = {
        "theta_e": torch.exp(low + (high - low) * torch.special.ndtr(columns["theta_e"])),
        **{name: PRIORS[name].from_latent(columns[name]) for name in PARAMETERS[1:]},
    }
    for name in ("beta_x", "beta_y"):
        values[name] = values[_center_of(name)] + values["theta_e"] * values[name]
    return values


def draw_parameters(
    generator: torch.Generator, limits: Float[Tensor, "batch 2"]
) -> dict[str, Tensor]:
    """Draw parameters from the prior.

    Args:
        generator: Source of randomness, on the device of the limits.
        limits: Limits of the prior of theta_e [arcsec].

    Returns:
        Every one of `PARAMETERS`, each (batch,), in single precision.
    """
    shape = (len(limits), len(PARAMETERS))
    u = torch.randn(shape, generator=generator, device=limits.device)
    return {name: v.float() for name, v in from_latent(u.clamp(-_U_MAX, _U_MAX), limits).items()}


def _center_of(name: str) -> str:
    return {"beta_x": "x_center", "beta_y": "y_center"}[name]


def _ndtr(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
