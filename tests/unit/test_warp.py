"""Warps of whole batches: turns, zooms, shifts, and what stands outside an image."""

import math

import pytest
import torch

from stronglens.data.warp import Warp, random_signs, uniform, warped

IMAGE = torch.arange(20.0).view(1, 1, 4, 5)


def warp(angle=0.0, zoom=1.0, flip_x=1.0, flip_y=1.0, shift_x=0.0, shift_y=0.0):
    return Warp(*(torch.tensor([v]) for v in (angle, zoom, flip_x, flip_y, shift_x, shift_y)))


def test_no_warp_changes_nothing(shape_case):
    images = torch.nan_to_num(shape_case.images())
    n = len(images)
    still = Warp(*(torch.full((n,), v) for v in (0.0, 1.0, 1.0, 1.0, 0.0, 0.0)))
    for fill in ("edge", "reflect", "wrap"):
        seen = warped(images, still, fill=fill)
        assert seen.dtype == images.dtype
        torch.testing.assert_close(seen, images, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("fill", "first"), [("edge", 4.0), ("reflect", 4.0), ("wrap", 0.0)])
def test_a_shift_by_a_pixel_brings_in_what_the_fill_says(fill, first):
    seen = warped(IMAGE, warp(shift_x=2 / 5), fill=fill)
    torch.testing.assert_close(seen[..., :-1], IMAGE[..., 1:])
    assert seen[0, 0, 0, -1].item() == pytest.approx(first, abs=1e-5)


@pytest.mark.parametrize("shift", [0.7, -1.4, 5.0])
def test_wrapping_keeps_the_mean_of_any_shift(shift):
    seen = warped(IMAGE, warp(shift_x=shift, shift_y=-shift), fill="wrap")
    assert seen.mean().item() == pytest.approx(IMAGE.mean().item(), abs=1e-4)


def test_a_quarter_turn_is_that_of_torch():
    image = torch.randn(1, 2, 7, 7, generator=torch.Generator().manual_seed(1))
    seen = warped(image, warp(angle=math.pi / 2))
    turns = [torch.rot90(image, k, (-2, -1)) for k in (1, -1)]
    assert any(torch.allclose(seen, turn, atol=1e-5) for turn in turns)


def test_flips_reverse_an_axis():
    torch.testing.assert_close(warped(IMAGE, warp(flip_x=-1.0)), IMAGE.flip(-1))
    torch.testing.assert_close(warped(IMAGE, warp(flip_y=-1.0)), IMAGE.flip(-2))


def test_a_zoom_below_one_makes_a_disc_larger():
    y, x = torch.meshgrid(*(2 * [torch.arange(41.0) - 20]), indexing="ij")
    disc = (torch.hypot(x, y) < 10).float()[None, None]
    larger = warped(disc, warp(zoom=0.8))
    assert larger.sum().item() == pytest.approx(disc.sum().item() / 0.8**2, rel=0.05)


def test_draws_stay_in_their_range():
    generator = torch.Generator().manual_seed(1)
    drawn = uniform(1000, -2.0, 3.0, generator)
    assert drawn.min() >= -2
    assert drawn.max() < 3
    assert set(random_signs(100, generator).tolist()) == {-1.0, 1.0}
