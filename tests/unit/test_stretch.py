"""Scaling of pixel values and the noise of the sky."""

import numpy as np
import pytest
import torch

from stronglens.data.stretch import (
    asinh_stretch,
    bad_pixels,
    display_stretch,
    fill_bad,
    minmax_stretch,
    sky_sigma,
)


def noise(n=4, sigma=0.3, size=45):
    return sigma * torch.randn(n, 2, size, size, generator=torch.Generator().manual_seed(1))


def test_sky_sigma_of_pure_noise_is_its_sigma():
    # 656 border pixels: the median absolute deviation scatters by 4.5 %, so 20 % is over 4 sigma
    torch.testing.assert_close(sky_sigma(noise()), torch.full((4, 2), 0.3), rtol=0.2, atol=0)


def test_sky_sigma_ignores_a_bright_centre():
    flux = noise()
    flux[:, :, 15:30, 15:30] += 1000
    torch.testing.assert_close(sky_sigma(flux), sky_sigma(noise()))


def test_sky_sigma_prefers_ivar():
    ivar = torch.full((4, 2, 45, 45), 25.0)
    torch.testing.assert_close(sky_sigma(noise(), ivar), torch.full((4, 2), 0.2))


def test_sky_sigma_without_good_border_uses_the_rest():
    ivar = torch.zeros(1, 1, 20, 20)
    ivar[..., 5:15, 5:15] = 4.0
    assert sky_sigma(torch.zeros(1, 1, 20, 20), ivar).item() == pytest.approx(0.5)


def test_sky_sigma_skips_masked_and_nan_pixels():
    flux = noise(1)
    mask = torch.zeros_like(flux, dtype=torch.bool)
    flux[..., :3, :], mask[..., :3, :] = 1e6, True
    flux[..., -3:, :] = torch.nan
    assert sky_sigma(flux, None, mask)[0, 0].item() == pytest.approx(0.3, rel=0.25)


def test_sky_sigma_of_nothing_is_nan_and_of_a_constant_zero():
    flux = torch.stack([torch.full((1, 9, 9), torch.nan), torch.full((1, 9, 9), 3.0)])
    sigma = sky_sigma(flux)
    assert torch.isnan(sigma[0, 0])
    assert sigma[1, 0] == 0


def test_bad_pixels_are_filled_with_the_median():
    flux = torch.tensor([[[[1.0, 2.0, 3.0], [torch.nan, torch.inf, 9.0]]]])
    mask = torch.tensor([[[[False, False, False], [False, False, True]]]])
    filled = fill_bad(flux, bad_pixels(flux, mask))
    assert filled.flatten().tolist() == [1, 2, 3, 2, 2, 2]


def test_image_without_good_pixel_becomes_zero():
    flux = torch.full((1, 1, 3, 3), torch.nan)
    assert fill_bad(flux, bad_pixels(flux)).eq(0).all()


def test_asinh_is_linear_below_and_logarithmic_above():
    flux = torch.tensor([[[[1e-3, 1e6]]]])
    small, large = asinh_stretch(flux, torch.ones(1, 1)).flatten().tolist()
    assert small == pytest.approx(1e-3, rel=1e-5)
    assert large == pytest.approx(np.log(2e6), rel=1e-5)


@pytest.mark.parametrize("scale", [0.0, torch.nan])
def test_asinh_without_scale_is_finite(scale):
    stretched = asinh_stretch(torch.ones(1, 1, 2, 2), torch.full((1, 1), scale))
    assert torch.isfinite(stretched).all()


def test_minmax_spans_zero_to_one_and_keeps_constants():
    flux = torch.stack([torch.arange(6.0).view(1, 2, 3), torch.full((1, 2, 3), 7.0)])
    scaled = minmax_stretch(flux)
    assert (scaled[0].min(), scaled[0].max()) == (0, 1)
    assert scaled[1].eq(0).all()


def test_stretches_keep_every_shape(shape_case):
    images = shape_case.images()
    for stretched in (minmax_stretch(images), asinh_stretch(images, sky_sigma(images))):
        assert stretched.shape == images.shape
        assert stretched.dtype == images.dtype
    shown = display_stretch(images)
    assert shown.shape == images.shape
    assert torch.isfinite(shown).all()
    assert ((shown >= 0) & (shown <= 1)).all()
