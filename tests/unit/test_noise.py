"""Noise: the variance that is stated, the mean that stays, the Poisson law where light is scarce.

Moments are compared at 5 standard errors of the estimate: a false alarm in about a million draws.
"""

from dataclasses import replace

import pytest
import torch

from stronglens.core.errors import OutOfRangeError
from stronglens.simulation.noise import NoiseModel, noise_variance, observe

BRIGHT = NoiseModel(
    gain=4.5, read_noise=10.0, sky_brightness=21.7, zero_point=30.0, pixel_scale=0.18
)
"""An exposure whose sky alone gives some 300 electrons in a pixel."""
DARK = replace(BRIGHT, sky_brightness=26.0, read_noise=1.0)
"""A sky of 6 electrons in a pixel: the Poisson law matters."""


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def ramp(n=64, dtype=torch.float64):
    """Images whose pixels hold from 0 to 400 pixel units."""
    return torch.linspace(0, 400, n * n, dtype=dtype).reshape(1, n, n).expand(200, n, n)


@pytest.mark.parametrize("noise_model", [BRIGHT, DARK], ids=["bright sky", "dark sky"])
@pytest.mark.parametrize("photon_noise", ["auto", "gaussian", "poisson"])
@pytest.mark.parametrize("n_exposures", [1, 9])
def test_noise_has_zero_mean_and_the_variance_stated(noise_model, photon_noise, n_exposures):
    clean = ramp(32)
    flux, ivar = observe(clean, noise_model, n_exposures, generator(), photon_noise)
    pull = (flux - clean) * ivar.sqrt()
    n = pull.numel()
    assert abs(float(pull.mean())) < 5 / n**0.5
    kurtosis = float((pull**4).mean() / (pull**2).mean() ** 2)
    assert abs(float((pull**2).mean()) - 1) < 5 * ((kurtosis - 1) / n) ** 0.5
    # pixel by pixel: the largest of a thousand variances of 200 draws
    scatter = pull.var(dim=0)
    assert float(scatter.min()) > 0.5
    assert float(scatter.max()) < 1.8


def test_the_variance_is_that_of_the_ccd_equation():
    """By hand: sky 30 - 21.7 = 8.3 mag gives 2089.3 per arcsec^2, 67.69 in a pixel of 0.18."""
    clean = torch.tensor([[[0.0, 100.0]]], dtype=torch.float64)
    sky = 10 ** (0.4 * 8.3) * 0.18**2
    expected = (
        torch.tensor([4.5 * sky + 100, 4.5 * (sky + 100) + 100], dtype=torch.float64) / 4.5**2
    )
    torch.testing.assert_close(noise_variance(clean, BRIGHT)[0, 0], expected)
    torch.testing.assert_close(noise_variance(clean, BRIGHT, 16)[0, 0], expected / 16)
    _, ivar = observe(clean, BRIGHT, 16, generator())
    torch.testing.assert_close(ivar[0, 0], 16 / expected)


def test_a_stack_keeps_the_flux_of_one_exposure_and_loses_noise():
    clean = ramp(32)
    single, _ = observe(clean, BRIGHT, 1, generator(1))
    stack, _ = observe(clean, BRIGHT, 25, generator(2))
    ratio = float((single - clean).std() / (stack - clean).std())
    assert abs(ratio / 5 - 1) < 0.02
    torch.testing.assert_close(stack.mean(), clean.mean(), rtol=1e-3, atol=0)


def test_a_stack_has_the_variance_and_the_skewness_of_a_mean_of_poisson_draws():
    """In electrons summed over the stack both cumulants of the photons are their expectation."""
    n, n_exposures = 200_000, 4
    clean = torch.full((n, 1, 1), 3.0, dtype=torch.float64)
    stack, _ = observe(clean, DARK, n_exposures, generator(3), "poisson")
    electrons = (stack - clean) * DARK.gain * n_exposures
    photons = float((clean[:1] + DARK.sky(clean)) * DARK.gain * n_exposures)
    variance = photons + n_exposures * DARK.read_noise**2
    assert abs(float(electrons.var()) / variance - 1) < 5 * (2 / n) ** 0.5
    third = float((electrons**3).mean())
    assert abs(third - photons) < 5 * (15 / n) ** 0.5 * variance**1.5


