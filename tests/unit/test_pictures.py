"""Lenses and pictures as plain functions."""

import numpy as np
import pytest
import torch

import stronglens as sl
from stronglens.simulation.sky import Sky


@pytest.fixture(scope="module")
def lenses():
    return sl.draw_lenses(40, seed=3)


def test_lenses_are_drawn_the_same_by_the_same_seed(lenses):
    again, other = sl.draw_lenses(40, seed=3), sl.draw_lenses(40, seed=4)
    np.testing.assert_array_equal(lenses["theta_e"], again["theta_e"])
    assert (lenses["theta_e"] != other["theta_e"]).all()
    assert lenses["theta_e"].min() > 0.5
    assert sl.draw_lenses(5, sky=Sky(prior="sky", theta_e_min=1.0))["theta_e"].min() > 1.0


@pytest.mark.parametrize(
    ("name", "shape"), [("lsst-y10", (6, 50, 50)), ("euclid-vis", (1, 100, 100))]
)
def test_a_survey_pictures_them_in_all_its_bands(lenses, name, shape):
    seen = sl.render(lenses, sl.survey(name))
    assert seen.flux.shape == (40, *shape)
    assert torch.isfinite(seen.flux).all()
    pull = (seen.flux - seen.source - seen.deflector_light) * seen.ivar.sqrt()
    # 100,000 pixels and more: five standard errors
    assert abs(float(pull.mean())) < 0.016
    assert abs(float(pull.std()) - 1) < 0.012


def test_sources_are_magnified_and_keep_their_magnitudes(lenses):
    survey = sl.survey("euclid-vis")
    seen = sl.render(lenses, survey, size=140)
    arcs = seen.source.sum(dim=(1, 2, 3)).numpy()
    unlensed = 10 ** (-0.4 * (lenses["mag_i_source"] - survey.bands[0].zero_point))
    # multiply imaged sources are brighter, whatever their colour between i and VIS
    assert np.median(arcs / unlensed) > 1.8
