"""Many cutouts of one tile brought to a finder's grid at once, as `data.resample` does for one.

Cutting them from the tile is in `stronglens.data.cutting`.
"""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float32

from stronglens.data.resample import (
    CORRELATED,
    LARGEST_BAD_SHARE,
    Axis,
    Target,
    axis_weights,
)
from stronglens.data.stretch import sky_sigma

Planes = Float32[np.ndarray, "n band y x"]
Resampled = Float32[np.ndarray, "n band h w"]
_SAME = 1e-3
_MARGIN = 10


def native_size(target: Target, pixel_scale: float) -> int:
    """Side of the square cutout that a target grid needs, in pixels of a tile.

    Args:
        target: Grid wanted.
        pixel_scale: Side of a pixel of the tile [arcsec].
    """
    side = max(target.height, target.width)
    if is_same_scale(target, pixel_scale):
        return side
    return math.ceil(side * target.pixel_scale / pixel_scale) + 2 * _MARGIN


def is_same_scale(target: Target, pixel_scale: float) -> bool:
    """Whether pixels can be taken as they are: their sides agree to a thousandth."""
    return abs(target.pixel_scale / pixel_scale - 1) < _SAME


def resample_many(
    flux: Planes,
    ivar: Planes,
    mask: Bool[np.ndarray, "n band y x"],
    pixel_scale: float,
    factor: float,
    target: Target,
) -> tuple[Resampled, Resampled, Bool[np.ndarray, "n band h w"]]:
    """Flux, inverse variance and mask on the target's pixels, centre on centre.

    Where the pixel scales agree, the central pixels are taken as they are; else each axis goes
    through the histospline of `data.resample`. Inverse variance is made no smaller than the
    scatter of the sky allows, and is 0 in bad pixels.

    Args:
        flux: Squares around the targets; finite [pixel units of the tile].
        ivar: Inverse variance; 0 where nothing is known.
        mask: True where a pixel is bad.
        pixel_scale: Side of a pixel of the tile [arcsec].
        factor: Pixel units of the target in one of the tile.
        target: Grid wanted.
    """
    if is_same_scale(target, pixel_scale):
        rows, columns = (_central(flux.shape[-1], n) for n in (target.height, target.width))
        inner = (..., rows, columns)
        flux, ivar, bad = flux[inner], ivar[inner], mask[inner]
    else:
        ratio = target.pixel_scale / pixel_scale
        down = axis_weights(flux.shape[-2], target.height, ratio)
        across = axis_weights(flux.shape[-1], target.width, ratio)
        bad = _share(mask, down, across) > LARGEST_BAD_SHARE
        ivar = _carried(ivar, down, across)
        flux = _both(flux, down.spline, across.spline)
    if factor != 1:
        flux = flux * np.float32(factor)
    if ivar.any():
        ivar = np.where(bad, np.float32(0), ivar / np.float32(factor**2))
        ivar = _as_scattered(flux, ivar, bad)
    return flux, ivar, bad


def _central(n: int, wanted: int) -> slice:
    start = (n - wanted) // 2
    return slice(start, start + wanted)


def _both(planes: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Planes (…, y, x) times the weights of both axes."""
    return down.astype(np.float32) @ planes @ across.astype(np.float32).T


def _share(bad: np.ndarray, down: Axis, across: Axis) -> np.ndarray:
    """Part of each new pixel that was bad."""
    if not bad.any():
        return np.zeros((*bad.shape[:2], len(down.area), len(across.area)), np.float32)
    area = np.outer(down.area.sum(1), across.area.sum(1)).astype(np.float32)
    return _both(bad.astype(np.float32), down.area, across.area) / area


def _carried(ivar: Planes, down: Axis, across: Axis) -> np.ndarray:
    """Inverse variance of new pixels; 0 where more than a tenth of the old ones was unknown."""
    known = ivar > 0
    if not known.any():
        return np.zeros((*ivar.shape[:2], len(down.area), len(across.area)), np.float32)
    variance = np.divide(1, ivar, out=np.zeros_like(ivar), where=known)
    for row, band in zip(*np.nonzero(~known.all(axis=(2, 3))), strict=True):
        plane, is_known = variance[row, band], known[row, band]
        plane[~is_known] = np.median(plane[is_known]) if is_known.any() else 0
    carried = _both(variance, down.spline**2, across.spline**2)
    usable = (_share(~known, down, across) <= LARGEST_BAD_SHARE) & (carried > 0)
    return np.divide(1, carried, out=np.zeros_like(carried), where=usable)


def _as_scattered(
    flux: Resampled, ivar: Resampled, bad: Bool[np.ndarray, "n band h w"]
) -> Resampled:
    """Inverse variance no smaller than the scatter of the sky allows."""
    images, noise = torch.from_numpy(flux), torch.from_numpy(ivar)
    mask = torch.from_numpy(bad) if bad.any() else None
    seen = sky_sigma(images, None, mask).numpy()
    stated = sky_sigma(images, noise, mask).numpy()
    ratio = np.divide(seen, stated, out=np.ones_like(seen), where=(seen > 0) & (stated > 0))
    scale = np.where(ratio < CORRELATED, ratio, np.float32(1))
    return ivar / scale[:, :, None, None] ** 2
