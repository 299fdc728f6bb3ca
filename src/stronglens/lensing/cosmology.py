"""Distances in a flat universe with a cosmological constant, tabulated once.

One cosmology serves the whole package: matter density 0.3, Hubble constant 70 km/s/Mpc.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.errors import OutOfRangeError

SPEED_OF_LIGHT = 299792.458
"""Speed of light [km/s]."""
HUBBLE_CONSTANT = 70.0
"""Hubble constant [km/s/Mpc]."""
MATTER_DENSITY = 0.3
"""Matter density today in units of the critical density [-]."""
ARCSEC_PER_RADIAN = 180.0 * 3600.0 / math.pi
"""Arcseconds in a radian [arcsec/rad]."""

_Z_MAX = 20.0
_STEP = 0.005


def _inverse_expansion_rate(z: Tensor) -> Tensor:
    """H0 / H(z)."""
    return torch.rsqrt(MATTER_DENSITY * (1.0 + z) ** 3 + (1.0 - MATTER_DENSITY))


@lru_cache(maxsize=1)
def _distance_table() -> Tensor:
    """Comoving distance [Mpc] at z = 0, _STEP, 2 _STEP, ...: three-point Gauss-Legendre sums."""
    left = torch.arange(0.0, _Z_MAX + _STEP / 2, _STEP, dtype=torch.float64)
    offset = math.sqrt(0.6) / 2
    rate = sum(
        weight * _inverse_expansion_rate(left + _STEP * (0.5 + shift))
        for weight, shift in ((5 / 18, -offset), (8 / 18, 0.0), (5 / 18, offset))
    )
    total = torch.cumsum(torch.as_tensor(rate), 0) * (_STEP * SPEED_OF_LIGHT / HUBBLE_CONSTANT)
    return torch.cat([total.new_zeros(1), total])


def comoving_distance(z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Line-of-sight comoving distance.

    Args:
        z: Redshift from 0 to 20 [-].

    Returns:
        Distance [Mpc].

    Raises:
        OutOfRangeError: A redshift is negative, above 20 or not a number.

    Reference:
        Hogg 1999 (astro-ph/9905116), eq. 15; checked against astropy in tests/unit.
    """
    if not bool(((z >= 0.0) & (z <= _Z_MAX)).all()):
        raise OutOfRangeError(
            f"redshift z from {float(z.min())} to {float(z.max())} is outside 0-{_Z_MAX:g}. "
            "Draw redshifts inside that range."
        )
    table = _distance_table().to(z.device)
    scaled = z.to(torch.float64) / _STEP
    index = scaled.floor().clamp(max=len(table) - 2).to(torch.int64)
    t = scaled - index
    left, right = table[index], table[index + 1]
    slope = SPEED_OF_LIGHT / HUBBLE_CONSTANT * _STEP
    slope_left = slope * _inverse_expansion_rate(index * _STEP)
    slope_right = slope * _inverse_expansion_rate((index + 1) * _STEP)
    # cubic Hermite interpolation with the exact slope, which is the integrand
    rise = right - left
    cubic = slope_left + slope_right - 2.0 * rise
    square = 3.0 * rise - 2.0 * slope_left - slope_right
    return (left + t * (slope_left + t * (square + t * cubic))).to(z.dtype)


def angular_diameter_distance(z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Angular-diameter distance from us.

    Args:
        z: Redshift from 0 to 20 [-].

    Returns:
        Distance [Mpc].

    Reference:
        Hogg 1999 (astro-ph/9905116), eq. 18.
    """
    return comoving_distance(z) / (1.0 + z)


def distance_ls(
    z_lens: Float[Tensor, "*shape"], z_source: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """Angular-diameter distance from the lens to the source, negative in front of the lens.

    In a flat universe it is the difference of the comoving distances over 1 + z_source, and not
    the difference of the two angular-diameter distances.

    Args:
        z_lens: Redshift of the deflector [-].
        z_source: Redshift of the source [-].

    Returns:
        d_ls [Mpc].

    Reference:
        Hogg 1999 (astro-ph/9905116), eq. 19.
    """
    return (comoving_distance(z_source) - comoving_distance(z_lens)) / (1.0 + z_source)


def distance_modulus(z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Apparent minus absolute magnitude, without K-correction.

    Args:
        z: Redshift above 0 [-].

    Returns:
        Distance modulus [mag].

    Reference:
        Hogg 1999 (astro-ph/9905116), eq. 25.
    """
    return 5.0 * torch.log10(comoving_distance(z) * (1.0 + z)) + 25.0


def comoving_volume_density(z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Comoving volume per unit redshift and unit solid angle.

    Args:
        z: Redshift [-].

    Returns:
        d2V / dz dOmega [Mpc^3 / sr].

    Reference:
        Hogg 1999 (astro-ph/9905116), eq. 28.
    """
    hubble_distance = SPEED_OF_LIGHT / HUBBLE_CONSTANT
    return hubble_distance * comoving_distance(z) ** 2 * _inverse_expansion_rate(z)


def theta_e_from_sigma_v(
    sigma_v: Float[Tensor, "*shape"],
    z_lens: Float[Tensor, "*shape"],
    z_source: Float[Tensor, "*shape"],
) -> Float[Tensor, "*shape"]:
    """Einstein radius of an isothermal lens; zero for a source in front of it.

    Args:
        sigma_v: Velocity dispersion [km/s].
        z_lens: Redshift of the deflector [-].
        z_source: Redshift of the source [-].

    Returns:
        theta_e on the intermediate axis [arcsec].

    Reference:
        Kormann, Schneider & Bartelmann 1994, section 3: 4 pi (sigma_v / c)^2 d_ls / d_source.
    """
    ratio = distance_ls(z_lens, z_source) / angular_diameter_distance(z_source)
    bending = 4.0 * math.pi * (sigma_v / SPEED_OF_LIGHT) ** 2 * ARCSEC_PER_RADIAN
    return bending * ratio.clamp_min(0.0)
