"""Features of a residual image that lie along a ring, and numbers that sum them up.

The residual and the finder built on these numbers are in `ring.py`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32
from scipy import ndimage

SIGNIFICANCE = 1.2
"""Least significance of a pixel of a feature [sigma]."""
LEAST_PIXELS = 10
"""Least number of pixels of a feature."""
INNERMOST, OUTERMOST = 0.5, 2.7
"""Range of the distance of a feature's centroid [arcsec]."""
LEAST_MINOR = 0.2
"""Least semi-minor axis of a feature, as the root of its second moment [arcsec]."""
FAINTEST = 25.5
"""Faintest magnitude of a feature [mag AB]."""
FAINTEST_SURFACE = 26.3
"""Faintest mean surface brightness of a feature [mag/arcsec^2]."""
LARGEST_TILT = 30.0
"""Largest angle between a feature and the tangent [deg]."""
LONGEST_AXIS_RATIO = 0.7
"""Axis ratio below which a single feature is enough."""

SUMMARY = (
    "is_ring", "n_features", "log_significance", "log_significance_in_annulus", "elongation",
    "significant_part",
)  # fmt: skip
"""What `ring_summary` returns: whether the published rule calls it a ring, number of features that
pass all cuts (at most 4), logarithm of one plus their total significance, the same of all features
centred in the annulus, the largest 1 - q of a feature that passes, and the part of the annulus
above 1.2 sigma."""


@dataclass(frozen=True)
class RingGrid:
    """What turns pixels into angles and fluxes into magnitudes."""

    pixel_scale: float
    """Side of a pixel [arcsec]."""
    zero_point: float | None
    """Magnitude of one unit of the residual [mag AB]; None leaves out the cuts on magnitude."""


@dataclass(frozen=True)
class Features:
    """Connected pixels above the significance, all images together."""

    image: np.ndarray
    """Image each belongs to."""
    significance: Float[np.ndarray, "feature"]
    """Mean significance times the root of the number of pixels."""
    distance: Float[np.ndarray, "feature"]
    """Distance of the centroid from the centre of the image [arcsec]."""
    axis_ratio: Float[np.ndarray, "feature"]
    """Minor over major axis, from second moments."""
    is_good: Bool[np.ndarray, "feature"]
    """Whether it passes all cuts."""


