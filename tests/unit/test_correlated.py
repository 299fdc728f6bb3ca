"""Correlated noise: unit variance, the correlations asked for, up to the edges and between bands.

Moments are compared at 5 standard errors of the estimate: a false alarm in about a million draws.
"""

from pathlib import Path

import pytest
import torch

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.simulation.correlated import (
    block_scatter,
    correlated_noise,
    expected_block_scatter,
    neighbour_kernel,
    noise_covariance,
    noise_kernel,
)

FIELD = Path(__file__).parents[3] / "shared/data/real/kids_viking_field/r.fits.fz"


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def covariance_of(kernel, largest_lag):
    """Covariance by lag of white noise convolved with a kernel, by adding products up."""
    k, full = kernel.shape[-1], torch.zeros(2 * largest_lag + 1, 2 * largest_lag + 1).double()
    wide = torch.nn.functional.pad(kernel.double(), (largest_lag,) * 4)
    for i in range(len(full)):
        for j in range(len(full)):
            full[i, j] = (wide[i : i + k, j : j + k] * kernel).sum()
    return full


def coadd_covariance(largest_lag=12):
    """A covariance like that of a coadd: negative neighbours, then a long positive tail."""
    lag = torch.arange(-largest_lag, largest_lag + 1, dtype=torch.float64)
    radius = (lag[:, None] ** 2 + lag**2).sqrt()
    tail = 0.04 * torch.exp(-radius / 6)
    narrow = torch.where(radius < 1.1, -0.05, torch.where((radius - 2).abs() < 0.1, 0.03, 0.0))
    return torch.where(radius == 0, 1.0, tail + narrow)


KERNELS = {
    "drizzled": neighbour_kernel(0.4).double(),
    "sharpened": neighbour_kernel(-0.3).double(),
    "coadd": noise_kernel(coadd_covariance()),
    "not square": torch.tensor([[1.0, 3.0, 1.0, 0.5, -0.2]], dtype=torch.float64).T
    @ torch.tensor([[0.3, 1.0, 0.4]], dtype=torch.float64),
}


@pytest.mark.parametrize("name", KERNELS)
def test_noise_has_unit_variance_and_the_correlations_of_its_kernel(name):
    kernel = KERNELS[name]
    noise = correlated_noise((24, 1, 96, 128), kernel, generator())[:, 0]
    side = max(kernel.shape) + 1
    square = torch.zeros(side | 1, side | 1, dtype=torch.float64)
    square[: kernel.shape[0], : kernel.shape[1]] = kernel / kernel.norm()
    expected = covariance_of(square, 4)
    reach = covariance_of(square, 2 * max(kernel.shape)).square().sum()
    # Bartlett: the variance of a sample covariance is at most twice the sum of squares over n
    error = 5 * (2 * float(reach) / noise.numel()) ** 0.5
    measured = noise_covariance(noise, torch.zeros_like(noise, dtype=torch.bool), 4)
    assert float((measured - expected).abs().max()) < error
    assert abs(float(measured[4, 4]) - 1) < error
    assert error < 0.03


@pytest.mark.parametrize("rho", [-0.6, -0.2, 0.0, 0.3, 0.707])
def test_neighbours_have_the_correlation_asked_for(rho):
    covariance = covariance_of(neighbour_kernel(rho), 2)
    assert abs(float(covariance[2, 2]) - 1) < 1e-6
    for y, x in ((2, 3), (3, 2), (2, 1), (1, 2)):
        assert abs(float(covariance[y, x]) - rho) < 1e-6


