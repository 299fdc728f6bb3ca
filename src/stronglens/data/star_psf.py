"""The PSF of a tile, from its stars: a stack of them and the Moffat profile that fits it.

Which sources are stars is decided in `stronglens.data.detections`.
"""

import math
from dataclasses import dataclass

import numpy as np
import sep
from jaxtyping import Bool, Float32, Float64
from scipy.ndimage import binary_dilation, shift
from scipy.optimize import least_squares

from stronglens.core.conventions import fwhm_to_sigma
from stronglens.core.errors import MissingDataError, WrongShapeError
from stronglens.data.detections import Detections
from stronglens.data.selection import select_stars
from stronglens.data.stretch import MAD_TO_SIGMA
from stronglens.data.tiles import Tile

MIN_STARS = 3
"""Fewest stars that give a PSF."""
_MAX_STARS = 60
_MARGIN = 3
_SUBPIXELS = 5
_JOIN = 2.0


@dataclass(frozen=True, eq=False)
class MeasuredPsf:
    """PSF of one band."""

    kernel: Float32[np.ndarray, "k k"]
    """As the pixels see it, their own width included; odd, centred, sum 1."""
    fwhm: float
    """Width before the pixels widen it, geometric mean of both axes [arcsec]."""
    fwhm_scatter: float
    """Scatter of ln(width) between the stars of the tile [-]."""
    beta: float
    """Slope of the Moffat wings [-]."""
    e1: float
    """Ellipticity along the axes, e = (1 - q) / (1 + q) [-]."""
    e2: float
    """Ellipticity along the diagonals [-]."""
    n_stars: int
    """Stars in the stack; 0 where the kernel came with the tile."""


@dataclass(frozen=True, eq=False)
class _Star:
    """One star, centred on the middle pixel and divided by its flux."""

    image: Float64[np.ndarray, "k k"]
    weight: Float64[np.ndarray, "k k"]
    flux: float
    diameter: float


