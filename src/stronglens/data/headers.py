"""What a FITS header says about an image: zero point, pixel scale, position, bands.

Which extension or file is the image and which its noise is decided in `stronglens.data.parts`.
"""

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io.fits import Header
from astropy.io.fits.verify import VerifyError
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

ZERO_POINT_KEYS = (
    "MAGZERO", "MAGZPT", "MAGZP", "MAG_ZP", "MAG0", "ZEROPT", "ZEROPNT", "ZEROPOIN", "PHOTZP",
    "MZP_AB", "ZPAB", "ABMAGZP", "ZP",
)  # fmt: skip
"""Header keys read as the magnitude of one pixel unit [mag AB]."""
PIXEL_SCALE_KEYS = ("PIXSCALE", "PIXSCAL1", "PIXSCL", "PIXELSCL", "SECPIX", "SECPIX1", "PIXSIZE")
"""Header keys read as the side of a pixel [arcsec]."""
_FILTER_KEYS = ("FILTER", "BAND", "FILTNAM", "FILTER1", "FILTER2", "FILTNAME", "BANDNAME")
_FAMILY_KEYS = ("FILTER", "SURVEY", "INSTRUME", "TELESCOP", "TERAPIX")

# magnitude AB of one unit: a nanomaggie is 3.631 microjansky (SDSS), a jansky 8.90 mag (Oke & Gunn
# 1983, ApJ 266, 713)
_UNIT_ZERO_POINTS = {
    "nanomaggy": 22.5, "nanomaggie": 22.5, "nanomaggies": 22.5, "nmgy": 22.5, "maggy": 0.0,
    "njy": 31.4, "ujy": 23.9, "microjy": 23.9, "mjy": 16.4, "jy": 8.9,
}  # fmt: skip
_NANOMAGGY_SURVEYS = ("DECALS", "LEGACY", "BASS", "MZLS")
_BROKEN_ELONGATION = 20
_STERADIAN_PER_ARCSEC2 = math.radians(1 / 3600) ** 2


@dataclass(frozen=True)
class Astrometry:
    """Where an image lies and how large its pixels are; NaN where the header does not say."""

    pixel_scale: float = math.nan
    """Side of a pixel [arcsec]."""
    ra: float = math.nan
    """Right ascension of the centre, ICRS [deg]."""
    dec: float = math.nan
    """Declination of the centre, ICRS [deg]."""
    elongation: float = 1.0
    """Longer over shorter side of a pixel."""


def zero_point(header: Header, primary: Header, pixel_scale: float) -> float:
    """Magnitude of one pixel unit [mag AB], NaN where the headers do not say.

    Magnitude keys count first, then FLUXMAG0 (flux of magnitude 0), then the unit, then PHOTFLAM
    and PHOTPLAM of HST: -2.5 log10(PHOTFLAM) - 5 log10(PHOTPLAM) - 2.408.

    Args:
        header: Header of the image.
        primary: First header of the file.
        pixel_scale: Side of a pixel, for units per steradian [arcsec].

    Reference:
        STScI, ACS Data Handbook, section 5.1.1 for the last form.
    """
    both = (header, primary)
    stated = [value for source in both for value in numbers(source, ZERO_POINT_KEYS)]
    reference = [value for source in both for value in numbers(source, ("FLUXMAG0",))]
    values = [value for value in stated if 10 < value < 45]
    values += [2.5 * math.log10(value) for value in reference if value > 0]
    values += [_zero_point_from_unit(source, pixel_scale) for source in both]
    values += [_zero_point_from_hst(header, primary)]
    return next((value for value in values if math.isfinite(value)), math.nan)


