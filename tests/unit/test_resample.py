"""Flux, position and noise survive the way to another pixel grid."""

import dataclasses
import math

import numpy as np
import pytest
from fits_toys import cutout, galaxy
from hypothesis import given
from hypothesis import strategies as st

from stronglens.core.errors import MissingDataError, WrongShapeError
from stronglens.data.resample import Target, field_of, resample

SCALES = (0.03, 0.05, 0.1, 0.168, 0.186, 0.25, 0.3)
SIZES = ((45, 45), (44, 45), (44, 44), (51, 38))


def noiseless(height, width, pixel_scale, x=0.3, y=-0.2, fwhm=0.9):
    """Gaussian of total 1, fine pixels summed, (y, x)."""
    k = 5
    row, column = np.indices((height * k, width * k))
    row = (row - (height * k - 1) / 2) * pixel_scale / k - y
    column = (column - (width * k - 1) / 2) * pixel_scale / k - x
    sigma = fwhm / 2.3548
    fine = np.exp(-(row**2 + column**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    return fine.reshape(height, k, width, k).sum((1, 3)) * (pixel_scale / k) ** 2


def centroid(image, pixel_scale):
    row, column = np.indices(image.shape)
    y = ((row - (image.shape[0] - 1) / 2) * image).sum() / image.sum() * pixel_scale
    x = ((column - (image.shape[1] - 1) / 2) * image).sum() / image.sum() * pixel_scale
    return x, y


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("size", SIZES)
def test_magnitude_and_centroid_survive(scale, size):
    height, width = math.ceil(10 / scale), math.ceil(11 / scale) + 1
    seen = resample(
        cutout(noiseless(height, width, scale), scale, zero_point=27.0), Target(*size, 0.18, 30.0)
    )
    image = seen.flux[0].astype(np.float64)
    magnitude = 30.0 - 2.5 * math.log10(image.sum())
    assert magnitude == pytest.approx(27.0, abs=0.002)
    assert centroid(image, 0.18) == pytest.approx((0.3, -0.2), abs=0.005)
    ideal = noiseless(*size, 0.18) * 10 ** (0.4 * 3)
    # pixels of 0.3 arcsec hold a star of 0.9 arcsec just well enough
    assert np.abs(image - ideal).max() < (0.02 if scale == 0.3 else 0.005) * ideal.max()
    assert not seen.mask.any()


@given(
    scale=st.floats(0.03, 0.3),
    height=st.integers(30, 33),
    width=st.integers(30, 33),
    seed=st.integers(0, 99),
)
def test_all_flux_is_kept_whatever_the_ratio_and_parity(scale, height, width, seed):
    image = np.zeros((height, width))
    image[8:-8, 8:-8] = np.random.default_rng(seed).uniform(0, 1, (height - 16, width - 16))
    size = (math.ceil(height * scale / 0.18) - 2, math.ceil(width * scale / 0.18) - 2)
    seen = resample(cutout(image, scale), Target(*size, 0.18, 30.0))
    # what the spline rings beyond the border, eight pixels away, is below 1e-3
    assert seen.flux.sum(dtype=np.float64) == pytest.approx(image.sum(), rel=1e-3)


def test_round_trip_returns_the_image():
    image = noiseless(60, 75, 0.18)
    there = resample(cutout(image, 0.18), Target(120, 150, 0.09, 30.0))
    back = resample(cutout(there.flux[0], 0.09), Target(60, 75, 0.18, 30.0))
    np.testing.assert_allclose(back.flux[0], image, atol=1e-5 * image.max())
    odd = resample(cutout(image, 0.18), Target(81, 101, 0.1331, 30.0))
    back = resample(cutout(odd.flux[0], 0.1331), Target(50, 60, 0.18, 30.0))
    np.testing.assert_allclose(back.flux[0], noiseless(50, 60, 0.18), atol=0.01 * image.max())


def test_own_grid_is_left_as_it_is():
    image = galaxy(45, 61)
    ivar = np.random.default_rng(0).uniform(3, 5, image.shape)
    seen = resample(cutout(image, ivar=ivar), Target(45, 61, 0.18, 30.0))
    np.testing.assert_allclose(seen.flux[0], image, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(seen.ivar[0], ivar, rtol=1e-5)
    assert seen.remarks == ()


def test_crop_of_the_same_parity_is_a_plain_crop():
    image = galaxy(64, 61)
    seen = resample(cutout(image), Target(44, 45, 0.18, 30.0))
    np.testing.assert_allclose(seen.flux[0], image[10:54, 8:53], atol=1e-4)


@pytest.mark.parametrize("scale", [0.06, 0.186, 0.25])
def test_noise_is_what_the_inverse_variance_says(scale):
    rng = np.random.default_rng(3)
    n, sigma = math.ceil(9 / scale), 2.0
    target = Target(20, 21, 0.18, 31.0)
    ivar = np.full((n, n + 1), sigma**-2)
    runs = [
        resample(cutout(rng.normal(0, sigma, (n, n + 1)), scale, ivar=ivar), target)
        for _ in range(300)
    ]
    measured = np.std([run.flux[0] for run in runs], axis=0)
    expected = runs[0].ivar[0] ** -0.5
    # 300 draws: 4 % scatter per pixel, 0.2 % in the mean of 420 pixels (neighbours correlate)
    assert measured.mean() == pytest.approx(expected.mean(), rel=0.01)
    assert np.abs(measured / expected - 1).max() < 0.2


def test_noise_map_of_correlated_noise_is_scaled_to_the_scatter():
    rng = np.random.default_rng(5)
    white = rng.normal(0, 1, (120, 120))
    smooth = sum(np.roll(white, (k // 4, k % 4), (0, 1)) for k in range(16)) / 16
    image = cutout(smooth, 0.1, ivar=np.ones((120, 120)))
    seen = resample(image, Target(45, 45, 0.18, 30.0))
    assert np.median(seen.ivar) ** -0.5 == pytest.approx(seen.flux.std(), rel=0.15)
    assert "correlated noise" in seen.remarks[0]
    crowded = resample(
        cutout(10 * smooth, 0.1, ivar=np.ones((120, 120))), Target(45, 45, 0.18, 30.0)
    )
    assert crowded.remarks == ()


def test_unknown_noise_and_bad_pixels_are_carried():
    ivar = np.ones((60, 60))
    ivar[:, :20] = 0
    mask = np.zeros((60, 60), bool)
    mask[30, 30] = True
    seen = resample(
        cutout(galaxy(60, 60, 0.2), 0.2, ivar=ivar, mask=mask), Target(45, 45, 0.18, 30.0)
    )
    assert not seen.ivar[0, :, :12].any()
    assert (seen.ivar[0, :, 14:] > 0).mean() > 0.99
    assert 1 <= seen.mask.sum() <= 9
    assert seen.mask[0, 22:25, 22:25].any()
    assert not seen.ivar[seen.mask].any()


def test_pixel_that_is_no_number_is_bad_and_stays_local():
    image = galaxy(60, 60, 0.2)
    image[5, 5] = np.nan
    seen = resample(cutout(image, 0.2), Target(45, 45, 0.18, 30.0))
    assert np.isfinite(seen.flux).all()


def test_unknown_zero_point_keeps_the_flux_and_says_so():
    image = galaxy(45, 45)
    seen = resample(cutout(image, zero_point=math.nan), Target(45, 45, 0.18, 27.0))
    np.testing.assert_allclose(seen.flux[0], image, atol=1e-4)
    assert seen.remarks == ("flux scale kept: no zero point in the header for lsst-g",)
    seen = resample(cutout(image), Target(45, 45, 0.18, math.nan))
    assert seen.remarks == ("flux scale kept: the finder has no zero point",)


def test_small_field_is_refused_with_sizes_in_arcsec():
    small = cutout(galaxy(41, 41, 0.186), 0.186)
    target = Target(45, 45, 0.18, 30.0)
    with pytest.raises(WrongShapeError, match=r'field too small: 7\.6" x 7\.6".*8\.1" x 8\.1"'):
        field_of(small, target)
    assert field_of(small, target, pad=0.1).height == 41
    seen = resample(small, target)
    assert seen.mask[0, 0].all()
    assert not seen.flux[0, 0].any()
    assert "border filled with 0" in seen.remarks[0]
    with pytest.raises(WrongShapeError, match="field too small"):
        field_of(cutout(galaxy(64, 41, 0.186), 0.186), target)


def test_field_as_large_as_the_finders_is_accepted():
    target = Target(45, 45, 0.18, 30.0)
    for n, scale in ((45, 0.18), (41, 8.0 / 41), (162, 0.05)):
        assert field_of(cutout(np.ones((n, n)), scale), target).height == n


def test_field_is_the_part_that_the_finder_sees():
    field = field_of(cutout(galaxy(200, 301, 0.1), 0.1), Target(45, 45, 0.18, 30.0))
    assert (field.height, field.width) == (82, 81)


def test_unknown_pixel_scale_asks_for_the_flag():
    unknown = dataclasses.replace(cutout(galaxy(45, 45)), pixel_scale=math.nan)
    with pytest.raises(MissingDataError, match="Pass --pixel-scale"):
        field_of(unknown, Target(45, 45, 0.18, 30.0))


def test_large_image_is_remarked_upon():
    seen = resample(cutout(galaxy(300, 300, 0.3), 0.3), Target(45, 45, 0.18, 30.0))
    assert seen.remarks[0].startswith('only the central 8.1" x 8.1" (45x45 pixels) of 90.0"')