def measure_psf(
    tile: Tile, band: int, detections: Detections, size: int | None = None
) -> MeasuredPsf:
    """PSF of one band from the tile's unsaturated stars.

    Stars are moved to the middle of a pixel, divided by their flux, and averaged without their
    neighbours. Far from the centre, where single pixels are noise, their radial mean is taken.

    Args:
        tile: Tile without background.
        band: Index of the band.
        detections: Its sources.
        size: Side of the kernel, odd; by default seven half-light diameters [pixel].

    Raises:
        MissingDataError: Fewer than three stars can be used.
        WrongShapeError: The size is even.

    Reference:
        Moffat 1969, A&A 3, 455, for the profile; order-5 splines move the stars.
    """
    if size is not None and size % 2 == 0:
        raise WrongShapeError(f"size={size} of a PSF kernel is even. Use {size + 1}.")
    diameter = detections.star_diameter
    half = size // 2 if size else math.ceil(3.5 * (diameter if diameter > 0 else 4.0))
    rows = select_stars(detections, seed=0)
    rows = rows[np.argsort(-detections.flux[rows, band], kind="stable")][:_MAX_STARS]
    stars = [_star(tile, band, detections, int(row), half) for row in rows]
    stars = _alike([star for star in stars if star is not None])
    if len(stars) < MIN_STARS:
        raise MissingDataError(
            f"{len(stars)} stars of tile {tile.tile_id} can serve for the PSF of band "
            f"'{tile.bands[band]}'; at least {MIN_STARS} are needed: unsaturated, not at the edge. "
            "Give a larger tile, or a PSF file beside it."
        )
    stacked = _stack(stars)
    fwhm, beta, e1, e2 = fit_moffat(stacked)
    kernel = _with_smooth_wings(stacked, _JOIN * fwhm)
    bright = np.log([star.diameter for star in stars[: max(len(stars) // 2, MIN_STARS)]])
    scatter = MAD_TO_SIGMA * float(np.median(np.abs(bright - np.median(bright))))
    return MeasuredPsf(
        kernel.astype(np.float32), fwhm * tile.pixel_scale, scatter, beta, e1, e2, len(stars)
    )


def describe_kernel(kernel: Float32[np.ndarray, "k l"], pixel_scale: float) -> MeasuredPsf:
    """PSF facts of a kernel that came with a tile.

    Args:
        kernel: Odd, centred, positive sum.
        pixel_scale: Side of a pixel [arcsec].
    """
    half = min(kernel.shape) // 2
    middle = [slice(n // 2 - half, n // 2 + half + 1) for n in kernel.shape]
    square = kernel[middle[0], middle[1]].astype(np.float64)
    square /= square.sum()
    fwhm, beta, e1, e2 = fit_moffat(square)
    return MeasuredPsf(square.astype(np.float32), fwhm * pixel_scale, 0.0, beta, e1, e2, 0)


def fit_moffat(kernel: Float64[np.ndarray, "k k"]) -> tuple[float, float, float, float]:
    """Elliptical Moffat profile, integrated over pixels, that fits a kernel best.

    Args:
        kernel: Odd square kernel, its peak near the middle.

    Returns:
        FWHM before the pixels widen it [pixel], beta, e1, e2.

    Reference:
        Moffat 1969; Trujillo et al. 2001, MNRAS 328, 977, eq. 1.
    """
    n = kernel.shape[0]
    fine = (np.arange(n * _SUBPIXELS) + 0.5) / _SUBPIXELS - n / 2
    coarse = np.arange(n) - n // 2
    is_fitted = np.hypot(coarse[:, None], coarse) <= n // 2
    scale = float(kernel.max())

    def residuals(values: np.ndarray) -> np.ndarray:
        x0, y0, amplitude, sky = values[:4]
        profile = _moffat(fine - x0, fine[:, None] - y0, values[4:])
        pixels = profile.reshape(n, _SUBPIXELS, n, _SUBPIXELS).mean(axis=(1, 3))
        return (amplitude * pixels + sky - kernel / scale)[is_fitted]

    width = 2.0 * math.sqrt((kernel > scale / 2).sum() / math.pi)
    start = [0.0, 0.0, 1.2, 0.0, math.log(max(width, 1.0)), math.log(2.0), 0.0, 0.0]
    low = [-2.0, -2.0, 0.1, -0.2, math.log(0.3), math.log(0.1), -0.7, -0.7]
    high = [2.0, 2.0, 20.0, 0.2, math.log(float(n)), math.log(20.0), 0.7, 0.7]
    fit = least_squares(residuals, start, bounds=(low, high), x_scale=0.1)
    return math.exp(fit.x[4]), 1.0 + math.exp(fit.x[5]), float(fit.x[6]), float(fit.x[7])


def _moffat(x: np.ndarray, y: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Elliptical Moffat of peak 1; shape is ln(FWHM), ln(beta - 1), e1, e2."""
    fwhm, beta = math.exp(shape[0]), 1.0 + math.exp(shape[1])
    e1, e2 = shape[2], shape[3]
    norm = e1 * e1 + e2 * e2
    radius2 = (1 + norm - 2 * e1) * x**2 + (1 + norm + 2 * e1) * y**2 - 4 * e2 * x * y
    core = fwhm / (2.0 * math.sqrt(2.0 ** (1.0 / beta) - 1.0))
    return (1.0 + radius2 / (1 - norm) / core**2) ** -beta


def _star(tile: Tile, band: int, detections: Detections, row: int, half: int) -> _Star | None:
    """One star ready for the stack; None where it is too near the border or not positive."""
    y, x = round(detections.y[row]), round(detections.x[row])
    reach = half + _MARGIN
    if not (reach <= y < tile.height - reach and reach <= x < tile.width - reach):
        return None
    box = (slice(y - reach, y + reach + 1), slice(x - reach, x + reach + 1))
    labels = detections.segmentation[box]
    other = binary_dilation((labels != 0) & (labels != row + 1), iterations=2)
    bad = (other & (labels != row + 1)) | tile.mask[band][box]
    image = tile.flux[band][box].astype(np.float64)
    offsets = np.arange(-reach, reach + 1)
    radius = np.hypot(offsets[:, None], offsets)
    outside = (radius > 0.8 * half) & ~bad & (labels == 0)
    image -= np.median(image[outside]) if outside.any() else 0.0
    image, good = _filled(image, bad)
    sigma = float(fwhm_to_sigma(detections.star_diameter * 0.75))
    x0, y0, _ = sep.winpos(image, [float(reach)], [float(reach)], [sigma])
    move = (reach - float(y0[0]), reach - float(x0[0]))
    if max(abs(move[0]), abs(move[1])) > _MARGIN - 1:
        return None
    inner = slice(_MARGIN, -_MARGIN)
    image = np.ascontiguousarray(shift(image, move, order=5, mode="nearest")[inner, inner])
    weight = shift(good.astype(np.float64), move, order=1, mode="nearest")[inner, inner]
    return _normalised(image, (weight > 0.99).astype(np.float64), detections.star_diameter)


def _normalised(image: np.ndarray, weight: np.ndarray, diameter: float) -> _Star | None:
    """Star divided by its flux within 1.5 half-light diameters."""
    middle = image.shape[0] // 2
    flux, _, _ = sep.sum_circle(image, [middle], [middle], 1.5 * diameter)
    size, _ = sep.flux_radius(image, [middle], [middle], [1.5 * diameter], 0.5)
    if not (flux[0] > 0 and size[0] > 0):
        return None
    return _Star(image / flux[0], weight, float(flux[0]), float(2 * size[0]))


def _filled(
    image: Float64[np.ndarray, "k k"], bad: Bool[np.ndarray, "k k"]
) -> tuple[np.ndarray, np.ndarray]:
    """Image with bad pixels taken from across the centre, else 0, and where it is good."""
    opposite = image[::-1, ::-1]
    is_usable = ~bad[::-1, ::-1]
    return np.where(bad, np.where(is_usable, opposite, 0.0), image), ~bad


def _alike(stars: list[_Star]) -> list[_Star]:
    """Stars whose core agrees with that of the median star: no galaxies, no saturated ones."""
    if len(stars) < MIN_STARS:
        return stars
    images = np.stack([star.image for star in stars])
    median = np.median(images, axis=0)
    offsets = np.arange(median.shape[0]) - median.shape[0] // 2
    core = np.hypot(offsets[:, None], offsets) < 0.75 * np.median([s.diameter for s in stars])
    distance = np.abs(images - median)[:, core].sum(axis=1)
    limit = 2.5 * np.median(distance)
    return [star for star, d in zip(stars, distance, strict=True) if d <= limit]


def _stack(stars: list[_Star]) -> Float64[np.ndarray, "k k"]:
    """Mean of stars, each with its S/N squared as weight up to three times the median star."""
    flux = np.array([star.flux for star in stars])
    power = np.minimum(flux, 3.0 * np.median(flux)) ** 2
    weights = power[:, None, None] * np.stack([star.weight for star in stars])
    total = weights.sum(axis=0)
    images = np.stack([star.image for star in stars])
    # where every star has a neighbour the pixel from across its centre is all there is
    plain = (images * power[:, None, None]).sum(axis=0) / power.sum()
    stacked = np.where(total > 0, (weights * images).sum(axis=0) / np.maximum(total, 1e-30), plain)
    return stacked / stacked.sum()


def _with_smooth_wings(kernel: np.ndarray, join: float) -> Float64[np.ndarray, "k k"]:
    """Kernel whose pixels beyond a radius go over into their radial mean; none negative."""
    offsets = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
    radius = np.hypot(offsets[:, None], offsets)
    ring = np.rint(radius).astype(int)
    count = np.bincount(ring.ravel())
    profile = np.bincount(ring.ravel(), kernel.ravel()) / count
    smooth = np.interp(radius, np.arange(len(profile)), profile)
    share = np.clip((radius - join) / 2.0, 0.0, 1.0)
    mixed = np.maximum((1 - share) * kernel + share * smooth, 0.0)
    return mixed / mixed.sum()
