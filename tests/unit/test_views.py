"""Views over which a finder averages its logits."""

import numpy as np
import pytest
import torch
from lens_toys import toy_images

from stronglens.core.errors import UnknownNameError
from stronglens.finders import (
    Finder,
    FinderFacts,
    architecture_of,
    build_network,
    load_finder,
)
from stronglens.finders.normalise import SkyAsinh
from stronglens.finders.views import VIEWS, views_of


def make_finder(views="none"):
    architecture = architecture_of("resnet-small-flat", width=8)
    facts = FinderFacts(
        "resnet-small-flat", architecture, ("lsst-g",), 45, 45, 0.18, 30.0, views=views
    )
    network = build_network(facts.network, facts.input_shape, architecture)
    return Finder(network, SkyAsinh(), facts=facts)


@pytest.mark.parametrize(("name", "n"), [("none", 1), ("flips", 4), ("turns", 4), ("d4", 8)])
def test_views_are_different_and_start_with_the_image(name, n):
    image = torch.randn(1, 2, 5, 5, generator=torch.Generator().manual_seed(1))
    views = list(views_of(image, name))
    assert len(views) == n
    assert torch.equal(views[0], image)
    assert len({tuple(view.flatten().tolist()) for view in views}) == n


def test_flips_are_those_along_both_axes_and_half_a_turn():
    image = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    expected = [image, image.flip(-1), image.flip(-1).flip(-2), image.flip(-2)]
    seen = {tuple(view.flatten().tolist()) for view in views_of(image, "flips")}
    assert seen == {tuple(view.flatten().tolist()) for view in expected}


def test_images_that_are_not_square_are_never_turned_on_their_side(shape_case):
    images = shape_case.images()
    for name in VIEWS:
        assert all(view.shape == images.shape for view in views_of(images, name))
    if shape_case.height != shape_case.width:
        assert len(list(views_of(images, "turns"))) == 2
        assert len(list(views_of(images, "d4"))) == 4


@pytest.mark.parametrize("views", ["flips", "turns", "d4"])
def test_logits_are_the_mean_over_the_views(views):
    finder = make_finder()
    flux, ivar, *_ = toy_images(4)
    expected = np.mean(
        [
            finder.logits(f.numpy(), i.numpy())
            for f, i in zip(
                views_of(torch.from_numpy(flux), views),
                views_of(torch.from_numpy(ivar), views),
                strict=True,
            )
        ],
        axis=0,
    )
    seen = finder.with_views(views).logits(flux, ivar)
    np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(seen, finder.logits(flux, ivar), atol=1e-6)


def test_logits_over_all_views_do_not_change_when_the_image_is_turned():
    finder = make_finder("d4")
    flux, ivar, *_ = toy_images(3)
    turned = [np.rot90(plane, axes=(-2, -1)).copy() for plane in (flux, ivar)]
    np.testing.assert_allclose(finder.logits(*turned), finder.logits(flux, ivar), atol=1e-5)


def test_views_are_stored_and_can_be_changed_when_loading(tmp_path):
    make_finder("flips").save(tmp_path / "weights.safetensors")
    assert load_finder(tmp_path).facts.views == "flips"
    assert load_finder(tmp_path, views="d4").facts.views == "d4"
    with pytest.raises(UnknownNameError, match=r"unknown views 'd8'\. Known: d4, flips"):
        load_finder(tmp_path, views="d8")


def test_no_images_have_no_logits():
    assert make_finder("d4").logits(np.zeros((0, 1, 45, 45), np.float32)).shape == (0,)
