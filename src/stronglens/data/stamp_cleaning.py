"""Stamp of a galaxy without sky, neighbours, noise and hard edges; reading it is elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sep
from jaxtyping import Bool, Float64
from scipy.ndimage import center_of_mass, distance_transform_edt

from stronglens.core.errors import MissingDataError
from stronglens.data.starlet import denoised, robust_sigma, starlet

_N_SCALES = 3
_SMALLEST_SKY = 500
_THRESHOLD = 1.5
# Gaussian of 4 pixels FWHM: finds faint outskirts and keeps outlines smooth
_FILTER = np.exp(-4.0 * np.log(2.0) * np.arange(-4, 5) ** 2 / 4.0**2)


@dataclass(frozen=True, eq=False)
class FoundGalaxy:
    """A stamp without its sky level, its objects told apart."""

    image: Float64[np.ndarray, "y x"]
    """Light and noise [pixel units]."""
    sigma: float
    """Noise of a single pixel [pixel units]."""
    is_galaxy: Bool[np.ndarray, "y x"]
    """True on the galaxy."""
    is_other: Bool[np.ndarray, "y x"]
    """True on other objects and two pixels around them."""


def cut_out(image: Float64[np.ndarray, "y x"], sky: float, variance: float) -> FoundGalaxy:
    """Subtract the sky and find the galaxy, which is the object nearest to the middle.

    Args:
        image: Stamp as published.
        sky: Its sky level [pixel units].
        variance: Variance of a single pixel's noise [pixel units^2].

    Returns:
        The stamp; nothing is marked where no object stands out.

    Reference:
        Bertin & Arnouts 1996 for detection and deblending, as done by sep.
    """
    image, sigma = image - sky, float(variance) ** 0.5
    _, labels = sep.extract(
        image,
        _THRESHOLD,
        err=sigma,
        minarea=20,
        filter_kernel=np.outer(_FILTER, _FILTER),
        deblend_cont=0.05,
        segmentation_map=True,
    )
    places = np.argwhere(labels > 0)
    if not len(places):
        nothing = np.zeros(image.shape, bool)
        return FoundGalaxy(image, sigma, nothing, nothing)
    middle = 0.5 * (np.array(image.shape) - 1)
    nearest = places[np.argmin(((places - middle) ** 2).sum(axis=1))]
    galaxy = labels == labels[tuple(nearest)]
    others = _grown((labels > 0) & ~galaxy, 2.0) & ~galaxy
    return FoundGalaxy(image, sigma, galaxy, others)


def _n_scales(image: np.ndarray) -> int:
    """Scales whose kernel fits into the image."""
    return int(np.clip(np.log2(min(image.shape) / 4), 1, _N_SCALES))


def noise_gain(stamps: Sequence[FoundGalaxy]) -> Float64[np.ndarray, "scale"]:
    """Noise of each scale over that of single pixels, from the sky of all stamps together.

    The noise of mosaics is correlated, so it is larger on coarse scales than that of independent
    pixels; each stamp alone has too little sky to tell.

    Args:
        stamps: Stamps of one catalogue.

    Returns:
        Ratios, finest scale first; NaN for a scale that no stamp is large enough for [-].

    Raises:
        MissingDataError: There is too little sky.
    """
    sky: list[list[np.ndarray]] = [[] for _ in range(_N_SCALES)]
    for stamp in stamps:
        is_sky = ~_grown(stamp.is_galaxy | stamp.is_other, 3.0)
        details = starlet(stamp.image, _n_scales(stamp.image))[:-1]
        for plane, values in zip(details, sky, strict=False):
            values.append(plane[is_sky] / stamp.sigma)
    pooled = [np.concatenate([np.zeros(0), *values]) for values in sky]
    if len(pooled[0]) < _SMALLEST_SKY:
        raise MissingDataError(
            f"only {len(pooled[0])} pixels of sky around all stamps; their noise needs "
            f"{_SMALLEST_SKY}. Read more stamps, or larger ones."
        )
    return np.array([robust_sigma(values) for values in pooled])


def clean(
    stamp: FoundGalaxy, gain: Float64[np.ndarray, "scale"], n_sigma: float
) -> Float64[np.ndarray, "y x"]:
    """Light of the galaxy alone.

    Other objects are replaced by the opposite side of the galaxy, then noise is removed, and the
    rest tapered to zero around the galaxy and towards the edges.

    Args:
        stamp: Stamp with its objects told apart.
        gain: What `noise_gain` found.
        n_sigma: Details below this many sigma are noise [-].

    Returns:
        Light, zero where there is no galaxy [pixel units].
    """
    if not stamp.is_galaxy.any():
        return np.zeros_like(stamp.image)
    opposite = _opposite(stamp.is_galaxy)
    filled = np.where(stamp.is_other, stamp.image[opposite], stamp.image)
    filled[stamp.is_other & stamp.is_other[opposite]] = 0.0
    smooth = denoised(filled, gain[: _n_scales(filled)] * stamp.sigma, n_sigma)
    support = stamp.is_galaxy | (stamp.is_other & stamp.is_galaxy[opposite])
    return smooth * _taper(support)


def _opposite(is_galaxy: Bool[np.ndarray, "y x"]) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the pixel on the other side of the galaxy's centre."""
    turned = [
        np.clip(np.rint(2.0 * middle - index), 0, n - 1).astype(int)
        for middle, index, n in zip(
            center_of_mass(is_galaxy), np.indices(is_galaxy.shape), is_galaxy.shape, strict=True
        )
    ]
    return turned[0], turned[1]


def _taper(support: Bool[np.ndarray, "y x"]) -> Float64[np.ndarray, "y x"]:
    """Weight of one inside the galaxy that falls smoothly to zero around it and at the edges."""
    reach = max(3.0, 0.3 * float(np.sqrt(support.sum() / np.pi)))
    depth = _distance(np.pad(_grown(support, reach), 1))[1:-1, 1:-1]
    ramp = np.clip(depth / reach, 0.0, 1.0)
    return ramp * ramp * (3.0 - 2.0 * ramp)


def _grown(region: Bool[np.ndarray, "y x"], reach: float) -> Bool[np.ndarray, "y x"]:
    """Region and all within reach of it [pixel]; nothing around nothing."""
    return _distance(~region) <= reach if region.any() else region


def _distance(inside: Bool[np.ndarray, "y x"]) -> Float64[np.ndarray, "y x"]:
    """Distance to the nearest pixel that is not inside [pixel]."""
    return np.asarray(distance_transform_edt(inside))
