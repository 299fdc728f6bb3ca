"""Many cutouts of a tile: the right pixels, the right noise, and a status that is the truth."""

import numpy as np
import pytest

from stronglens.core.errors import OutOfRangeError
from stronglens.data.cutting import CutRules, cut_many
from stronglens.data.psf_models import gaussian_psf
from stronglens.data.survey_tile import BandImage, Flags, TileGrid

HEIGHT, WIDTH = 60, 80


def ramp(dtype=np.float32):
    """Image whose value tells row and column."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    return (1 + rows * 100 + columns).astype(dtype)


def grid(*images, zero_point=27.0):
    return TileGrid("toy", images or (BandImage("g", ramp(), 27.0),), 0.2, zero_point)


def cut(tile, x, y, size=8, rules=None):
    places = np.atleast_1d(np.float64(x)), np.atleast_1d(np.float64(y))
    return cut_many(tile, *places, size, rules or CutRules())


@pytest.mark.parametrize("size", [1, 8, 9])
@pytest.mark.parametrize(("x", "y"), [(40.0, 30.0), (40.49, 30.51), (12.5, 7.5)])
def test_middle_of_a_cutout_is_within_half_a_pixel_of_the_target(size, x, y):
    made = cut(grid(), x, y, size)
    assert abs(made.x[0]) <= 0.5 + 1e-9
    assert abs(made.y[0]) <= 0.5 + 1e-9
    first = made.flux[0, 0, 0, 0]
    row, column = divmod(first - 1, 100)
    assert column + (size - 1) / 2 + made.x[0] == pytest.approx(x)
    assert row + (size - 1) / 2 + made.y[0] == pytest.approx(y)


def test_cutouts_come_in_the_order_of_the_targets_and_hold_the_pixels_of_the_tile():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(10, 70, 50), rng.uniform(10, 50, 50)
    made = cut(grid(), x, y)
    for k in range(50):
        row, column = (int(np.floor(place - 3.5 + 0.5)) for place in (y[k], x[k]))
        expected = ramp()[row : row + 8, column : column + 8]
        np.testing.assert_array_equal(made.flux[k, 0], expected)


def test_no_target_gives_no_cutout():
    made = cut(grid(), [], [])
    assert made.flux.shape == (0, 1, 8, 8)
    assert len(made) == 0


@pytest.mark.parametrize(
    ("x", "status"),
    [(40, "ok"), (1, "edge"), (78.6, "edge"), (-20, "outside"), (1e12, "outside")],
)
def test_status_tells_where_a_target_lies(x, status):
    made = cut(grid(), x, 30)
    assert list(made.status) == [status]
    assert (made.reason[0] == "") == (status == "ok")


def test_what_is_outside_the_tile_is_zero_and_masked_and_what_is_inside_is_kept():
    made = cut(grid(), 1, 30, rules=CutRules(max_outside=0.5))
    assert list(made.status) == ["ok"]
    assert made.mask[0, 0, :, :2].all()
    assert not made.mask[0, 0, :, 2:].any()
    assert (made.flux[0, 0, :, :2] == 0).all()
    np.testing.assert_array_equal(made.flux[0, 0, :, 2:], ramp()[27:35, :6])


def test_a_masked_centre_is_masked_though_most_of_the_cutout_is_good():
    flags = np.zeros((HEIGHT, WIDTH), np.int16)
    flags[25:36, 35:46] = 2
    tile = grid(BandImage("g", ramp(), 27.0, flags=(Flags(flags, 2),)))
    made = cut(tile, [40, 20], [30, 30], 31)
    assert list(made.status) == ["masked", "ok"]
    assert "100 % of the centre" in made.reason[0]
    other_bit = grid(BandImage("g", ramp(), 27.0, flags=(Flags(flags, 4),)))
    assert list(cut(other_bit, 40, 30, 31).status) == ["ok"]


@pytest.mark.parametrize("dtype", [np.float32, ">f4", ">f8", ">i2"])
def test_any_stored_kind_of_number_gives_the_same_cutout(dtype):
    made = cut(grid(BandImage("g", ramp(dtype), 27.0)), 40, 30)
    assert made.flux.dtype == np.float32
    np.testing.assert_array_equal(made.flux[0, 0], ramp()[27:35, 37:45])


@pytest.mark.parametrize(("power", "stored"), [(1.0, 25.0), (-1.0, 0.04), (-2.0, 0.2)])
def test_every_kind_of_noise_becomes_the_same_inverse_variance(power, stored):
    noise = np.full((HEIGHT, WIDTH), stored, np.float32)
    noise[30, 40] = 0 if power > 0 else np.inf
    noise[31, 40] = np.nan
    tile = grid(BandImage("g", ramp(), 27.0, noise, power, smallest_ivar=1e-6))
    made = cut(tile, 40, 30)
    bad = made.mask[0, 0]
    assert bad.sum() == 2
    np.testing.assert_allclose(made.ivar[0, 0][~bad], 25.0, rtol=1e-6)
    assert (made.ivar[0, 0][bad] == 0).all()


def test_bands_of_different_zero_points_come_to_one_and_keep_their_signal_to_noise():
    noise = np.full((HEIGHT, WIDTH), 4.0, np.float32)
    bright = (ramp() * 10).astype(np.float32)
    images = (
        BandImage("g", ramp(), 27.0, noise),
        BandImage("r", bright, 29.5, (noise / 100).astype(np.float32)),
    )
    made = cut(grid(*images), 40, 30)
    np.testing.assert_allclose(made.flux[0, 0], made.flux[0, 1], rtol=1e-6)
    np.testing.assert_allclose(made.ivar[0, 0], made.ivar[0, 1], rtol=1e-5)


def test_faint_units_such_as_maggies_keep_their_noise():
    sigma = np.full((HEIGHT, WIDTH), 1e-12, np.float32)
    made = cut(grid(BandImage("g", ramp() * 1e-12, 0.0, sigma, -2.0), zero_point=0.0), 40, 30)
    np.testing.assert_allclose(made.ivar, 1e24, rtol=1e-5)


def test_areas_of_zeros_are_unobserved_and_single_zeros_are_sky_where_nothing_else_tells():
    flux = ramp()
    flux[30, 40] = 0
    flux[50:, :] = 0
    tile = grid(BandImage("g", flux, 27.0))
    assert not cut(tile, 40, 30).mask.any()
    assert list(cut(tile, 40, 55).status) == ["masked"]


def test_a_weight_that_is_no_inverse_variance_only_masks():
    weight = np.ones((HEIGHT, WIDTH), np.float32)
    weight[30, 40] = 0
    made = cut(grid(BandImage("g", ramp(), 27.0, weight=weight)), 40, 30)
    assert made.mask.sum() == 1
    assert not made.ivar.any()


def test_kernels_of_bands_come_on_one_size_and_are_zero_where_a_band_has_none():
    images = (
        BandImage("g", ramp(), 27.0, psf=gaussian_psf(1.2, 0.2)),
        BandImage("r", ramp(), 27.0, psf=gaussian_psf(0.6, 0.2)),
        BandImage("i", ramp(), 27.0),
    )
    made = cut(grid(*images), [40, 41], [30, 31])
    assert made.psf.shape[0] == 2
    np.testing.assert_allclose(made.psf.sum((2, 3))[0], [1, 1, 0], atol=1e-5)
    assert cut(grid(), 40, 30).psf is None


@pytest.mark.parametrize(("x", "size"), [(np.nan, 8), (40.0, 0)])
def test_a_position_that_is_no_number_or_a_size_of_zero_is_refused(x, size):
    with pytest.raises(OutOfRangeError, match="finite"):
        cut(grid(), x, 30.0, size)
