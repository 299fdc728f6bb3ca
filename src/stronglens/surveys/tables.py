"""From the tables that surveys publish, a camera and a row for each filter, to bands."""

from dataclasses import dataclass, field

from stronglens.surveys.records import Band, PublishedDepth
from stronglens.surveys.survey import exposure_zero_point


@dataclass(frozen=True)
class Camera:
    """What all filters of a survey have in common."""

    pixel_scale: float
    """Side of a pixel [arcsec]."""
    gain: float
    """Electrons per pixel unit [e-]."""
    read_noise: float
    """Standard deviation of the read noise of one exposure [e-]."""
    saturation: float
    """Electrons at which a pixel of one exposure saturates [e-]."""
    psf_fwhm_scatter: float
    """Scatter of ln(PSF width) between exposures."""
    psf_beta: float | None = None
    """Slope of the PSF's Moffat wings; none for a Gaussian."""
    noise_correlation: float = 0.0
    """Correlation of the noise of neighbouring pixels of the stack."""
    bleeds: bool = True
    """Whether a full pixel spills along its column; infrared arrays do not."""
    sources: dict[str, str] = field(default_factory=dict)
    """Where each number of camera and filters comes from, by field name."""


@dataclass(frozen=True)
class FilterRow:
    """A filter as one row of a survey's table."""

    rate_zero_point: float
    """Magnitude of a source that gives one electron per second [mag AB]."""
    sky_brightness: float
    """Brightness of the sky [mag AB/arcsec^2]."""
    exposure_time: float
    """Length of one exposure [s]."""
    n_exposures: int
    """Exposures in the full stack."""
    psf_fwhm: float
    """Median PSF width of one exposure [arcsec]."""
    wavelength: float
    """Effective wavelength of the filter [nm]."""
    noise_scale: float = 1.0
    """Factor on the noise of the full stack."""


def build_band(name: str, row: FilterRow, camera: Camera, depth: PublishedDepth | None) -> Band:
    """Put a camera and a row together.

    Args:
        name: Survey and filter together.
        row: The filter.
        camera: The camera.
        depth: The published depth, where there is one.
    """
    return Band(
        name=name,
        pixel_scale=camera.pixel_scale,
        zero_point=exposure_zero_point(row.rate_zero_point, row.exposure_time, camera.gain),
        exposure_time=row.exposure_time,
        n_exposures=row.n_exposures,
        sky_brightness=row.sky_brightness,
        gain=camera.gain,
        read_noise=camera.read_noise,
        psf_fwhm=row.psf_fwhm,
        psf_fwhm_scatter=camera.psf_fwhm_scatter,
        sources=camera.sources,
        psf_beta=camera.psf_beta,
        wavelength=row.wavelength,
        saturation=camera.saturation,
        bleeds=camera.bleeds,
        noise_scale=row.noise_scale,
        noise_correlation=camera.noise_correlation,
        depth_published=depth,
    )


def codex_sources(entry: str) -> dict[str, str]:
    """Return the sources of the numbers that were read in one entry of surveycodex.

    Args:
        entry: Name of the survey there.
    """
    read = f"surveycodex 1.3.0, {entry}"
    names = ("pixel_scale", "gain", "sky_brightness", "exposure_time", "psf_fwhm", "wavelength")
    return {name: read for name in names} | {
        "zero_point": f"{read}: magnitude of 1 e-/s, times exposure_time / gain"
    }
