"""Sersic profiles as Gaussians: error behind a PSF, flux, smoothness, and what is refused."""

import math

import pytest
import torch

from stronglens.core.errors import OutOfRangeError
from stronglens.light.mge import gaussian_expansion, non_negative_weights
from stronglens.light.sersic import Sersics, surface_brightness

SIGMA = 0.2
"""Width of the PSF [r_eff]: a large galaxy in good seeing."""


def blurred_profile(n: float, radius: torch.Tensor) -> torch.Tensor:
    """A Sersic profile behind a Gaussian PSF by quadrature over log radius."""
    r = torch.logspace(-9, math.log10(40.0), 20_000, dtype=torch.float64)
    one = torch.ones(1, 1, dtype=torch.float64)
    sersic = Sersics(one, one, n * one, one, 0 * one, 0 * one, 0 * one)
    light = surface_brightness(r[None, None], 0 * r[None, None], sersic)[0, 0]
    argument = radius[:, None] * r / SIGMA**2
    spread = torch.exp(-0.5 * ((radius[:, None] - r) / SIGMA) ** 2) * torch.special.i0e(argument)
    return torch.trapezoid(spread * light * r**2 / SIGMA**2, r.log(), dim=1)


# between the entries of the table, where interpolation adds its error
@pytest.mark.parametrize(
    ("n", "tolerance"),
    [*((n, 0.005) for n in (0.5, 0.53, 0.62)), *((n, 0.002) for n in (0.9, 2.3, 4.1, 6.2, 8.0))],
)
def test_the_sum_is_the_profile_seen_through_a_psf(n, tolerance):
    radius = torch.linspace(0.0, 4.0, 60, dtype=torch.float64)
    expected = blurred_profile(n, radius)
    weight, width = gaussian_expansion(torch.tensor(n, dtype=torch.float64))
    variance = width**2 + SIGMA**2
    values = torch.exp(-0.5 * radius[:, None] ** 2 / variance) / (2 * math.pi * variance)
    error = ((values * weight).sum(dim=1) - expected).abs() / expected[0]
    # the docstring promises it
    assert float(error.max()) < tolerance


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_are_shares_of_the_flux_and_widths_rise(dtype):
    n = torch.linspace(0.5, 8.0, 301, dtype=dtype).view(7, 43)
    weight, width = gaussian_expansion(n)
    assert weight.shape == width.shape == (7, 43, 16)
    assert weight.dtype == width.dtype == dtype
    assert bool((weight >= 0.0).all())
    assert bool((width.diff(dim=-1) > 0.0).all())
    flux = weight.sum(dim=-1)
    # what is missing lies beyond 16 half-light radii
    assert float(flux.max()) < 1.002
    assert float(flux[n <= 3.0].min()) > 0.998
    assert float(flux.min()) > 0.955


@pytest.mark.parametrize("n", [0.49, 8.01, float("nan")])
def test_an_index_outside_the_table_is_refused(n):
    with pytest.raises(OutOfRangeError, match=r"outside 0\.5-8\.0"):
        gaussian_expansion(torch.tensor([2.0, n]))


def test_least_squares_leave_out_what_would_be_negative():
    left = torch.tensor([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    right = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
    weights = non_negative_weights(left, right)
    torch.testing.assert_close(weights, torch.tensor([1.0, 0.0]).double(), rtol=1e-5, atol=0.0)
