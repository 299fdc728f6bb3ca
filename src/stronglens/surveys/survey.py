"""Records of a survey and of one of its bands, and the registry of the surveys known.

Numbers only; drawing seeing or noise from them is done by `simulation`.
"""

from dataclasses import dataclass, field

from stronglens.core.errors import unknown_name
from stronglens.core.registry import Registry


@dataclass(frozen=True)
class Band:
    """One filter of one survey as its images are published or simulated."""

    name: str
    """Survey and filter together, such as "lsst-g"."""
    pixel_scale: float
    """Side of a pixel [arcsec]."""
    zero_point: float
    """Magnitude of one pixel unit in one exposure [mag AB]."""
    exposure_time: float
    """Length of one exposure [s]."""
    n_exposures: int
    """Exposures in the full stack."""
    sky_brightness: float
    """Brightness of the sky [mag AB/arcsec^2]."""
    gain: float
    """Electrons per pixel unit [e-]."""
    read_noise: float
    """Standard deviation of the read noise of one exposure [e-]."""
    psf_fwhm: float
    """Median PSF width of one exposure [arcsec]."""
    psf_fwhm_scatter: float
    """Scatter of ln(PSF width) between exposures."""
    sources: dict[str, str] = field(default_factory=dict)
    """Where each number comes from, by field name."""


@dataclass(frozen=True)
class Survey:
    """A survey: its bands, in the order of its images' band axis."""

    name: str
    """Public name, such as "lsst-deck"."""
    description: str
    """One line on what the numbers stand for."""
    bands: tuple[Band, ...]
    """The bands."""
    citation: str
    """Reference for the survey's numbers."""

    def band(self, name: str) -> Band:
        """Return the band of that name.

        Raises:
            UnknownNameError: The survey has no such band.
        """
        for band in self.bands:
            if band.name == name:
                return band
        raise unknown_name(f"band of {self.name}", name, [band.name for band in self.bands])


surveys: Registry[Survey] = Registry("survey")


def survey(name: str) -> Survey:
    """Return the survey of that name.

    Raises:
        UnknownNameError: No such survey; the message lists those that exist.
    """
    return surveys.get(name)
