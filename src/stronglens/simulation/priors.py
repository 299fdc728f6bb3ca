"""Priors of the simulated population as settings: every number a field, with its source.

Drawing from them is in `population`.
"""

from dataclasses import dataclass

from stronglens.core.errors import OutOfRangeError
from stronglens.core.task import settings


@settings
@dataclass(frozen=True)
class Population:
    """Ranges and shapes that deflectors, sources and companions are drawn from."""

    sigma_v_min: float = 100.0
    """Smallest velocity dispersion of a deflector [km/s] (Collett 2015)."""
    sigma_v_max: float = 400.0
    """Largest velocity dispersion of a deflector [km/s] (Collett 2015)."""
    z_lens_min: float = 0.05
    """Smallest redshift of a deflector."""
    z_lens_max: float = 1.2
    """Largest redshift of a deflector; beyond it g-band deflectors vanish in the noise."""
    z_source_median: float = 1.3
    """Median of the log-normal source redshift (LSST mock counts at i = 26-27, Collett 2015)."""
    z_source_scatter: float = 0.55
    """Scatter of ln(z_source) (the same counts)."""
    z_source_max: float = 5.0
    """Largest redshift of a source."""
    theta_e_min: float = 0.7
    """Smallest Einstein radius [arcsec], somewhat below the median PSF width."""
    theta_e_max: float = 3.0
    """Largest Einstein radius [arcsec]; the largest of the 2017 mocks was 2.61."""
    source_mag_bright: float = 22.0
    """Brightest unlensed source [mag AB]."""
    source_mag_faint: float = 26.0
    """Faintest unlensed source [mag AB]: this sets how hard the images are."""
    shear_scatter: float = 0.05
    """Standard deviation of each component of the external shear."""
    center_scatter: float = 0.09
    """Half-width of the uniform offset of the deflector from the image centre [arcsec]."""

    def check(self) -> None:
        """Raise if a range is empty or leaves what is physical.

        Raises:
            OutOfRangeError: Which field is wrong, and what is allowed.
        """
        for low, high in (
            ("sigma_v_min", "sigma_v_max"),
            ("z_lens_min", "z_lens_max"),
            ("theta_e_min", "theta_e_max"),
            ("source_mag_bright", "source_mag_faint"),
        ):
            a, b = getattr(self, low), getattr(self, high)
            if not a < b:
                raise OutOfRangeError(f"population: {low}={a} must be below {high}={b}.")
        if self.theta_e_min <= 0 or self.z_lens_min <= 0 or self.sigma_v_min <= 0:
            raise OutOfRangeError(
                "population: theta_e_min, z_lens_min and sigma_v_min must be positive."
            )
        if self.theta_e_max > 30:
            raise OutOfRangeError(
                f"population: theta_e_max={self.theta_e_max} is outside 0-30 arcsec."
            )
