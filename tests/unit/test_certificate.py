"""Tests of posteriors must pass right ones and catch wrong ones, by known amounts."""

import math

import numpy as np
import pytest

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.measurement.certificate import (
    LEVELS,
    accuracy,
    coverage,
    fitted_temperature,
    ranks,
    sbc_p_values,
    tarp_coverage,
)

N_LENSES, N_DRAWS, N_PARAMETERS = 2000, 200, 3


def _posteriors(width=1.0, shift=0.0, seed=1):
    """Gaussian posteriors; at width 1 and shift 0 they are exact."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(N_LENSES, N_PARAMETERS))
    observed = truth + rng.normal(size=truth.shape)
    middle = 0.5 * observed
    noise = rng.normal(size=(N_DRAWS, *truth.shape)) * math.sqrt(0.5)
    return middle + shift + width * noise, truth


def test_exact_posteriors_pass_every_test():
    draws, truth = _posteriors()
    places = ranks(draws, truth)
    # Kolmogorov: 99.9 % of the largest deviations stay below this, for each of three parameters
    noise = 1.95 / math.sqrt(N_LENSES)
    assert np.abs(coverage(places) - LEVELS[:, None]).max() < noise
    assert sbc_p_values(places).min() > 0.01 / 3
    assert np.abs(tarp_coverage(draws, truth) - LEVELS).max() < noise
    assert fitted_temperature(draws, truth) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize("width", [0.6, 1.6])
def test_posteriors_of_the_wrong_width_are_caught(width):
    draws, truth = _posteriors(width)
    places = ranks(draws, truth)
    deviation = coverage(places) - LEVELS[:, None]
    assert np.sign(deviation[9]) == pytest.approx(np.sign(width - 1.0))
    assert np.abs(deviation).max() > 0.1
    assert sbc_p_values(places).max() < 1e-6
    assert np.abs(tarp_coverage(draws, truth) - LEVELS).max() > 0.05
    assert fitted_temperature(draws, truth) == pytest.approx(1.0 / width, rel=0.06)


def test_a_shift_is_caught_by_ranks():
    draws, truth = _posteriors(shift=0.3)
    assert sbc_p_values(ranks(draws, truth)).max() < 1e-6


def test_a_wrong_correlation_is_caught_by_the_joint_test_alone():
    rng = np.random.default_rng(2)
    common = rng.normal(size=(N_LENSES, 1))
    truth = np.repeat(common, 2, axis=1) + 0.1 * rng.normal(size=(N_LENSES, 2))
    # each parameter by itself is right: the prior
    draws = rng.normal(size=(N_DRAWS, N_LENSES, 2)) * math.sqrt(1.01)
    places = ranks(draws, truth)
    assert sbc_p_values(places).min() > 1e-3
    assert np.abs(tarp_coverage(draws, truth) - LEVELS).max() > 0.05


def test_coverage_of_known_ranks():
    places = np.array([[0.5], [0.05], [0.95], [0.3]])
    found = coverage(places, np.array([0.2, 0.5, 0.95]))
    assert found[:, 0].tolist() == [0.25, 0.5, 1.0]


def test_accuracy_of_known_errors():
    truth = np.zeros(5)
    middle = np.array([-1.0, 0.0, 0.0, 1.0, 10.0])
    draws = middle + np.linspace(-1.0, 1.0, 101)[:, None]
    found = accuracy(draws, truth)
    assert found.bias == pytest.approx(0.0)
    assert found.nmad == pytest.approx(1.4826)
    assert found.rms == pytest.approx(math.sqrt(102 / 5))
    assert found.sigma == pytest.approx(0.68)
    assert found.n == 5


def test_draws_that_do_not_fit_the_truth_are_refused():
    draws, truth = _posteriors()
    for function in (ranks, tarp_coverage):
        with pytest.raises(WrongShapeError, match="do not fit truth of shape"):
            function(draws[:0], truth)
    with pytest.raises(OutOfRangeError, match="at least one lens"):
        accuracy(np.zeros((3, 0)), np.zeros(0))


def test_coverage_agrees_with_tarp_package():
    tarp = pytest.importorskip("tarp", reason="tarp is not installed")
    draws, truth = _posteriors(0.7)
    found, levels = tarp.get_tarp_coverage(draws, truth, references="random", seed=1)
    ours = tarp_coverage(draws, truth, levels=np.asarray(levels, dtype=float))
    # both draw points at random: agreement within the scatter that they cause
    assert np.abs(ours - found).max() < 0.05


def test_ranks_agree_with_sbi_package():
    pytest.importorskip("sbi", reason="sbi is not installed")
    import torch
    from sbi.diagnostics.sbc import check_uniformity_frequentist

    draws, truth = _posteriors(0.7)
    below = torch.from_numpy((draws < truth).sum(axis=0))
    theirs = check_uniformity_frequentist(below.float(), N_DRAWS)
    assert (np.asarray(theirs) < 1e-6).all()
    assert sbc_p_values(ranks(draws, truth)).max() < 1e-6
