"""What headers say about zero point, scale and place."""

import math

import numpy as np
import pytest
from astropy.io.fits import Header
from fits_toys import wcs_header

from stronglens.data.headers import astrometry, cube_filters, zero_point

EMPTY = Header()


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"MAGZERO": 27.5}, 27.5),
        ({"MAGZPT": 25.9463}, 25.9463),
        ({"PHOTZP": 30.0}, 30.0),
        ({"MZP_AB": 30.0, "MZP_VEGA": 29.6}, 30.0),
        ({"FLUXMAG0": 63095734448.0}, 27.0),
        ({"BUNIT": "nanomaggy"}, 22.5),
        ({"BUNIT": "nJy"}, 31.4),
        ({"BUNIT": "uJy"}, 23.9),
        ({"SURVEY": "DECaLS"}, 22.5),
        ({"PHOTFLAM": 7.0723600e-20, "PHOTPLAM": 8045.0}, 25.9396),
        (
            {
                "PHOTFLAM": 7.0723600e-20,
                "PHOTPLAM": 8045.0,
                "BUNIT": "ELECTRONS",
                "EXPTIME": 100.0,
            },
            30.9396,
        ),
        (
            {
                "PHOTFLAM": 7.0723600e-20,
                "PHOTPLAM": 8045.0,
                "BUNIT": "ELECTRONS/S",
                "EXPTIME": 100.0,
            },
            25.9396,
        ),
        ({"MAGZERO": 0.0, "BUNIT": "ADU"}, math.nan),
        ({"MAGZERO": "unknown"}, math.nan),
        ({"PHOT_C": 26.5}, math.nan),
        ({}, math.nan),
    ],
)
def test_zero_point_is_found(cards, expected):
    header = Header(cards.items())
    assert zero_point(header, EMPTY, 0.1) == pytest.approx(expected, abs=2e-3, nan_ok=True)
    assert zero_point(EMPTY, header, 0.1) == pytest.approx(expected, abs=2e-3, nan_ok=True)


def test_surface_brightness_unit_needs_the_pixel_scale():
    header = Header([("BUNIT", "MJy/sr")])
    area = (0.03 / 206264.806) ** 2
    expected = 8.90 - 2.5 * math.log10(1e6 * area)
    assert zero_point(header, EMPTY, 0.03) == pytest.approx(expected, abs=1e-3)
    assert math.isnan(zero_point(header, EMPTY, math.nan))


def test_wcs_gives_scale_and_centre():
    sky = astrometry(wcs_header(0.25, 41, 60, ra=33.5, dec=-4.1), 41, 60)
    assert sky.pixel_scale == pytest.approx(0.25)
    assert (sky.ra, sky.dec) == pytest.approx((33.5, -4.1), abs=1e-9)
    assert sky.elongation == pytest.approx(1.0)


def test_scale_comes_from_keys_without_wcs_and_wcs_counts_more():
    assert astrometry(Header([("PIXSCALE", 0.3)]), 9, 9).pixel_scale == 0.3
    assert astrometry(wcs_header(0.2, PIXSCALE=0.3), 64, 64).pixel_scale == pytest.approx(0.2)
    assert math.isnan(astrometry(Header([("PIXSCALE", -1.0)]), 9, 9).pixel_scale)


def test_broken_wcs_is_no_wcs():
    header = wcs_header()
    header["CD1_1"] = header["CD2_2"] = 0.0
    assert np.isnan(astrometry(header, 64, 64).ra)


def test_bands_of_a_cube():
    assert cube_filters(Header([("BANDS", "grz")]), 3) == ("g", "r", "z")
    assert cube_filters(Header([("BANDS", "g,r,i")]), 3) == ("g", "r", "i")
    assert cube_filters(Header([("FILTER1", "F606W"), ("FILTER2", "F814W")]), 2) == (
        "F606W",
        "F814W",
    )
    assert cube_filters(Header([("BANDS", "grz")]), 4) == ()
    assert cube_filters(EMPTY, 3) == ()
