"""Slope, intercept and predicted over true numbers, on log-odds whose truth is known."""

import numpy as np
import pytest
from scipy import special

from stronglens.core.errors import WrongShapeError
from stronglens.evaluation.metrics import Bootstrap
from stronglens.evaluation.reliability import logit_line, reliability

QUICK = Bootstrap(n=60)


def draw(n=20_000, prevalence=1e-3, seed=0):
    """Return perfect log-odds at a prevalence for a test set of equal numbers."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(n) % 2).astype(int)
    log_odds = 2.0 * generator.normal(np.where(labels == 1, 1.0, -1.0))
    return log_odds + special.logit(prevalence), labels


def test_perfect_probabilities_pass():
    log_odds, labels = draw()
    got = reliability(log_odds, labels, prevalence=1e-3, bootstrap=QUICK)
    assert got.slope.low < 1 < got.slope.high
    assert got.intercept.low < 0 < got.intercept.high
    assert got.calibration_error < 1e-3
    stated = [b.ratio for b in got.bins if b.ratio is not None]
    assert [b.ratio is None for b in got.bins] == [b.n_negative < 10 for b in got.bins]
    assert len(stated) >= 8
    assert np.median([ratio.value for ratio in stated]) == pytest.approx(1.0, abs=0.15)
    assert sum(ratio.low < 1 < ratio.high for ratio in stated) >= 6
    assert sum(b.n_positive for b in got.bins) == 10_000
    assert all(one.log_odds < other.log_odds for one, other in zip(got.bins, got.bins[1:]))  # noqa: B905


@pytest.mark.parametrize("gain", [0.5, 2.0])
@pytest.mark.parametrize("shift", [-1.0, 0.0, 1.5])
def test_wrong_log_odds_are_seen_for_what_they_are(gain, shift):
    log_odds, labels = draw()
    middle = special.logit(1e-3)
    got = logit_line(gain * (log_odds - middle) + middle + shift, labels, 1e-3)
    assert got[0] == pytest.approx(1 / gain, rel=0.06)


def test_an_offset_is_seen_with_its_sign():
    log_odds, labels = draw()
    got = reliability(log_odds + 1.5, labels, prevalence=1e-3, bootstrap=QUICK)
    assert got.intercept.value == pytest.approx(-1.5, abs=0.15)
    assert got.slope.value == pytest.approx(1.0, abs=0.06)
    ratios = [b.ratio.value for b in got.bins if b.ratio is not None]
    assert np.median(ratios) == pytest.approx(np.exp(1.5), rel=0.15)  # p is small everywhere


def test_mixture_of_the_test_set_does_not_matter():
    log_odds, labels = draw(40_000)
    keep = (labels == 0) | (np.random.default_rng(1).random(len(labels)) < 0.1)
    one, other = logit_line(log_odds, labels, 1e-3), logit_line(log_odds[keep], labels[keep], 1e-3)
    np.testing.assert_allclose(one[0], other[0], atol=0.06)
    np.testing.assert_allclose(one[2], other[2], atol=0.15)


def test_bins_with_few_lenses_state_no_ratio():
    log_odds, labels = draw(200)
    got = reliability(log_odds, labels, prevalence=0.1, bootstrap=QUICK)
    assert all(b.ratio is None for b in got.bins if b.n_positive < 30)
    assert any(b.n_positive < 30 for b in got.bins)


def test_level_log_odds_fall_into_one_bin():
    labels = np.repeat([0, 1], 40)
    got = reliability(np.zeros(80), labels, prevalence=0.5, bootstrap=QUICK)
    assert [b.n_positive + b.n_negative for b in got.bins] == [80]
    assert got.bins[0].observed.value == pytest.approx(0.5)
    assert got.calibration_error == pytest.approx(0.0)


def test_useless_input_is_refused():
    with pytest.raises(WrongShapeError, match="infinite"):
        reliability(np.array([np.inf, 0.0]), np.array([1, 0]), prevalence=0.1)
    with pytest.raises(WrongShapeError, match="Both classes"):
        reliability(np.zeros(3), np.zeros(3, int), prevalence=0.1)
