"""Lenses of known parameters are found again; what is no lens is rejected with the reason."""

import numpy as np
import pytest
from measured_toys import TRUTH, empty_field, galaxy_alone, lens, spiral, star

from stronglens.measurement.refine import RefineOptions, refine
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
