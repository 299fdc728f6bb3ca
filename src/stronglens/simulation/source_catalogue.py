"""Our own catalogue of lensed sources: a joint, parametric draw of redshift, magnitudes and size.

It stands in for the simulated LSST catalogue of Collett 2015, which is not part of the package: the
numbers are fitted to summary tables of that catalogue (counts, percentiles, median colours).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from stronglens.simulation.relations import (
    Columns,
    distance_modulus,
    kpc_per_arcsec,
    one_minus_rayleigh,
)

Numbers = tuple[float, ...]

Z_MIN, Z_MAX = 0.05, 6.0
# pivot wavelengths of r, i, z [nm], for the colour i - z
_PIVOTS = (620.0, 755.0, 870.0)


@dataclass(frozen=True)
class SourceCatalogue:
    """Counts, redshifts, colours and sizes of faint galaxies; every number a field."""

    density: float = 0.06
    """Sources [1 / arcsec^2] (Collett 2015, as coded; the summary holds 0.066)."""
    count_mags: Numbers = (16.0, 22.0, 23.0, 24.0, 25.0, 26.0, 27.0, 28.0, 28.4)
    """Magnitudes of the cumulative counts [mag AB in i]."""
    counts: Numbers = (0.0226, 3.9, 9.2, 21.0, 43.4, 86.8, 159.5, 233.7, 238.4)
    """Galaxies brighter than that [1 / arcmin^2]; below 22 continued with the slope of 22-23, the
    last so that all 34,331 galaxies of the 0.04 deg^2 are there."""
    redshift_mags: Numbers = (22.0, 23.0, 24.0, 25.0, 26.0, 27.0)
    """Limits between the bins of the redshift distribution [mag AB in i]."""
    redshift_low: Numbers = (0.33, 0.40, 0.47, 0.56, 0.60, 0.65, 1.04)
    """16 % quantile of the redshift in each bin; the first two bins continue the others' trend."""
    redshift_median: Numbers = (0.60, 0.75, 0.90, 1.06, 1.16, 1.30, 1.80)
    """Median redshift in each bin."""
    redshift_high: Numbers = (1.05, 1.30, 1.60, 1.79, 2.03, 2.26, 2.73)
    """84 % quantile of the redshift in each bin."""
    colour_redshifts: Numbers = (0.36, 0.75, 1.23, 1.73, 2.22, 2.72, 3.35)
    """Median redshifts of the bins of the colours."""
    g_minus_r: Numbers = (0.97, 0.72, 0.22, -0.08, -0.03, 0.14, 0.51)
    """Median colour in each bin [mag]; no scatter, for which the counts in g leave no room."""
    r_minus_i: Numbers = (0.35, 0.73, 0.31, 0.19, -0.06, -0.08, 0.01)
    """Median colour in each bin [mag]."""
    rest_redshifts: Numbers = (0.2, 0.7, 1.2, 2.2)
    """Redshifts of the next field."""
    rest_correction: Numbers = (-0.20, 0.80, 1.00, 0.39)
    """i minus distance modulus minus M_r [mag]: at 0.2, where i is rest-frame r, bandwidth alone;
    the others fitted to the median M_r of the five faint bins."""
    size_scatter: float = 0.35
    """Scatter of the size [dex] (Collett 2015)."""
    flattening: float = 0.3
    """Mode of the Rayleigh distribution of 1 - q [-] (Collett 2015)."""
    tilt: float = 0.2
    """Bright sources are drawn oftener by 10^(-tilt i) and count less for it [1 / mag]."""

    def draw(self, rng: np.random.Generator, n: int) -> Columns:
        """Draw sources, each with the weight that undoes the tilt.

        Args:
            rng: Source of randomness.
            n: Number of sources.

        Returns:
            z_source, mag_g to mag_vis [mag AB], r_eff_source (circularised) [arcsec], q_source,
            phi_source [rad], and source_weight, whose mean is 1.
        """
        mag_i, weight = self._magnitudes(rng.random(n))
        z = self.redshifts(mag_i, rng.standard_normal(n))
        g_r, r_i = self._colour(z, self.g_minus_r), self._colour(z, self.r_minus_i)
        # the same spectrum in other bands: i - z at z is r - i at a lower redshift, narrower
        r, i, z_band = _PIVOTS
        z_equal = (1.0 + z) * np.sqrt(r / z_band) - 1.0
        narrower = np.log(z_band / i) / np.log(i / r)
        i_z = narrower * self._colour(z_equal, self.r_minus_i)
        return {
            "z_source": z,
            "mag_source_g": mag_i + r_i + g_r,
            "mag_source_r": mag_i + r_i,
            "mag_source_i": mag_i,
            "mag_source_vis": mag_i + (r_i - i_z) / 3.0,
            "r_eff_source": self._sizes(mag_i, z, rng.standard_normal(n)),
            "q_source": one_minus_rayleigh(rng.random(n), self.flattening),
            "phi_source": rng.uniform(0.0, np.pi, n),
            "source_weight": weight,
        }

    def absolute_magnitude(
        self, mag_i: Float[np.ndarray, " n"], z: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """Absolute magnitude M_r of sources.

        Args:
            mag_i: Apparent magnitude [mag AB].
            z: Redshift.
        """
        correction = np.interp(z, self.rest_redshifts, self.rest_correction)
        return mag_i - distance_modulus(z) - correction

    def _magnitudes(self, uniform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Magnitudes in i by inverse CDF of the tilted counts, and their weights."""
        edges = np.linspace(self.count_mags[0], self.count_mags[-1], 2049)
        number = np.diff(self.brighter(edges))
        tilted = number * 10.0 ** (-self.tilt * 0.5 * (edges[1:] + edges[:-1]))
        cumulative = np.concatenate([[0.0], np.cumsum(tilted)])
        mag_i = np.interp(uniform * cumulative[-1], cumulative, edges)
        cell = np.clip(np.searchsorted(edges, mag_i) - 1, 0, len(number) - 1)
        weight = (number / number.sum()) / (tilted / tilted.sum())
        return mag_i, weight[cell]

    def redshifts(
        self, mag_i: Float[np.ndarray, "*n"], normal: Float[np.ndarray, "*n"]
    ) -> Float[np.ndarray, "*n"]:
        """Redshifts from a log-normal with different widths below and above its median.

        Args:
            mag_i: Magnitudes [mag AB in i].
            normal: Standard normal numbers.
        """
        median, below, above = self._redshift_law(mag_i)
        width = np.where(normal < 0.0, below, above)
        return np.clip(np.exp(median + normal * width), Z_MIN, Z_MAX)

    def redshift_density(
        self, z: Float[np.ndarray, "*n"], mag_i: Float[np.ndarray, "*n"]
    ) -> Float[np.ndarray, "*n"]:
        """Density of ln(redshift) among galaxies of a magnitude, times sqrt(2 pi).

        Args:
            z: Redshifts.
            mag_i: Magnitudes [mag AB in i].
        """
        median, below, above = self._redshift_law(mag_i)
        offset = np.log(z) - median
        width = np.where(offset < 0.0, below, above)
        # each half holds half of the galaxies, whatever its width
        return np.exp(-0.5 * (offset / width) ** 2) / width

    def brighter(self, mag_i: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """Galaxies brighter than a magnitude [1 / arcmin^2].

        Args:
            mag_i: Limits [mag AB in i].
        """
        return 10.0 ** np.interp(mag_i, self.count_mags, np.log10(self.counts))

    def _redshift_law(self, mag_i: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Median of ln(redshift), and its widths below and above."""
        of_bin = np.searchsorted(self.redshift_mags, mag_i)
        low, median, high = (
            np.log(np.asarray(quantile)[of_bin])
            for quantile in (self.redshift_low, self.redshift_median, self.redshift_high)
        )
        return median, median - low, high - median

    def _colour(self, z: np.ndarray, colours: Numbers) -> np.ndarray:
        """Colour by redshift, constant beyond the ends."""
        return np.interp(z, self.colour_redshifts, colours)

    def _sizes(self, mag_i: np.ndarray, z: np.ndarray, normal: np.ndarray) -> np.ndarray:
        """Circularised sizes: 10^(-(M_r + 18) / 4) [(1 + z) / 1.6]^-1.2 kpc (Collett 2015)."""
        log_size = -0.25 * (self.absolute_magnitude(mag_i, z) + 18.0)
        log_size += -1.2 * np.log10((1.0 + z) / 1.6) + self.size_scatter * normal
        return 10.0**log_size / kpc_per_arcsec(z)
