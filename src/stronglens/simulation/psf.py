"""Point-spread functions as kernels; convolution itself is in `render`."""

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.conventions import fwhm_to_sigma
from stronglens.core.errors import OutOfRangeError, WrongShapeError


def gaussian_kernel(
    fwhm: Float[Tensor, "batch"], pixel_scale: float, size: int
) -> Float[Tensor, "batch k k"]:
    """Round Gaussian kernels, sampled at pixel centres and normalised to one.

    Args:
        fwhm: Full width at half maximum of each kernel [arcsec].
        pixel_scale: Pixel scale of the kernel, that is of the oversampled grid [arcsec/pixel].
        size: Width and height of the kernel, odd [pixel].

    Returns:
        Kernels that sum to one.

    Reference:
        Definition of the Gaussian; FWHM = 2 sqrt(2 ln 2) sigma.
    """
    line = _gaussian_lines(fwhm, pixel_scale, size)
    return line[:, :, None] * line[:, None, :]


def moffat_kernel(
    fwhm: Float[Tensor, "batch"], beta: Float[Tensor, "batch"], pixel_scale: float, size: int
) -> Float[Tensor, "batch k k"]:
    """Round Moffat kernels, sampled at pixel centres and normalised to one.

    Args:
        fwhm: Full width at half maximum of each kernel [arcsec].
        beta: Slope of the wings, above 1; 2.5 to 4 from the ground [-].
        pixel_scale: Pixel scale of the kernel, that is of the oversampled grid [arcsec/pixel].
        size: Width and height of the kernel, odd [pixel].

    Returns:
        Kernels that sum to one: what lies outside the kernel is not part of the PSF.

    Reference:
        Moffat 1969; Trujillo et al. 2001: (1 + (r / core)^2)^(-beta) with
        fwhm = 2 core sqrt(2^(1/beta) - 1).
    """
    offsets = _offsets(fwhm, pixel_scale, size)
    core = fwhm / (2.0 * (2.0 ** (1.0 / beta) - 1.0).sqrt())
    radius2 = (offsets[:, None] ** 2 + offsets**2) / core[:, None, None] ** 2
    kernel = torch.exp(torch.log1p(radius2) * -beta[:, None, None])
    return kernel / kernel.sum(dim=(-2, -1), keepdim=True)


def stack_kernel(
    fwhm: Float[Tensor, "batch exposure"],
    pixel_scale: float,
    size: int,
    beta: Float[Tensor, "batch exposure"] | None = None,
) -> Float[Tensor, "batch k k"]:
    """Kernel of a mean of exposures: the mean of their kernels, not a kernel of mean width.

    Args:
        fwhm: Full width at half maximum in each exposure [arcsec].
        pixel_scale: Pixel scale of the kernel, that is of the oversampled grid [arcsec/pixel].
        size: Width and height of the kernel, odd [pixel].
        beta: Slope of Moffat wings in each exposure [-]; Gaussian where it is not given.

    Returns:
        Kernels that sum to one.

    Reference:
        Convolution is linear: the mean of convolved images is the image convolved with the mean.
    """
    n_exposures = fwhm.shape[1]
    if n_exposures == 0:
        raise WrongShapeError("fwhm has no exposures. Pass at least one column of widths.")
    if beta is None:
        lines = _gaussian_lines(fwhm.reshape(-1), pixel_scale, size).unflatten(0, fwhm.shape)
        return torch.einsum("bei,bej->bij", lines / n_exposures, lines)
    kernels = (moffat_kernel(fwhm[:, k], beta[:, k], pixel_scale, size) for k in range(n_exposures))
    return torch.stack(list(kernels)).mean(dim=0)


def _gaussian_lines(fwhm: Tensor, pixel_scale: float, size: int) -> Tensor:
    """One-dimensional Gaussians that sum to one: a round Gaussian is their outer product."""
    scaled = _offsets(fwhm, pixel_scale, size) / fwhm_to_sigma(fwhm)[:, None]
    line = torch.exp(-0.5 * scaled**2)
    return line / line.sum(dim=-1, keepdim=True)


def _offsets(fwhm: Tensor, pixel_scale: float, size: int) -> Tensor:
    """Distances of the pixels of a kernel from its central one [arcsec]."""
    if size % 2 == 0 or size < 1:
        raise WrongShapeError(
            f"size={size} of a PSF kernel is not an odd number above 0. Use {size + 1}, so that "
            "the kernel is centred on a pixel."
        )
    if not bool((fwhm > 0.0).all()):
        raise OutOfRangeError(
            f"fwhm={float(fwhm.min())} arcsec is not above 0. Pass the width of a real PSF."
        )
    half = size // 2
    return torch.arange(-half, half + 1, dtype=fwhm.dtype, device=fwhm.device) * pixel_scale
