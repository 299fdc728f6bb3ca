"""Textures: mean, amplitude and spectrum as asked, no seam, and the flux they add or take."""

import numpy as np
import pytest
import torch

from stronglens.core.errors import OutOfRangeError
from stronglens.core.seeds import torch_generator
from stronglens.light.records import LightComponent
from stronglens.light.texture import Texture, draw_texture, textured_flux


def draw(amplitude=(0.3, 0.6, 0.9), slope=(2.0, 2.0, 3.0), height=48, width=80):
    amplitude, slope = (torch.tensor(v, dtype=torch.float64) for v in (amplitude, slope))
    return draw_texture(torch_generator(3, "texture"), amplitude, slope, height, width)


def texture(images):
    n = len(images)
    place = {"x_center": 0.4, "y_center": -0.3, "pixel_scale": 0.1}
    return Texture(images, **{k: torch.full((n,), v, dtype=images.dtype) for k, v in place.items()})


def test_mean_is_one_and_the_logarithm_has_the_amplitude():
    images = draw()
    assert images.shape == (3, 48, 80)
    assert (images > 0).all()
    torch.testing.assert_close(images.mean(dim=(1, 2)), torch.ones(3, dtype=torch.float64))
    spread = torch.log(images).std(dim=(1, 2), correction=0)
    torch.testing.assert_close(spread, torch.tensor([0.3, 0.6, 0.9], dtype=torch.float64))


@pytest.mark.parametrize("slope", [0.0, 2.0, 3.0])
def test_the_spectrum_falls_as_asked(slope):
    """Power in rings of wavenumber, of 40 textures that are not square."""
    images = draw((0.5,) * 40, (slope,) * 40)
    power = np.abs(np.fft.fft2(np.log(images.numpy()))) ** 2
    k = np.hypot(np.fft.fftfreq(48)[:, None], np.fft.fftfreq(80))
    rings = np.geomspace(0.05, 0.4, 9)
    index = np.digitize(k, rings)
    means = [power[:, index == i].mean() for i in range(1, 9)]
    middles = [np.log(k[index == i]).mean() for i in range(1, 9)]
    fitted = -np.polyfit(middles, np.log(means), 1)[0]
    # scatter over ten seeds was 0.02
    assert fitted == pytest.approx(slope, abs=0.1)


def test_an_amplitude_of_zero_changes_nothing():
    torch.testing.assert_close(draw((0.0,), (2.0,)), torch.ones(1, 48, 80, dtype=torch.float64))


def test_factor_at_pixel_centres_is_the_image_and_repeats_without_a_seam():
    images = draw()
    field = texture(images)
    x = 0.4 + 0.1 * (torch.arange(80, dtype=torch.float64) - 39.5)[None, None, :]
    y = -0.3 + 0.1 * (torch.arange(48, dtype=torch.float64) - 23.5)[None, :, None]
    torch.testing.assert_close(field.factor(x, y), images)
    torch.testing.assert_close(field.factor(x + 8.0, y - 4.8), images)
    half_way = field.factor(x[..., -1:] + 0.05, y)[..., 0]
    torch.testing.assert_close(half_way, 0.5 * (images[..., -1] + images[..., 0]))


def test_gradients_reach_positions_and_image():
    images = draw().requires_grad_()
    x = torch.tensor([[[0.33, 5.0]]], dtype=torch.float64, requires_grad=True)
    texture(images).factor(x, x).sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad.any()
    assert images.grad.sum() == pytest.approx(6.0)


def test_rows_and_precision_of_a_record():
    field = texture(draw())
    assert len(field) == 3
    assert len(field[1:2]) == 1
    assert field[1:2].to(torch.float32).image.dtype == torch.float32


def test_flux_of_textured_light_is_the_sum_of_the_product():
    field = texture(draw())
    values = {"sigma": 0.5, "q": 0.7, "phi": 0.3, "x_center": 0.5, "y_center": -0.3}
    galaxy = LightComponent(
        "gaussian", {k: torch.full((3,), v, dtype=torch.float64) for k, v in values.items()}
    )
    line = torch.linspace(-4.0, 4.0, 1001, dtype=torch.float64)
    x, y = line[None, None], line[None, :, None]
    total = (galaxy.brightness(x, y) * field.factor(x, y)).sum(dim=(1, 2)) * 0.008**2
    # 128 points per side against 1001: kinks between pixels
    found = textured_flux(galaxy, field, half_width=3.0)
    torch.testing.assert_close(found, total, rtol=0, atol=3e-3)
    assert (total - 1.0).abs().max() > 0.02


def test_the_same_seed_gives_the_same_texture():
    assert torch.equal(draw(), draw())


def test_a_negative_amplitude_is_refused():
    with pytest.raises(OutOfRangeError, match=r"amplitude=.*below 0"):
        draw((-0.1,), (2.0,))
