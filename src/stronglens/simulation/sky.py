"""What the sky holds, as settings of the survey presets: every prior a field, with its source.

Drawing from them is in `systems` and the files of the classes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stronglens.core.errors import OutOfRangeError
from stronglens.core.task import settings


@settings
@dataclass(frozen=True)
class Sky:
    """Priors of deflectors, sources and what surrounds them."""

    prior: Literal["training", "sky"] = "training"
    """"training": theta_e log-flat and arc S/N flat, with a weight; "sky": as often as they are."""
    sigma_v_min: float = 80.0
    """Smallest velocity dispersion of a deflector [km/s]."""
    sigma_v_max: float = 450.0
    """Largest velocity dispersion of a deflector [km/s]."""
    z_lens_min: float = 0.05
    """Smallest redshift of a deflector."""
    z_lens_max: float = 1.2
    """Largest redshift of a deflector."""
    z_source_max: float = 6.0
    """Largest redshift of a source."""
    theta_e_min: float | None = None
    """Smallest Einstein radius [arcsec]; by default half the sharpest band's PSF width."""
    theta_e_max: float = 3.0
    """Largest Einstein radius of a galaxy [arcsec]; groups have their own range."""
    source_mag_bright: float = 20.0
    """Brightest unlensed source drawn [mag AB in i]."""
    source_mag_faint: float = 28.0
    """Faintest unlensed source drawn [mag AB in i]; the training prior then sets its arc S/N."""
    arc_snr_min: float = 5.0
    """Smallest arc S/N of the training prior, in the best band."""
    arc_snr_max: float = 100.0
    """Largest arc S/N of the training prior."""
    slope_mean: float = 2.078
    """Mean slope of the mass density (Auger et al. 2010)."""
    slope_scatter: float = 0.16
    """Scatter of that slope, cut to 1.6-2.5 (Auger et al. 2010)."""
    mass_q_scatter: float = 0.11
    """Scatter of the axis ratio of mass about that of light (Koopmans et al. 2006)."""
    mass_phi_scatter: float = 0.17
    """Scatter of the angle of mass about that of light [rad] (Koopmans et al. 2006)."""
    shear_median: float = 0.05
    """Median of the log-normal external shear (Oguri & Marshall 2010)."""
    shear_scatter: float = 0.46
    """Scatter of ln(shear), 0.2 dex (Oguri & Marshall 2010)."""
    multipole_scatter: float = 0.01
    """Scatter of the boxiness (m = 4) of the mass, as a fraction of theta_e (our choice)."""
    center_scatter: float = 0.1
    """Half-width of the uniform offset of the deflector from the image centre [arcsec]."""
    red_source_share: float = 0.1
    """Share of sources with an old population's colours."""
    clumpy_source_share: float = 0.5
    """Share of sources with clumps of star formation."""
    stamps: Path | None = None
    """Folder of real galaxies, as GalSim's RealGalaxyCatalog has them, that sources can be."""
    stamp_share: float = 0.3
    """Share of sources that are such galaxies, where a folder is given."""
    neighbour_mag_faint: float = 25.0
    """Faintest galaxy of the field drawn around every object [mag AB in i]."""
    neighbour_boost: float = 1.5
    """Density of such galaxies over that of the field, since deflectors live in company."""
    star_density: float = 1.0
    """Stars brighter than 23 in i per arcmin^2; about 1 at high galactic latitude."""

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
            ("arc_snr_min", "arc_snr_max"),
        ):
            a, b = getattr(self, low), getattr(self, high)
            if a is not None and not 0 < a < b:
                raise OutOfRangeError(f"sky: {low}={a} must be above 0 and below {high}={b}.")
        if self.theta_e_max > 30 or self.z_source_max > 6.0:
            raise OutOfRangeError(
                f"sky: theta_e_max={self.theta_e_max} and z_source_max={self.z_source_max} end at "
                "30 arcsec and 6."
            )
        for name in ("red_source_share", "clumpy_source_share", "stamp_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise OutOfRangeError(f"sky: {name}={getattr(self, name)} is outside 0-1.")
