"""Oriented gradients against scikit-image, and the finder that fits itself to them."""

import numpy as np
import pytest
import torch
from lens_toys import toy_images
from skimage.feature import hog

from stronglens.core.errors import OutOfRangeError
from stronglens.finders import FitData, InputShape, build_network
from stronglens.finders.all_hog import HogFinder, fit_all_hog, grid
from stronglens.finders.all_scaling import AllHst
from stronglens.finders.hog import CellHistograms, HogSettings, block_features
from stronglens.finders.logistic import auroc, fit_logits
from stronglens.finders.normalise import PixelImages
from stronglens.finders.views import views_of

PUBLISHED = {
    HogSettings(6, 16, 1): 216,
    HogSettings(5, 16, 4): 720,
    HogSettings(6, 8, 3): 5400,
    HogSettings(6, 16, 3): 864,
    HogSettings(3, 16, 3): 432,
}


def features(images, settings):
    return block_features(CellHistograms(settings)(images), settings.block)


@pytest.mark.parametrize("settings", PUBLISHED)
def test_features_have_the_published_length_and_those_of_scikit_image(settings):
    assert settings.length(101, 101) == PUBLISHED[settings]
    images = np.random.default_rng(1).normal(size=(2, 101, 101))
    sides = {"pixels_per_cell": 2 * (settings.cell,), "cells_per_block": 2 * (settings.block,)}
    expected = np.stack([hog(i, orientations=settings.orientations, **sides) for i in images])
    seen = features(torch.from_numpy(images), settings)
    assert seen.shape == (2, PUBLISHED[settings])
    # scikit-image normalises blocks in float32
    np.testing.assert_allclose(seen.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(45, 52), (45, 45), (33, 20)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_features_of_awkward_sizes_are_those_of_scikit_image(height, width, dtype):
    settings = HogSettings(9, 6, 2)
    image = torch.randn(1, height, width, dtype=dtype, generator=torch.Generator().manual_seed(2))
    expected = hog(
        image[0].double().numpy(), orientations=9, pixels_per_cell=(6, 6), cells_per_block=(2, 2)
    )
    np.testing.assert_allclose(features(image, settings)[0].numpy(), expected, atol=1e-4)
    assert settings.length(height, width) == len(expected)


def test_empty_batches_and_flat_images_have_finite_features():
    settings = HogSettings(6, 8, 2)
    assert features(torch.zeros(0, 45, 45), settings).shape == (0, settings.length(45, 45))
    assert not features(torch.ones(1, 45, 45), settings).any()


def test_bands_come_one_after_the_other():
    settings = [HogSettings(6, 16, 1), HogSettings(6, 8, 3)]
    finder = HogFinder(InputShape(2, 101, 101), settings)
    images = torch.randn(3, 2, 101, 101)
    expected = torch.cat([features(images[:, i], s) for i, s in enumerate(settings)], dim=1)
    assert torch.equal(finder.features(images), expected)
    assert finder.output.in_features == 216 + 5400


def test_saved_settings_are_taken_up_with_the_weights():
    fitted = build_network("all-hog", InputShape(1, 45, 45))
    fitted.adopt([HogSettings(9, 5, 2)])
    loaded = build_network("all-hog", InputShape(1, 45, 45))
    loaded.load_state_dict(fitted.state_dict())
    images = torch.randn(2, 1, 45, 45)
    assert torch.equal(loaded(images), fitted(images))


def test_settings_without_a_block_are_refused():
    with pytest.raises(OutOfRangeError, match="no block fits in"):
        HogFinder(InputShape(1, 45, 45), [HogSettings(6, 12, 4)])


def test_grid_at_45_pixels_has_cells_of_4_to_12_and_blocks_of_1_to_4():
    settings = grid(45, 45)
    assert {s.cell for s in settings} == {4, 6, 8, 12}
    assert {s.block for s in settings} == {1, 2, 3, 4}
    assert HogSettings(6, 12, 4) not in settings
    assert {s.cell for s in grid(101, 101)} >= {8, 16}


def test_stronger_data_give_larger_weights():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 3)).astype(np.float32)
    label = (x[:, 0] + generator.normal(size=200) > 0).astype(float)
    weak, strong = fit_logits(x, label, [0.01, 100.0])
    assert weak.has_converged
    assert np.abs(strong.weight).sum() > np.abs(weak.weight).sum()
    assert auroc(strong(x), label) > 0.7
    assert auroc(strong(x), np.ones(200)) == 0.5


def test_finder_fits_itself_and_averaging_quarter_turns_does_not_hurt():
    flux, ivar, label, _ = toy_images(240, ring=8.0)
    images = AllHst()(PixelImages(torch.from_numpy(flux), torch.from_numpy(ivar)))
    label = torch.from_numpy(label).float()
    finder = build_network("all-hog", InputShape(1, 45, 45), seed=1)
    chosen = fit_all_hog(finder, FitData(images[:160], label[:160], keeps_flux=False, seed=3))
    assert chosen["cell"][0] in {4, 6, 8, 12}
    assert chosen["block"][0] in {1, 2, 3, 4}
    assert chosen["penalty_c"] > 0
    with torch.inference_mode():
        views = torch.stack([finder(view) for view in views_of(images[160:], "turns")]).numpy()
    truth = label[160:].numpy()
    assert auroc(views.mean(0), truth) > 0.8
    assert auroc(views.mean(0), truth) >= np.mean([auroc(v, truth) for v in views]) - 0.01
    other = build_network("all-hog", InputShape(1, 45, 45), seed=2)
    assert fit_all_hog(other, FitData(images[:160], label[:160], False, 3)) == chosen
    assert torch.equal(other.output.weight, finder.output.weight)
