"""Galaxies of the field have types, redshifts, sizes and colours that go with their magnitude."""

import numpy as np
import pytest

from stronglens.simulation.field_galaxies import (
    EARLY,
    LATE,
    SPIRAL,
    absolute_magnitudes,
    draw_axis_ratios,
    draw_field_galaxies,
    draw_redshifts,
    draw_types,
    half_light_radii,
)
from stronglens.simulation.galaxies import Filters

N = 20_000
FILTERS = Filters(("lsst-u", "lsst-g", "lsst-r", "lsst-i"), 27.0, 0.05, 0.7)


def rng():
    return np.random.default_rng(1)


def drawn(mag, n=N):
    return draw_field_galaxies(np.full(n, mag), np.arange(n), np.zeros((n, 2)), FILTERS, rng())


@pytest.mark.parametrize(
    ("mag", "early", "spiral"), [(16.0, 0.35, 0.63), (20.0, 0.35, 0.5), (22.0, 0.142, 0.373)]
)
def test_types_come_in_the_shares_of_their_magnitude(mag, early, spiral):
    kind = draw_types(np.full(N, mag), rng())
    # five errors of 20,000 draws
    assert (kind == EARLY).mean() == pytest.approx(early, abs=0.018)
    assert (kind == SPIRAL).mean() == pytest.approx(spiral, abs=0.018)
    assert np.isin(kind, (EARLY, SPIRAL, LATE)).all()


@pytest.mark.parametrize(("kind", "expected"), [(EARLY, 0.431), (SPIRAL, 0.390), (LATE, 0.063)])
def test_redshifts_at_the_pivot_are_those_of_the_law(kind, expected):
    power = (2.46, 1.81, 0.91)[kind]
    z = draw_redshifts(np.full(N, 20.0), np.full(N, kind), rng())
    # (z / z_m)^a is gamma distributed with the mean (a + 1) / a
    scaled = (z[z > 0.02] / expected) ** power
    share = (z <= 0.02).mean()
    assert scaled.mean() * (1 - share) == pytest.approx((power + 1) / power, rel=0.03)


def test_fainter_galaxies_are_farther_at_every_magnitude():
    grid = np.arange(16.0, 25.1, 0.5)
    for kind in (EARLY, SPIRAL, LATE):
        means = [draw_redshifts(np.full(N, m), np.full(N, kind), rng()).mean() for m in grid]
        assert (np.diff(means) > 0).all()


def test_discs_lie_at_random_inclinations_and_early_types_are_rounder():
    disc = draw_axis_ratios(np.full(N, SPIRAL), rng())
    assert disc.min() >= 0.2
    assert disc.max() <= 1.0
    # cos i is even: q^2 = c^2 (1 - 0.04) + 0.04, whose mean is 0.36
    assert (disc**2).mean() == pytest.approx(0.36, abs=0.01)
    assert draw_axis_ratios(np.full(N, EARLY), rng()).mean() > disc.mean()


def test_sizes_are_those_of_the_relation_at_its_mass():
    # 5e10 suns at redshift 0
    magnitude = [4.65 - 2.5 * np.log10(5e10 / ratio) for ratio in (2.3, 1.1, 0.75)]
    size = half_light_radii(np.array(magnitude), np.zeros(3), np.array([EARLY, SPIRAL, LATE]))
    np.testing.assert_allclose(size, [5.6, 8.9, 8.9])


def test_brighter_galaxies_are_larger_and_distant_ones_smaller():
    bright = np.linspace(-16.0, -23.0, 30)
    for kind in (EARLY, SPIRAL):
        size = half_light_radii(bright, np.full(30, 0.3), np.full(30, kind))
        assert (np.diff(size) >= 0).all()
        far = half_light_radii(bright, np.full(30, 0.9), np.full(30, kind))
        assert (far < size).all()


def test_absolute_magnitude_of_an_apparent_one_falls_with_redshift():
    z = np.linspace(0.05, 1.5, 20)
    for kind in (EARLY, SPIRAL, LATE):
        absolute = absolute_magnitudes(np.full(20, 21.0), z, np.full(20, kind))
        assert (np.diff(absolute) < 0).all()


def test_colours_run_from_red_early_types_to_blue_irregulars():
    galaxies = drawn(21.0)
    colour = -2.5 * np.log10(galaxies.flux[:, 1] / galaxies.flux[:, 3])
    medians = [np.median(colour[galaxies.kind == kind]) for kind in (EARLY, SPIRAL, LATE)]
    assert medians[0] > medians[1] > medians[2]


def test_flux_in_i_is_that_of_the_magnitude_and_nothing_is_negative():
    galaxies = drawn(22.0)
    assert (galaxies.flux > 0).all()
    magnitude = 27.0 - 2.5 * np.log10(galaxies.flux[:, 3])
    assert magnitude.mean() == pytest.approx(22.0, abs=0.005)
    assert magnitude.std() == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize("n", [0, 1])
def test_no_galaxy_or_one_is_drawn(n):
    galaxies = drawn(20.5, n)
    assert len(galaxies) == n
    assert galaxies.flux.shape == (n, 4)
