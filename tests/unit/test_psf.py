"""PSF kernels: width, shape, normalisation, and what a stack of exposures has."""

import pytest
import torch

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.simulation.psf import gaussian_kernel, moffat_kernel, stack_kernel

FWHM = torch.tensor([0.5, 0.8, 1.3], dtype=torch.float64)
BETA = torch.tensor([2.5, 3.0, 4.5], dtype=torch.float64)


def kernels(size=101, pixel_scale=0.05):
    yield gaussian_kernel(FWHM, pixel_scale, size)
    yield moffat_kernel(FWHM, BETA, pixel_scale, size)
    yield stack_kernel(FWHM[:, None], pixel_scale, size)
    yield stack_kernel(FWHM[:, None], pixel_scale, size, BETA[:, None])


@pytest.mark.parametrize("size", [1, 3, 51])
def test_kernels_sum_to_one_and_are_centred(size):
    for kernel in kernels(size):
        assert kernel.shape == (3, size, size)
        torch.testing.assert_close(kernel.sum(dim=(1, 2)), torch.ones(3, dtype=torch.float64))
        for symmetric in (kernel.flip(1), kernel.flip(2), kernel.transpose(1, 2)):
            torch.testing.assert_close(kernel, symmetric)
        peak = kernel.flatten(1).argmax(dim=1)
        assert torch.equal(peak, torch.full((3,), size * size // 2))


def test_half_of_the_peak_is_reached_at_half_of_the_width():
    """Kernels with a pixel exactly at the half-width: 0.05 arcsec x 8 = 0.8 / 2."""
    for kernel in (
        gaussian_kernel(FWHM[1:2], 0.05, 61),
        moffat_kernel(FWHM[1:2], BETA[1:2], 0.05, 61),
    ):
        torch.testing.assert_close(
            kernel[0, 30, 38] / kernel[0, 30, 30], torch.tensor(0.5).double()
        )


def test_a_gaussian_has_the_variance_of_its_width():
    kernel = gaussian_kernel(FWHM, 0.05, 201)
    offset = torch.arange(-100, 101, dtype=torch.float64) * 0.05
    variance = (kernel * offset**2).sum(dim=(1, 2))
    torch.testing.assert_close(variance, (FWHM / 2.354820045) ** 2)


def test_a_moffat_with_a_steep_slope_is_a_gaussian():
    steep = moffat_kernel(FWHM, torch.full_like(FWHM, 1e5), 0.05, 101)
    torch.testing.assert_close(steep, gaussian_kernel(FWHM, 0.05, 101), rtol=1e-2, atol=1e-9)


def test_a_stack_is_the_mean_of_the_kernels_and_not_a_kernel_of_mean_width():
    widths = torch.stack([FWHM, FWHM * 1.5, FWHM * 0.7], dim=1)
    stack = stack_kernel(widths, 0.05, 61)
    mean = torch.stack([gaussian_kernel(w, 0.05, 61) for w in widths.unbind(1)]).mean(dim=0)
    torch.testing.assert_close(stack, mean)
    of_mean_width = gaussian_kernel(widths.mean(dim=1), 0.05, 61)
    assert (stack - of_mean_width).abs().max() > 0.01 * stack.max()


def test_a_stack_of_moffats_is_their_mean():
    widths, slopes = torch.stack([FWHM, FWHM * 1.5], dim=1), torch.stack([BETA, BETA + 1], dim=1)
    mean = torch.stack(
        [moffat_kernel(w, b, 0.05, 31) for w, b in zip(widths.T, slopes.T, strict=True)]
    ).mean(dim=0)
    torch.testing.assert_close(stack_kernel(widths, 0.05, 31, slopes), mean)


def test_a_stack_of_one_is_the_single_exposure():
    torch.testing.assert_close(stack_kernel(FWHM[:, None], 0.1, 21), gaussian_kernel(FWHM, 0.1, 21))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [0, 1, 4])
def test_kernels_keep_batch_and_precision(n, dtype):
    fwhm = torch.full((n,), 0.8, dtype=dtype)
    for kernel in (
        gaussian_kernel(fwhm, 0.1, 9),
        moffat_kernel(fwhm, fwhm + 2, 0.1, 9),
        stack_kernel(fwhm[:, None].expand(n, 3), 0.1, 9),
    ):
        assert kernel.shape == (n, 9, 9)
        assert kernel.dtype == dtype


@pytest.mark.parametrize("size", [0, 2, 10, -3])
def test_a_kernel_without_a_central_pixel_is_refused(size):
    with pytest.raises(WrongShapeError, match=f"size={size} .* odd"):
        gaussian_kernel(FWHM, 0.1, size)


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan")])
def test_a_width_that_is_not_above_zero_is_refused(width):
    with pytest.raises(OutOfRangeError, match="not above 0"):
        moffat_kernel(torch.tensor([0.8, width]), torch.tensor([3.0, 3.0]), 0.1, 9)


def test_a_stack_of_nothing_is_refused():
    with pytest.raises(WrongShapeError, match="no exposures"):
        stack_kernel(torch.ones(2, 0), 0.1, 9)
