"""Elliptical, shifted Moffat kernels against the round ones and the law of their ellipses."""

from dataclasses import replace

import pytest
import torch

from stronglens.core.conventions import ellipticity_from_axis_ratio
from stronglens.core.errors import OutOfRangeError
from stronglens.simulation.psf import EllipticalMoffat, elliptical_moffat_kernel, moffat_kernel

FWHM = torch.tensor([0.7, 0.8, 1.1], dtype=torch.float64)
BETA = torch.tensor([2.2, 3.0, 4.0], dtype=torch.float64)
ZERO = torch.zeros_like(FWHM)
ROUND = EllipticalMoffat(FWHM, BETA, ZERO, ZERO, ZERO, ZERO)


def test_a_round_centred_one_is_the_moffat_kernel():
    torch.testing.assert_close(
        elliptical_moffat_kernel(ROUND, 0.1, 41), moffat_kernel(FWHM, BETA, 0.1, 41)
    )


@pytest.mark.parametrize("phi", [0.0, 0.6, -1.2])
def test_half_of_the_peak_lies_on_the_ellipse(phi):
    """Along both axes of a profile of q = 0.6, sampled by shifting it under the central pixel."""
    q, fwhm = torch.tensor([0.6]).double(), torch.tensor([0.8]).double()
    angle = torch.tensor([phi]).double()
    e1, e2 = ellipticity_from_axis_ratio(q, angle)
    zero = torch.zeros(1).double()
    centred = EllipticalMoffat(fwhm, BETA[:1], e1, e2, zero, zero)
    # a kernel wide enough that its sum does not change by a shift of half an arcsec
    peak = elliptical_moffat_kernel(centred, 0.1, 401)[0, 200, 200]
    for half, turn in ((0.4 / q.sqrt(), 0.0), (0.4 * q.sqrt(), torch.pi / 2)):
        x, y = half * torch.cos(angle + turn), half * torch.sin(angle + turn)
        moved = elliptical_moffat_kernel(replace(centred, x_shift=x, y_shift=y), 0.1, 401)
        torch.testing.assert_close(
            moved[0, 200, 200] / peak, torch.tensor(0.5).double(), rtol=1e-3, atol=0
        )


def test_kernels_sum_to_one_and_lie_where_they_are_shifted():
    profile = replace(ROUND, e1=ZERO + 0.05, x_shift=ZERO + 0.06, y_shift=ZERO - 0.1)
    profile = replace(profile, beta=BETA + 2)
    kernel = elliptical_moffat_kernel(profile, 0.1, 101)
    torch.testing.assert_close(kernel.sum(dim=(1, 2)), torch.ones(3).double())
    offset = torch.arange(-50, 51).double() * 0.1
    x = (kernel.sum(dim=1) * offset).sum(dim=1)
    y = (kernel.sum(dim=2) * offset).sum(dim=1)
    # wings cut off on one side take a little with them
    torch.testing.assert_close(x, ZERO + 0.06, rtol=0.02, atol=0)
    torch.testing.assert_close(y, ZERO - 0.1, rtol=0.02, atol=0)


def test_precision_and_an_empty_batch_are_kept():
    for n, dtype in ((0, torch.float64), (1, torch.float32)):
        one = torch.full((n,), 0.8, dtype=dtype)
        kernel = elliptical_moffat_kernel(
            EllipticalMoffat(one, one + 2, one * 0, one * 0, one * 0, one * 0), 0.2, 9
        )
        assert kernel.shape == (n, 9, 9)
        assert kernel.dtype == dtype


def test_an_ellipse_without_width_is_refused():
    with pytest.raises(OutOfRangeError, match="e1 and e2 together"):
        elliptical_moffat_kernel(replace(ROUND, e1=ZERO + 0.9, e2=ZERO + 0.6), 0.1, 9)
