"""Our tests of posteriors against those of `tarp` and `sbi`, where these are installed.

Neither is a dependency: `pip install tarp sbi` in an environment of its own, then this file.
"""

import math
import warnings

import numpy as np
import pytest
import torch

from stronglens.core.seeds import numpy_generator
from stronglens.measurement.certificate import coverage, ranks, sbc_p_values, tarp_coverage

N_LENSES, N_DRAWS, N_PARAMETERS = 2000, 300, 3
CASES = {"right": (1.0, 0.0), "narrow": (0.6, 0.0), "wide": (1.6, 0.0), "shifted": (1.0, 0.25)}


def peer(name):
    """Import a peer whose own imports warn, or skip."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"{name} is not installed: pip install {name}")


def toy(width, shift, seed=3):
    """Normal posteriors of normal truths with normal noise; at width 1 and shift 0 exact."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(N_LENSES, N_PARAMETERS))
    middle = 0.5 * (truth + rng.normal(size=truth.shape))
    noise = rng.normal(size=(N_DRAWS, *truth.shape)) * math.sqrt(0.5)
    return middle + shift + width * noise, truth


@pytest.mark.parametrize("case", CASES)
def test_joint_coverage_is_that_of_tarp(case):
    draws, truth = toy(*CASES[case])
    points = numpy_generator(0, "tarp").uniform(size=truth.shape)
    settings = {"references": points, "norm": True, "num_alpha_bins": 20}
    theirs, levels = peer("tarp").get_tarp_coverage(draws, truth, **settings)
    # a share that is just on a level counts on one side or the other
    ours = tarp_coverage(draws, truth, levels=levels[1:])
    np.testing.assert_allclose(ours, theirs[1:], atol=0.01)


@pytest.mark.parametrize("case", CASES)
def test_evenness_of_ranks_is_judged_as_sbi_does(case):
    peer("sbi")
    from sbi.diagnostics.sbc import check_uniformity_frequentist

    draws, truth = toy(*CASES[case])
    counted = torch.from_numpy((draws < truth).sum(axis=0)).float()
    theirs = check_uniformity_frequentist(counted, N_DRAWS).numpy()
    ours = sbc_p_values(ranks(draws, truth))
    assert (theirs > 1e-3).tolist() == (ours > 1e-3).tolist() == [case == "right"] * N_PARAMETERS
    if case == "right":
        # their ranks are whole numbers, ours lie between them
        np.testing.assert_allclose(ours, theirs, atol=0.2)


@pytest.mark.parametrize("case", CASES)
def test_coverage_is_what_counting_ranks_gives(case):
    """lampe and sbi count the draws below a truth; central intervals follow from that."""
    draws, truth = toy(*CASES[case])
    share = (draws < truth).mean(axis=0)
    levels = np.array([0.3, 0.68, 0.95])
    counted = (np.abs(2.0 * share - 1.0)[None] <= levels[:, None, None]).mean(axis=1)
    np.testing.assert_allclose(coverage(ranks(draws, truth), levels), counted, atol=0.01)
