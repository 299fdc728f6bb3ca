"""The cutout: an image of one object, all that is known about it, and what can be wrong with it.

Reading it from files is in `stronglens.data.fits`, changing its pixels in `data.resample`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64

MAX_MASKED = 0.5
"""Largest part of a field that may be masked, or exactly zero."""
_CENTRE = 1.0
SMALLEST_SIDE = 8
"""Fewest pixels on a side that make an image."""


@dataclass(frozen=True, eq=False)
class Cutout:
    """Image of one object in one or more bands on one pixel grid, the object at its centre."""

    flux: Float32[np.ndarray, "band y x"]
    """Linear [pixel units]."""
    ivar: Float32[np.ndarray, "band y x"]
    """Inverse variance; 0 where nothing is known [1 / pixel units^2]."""
    mask: Bool[np.ndarray, "band y x"]
    """True where a pixel is bad."""
    bands: tuple[str, ...]
    """Names of the bands; "" where none is stated."""
    zero_point: Float64[np.ndarray, "band"]
    """Magnitude of one pixel unit; NaN where not stated [mag AB]."""
    pixel_scale: float
    """Side of a pixel; NaN where not stated [arcsec]."""
    object_id: str
    """Name of the object."""
    input: str
    """File or folder it was read from."""
    psf: Float32[np.ndarray, "band k l"] | None = None
    """Kernel of each band, odd and centred, sum 1; zero where a band has none."""
    ra: float = math.nan
    """Right ascension of the centre, ICRS; NaN where not known [deg]."""
    dec: float = math.nan
    """Declination of the centre, ICRS; NaN where not known [deg]."""
    remarks: tuple[str, ...] = ()
    """What had to be assumed while reading."""
    x_center: float = 0.0
    """Column of the object relative to the middle of the image [arcsec]."""
    y_center: float = 0.0
    """Row of the object relative to the middle of the image [arcsec]."""

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.flux.shape[1]

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.flux.shape[2]

    def rows_and_columns(self, height: int, width: int) -> tuple[slice, slice]:
        """Slices of the central pixels, of the parity of the image so that the centre stays.

        Args:
            height: Rows wanted at least; all where there are fewer.
            width: Columns wanted at least; all where there are fewer.
        """
        return _central(self.height, height), _central(self.width, width)

    def part(self, bands: tuple[int, ...], rows: slice, columns: slice) -> "Cutout":
        """Cutout of some bands and some of the pixels.

        Args:
            bands: Indices of the bands, in the order wanted.
            rows: Rows kept.
            columns: Columns kept.
        """
        index = list(bands)
        return replace(
            self,
            flux=self.flux[index, rows, columns],
            ivar=self.ivar[index, rows, columns],
            mask=self.mask[index, rows, columns],
            bands=tuple(self.bands[k] for k in index),
            zero_point=self.zero_point[index],
            psf=None if self.psf is None else self.psf[index],
        )


def fault(cutout: Cutout) -> str | None:
    """First reason why the pixels of a cutout cannot be used, None where there is none.

    Args:
        cutout: Bands and pixels that are about to be used, not more.

    Returns:
        A text that says what is wrong, what is allowed and what to do.
    """
    return next((text for check in CHECKS if (text := check(cutout))), None)


def size_fault(cutout: Cutout) -> str | None:
    """Reason if the image has too few pixels."""
    if min(cutout.height, cutout.width) >= SMALLEST_SIDE:
        return None
    return (
        f"too small: {cutout.height}x{cutout.width} pixels; at least "
        f"{SMALLEST_SIDE}x{SMALLEST_SIDE} are needed. Cut a larger field."
    )


def nan_fault(cutout: Cutout) -> str | None:
    """Reason if a pixel is not a number."""
    n = int(np.isnan(cutout.flux).sum())
    if n == 0:
        return None
    return (
        f"NaN in {n} of {cutout.flux.size} pixels of the field; every pixel needs a number. "
        "Mask and fill them, or take another image."
    )


def infinite_fault(cutout: Cutout) -> str | None:
    """Reason if a pixel is infinite."""
    n = int(np.isinf(cutout.flux).sum())
    if n == 0:
        return None
    return (
        f"infinite values in {n} of {cutout.flux.size} pixels of the field; every pixel needs a "
        "finite number. Mask and fill them, or take another image."
    )


def zero_fault(cutout: Cutout) -> str | None:
    """Reason if a band holds nothing, or mostly nothing, but zeros."""
    share = (cutout.flux == 0).mean(axis=(1, 2))
    worst = int(share.argmax())
    if share[worst] <= MAX_MASKED:
        return None
    amount = "all" if share[worst] == 1 else f"{100 * share[worst]:.0f} % of"
    return (
        f"{amount} pixels are zero{_in_band(cutout, worst)}: the field was not observed. "
        "Take an image that covers the object."
    )


def constant_fault(cutout: Cutout) -> str | None:
    """Reason if a band has the same value everywhere."""
    flat = [k for k in range(len(cutout.bands)) if np.ptp(cutout.flux[k]) == 0]
    if not flat:
        return None
    value = float(cutout.flux[flat[0], 0, 0])
    return (
        f"all pixels have the constant value {value:g}{_in_band(cutout, flat[0])}; an image has "
        "noise. Take an image that covers the object."
    )


def mask_fault(cutout: Cutout) -> str | None:
    """Reason if most of the field, or its centre, is masked."""
    share = cutout.mask.mean(axis=(1, 2))
    if share.max() > MAX_MASKED:
        return (
            f"{100 * share.max():.0f} % of the field is masked; at most {100 * MAX_MASKED:.0f} % "
            "may be. Check the mask (1 or True is read as bad), or take another image."
        )
    radius = _CENTRE / cutout.pixel_scale if cutout.pixel_scale > 0 else 0.0
    y, x = np.indices(cutout.mask.shape[1:])
    distance = np.hypot(y - (cutout.height - 1) / 2, x - (cutout.width - 1) / 2)
    if cutout.mask[:, distance <= max(radius, 1.0)].mean(axis=1).max() <= MAX_MASKED:
        return None
    return (
        f'most pixels within {_CENTRE:g}" of the centre are masked, and so is the object. '
        "Check the mask (1 or True is read as bad), or take another image."
    )


CHECKS: tuple[Callable[[Cutout], str | None], ...] = (
    size_fault, nan_fault, infinite_fault, zero_fault, constant_fault, mask_fault,
)  # fmt: skip
"""Every check of a cutout's pixels, in the order in which they are asked."""