def test_scarce_light_follows_the_poisson_law_and_not_a_gaussian():
    """Without read noise a pixel holds whole electrons, none fewer than no light at all."""
    noise_model = replace(DARK, read_noise=0.0)
    clean = torch.full((5000, 1, 1), 0.5, dtype=torch.float64)
    flux, _ = observe(clean, noise_model, 1, generator())
    electrons = (flux + noise_model.sky(clean)) * noise_model.gain
    torch.testing.assert_close(electrons, electrons.round(), rtol=0, atol=1e-9)
    assert float(electrons.min()) > -1e-9
    gaussian, _ = observe(clean, noise_model, 1, generator(), "gaussian")
    electrons = (gaussian + noise_model.sky(clean)) * noise_model.gain
    assert float((electrons - electrons.round()).abs().max()) > 0.4


def test_auto_is_the_gaussian_law_where_the_sky_is_bright():
    clean = ramp(16)
    auto, _ = observe(clean, BRIGHT, 1, generator())
    gaussian, _ = observe(clean, BRIGHT, 1, generator(), "gaussian")
    assert torch.equal(auto, gaussian)


def test_the_same_seed_gives_the_same_noise_and_another_does_not():
    clean = ramp(16)
    for noise_model in (BRIGHT, DARK):
        one, other, third = (
            observe(clean, noise_model, 2, generator(seed))[0] for seed in (5, 5, 6)
        )
        assert torch.equal(one, other)
        assert not torch.equal(one, third)


def test_noise_does_not_touch_the_noiseless_image():
    clean = torch.full((2, 3, 4), 7.0)
    observe(clean, BRIGHT, 1, generator())
    assert torch.equal(clean, torch.full((2, 3, 4), 7.0))


def test_each_image_may_have_its_own_sky():
    clean = torch.zeros(3, 4, 5)
    sky = torch.tensor([20.0, 21.0, 22.0])
    together = noise_variance(clean, replace(BRIGHT, sky_brightness=sky))
    for k in range(3):
        alone = noise_variance(clean[k : k + 1], replace(BRIGHT, sky_brightness=float(sky[k])))
        torch.testing.assert_close(together[k : k + 1], alone)


def test_negative_ripples_of_a_convolution_add_no_negative_variance():
    clean = torch.full((1, 2, 2), -1e3)
    torch.testing.assert_close(noise_variance(clean, DARK), noise_variance(clean * 0, DARK))


def test_every_shape_and_precision_is_kept(shape_case):
    clean = shape_case.images().abs() * 100
    rng = torch.Generator(device=shape_case.device).manual_seed(1)
    flux, ivar = observe(clean, BRIGHT, 3, rng)
    assert flux.shape == ivar.shape == clean.shape
    assert flux.dtype == ivar.dtype == clean.dtype
    assert flux.device.type == shape_case.device
    assert torch.equal(flux.isnan(), clean.isnan())


@pytest.mark.parametrize("n_exposures", [0, -2])
def test_a_stack_of_nothing_is_refused(n_exposures):
    with pytest.raises(OutOfRangeError, match=f"n_exposures={n_exposures} is below 1"):
        observe(ramp(4), BRIGHT, n_exposures, generator())


@pytest.mark.parametrize(
    "fault", [{"gain": 0.0}, {"gain": float("nan")}, {"read_noise": -1.0}], ids=str
)
def test_an_impossible_noise_model_is_refused(fault):
    with pytest.raises(OutOfRangeError, match="gain"):
        observe(ramp(4), replace(BRIGHT, **fault), 1, generator())
