"""How deep a band is by its own numbers; what its survey publishes stands in the record."""

import math

import numpy as np

from stronglens.core.errors import OutOfRangeError
from stronglens.surveys.records import Band

RADIUS = 8.0
"""Half-size of the PSF that is summed over, in widths."""
FINENESS = 16
"""Sub-pixels across a PSF width."""


def limiting_magnitude(band: Band, n_sigma: float = 5.0, aperture: float | None = None) -> float:
    """Magnitude of a point source that stands n sigma above the noise of the full stack.

    The photon noise of the source itself is left out: at five sigma it is small beside the sky's.

    Args:
        band: The band; where it has a kernel file, the width and slope stand for it.
        n_sigma: Signal-to-noise ratio, above 0 [-].
        aperture: Diameter of an aperture that the flux is summed in [arcsec]; optimal point-source
            photometry where none is given.

    Returns:
        Limit [mag AB].

    Reference:
        Howell 1989, the CCD equation; King 1983 for the optimal weight, whose noise is that of
        1 / sum(psf^2) pixels.
    """
    if not n_sigma > 0.0:
        raise OutOfRangeError(f"n_sigma={n_sigma} is not above 0. Five is usual.")
    sky_rate = 10.0 ** (0.4 * (band.zero_point - band.sky_brightness)) * band.pixel_scale**2
    variance = (sky_rate * band.gain + band.read_noise**2) / (band.n_exposures * band.gain**2)
    n_pixels = noise_pixels(band) if aperture is None else _pixels_of(aperture, band)
    noise = band.noise_scale * math.sqrt(variance * n_pixels)
    return band.zero_point - 2.5 * math.log10(n_sigma * noise)


def noise_pixels(band: Band) -> float:
    """Number of pixels whose noise enters optimal photometry of a point source.

    Args:
        band: The band.

    Returns:
        1 / sum(psf^2), where psf is the light of a point source by pixel, averaged over where in a
        pixel the source lies.

    Reference:
        King 1983; 4 pi sigma^2 for a well-sampled Gaussian.
    """
    fine = math.ceil(FINENESS * band.pixel_scale / band.psf_fwhm)
    step = band.pixel_scale / fine
    half = math.ceil(RADIUS * band.psf_fwhm / step)
    offsets = np.arange(-half, half + 1) * step
    light = _profile(offsets[:, None] ** 2 + offsets**2, band)
    light = light / light.sum()
    for axis in (0, 1):
        light = _window_sums(light, fine, axis)
    return float(fine**2 / (light**2).sum())


def _profile(radius2: np.ndarray, band: Band) -> np.ndarray:
    """PSF at squared radii [arcsec^2], not normalised."""
    if band.psf_beta is None:
        return np.exp(-4.0 * math.log(2.0) * radius2 / band.psf_fwhm**2)
    core2 = band.psf_fwhm**2 / (4.0 * (2.0 ** (1.0 / band.psf_beta) - 1.0))
    return (1.0 + radius2 / core2) ** -band.psf_beta


def _window_sums(values: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Sum over every window of a size along an axis, those over the edge included."""
    widths = [(size, size - 1) if k == axis else (0, 0) for k in range(values.ndim)]
    sums = np.cumsum(np.pad(values, widths), axis=axis)
    n = values.shape[axis] + size - 1
    return np.take(sums, range(size, size + n), axis) - np.take(sums, range(n), axis)


def _pixels_of(aperture: float, band: Band) -> float:
    if not aperture > 0.0:
        raise OutOfRangeError(f"aperture={aperture} arcsec is not above 0. Give its diameter.")
    return math.pi * (aperture / 2.0 / band.pixel_scale) ** 2
