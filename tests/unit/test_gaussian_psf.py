"""Point-spread functions as sums of Gaussians, against what they stand for."""

import math

import pytest
import torch
from lens_scenes import uniform

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.simulation.gaussian_psf import (
    GaussianPsf,
    gaussian_psf,
    moffat_psf,
    stack_psf,
)

RADIUS = torch.linspace(0.0, 6.0, 300, dtype=torch.float64)


def profile(psf: GaussianPsf) -> torch.Tensor:
    variance = psf.sigma[:, None] ** 2
    gaussians = torch.exp(-0.5 * RADIUS[:, None] ** 2 / variance) / (2 * math.pi * variance)
    return (gaussians * psf.weight[:, None]).sum(dim=2)


def test_a_gaussian_falls_to_half_at_half_its_width():
    width = torch.tensor([0.5, 0.9, 2.0], dtype=torch.float64)
    psf = gaussian_psf(width)
    half = 2.0 ** -((2.0 * RADIUS / width[:, None]) ** 2)
    values = profile(psf)
    torch.testing.assert_close(values / values[:, :1], half)


@pytest.mark.parametrize("beta", [1.8, 2.53, 3.47, 4.765, 8.0])
def test_a_moffat_is_met_to_half_a_percent_of_its_peak(beta):
    width = torch.tensor([0.7, 1.1], dtype=torch.float64)
    psf = moffat_psf(width, torch.full((2,), beta, dtype=torch.float64))
    core2 = (0.25 * width**2 / (2 ** (1 / beta) - 1))[:, None]
    expected = (beta - 1) / (math.pi * core2) * (1 + RADIUS**2 / core2) ** -beta
    error = (profile(psf) - expected).abs().amax(dim=1) / expected[:, 0]
    assert float(error.max()) < 0.005
    # never more light than there is; the far wings are left out
    assert 0.975 < float(psf.weight.sum(dim=1).min()) <= float(psf.weight.sum(dim=1).max()) < 1.001


def test_a_stack_is_the_mean_of_its_exposures():
    # drawn as exposures are: log-normal around the band's median
    normal = uniform((5, 100), 0, 1, 1).clamp(1e-6, 1 - 1e-6)
    width = 0.8 * torch.exp(0.15 * torch.special.ndtri(normal))
    expected = torch.stack([profile(gaussian_psf(row)).mean(dim=0) for row in width])
    error = (profile(stack_psf(width)) - expected).abs().amax(dim=1) / expected[:, 0]
    assert float(error.max()) < 0.002


def test_a_stack_of_equal_exposures_is_one_of_them():
    width = torch.full((2, 7), 0.8, dtype=torch.float64)
    torch.testing.assert_close(profile(stack_psf(width)), profile(gaussian_psf(width[:, 0])))
    torch.testing.assert_close(stack_psf(width[:, :1]).sigma, gaussian_psf(width[:, 0]).sigma)


@pytest.mark.parametrize("beta", [1.7, 8.1, float("nan")])
def test_wings_outside_the_table_are_refused(beta):
    with pytest.raises(OutOfRangeError, match=r"outside 1\.8-8\.0"):
        moffat_psf(torch.ones(2), torch.tensor([3.0, beta]))


def test_impossible_widths_are_refused():
    with pytest.raises(OutOfRangeError, match=r"fwhm=0\.0 arcsec is not above 0"):
        gaussian_psf(torch.tensor([0.8, 0.0]))
    with pytest.raises(WrongShapeError, match="no exposures"):
        stack_psf(torch.ones(2, 0))