def test_a_kernel_gives_back_the_covariance_it_was_made_from():
    """To 2e-3: the square root of a spectrum is cut off at twice the largest lag."""
    for covariance in (covariance_of(neighbour_kernel(0.4), 2), coadd_covariance()):
        kernel = noise_kernel(7.0 * covariance)
        again = covariance_of(kernel, covariance.shape[0] // 2)
        assert float((again - covariance / covariance.max()).abs().max()) < 2e-3


def test_kernels_of_several_bands_are_made_at_once():
    both = torch.stack([coadd_covariance(), 3.0 * coadd_covariance().square()])
    together = noise_kernel(both)
    for k in range(2):
        torch.testing.assert_close(together[k], noise_kernel(both[k]))


def test_a_covariance_with_negative_power_still_gives_a_kernel():
    covariance = torch.full((3, 3), -0.4)
    covariance[1, 1] = 1.0
    kernel = noise_kernel(covariance)
    assert kernel.isfinite().all()
    torch.testing.assert_close(kernel.square().sum(), torch.tensor(1.0))


def test_pixels_at_the_edge_vary_like_all_others():
    noise = correlated_noise((20_000, 1, 6, 9), KERNELS["drizzled"], generator())[:, 0]
    scatter = noise.var(dim=0)
    # the largest of 54 variances of 20,000 draws, at 5 standard errors
    assert float((scatter - 1).abs().max()) < 5 * (2 / 20_000) ** 0.5
    assert float(noise.mean(dim=0).abs().max()) < 5 / 20_000**0.5


def test_bands_are_correlated_as_asked_and_have_kernels_of_their_own():
    matrix = torch.tensor([[1.0, 0.6, 0.0], [0.6, 1.0, -0.3], [0.0, -0.3, 1.0]]).double()
    kernels = neighbour_kernel(0.4).double().expand(3, 3, 3)
    noise = correlated_noise((30, 3, 64, 48), kernels, generator(), matrix)
    measured = torch.corrcoef(noise.transpose(0, 1).flatten(1))
    effective = noise[:, 0].numel() / float(covariance_of(kernels[0], 2).square().sum())
    assert float((measured - matrix).abs().max()) < 5 / effective**0.5
    one = torch.zeros(3, 3).double()
    one[1, 1] = 1.0
    kernels = torch.stack([kernels[0], one, one])
    noise = correlated_noise((30, 3, 64, 48), kernels, generator())
    assert abs(float((noise[:, 0, :, 1:] * noise[:, 0, :, :-1]).mean()) - 0.4) < 0.03
    assert abs(float((noise[:, 1, :, 1:] * noise[:, 1, :, :-1]).mean())) < 0.03


def test_bands_that_are_all_the_same_are_allowed():
    matrix = torch.ones(2, 2).double()
    noise = correlated_noise((2, 2, 8, 8), KERNELS["drizzled"], generator(), matrix)
    torch.testing.assert_close(noise[:, 0], noise[:, 1])


@pytest.mark.parametrize("side", [5, 10])
def test_blocks_scatter_as_the_covariance_says(side):
    white = torch.randn(60, 100, 120, generator=generator())
    n_blocks = 60 * (100 // side) * (120 // side)
    assert abs(block_scatter(white, side) - 1) < 5 * (0.5 / n_blocks) ** 0.5
    kernel = KERNELS["coadd"]
    noise = correlated_noise((60, 1, 100, 120), kernel, generator())[:, 0]
    expected = expected_block_scatter(covariance_of(kernel, 2 * kernel.shape[0]), side)
    # neighbouring blocks are correlated, so the error is twice that of independent ones
    assert abs(block_scatter(noise, side) / expected - 1) < 10 * (0.5 / n_blocks) ** 0.5
    assert expected > 1.2


def test_the_covariance_is_that_of_pairs_of_good_pixels():
    flux = torch.randn(2, 7, 9, generator=generator(), dtype=torch.float64)
    mask = torch.rand(2, 7, 9, generator=generator(2)) < 0.3
    flux[mask] = 1e4
    sky = torch.where(mask, 0.0, flux - flux[~mask].mean())
    measured = noise_covariance(flux, mask, 2)
    pairs = [
        float(sky[k, y, x] * sky[k, y + 2, x - 1])
        for k in range(2)
        for y in range(5)
        for x in range(1, 9)
        if not mask[k, y, x] and not mask[k, y + 2, x - 1]
    ]
    assert abs(float(measured[4, 1]) - sum(pairs) / len(pairs)) < 1e-9
    torch.testing.assert_close(measured, measured.flip(0, 1))


@pytest.mark.skipif(not FIELD.is_file(), reason="the KiDS field is not on this machine")
def test_noise_of_a_measured_covariance_scatters_in_blocks_like_the_sky_it_came_from():
    from astropy.io import fits
    from scipy.ndimage import binary_dilation

    field = torch.tensor(fits.getdata(FIELD)[:, :1100].astype("f4"))
    centred = (field - field.median()).abs()
    bright = (centred > 3 * 1.4826 * centred.median()).numpy()
    mask = torch.tensor(binary_dilation(bright, iterations=3))
    covariance = noise_covariance(field[None], mask[None], 12)
    noise = correlated_noise((20, 1, 100, 120), noise_kernel(covariance), generator())[:, 0]
    expected = expected_block_scatter(covariance)
    assert 1.5 < expected < 1.9
    # 2,400 blocks scatter by 1.4 % and are correlated; negative power adds little
    assert abs(block_scatter(noise) / expected - 1) < 0.1


def test_the_same_seed_gives_the_same_noise_and_another_does_not():
    one, other, third = (
        correlated_noise((2, 2, 8, 9), KERNELS["coadd"], generator(k)) for k in (5, 5, 6)
    )
    assert torch.equal(one, other)
    assert not torch.equal(one, third)


def test_every_shape_and_precision_is_kept(shape_case):
    case = shape_case
    kernel = neighbour_kernel(0.2).to(case.dtype)
    shape = (case.n, case.n_band, case.height, case.width)
    rng = torch.Generator(device=case.device).manual_seed(1)
    noise = correlated_noise(shape, kernel, rng, torch.eye(case.n_band))
    assert noise.shape == shape
    assert noise.dtype == case.dtype
    assert noise.device.type == case.device
    assert noise.isfinite().all()


def test_what_cannot_be_is_refused():
    with pytest.raises(OutOfRangeError, match=r"correlation=0\.8"):
        neighbour_kernel(0.8)
    with pytest.raises(WrongShapeError, match="4 x 3 lags"):
        noise_kernel(torch.ones(4, 3))
    with pytest.raises(OutOfRangeError, match="a variance, is not above 0"):
        noise_kernel(torch.zeros(3, 3))
    for matrix in ([[1.0, 2.0], [2.0, 1.0]], [[2.0, 0.0], [0.0, 2.0]]):
        with pytest.raises(OutOfRangeError, match="no correlation matrix"):
            correlated_noise((1, 2, 4, 4), KERNELS["drizzled"], generator(), torch.tensor(matrix))
