"""Neighbours have types and colours that go with their magnitude."""

import numpy as np
import pytest

from stronglens.simulation.surroundings import draw_types


@pytest.mark.parametrize(
    ("mag", "early", "spiral"), [(18.0, 0.35, 0.5), (20.0, 0.35, 0.5), (22.0, 0.142, 0.373)]
)
def test_types_come_in_the_shares_of_their_magnitude(mag, early, spiral):
    is_early, shares = draw_types(np.full(20_000, mag), np.random.default_rng(1))
    # five errors of 20,000 draws
    assert is_early.mean() == pytest.approx(early, abs=0.018)
    is_spiral = ~is_early & (shares[:, :2].sum(axis=1) > 0)
    assert is_spiral.mean() == pytest.approx(spiral, abs=0.018)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert ((shares[:, :2].sum(axis=1) == 0) | (shares[:, 2:].sum(axis=1) == 0)).all()


def test_no_galaxy_has_no_type():
    is_early, shares = draw_types(np.zeros(0), np.random.default_rng(1))
    assert is_early.shape == (0,)
    assert shares.shape == (0, 4)
