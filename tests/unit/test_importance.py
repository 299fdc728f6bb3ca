"""Importance sampling: weights, the shape of their tail, evidence, and tempering."""

import numpy as np
import pytest

from stronglens.measurement.importance import (
    DrawPool,
    StudentMixture,
    fit_pareto,
    pareto_smoothed,
    weigh,
)
from stronglens.measurement.tempered import tempered_draws


def mixture(dim, width=1.0):
    return StudentMixture(np.zeros((1, dim)), width**2 * np.eye(dim)[None], np.ones(1))


def log_gaussian(point):
    return float(-0.5 * (point @ point))


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.9])
def test_the_shape_of_a_pareto_tail_is_found(shape):
    rng = np.random.default_rng(3)
    excess = np.sort(np.expm1(-shape * np.log(rng.random(4000))) / shape)
    found, scale = fit_pareto(excess)
    assert found == pytest.approx(shape, abs=0.08)
    assert scale == pytest.approx(1.0, abs=0.1)


def test_ratios_of_a_narrow_proposal_are_not_trusted_and_of_a_wide_one_are():
    rng = np.random.default_rng(1)
    x = rng.standard_normal(4000)
    # target wider than the proposal: ratios have infinite variance
    _, k_narrow = pareto_smoothed(-0.5 * (x / 2.5) ** 2 + 0.5 * x**2)
    _, k_wide = pareto_smoothed(-0.5 * x**2 + 0.5 * (x / 1.5) ** 2)
    assert k_narrow > 0.7
    assert k_wide < 0.5


def test_equal_ratios_are_left_alone():
    smoothed, k_hat = pareto_smoothed(np.zeros(100))
    assert k_hat == -np.inf
    assert np.all(smoothed == 0)


def test_too_few_ratios_have_no_shape():
    assert pareto_smoothed(np.array([0.0, 1.0, 2.0]))[1] == np.inf


def test_the_evidence_of_a_gaussian_is_its_integral():
    dim = 4
    pool = DrawPool(log_gaussian)
    pool.add(mixture(dim, 1.1), 4000, np.random.default_rng(2))
    draws = pool.weighed()
    truth = 0.5 * dim * np.log(2 * np.pi)
    assert draws.log_evidence == pytest.approx(truth, abs=4 * draws.log_evidence_error)
    assert draws.k_hat < 0.5
    assert draws.effective_size > 2000


def test_draws_of_a_bad_proposal_do_no_harm_beside_those_of_a_good_one():
    """Each is weighed by the sum of both densities, not by that of its own proposal."""
    pool = DrawPool(log_gaussian)
    pool.add(mixture(3, 0.1), 1000, np.random.default_rng(0))
    alone = pool.weighed()
    pool.add(mixture(3, 1.1), 1000, np.random.default_rng(1))
    both = pool.weighed()
    assert alone.effective_size < 50 or alone.k_hat > 0.7
    assert both.k_hat < 0.5
    assert both.effective_size > 600
    assert both.log_evidence == pytest.approx(1.5 * np.log(2 * np.pi), abs=0.2)
    assert both.weights @ both.points**2 == pytest.approx(np.ones(3), abs=0.2)


def test_smoothing_does_not_change_the_order_or_the_sum():
    rng = np.random.default_rng(4)
    points = rng.standard_normal((500, 2))
    draws = weigh(points, -0.5 * (points**2).sum(1), np.zeros(500))
    assert draws.weights.sum() == pytest.approx(1.0)
    assert np.all(draws.weights >= 0)


def test_the_density_of_a_mixture_is_normalised():
    two = StudentMixture(
        np.array([[0.0], [3.0]]), np.array([[[1.0]], [[0.25]]]), np.array([0.3, 0.7])
    )
    line = np.linspace(-60, 60, 40001)[:, None]
    assert np.trapezoid(np.exp(two.log_density(line)), line[:, 0]) == pytest.approx(1.0, abs=1e-5)


def test_draws_of_a_mixture_follow_its_shares():
    two = StudentMixture(np.array([[0.0], [50.0]]), np.ones((2, 1, 1)), np.array([0.25, 0.75]))
    points = two.draw(4000, np.random.default_rng(5))
    assert (points[:, 0] > 25).mean() == pytest.approx(0.75, abs=0.03)


def test_tempering_reaches_a_gaussian_that_the_proposal_misses():
    target = lambda point: float(-0.5 * ((point - 4.0) / 0.3) @ ((point - 4.0) / 0.3))  # noqa: E731
    draws = tempered_draws(target, mixture(2, 1.5), 400, np.random.default_rng(6), 6)
    assert draws.points.mean(axis=0) == pytest.approx([4.0, 4.0], abs=0.1)
    assert draws.points.std(axis=0) == pytest.approx([0.3, 0.3], rel=0.3)
    assert draws.log_evidence == pytest.approx(np.log(2 * np.pi * 0.09), abs=0.6)
