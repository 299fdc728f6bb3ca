"""Pixels with positions: what is cut out of an image, binned, and blurred for a fit.

What is fitted to them is in `inversion`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse
from scipy.ndimage import binary_dilation, convolve1d

from stronglens.measurement.lens_image import LensImage

_FEWEST_OF_FOUR = 3


@dataclass(frozen=True, eq=False)
class Frame:
    """An image with the position of every pixel, measured from the middle of the whole image."""

    image: LensImage
    """The pixels."""
    x: Float[np.ndarray, "y x"]
    """Positions along x [arcsec]."""
    y: Float[np.ndarray, "y x"]
    """Positions along y [arcsec]."""


def frame_of(image: LensImage, reach: float | None = None) -> Frame:
    """Place the pixels of an image, or of the middle of it.

    Args:
        image: The image.
        reach: Farthest that is kept from the middle along x or y [arcsec]; all where None.
    """
    height, width = image.flux.shape
    x = (np.arange(width) - 0.5 * (width - 1)) * image.pixel_scale
    y = (np.arange(height) - 0.5 * (height - 1)) * image.pixel_scale
    rows = slice(None) if reach is None else _within(y, reach)
    columns = slice(None) if reach is None else _within(x, reach)
    grid_x, grid_y = np.meshgrid(x[columns], y[rows])
    parts = {name: getattr(image, name)[rows, columns] for name in ("flux", "sigma", "mask")}
    return Frame(image.replaced(**parts), grid_x, grid_y)


def binned(frame: Frame) -> Frame:
    """Join pixels two by two, weighted by their inverse variance; a row left over is dropped.

    Args:
        frame: At least two pixels a side.

    Returns:
        Mean flux per old pixel, its noise, and the PSF on the new pixels.
    """
    image = frame.image
    weight = np.where(image.is_good, 1.0 / np.where(image.is_good, image.sigma, 1.0) ** 2, 0.0)
    flux = np.where(image.is_good, image.flux, 0.0)
    total = _fours(weight).sum(axis=(1, 3))
    known = np.maximum(total, np.finfo(float).tiny)
    bad = _fours(image.is_good.astype(float)).sum(axis=(1, 3)) < _FEWEST_OF_FOUR
    joined = image.replaced(
        flux=_fours(weight * flux).sum(axis=(1, 3)) / known,
        sigma=np.where(bad, 1.0, 1.0 / np.sqrt(known)),
        mask=bad,
        psf=_coarse_psf(image.psf),
        pixel_scale=2.0 * image.pixel_scale,
    )
    return Frame(joined, _fours(frame.x).mean(axis=(1, 3)), _fours(frame.y).mean(axis=(1, 3)))


@dataclass(frozen=True, eq=False)
class FitRegion:
    """Pixels that are fitted, the rays that light them, and the blur in between."""

    is_fitted: Bool[np.ndarray, "y x"]
    """Where in the frame the fitted pixels are."""
    is_lit: Bool[np.ndarray, "y x"]
    """Where light may come from: the fitted region and what the PSF adds around it."""
    rays_x: Float[np.ndarray, "ray"]
    """Positions of the rays, those of one lit pixel together [arcsec]."""
    rays_y: Float[np.ndarray, "ray"]
    """The same along y [arcsec]."""
    blur: sparse.csr_array
    """Fitted pixels from lit pixels."""
    rays_per_pixel: int
    """Rays in each lit pixel."""


def fit_region(frame: Frame, is_inside: Bool[np.ndarray, "y x"], n_sub: int = 2) -> FitRegion:
    """Choose the good pixels of an area, with the blur that reaches them.

    Args:
        frame: The pixels.
        is_inside: The area.
        n_sub: Rays along the side of a pixel.
    """
    psf, step = frame.image.psf, frame.image.pixel_scale
    half_y, half_x = psf.shape[0] // 2, psf.shape[1] // 2
    box = np.ones((2 * half_y + 1, 2 * half_x + 1), bool)
    is_lit = np.asarray(binary_dilation(is_inside, structure=box), bool)
    is_fitted = is_inside & frame.image.is_good
    offsets = (np.arange(n_sub) - 0.5 * (n_sub - 1)) / n_sub * step
    dx, dy = np.meshgrid(offsets, offsets)
    rays_x = frame.x[is_lit][:, None] + dx.ravel()
    rays_y = frame.y[is_lit][:, None] + dy.ravel()
    blur = _blur_matrix(is_fitted, is_lit, psf)
    return FitRegion(is_fitted, is_lit, rays_x.ravel(), rays_y.ravel(), blur, n_sub * n_sub)


def _blur_matrix(
    is_fitted: Bool[np.ndarray, "y x"], is_lit: Bool[np.ndarray, "y x"], psf: np.ndarray
) -> sparse.csr_array:
    """Matrix of the convolution, rows the fitted pixels, columns the lit ones."""
    index = np.full(is_lit.shape, -1)
    index[is_lit] = np.arange(is_lit.sum())
    rows, columns = np.nonzero(is_fitted)
    ky, kx = (grid.ravel() for grid in np.indices(psf.shape))
    y = rows[:, None] - (ky - psf.shape[0] // 2)
    x = columns[:, None] - (kx - psf.shape[1] // 2)
    in_frame = (y >= 0) & (y < is_lit.shape[0]) & (x >= 0) & (x < is_lit.shape[1])
    source = np.where(in_frame, index[np.where(in_frame, y, 0), np.where(in_frame, x, 0)], -1)
    pixel = np.broadcast_to(np.arange(len(rows))[:, None], source.shape)
    kernel = np.broadcast_to(psf.ravel(), source.shape)
    used = source >= 0
    entries = (kernel[used], (pixel[used], source[used]))
    return sparse.coo_array(entries, shape=(len(rows), int(is_lit.sum()))).tocsr()


def _within(line: np.ndarray, reach: float) -> slice:
    inside = np.flatnonzero(np.abs(line) <= reach)
    return slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0)


def _fours(values: np.ndarray) -> np.ndarray:
    """Pixels two by two as (y, 2, x, 2)."""
    height, width = values.shape[0] // 2, values.shape[1] // 2
    return values[: 2 * height, : 2 * width].reshape(height, 2, width, 2)


def _coarse_psf(psf: np.ndarray) -> np.ndarray:
    """PSF between pixels twice as large: two boxes of two pixels, less the one the rays make."""
    blurred = np.pad(psf, 2)
    for axis in (0, 1):
        blurred = convolve1d(blurred, np.array([0.5, 1.0, 0.5]), axis=axis, mode="constant")
    middles = [n // 2 for n in blurred.shape]
    halves = [middle // 2 for middle in middles]
    rows, columns = (
        slice(m - 2 * h, m + 2 * h + 1, 2) for m, h in zip(middles, halves, strict=True)
    )
    coarse = blurred[rows, columns]
    return coarse / coarse.sum()
