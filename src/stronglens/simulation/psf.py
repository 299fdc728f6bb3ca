"""Point-spread functions as kernels; convolution itself is in `render`."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class EllipticalMoffat:
    """Moffat profiles that need be neither round nor centred."""

    fwhm: Float[Tensor, " batch"]
    """Width of the circle with the area of the ellipse at half maximum [arcsec]."""
    beta: Float[Tensor, " batch"]
    """Slope of the wings, above 1 [-]."""
    e1: Float[Tensor, " batch"]
    """Ellipticity e cos 2phi, e = (1 - q) / (1 + q) [-]."""
    e2: Float[Tensor, " batch"]
    """Ellipticity e sin 2phi [-]."""
    x_shift: Float[Tensor, " batch"]
    """Offset of the centre from the central pixel along x [arcsec]."""
    y_shift: Float[Tensor, " batch"]
    """Offset of the centre from the central pixel along y [arcsec]."""


def elliptical_moffat_kernel(
    profile: EllipticalMoffat, pixel_scale: float, size: int
) -> Float[Tensor, "batch k k"]:
    """Elliptical, shifted Moffat kernels, sampled at pixel centres and normalised to one.

    Args:
        profile: Width, wings, ellipticity and shift of each kernel.
        pixel_scale: Pixel scale of the kernel, that is of the oversampled grid [arcsec/pixel].
        size: Width and height of the kernel, odd [pixel].

    Returns:
        Kernels that sum to one: what lies outside the kernel is not part of the PSF.

    Reference:
        Moffat 1969, as in `moffat_kernel`, on ellipses q u^2 + v^2 / q = r^2 along the major (u)
        and minor (v) axis; with e = (1 - q) / (1 + q) that is
        ((1 + e^2) (x^2 + y^2) - 2 e1 (x^2 - y^2) - 4 e2 x y) / (1 - e^2).
    """
    ellipticity2 = profile.e1**2 + profile.e2**2
    if not bool((ellipticity2 < 1.0).all()):
        raise OutOfRangeError(
            f"the ellipticity of a PSF is {float(ellipticity2.max()) ** 0.5}: e1 and e2 together "
            "stay below 1. Correct them."
        )
    offsets = _offsets(profile.fwhm, pixel_scale, size)
    x = offsets[None, None, :] - profile.x_shift[:, None, None]
    y = offsets[None, :, None] - profile.y_shift[:, None, None]
    e1, e2 = profile.e1[:, None, None], profile.e2[:, None, None]
    squares = (
        (1.0 + e1**2 + e2**2) * (x * x + y * y) - 2.0 * e1 * (x * x - y * y) - 4.0 * e2 * x * y
    )
    core = profile.fwhm / (2.0 * (2.0 ** (1.0 / profile.beta) - 1.0).sqrt())
    radius2 = squares / (core**2 * (1.0 - ellipticity2))[:, None, None]
    kernel = torch.exp(torch.log1p(radius2) * -profile.beta[:, None, None])
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