def ring_summary(
    significance: Float32[np.ndarray, "n y x"],
    residual: Float32[np.ndarray, "n y x"],
    grid: RingGrid,
) -> Float32[np.ndarray, "n 6"]:
    """Numbers of each image, as named in `SUMMARY`.

    Args:
        significance: Residual over its noise [sigma].
        residual: Image without the light that has the deflector's colour [pixel units].
        grid: Pixel scale and zero point.
    """
    n = len(significance)
    found = find_features(significance, residual, grid)
    in_annulus = (found.distance > INNERMOST) & (found.distance < OUTERMOST)

    def total(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return np.bincount(found.image[chosen], values[chosen], minlength=n)

    n_good = total(np.ones(len(found.image)), found.is_good)
    elongation = np.zeros(n)
    np.maximum.at(elongation, found.image[found.is_good], 1 - found.axis_ratio[found.is_good])
    is_ring = (n_good >= 2) | ((n_good == 1) & (elongation > 1 - LONGEST_AXIS_RATIO))
    distance = _distances(significance.shape[1:], grid.pixel_scale)
    annulus = (distance > INNERMOST) & (distance < OUTERMOST)
    part = (significance > SIGNIFICANCE)[:, annulus].sum(1) / max(int(annulus.sum()), 1)
    columns = (
        is_ring,
        np.minimum(n_good, 4),
        np.log1p(total(found.significance, found.is_good)),
        np.log1p(total(found.significance, in_annulus)),
        elongation,
        part,
    )
    return np.stack(columns, axis=1).astype(np.float32)


def find_features(
    significance: Float32[np.ndarray, "n y x"],
    residual: Float32[np.ndarray, "n y x"],
    grid: RingGrid,
) -> Features:
    """Connected pixels above 1.2 sigma, at least ten of them, with their moments.

    Args:
        significance: Residual over its noise [sigma].
        residual: The residual itself, which weighs the moments [pixel units].
        grid: Pixel scale and zero point.

    Reference:
        Gavazzi et al. 2014, ApJ 785, 144; cuts as in the code of Collett 2015, ApJ 811, 20.
    """
    which, (image, row, column), n_found = _significant_pixels(significance)
    height, width = significance.shape[1:]
    x = (column - (width - 1) / 2) * grid.pixel_scale
    y = (row - (height - 1) / 2) * grid.pixel_scale

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(which, values, minlength=n_found)

    weight = residual[image, row, column].astype(float)
    flux, count = total(weight), total(np.ones(len(which)))
    x_mean, y_mean = total(weight * x) / flux, total(weight * y) / flux
    dx, dy = x - x_mean[which], y - y_mean[which]
    xx, yy, xy = (total(weight * a * b) / flux for a, b in ((dx, dx), (dy, dy), (dx, dy)))
    minor, axis_ratio, angle = _ellipses(xx, yy, xy)
    distance = np.hypot(x_mean, y_mean)
    tilt = angle - np.arctan2(y_mean, x_mean) - 0.5 * np.pi
    is_good = (distance >= INNERMOST) & (distance <= OUTERMOST) & (minor >= LEAST_MINOR)
    is_good &= np.abs(np.sin(tilt)) <= np.sin(np.deg2rad(LARGEST_TILT))
    is_good &= _is_bright(flux, count, grid)
    image_of = np.zeros(n_found, dtype=np.int64)
    image_of[which] = image
    strength = total(significance[image, row, column]) / np.sqrt(count)
    return Features(image_of, strength, distance, axis_ratio, is_good)


def _significant_pixels(
    significance: Float32[np.ndarray, "n y x"],
) -> tuple[np.ndarray, tuple[np.ndarray, ...], int]:
    """Feature of each pixel that belongs to one, where the pixel is, and the number of features."""
    neighbours = ndimage.generate_binary_structure(3, 1)
    neighbours[[0, 2]] = False  # pixels of different images never touch
    labels = np.zeros(significance.shape, dtype=np.int32)
    ndimage.label(significance > SIGNIFICANCE, neighbours, output=labels)
    n_pixels = np.bincount(labels.ravel(), minlength=1)
    n_pixels[0] = 0
    is_large = n_pixels >= LEAST_PIXELS
    at = np.nonzero(is_large[labels])
    return (np.cumsum(is_large) - 1)[labels[at]], at, int(is_large.sum())


def _ellipses(
    xx: np.ndarray, yy: np.ndarray, xy: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Semi-minor axis, axis ratio and angle of the major axis [rad] of second moments."""
    mean, spread = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
    minor = np.sqrt(np.maximum(mean - spread, 0))
    major = np.sqrt(np.maximum(mean + spread, 1e-12))
    return minor, minor / major, 0.5 * np.arctan2(2 * xy, xx - yy)


def _is_bright(flux: np.ndarray, n_pixels: np.ndarray, grid: RingGrid) -> np.ndarray:
    """Whether features pass the cuts on magnitude and mean surface brightness."""
    if grid.zero_point is None:
        return np.ones(len(flux), dtype=bool)
    area = n_pixels * grid.pixel_scale**2
    magnitude = grid.zero_point - 2.5 * np.log10(flux)
    surface = magnitude + 2.5 * np.log10(area)
    return (magnitude <= FAINTEST) & (surface <= FAINTEST_SURFACE)


def _distances(shape: tuple[int, ...], pixel_scale: float) -> np.ndarray:
    """Distance of each pixel from the centre of the image [arcsec]."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return pixel_scale * np.hypot(x - (shape[1] - 1) / 2, y - (shape[0] - 1) / 2)
