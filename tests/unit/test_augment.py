"""Views of images and the labels that follow them."""

import math

import pytest
import torch

from stronglens.data.augment import (
    Views,
    apply_views,
    augment_cmu,
    augment_d4,
    augment_d4_shift,
    augment_deck,
    augment_petrillo,
    draw_views,
    view_labels,
)

PIXEL_SCALE = 0.2
SIZE = 21


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def all_views(shift_x=0, shift_y=0):
    n = 8
    return Views(
        torch.arange(n) >= 4,
        torch.arange(n) % 4,
        torch.full((n,), shift_x),
        torch.full((n,), shift_y),
    )


def blob(x_center, y_center, e1, e2, size=SIZE):
    """Elliptical Gaussian whose shape follows the conventions of labels."""
    y, x = torch.meshgrid(*(2 * [torch.arange(size) - (size - 1) / 2]), indexing="ij")
    dx = x * PIXEL_SCALE - x_center[:, None, None]
    dy = y * PIXEL_SCALE - y_center[:, None, None]
    e1, e2 = e1[:, None, None], e2[:, None, None]
    r2 = (1 - 2 * e1) * dx**2 + (1 + 2 * e1) * dy**2 - 4 * e2 * dx * dy
    return torch.exp(-r2 / 0.5)[:, None]


def test_views_are_flip_then_turn():
    image = torch.randn(1, 2, 5, 5, generator=generator())
    views = all_views()
    seen = apply_views(image.expand(8, -1, -1, -1), views)
    for i in range(8):
        flipped = image[0].flip(-1) if i >= 4 else image[0]
        assert torch.equal(seen[i], torch.rot90(flipped, i % 4, (-2, -1)))


def test_shift_moves_right_and_up_and_repeats_the_edge():
    image = torch.arange(12.0).view(1, 1, 3, 4)
    zero = torch.zeros(1, dtype=torch.int64)
    seen = apply_views(image, Views(zero == 1, zero, zero + 1, zero + 1))
    assert seen[0, 0].tolist() == [[0, 0, 1, 2], [0, 0, 1, 2], [4, 4, 5, 6]]


@pytest.mark.parametrize("shift", [(0, 0), (1, -2)])
def test_labels_follow_their_images(shift):
    labels = {
        "x_center": torch.full((8,), 0.4),
        "y_center": torch.full((8,), -0.2),
        "e1": torch.full((8,), 0.15),
        "e2": torch.full((8,), -0.1),
        "theta_e": torch.full((8,), 1.1),
    }
    views = all_views(*shift)
    seen = apply_views(blob(*(labels[k] for k in ("x_center", "y_center", "e1", "e2"))), views)
    after = view_labels(labels, views, PIXEL_SCALE)
    expected = blob(*(after[k] for k in ("x_center", "y_center", "e1", "e2")))
    inner = (slice(None), slice(None), slice(3, -3), slice(3, -3))
    torch.testing.assert_close(seen[inner], expected[inner], rtol=1e-4, atol=1e-5)
    assert torch.equal(after["theta_e"], labels["theta_e"])


@pytest.mark.parametrize(
    "augment", [augment_d4, augment_d4_shift, augment_deck, augment_cmu, augment_petrillo]
)
def test_augmentation_keeps_shape_and_depends_on_the_generator_alone(augment, shape_case):
    images = torch.nan_to_num(shape_case.images())
    one, same, other = (augment(images, generator(seed)) for seed in (1, 1, 2))
    assert one.shape == images.shape
    assert one.dtype == images.dtype
    assert torch.equal(one, same)
    assert len(images) == 0 or not torch.equal(one, other)


@pytest.mark.parametrize("augment", [augment_d4, augment_d4_shift, augment_deck])
def test_augmentation_invents_no_values(augment):
    images = torch.randn(6, 1, 15, 15, generator=generator())
    seen = augment(images, generator(3))
    for before, after in zip(images, seen, strict=True):
        assert torch.isin(after, before).all()


def test_every_view_is_drawn_about_equally():
    views = draw_views(8000, generator())
    element = views.n_quarter_turns + 4 * views.is_flipped
    counts = torch.bincount(element, minlength=8)
    # binomial with mean 1000 and deviation 30: 5 sigma
    assert ((counts - 1000).abs() < 150).all()
    assert views.shift_x.unique().tolist() == [-2, -1, 0, 1, 2]


def test_views_of_oblong_images_have_no_quarter_turn():
    assert (draw_views(200, generator(), is_square=False).n_quarter_turns % 2 == 0).all()


def test_deck_views_turn_by_any_angle_and_shift_by_a_tenth():
    size = 61
    x = torch.full((500,), 1.5)
    images = blob(x, torch.zeros(500), torch.zeros(500), torch.zeros(500), size=size)
    seen = augment_deck(images, generator(5))
    peak = seen.flatten(1).argmax(1)
    pixel_y, pixel_x = peak // size - 30.0, peak % size - 30.0
    distance = torch.hypot(pixel_x, pixel_y)
    # 7.5 pixels from the centre before, and shifts of up to 6.1 along each axis
    assert distance.max() < 7.5 + math.hypot(6.1, 6.1) + 1
    assert distance.min() >= 0
    angles = torch.atan2(pixel_y, pixel_x)
    assert torch.histc(angles, 8, -math.pi, math.pi).min() > 20


def test_cmu_views_turn_by_a_quarter_at_most_and_look_larger():
    size = 61
    x = torch.full((500,), 2.0)
    images = blob(x, torch.zeros(500), torch.zeros(500), torch.zeros(500), size=size)
    peak = augment_cmu(images, generator(5)).flatten(1).argmax(1)
    pixel_y, pixel_x = peak // size - 30.0, peak % size - 30.0
    distance = torch.hypot(pixel_x, pixel_y)
    assert distance.min() > 10 - 0.8
    assert 10.5 < distance.max() < 10 / 0.9 + 0.8
    angle = torch.atan2(pixel_y, pixel_x)
    assert torch.histc(angle, 8, -math.pi, math.pi).min() > 20


def test_cmu_views_keep_the_light_of_a_full_field():
    images = torch.ones(20, 1, 21, 21)
    assert torch.allclose(augment_cmu(images, generator(2)), images, atol=1e-6)


def test_petrillo_views_shift_by_four_pixels_at_most():
    size = 61
    zero = torch.zeros(500)
    peak = augment_petrillo(blob(zero, zero, zero, zero, size=size), generator(5))
    peak = peak.flatten(1).argmax(1)
    distance = torch.hypot(peak // size - 30.0, peak % size - 30.0)
    # four pixels along each axis of the old image, which looks up to a tenth larger
    assert 4 < distance.max() < math.hypot(4, 4) * 1.1 + 1
