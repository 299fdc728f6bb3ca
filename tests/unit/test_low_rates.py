"""Areas in log rate, lists at a prevalence and what they cost, against numbers by hand."""

import numpy as np
import pytest
from scipy import stats

from stronglens.core.errors import OutOfRangeError
from stronglens.evaluation.confusion import confusion
from stronglens.evaluation.low_rates import (
    fpr_at_recall,
    log_fpr_area,
    threshold_at_fpr,
    threshold_at_recall,
)
from stronglens.evaluation.metrics import roc_curve, tpr_at_fpr
from stronglens.evaluation.prevalence import (
    Sky,
    candidates_per_lens_at_recall,
    forecast_list,
    purity_at,
    purity_at_recall,
)

SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
LABELS = np.array([1, 1, 0, 1, 0, 1, 0, 0])
ROC = roc_curve(SCORES, LABELS)


def normal(n, seed=0, shift=2.0):
    generator = np.random.default_rng(seed)
    labels = (np.arange(n) % 2).astype(int)
    return generator.normal(size=n) + shift * labels, labels


def test_log_area_by_hand():
    # steps of the curve: 0.5 below a rate of 1/4, 0.75 below 1/2, 1 above
    got = log_fpr_area(0.125, 1.0)(ROC)
    assert got == pytest.approx((0.5 + 0.75 + 1.0) / 3)


def test_log_area_of_chance_is_that_of_the_diagonal():
    scores, labels = normal(200_000, shift=0.0)
    expected = (0.1 - 0.001) / np.log(100)
    assert log_fpr_area(0.001, 0.1)(roc_curve(scores, labels)) == pytest.approx(expected, abs=2e-3)


def test_log_area_of_normal_classes_agrees_with_theory():
    scores, labels = normal(400_000)
    rates = np.geomspace(1e-3, 1e-1, 4001)
    expected = np.mean(stats.norm.sf(stats.norm.isf(rates) - 2.0))
    assert log_fpr_area(1e-3, 1e-1)(roc_curve(scores, labels)) == pytest.approx(expected, abs=0.01)


def test_log_area_lies_between_the_rates_at_its_ends():
    roc = roc_curve(*normal(3000, seed=4))
    area = log_fpr_area(0.01, 0.1)(roc)
    assert tpr_at_fpr(0.01)(roc) <= area <= tpr_at_fpr(0.1)(roc)
    assert log_fpr_area(0.01, 0.1)(roc_curve(LABELS.astype(float), LABELS)) == 1.0


@pytest.mark.parametrize("ends", [(0.0, 0.1), (0.1, 0.1), (0.01, 1.1)])
def test_ranges_that_are_none_are_refused(ends):
    with pytest.raises(OutOfRangeError, match="bound no range"):
        log_fpr_area(*ends)


def test_rates_and_thresholds_at_a_recall_by_hand():
    assert fpr_at_recall(0.5)(ROC) == 0.0
    assert fpr_at_recall(0.51)(ROC) == 0.25
    assert fpr_at_recall(1.0)(ROC) == 0.5
    assert threshold_at_recall(ROC, 0.75) == 0.6
    assert threshold_at_fpr(ROC, 0.25) == 0.6
    with pytest.raises(OutOfRangeError, match="recall=0"):
        fpr_at_recall(0.0)


@pytest.mark.parametrize(
    ("fpr", "tpr", "purities"),
    [
        (1e-2, 0.90, (0.08, 0.009, 0.001)),
        (1e-3, 0.46, (0.32, 0.04, 0.005)),
        (1e-4, 0.75, (0.88, 0.43, 0.07)),
        (1e-5, 0.80, (0.99, 0.89, 0.44)),
    ],
)
def test_purity_of_known_operating_points(fpr, tpr, purities):
    for prevalence, expected in zip((1e-3, 1e-4, 1e-5), purities, strict=True):
        assert float(purity_at(tpr, fpr, prevalence)) == pytest.approx(expected, rel=0.11)


def test_purity_of_an_empty_list_is_no_number():
    assert np.isnan(purity_at(0.0, 0.0, 0.01))
    assert purity_at(0.5, 0.0, 0.01) == 1.0


def test_purity_at_a_recall_by_hand():
    # half of the lenses without an other; all of them with half of the others
    assert purity_at_recall(0.5, 0.1)(ROC) == 1.0
    assert purity_at_recall(1.0, 0.1)(ROC) == pytest.approx(0.1 / (0.1 + 0.9 * 0.5))
    assert candidates_per_lens_at_recall(1.0, 0.1)(ROC) == pytest.approx(5.5)


def test_forecast_adds_up():
    scores, labels = normal(4000, seed=2)
    counts = confusion(scores, labels, 2.0)
    sky = Sky(1e-3, 2_000_000, 4.0)
    got = forecast_list(counts, sky)
    assert got.n_lenses.value == pytest.approx(2000 * got.completeness.value)
    assert got.purity.value == pytest.approx(got.n_lenses.value / got.n_candidates.value)
    assert got.candidates_per_lens.value == pytest.approx(1 / got.purity.value)
    assert got.hours.value == pytest.approx(got.n_candidates.value * 4 / 3600)
    for one in (got.purity, got.n_candidates, got.hours, got.completeness):
        assert one.low < one.value < one.high


def test_no_false_positive_seen_is_not_none_on_the_sky():
    counts = confusion(np.array([3.0] * 50 + [0.0] * 1000), np.repeat([1, 0], [50, 1000]), 1.0)
    got = forecast_list(counts, Sky(1e-4))
    assert got.purity.high < 1.0
    assert got.purity.low < 0.1
    assert got.n_candidates.high > 1000


def test_forecast_of_purity_holds_as_often_as_it_says():
    # 100 tests of a known finder at a threshold of 1.5; 80 % intervals: false alarm below 1e-3
    tpr, fpr = stats.norm.sf(1.5 - 2.0), stats.norm.sf(1.5)
    truth = float(purity_at(tpr, fpr, 0.01))
    inside = 0
    for seed in range(100):
        counts = confusion(*normal(600, seed=seed), 1.5)
        got = forecast_list(counts, Sky(0.01), level=0.8).purity
        inside += got.low <= truth <= got.high
    assert 66 <= inside <= 92


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((0.0,), "prevalence=0"),
        ((0.1, 0), "n_objects=0"),
        ((0.1, 1, -1.0), "seconds_per_object=-1"),
    ],
)
def test_what_is_no_sky_is_refused(settings, message):
    with pytest.raises(OutOfRangeError, match=message):
        Sky(*settings)
