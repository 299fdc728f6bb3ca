"""Galaxy counts in i and the redshifts that go with a magnitude, in numpy."""

import numpy as np
from jaxtyping import Float

# cumulative counts per arcmin^2 and log-normal redshifts by i magnitude: the LSST mock catalogue
# behind Collett 2015, summarised; the first two and the last point continue its slopes
_MAGS = np.array([18.0, 20.0, 22.0, 23.0, 24.0, 25.0, 26.0, 27.0, 28.0, 29.0])
_COUNTS = np.array([0.09, 0.59, 3.9, 9.2, 21.0, 43.4, 86.8, 159.5, 233.7, 330.0])
_Z_MAGS = np.array([18.0, 21.0, 23.5, 24.5, 25.5, 26.5, 27.5])
_Z_MEDIANS = np.array([0.15, 0.45, 0.90, 1.06, 1.16, 1.30, 1.80])
_Z_SCATTERS = np.array([0.45, 0.5, 0.61, 0.58, 0.61, 0.62, 0.48])
Z_LARGEST = 6.0
"""Largest redshift of anything [-]."""
Z_MEDIAN, Z_SCATTER = 1.2, 0.65
"""Redshifts of the training prior: log-normal, about those of i = 25 [-]."""


def counts_brighter(mag_i: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Galaxies brighter than a magnitude [1 / arcmin^2].

    Args:
        mag_i: Limits [mag AB in i].
    """
    return 10.0 ** np.interp(mag_i, _MAGS, np.log10(_COUNTS))


def count_density(mag_i: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Galaxies per magnitude [1 / arcmin^2 / mag]; slopes are smoothed over 0.2 mag.

    Args:
        mag_i: Magnitudes [mag AB in i].
    """
    inside = np.clip(mag_i, _MAGS[0] + 0.1, _MAGS[-1] - 0.1)
    return (counts_brighter(inside + 0.1) - counts_brighter(inside - 0.1)) / 0.2


def draw_magnitudes(
    bright: float, faint: float, uniform: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """Magnitudes that follow the counts between two limits [mag AB in i].

    Args:
        bright: Brightest [mag AB].
        faint: Faintest [mag AB].
        uniform: Uniform numbers in [0, 1).
    """
    grid = np.linspace(bright, faint, 512)
    counts = counts_brighter(grid)
    return np.interp(counts[0] + uniform * (counts[-1] - counts[0]), counts, grid)


def redshift_of(
    mag_i: Float[np.ndarray, "*n"], normal: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """Redshifts of galaxies of a magnitude.

    Args:
        mag_i: Magnitudes [mag AB in i].
        normal: Standard normal numbers.
    """
    median, scatter = _redshift_law(mag_i)
    return np.minimum(median * np.exp(scatter * normal), Z_LARGEST)


def redshift_density(
    z: Float[np.ndarray, "*n"], mag_i: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """Density of ln(redshift) among galaxies of a magnitude, times sqrt(2 pi).

    Args:
        z: Redshifts.
        mag_i: Magnitudes [mag AB in i].
    """
    median, scatter = _redshift_law(mag_i)
    return np.exp(-0.5 * (np.log(z / median) / scatter) ** 2) / scatter


def training_redshift_density(z: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Density of ln(redshift) in the training prior, times sqrt(2 pi)."""
    return np.exp(-0.5 * (np.log(z / Z_MEDIAN) / Z_SCATTER) ** 2) / Z_SCATTER


def _redshift_law(mag_i: Float[np.ndarray, "*n"]) -> tuple[np.ndarray, np.ndarray]:
    return np.interp(mag_i, _Z_MAGS, _Z_MEDIANS), np.interp(mag_i, _Z_MAGS, _Z_SCATTERS)
