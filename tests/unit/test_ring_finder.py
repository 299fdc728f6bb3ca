"""Arcs in a colour residual: what is a feature, what passes the cuts, what the finder says."""

import numpy as np
import pytest
import torch

from stronglens.core.errors import WrongShapeError
from stronglens.finders import FitData, InputShape, build_network
from stronglens.finders.ring import ColourResidual, RingFinder, fit_ring_finder
from stronglens.finders.ring_features import SUMMARY, RingGrid, find_features, ring_summary

SCALE = 0.2
SIZE = 61
GRID = RingGrid(SCALE, zero_point=30.0)


def polar():
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    return SCALE * np.hypot(x, y), np.arctan2(y, x)


def arc(radius=1.5, middle=0.7, half_length=0.7, thickness=0.25, peak=20.0):
    """Arc around the centre: radius and thickness [arcsec], middle and half length [rad]."""
    r, angle = polar()
    off = np.angle(np.exp(1j * (angle - middle)))
    inside = np.exp(-0.5 * ((r - radius) / thickness) ** 2) * (np.abs(off) < half_length)
    return (peak * inside).astype(np.float32)


def spoke(peak=20.0):
    """A bar that points at the centre, between 0.8 and 2.4 arcsec."""
    y, x = (np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2) * SCALE
    return (peak * (np.abs(y) < 0.5) * (x > 0.6) * (x < 2.6)).astype(np.float32)


def summary(*images, grid=GRID):
    stack = np.stack(images).astype(np.float32)
    return [dict(zip(SUMMARY, row, strict=True)) for row in ring_summary(stack, stack, grid)]


def test_a_long_arc_is_a_ring_and_a_spoke_is_not():
    of_arc, of_spoke = summary(arc(), spoke())
    assert of_arc["is_ring"] == 1
    assert of_arc["n_features"] == 1
    assert of_arc["elongation"] > 0.3
    assert of_spoke["is_ring"] == 0
    assert of_spoke["n_features"] == 0
    assert of_spoke["log_significance_in_annulus"] > 0


def test_two_stubby_images_are_a_ring_and_one_is_not():
    one = arc(half_length=0.42, thickness=0.3)
    two = one + arc(middle=0.7 - np.pi, half_length=0.42, thickness=0.3)
    assert summary(one)[0]["n_features"] == 1
    assert summary(one)[0]["is_ring"] == 0
    assert summary(two)[0]["n_features"] == 2
    assert summary(two)[0]["is_ring"] == 1


@pytest.mark.parametrize(
    "image",
    [
        arc(radius=4.5, half_length=0.3),
        arc(half_length=0.06, thickness=0.08),
        arc(thickness=0.06, half_length=0.9, peak=1.0),
        arc(peak=-20.0),
    ],
    ids=["too far out", "too few pixels", "too faint", "negative"],
)
def test_features_outside_the_cuts_are_no_ring(image):
    assert summary(image)[0]["n_features"] == 0


def test_magnitude_and_surface_brightness_are_cut_only_where_they_are_known():
    image = arc(peak=20.0)
    faint = RingGrid(SCALE, zero_point=22.0)  # the same pixels, eight magnitudes brighter
    assert summary(image, grid=faint)[0]["n_features"] == 1
    too_faint = RingGrid(SCALE, zero_point=36.0)
    assert summary(image, grid=too_faint)[0]["n_features"] == 0
    assert summary(image, grid=RingGrid(SCALE, None))[0]["n_features"] == 1


def test_features_of_different_images_do_not_touch():
    significance = np.zeros((2, 5, 9), np.float32)
    significance[:, :2] = 3.0
    found = find_features(significance, significance, GRID)
    assert found.image.tolist() == [0, 1]
    assert found.significance == pytest.approx(3 * np.sqrt(18))


def test_turning_an_image_by_a_quarter_changes_nothing():
    image = arc() + arc(middle=-2.0, half_length=0.4)
    one, turned = summary(image, np.rot90(image))
    assert one == pytest.approx(turned, abs=1e-5)


def test_no_images_have_no_summary():
    empty = np.zeros((0, 9, 12), np.float32)
    assert ring_summary(empty, empty, GRID).shape == (0, len(SUMMARY))


def scenes(n, generator):
    """Red galaxies in two bands with noise; every second one has a blue arc."""
    r, _ = polar()
    galaxy = 100 * np.exp(-r / 0.6)
    noise = generator.normal(size=(n, 2, SIZE, SIZE))
    arcs = [
        arc(generator.uniform(1.2, 2.2), generator.uniform(-3, 3), peak=4.0 * (i % 2))
        for i in range(n)
    ]
    blue, red = 0.3 * galaxy + np.array(arcs), galaxy + 0.2 * np.array(arcs)
    images = np.stack([blue, red], axis=1) + noise
    return torch.from_numpy(images.astype(np.float32)), torch.arange(n) % 2.0


def shape(**facts):
    return InputShape(2, SIZE, SIZE, SCALE, 30.0, **facts)


def test_residual_takes_the_deflectors_colour_out():
    r, _ = polar()
    galaxy = torch.from_numpy(100 * np.exp(-r / 0.6)).float()
    images = torch.stack([0.3 * galaxy, galaxy])[None]
    _, residual = ColourResidual(0, 1, SCALE)(images)[0]
    assert residual.abs().max() < 1e-4


def test_residual_of_an_empty_field_has_the_significance_of_noise():
    images = torch.randn(4, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    significance = ColourResidual(0, 1, SCALE)(images)[:, 0]
    assert significance.std().item() == pytest.approx(1, abs=0.1)


def test_blue_and_red_are_g_and_i_or_the_first_and_the_last():
    for bands, expected in (
        (("kids-u", "kids-g", "kids-r", "kids-i"), (1, 3)),
        (("hsc-i", "hsc-g"), (1, 0)),
        (("des-i", "des-z"), (0, 1)),
        ((), (0, 3)),
    ):
        n_bands = len(bands) or 4
        residual = RingFinder(InputShape(n_bands, 45, 45, bands=bands)).residual
        assert (residual.blue, residual.red) == expected


def test_one_band_is_refused():
    with pytest.raises(WrongShapeError, match="at least two bands"):
        build_network("ring-finder", InputShape(1, 45, 45))


@pytest.mark.parametrize("keeps_flux", [True, False])
def test_finder_fits_itself_and_is_saved_whole(keeps_flux):
    images, label = scenes(120, np.random.default_rng(3))
    finder = build_network("ring-finder", shape())
    chosen = fit_ring_finder(finder, FitData(images[:80], label[:80], keeps_flux, seed=1))
    assert chosen["has_magnitudes"] == keeps_flux
    with torch.inference_mode():
        logits = finder(images[80:])
    assert logits[1::2].mean() > logits[::2].mean() + 1
    other = build_network("ring-finder", shape())
    other.load_state_dict(finder.state_dict())
    assert torch.equal(other(images[80:]), logits)
    assert bool(other.keeps_flux) == keeps_flux
