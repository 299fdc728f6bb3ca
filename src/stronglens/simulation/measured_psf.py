"""What a measured PSF has that its Moffat formula has not, as a correction of the formula's kernel.

The formula keeps what is drawn for each image: width, wings, shape and shift.
"""

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import map_coordinates
from torch import Tensor

from stronglens.simulation.psf import moffat_kernel

_STEPS = 5  # sub-pixels in which the formula is summed over a pixel


def psf_correction(
    measured: Float[np.ndarray, "j k"],
    formula: tuple[float, float],
    scales: tuple[float, float],
    size: int,
) -> Float[Tensor, "size size"]:
    """Measured kernel less the formula's, at the scale of the formula's kernels.

    A measured kernel holds the width of the pixels, which the formula's kernels get when their
    sub-pixels are summed; so the difference is taken at the pixel scale and spread, cubic between
    its pixels. The pixels then widen the correction, not the PSF, once more.

    Args:
        measured: Kernel at the pixel scale, of odd sides, centred, of any sum.
        formula: Width [arcsec] and slope of the wings of the Moffat formula.
        scales: Scale of the pixels and of the kernels to correct [arcsec/pixel].
        size: Side of the kernels to correct, odd [pixel].

    Returns:
        What to add to a kernel of the formula that sums to one; the sum of it is zero.

    Reference:
        Moffat 1969, as in `psf.moffat_kernel`.
    """
    ratio = scales[0] / scales[1]
    side = 2 * int(size / ratio / 2) + 1
    step = 1 if ratio < 1.5 else _STEPS
    fwhm, beta = (torch.tensor([value], dtype=torch.float64) for value in formula)
    fine = moffat_kernel(fwhm, beta, scales[0] / step, side * step)[0].numpy()
    binned = fine.reshape(side, step, side, step).sum(axis=(1, 3))
    own = _framed(measured, side)
    difference = own / own.sum() - binned
    line = (np.arange(size) - size // 2) / ratio + side // 2
    rows, columns = np.meshgrid(line, line, indexing="ij")
    spread = map_coordinates(difference, [rows, columns], order=3, mode="constant") / ratio**2
    return torch.as_tensor(spread - spread.mean(), dtype=torch.float32)


def _framed(kernel: np.ndarray, side: int) -> Float[np.ndarray, "side side"]:
    """Kernel cut or padded to a square around its middle."""
    frame = np.pad(kernel.astype(np.float64), side)
    first = [n // 2 - side // 2 for n in frame.shape]
    return frame[first[0] : first[0] + side, first[1] : first[1] + side]
