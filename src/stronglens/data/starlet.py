"""Starlet (a trous) wavelets: an image taken apart by scale, and freed of noise."""

import math

import numpy as np
from jaxtyping import Float64
from scipy.ndimage import convolve1d

_SPLINE = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0
_MAD_TO_SIGMA = 1.4826
# one pass doubles the error of smooth galaxies; past six, noise comes back
_N_PASSES = 4


def starlet(image: Float64[np.ndarray, "y x"], n_scales: int) -> Float64[np.ndarray, "scale y x"]:
    """Take an image apart into details of 1, 2, 4, ... pixels and a smooth rest.

    Args:
        image: Any image.
        n_scales: Number of detail planes [-].

    Returns:
        The details, finest first, and the rest; their sum is the image.

    Reference:
        Starck & Murtagh 2006, Astronomical Image and Data Analysis, section 2.2.
    """
    planes, smooth = [], image
    for k in range(n_scales):
        kernel = np.zeros(4 * 2**k + 1)
        kernel[:: 2**k] = _SPLINE
        coarser = convolve1d(convolve1d(smooth, kernel, 0, mode="mirror"), kernel, 1, mode="mirror")
        planes.append(smooth - coarser)
        smooth = coarser
    return np.stack([*planes, smooth])


def robust_sigma(values: Float64[np.ndarray, "pixel"]) -> float:
    """Standard deviation about zero, from the median of absolute values: outliers do not move it.

    Args:
        values: Details of one scale where there is only noise [any unit].

    Returns:
        Standard deviation [the same unit]; NaN where there are no values.
    """
    return _MAD_TO_SIGMA * float(np.median(np.abs(values))) if len(values) else math.nan


def denoised(
    image: Float64[np.ndarray, "y x"], sigma: Float64[np.ndarray, "scale"], n_sigma: float
) -> Float64[np.ndarray, "y x"]:
    """Image from the bright details that stand out of the noise, and the rest; nothing below zero.

    Only details brighter than their surroundings count: noise would else punch holes, narrower
    than any PSF, into smooth light. What is left over is taken apart again and added where details
    stood out: the planes are not independent, and a single pass loses light of sharp peaks.

    Args:
        image: Galaxy and noise.
        sigma: Noise of each detail plane, finest first [unit of the image].
        n_sigma: Details of less than this many sigma are left out; the finest ones need one sigma
            more, because most noise and, below the width of the PSF, no light is there [-].

    Returns:
        Image without most of its noise.

    Reference:
        Starck & Murtagh 2006, sections 2.4 and 2.5: thresholding, and iterative reconstruction
        from the multiresolution support.
    """
    threshold = n_sigma * sigma
    threshold[0] += sigma[0]
    stands_out = starlet(image, len(sigma))[:-1] > threshold[:, None, None]
    clean = np.zeros_like(image)
    for _ in range(_N_PASSES):
        *details, rest = starlet(image - clean, len(sigma))
        clean = np.maximum(clean + (details * stands_out).sum(axis=0) + rest, 0.0)
    return clean
