"""Draws of star-forming clumps in a disc; each clump is then a `gaussian` component."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.errors import OutOfRangeError
from stronglens.light.records import LightComponent
from stronglens.light.spiral import HALF_LIGHT_PER_SCALE_LENGTH

_SIZE_EXPONENT = 1.0 / 2.72


@dataclass(frozen=True)
class ClumpPriors:
    """How clumps are drawn."""

    slope: float = 2.0
    """Slope a of the luminosity function, dN/dL ~ L^-a [-]."""
    luminosity_range: float = 30.0
    """Brightest over faintest luminosity that can be drawn [-]."""
    relative_size: float = 0.15
    """Standard deviation of the brightest possible clump over the disc's r_eff [-]."""

    def __post_init__(self) -> None:
        """Refuse numbers that no clump can have."""
        if not (self.luminosity_range > 1 and self.relative_size > 0):
            raise OutOfRangeError(
                f"luminosity_range={self.luminosity_range}, relative_size={self.relative_size}: "
                "the range must be above 1 and the size above 0. Use the defaults."
            )


@dataclass(frozen=True)
class Clumps:
    """Round Gaussian clumps of several galaxies, as many in each."""

    x_center: Float[Tensor, "batch clump"]
    """Position along x [arcsec]."""
    y_center: Float[Tensor, "batch clump"]
    """Position along y [arcsec]."""
    sigma: Float[Tensor, "batch clump"]
    """Standard deviation [arcsec]."""
    flux_share: Float[Tensor, "batch clump"]
    """Share of the light of all clumps of the galaxy; sums to one [-]."""

    def component(self, index: int) -> LightComponent:
        """Return one clump of every galaxy as light of unit flux."""
        sigma = self.sigma[:, index]
        return LightComponent(
            "gaussian",
            {
                "sigma": sigma,
                "q": torch.ones_like(sigma),
                "phi": torch.zeros_like(sigma),
                "x_center": self.x_center[:, index],
                "y_center": self.y_center[:, index],
            },
        )


def draw_clumps(
    generator: torch.Generator,
    n_clumps: int,
    disc: Mapping[str, Tensor],
    priors: ClumpPriors = ClumpPriors(),
) -> Clumps:
    """Draw clumps that follow the light of exponential discs.

    Args:
        generator: Source of randomness, on the device of the discs.
        n_clumps: Number of clumps in each galaxy [-].
        disc: r_eff [arcsec], q [-], phi [rad], x_center and y_center [arcsec] of the discs, each
            (batch,); other entries are left alone.
        priors: Luminosity function and sizes.

    Returns:
        Clumps in the precision of the discs.

    Reference:
        Luminosities: power law of slope about 2, Kennicutt, Edgar & Hodge 1989. Sizes: luminosity
        ~ size^2.72, Wisnioski et al. 2012. Radii in an exponential disc are gamma distributed: the
        sum of two exponential numbers.
    """
    r_eff = disc["r_eff"][:, None]
    shape = (4, len(r_eff), n_clumps)
    uniform = torch.rand(shape, generator=generator, dtype=r_eff.dtype, device=r_eff.device)
    # 1 - u is never zero, whose logarithm is infinite
    radius = -torch.log((1.0 - uniform[0]) * (1.0 - uniform[1])) * (
        r_eff / HALF_LIGHT_PER_SCALE_LENGTH
    )
    azimuth = 2.0 * math.pi * uniform[2]
    u, v = radius * torch.cos(azimuth), radius * torch.sin(azimuth) * disc["q"][:, None]
    cos, sin = torch.cos(disc["phi"])[:, None], torch.sin(disc["phi"])[:, None]
    luminosity = _power_law(uniform[3], priors)
    relative = (luminosity / priors.luminosity_range) ** _SIZE_EXPONENT
    return Clumps(
        x_center=disc["x_center"][:, None] + u * cos - v * sin,
        y_center=disc["y_center"][:, None] + u * sin + v * cos,
        sigma=priors.relative_size * r_eff * relative,
        flux_share=luminosity / luminosity.sum(dim=1, keepdim=True),
    )


def _power_law(uniform: Tensor, priors: ClumpPriors) -> Tensor:
    """Luminosities between 1 and the range, by the inverse of their cumulative distribution."""
    power = 1.0 - priors.slope
    if abs(power) < 1e-6:
        return priors.luminosity_range**uniform
    return (1.0 + uniform * (priors.luminosity_range**power - 1.0)) ** (1.0 / power)
