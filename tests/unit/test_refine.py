"""Lenses of known parameters are found again; what is no lens is rejected with the reason."""

import numpy as np
import pytest
from measured_toys import TRUTH, empty_field, galaxy_alone, lens, spiral, star

from stronglens.measurement.mass_model import mass_prior, vector_from_values
from stronglens.measurement.optimise import descend, objective, source_window
from stronglens.measurement.refine import RefineOptions, refine, searched
from stronglens.measurement.stage import coarse_stage
from stronglens.measurement.verdict import judge

OPTIONS = RefineOptions(n_draws=48, theta_e_range=(0.5, 1.7))


@pytest.mark.slow
def test_a_lens_is_found_without_a_start():
    refined = refine(lens(), None, OPTIONS)
    theta_e = refined.draws["theta_e"]
    assert np.median(theta_e) == pytest.approx(TRUTH["theta_e"], rel=0.02)
    assert abs(np.median(theta_e) - TRUTH["theta_e"]) < 5 * np.std(theta_e)
    assert np.median(refined.draws["e1"]) == pytest.approx(TRUTH["e1"], abs=0.06)
    assert 0.8 < refined.chi2 < 1.2
    assert judge(refined).verdict in {"verified", "refined"}


@pytest.mark.slow
def test_a_ring_is_found_where_mass_does_not_follow_light():
    """A faint ring between the radii of the grid, mass twice as flat as light and turned."""
    truth = {"theta_e": 1.07, "e1": 0.1, "e2": -0.17, "gamma1": 0.02, "gamma2": -0.05}
    stage = coarse_stage(lens(sigma=0.008, beta=(0.02, 0.01), **truth), (0.4, 1.8), "sie+shear")
    _, minima = searched(stage, None)
    best = minima[0].solution.vector
    assert minima[0].theta_e == pytest.approx(1.07, rel=0.02)
    assert best[1:3] == pytest.approx([0.1, -0.17], abs=0.06)


def test_a_descent_does_not_stop_where_the_window_would_move():
    """The evidence changes by several units with the nodes alone, more than a step gains."""
    stage = coarse_stage(lens(), (0.5, 1.6), "sie+shear")
    vector = vector_from_values(TRUTH | {"theta_e": 1.04, "e1": 0.0, "gamma1": 0.0})
    window = source_window(stage.inversion, vector, stage.arcs)
    start = stage.inversion.solve_best(vector, window, 100.0)
    found = descend(stage.inversion, start, stage.prior, stage.arcs)
    true = vector_from_values(TRUTH)
    window = source_window(stage.inversion, true, stage.arcs)
    known = stage.inversion.solve_best(true, window, 100.0, 8)
    assert found.objective < objective(known, stage.prior) + 10.0
    assert found.theta_e == pytest.approx(TRUTH["theta_e"], rel=0.02)


def test_the_temperature_divides_the_deviance_and_leaves_the_prior_alone():
    prior = mass_prior((0.0, 0.0), (0.1, 0.0), (0.5, 2.0))
    vector = vector_from_values({"theta_e": 1.2, "gamma1": 0.1})
    assert prior.sharpened(2.5).penalty(vector) / 2.5 == pytest.approx(prior.penalty(vector))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (empty_field, "nothing but|no better"),
        (galaxy_alone, "nothing but"),
        (star, "point|nothing"),
    ],
)
def test_what_is_no_lens_is_rejected(make, reason):
    judgement = judge(refine(make(), None, OPTIONS))
    assert judgement.verdict == "rejected"
    assert any(any(word in text for word in reason.split("|")) for text in judgement.reasons), (
        judgement.reasons
    )


@pytest.mark.slow
def test_a_spiral_is_rejected():
    judgement = judge(refine(spiral(), None, OPTIONS))
    assert judgement.verdict == "rejected", judgement.reasons


def test_a_measurement_of_nothing_has_no_draws():
    refined = refine(galaxy_alone(), None, OPTIONS)
    assert refined.draws == {}
    assert refined.samples is None
