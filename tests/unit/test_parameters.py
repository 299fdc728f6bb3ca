"""Priors of the measured parameters and the standard normal numbers in their place."""

import numpy as np
import pytest
import torch
from scipy import stats

from stronglens.core.errors import OutOfRangeError
from stronglens.measurement.parameters import (
    PARAMETERS,
    PRIORS,
    draw_parameters,
    from_latent,
    theta_e_limits,
    to_latent,
)


def _limits(n):
    return torch.tensor([[0.5, 2.5]]).expand(n, 2)


def test_latent_numbers_and_values_are_inverse_to_each_other():
    u = torch.randn(200, len(PARAMETERS), generator=torch.Generator().manual_seed(1))
    values = from_latent(u, _limits(200))
    assert torch.allclose(to_latent(values, _limits(200)), u, atol=1e-5)


def test_parameters_drawn_from_the_prior_are_standard_normal_in_latent_numbers():
    values = draw_parameters(torch.Generator().manual_seed(2), _limits(4000))
    u = to_latent(values, _limits(4000)).numpy()
    p_values = [stats.kstest(column, "norm").pvalue for column in u.T]
    assert min(p_values) > 1e-3
    assert np.abs(np.corrcoef(u.T) - np.eye(len(PARAMETERS))).max() < 0.07


def test_no_draw_leaves_the_prior():
    values = from_latent(torch.full((1, len(PARAMETERS)), 50.0), _limits(1))
    assert float(values["theta_e"]) == pytest.approx(2.5, rel=1e-6)
    for name in ("e1", "gamma2", "slope"):
        prior = PRIORS[name]
        assert float(values[name]) == pytest.approx(prior.mean + prior.limit)


def test_the_source_is_drawn_about_the_deflector_in_units_of_theta_e():
    u = torch.zeros(1, len(PARAMETERS))
    u[0, PARAMETERS.index("x_center")] = 1.0
    values = from_latent(u, _limits(1))
    assert float(values["beta_x"]) == pytest.approx(float(values["x_center"]))
    assert float(values["x_center"]) > 0.05


def test_pairs_share_a_symmetric_prior():
    for first, second in (("e1", "e2"), ("gamma1", "gamma2"), ("x_center", "y_center")):
        assert PRIORS[first] == PRIORS[second]
        assert PRIORS[first].mean == 0.0


def test_limits_follow_frame_and_psf():
    limits = theta_e_limits(torch.tensor([6.0, 20.0]), torch.tensor([0.1, 1.0]))
    assert torch.allclose(limits, torch.tensor([[0.4, 2.28], [0.7, 5.0]]))


def test_a_frame_too_small_for_any_lens_is_refused():
    with pytest.raises(OutOfRangeError, match=r"a frame of 1\.00 arcsec .* leaves theta_e no room"):
        theta_e_limits(torch.tensor([6.0, 1.0]), torch.tensor([0.1, 0.1]))
