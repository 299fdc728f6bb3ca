"""What a network is told about a PSF: its width, its shape and how its light spreads."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.errors import OutOfRangeError

N_PSF_NUMBERS = 8
"""Count of the numbers that `psf_numbers` returns."""
_FWHM_PER_NOISE_WIDTH = 2.0 * math.sqrt(2.0 * math.log(2.0))


def psf_width(psf: Float[Tensor, "k_y k_x"], pixel_scale: float) -> float:
    """Full width at half maximum of the Gaussian with the noise-equivalent area of a PSF.

    It needs no centre, no fit and no wings, and includes the pixel's response if the PSF does.

    Args:
        psf: PSF; its sum is above zero.
        pixel_scale: Its pixel scale [arcsec/pixel].

    Returns:
        Width [arcsec].

    Raises:
        OutOfRangeError: A PSF without light.

    Reference:
        King 1983: noise-equivalent area (sum P)^2 / sum P^2, which is 4 pi sigma^2 for a Gaussian.
    """
    total = float(psf.double().sum())
    if not total > 0 or not math.isfinite(total):
        raise OutOfRangeError(f"the PSF sums to {total}. Pass a PSF whose sum is above 0.")
    area = total**2 / float(psf.double().square().sum()) * pixel_scale**2
    return _FWHM_PER_NOISE_WIDTH * math.sqrt(area / (4.0 * math.pi))


def psf_numbers(psf: Float[Tensor, "k_y k_x"], pixel_scale: float) -> Float[Tensor, "8"]:
    """Numbers that describe a PSF.

    Args:
        psf: PSF; its sum is above zero.
        pixel_scale: Its pixel scale [arcsec/pixel].

    Returns:
        Logarithm of the width [ln arcsec]; logarithm of the width in pixels; both components of
        the ellipticity from moments weighted by a Gaussian of that width; shares of the light
        within a half, one, one and a half and two and a half widths [-].

    Reference:
        Bernstein & Jarvis 2002, section 3, for Gaussian-weighted moments, here without iteration.
    """
    width = psf_width(psf, pixel_scale)
    light = psf.double() / psf.double().sum()
    height, n_columns = light.shape
    y = (torch.arange(height, dtype=light.dtype) - 0.5 * (height - 1)) * pixel_scale
    x = (torch.arange(n_columns, dtype=light.dtype) - 0.5 * (n_columns - 1)) * pixel_scale
    x, y = x[None, :], y[:, None]
    radius2 = x * x + y * y
    weighted = light * torch.exp(-radius2 * (0.5 * (_FWHM_PER_NOISE_WIDTH / width) ** 2))
    size = (weighted * radius2).sum()
    e1, e2 = (weighted * (x * x - y * y)).sum(), (weighted * 2.0 * x * y).sum()
    shares = [(light * (radius2 <= (k * width) ** 2)).sum() for k in (0.5, 1.0, 1.5, 2.5)]
    logs = [math.log(width), math.log(width / pixel_scale)]
    shape = [float(e1 / size.clamp_min(1e-12)), float(e2 / size.clamp_min(1e-12))]
    return torch.tensor([*logs, *shape, *(float(share) for share in shares)])
