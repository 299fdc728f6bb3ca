"""Colour pictures: laws of the stretch, and the set that makes them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.core.seeds import numpy_generator
from stronglens.data.colour_pictures import (
    BANDS,
    Stretch,
    colour_pictures,
    eight_bits,
    through_jpeg,
)
from stronglens.data.inputs import list_inputs
from stronglens.data.objects import read_objects
from stronglens.data.planes import Hints
from stronglens.data.resample import Target, resample
from stronglens.finders.normalise import Display, PixelImages
from stronglens.simulation.picture_set import PictureSet, draw_stretch
from stronglens.simulation.picture_settings import Pictures
from stronglens.simulation.task import Simulate

SMALL = Simulate(
    survey="cfhtls",
    bands=("cfhtls-g", "cfhtls-r", "cfhtls-i"),
    n=20,
    size=24,
    pictures=Pictures(make=True),
)


def stretch(n: int, **values: object) -> Stretch:
    usual = {
        "weight": torch.ones(n, 3),
        "level": torch.full((n,), 0.05),
        "softening": torch.full((n,), 5.0),
        "pedestal": torch.zeros(n),
        "keeps_hue": torch.ones(n, dtype=torch.bool),
        "is_joint": torch.ones(n, dtype=torch.bool),
    }
    return Stretch(**(usual | values))  # type: ignore[arg-type]


def test_faint_light_keeps_its_proportions() -> None:
    flux = torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1).expand(1, 3, 2, 3)
    shown = colour_pictures(flux, stretch(1))
    torch.testing.assert_close(shown, 0.05 * flux, rtol=1e-3, atol=0)


def test_a_joint_stretch_keeps_hue_however_bright() -> None:
    colour = torch.tensor([3.0, 2.0, 1.0]).reshape(1, 3, 1, 1)
    for brightness in (0.1, 10.0, 1e4):
        shown = colour_pictures(colour * brightness, stretch(1))
        torch.testing.assert_close(shown / shown.amax(), colour / 3.0)
        assert shown.max() <= 1.0


def test_brightness_grows_with_flux_in_each_band_alone() -> None:
    flux = torch.linspace(0, 100, 50).reshape(1, 1, 1, 50).expand(1, 3, 1, 50)
    alone = stretch(1, is_joint=torch.zeros(1, dtype=torch.bool))
    shown = colour_pictures(flux, alone)[0, 0, 0]
    assert (shown.diff() >= 0).all()
    assert shown[1] > shown[0]


def test_what_is_not_finite_is_shown_as_sky() -> None:
    flux = torch.full((1, 3, 2, 2), torch.nan)
    shown = colour_pictures(flux, stretch(1, pedestal=torch.full((1,), 0.1)))
    torch.testing.assert_close(shown, torch.full_like(shown, 0.1))


def test_two_bands_make_no_picture() -> None:
    with pytest.raises(WrongShapeError, match="three bands, not 2"):
        colour_pictures(torch.zeros(1, 2, 4, 4), stretch(1))


def test_jpeg_changes_little_and_keeps_shape() -> None:
    ramp = torch.linspace(0, 1, 32).expand(1, 3, 20, 32)
    picture = eight_bits(ramp)[0]
    after = through_jpeg(picture, 90)
    assert after.shape == picture.shape
    assert after.dtype == np.uint8
    assert 0 < np.abs(after.astype(int) - picture).mean() < 5


def test_the_mean_of_the_bands_has_the_stated_noise() -> None:
    rng = np.random.default_rng(1)
    noise = rng.uniform(0.5, 3.0, (4, 3))
    drawn = draw_stretch(Pictures(), noise, numpy_generator(3))
    sigma = (drawn.weight.numpy() * noise / 3.0) ** 2
    np.testing.assert_allclose(np.sqrt(sigma.sum(axis=1)), 1.0, rtol=1e-5)


def test_a_missing_band_does_not_darken_the_others() -> None:
    noise = np.array([[1.0, np.inf, 2.0]])
    drawn = draw_stretch(Pictures(), noise, numpy_generator(3))
    assert torch.isfinite(drawn.weight).all()
    assert (drawn.weight > 0).all()


def test_scenes_become_pictures_the_same_at_every_call() -> None:
    plan = SMALL.plan()
    assert isinstance(plan, PictureSet)
    first, again = (plan.draw(1, plan.variants)["stack"] for _ in range(2))
    np.testing.assert_array_equal(first.images.flux, again.images.flux)
    assert first.images.ivar is None
    assert first.images.flux.shape[1:] == (3, 24, 24)
    assert first.images.flux.min() >= 0
    assert first.images.flux.max() <= 255
    np.testing.assert_array_equal(first.images.flux, first.images.flux.round())
    facts = plan.facts("stack")
    assert facts.bands == BANDS
    assert facts.pixel_scale < plan.inner.facts("stack").pixel_scale


def test_pictures_of_one_band_are_refused() -> None:
    plan = replace(SMALL, bands=("cfhtls-r",)).plan()
    with pytest.raises(WrongShapeError, match="three of the survey's"):
        plan.draw(0, plan.variants)


@pytest.mark.parametrize(
    "values", [{"level_min": 0.0}, {"zoom": 0.5}, {"jpeg_share": 1.5}, {"jpeg_quality_min": 0}]
)
def test_ranges_that_are_none_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(OutOfRangeError, match=next(iter(values)).split("_")[0]):
        Pictures(**values).check()  # type: ignore[arg-type]


def test_pictures_are_scaled_by_one_number() -> None:
    picture = torch.arange(0.0, 256.0, 16.0).reshape(1, 1, 4, 4).expand(2, 3, 4, 4)
    scaled = Display()(PixelImages(picture))
    torch.testing.assert_close(scaled, picture * (4.0 / 255.0))


def test_resampled_pictures_keep_their_brightness(tmp_path) -> None:
    Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save(tmp_path / "flat.png")
    (cutout,) = read_objects(tmp_path / "flat.png", Hints(pixel_scale=0.2))
    for scale in (0.13, 0.2, 0.3):
        side = int(40 * 0.2 / scale)
        made = resample(cutout, Target(side, side, scale, 30.0))
        np.testing.assert_allclose(made.flux[:, 2:-2, 2:-2], 90.0, rtol=1e-4)
    assert list_inputs([tmp_path]) == [tmp_path / "flat.png"]
