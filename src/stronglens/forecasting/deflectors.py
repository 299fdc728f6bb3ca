"""Deflectors of Collett 2015: numbers, redshifts, shapes and light of early-type galaxies."""

from dataclasses import dataclass
from math import gamma

import numpy as np
from jaxtyping import Float

from stronglens.simulation.relations import (
    VDF_A,
    VDF_B,
    Columns,
    deflector_log_size,
    deflector_magnitude,
    distance_modulus,
    draw_by_density,
    kpc_per_arcsec,
    one_minus_rayleigh,
    velocity_dispersion_function,
    volume_density,
)

# apparent minus absolute r magnitude minus distance modulus of a 10 Gyr old single burst of solar
# metallicity, fitted to the published lens tables of Collett 2015; the last column continues the
# slope of the two before it
_K_REDSHIFTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0)
_K_CORRECTION = {
    "g": (1.17, 1.84, 2.27, 2.66, 3.09, 3.60, 4.75, 5.76, 6.30, 6.27, 6.22),
    "r": (0.26, 0.24, 0.47, 0.84, 1.24, 1.63, 2.34, 3.02, 3.82, 5.30, 7.77),
    "i": (-0.27, -0.18, -0.12, -0.02, 0.14, 0.36, 0.95, 1.62, 2.23, 2.99, 4.26),
    "vis": (-0.16, -0.16, -0.04, 0.14, 0.35, 0.58, 1.08, 1.66, 2.32, 3.35, 5.07),
}
_Z_MIN = 1e-3


@dataclass(frozen=True)
class DeflectorPopulation:
    """Velocity-dispersion function without evolution, and its limits."""

    phi_star: float = 8e-3 * 0.7**3
    """Normalisation [1 / Mpc^3] (Choi, Park & Vogeley 2007, as used by Collett 2015)."""
    sigma_v_min: float = 100.0
    """Smallest velocity dispersion [km/s] (Collett 2015)."""
    sigma_v_max: float = 400.0
    """Largest velocity dispersion [km/s] (Collett 2015)."""
    z_max: float = 2.0
    """Largest redshift [-] (Collett 2015)."""
    massive: float = 5.0
    """Massive deflectors are drawn oftener by sigma_v to this power and count less for it [-]."""

    def n_full_sky(self) -> float:
        """Return the number of deflectors on the full sky."""
        sigma_v = np.linspace(self.sigma_v_min, self.sigma_v_max, 4097)
        z = np.linspace(_Z_MIN, self.z_max, 4097)
        volume = 4.0 * np.pi * np.trapezoid(volume_density(z), z)
        return float(volume * np.trapezoid(self.number_density(sigma_v), sigma_v))

    def number_density(self, sigma_v: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Comoving number density per velocity dispersion [1 / (Mpc^3 km/s)].

        Args:
            sigma_v: Velocity dispersion [km/s].

        Reference:
            Choi, Park & Vogeley 2007, eq. 4.
        """
        norm = self.phi_star * VDF_B / gamma(VDF_A / VDF_B)
        return norm * velocity_dispersion_function(sigma_v)

    def draw(self, rng: np.random.Generator, n: int) -> Columns:
        """Draw deflectors, each with the weight that undoes the preference for massive ones.

        Args:
            rng: Source of randomness.
            n: Number of deflectors.

        Returns:
            sigma_v [km/s], z_lens, q, phi [rad], mag_deflector_g to _vis [mag AB],
            r_eff_deflector (circularised) [arcsec], and deflector_weight, whose mean is 1.
        """
        sigma_v, weight = self._dispersions(rng.random(n))
        z_lens = draw_by_density(volume_density, (_Z_MIN, self.z_max), rng.random(n))
        scale = 0.378 - 0.000572 * sigma_v
        columns = {
            "sigma_v": sigma_v,
            "z_lens": z_lens,
            "q": one_minus_rayleigh(rng.random(n), scale),
            "phi": rng.uniform(0.0, np.pi, n),
            "deflector_weight": weight,
        }
        return columns | _light(sigma_v, z_lens, rng.standard_normal((2, n)))

    def _dispersions(self, uniform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Velocity dispersions, weighted by a power of themselves, and what undoes it."""
        limits = (self.sigma_v_min, self.sigma_v_max)

        def preferred(sigma_v: np.ndarray) -> np.ndarray:
            return self.number_density(sigma_v) * sigma_v**self.massive

        grid = np.linspace(*limits, 4097)
        true = np.trapezoid(self.number_density(grid), grid)
        mean_power = np.trapezoid(preferred(grid), grid) / true
        sigma_v = draw_by_density(preferred, limits, uniform)
        return sigma_v, mean_power / sigma_v**self.massive


def _light(sigma_v: np.ndarray, z_lens: np.ndarray, normal: np.ndarray) -> Columns:
    """Magnitudes and circularised size by Hyde & Bernardi 2009, as coded by Collett 2015."""
    log_sigma = np.log10(sigma_v)
    absolute = deflector_magnitude(log_sigma) + 0.15 / 2.4 * normal[0]
    apparent = absolute + distance_modulus(z_lens)
    log_size = deflector_log_size(log_sigma) + 0.11 * normal[1]
    magnitudes = {
        f"mag_deflector_{band}": apparent + np.interp(z_lens, _K_REDSHIFTS, correction)
        for band, correction in _K_CORRECTION.items()
    }
    return magnitudes | {"r_eff_deflector": 10.0**log_size / kpc_per_arcsec(z_lens)}
