"""Noise of resampled and co-added images, whose neighbouring pixels are not independent.

All of it has unit variance: its size comes from `noise`, image by image.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.simulation.convolution import convolve

LARGEST_NEIGHBOUR_CORRELATION = 0.5**0.5
"""Correlation of neighbours that a kernel of three pixels can give at most [-]."""


def neighbour_kernel(correlation: float) -> Float[Tensor, "3 3"]:
    """Kernel whose noise has this correlation between pixels that share a side.

    Args:
        correlation: Correlation at a lag of one pixel along x or y, as a drizzled (positive) or
            sharply interpolated (negative) image has it [-].

    Returns:
        Kernel, the product of two lines (a, 1, a); its squares sum to one.

    Reference:
        Noise convolved with (a, 1, a) has the correlation rho = 2 a / (1 + 2 a^2) at lag one, so
        a = rho / (1 + sqrt(1 - 2 rho^2)), and a^2 / (1 + 2 a^2) at lag two.
    """
    if not abs(correlation) <= LARGEST_NEIGHBOUR_CORRELATION:
        raise OutOfRangeError(
            f"correlation={correlation} between neighbours is outside -0.707 to 0.707, what three "
            "pixels can give. Pass a measured covariance to noise_kernel instead."
        )
    side = correlation / (1.0 + max(1.0 - 2.0 * correlation**2, 0.0) ** 0.5)
    line = torch.tensor([side, 1.0, side], dtype=torch.float64)
    line = line / line.norm()
    return torch.outer(line, line).float()


def noise_kernel(covariance: Float[Tensor, "*band k_y k_x"]) -> Float[Tensor, "*band l_y l_x"]:
    """Kernel that turns white noise into noise of a measured covariance, up to its variance.

    The kernel has the square root of the power spectrum and no phases of its own: those of the
    white noise stay, and are random. Negative power, which a measured covariance has here and
    there, is set to zero.

    Args:
        covariance: Covariance of two pixels by their lag along y and x, lag zero in the centre, so
            of odd sides; beyond them it counts as zero [any unit].

    Returns:
        Kernels of odd sides, about twice as large; their squares sum to one.

    Reference:
        Wiener-Khinchin theorem: the power spectrum is the Fourier transform of the covariance.
    """
    rows, columns = covariance.shape[-2:]
    if rows % 2 == 0 or columns % 2 == 0:
        raise WrongShapeError(
            f"a covariance of {rows} x {columns} lags has no lag zero in its centre. Use odd sides."
        )
    if not bool((covariance[..., rows // 2, columns // 2] > 0.0).all()):
        raise OutOfRangeError(
            "the covariance at lag zero, a variance, is not above 0. Measure it on pixels that "
            "hold noise."
        )
    # the square root reaches further than the covariance itself
    pad_y, pad_x = rows // 2 + 1, columns // 2 + 1
    padded = torch.nn.functional.pad(covariance, (pad_x, pad_x, pad_y, pad_y))
    power = torch.fft.fft2(torch.fft.ifftshift(padded, dim=(-2, -1))).real
    kernel = torch.fft.ifft2(power.clamp_min(0.0).sqrt()).real
    return _unit(torch.fft.fftshift(kernel, dim=(-2, -1)))


def wide_share(covariance: Float[Tensor, "k_y k_x"]) -> float:
    """Share of the variance in structure wider than the lags, such as what is left of the sky.

    A kernel ends at the largest lag; what pixels that far apart have in common is better added to
    an image as a whole.

    Args:
        covariance: Covariance of two pixels by their lag along y and x, lag zero in the centre.

    Returns:
        Mean covariance around the border over the variance, 0 where it is negative [-].
    """
    border = torch.ones_like(covariance, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    centre = covariance[covariance.shape[0] // 2, covariance.shape[1] // 2]
    return float((covariance[border].mean() / centre).clamp(0.0, 0.5))


def correlated_noise(
    shape: tuple[int, int, int, int],
    kernel: Float[Tensor, "k_y k_x"] | Float[Tensor, "band k_y k_x"],
    generator: torch.Generator,
    band_correlation: Float[Tensor, "band band"] | None = None,
) -> Float[Tensor, "n band y x"]:
    """Noise of mean zero and variance one with the correlations of a kernel and between bands.

    The white noise reaches beyond the frame, so that pixels at the edge are like all others.

    Args:
        shape: Images, bands, rows and columns.
        kernel: One kernel for all bands or one per band, of odd sides and any sum [-].
        generator: Source of randomness; its device is that of the noise.
        band_correlation: Correlation of the bands before the kernels; none by default [-].

    Returns:
        Noise in the precision of the kernel [standard deviations].
    """
    n, n_band, height, width = shape
    half_y, half_x = kernel.shape[-2] // 2, kernel.shape[-1] // 2
    size = (n, n_band, height + 2 * half_y, width + 2 * half_x)
    white = torch.randn(size, generator=generator, dtype=kernel.dtype, device=generator.device)
    if band_correlation is not None:
        mixing = _square_root(band_correlation).to(white)
        white = torch.einsum("cb,nbyx->ncyx", mixing, white)
    kernels = _unit(kernel.to(white.device)).expand(n_band, *kernel.shape[-2:])
    if n > 0:
        pairs = zip(white.unbind(1), kernels, strict=True)
        white = torch.stack([convolve(plane, line) for plane, line in pairs], dim=1)
    return white[:, :, half_y : half_y + height, half_x : half_x + width]


def noise_covariance(
    flux: Float[Tensor, "batch y x"], mask: Bool[Tensor, "batch y x"], largest_lag: int
) -> Float[Tensor, "k k"]:
    """Covariance of pixels by their lag, from pairs of which neither is masked.

    Args:
        flux: Images of blank sky [pixel units].
        mask: True where a pixel is bad or belongs to an object.
        largest_lag: Largest lag along each axis [pixel].

    Returns:
        Covariance at lags -largest_lag to largest_lag along y and x [pixel units^2].
    """
    good = (~mask).to(flux.dtype)
    sky = torch.where(mask, 0.0, flux)
    sky = (sky - sky.sum() / good.sum().clamp_min(1.0)) * good
    side = 2 * largest_lag + 1
    size = (flux.shape[1] + largest_lag, flux.shape[2] + largest_lag)

    def lagged(planes: Tensor) -> Tensor:
        """Sum of the products of all pairs of pixels at each lag."""
        power = torch.fft.rfft2(planes, s=size).abs().square().sum(dim=0)
        sums = torch.fft.irfft2(power, s=size)
        return sums.roll((largest_lag, largest_lag), dims=(0, 1))[:side, :side]

    return lagged(sky) / lagged(good).clamp_min(1.0)


def block_scatter(noise: Float[Tensor, "batch y x"], side: int = 10) -> float:
    """Scatter of the means of square blocks, in units of what independent pixels would give.

    Args:
        noise: Blank sky [pixel units].
        side: Side of a block [pixel].

    Returns:
        1 for white noise, 1.5 to 1.7 for the KiDS coadds at 10 pixels [-].
    """
    means = torch.nn.functional.avg_pool2d(noise[:, None], side)
    return float(means.std() / noise.std() * side)


def expected_block_scatter(covariance: Float[Tensor, "k k"], side: int = 10) -> float:
    """The block scatter that noise of a covariance has, by adding its covariances up.

    Args:
        covariance: Covariance by lag, lag zero in the centre, of odd side [pixel units^2].
        side: Side of a block [pixel].

    Returns:
        Scatter of the block means relative to that of white noise [-].

    Reference:
        Variance of a sum: the sum over lags of the covariance times the pairs that have the lag.
    """
    half = covariance.shape[-1] // 2
    lags = torch.arange(-half, half + 1, dtype=covariance.dtype, device=covariance.device)
    pairs = (1.0 - lags.abs() / side).clamp_min(0.0)
    total = (covariance * torch.outer(pairs, pairs)).sum()
    return float((total / covariance[half, half]).sqrt())


def _unit(kernel: Tensor) -> Tensor:
    """Scale kernels so that they keep the variance of white noise."""
    return kernel / kernel.square().sum(dim=(-2, -1), keepdim=True).sqrt()


def _square_root(correlation: Tensor) -> Tensor:
    """Symmetric square root of a correlation matrix."""
    is_unit = bool(torch.allclose(correlation.diagonal(), torch.ones_like(correlation[0])))
    values, vectors = torch.linalg.eigh(correlation)
    if not is_unit or float(values.min()) < -1e-5:
        raise OutOfRangeError(
            f"band_correlation={correlation.tolist()} is no correlation matrix: its diagonal is 1 "
            "and no eigenvalue is negative. Correct it."
        )
    return (vectors * values.clamp_min(0.0).sqrt()) @ vectors.T