def stack_kernels(kernels: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Kernels on one odd grid, the peak of even ones in the middle, each of sum 1.

    Args:
        kernels: Kernel of each band as stored, None where there is none.

    Returns:
        (band, k, l), zero where a band has no usable kernel; None where no band has one.
    """
    known = [kernel for kernel in kernels if kernel is not None]
    if not known:
        return None
    height = max(kernel.shape[0] | 1 for kernel in known)
    width = max(kernel.shape[1] | 1 for kernel in known)
    stacked = np.zeros((len(kernels), height, width), np.float32)
    for target, kernel in zip(stacked, kernels, strict=True):
        if kernel is None or not np.isfinite(kernel).all() or kernel.sum() <= 0:
            continue
        peak = np.unravel_index(int(kernel.argmax()), kernel.shape)
        starts = [
            (full - n) // 2 if n % 2 else min(max(full // 2 - int(p), 0), full - n)
            for full, n, p in zip(target.shape, kernel.shape, peak, strict=True)
        ]
        rows, columns = (slice(s, s + n) for s, n in zip(starts, kernel.shape, strict=True))
        target[rows, columns] = kernel / kernel.sum()
    return stacked


def _in_band(cutout: Cutout, index: int) -> str:
    """Words that name a band where there are several."""
    return f" in band {cutout.bands[index] or index}" if len(cutout.bands) > 1 else ""


def _central(n: int, wanted: int) -> slice:
    """Slice of the central pixels, of the same parity as n."""
    if wanted >= n:
        return slice(0, n)
    margin = (n - wanted) // 2
    return slice(margin, n - margin)
