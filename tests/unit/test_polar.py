"""Polar pictures: what they show of rings, ellipses and turned images."""

import pytest
import torch

from stronglens.finders.polar import N_ANGLES, N_REPEATED, PolarViews, _asinh


def frame(height=45, width=45):
    y = torch.arange(height) - (height - 1) / 2
    x = torch.arange(width) - (width - 1) / 2
    return torch.meshgrid(y, x, indexing="ij")


def views(images):
    polar = PolarViews().eval()(images)
    return polar[..., N_REPEATED:-N_REPEATED]


def test_every_band_has_three_pictures_of_all_angles():
    polar = PolarViews().eval()(torch.zeros(2, 3, 41, 60))
    assert polar.shape == (2, 9, 20, N_ANGLES + 2 * N_REPEATED)
    assert torch.equal(polar[..., :N_REPEATED], polar[..., N_ANGLES : N_ANGLES + N_REPEATED])


def test_quarter_turn_moves_the_angle_by_a_quarter():
    images = torch.randn(2, 1, 45, 45, generator=torch.Generator().manual_seed(0))
    turned = views(torch.rot90(images, 1, (-2, -1)))
    # rot90 turns (x, y) to (y, -x), that is to smaller angles
    torch.testing.assert_close(turned, views(images).roll(-N_ANGLES // 4, -1), rtol=0, atol=1e-4)


def test_ring_is_a_bar_and_loses_its_profile():
    y, x = frame()
    ring = torch.exp(-((torch.hypot(x, y) - 10.0) ** 2) / 8)[None, None]
    plain, without_profile, without_opposite = views(ring)[0]
    assert plain.std(dim=1).max() < 0.02
    assert plain.mean(dim=1).argmax() in (9, 10)
    assert without_profile.abs().max() < 0.05
    assert without_opposite.abs().max() < 0.01


def test_ellipse_loses_its_opposite_and_an_arc_does_not():
    y, x = frame()
    ellipse = 3 * torch.exp(-((x / 4) ** 2) - (y / 7) ** 2 + x * y / 40)
    arc = torch.exp(-((x - 9) ** 2) - (y / 3) ** 2)
    assert views(torch.asinh(ellipse)[None, None])[0, 2].abs().max() < 1e-3
    with_arc = views(torch.asinh(ellipse + arc)[None, None])[0, 2]
    assert with_arc.max() > 0.5
    assert with_arc.min() < -0.5


def test_images_are_turned_at_random_in_training_only():
    images = torch.randn(3, 1, 21, 21)
    layer = PolarViews()
    torch.manual_seed(1)
    one, other = layer(images), layer(images)
    torch.manual_seed(1)
    assert torch.equal(layer(images), one)
    assert not torch.equal(one, other)
    assert torch.equal(layer.eval()(images), layer(images))


@pytest.mark.parametrize("value", [-1e6, 1e6])
def test_extreme_values_stay_finite(value):
    images = torch.full((1, 1, 21, 21), value)
    images[..., 3, 4] = -value
    assert torch.isfinite(PolarViews()(images)).all()


def test_pictures_have_full_precision_under_autocast():
    images = torch.randn(2, 1, 21, 21)
    expected = PolarViews().eval()(images)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(PolarViews().eval()(images), expected)


def test_differences_are_compressed_by_the_inverse_hyperbolic_sine():
    values = torch.cat(
        [-torch.logspace(-20, 17, 500), torch.zeros(1), torch.logspace(-20, 17, 500)]
    )
    values = torch.cat([values, torch.tensor([torch.nan])])
    torch.testing.assert_close(
        _asinh(values), torch.asinh(values), rtol=3e-7, atol=0, equal_nan=True
    )
    free = torch.zeros(1, requires_grad=True)
    _asinh(free).backward()
    assert float(free.grad) == 1.0
