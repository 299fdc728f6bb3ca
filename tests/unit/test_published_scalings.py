"""Scalings of published systems against their own arithmetic, written out in numpy."""

import typing

import numpy as np
import pytest
import torch
from lens_toys import toy_images

from stronglens.finders.all_scaling import AllChallenge, AllHst, filled_from_neighbours
from stronglens.finders.cmu import CmuGround, CmuPaper, CmuSpace
from stronglens.finders.normalise import (
    Flux,
    NormalisationName,
    PixelImages,
    normalisation_from_settings,
    normalisation_settings,
    normalisations,
)
from stronglens.finders.petrillo import PetrilloSqrt


def images(n=6, **options):
    flux, ivar, *_ = toy_images(n, **options)
    return PixelImages(torch.from_numpy(flux), torch.from_numpy(ivar))


def test_every_scaling_has_its_name_in_the_settings():
    from stronglens.training.task import Train

    assert sorted(typing.get_args(NormalisationName)) == normalisations.names()
    offered = typing.get_args(Train.__dataclass_fields__["normalisation"].type)
    names = [name for part in offered for name in typing.get_args(part) or ()]
    assert sorted(names or offered[:-1]) == normalisations.names()


@pytest.mark.parametrize("name", normalisations.names())
def test_scaling_keeps_the_shape_and_is_finite(name, shape_case):
    flux = shape_case.images() * 3 + 1
    part = PixelImages(flux)
    scaled = normalisations.get(name).fit([part])(part)
    assert scaled.shape == flux.shape
    assert torch.isfinite(scaled).all()


@pytest.mark.parametrize("name", normalisations.names())
def test_scaling_survives_its_settings_as_json_has_them(name):
    import json

    scaling = normalisations.get(name).fit([images(4), images(2, seed=5)])
    settings = json.loads(json.dumps(normalisation_settings(scaling)))
    assert normalisation_from_settings(settings) == scaling


def test_cmu_takes_off_the_mean_image_and_divides_by_the_noise():
    part = images(8)
    scaling = CmuPaper.fit([part.rows(0, 5), part.rows(5, 8)])
    expected = (part.flux - part.flux.mean(0)) / 1.0  # the toys have a noise of 1
    torch.testing.assert_close(scaling(part), expected, rtol=1e-4, atol=1e-4)
    assert scaling.sigma == pytest.approx((1.0,))


def test_cmu_clips_at_250_sigma_and_puts_bad_pixels_to_zero():
    part = images(4)
    scaling = CmuPaper.fit([part])
    flux, mask = part.flux.clone(), torch.zeros_like(part.flux, dtype=torch.bool)
    flux[0, 0, 3, 3], flux[1, 0, 4, 4] = 1e6, torch.nan
    mask[2, 0, 5, 5] = True
    scaled = scaling(PixelImages(flux, part.ivar, mask))
    assert scaled[0, 0, 3, 3] == 250
    assert scaled[1, 0, 4, 4] == 0
    assert scaled[2, 0, 5, 5] == 0


def test_cmu_cuts_its_mean_image_about_the_centre_for_other_sizes():
    part = images(6)
    scaling = CmuPaper.fit([part])
    inner = PixelImages(part.flux[..., 5:-5, 4:-4].contiguous())
    torch.testing.assert_close(scaling(inner), scaling(part)[..., 5:-5, 4:-4])
    outer = PixelImages(torch.zeros(1, 1, 49, 51))
    assert scaling(outer)[0, 0, 0].abs().max() == 0


def test_cmu_ground_is_that_of_the_released_code():
    flux = torch.tensor([[[[100.0, 5e-10], [-3e-9, 2e-9]]]])
    expected = torch.tensor([[[[0.0, 50.0], [-100.0, 100.0]]]])
    torch.testing.assert_close(CmuGround()(PixelImages(flux)), expected)


def test_cmu_space_has_mean_zero_and_deviation_one():
    generator = torch.Generator().manual_seed(1)
    flux = 5e-10 * torch.rand(20, 1, 9, 9, generator=generator)
    part = PixelImages(flux)
    scaled = CmuSpace.fit([part.rows(0, 12), part.rows(12, 20)])(part)
    assert scaled.mean().item() == pytest.approx(0, abs=1e-4)
    assert scaled.std().item() == pytest.approx(1, rel=1e-2)


def test_petrillo_is_the_root_over_its_peak_with_the_bands_together():
    flux = torch.tensor([[[[-4.0, 4.0]], [[9.0, 36.0]]]])
    expected = torch.tensor([[[[0.0, 2 / 6]], [[3 / 6, 1.0]]]])
    torch.testing.assert_close(PetrilloSqrt()(PixelImages(flux)), expected)


def test_all_hst_by_hand():
    flux = toy_images(3)[0].astype(float)
    high = np.median(flux, (2, 3)) + 13 * flux.std((2, 3))
    clipped = np.clip(np.clip(flux, 0, high[:, :, None, None]), 1e-6, None)
    log = np.log(clipped + 1)
    expected = log / np.abs(log).max((2, 3), keepdims=True)
    scaled = AllHst()(PixelImages(torch.from_numpy(flux)))
    np.testing.assert_allclose(scaled.numpy(), expected, atol=1e-6)


def test_all_challenge_by_hand():
    flux = toy_images(2)[0].astype(float)
    expected = []
    for image in flux[:, 0]:
        rows = image / np.linalg.norm(image, axis=1, keepdims=True)
        clipped = np.clip(rows, rows.mean() - rows.std(), None)
        log = np.log(clipped / np.linalg.norm(clipped) + 1)
        expected.append(log / np.abs(log).max())
    scaled = AllChallenge()(PixelImages(torch.from_numpy(flux)))[:, 0]
    np.testing.assert_allclose(scaled.numpy(), expected, atol=1e-6)


def test_masked_pixels_take_the_mean_of_their_neighbours_from_the_rim_inwards():
    flux = torch.arange(35.0).view(1, 1, 5, 7)
    bad = torch.zeros_like(flux, dtype=torch.bool)
    bad[0, 0, 2, 2:5] = True
    filled = filled_from_neighbours(torch.where(bad, -99.0, flux), bad)
    torch.testing.assert_close(filled, flux)  # a plane is its own mean
    everything = torch.ones_like(bad)
    assert torch.equal(filled_from_neighbours(flux, everything), flux)


def test_flux_is_left_alone_and_says_so():
    part = images(2)
    assert torch.equal(Flux()(part), part.flux)
    assert [n for n in normalisations.names() if normalisations.get(n).keeps_flux] == ["flux"]
