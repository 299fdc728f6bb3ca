"""Noise of the sky in a tile: its strength, how it is correlated between pixels, and the gain.

What counts as sky is decided by the sources found in `stronglens.data.detections`.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64
from scipy.ndimage import convolve, uniform_filter

from stronglens.core.errors import MissingDataError
from stronglens.data.detections import sky_rms
from stronglens.data.stretch import MAD_TO_SIGMA

MAX_LAG = 8
"""Largest distance of pixels whose covariance is measured [pixel]."""
BLOCK = 10
"""Side of the blocks whose scatter is compared with that of white noise [pixel]."""
CELL = 48
"""Side of the squares between which the strength of the noise is compared [pixel]."""
_FEWEST_PIXELS = 400
_FEWEST_CELLS = 20
_CLIP = 5.0
_STENCIL = np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0]) / 6.0


@dataclass(frozen=True, eq=False)
class SkyNoise:
    """Noise of one band between the sources."""

    level: float
    """Median of the sky as stored; 0 where it had been subtracted [pixel units]."""
    rms: float
    """Standard deviation of a pixel [pixel units]."""
    covariance: Float64[np.ndarray, "j k"]
    """Covariance of two pixels by their distance in y and x, distance 0 in the middle."""
    block_ratio: float
    """Scatter of means of 10 x 10 pixels over that of white noise; NaN where too few are free."""
    n_pixels: int
    """Pixels measured."""
    scatter: float = 0.0
    """Scatter of ln(rms) from place to place, where more and fewer exposures overlap; 0 where too
    few squares are free."""

    @property
    def correlation(self) -> Float64[np.ndarray, "j k"]:
        """Covariance over the variance; 1 in the middle [-]."""
        return self.covariance / self.covariance.max()

    def power(self, height: int, width: int) -> Float64[np.ndarray, "y x"]:
        """Power spectrum on the grid of an image of that size; its mean is the variance.

        Args:
            height: Rows, more than twice the largest lag.
            width: Columns, more than twice the largest lag.

        Reference:
            Wiener-Khinchin theorem: the power is the Fourier transform of the covariance.
        """
        lag = self.covariance.shape[0] // 2
        padded = np.zeros((height, width))
        padded[: 2 * lag + 1, : 2 * lag + 1] = self.covariance
        power = np.fft.fft2(np.roll(padded, (-lag, -lag), (0, 1))).real
        power = np.maximum(power, 0.0)
        return power * (self.covariance[lag, lag] / power.mean())


def measure_sky_noise(
    stored: Float32[np.ndarray, "y x"],
    flat: Float32[np.ndarray, "y x"],
    is_sky: Bool[np.ndarray, "y x"],
) -> SkyNoise:
    """Noise of the pixels of the sky.

    Args:
        stored: Image as stored [pixel units].
        flat: Image without its smooth background [pixel units].
        is_sky: Good pixels without sources.

    Raises:
        MissingDataError: Too few pixels are sky.

    Reference:
        Labbe et al. 2003, AJ 125, 1107, section 5, for the scatter of blocks.
    """
    if is_sky.sum() < _FEWEST_PIXELS:
        raise MissingDataError(
            f"{int(is_sky.sum())} pixels of the tile are free of sources; at least "
            f"{_FEWEST_PIXELS} are needed to measure the noise. Give a larger tile."
        )
    rms = sky_rms(flat, is_sky)
    centre = float(np.median(flat[is_sky]))
    used = is_sky & (np.abs(flat - centre) < _CLIP * rms)
    values = np.where(used, flat - flat[used].mean(dtype=np.float64), 0.0)
    covariance = _covariance(values, used)
    rms = float(np.sqrt(covariance[MAX_LAG, MAX_LAG]))
    return SkyNoise(
        level=float(np.median(stored[is_sky])),
        rms=rms,
        covariance=covariance,
        block_ratio=_block_ratio(values, used, rms),
        n_pixels=int(used.sum()),
        scatter=_scatter(values, used, covariance),
    )


def estimate_gain(
    flat: Float32[np.ndarray, "y x"], good: Bool[np.ndarray, "y x"], noise: SkyNoise
) -> float | None:
    """Effective gain from how the pixel scatter grows with the flux of smooth galaxies.

    The mixed second difference removes what is smooth over three pixels and keeps noise. Its
    variance is that of the sky, plus the flux over the gain, plus the square of the flux times the
    structure that is left; the gain comes from the middle term.

    Args:
        flat: Image without background [pixel units].
        good: Pixels that are not bad.
        noise: Noise of the sky.

    Returns:
        Electrons per pixel unit, or None where the middle term is below 4 of its errors.

    Reference:
        Janesick 2001, Scientific Charge-Coupled Devices, chapter 2: the photon transfer curve.
    """
    is_usable = ~uniform_filter((~good).astype(np.float32), 3).astype(bool)
    difference = convolve(flat.astype(np.float64), _STENCIL)[is_usable]
    flux = uniform_filter(flat.astype(np.float64), 3)[is_usable]
    bins = _variance_by_flux(flux, difference, noise.rms)
    if len(bins) < 5:
        return None
    level, variance, error = np.array(bins).T
    terms = np.stack([np.ones_like(level), level, level**2], axis=1) / error[:, None]
    normal = np.linalg.inv(terms.T @ terms)
    sky, slope, _ = normal @ terms.T @ (variance / error)
    if sky <= 0 or slope < 4.0 * np.sqrt(normal[1, 1]):
        return None
    return float(sky / (slope * noise.rms**2))


def _variance_by_flux(
    flux: np.ndarray, difference: np.ndarray, rms: float
) -> list[tuple[float, float, float]]:
    """Flux, variance of the differences and its error, of the sky and in bins of brighter flux.

    Pixels from one to three sigma are left out: many of them are there for their noise.
    """
    is_sky, is_bright = np.abs(flux) < rms, flux > 3.0 * rms
    groups = [(flux[is_sky], difference[is_sky])]
    flux, difference = flux[is_bright], difference[is_bright]
    for low, high in itertools.pairwise(rms * np.geomspace(3.0, 300.0, 15)):
        is_here = (flux >= low) & (flux < high)
        groups.append((flux[is_here], difference[is_here]))
    bins = []
    for level, scatter in groups:
        if len(level) < 100:
            continue
        # neighbouring differences share pixels, so that about a quarter are independent
        variance = (MAD_TO_SIGMA * float(np.median(np.abs(scatter)))) ** 2
        error = variance * np.sqrt(2.0 * 2.7 / (len(level) / 4.0))
        bins.append((float(level.mean()), variance, float(error)))
    return bins


def _covariance(values: np.ndarray, used: np.ndarray) -> Float64[np.ndarray, "j k"]:
    """Mean product of the pairs of used pixels at each distance up to the largest lag."""
    # zeros behind the image keep its sides apart; multiples of 64 are quick to transform
    shape = [-(-(n + MAX_LAG) // 64) * 64 for n in values.shape]
    products, pairs = (
        np.fft.irfft2(np.abs(np.fft.rfft2(plane, shape, (0, 1))) ** 2, shape, (0, 1))
        for plane in (values, used.astype(np.float64))
    )
    index = np.arange(-MAX_LAG, MAX_LAG + 1)
    window = np.ix_(index, index)
    return products[window] / np.maximum(pairs[window], 1.0)


def _scatter(values: np.ndarray, used: np.ndarray, covariance: np.ndarray) -> float:
    """Half the range of 68 % of ln(rms) between squares, less what chance alone gives.

    Reference:
        Isserlis 1918, Biometrika 12, 134: the variance of a mean of squares of correlated normal
        values is twice the sum of the squared covariances over their number, once per pair.
    """
    rows, columns = (n // CELL for n in values.shape)
    shape = (rows, CELL, columns, CELL)
    inside = (slice(0, rows * CELL), slice(0, columns * CELL))
    count = used[inside].reshape(shape).sum(axis=(1, 3)).ravel()
    square = (values[inside] ** 2).reshape(shape).sum(axis=(1, 3)).ravel()
    free = (count > 0.4 * CELL**2) & (square > 0)
    if free.sum() < _FEWEST_CELLS:
        return 0.0
    low, high = np.quantile(0.5 * np.log(square[free] / count[free]), (0.16, 0.84))
    correlation = covariance / covariance.max()
    chance = 0.5 * (correlation**2).sum() / float(np.mean(count[free]))
    return float(np.sqrt(max((0.5 * (high - low)) ** 2 - chance, 0.0)))


def _block_ratio(values: np.ndarray, used: np.ndarray, rms: float) -> float:
    """Scatter of the means of blocks that are mostly sky, times the side, over the rms."""
    rows, columns = (n // BLOCK for n in values.shape)
    shape = (rows, BLOCK, columns, BLOCK)
    inside = (slice(0, rows * BLOCK), slice(0, columns * BLOCK))
    count = used[inside].reshape(shape).sum(axis=(1, 3))
    total = values[inside].reshape(shape).sum(axis=(1, 3))
    free = count > 0.9 * BLOCK**2
    if free.sum() < 20:
        return float("nan")
    scaled = total[free] / np.sqrt(count[free])
    return sky_rms(scaled[None].astype(np.float32), np.ones((1, len(scaled)), bool)) / rms
