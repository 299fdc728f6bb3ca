"""Tiles: bands, zero points, gains and masks come out right, or the message says what to do."""

import numpy as np
import pytest
from astropy.io import fits
from fits_toys import galaxy, wcs_header, write

from stronglens.core.errors import (
    MissingDataError,
    OutOfRangeError,
    UnknownNameError,
    WrongShapeError,
)
from stronglens.data.planes import Hints
from stronglens.data.tiles import effective_gain, read_tile, with_zero_point, within_columns


def _write_band(folder, band, zero_point, image, **cards):
    header = wcs_header(height=image.shape[0], width=image.shape[1])
    header.update({"FILTER": band, "MAGZERO": zero_point, **cards})
    return write(folder / f"{band}.fits", image, header)


@pytest.fixture
def folder(tmp_path):
    """Two bands of a tile that is not square, with other zero points and gains."""
    image = galaxy(60, 90)
    _write_band(tmp_path / "field", "g", 27.5, image, GAIN=10.0, SATURATE=900.0, EXPTIME=300.0)
    _write_band(tmp_path / "field", "r", 25.0, image / 10, GAIN=50.0)
    return tmp_path / "field"


def test_bands_come_to_the_zero_point_of_the_first(folder):
    tile = read_tile(folder)
    assert tile.flux.shape == (2, 60, 90)
    assert tile.tile_id == "field"
    np.testing.assert_array_equal(tile.zero_point, 27.5)
    np.testing.assert_allclose(tile.flux[1], tile.flux[0], rtol=1e-5)


def test_gain_and_saturation_follow_the_unit(folder):
    tile = read_tile(folder, zero_point=30.0)
    # 2.5 mag are a factor of ten
    np.testing.assert_allclose(tile.gain, [1.0, 0.5])
    np.testing.assert_allclose(tile.saturation, [9000.0, np.nan])
    np.testing.assert_allclose(tile.exposure_time, [300.0, np.nan])
    assert tile.wcs is not None
    assert tile.ivar is None


def test_electrons_do_not_depend_on_the_zero_point(folder):
    tile = read_tile(folder)
    other = with_zero_point(tile, 22.0)
    before = tile.flux * tile.gain[:, None, None]
    np.testing.assert_allclose(other.flux * other.gain[:, None, None], before, rtol=1e-5, atol=1e-3)


def test_noise_map_scales_with_the_flux(tmp_path):
    header = wcs_header(MAGZERO=25.0)
    write(tmp_path / "t" / "x_g_sci.fits", galaxy(), header)
    write(tmp_path / "t" / "x_g_rms.fits", np.full((64, 64), 2.0, np.float32))
    tile = read_tile(tmp_path / "t", zero_point=27.5)
    np.testing.assert_allclose(tile.ivar, 1 / 20.0**2, rtol=1e-5)


def test_compressed_tile_is_read(tmp_path):
    image = galaxy(150, 120)
    unit = fits.CompImageHDU(image, wcs_header(MAGZERO=27.5, FILTER="r"))
    path = tmp_path / "r.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), unit]).writeto(path)
    tile = read_tile(path)
    assert tile.flux.shape == (1, 150, 120)
    np.testing.assert_allclose(tile.flux[0], image, atol=0.2)


def test_what_was_not_observed_is_masked(tmp_path):
    image = galaxy(64, 64)
    image[10:20, 30:45] = 0
    image[40, 40] = 0
    image[50, 5] = np.nan
    tile = read_tile(write(tmp_path / "t.fits", image, wcs_header(MAGZERO=27.5)))
    assert tile.mask[0, 10:20, 30:45].all()
    assert tile.mask[0, 50, 5]
    assert tile.flux[0, 50, 5] == 0
    # one zero may be sky of an image that is stored in steps
    assert not tile.mask[0, 40, 40]
    assert tile.mask.sum() == 151


def test_columns_outside_are_bad_and_places_stay(folder):
    tile = read_tile(folder)
    part = within_columns(tile, 20, 50)
    assert part.is_bad.sum() == 60 * 60
    assert not part.is_bad[:, 20:50].any()
    np.testing.assert_array_equal(part.flux, tile.flux)
    with pytest.raises(OutOfRangeError, match="columns 20 to 91"):
        within_columns(tile, 20, 91)


def test_band_is_found_by_filter_or_named_as_unknown(folder):
    tile = read_tile(folder)
    assert tile.index("r") == 1
    with pytest.raises(UnknownNameError, match="band of tile field 'z'"):
        tile.index("z")


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"GAIN": 2.5}, 2.5),
        ({"GAIN": 0.0, "EGAIN": 3.0}, 3.0),
        ({"GAIN": 2.0, "BUNIT": "ADU/s", "EXPTIME": 100.0}, 200.0),
        ({"BUNIT": "ELECTRONS/S", "EXPTIME": 500.0}, 500.0),
        ({"BUNIT": "electron", "GAIN": 2.0}, 1.0),
        ({"GAIN": 2.0, "BUNIT": "counts/s"}, np.nan),
        ({}, np.nan),
    ],
)
def test_gain_is_electrons_per_pixel_unit(cards, expected):
    header = fits.Header()
    header.update(cards)
    np.testing.assert_allclose(effective_gain(header), expected)


def test_missing_scales_are_named(tmp_path):
    image = galaxy()
    path = write(tmp_path / "t_g.fits", image, wcs_header(FILTER="g"))
    with pytest.raises(MissingDataError, match=r"zero point of g .*zero_point"):
        read_tile(path)
    assert read_tile(path, Hints(zero_point=25.0)).zero_point[0] == 25.0
    bare = write(tmp_path / "bare.fits", image, fits.Header({"MAGZERO": 25.0}))
    with pytest.raises(MissingDataError, match=r"pixel scale .*pixel_scale"):
        read_tile(bare)


def test_stack_of_objects_is_no_tile(tmp_path):
    stack = np.stack([galaxy(seed=k) for k in range(7)])
    path = write(tmp_path / "stack.fits", stack, wcs_header(MAGZERO=27.5, FILTER="g"))
    with pytest.raises(WrongShapeError, match="stack of 7 objects"):
        read_tile(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_zero_point_must_be_a_number(folder, value):
    with pytest.raises(OutOfRangeError, match="zero_point"):
        with_zero_point(read_tile(folder), value)
