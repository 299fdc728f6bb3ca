"""Relations between what is drawn of galaxies, and the distances they need, in numpy.

Priors that use them are in `population` and `systems`.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float

from stronglens.lensing import cosmology

Columns = dict[str, np.ndarray]

SIGMA_STAR, VDF_A, VDF_B = 161.0, 2.32, 2.67
"""Velocity-dispersion function: knee [km/s], low-end slope, fall (Choi, Park & Vogeley 2007)."""
_ARCSEC_PER_RAD = 206264.806
_SPEED_OF_LIGHT = 299792.458  # km/s


def velocity_dispersion_function(sigma_v: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Density of early-type galaxies per velocity dispersion, not normalised.

    Args:
        sigma_v: Velocity dispersions [km/s].

    Reference:
        Choi, Park & Vogeley 2007, eq. 4: (s / s*)^a exp(-(s / s*)^b) / s.
    """
    scaled = sigma_v / SIGMA_STAR
    return scaled**VDF_A * np.exp(-(scaled**VDF_B)) / sigma_v


def deflector_magnitude(log_sigma: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Mean absolute r magnitude of an early-type galaxy [mag AB].

    Args:
        log_sigma: log10 of its velocity dispersion [km/s].

    Reference:
        Hyde & Bernardi 2009, as coded by Collett 2015:
        log10 sigma = -2.97 - 0.37 M - 0.006 M^2, solved for M.
    """
    return (-0.37 + np.sqrt(0.37**2 - 0.024 * (2.97 + log_sigma))) / 0.012


def deflector_log_size(log_sigma: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Mean log10 of the circularised half-light radius of an early-type galaxy [kpc].

    Args:
        log_sigma: log10 of its velocity dispersion [km/s].

    Reference:
        Hyde & Bernardi 2009, as coded by Collett 2015.
    """
    return 2.46 - 2.79 * log_sigma + 0.84 * log_sigma**2


def one_minus_rayleigh(
    uniform: Float[np.ndarray, "*n"], scale: Float[np.ndarray, "*n"] | float
) -> Float[np.ndarray, "*n"]:
    """Axis ratios 1 - Rayleigh(scale) of at least 0.2, by inverse CDF (Collett 2015).

    Args:
        uniform: Uniform numbers in [0, 1).
        scale: Mode of the Rayleigh distribution.
    """
    ceiling = 1.0 - np.exp(-0.5 * (0.8 / scale) ** 2)
    return 1.0 - scale * np.sqrt(-2.0 * np.log1p(-uniform * ceiling))


def draw_by_density(
    density: Callable[[np.ndarray], np.ndarray],
    limits: tuple[float, float],
    uniform: Float[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """Draw from an unnormalised density by its inverse CDF on a fine grid.

    Args:
        density: Function of the values.
        limits: Smallest and largest value.
        uniform: Uniform numbers in [0, 1).
    """
    grid = np.linspace(*limits, 2048)
    values = density(grid)
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (values[1:] + values[:-1]))])
    return np.interp(uniform * cumulative[-1], cumulative, grid)


def volume_density(z: np.ndarray) -> np.ndarray:
    """Comoving volume per redshift and solid angle [Mpc^3]."""
    return cosmology.comoving_volume_density(torch.as_tensor(z)).numpy()


def theta_e_at_infinity(sigma_v: np.ndarray) -> np.ndarray:
    """Einstein radius for a source infinitely far behind, 4 pi (sigma_v / c)^2 [arcsec]."""
    return 4.0 * np.pi * (sigma_v / _SPEED_OF_LIGHT) ** 2 * _ARCSEC_PER_RAD


def theta_e_of(sigma_v: np.ndarray, z_lens: np.ndarray, z_source: np.ndarray) -> np.ndarray:
    """Einstein radius of isothermal galaxies [arcsec]."""
    tensors = [torch.as_tensor(values) for values in (sigma_v, z_lens, z_source)]
    return cosmology.theta_e_from_sigma_v(*tensors).numpy()


def distance_modulus(z: np.ndarray) -> np.ndarray:
    """Distance modulus [mag]."""
    return cosmology.distance_modulus(torch.as_tensor(z)).numpy()


def kpc_per_arcsec(z: np.ndarray) -> np.ndarray:
    """Length that an arcsec spans at a redshift [kpc]."""
    distance = cosmology.angular_diameter_distance(torch.as_tensor(z)).numpy()
    return 1000.0 * distance / _ARCSEC_PER_RAD
