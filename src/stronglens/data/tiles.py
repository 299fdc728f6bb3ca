"""Tiles: survey images as published, in one or several bands on one pixel grid, with their facts.

Pixels are read by `stronglens.data.fits`; what is in them is found in `data.detections`, measured
in `data.measure` and cut out in `data.patches`.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io.fits import Header
from astropy.io.fits.verify import VerifyError
from astropy.wcs import WCS
from jaxtyping import Bool, Float32, Float64
from scipy.ndimage import binary_opening

from stronglens.core.errors import (
    MissingDataError,
    OutOfRangeError,
    WrongShapeError,
    unknown_name,
)
from stronglens.data.cutout import Cutout
from stronglens.data.filters import is_same_filter
from stronglens.data.fits import read_cutouts
from stronglens.data.headers import numbers
from stronglens.data.inputs import object_files
from stronglens.data.parts import Part, read_folder_parts, read_parts, stem
from stronglens.data.planes import Hints, name_band

_GAIN_KEYS = ("GAIN", "EGAIN", "CCDGAIN", "GAINEFF", "EFFGAIN")
_EXPOSURE_KEYS = ("EXPTIME", "TEXPTIME", "EXPOSURE")
_SATURATION_KEYS = ("SATURATE", "SATURLEV", "SATLEVEL")
_SECOND_UNITS = ("/s", "s-1", "/sec", "s^-1", "s**-1")
_ELECTRON_UNITS = ("e-", "e", "electron", "electrons")
_TILE_HINTS = Hints(use_mask=True)


@dataclass(frozen=True, eq=False)
class Tile:
    """Survey image in one or more bands, all of one zero point when it comes from `read_tile`."""

    tile_id: str
    """Name of the tile."""
    flux: Float32[np.ndarray, "band y x"]
    """Linear; 0 where nothing was observed [pixel units]."""
    ivar: Float32[np.ndarray, "band y x"] | None
    """Inverse variance; 0 where nothing is known; None where no file states it."""
    mask: Bool[np.ndarray, "band y x"]
    """True where a pixel is bad or was not observed."""
    bands: tuple[str, ...]
    """Names of the bands; "" where none is stated."""
    pixel_scale: float
    """Side of a pixel [arcsec]."""
    zero_point: Float64[np.ndarray, "band"]
    """Magnitude of one pixel unit [mag AB]."""
    gain: Float64[np.ndarray, "band"]
    """Effective gain of the coadd; NaN where not known [electrons / pixel unit]."""
    saturation: Float64[np.ndarray, "band"]
    """Level at which pixels saturate; NaN where not stated [pixel units]."""
    exposure_time: Float64[np.ndarray, "band"]
    """Total of the coadd; NaN where not stated [s]."""
    psf: Float32[np.ndarray, "band k l"] | None = None
    """Kernel of each band, odd and centred, sum 1; zero where a band has none."""
    wcs: WCS | None = None
    """Coordinates of the first band that has any."""
    remarks: tuple[str, ...] = ()
    """What had to be assumed while reading."""

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.flux.shape[1]

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.flux.shape[2]

    @property
    def is_bad(self) -> Bool[np.ndarray, "y x"]:
        """Where a pixel is bad in at least one band."""
        return np.logical_or.reduce(self.mask, axis=0)

    def index(self, band: str) -> int:
        """Index of a band, by its full name or by its filter alone.

        Raises:
            UnknownNameError: The tile has no such band, or several with that filter.
        """
        found = [k for k, name in enumerate(self.bands) if is_same_filter(name, band)]
        if len(found) != 1:
            raise unknown_name(f"band of tile {self.tile_id}", band, self.bands)
        return found[0]


def read_tile(
    path: Path | str, hints: Hints = _TILE_HINTS, zero_point: float | None = None
) -> Tile:
    """Tile from a FITS file or from a folder with its bands, noise maps, masks and PSFs.

    All bands come to one zero point, as the images of a dataset have. Pixels that are not finite,
    and areas where the image is exactly zero, are marked in the mask.

    Args:
        path: File, or folder with the files of one tile.
        hints: What is known and may not stand in the files; by default plain masks mark bad pixels.
        zero_point: Magnitude of one pixel unit that all bands come to; by default that of the
            first band [mag AB].

    Raises:
        MissingDataError: No file, or neither header nor hints give pixel scale and zero points.
        UnreadableFileError: Empty, truncated, not FITS, or without an image.
        WrongShapeError: The file is a stack of objects.
    """
    cutouts = list(read_cutouts(path, hints))
    if len(cutouts) != 1:
        raise WrongShapeError(
            f"'{path}' is a stack of {len(cutouts)} objects; a tile is one field, as (y, x) or "
            "(band, y, x). Give one file or folder per field."
        )
    cutout = cutouts[0]
    _check_scales(cutout)
    headers = _headers(Path(path), cutout)
    bad = cutout.mask | ~np.isfinite(cutout.flux)
    flux = np.where(bad, np.float32(0), cutout.flux)
    bad |= np.stack([_unobserved(plane) for plane in flux])
    wcs = next((found for header in headers if (found := _wcs(header)) is not None), None)
    tile = Tile(
        tile_id=cutout.object_id,
        flux=flux,
        ivar=np.where(bad, np.float32(0), cutout.ivar) if cutout.ivar.any() else None,
        mask=bad,
        bands=cutout.bands,
        pixel_scale=cutout.pixel_scale,
        zero_point=cutout.zero_point,
        gain=np.array([effective_gain(header) for header in headers]),
        saturation=np.array([_positive(header, _SATURATION_KEYS) for header in headers]),
        exposure_time=np.array([_positive(header, _EXPOSURE_KEYS) for header in headers]),
        psf=cutout.psf,
        wcs=wcs,
        remarks=cutout.remarks,
    )
    return with_zero_point(tile, cutout.zero_point[0] if zero_point is None else zero_point)


def with_zero_point(tile: Tile, zero_point: float) -> Tile:
    """The same tile with all bands in pixel units of one zero point.

    Args:
        tile: Tile with a zero point per band.
        zero_point: Magnitude of one pixel unit wanted [mag AB].

    Reference:
        Definition of the magnitude: flux scales as 10^(0.4 (new - old zero point)).
    """
    if not math.isfinite(zero_point):
        raise OutOfRangeError(f"zero_point={zero_point} is not a magnitude. Give a finite number.")
    scale = 10 ** (0.4 * (zero_point - tile.zero_point))
    pixels = scale.astype(np.float32)[:, None, None]
    return replace(
        tile,
        flux=tile.flux * pixels,
        ivar=None if tile.ivar is None else tile.ivar / pixels**2,
        zero_point=np.full(len(tile.bands), zero_point, np.float64),
        gain=tile.gain / scale,
        saturation=tile.saturation * scale,
    )


def with_bands(tile: Tile, bands: Sequence[str]) -> Tile:
    """The same tile with some of its bands, in the order given.

    Args:
        tile: The whole tile.
        bands: Names of bands, or their filters alone.

    Raises:
        UnknownNameError: The tile has no such band, or several with that filter.
    """
    index = [tile.index(band) for band in bands]
    planes = ("flux", "mask", "zero_point", "gain", "saturation", "exposure_time", "ivar", "psf")
    values = {name: getattr(tile, name) for name in planes}
    kept = {name: None if value is None else value[index] for name, value in values.items()}
    return replace(tile, bands=tuple(tile.bands[k] for k in index), **kept)


def within_columns(tile: Tile, first: int, stop: int) -> Tile:
    """The same tile with everything outside a range of columns marked as bad.

    Positions and sky cells stay those of the whole tile, so that parts of it never share a cell.

    Args:
        tile: The whole tile.
        first: First column kept.
        stop: Column behind the last one kept.
    """
    if not 0 <= first < stop <= tile.width:
        raise OutOfRangeError(
            f"columns {first} to {stop} are not a part of the {tile.width} columns of tile "
            f"{tile.tile_id}. Give 0 <= first < stop <= {tile.width}."
        )
    outside = np.ones(tile.width, bool)
    outside[first:stop] = False
    return replace(tile, mask=tile.mask | outside)


def effective_gain(header: Header) -> float:
    """Electrons per pixel unit of the coadd, NaN where the header does not say.

    Args:
        header: GAIN or a like key, taken per count; 1 where the unit is the electron. A unit per
            second is multiplied by the exposure time, without which the gain is unknown.
    """
    unit = str(header.get("BUNIT", "")).strip().lower().replace(" ", "")
    rate = next((ending for ending in _SECOND_UNITS if unit.endswith(ending)), "")
    counted = unit.removesuffix(rate).rstrip(".*")
    gain = 1.0 if counted in _ELECTRON_UNITS else _positive(header, _GAIN_KEYS)
    return gain * _positive(header, _EXPOSURE_KEYS) if rate else gain


def _positive(header: Header, keys: Sequence[str]) -> float:
    """First number above zero under any of the keys, else NaN."""
    return next((value for value in numbers(header, keys) if value > 0), math.nan)


def _check_scales(cutout: Cutout) -> None:
    """Refuse a tile without a pixel scale or without the zero point of a band."""
    if not cutout.pixel_scale > 0:
        raise MissingDataError(
            f"pixel scale of '{cutout.input}' not known: no WCS and no PIXSCALE in the header. "
            "Pass hints with a pixel_scale [arcsec/pixel], or add a WCS."
        )
    unknown = [
        band or f"plane {k}"
        for k, (band, value) in enumerate(zip(cutout.bands, cutout.zero_point, strict=True))
        if not math.isfinite(value)
    ]
    if unknown:
        raise MissingDataError(
            f"zero point of {', '.join(unknown)} in '{cutout.input}' not known: no MAGZERO or like "
            "key in the header. Pass hints with a zero_point [mag AB], or add the key."
        )


def _headers(path: Path, cutout: Cutout) -> list[Header]:
    """Header of each band's image: the first that names the band, or the only image there is."""
    parts = read_folder_parts(object_files(path)) if path.is_dir() else read_parts(path)
    images = [part for part in parts if part.role == "image"]
    if len(images) == 1:
        return [_joined(images[0])] * len(cutout.bands)
    names = (stem(path) if path.is_file() else path.name, path.absolute().parent.name)
    by_band: dict[str, Header] = {}
    for image in images:
        by_band.setdefault(name_band(image, "", names), _joined(image))
    return [by_band.get(band, Header()) for band in cutout.bands]


def _joined(image: Part) -> Header:
    """Header of an image, with what only the first header of its file states."""
    header = image.primary.copy(strip=True)
    header.update(image.header)
    return header


def _unobserved(flux: Float32[np.ndarray, "y x"]) -> Bool[np.ndarray, "y x"]:
    """Areas of exact zeros; single zeros are sky in an image stored in steps."""
    return binary_opening(flux == 0, np.ones((3, 3), bool))


def _wcs(header: Header) -> WCS | None:
    """Celestial WCS of a header, None where it has none that can be used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wcs = WCS(header)
            return wcs.celestial if wcs.has_celestial else None
        except (ValueError, LookupError, TypeError, OSError, AttributeError, VerifyError):
            # a WCS that astropy cannot use is as good as none
            return None