def astrometry(header: Header, height: int, width: int) -> Astrometry:
    """Pixel scale and position of the centre, from the WCS or else from single keys.

    Args:
        header: Header of the image.
        height: Number of rows.
        width: Number of columns.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wcs = WCS(header)
            if wcs.has_celestial:
                return _from_wcs(wcs.celestial, height, width)
        except (ValueError, LookupError, TypeError, OSError, AttributeError, VerifyError):
            # a WCS that astropy cannot use is as good as none
            pass
    scales = [value for value in numbers(header, PIXEL_SCALE_KEYS) if 1e-4 < value < 60]
    return Astrometry(pixel_scale=scales[0] if scales else math.nan)


def filter_words(header: Header) -> list[str]:
    """Values of the keys that may name the filter."""
    return _words(header, _FILTER_KEYS)


def family_words(header: Header) -> list[str]:
    """Values of the keys that may name the survey or the instrument."""
    return _words(header, _FAMILY_KEYS)


def cube_filters(header: Header, n: int) -> tuple[str, ...]:
    """Filters of the planes of a cube, in order, where the header lists as many as there are.

    Args:
        header: Header of the cube: BANDS = "grz", or BAND0 or FILTER0 and following, from 0 or 1.
        n: Number of planes.
    """
    listed = str(_value(header, "BANDS")).strip()
    names = [part for part in listed.replace(",", " ").split() if part]
    if len(names) == 1 and len(names[0]) == n:
        names = list(names[0])
    for key in ("BAND", "FILTER", "FILT"):
        for first in (0, 1):
            if len(names) != n:
                names = [str(_value(header, f"{key}{first + k}")).strip() for k in range(n)]
                names = names if all(names) else []
    return tuple(names) if len(names) == n else ()


def numbers(header: Header, keys: Iterable[str]) -> list[float]:
    """Finite numbers that stand under any of the keys, in the order of the keys."""
    values = []
    for key in keys:
        value = _value(header, key)
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        if math.isfinite(number):
            values.append(number)
    return values


def _words(header: Header, keys: Iterable[str]) -> list[str]:
    values = [_value(header, key) for key in keys]
    return [value for value in values if isinstance(value, str)]


def _value(header: Header, key: str) -> Any:  # noqa: ANN401 - any card's value
    """Value of a card; "" where it is missing or no FITS value."""
    try:
        return header.get(key, "")
    except VerifyError:
        return ""


def _from_wcs(wcs: WCS, height: int, width: int) -> Astrometry:
    """Astrometry of a celestial WCS; the pixel is as large as its area says."""
    sides = np.abs(proj_plane_pixel_scales(wcs)) * 3600
    scale = float(np.sqrt(sides[0] * sides[1]))
    # a lost card leaves one side at its default of a degree
    if not 1e-4 < scale < 60 or sides.max() > _BROKEN_ELONGATION * sides.min():
        return Astrometry()
    centre: Any = wcs.pixel_to_world((width - 1) / 2, (height - 1) / 2)
    return Astrometry(
        pixel_scale=scale,
        ra=float(centre.icrs.ra.deg),
        dec=float(centre.icrs.dec.deg),
        elongation=float(sides.max() / sides.min()),
    )


def _zero_point_from_unit(header: Header, pixel_scale: float) -> float:
    """Zero point of a unit that is a flux density, else NaN [mag AB]."""
    unit = str(_value(header, "BUNIT")).strip().replace(" ", "")
    if unit.lower() in ("mjy/sr", "mjysr-1", "mjy.sr-1") and unit.startswith("MJ"):
        jansky = 1e6 * pixel_scale**2 * _STERADIAN_PER_ARCSEC2
        return _UNIT_ZERO_POINTS["jy"] - 2.5 * math.log10(jansky) if jansky > 0 else math.nan
    if unit.lower() in _UNIT_ZERO_POINTS and not unit.startswith("MJ"):
        return _UNIT_ZERO_POINTS[unit.lower()]
    survey = str(_value(header, "SURVEY")).upper()
    is_nanomaggy = not unit and any(name in survey for name in _NANOMAGGY_SURVEYS)
    return 22.5 if is_nanomaggy else math.nan


def _zero_point_from_hst(header: Header, primary: Header) -> float:
    """Zero point of an HST image in electrons or counts, per second or not, else NaN [mag AB]."""
    inverse = numbers(header, ("PHOTFLAM",)) or numbers(primary, ("PHOTFLAM",))
    pivot = numbers(header, ("PHOTPLAM",)) or numbers(primary, ("PHOTPLAM",))
    if not inverse or not pivot or inverse[0] <= 0 or pivot[0] <= 0:
        return math.nan
    rate = -2.5 * math.log10(inverse[0]) - 5 * math.log10(pivot[0]) - 2.408
    exposure = numbers(header, ("EXPTIME",)) or numbers(primary, ("EXPTIME",))
    unit = str(_value(header, "BUNIT") or _value(primary, "BUNIT")).strip().lower()
    # PHOTFLAM is for a unit per second; images in electrons or counts hold the whole exposure
    is_total = unit in ("electrons", "electron", "e-", "counts", "count", "adu", "dn")
    if is_total and exposure and exposure[0] > 0:
        return rate + 2.5 * math.log10(exposure[0])
    return rate
