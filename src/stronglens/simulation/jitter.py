"""Draws of what makes an image differ from the facts of its survey, band by band.

How much it may differ is in `imperfections`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from stronglens.core.errors import OutOfRangeError
from stronglens.simulation.imperfections import Jitter

__all__ = ["Jitter", "JitterDraw", "draw_jitter"]

SEEING_SLOPE = -0.2
"""Exponent of the wavelength in the width of atmospheric seeing (Kolmogorov; Fried 1966)."""
SHARE = {
    "fwhm": 0.85,  # one atmosphere, a focus per filter
    "beta": 0.7,
    "ellipticity": 0.5,  # wind and tracking, a night per filter
    "zero_point": 0.3,
    "noise": 0.5,  # depth and moon
}
"""Weight of the draw common to all bands; the rest is each band's own (our choice)."""


@dataclass(frozen=True, eq=False)
class JitterDraw:
    """What was drawn for each image and band."""

    fwhm_factor: Float[np.ndarray, "n band"]
    """Factor of the PSF width, the law of the wavelength included if it was asked for."""
    beta: Float[np.ndarray, "n band"]
    """Slope of the Moffat wings."""
    e1: Float[np.ndarray, "n band"]
    """Ellipticity of the PSF, e cos 2phi."""
    e2: Float[np.ndarray, "n band"]
    """Ellipticity of the PSF, e sin 2phi."""
    x_shift: Float[np.ndarray, "n band"]
    """Shift of the band along x [pixel]."""
    y_shift: Float[np.ndarray, "n band"]
    """Shift of the band along y [pixel]."""
    zero_point_shift: Float[np.ndarray, "n band"]
    """Error of the zero point [mag]."""
    noise_factor: Float[np.ndarray, "n band"]
    """Factor of the noise."""
    is_missing: Bool[np.ndarray, "n band"]
    """Whether the band is missing; never all of an image."""


def draw_jitter(
    settings: Jitter,
    shape: tuple[int, int],
    rng: np.random.Generator,
    wavelength: Float[np.ndarray, " band"] | None = None,
) -> JitterDraw:
    """Draw the jitter of a batch, common to the bands where the cause is.

    Args:
        settings: Ranges.
        shape: Images and bands.
        rng: Source of randomness.
        wavelength: Wavelengths of the bands [nm], where the survey's width is one for all bands.
            The widths then fall with wavelength^-0.2 about their geometric mean. Leave it out
            where each band has a measured width, which holds that law already.

    Reference:
        Fried 1966, J. Opt. Soc. Am. 56, 1372: Fried's length grows as wavelength^(6/5), so seeing,
        wavelength over that length, falls as wavelength^(-1/5).
    """
    settings.check()
    beta = (settings.beta_max + settings.beta_min, settings.beta_max - settings.beta_min)
    noise = np.log([settings.noise_min, settings.noise_max])
    e1, e2 = _in_disc(shape, rng, SHARE["ellipticity"])
    x_shift, y_shift = _in_disc(shape, rng, 0.0)
    law = _seeing_law(wavelength, shape[1])
    return JitterDraw(
        fwhm_factor=law * (1.0 + settings.fwhm * _between_bands(shape, rng, SHARE["fwhm"])),
        beta=(beta[0] + beta[1] * _between_bands(shape, rng, SHARE["beta"])) / 2.0,
        e1=settings.ellipticity * e1,
        e2=settings.ellipticity * e2,
        x_shift=settings.centroid * x_shift,
        y_shift=settings.centroid * y_shift,
        zero_point_shift=settings.zero_point * _between_bands(shape, rng, SHARE["zero_point"]),
        noise_factor=np.exp(
            noise.mean() + np.ptp(noise) / 2.0 * _between_bands(shape, rng, SHARE["noise"])
        ),
        is_missing=_missing(settings.missing_band, shape, rng),
    )


def _between_bands(shape: tuple[int, int], rng: np.random.Generator, share: float) -> np.ndarray:
    """Numbers from -1 to 1, a weighted mean of one uniform draw per image and one per band."""
    common, own = rng.uniform(-1.0, 1.0, (shape[0], 1)), rng.uniform(-1.0, 1.0, shape)
    return common + (own - common) * ((1.0 - share) if shape[1] > 1 else 0.0)


def _in_disc(
    shape: tuple[int, int], rng: np.random.Generator, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors in the unit disc: a weighted mean of one per image and one per band."""
    parts = []
    for size, weight in (((shape[0], 1), share), (shape, 1.0 - share)):
        length, angle = np.sqrt(rng.random(size)), rng.uniform(-np.pi, np.pi, size)
        parts.append((weight * length * np.cos(angle), weight * length * np.sin(angle)))
    return parts[0][0] + parts[1][0], parts[0][1] + parts[1][1]


def _seeing_law(wavelength: np.ndarray | None, n_band: int) -> np.ndarray:
    """Relative widths of the bands, of geometric mean one."""
    if wavelength is None:
        return np.ones(n_band)
    if wavelength.shape != (n_band,) or not (wavelength > 0.0).all():
        raise OutOfRangeError(
            f"wavelength={wavelength.tolist()} for {n_band} bands. Pass a positive one for each."
        )
    logarithm = np.log(wavelength)
    return np.exp(SEEING_SLOPE * (logarithm - logarithm.mean()))


def _missing(chance: float, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Which bands are missing; where all would be, one drawn at random stays."""
    is_missing = rng.random(shape) < chance
    kept = rng.integers(shape[1], size=shape[0])
    is_missing[np.arange(shape[0]), kept] &= ~is_missing.all(axis=1)
    return is_missing
