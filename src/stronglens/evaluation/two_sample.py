"""Numbers that describe images, to tell how unlike two samples of them are: arrays in, arrays out.

The list is fixed, so that figures of different days can be compared. What a classifier makes of the
numbers is in `stronglens.training.two_sample`.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from stronglens.core.errors import WrongShapeError
from stronglens.core.seeds import numpy_generator

N_POWER = 5
"""Rings of the power spectrum."""
LAGS = (1, 2, 3)
"""Distances of the pixels that are correlated [pixel]."""
CENTER_SHARE = 1.0 / 3.0
"""Radius of the centre over that of the annulus around it."""
_MAD_TO_SIGMA = 1.4826
_LOWEST_POWER = 1e-6  # in units of the sky's, so that images of zeros have a logarithm

Features = dict[str, Float[np.ndarray, "_"]]
Images = Float[np.ndarray, "n band y x"]


@dataclass(frozen=True)
class Stack:
    """Images in units of the sky's noise, and which of their pixels count."""

    pixels: Images
    """Flux over sky rms, 0 where a pixel is bad [-]."""
    good: Bool[np.ndarray, "n band y x"]
    """True where a pixel counts."""


def features(
    flux: Images,
    rms: Float[np.ndarray, "image plane"],
    bands: tuple[str, ...],
    *,
    mask: Bool[np.ndarray, "n band y x"] | None = None,
    radius: float | None = None,
) -> Features:
    """The fixed list of features, each a column named after feature and band.

    Per band: power_1 to power_5, log10 of the power in five rings of spatial frequency in units of
    white sky noise; lag_1 to lag_3, the correlation of pixels at that distance along rows and
    columns; concentration, the share of the light within the radius that is in its inner third;
    asymmetry, the light that half a turn about the middle moves over all light. Between each band
    and the first one: colour_center and colour_annulus, of the inner third and of the rest [mag].

    Pixels that are masked or not finite count nowhere; they are 0 in the power spectrum.

    Args:
        flux: Images with the object in the middle, background removed [pixel units].
        rms: Noise of the sky in each image and band, above 0 [pixel units].
        bands: Names of the bands.
        mask: True where a pixel is bad.
        radius: Radius of the aperture; by default a quarter of the shorter side [pixel].

    Returns:
        Columns of n values; NaN where an image has no good pixel for it.

    Reference:
        Conselice 2003, ApJS 147, 1, section 3, for asymmetry, here without the sky's share, which
        both samples have; Abraham et al. 1994, ApJ 432, 75, for the light of an inner part over
        that of the whole; Lupton, Gunn & Szalay 1999, AJ 118, 1406, for magnitudes of noisy flux.
    """
    if rms.shape != flux.shape[:2] or len(bands) != flux.shape[1]:
        raise WrongShapeError(
            f"flux has {flux.shape[0]} images in {flux.shape[1]} bands, rms the shape {rms.shape}, "
            f"and {len(bands)} bands are named. Pass one rms for each image and band."
        )
    stack = _stack(flux, rms, mask)
    side = min(flux.shape[2:])
    outer = side / 4.0 if radius is None else radius
    inside = _distance(flux.shape[2], flux.shape[3]) <= outer
    center = _distance(flux.shape[2], flux.shape[3]) <= CENTER_SHARE * outer
    table = {f"power_{k + 1}": plane for k, plane in enumerate(_power(stack))}
    table |= {f"lag_{lag}": _lag_correlation(stack, lag) for lag in LAGS}
    table |= {
        "concentration": _concentration(stack, center, inside),
        "asymmetry": _asymmetry(stack, inside),
    }
    columns = {
        f"{name}_{band}": np.asarray(values[:, k], np.float64)
        for name, values in table.items()
        for k, band in enumerate(bands)
    }
    for name, where in (("center", center), ("annulus", inside & ~center)):
        magnitude = _magnitude(stack, rms, where)
        for k, band in enumerate(bands[1:], start=1):
            columns[f"colour_{name}_{band}"] = magnitude[:, k] - magnitude[:, 0]
    return columns


