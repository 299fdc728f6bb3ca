"""A survey measured from the user's own images: PSF, noise, sky, gain and zero point of each band.

The measurements themselves are in `data.star_psf` and `data.sky_noise`; records of surveys that are
known beforehand are in `stronglens.surveys`.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from jaxtyping import Float64

from stronglens.core.conventions import flux_from_magnitude, magnitude_from_flux
from stronglens.core.errors import UnreadableFileError
from stronglens.core.files import atomic_path
from stronglens.data.cutout import stack_kernels
from stronglens.data.detections import Detections, detect, without_background
from stronglens.data.filters import nearest_band, wavelength
from stronglens.data.sky_noise import CELL, MAX_LAG, SkyNoise, estimate_gain, measure_sky_noise
from stronglens.data.star_psf import MeasuredPsf, describe_kernel, measure_psf
from stronglens.data.tiles import Tile
from stronglens.surveys.custom import write_survey
from stronglens.surveys.records import Band, Survey

_MARGIN = 5

# dark sky at zenith [mag AB/arcsec^2], LSST Science Collaboration 2009, arXiv:0912.0201, table 2.2,
# for the one case in which neither header nor photons give the gain
_DARK_SKY = {"u": 22.9, "g": 22.3, "r": 21.2, "i": 20.5, "z": 19.6, "y": 18.6}


@dataclass(frozen=True, eq=False)
class MeasuredBand:
    """What the images tell about one band."""

    name: str
    """Survey and filter together, such as "kids-g"."""
    pixel_scale: float
    """Side of a pixel [arcsec]."""
    zero_point: float
    """Magnitude of one pixel unit of the tile [mag AB]."""
    exposure_time: float
    """Total of the coadd; NaN where not stated [s]."""
    saturation: float
    """Level at which pixels saturate; NaN where not stated [pixel units]."""
    psf: MeasuredPsf
    """PSF from the stars, or of the kernel that came with the tile."""
    noise: SkyNoise
    """Noise of the sky."""
    gain: float
    """Effective gain of the coadd [electrons / pixel unit]."""
    gain_source: str
    """Where the gain comes from: header, photon noise of galaxies, or a dark sky assumed."""

    @property
    def sky_brightness(self) -> float:
        """Sky whose photons alone give the measured rms at this gain [mag AB/arcsec^2].

        Reference:
            Howell 1989, the CCD equation without read noise: variance = sky / gain.
        """
        sky = self.noise.rms**2 * self.gain / self.pixel_scale**2
        return float(magnitude_from_flux(np.float64(sky), self.zero_point))

    @property
    def noise_correlation(self) -> float:
        """Correlation of neighbours along rows and columns [-].

        One number for what the covariance saved beside the survey tells in full.
        """
        lag, correlation = MAX_LAG, self.noise.correlation
        neighbours = (correlation[lag, lag + 1] + correlation[lag + 1, lag]) / 2
        return float(np.clip(neighbours, -0.49, 0.49))

    def to_band_facts(self) -> dict[str, Any]:
        """Fields of a survey's band, the coadd taken as one exposure without read noise.

        Gain and sky together give the measured rms; files are named as `write` saves them.
        """
        is_timed = math.isfinite(self.exposure_time)
        facts = {
            "name": self.name,
            "pixel_scale": self.pixel_scale,
            "zero_point": self.zero_point,
            "exposure_time": self.exposure_time if is_timed else 1.0,
            "n_exposures": 1,
            "sky_brightness": self.sky_brightness,
            "gain": self.gain,
            "read_noise": 0.0,
            "psf_fwhm": self.psf.fwhm,
            "psf_fwhm_scatter": self.psf.fwhm_scatter,
            "psf_beta": self.psf.beta,
            "psf_kernel": f"psf_{self.name}.fits",
            "noise_scale": 1.0,
            "noise_scatter": self.noise.scatter,
            "noise_correlation": self.noise_correlation,
            "noise_covariance": f"noise_{self.name}.fits",
            "sources": self._sources(),
        }
        if math.isfinite(self.saturation):
            facts["saturation"] = self.saturation * self.gain
        if (length := wavelength(self.name)) is not None:
            facts["wavelength"] = length
        return facts

    def _sources(self) -> dict[str, str]:
        """Where each number comes from."""
        n_stars = self.psf.n_stars
        psf = f"{n_stars} stars of the tile" if n_stars else "the kernel that came with the tile"
        is_timed = math.isfinite(self.exposure_time)
        return {
            "pixel_scale": "WCS or header of the tile, or given with it",
            "zero_point": "header of the tile, or given with it",
            "exposure_time": "header of the tile" if is_timed else "not stated: set to 1",
            "sky_brightness": f"chosen to give the measured rms of {self.noise.rms:.5g}",
            "gain": self.gain_source,
            "read_noise": "contained in the sky",
            "psf_fwhm": f"Moffat fit to {psf}, before the pixels widen it",
            "psf_fwhm_scatter": f"half-light radii of {psf}",
            "psf_beta": f"Moffat fit to {psf}",
            "psf_kernel": f"{psf}, with the width of the pixels",
            "noise_scatter": f"rms in squares of {CELL} pixels",
            "noise_covariance": f"up to {MAX_LAG} pixels apart in {self.noise.n_pixels} of sky",
            "noise_correlation": f"lag 1 in {self.noise.n_pixels} pixels of sky",
        }


@dataclass(frozen=True, eq=False)
class MeasuredSurvey:
    """What the images of one tile tell about its survey."""

    name: str
    """Name of the tile."""
    bands: tuple[MeasuredBand, ...]
    """The bands, in the order of the tile's."""

    def to_survey(self) -> Survey:
        """Record of the survey; its files are named, but not written."""
        return Survey(
            name=self.name,
            description=f"measured from the images of {self.name}",
            bands=tuple(Band(**band.to_band_facts()) for band in self.bands),
            citation="measured from the user's own images",
        )

    def write(self, folder: Path | str) -> Path:
        """Write survey.toml, and beside it the PSF and the noise covariance of each band as FITS.

        Args:
            folder: Made when absent.

        Returns:
            The path of the TOML file, which `stronglens.surveys` reads.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for band in self.bands:
            _write_array(folder / f"psf_{band.name}.fits", band.psf.kernel, band)
            _write_array(folder / f"noise_{band.name}.fits", band.noise.covariance, band)
        write_survey(self.to_survey(), folder / "survey.toml")
        return folder / "survey.toml"


def measure_survey(tile: Tile, detections: Detections | None = None) -> MeasuredSurvey:
    """PSF, noise, sky, gain and zero point of every band of a tile.

    A kernel that came with the tile is kept; else the PSF is measured from the stars.

    Args:
        tile: Tile as read, every band named.
        detections: Its sources, where they are known already.

    Raises:
        MissingDataError: Too few stars or too little sky.
    """
    found = detect(tile) if detections is None else detections
    flat = without_background(tile)
    is_sky = ~found.sky_mask(_MARGIN)
    bands = [_measure_band(tile, flat, found, k, is_sky) for k in range(len(tile.bands))]
    return MeasuredSurvey(tile.tile_id, tuple(bands))


def completed(tile: Tile, measured: MeasuredSurvey) -> Tile:
    """The same tile with PSF, gain and ivar filled in where no file states them.

    Args:
        tile: Tile the survey was measured from, its background removed.
        measured: The measurements, of the same bands.

    Reference:
        Howell 1989, the CCD equation: variance = sky variance + flux / gain.
    """
    gain = np.array([band.gain for band in measured.bands])
    own = tile.psf if tile.psf is not None else np.zeros((len(gain), 1, 1), np.float32)
    kernels = [
        kernel if kernel.any() else band.psf.kernel
        for kernel, band in zip(own, measured.bands, strict=True)
    ]
    sky = np.array([band.noise.rms**2 for band in measured.bands])[:, None, None]
    variance = sky + np.maximum(tile.flux, 0) / gain[:, None, None]
    ivar = np.where(tile.mask, 0, 1 / variance).astype(np.float32)
    return replace(
        tile, psf=stack_kernels(kernels), gain=gain, ivar=ivar if tile.ivar is None else tile.ivar
    )


def read_centred(path: Path | str) -> Float64[np.ndarray, "j k"]:
    """PSF or noise covariance of a band, as `MeasuredSurvey.write` saves them.

    Args:
        path: FITS or npy file.

    Raises:
        UnreadableFileError: No file of either kind, or its array is not a plane of finite values
            with odd sides and a positive one in the middle.
    """
    try:
        is_plain = str(path).endswith(".npy")
        values = np.load(path, allow_pickle=False) if is_plain else fits.getdata(path)
        values = np.asarray(values, np.float64)
    except (OSError, ValueError, TypeError) as error:
        raise UnreadableFileError(f"{path} is no FITS or npy file of numbers: {error}.") from error
    has_middle = values.ndim == 2 and all(n % 2 for n in values.shape)
    if not has_middle or not np.isfinite(values).all() or not values[_middle(values)] > 0:
        raise UnreadableFileError(
            f"{path} is neither a PSF nor a noise covariance: its shape is {values.shape}. It has "
            "two axes of odd length, finite values and one above 0 in the middle. Save it again."
        )
    return values


def _middle(values: np.ndarray) -> tuple[int, int]:
    return values.shape[0] // 2, values.shape[1] // 2


def _measure_band(
    tile: Tile, flat: Tile, found: Detections, index: int, is_sky: np.ndarray
) -> MeasuredBand:
    good = ~tile.mask[index]
    noise = measure_sky_noise(tile.flux[index], flat.flux[index], is_sky & good)
    kernel = None if tile.psf is None else tile.psf[index]
    if kernel is not None and kernel.any():
        psf = describe_kernel(kernel, tile.pixel_scale)
    else:
        psf = measure_psf(flat, index, found)
    gain, source = _gain(flat, index, noise)
    return MeasuredBand(
        name=tile.bands[index] or f"band{index}",
        pixel_scale=tile.pixel_scale,
        zero_point=float(tile.zero_point[index]),
        exposure_time=float(tile.exposure_time[index]),
        saturation=float(tile.saturation[index]),
        psf=psf,
        noise=noise,
        gain=gain,
        gain_source=source,
    )


def _gain(flat: Tile, index: int, noise: SkyNoise) -> tuple[float, str]:
    """Gain of a band and where it comes from."""
    stated = float(flat.gain[index])
    if math.isfinite(stated):
        return stated, "header of the tile"
    estimated = estimate_gain(flat.flux[index], ~flat.mask[index], noise)
    if estimated is not None:
        return estimated, "photon noise of galaxies against that of the sky; good to a factor of 2"
    letters = list(_DARK_SKY)
    nearest = nearest_band(flat.bands[index], letters)
    brightness = _DARK_SKY["r" if nearest is None else letters[nearest]]
    sky = flux_from_magnitude(brightness, float(flat.zero_point[index])) * flat.pixel_scale**2
    return (
        sky / noise.rms**2,
        f"assumed: the rms is that of a sky of {brightness} mag/arcsec^2",
    )


def _write_array(path: Path, values: np.ndarray, band: MeasuredBand) -> None:
    """Write one array of a band, whole or not at all."""
    unit = fits.PrimaryHDU(values)
    unit.header["FILTER"] = band.name
    unit.header["PIXSCALE"] = (band.pixel_scale, "arcsec/pixel")
    with atomic_path(path) as temporary:
        unit.writeto(temporary)
