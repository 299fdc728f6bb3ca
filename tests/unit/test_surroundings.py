"""Neighbours: as many, as near and as bright as the sky has them, whatever the bands."""

import numpy as np
import pytest

from stronglens.simulation.counts import CATALOGUE
from stronglens.simulation.galaxies import Filters
from stronglens.simulation.simulated_set import BLOCK
from stronglens.simulation.sky import Sky
from stronglens.simulation.surroundings import draw_galaxies, draw_surroundings, galaxy_density

FILTERS = Filters(("kids-g", "kids-r", "kids-i"), 27.5, 0.05, 0.7)


def test_no_layer_has_two_components_in_one_image():
    layers = draw_surroundings(Sky(), FILTERS, 8.0, (1, 0))
    assert {one.component.name for one in layers} >= {"sersic", "gaussian"}
    for one in layers:
        rows = one.rows.numpy()
        assert (np.diff(rows) > 0).all()
        assert (rows >= 0).all()
        assert (rows < BLOCK).all()
        assert (one.flux >= 0).all()


def test_other_bands_leave_the_galaxies_where_they_are():
    few = draw_surroundings(Sky(), Filters(("kids-g",), 27.5, 0.05, 0.7), 8.0, (1, 0))
    many = draw_surroundings(Sky(), FILTERS, 8.0, (1, 0))
    assert len(few) == len(many)
    for one, other in zip(few, many, strict=True):
        assert one.rows.tolist() == other.rows.tolist()
        for name, values in one.component.parameters.items():
            assert values.tolist() == other.component.parameters[name].tolist()


def test_neighbours_leave_the_middle_free_but_for_what_belongs_to_them():
    layers = draw_surroundings(Sky(), FILTERS, 8.0, (1, 0))
    places = [[one.component.parameters[f"{axis}_center"] for axis in "xy"] for one in layers]
    radius = np.concatenate([np.hypot(x.numpy(), y.numpy()) for x, y in places])
    assert (radius < 1.0).mean() < 0.02


def test_satellites_stand_near_bright_galaxies_and_are_fainter():
    n, rng = 4000, np.random.default_rng(1)
    rows = np.arange(n)
    sky = Sky(neighbour_mag_faint=21.0)
    galaxies = draw_galaxies(rows, np.zeros((n, 2)), sky, FILTERS, rng)
    assert (np.diff(galaxies.rows) >= 0).all()
    # 0.3 of them each, with five errors of a Poisson number
    assert len(galaxies) - n == pytest.approx(0.3 * n, abs=5 * (0.3 * n) ** 0.5)
    is_satellite = np.hypot(*galaxies.place.T) > 0
    assert np.hypot(*galaxies.place.T).max() < 8.0
    hosts = galaxies.mag_i[~is_satellite][galaxies.rows[is_satellite]]
    assert (galaxies.mag_i[is_satellite] >= hosts).all()


def test_faint_galaxies_have_no_satellites_and_none_are_no_galaxies():
    rng = np.random.default_rng(1)
    none = draw_galaxies(np.arange(0), np.zeros((0, 2)), Sky(), FILTERS, rng)
    assert len(none) == 0
    sky = Sky(neighbour_mag_faint=25.0)
    rows = np.arange(500)
    galaxies = draw_galaxies(rows, np.zeros((500, 2)), sky, FILTERS, rng)
    hosts = galaxies.mag_i[np.hypot(*galaxies.place.T) == 0]
    has = galaxies.rows[np.hypot(*galaxies.place.T) > 0]
    assert (hosts[has] < 22.5).all()


def test_density_is_that_of_the_counts_times_the_boost():
    sky = Sky(neighbour_mag_faint=24.0, neighbour_boost=2.0)
    bright, faint = CATALOGUE.brighter(np.array([16.0, 24.0]))
    assert galaxy_density(sky) == pytest.approx(2.0 * (faint - bright))


@pytest.mark.parametrize(("mag", "per_degree"), [(17.42, 92.0), (19.45, 1000.0)])
def test_bright_galaxies_are_as_many_as_spectroscopic_surveys_count(mag, per_degree):
    assert CATALOGUE.brighter(np.array([mag]))[0] * 3600 == pytest.approx(per_degree, rel=0.01)
