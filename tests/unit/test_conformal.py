"""A promised list holds what it promises, on average and over calibrations."""

import numpy as np
import pytest
from scipy import stats

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.evaluation.conformal import conformal_list
from stronglens.evaluation.prevalence import Sky

NONE = np.zeros(0)


def test_threshold_by_hand():
    # 19 lenses: the smallest is the promise of 95 %
    logits = np.arange(19.0, 0.0, -1.0)
    assert conformal_list(logits, NONE, 0.95).threshold == 1.0
    assert conformal_list(logits, NONE, 0.90).threshold == 2.0
    assert conformal_list(np.arange(39.0), NONE, 0.95).threshold == 1.0


@pytest.mark.parametrize("promise", [0.8, 0.95])
def test_coverage_is_as_promised_on_exchangeable_scores(promise):
    generator = np.random.default_rng(1)
    # 2,000 calibrations on 399 lenses each: the mean coverage is known to 0.03 %
    coverage = []
    for _ in range(2000):
        found = conformal_list(generator.normal(size=399), NONE, promise)
        coverage.append(stats.norm.sf(found.threshold))
    assert np.mean(coverage) == pytest.approx(promise, abs=0.002)


def test_coverage_scatters_over_calibrations_as_stated():
    generator = np.random.default_rng(2)
    found = [conformal_list(generator.normal(size=199), NONE, 0.95) for _ in range(2000)]
    interval = found[0].coverage(0.9)
    inside = [interval.low <= stats.norm.sf(f.threshold) <= interval.high for f in found]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.025)
    assert interval.value == pytest.approx(0.95, abs=1e-9)


def test_ties_only_lengthen_the_list():
    logits = np.repeat([0.0, 1.0], [5, 95])
    found = conformal_list(logits, NONE, 0.97)
    assert found.threshold == 0.0
    assert np.mean(logits >= found.threshold) >= 0.97


def test_weights_promise_for_another_population():
    # calibration lenses are bright; those meant are fainter by one: weight exp(-x + 1/2)
    generator = np.random.default_rng(3)
    plain, weighted = [], []
    for _ in range(300):
        x = generator.normal(size=1000)
        weights = np.exp(-x - 0.5)
        plain.append(stats.norm.sf(conformal_list(x, NONE, 0.9).threshold + 1))
        found = conformal_list(x, NONE, 0.9, weights=weights)
        weighted.append(stats.norm.sf(found.threshold + 1))
    assert np.mean(plain) < 0.65
    assert 0.90 <= np.mean(weighted) < 0.95


def test_even_weights_are_no_weights():
    logits = np.random.default_rng(0).normal(size=123)
    one = conformal_list(logits, NONE, 0.9)
    assert conformal_list(logits, NONE, 0.9, weights=np.full(123, 0.3)) == one


def test_length_of_the_list_on_the_sky():
    generator = np.random.default_rng(4)
    found = conformal_list(generator.normal(2.0, size=999), generator.normal(size=100_000), 0.95)
    got = found.length(Sky(1e-3, 1_000_000))
    threshold = 2.0 - stats.norm.isf(0.05)
    expected = 1e6 * (1e-3 * 0.95 + (1 - 1e-3) * stats.norm.sf(threshold))
    assert got.n_candidates.value == pytest.approx(expected, rel=0.15)
    assert got.completeness.value == pytest.approx(0.95, abs=0.003)


@pytest.mark.parametrize("n", [0, 18])
def test_too_few_lenses_for_a_promise_are_refused(n):
    with pytest.raises(OutOfRangeError, match="at least 19 lenses"):
        conformal_list(np.arange(float(n)), NONE, 0.95)


def test_useless_input_is_refused():
    with pytest.raises(OutOfRangeError, match="promise=1"):
        conformal_list(np.zeros(50), NONE, 1.0)
    with pytest.raises(WrongShapeError, match="not numbers"):
        conformal_list(np.full(50, np.nan), NONE)
    with pytest.raises(WrongShapeError, match="not above 0"):
        conformal_list(np.zeros(50), NONE, weights=np.zeros(50))
