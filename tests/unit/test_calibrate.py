"""Maps from logits to probabilities recover what they were made from, and refuse what is no map."""

import json

import numpy as np
import pytest
from scipy import special

from stronglens.core.errors import MissingDataError, OutOfRangeError, UnknownNameError
from stronglens.core.errors import WrongShapeError as WrongShape
from stronglens.evaluation.metrics import Bootstrap
from stronglens.evaluation.reliability import logit_line, reliability
from stronglens.finders.calibrate import Calibration, class_weights, fit_calibration, maps

METHODS = ("temperature", "beta", "isotonic")


def draw(n, *, seed=0, prior=0.5, gain=1.0, offset=0.0):
    """Normal classes whose true log-odds are 3 x at equal numbers; logits are gain x that."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(n) < prior).astype(int)
    log_odds = 3.0 * generator.normal(np.where(labels == 1, 1.5, -1.5))
    return gain * log_odds + offset, labels


def mean_log_loss(log_odds, labels):
    return float(np.mean(np.logaddexp(0, log_odds) - labels * log_odds))


@pytest.mark.parametrize("method", METHODS)
def test_overconfident_logits_are_mended(method):
    logits, labels = draw(20_000, gain=2.5)
    calibration = fit_calibration(logits, labels, method)
    test, truth = draw(20_000, seed=1, gain=2.5)
    best = mean_log_loss(test / 2.5, truth)
    assert mean_log_loss(calibration.log_odds(test), truth) < best + 0.003
    assert mean_log_loss(test, truth) > best + 0.03


@pytest.mark.parametrize("method", ["beta", "isotonic"])
def test_an_offset_is_mended_where_the_map_can(method):
    logits, labels = draw(20_000, offset=2.0)
    calibration = fit_calibration(logits, labels, method)
    test, truth = draw(20_000, seed=1, offset=2.0)
    assert (
        mean_log_loss(calibration.log_odds(test), truth) < mean_log_loss(test - 2.0, truth) + 0.003
    )


@pytest.mark.parametrize("method", METHODS)
def test_maps_rise_keep_gaps_and_never_end_in_certainty(method):
    calibration = fit_calibration(*draw(500), method)
    grid = np.linspace(-300, 300, 2001)
    mapped = calibration.log_odds(grid)
    assert (np.diff(mapped) >= -1e-9).all()
    assert np.isfinite(mapped).all()
    assert np.isnan(calibration.log_odds(np.array([np.nan]))).all()
    assert calibration.log_odds(np.zeros((0,))).shape == (0,)


@pytest.mark.parametrize("method", METHODS)
def test_classes_apart_give_no_certainty(method):
    calibration = fit_calibration(
        np.concatenate([np.full(30, -8.0), np.full(30, 8.0)]), np.repeat([0, 1], 30), method
    )
    p = calibration.p_lens(np.array([-8.0, 8.0]))
    assert 0 < p[0] < 0.05
    assert 0.95 < p[1] < 1


@pytest.mark.parametrize("prevalence", [1e-3, 1e-2])
@pytest.mark.parametrize("method", ["temperature", "beta", "isotonic"])
def test_probabilities_hold_at_survey_prevalence(method, prevalence):
    calibration = fit_calibration(*draw(20_000, gain=1.8), method)
    # a test set of equal numbers stands for the sky of that prevalence
    logits, labels = draw(20_000, seed=2, gain=1.8)
    found = reliability(
        calibration.log_odds(logits, prevalence), labels, prevalence=prevalence,
        bootstrap=Bootstrap(n=20),
    )  # fmt: skip
    assert 0.9 < found.slope.value < 1.1
    assert abs(found.intercept.value) < 0.2
    # and so does a sample really drawn at that prevalence
    # (isotonic maps end in level steps, which are coarse where only lenses are)
    logits, labels = draw(300_000, seed=3, prior=prevalence, gain=1.8)
    slope, _, intercept = logit_line(
        calibration.log_odds(logits, prevalence), labels, prevalence=float(labels.mean())
    )
    assert slope == pytest.approx(1, abs=0.25 if method == "isotonic" else 0.15)
    assert intercept == pytest.approx(np.log(labels.mean() / prevalence), abs=0.3)


def test_change_of_prior_is_a_shift_of_the_log_odds():
    calibration = fit_calibration(*draw(2000, prior=0.3))
    logits = np.linspace(-5, 5, 11)
    moved = calibration.log_odds(logits, 1e-4) - calibration.log_odds(logits)
    np.testing.assert_allclose(moved, special.logit(1e-4) - special.logit(calibration.prior))
    np.testing.assert_allclose(
        calibration.p_lens(logits), calibration.p_lens(logits, calibration.prior)
    )


@pytest.mark.parametrize("method", METHODS)
def test_maps_survive_json(method):
    calibration = fit_calibration(*draw(300), method, rows="half of them")
    again = Calibration.from_record(json.loads(json.dumps({**calibration.to_record(), "more": 1})))
    assert again == calibration


def test_weights_count_within_their_class():
    logits, labels = draw(20_000, seed=4)
    weights = np.where(logits > 0, 3.0, 1.0)  # a sky with more of the bright ones of each class
    keep = np.random.default_rng(0).random(len(logits)) < weights / 3
    weighted = fit_calibration(logits, labels, "isotonic", weights=weights)
    thinned = fit_calibration(logits[keep], labels[keep], "isotonic")
    grid = np.linspace(-6, 6, 25)
    # each at its own share of lenses; compare at one
    difference = weighted.log_odds(grid, 0.5) - thinned.log_odds(grid, 0.5)
    assert np.abs(difference).mean() < 0.25
    assert weighted.is_weighted


def test_unknown_weights_become_the_mean_of_their_class():
    lens = np.array([True, True, False, False])
    got = class_weights(np.array([2.0, np.nan, 1.0, 3.0]), lens)
    np.testing.assert_allclose(got, [1.0, 1.0, 0.5, 1.5])
    with pytest.raises(WrongShape, match="below 0"):
        class_weights(np.array([-1.0, 1, 1, 1]), lens)


def test_useless_input_is_refused():
    with pytest.raises(UnknownNameError, match="Did you mean 'beta'"):
        fit_calibration(*draw(20), "bet")
    with pytest.raises(MissingDataError, match="Both classes"):
        fit_calibration(np.zeros(3), np.ones(3, int))
    with pytest.raises(WrongShape, match="not finite"):
        fit_calibration(np.array([0.0, np.nan]), np.array([0, 1]))
    with pytest.raises(WrongShape, match="3 logits, 2 labels"):
        fit_calibration(np.zeros(3), np.array([0, 1]))
    with pytest.raises(OutOfRangeError, match="prevalence=0"):
        fit_calibration(*draw(50)).log_odds(np.zeros(1), 0.0)


def test_register_knows_its_maps():
    assert maps.names() == sorted(METHODS)
