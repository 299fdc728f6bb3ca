"""Figures of merit against numbers by hand and against scikit-learn."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.evaluation.confusion import confusion
from stronglens.evaluation.estimate import Estimate
from stronglens.evaluation.history import parting_epoch
from stronglens.evaluation.metrics import (
    Bootstrap,
    accuracy_at,
    auroc_of,
    best_threshold,
    binomial_estimate,
    estimate,
    over_tenths,
    paired_difference,
    refusal,
    roc_band,
    roc_curve,
    tpr0,
    tpr10,
    tpr_at,
    tpr_at_fpr,
)

SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
LABELS = np.array([1, 1, 0, 1, 0, 1, 0, 0])
QUICK = Bootstrap(seed=2, n=200, level=0.68)


def draw(n=600, shift=1.0, seed=0, digits=None):
    generator = np.random.default_rng(seed)
    labels = (np.arange(n) % 3 == 0).astype(int)
    scores = generator.normal(size=n) + shift * labels
    return (scores if digits is None else scores.round(digits)), labels


@pytest.mark.parametrize("digits", [None, 1, 0])
def test_roc_and_its_area_agree_with_scikit_learn(digits):
    scores, labels = draw(digits=digits)
    roc = roc_curve(scores, labels)
    fpr, tpr, _ = reference.roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(roc.fpr, fpr, atol=1e-12)
    np.testing.assert_allclose(roc.tpr, tpr, atol=1e-12)
    assert auroc_of(roc) == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)


@pytest.mark.parametrize("threshold", [-0.3, 0.0, 0.5, 4.0, -9.0])
def test_accuracy_agrees_with_scikit_learn(threshold):
    scores, labels = draw(digits=1)
    expected = reference.accuracy_score(labels, scores > threshold)
    assert accuracy_at(threshold)(roc_curve(scores, labels)) == pytest.approx(expected)


def test_true_positive_rates_by_hand():
    roc = roc_curve(SCORES, LABELS)
    assert tpr0(roc) == 0.5
    assert tpr_at(1)(roc) == 0.75
    assert tpr_at(2)(roc) == 1.0
    assert tpr10(roc) == 1.0
    assert tpr_at_fpr(0.25)(roc) == 0.75
    assert tpr_at_fpr(0.24)(roc) == 0.5


def test_tied_scores_enter_together():
    roc = roc_curve(np.array([0.5, 0.5, 0.1]), np.array([1, 0, 0]))
    assert tpr0(roc) == 0.0
    assert auroc_of(roc) == 0.75


def test_tpr10_counts_fewer_than_ten_false_positives():
    scores = np.concatenate([np.arange(20, 0, -1.0), [10.5]])
    labels = np.concatenate([np.zeros(20, int), [1]])
    assert tpr_at(9)(roc_curve(scores, labels)) == 0.0
    assert tpr_at(10)(roc_curve(scores, labels)) == 1.0
    assert tpr10(roc_curve(scores, labels)) == 0.0


def test_confusion_by_hand():
    outcome = confusion(SCORES, LABELS, 0.5)
    assert (outcome.true_positives, outcome.false_negatives) == (3, 1)
    assert (outcome.false_positives, outcome.true_negatives) == (1, 3)
    rates = outcome.rates(0.95)
    assert rates["accuracy"].value == 0.75
    assert rates["p_right_lens"].value + rates["p_wrong_lens"].value == 1.0
    assert rates["p_wrong_other"].value == 0.25


def test_a_score_at_the_threshold_is_no_lens():
    assert confusion(np.array([0.5, 0.6]), np.array([1, 1 - 1]), 0.5).true_positives == 0


def test_binomial_interval_by_its_definition():
    got = binomial_estimate(7, 20, 0.9)
    assert stats.binom.sf(6, 20, got.low) == pytest.approx(0.05)
    assert stats.binom.cdf(7, 20, got.high) == pytest.approx(0.05)


@pytest.mark.parametrize(("n", "ends"), [(0, (0.0, None)), (20, (None, 1.0))])
def test_binomial_interval_at_the_ends(n, ends):
    got = binomial_estimate(n, 20)
    assert ends[0] in (None, got.low)
    assert ends[1] in (None, got.high)


def test_impossible_rate_is_refused():
    with pytest.raises(OutOfRangeError, match="21 successes of 20"):
        binomial_estimate(21, 20)


def test_bootstrap_holds_the_value_and_depends_on_the_seed_alone():
    scores, labels = draw()
    one, same = (estimate(auroc_of, scores, labels, QUICK) for _ in range(2))
    assert one == same
    assert one.low < one.value < one.high


def test_bootstrap_interval_of_auroc_has_the_width_of_theory():
    # Hanley & McNeil 1982, Radiology 143, 29, for Gaussian scores; 200 draws scatter by 5 %
    scores, labels = draw(3000, seed=5)
    got = estimate(auroc_of, scores, labels, Bootstrap(n=400, level=0.6827))
    a, n_positive, n_negative = got.value, labels.sum(), (1 - labels).sum()
    q1, q2 = a / (2 - a), 2 * a**2 / (1 + a)
    variance = a * (1 - a) + (n_positive - 1) * (q1 - a**2) + (n_negative - 1) * (q2 - a**2)
    sigma = np.sqrt(variance / (n_positive * n_negative))
    assert (got.high - got.low) / 2 == pytest.approx(sigma, rel=0.2)


def test_intervals_cover_as_often_as_they_say():
    # 60 experiments at 68 %: binomial, false alarm below 1 in 10,000 outside 27 to 54
    truth = stats.norm.cdf(1 / np.sqrt(2))
    inside = 0
    for seed in range(60):
        got = estimate(auroc_of, *draw(240, seed=seed), Bootstrap(seed, 100, 0.68))
        inside += got.low <= truth <= got.high
    assert 27 <= inside <= 54


def test_paired_difference_is_tighter_than_its_parts():
    scores, labels = draw(900)
    worse = scores + np.random.default_rng(1).normal(scale=0.6, size=900)
    got = paired_difference(auroc_of, (scores, worse), labels, QUICK)
    parts = [estimate(auroc_of, s, labels, QUICK) for s in (scores, worse)]
    assert got.value == pytest.approx(parts[0].value - parts[1].value)
    assert got.high - got.low < 0.8 * (parts[0].high - parts[0].low)
    assert got.low > 0


def test_difference_of_a_finder_with_itself_is_nothing():
    scores, labels = draw(100)
    assert paired_difference(auroc_of, (scores, scores), labels, QUICK) == Estimate(0.0, 0.0, 0.0)


def test_band_of_the_roc_holds_the_curve():
    scores, labels = draw()
    grid = np.linspace(0, 1, 11)
    value, low, high = roc_band(scores, labels, grid, QUICK)
    assert value[-1] == low[-1] == high[-1] == 1.0
    assert (low <= high).all()
    assert (np.diff(value) >= 0).all()
    roc = roc_curve(scores, labels)
    assert value[3] == tpr_at_fpr(0.3)(roc)


def test_range_over_tenths_holds_the_value():
    scores, labels = draw(900)
    got = over_tenths(tpr0, scores, labels, seed=1)
    assert got.low <= got.value <= got.high
    assert got.value == tpr0(roc_curve(scores, labels))
    assert got.high > got.value


def test_rates_too_small_for_the_test_set_are_refused():
    assert refusal(1e-2, 1000) is None
    assert "at least 1000 negatives" in refusal(1e-2, 999)
    assert "at least 10000 negatives" in refusal(1e-3, 2000)


def test_best_threshold_lies_between_the_classes():
    scores = np.array([0.1, 0.2, 0.7, 0.9])
    labels = np.array([0, 0, 1, 1])
    assert best_threshold(scores, labels) == pytest.approx(0.45)
    assert confusion(scores, labels, best_threshold(scores, labels)).rates()["accuracy"].value == 1


@pytest.mark.parametrize("digits", [None, 1])
def test_best_threshold_is_best(digits):
    scores, labels = draw(200, digits=digits)
    scores = 1 / (1 + np.exp(-scores))
    threshold = best_threshold(scores, labels)
    roc = roc_curve(scores, labels)
    tried = [accuracy_at(t)(roc) for t in np.linspace(-0.01, 1.01, 2001)]
    assert accuracy_at(threshold)(roc) == max(tried)
    assert 0 <= threshold <= 1


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.zeros(3), np.array([1, 0]), "3 scores and 2 labels"),
        (np.array([np.nan, 1.0]), np.array([1, 0]), "not numbers"),
        (np.zeros(2), np.array([1, 1]), "Both classes"),
        (np.zeros(0), np.zeros(0, int), "Both classes"),
    ],
)
def test_useless_input_is_refused(scores, labels, message):
    with pytest.raises(WrongShapeError, match=message):
        estimate(auroc_of, scores, labels)


def test_estimate_reads_well():
    assert str(Estimate(0.9123, 0.9, 0.92)) == "0.912 (0.900 to 0.920)"
    assert str(Estimate(0.99876, 0.998, 0.9991)) == "0.9988 (0.9980 to 0.9991)"


def test_losses_that_part_are_seen():
    epoch = np.arange(40.0)
    val_loss = 0.5 + 0.001 * (epoch - 20) ** 2
    assert parting_epoch(0.7 * np.exp(-epoch / 20), val_loss) == pytest.approx(21, abs=1)


def test_losses_that_fall_together_do_not_part():
    loss = np.exp(-np.arange(40.0) / 20)
    assert parting_epoch(loss, loss + 0.05) is None
    assert parting_epoch(loss[:5], loss[:5]) is None
