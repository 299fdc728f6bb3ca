"""Noise and PSF where an image comes without them, and noise that neighbouring pixels share.

What is estimated is said in the image's remarks and widens the posterior.
"""

import math

import numpy as np
from jaxtyping import Bool, Float

_MAD = 1.4826
_BLOCK = 3
_LEAST_BLOCKS = 40
_N_BINS = 12
_LEAST_IN_BIN = 30
_LARGEST_FACTOR = 4.0
_USUAL_FWHM_PIXELS = 2.5


def estimate_sigma(
    flux: Float[np.ndarray, "y x"], is_good: Bool[np.ndarray, "y x"]
) -> Float[np.ndarray, "y x"]:
    """Noise of each pixel from the differences of neighbours: constant plus what grows with flux.

    Args:
        flux: The image [pixel units].
        is_good: Pixels that may be used.

    Returns:
        Standard deviation [pixel units].

    Reference:
        variance = a + b flux: sky and read noise, and the Poisson noise of sources; a and b fitted
        to robust variances of pixel minus mean of neighbours, in bins of flux.
    """
    around = [np.roll(flux, s, axis) for s in (-1, 1) for axis in (0, 1)]
    mean = np.mean(around, axis=0)
    inner = is_good.copy()
    inner[[0, -1]] = inner[:, [0, -1]] = False
    difference, level = (flux - mean)[inner] / math.sqrt(1.25), mean[inner]
    order = np.argsort(level)
    bins = [part for part in np.array_split(order, _N_BINS) if len(part) >= _LEAST_IN_BIN]
    if not bins:
        return np.full(flux.shape, max(float(np.std(flux[is_good])), np.finfo(float).tiny))
    variances = np.array([(_MAD * np.median(np.abs(difference[part]))) ** 2 for part in bins])
    levels = np.array([np.median(level[part]) for part in bins])
    constant = max(float(np.median(variances[: max(len(bins) // 4, 1)])), np.finfo(float).tiny)
    rise = np.clip(levels - levels[0], 0.0, None)
    above = np.clip(variances - constant, 0.0, None)
    gain = float((rise @ above) / max(float(rise @ rise), np.finfo(float).tiny))
    return np.sqrt(constant + gain * np.clip(flux - levels[0], 0.0, None))


def usual_psf() -> Float[np.ndarray, "k_y k_x"]:
    """A Gaussian as wide as is usual in well sampled images: 2.5 pixels."""
    half = math.ceil(2.0 * _USUAL_FWHM_PIXELS)
    line = np.arange(-half, half + 1)
    sigma = _USUAL_FWHM_PIXELS / (2.0 * math.sqrt(2.0 * math.log(2.0)))
    profile = np.exp(-0.5 * (line / sigma) ** 2)
    psf = profile[:, None] * profile[None, :]
    return psf / psf.sum()


def correlation_factor(residual_snr: Float[np.ndarray, "y x"]) -> float:
    """How much larger the variance of means over blocks is than white noise would give.

    Args:
        residual_snr: Residual in units of the noise, NaN where there is none.

    Returns:
        1 for white noise, at most 4; 1 where there are too few blocks to tell.

    Reference:
        The variance of a mean of n^2 pixels of white noise is 1 / n^2 of theirs.
    """
    height, width = (n // _BLOCK for n in residual_snr.shape)
    cut = residual_snr[: height * _BLOCK, : width * _BLOCK]
    blocks = cut.reshape(height, _BLOCK, width, _BLOCK).transpose(0, 2, 1, 3)
    blocks = blocks.reshape(height * width, _BLOCK * _BLOCK)
    blocks = blocks[np.isfinite(blocks).all(axis=1)]
    if len(blocks) < _LEAST_BLOCKS:
        return 1.0
    single = (_MAD * float(np.median(np.abs(blocks)))) ** 2
    joined = (_MAD * float(np.median(np.abs(blocks.mean(axis=1))))) ** 2 * _BLOCK**2
    return float(np.clip(joined / max(single, 1e-12), 1.0, _LARGEST_FACTOR))
