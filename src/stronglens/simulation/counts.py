"""Galaxies of the field by magnitude: drawn evenly with the counts, and the densities of weights.

The counts and redshifts themselves are those of the source catalogue.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from stronglens.simulation.source_catalogue import SourceCatalogue

_FAINT = SourceCatalogue()
CATALOGUE = replace(
    _FAINT,
    count_mags=(16.0, 17.42, 19.45, *_FAINT.count_mags[1:]),
    counts=(0.0036, 0.0256, 0.278, *_FAINT.counts[1:]),
)
"""The source catalogue with the counts of bright galaxies: 92 per deg^2 of r < 17.77 (Strauss et
al. 2002, AJ 124, 1810), 1000 of r < 19.8 (Driver et al. 2011, MNRAS 413, 971), with r - i = 0.35,
and brighter ones as in flat, evenly filled space."""
Z_MEDIAN, Z_SCATTER = 1.2, 0.65
"""Redshifts of the training prior: log-normal, about those of i = 25 [-]."""


def count_density(mag_i: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Galaxies per magnitude [1 / arcmin^2 / mag]; slopes are smoothed over 0.2 mag.

    Beyond the ends of the catalogue the density is that at its ends.

    Args:
        mag_i: Magnitudes [mag AB in i].
    """
    limits = CATALOGUE.count_mags
    inside = np.clip(mag_i, limits[0] + 0.1, limits[-1] - 0.1)
    return (CATALOGUE.brighter(inside + 0.1) - CATALOGUE.brighter(inside - 0.1)) / 0.2


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
    counts = CATALOGUE.brighter(grid)
    return np.interp(counts[0] + uniform * (counts[-1] - counts[0]), counts, grid)


def training_redshift_density(z: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Density of ln(redshift) in the training prior, times sqrt(2 pi)."""
    return np.exp(-0.5 * (np.log(z / Z_MEDIAN) / Z_SCATTER) ** 2) / Z_SCATTER