def border_rms(
    flux: Images, mask: Bool[np.ndarray, "n band y x"] | None = None
) -> Float[np.ndarray, "n band"]:
    """Noise of the sky from the outer eighth of each image, where no better number is known.

    Args:
        flux: Images [pixel units].
        mask: True where a pixel is bad.

    Returns:
        Robust standard deviation; NaN where the border has no good pixel [pixel units].
    """
    good = np.isfinite(flux) if mask is None else np.isfinite(flux) & ~mask
    width = max(1, min(flux.shape[2:]) // 8)
    border = np.ones(flux.shape[2:], bool)
    border[width:-width, width:-width] = False
    values = np.where(good, flux, np.nan)[:, :, border]
    values = np.where(np.isnan(values).all(axis=2, keepdims=True), 0.0, values)
    middle = np.nanmedian(values, axis=2, keepdims=True)
    sigma = _MAD_TO_SIGMA * np.nanmedian(np.abs(values - middle), axis=2)
    return np.where(sigma > 0, sigma, np.nan).astype(np.float64)


def magnitude_matched(
    first: Float[np.ndarray, "a"],
    second: Float[np.ndarray, "b"],
    seed: int,
    tolerance: float = 0.1,
) -> tuple[Int64[np.ndarray, "pair"], Int64[np.ndarray, "pair"]]:
    """Pairs of two samples of nearly the same magnitude, each object in one pair at most.

    Args:
        first: Magnitudes of the first sample [mag AB].
        second: Magnitudes of the second sample [mag AB].
        seed: Seed of the order in which partners are chosen.
        tolerance: Largest difference of a pair [mag].

    Returns:
        Rows of the first and of the second sample, pair by pair.
    """
    free = np.flatnonzero(np.isfinite(second))
    pairs = []
    for row in numpy_generator(seed, "magnitude match").permutation(len(first)):
        distance = np.abs(second[free] - first[row])
        if len(free) and np.isfinite(first[row]) and distance.min() <= tolerance:
            nearest = int(distance.argmin())
            pairs.append((int(row), int(free[nearest])))
            free = np.delete(free, nearest)
    chosen = np.array(pairs, np.int64).reshape(-1, 2)
    return chosen[:, 0], chosen[:, 1]


def percentile_ranks(few: Features, many: Features) -> Features:
    """Share of a large sample that lies below each image of a small one, ties counting half.

    Args:
        few: Features of some images.
        many: The same features of many images.

    Returns:
        Ranks from 0 to 1; NaN where a feature is not known.
    """
    ranks = {}
    for name, values in few.items():
        known = many[name][np.isfinite(many[name])]
        below = (known < values[:, None]).mean(axis=1) if len(known) else values * np.nan
        ties = (known == values[:, None]).mean(axis=1) if len(known) else values * np.nan
        ranks[name] = np.where(np.isfinite(values), below + 0.5 * ties, np.nan)
    return ranks


def _stack(flux: np.ndarray, rms: np.ndarray, mask: np.ndarray | None) -> Stack:
    good = np.isfinite(flux) if mask is None else np.isfinite(flux) & ~mask
    good &= (np.isfinite(rms) & (rms > 0))[:, :, None, None]
    unit = np.where(rms > 0, rms, 1.0)[:, :, None, None]
    return Stack(np.where(good, flux / unit, 0.0).astype(np.float64), good)


def _distance(height: int, width: int) -> Float[np.ndarray, "y x"]:
    """Distance of each pixel from the middle of the frame [pixel]."""
    y, x = (np.arange(n) - (n - 1) / 2 for n in (height, width))
    return np.hypot(y[:, None], x)


def _known(values: np.ndarray, is_known: np.ndarray) -> np.ndarray:
    return np.where(is_known, values, np.nan)


def _power(stack: Stack) -> Float[np.ndarray, "ring n band"]:
    """log10 of the power in rings of frequency, 0 for white noise of the sky's rms."""
    height, width = stack.pixels.shape[2:]
    taper = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    weight = taper * stack.good
    total = weight.sum(axis=(2, 3), keepdims=True)
    mean = (weight * stack.pixels).sum(axis=(2, 3), keepdims=True) / np.maximum(total, 1e-30)
    wave = np.fft.fft2(weight * (stack.pixels - mean))
    norm = np.maximum((weight**2).sum(axis=(2, 3)), 1e-30)[:, :, None, None]
    power = np.abs(wave) ** 2 / norm
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    # the first waves are those of the taper; corners belong to the last ring
    edges = np.linspace(1.5 / min(height, width), 0.5, N_POWER + 1)
    edges[-1] = 1.0
    rings = [(frequency >= low) & (frequency < high) for low, high in itertools.pairwise(edges)]
    means = np.stack([power[:, :, ring].mean(axis=2) for ring in rings])
    return _known(np.log10(means + _LOWEST_POWER), total[:, :, 0, 0] > 0)


def _lag_correlation(stack: Stack, lag: int) -> Float[np.ndarray, "n band"]:
    """Mean product of good pixels that far apart along rows and columns, over the variance."""
    count = np.maximum(stack.good.sum(axis=(2, 3), keepdims=True), 1)
    mean = stack.pixels.sum(axis=(2, 3), keepdims=True) / count
    values = np.where(stack.good, stack.pixels - mean, 0.0)
    variance = (values**2).sum(axis=(2, 3)) / count[:, :, 0, 0]
    pairs = [
        (values[:, :, lag:], values[:, :, :-lag], stack.good[:, :, lag:] & stack.good[:, :, :-lag]),
        (values[..., lag:], values[..., :-lag], stack.good[..., lag:] & stack.good[..., :-lag]),
    ]
    product = np.add.reduce([(one * other).sum(axis=(2, 3)) for one, other, _ in pairs], axis=0)
    number = np.add.reduce([both.sum(axis=(2, 3)) for *_, both in pairs], axis=0)
    correlation = product / np.maximum(number, 1) / np.maximum(variance, 1e-30)
    return _known(np.asarray(correlation), np.asarray(np.minimum(variance, number) > 0))


def _concentration(
    stack: Stack, center: np.ndarray, inside: np.ndarray
) -> Float[np.ndarray, "n band"]:
    """Share of the light that is in the inner part, between -1 and 2 however noisy."""
    whole = stack.pixels[:, :, inside].sum(axis=2)
    inner = stack.pixels[:, :, center].sum(axis=2)
    safe = np.where(whole == 0, 1.0, whole)
    return _known(
        np.clip(inner / safe, -1.0, 2.0), np.logical_or.reduce(stack.good & inside, axis=(2, 3))
    )


def _asymmetry(stack: Stack, inside: np.ndarray) -> Float[np.ndarray, "n band"]:
    """Light that half a turn moves over twice the light, from pixels good on both sides."""
    turned = stack.pixels[:, :, ::-1, ::-1]
    both = stack.good & stack.good[:, :, ::-1, ::-1] & inside
    moved = np.where(both, np.abs(stack.pixels - turned), 0.0).sum(axis=(2, 3))
    light = np.where(both, np.abs(stack.pixels), 0.0).sum(axis=(2, 3))
    return _known(moved / np.maximum(2.0 * light, 1e-30), light > 0)


def _magnitude(stack: Stack, rms: np.ndarray, where: np.ndarray) -> Float[np.ndarray, "n band"]:
    """Asinh magnitude of the flux in some pixels, softened at its noise [mag]."""
    count = stack.good[:, :, where].sum(axis=2)
    noise = rms * np.sqrt(np.maximum(count, 1))
    flux = stack.pixels[:, :, where].sum(axis=2) * rms
    with np.errstate(divide="ignore", invalid="ignore"):
        luptitude = -2.5 / np.log(10.0) * (np.arcsinh(flux / (2.0 * noise)) + np.log(noise))
    return _known(luptitude, count > 0)
