"""What cameras and coadds add to an image, as settings: every number a field, with its source.

Drawing from them is in `artefacts` and `jitter`.
"""

from dataclasses import dataclass, fields
from typing import Literal

from stronglens.core.errors import OutOfRangeError
from stronglens.core.task import settings

Combination = Literal["mean", "clipped", "median"]
"""How exposures become a coadd; the mean and the median reject nothing."""


@settings
@dataclass(frozen=True)
class Artefacts:
    """Mean number of each kind of artefact in an image, all bands together, and how coadds help."""

    background_residuals: float = 0.3
    """Smooth errors of the background in all bands, per image (our choice)."""
    bad_columns: float = 0.03
    """Bad columns, interpolated or not, per image (our choice)."""
    cosmic_rays: float = 0.5
    """Hits of single exposures per image: one muon per cm^2 and minute at sea level (Particle
    Data Group) in 64 x 64 pixels of 15 micrometres, an hour in all bands together."""
    ghosts: float = 0.02
    """Edges of defocused reflections, per image (our choice)."""
    masked_regions: float = 0.05
    """Chip gaps, missing rectangles and star masks, per image (our choice)."""
    oversubtraction: float = 0.1
    """Bowls around the brightest object, of light taken for background, per image (our choice)."""
    satellite_trails: float = 0.05
    """Trails in single exposures per image: one per square degree and exposure crosses a cutout of
    13 arcsec with a chance of 0.004, and a coadd has tens of exposures."""
    saturated_stars: float = 0.03
    """Saturated stars in or beside the frame, per image: about half of a star below magnitude 17
    per square arcmin at high latitude (our choice)."""
    scattered_light: float = 0.05
    """Gradients of scattered light in one band, per image (our choice)."""
    combination: Combination = "clipped"
    """How single exposures become a coadd: "mean", "clipped" (from three exposures on) or
    "median"."""
    clip_sigma: float = 4.0
    """Noise of an exposure above which a clipped coadd rejects its pixel (default of SWarp)."""
    residual: float = 0.1
    """Chance that clipping fails on an artefact, as where exposures overlap badly (our choice)."""
    missed: float = 0.3
    """Chance that the pipeline does not mask what it should have masked (our choice)."""
    largest_star_excess: float = 3.0
    """Largest brightness of a star above saturation of its central pixel [mag]."""
    halo_share: float = 0.15
    """Part of a star's light in its halo, which falls with the cube of the radius: 0.15 gives
    stars of a KiDS field in g from 10 to 40 pixels to a third (measured); less in space."""
    spike_angle: float = 0.0
    """Angle of one of the four diffraction spikes; scattered by 0.05 rad [rad]."""
    bleeds: bool = True
    """Whether saturated pixels of CCDs spill along their columns; infrared arrays never do."""

    def check(self) -> None:
        """Raise if a rate is negative or a chance is none.

        Raises:
            OutOfRangeError: Which field is wrong, and what is allowed.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is float and field.name != "spike_angle" and not 0.0 <= value <= 1000.0:
                raise OutOfRangeError(f"artefacts: {field.name}={value} is outside 0-1000.")
        for name in ("residual", "missed", "halo_share"):
            if getattr(self, name) > 1.0:
                raise OutOfRangeError(
                    f"artefacts: {name}={getattr(self, name)} is a part: from 0 to 1."
                )
        if self.clip_sigma < 1.0:
            raise OutOfRangeError(
                f"artefacts: clip_sigma={self.clip_sigma} is below 1 and would reject good pixels."
            )


@settings
@dataclass(frozen=True)
class Jitter:
    """How much an image may differ from the facts of its survey, band by band."""

    fwhm: float = 0.2
    """Largest relative deviation of the PSF width."""
    beta_min: float = 2.0
    """Smallest slope of the Moffat wings."""
    beta_max: float = 4.0
    """Largest slope of the Moffat wings."""
    ellipticity: float = 0.06
    """Largest ellipticity (1 - q) / (1 + q) of the PSF."""
    centroid: float = 0.3
    """Largest shift of a band against the others, in any direction [pixel]."""
    zero_point: float = 0.1
    """Largest error of the zero point [mag]."""
    noise_min: float = 0.7
    """Smallest factor of the noise."""
    noise_max: float = 1.5
    """Largest factor of the noise."""
    missing_band: float = 0.02
    """Chance that a band is missing; one always stays."""

    def check(self) -> None:
        """Raise if a range is empty or leaves what is physical.

        Raises:
            OutOfRangeError: Which field is wrong, and what is allowed.
        """
        limits = {
            "fwhm": (0.0, 0.9),
            "beta_min": (1.01, self.beta_max),
            "ellipticity": (0.0, 0.9),
            "centroid": (0.0, 10.0),
            "zero_point": (0.0, 5.0),
            "noise_min": (1e-3, self.noise_max),
            "missing_band": (0.0, 1.0),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise OutOfRangeError(f"jitter: {name}={value} is outside {low}-{high}.")
