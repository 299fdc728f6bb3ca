"""Records of a survey and of one of its bands: numbers only, each with unit and allowed range.

Drawing seeing or noise from them is done by `simulation`; files of a user's own by `custom`.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from stronglens.core.errors import unknown_name
from stronglens.core.task import settings

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Magnitude = Annotated[float, Field(ge=-10.0, le=50.0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


@settings
@dataclass(frozen=True)
class PublishedDepth:
    """A depth as its survey publishes it, with what is needed to compute the same."""

    magnitude: Magnitude
    """The limit [mag AB]."""
    meaning: Annotated[str, Field(min_length=1)]
    """What is limited, and where the number was read."""
    n_sigma: Positive = 5.0
    """Signal-to-noise ratio at the limit."""
    aperture: Positive | None = None
    """Diameter of the aperture the flux is summed in [arcsec]; none for point-source photometry."""


@settings
@dataclass(frozen=True)
class Band:
    """One filter of one survey as its images are published or simulated."""

    name: Annotated[str, Field(min_length=1)]
    """Survey and filter together, such as "lsst-g"."""
    pixel_scale: Positive
    """Side of a pixel [arcsec]."""
    zero_point: Magnitude
    """Magnitude of one pixel unit in one exposure [mag AB]."""
    exposure_time: Positive
    """Length of one exposure [s]."""
    n_exposures: Annotated[int, Field(ge=1)]
    """Exposures in the full stack."""
    sky_brightness: Magnitude
    """Brightness of the sky [mag AB/arcsec^2]."""
    gain: Positive
    """Electrons per pixel unit [e-]."""
    read_noise: NotNegative
    """Standard deviation of the read noise of one exposure [e-]."""
    psf_fwhm: Positive
    """Median PSF width of one exposure [arcsec]."""
    psf_fwhm_scatter: NotNegative
    """Scatter of ln(PSF width) between exposures."""
    sources: dict[str, str] = field(default_factory=dict)
    """Where each number comes from, by field name."""
    psf_beta: Annotated[float, Field(gt=1.0, allow_inf_nan=False)] | None = None
    """Slope of the PSF's Moffat wings; none for a Gaussian."""
    psf_kernel: str | None = None
    """FITS or npy file with a measured PSF at the pixel scale, in place of the formula."""
    wavelength: Positive | None = None
    """Effective wavelength of the filter [nm]."""
    saturation: Positive | None = None
    """Electrons at which a pixel of one exposure saturates [e-]."""
    bleeds: bool = True
    """Whether a full pixel spills along its column, as on a CCD; infrared arrays do not."""
    noise_scale: Positive = 1.0
    """Factor on the noise of the full stack that sky, photons and read noise do not explain."""
    noise_scatter: NotNegative = 0.0
    """Scatter of ln(noise) of the full stack from place to place, as its exposures overlap."""
    noise_correlation: Annotated[float, Field(gt=-0.5, lt=0.5)] = 0.0
    """Correlation of the noise of neighbouring pixels of the stack, along rows and columns.

    Resampling smooths the noise and leaves its sums over many pixels as they were, so depths do not
    depend on it. Interpolation with negative lobes can leave neighbours anticorrelated.
    """
    noise_covariance: str | None = None
    """FITS or npy file with the covariance of two pixels' noise by their distance in y and x, lag
    zero in the middle, of any unit: in place of noise_correlation."""
    depth_published: PublishedDepth | None = None
    """Depth of the full stack as the survey states it."""


@settings
@dataclass(frozen=True)
class Survey:
    """A survey: its bands, in the order of its images' band axis."""

    name: Annotated[str, Field(min_length=1)]
    """Public name, such as "lsst-deck"."""
    description: str
    """One line on what the numbers stand for."""
    bands: Annotated[tuple[Band, ...], Field(min_length=1)]
    """The bands."""
    citation: str
    """Reference for the survey's numbers."""
    kind: Literal["ground", "space"] = "ground"
    """Whether the atmosphere blurs the images."""
    area: Positive | None = None
    """Area of the sky that is imaged [deg^2]."""
    psf_correlation: Fraction = 0.0
    """Share of the variance of ln(PSF width) that all bands have in common.

    The common part scales with wavelength^-0.2 (Kolmogorov turbulence).
    """
    sources: dict[str, str] = field(default_factory=dict)
    """Where the survey's own numbers come from, by field name."""

    def band(self, name: str) -> Band:
        """Return the band of that name.

        Raises:
            UnknownNameError: The survey has no such band.
        """
        for band in self.bands:
            if band.name == name:
                return band
        raise unknown_name(f"band of {self.name}", name, [band.name for band in self.bands])
