"""A survey with pixels of another size: the same sky, exposures and depth, drizzled otherwise."""

from dataclasses import replace

from stronglens.core.errors import OutOfRangeError
from stronglens.surveys.records import Band, Survey


def with_pixel_scale(survey: Survey, pixel_scale: float) -> Survey:
    """Return a survey whose images have pixels of another size.

    Noise per area of the sky stays what it was: that of the sky by itself, and the read noise of a
    pixel because it grows with the pixel's side. Where pixels get coarser their noise becomes less
    correlated, by the area that neighbours share; finer ones keep the correlation of neighbours.

    Args:
        survey: The survey.
        pixel_scale: New side of a pixel [arcsec].

    Raises:
        OutOfRangeError: The PSF would be narrower than a pixel, or is a measured kernel.
    """
    return replace(survey, bands=tuple(_resampled(band, pixel_scale) for band in survey.bands))


def _resampled(band: Band, pixel_scale: float) -> Band:
    if not 0.1 * band.psf_fwhm <= pixel_scale <= 1.5 * band.psf_fwhm:
        raise OutOfRangeError(
            f"pixel_scale={pixel_scale} does not suit {band.name}, whose PSF is {band.psf_fwhm} "
            f"arcsec wide. Allowed: {0.1 * band.psf_fwhm:.3g}-{1.5 * band.psf_fwhm:.3g}."
        )
    if band.psf_kernel is not None or band.noise_covariance is not None:
        raise OutOfRangeError(
            f"{band.name} has a PSF or noise measured at {band.pixel_scale} arcsec. Leave out "
            "pixel_scale, or describe a survey without these files."
        )
    ratio = pixel_scale / band.pixel_scale
    return replace(
        band,
        pixel_scale=pixel_scale,
        read_noise=band.read_noise * ratio,
        noise_correlation=band.noise_correlation / max(ratio, 1.0) ** 2,
    )
