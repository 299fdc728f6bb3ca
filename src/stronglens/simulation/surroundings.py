"""Galaxies and stars that happen to stand near: the same for every class of scenes."""

import numpy as np
from jaxtyping import Bool, Float

from stronglens.core.seeds import numpy_generator
from stronglens.simulation.counts import CATALOGUE, draw_magnitudes
from stronglens.simulation.galaxies import BLUE, Filters, draw_shapes, mixed_flux
from stronglens.simulation.scene import LightLayer, layer
from stronglens.simulation.simulated_set import BLOCK
from stronglens.simulation.sky import Sky
from stronglens.simulation.stars import point, star_flux
from stronglens.simulation.systems import draw_source_sizes

_NEAREST = 1.5  # neighbours leave the place of the deflector to it [arcsec]
_BRIGHT = 19.0
_TYPES_MAG = 20.0
_EARLY, _SPIRAL = (0.35, 0.450), (0.50, 0.147)
"""Share of early types and of spirals at i = 20, and how fast it falls with the magnitude."""
_EARLY_N_SERSIC = (2.5, 5.5)
_STAR_MAGS = (18.0, 23.0)
_STAR_SLOPE = 0.15  # of log10(counts) per magnitude, as at high galactic latitude (our choice)


def draw_surroundings(
    sky: Sky, filters: Filters, half_width: float, key: tuple[int, int]
) -> tuple[LightLayer, ...]:
    """Draw the field around every scene of a block.

    Args:
        sky: Densities.
        filters: Bands.
        half_width: Half of the frame's side; the field reaches a little beyond [arcsec].
        key: Seed of the dataset and number of the block.
    """
    seed, block = key
    rng = numpy_generator(seed, "surroundings", block)
    side = 2.0 * (half_width + 1.0)
    area = (side / 60.0) ** 2
    galaxies = sky.neighbour_boost * float(
        CATALOGUE.brighter(np.array([sky.neighbour_mag_faint]))[0]
    )
    layers = []
    for number, draw in (
        (rng.poisson(galaxies * area, BLOCK), _galaxies),
        (rng.poisson(sky.star_density * area, BLOCK), _stars),
    ):
        # one layer of first objects, one of second ones, and so on, since an image has few
        for k in range(int(number.max())):
            rows = np.flatnonzero(number > k)
            layers.append(draw(rows, _places(len(rows), side, rng), rng, sky, filters))
    return tuple(layers)


def _galaxies(
    rows: np.ndarray,
    place: Float[np.ndarray, "2 n"],
    rng: np.random.Generator,
    sky: Sky,
    filters: Filters,
) -> LightLayer:
    mag_i = draw_magnitudes(_BRIGHT, sky.neighbour_mag_faint, rng.random(len(rows)))
    z = CATALOGUE.redshifts(mag_i, rng.standard_normal(len(rows)))
    shape = draw_shapes(draw_source_sizes(mag_i, z, rng), place, rng)
    is_early, shares = draw_types(mag_i, rng)
    shape["n_sersic"] = np.where(
        is_early, rng.uniform(*_EARLY_N_SERSIC, len(rows)), shape["n_sersic"]
    )
    flux = mixed_flux(mag_i, z, filters, rng, red=is_early, shares=shares)
    return layer("sersic", shape, flux, rows)


def draw_types(
    mag_i: Float[np.ndarray, " n"], rng: np.random.Generator
) -> tuple[Bool[np.ndarray, " n"], Float[np.ndarray, "n 4"]]:
    """Types of field galaxies: the brighter they are, the more are early types and spirals.

    Args:
        mag_i: Magnitudes [mag AB in i].
        rng: Source of randomness.

    Returns:
        True where a galaxy is of early type, and the shares of the templates sbc, scd, irregular
        and starburst in the light of all others: of the first two in spirals, of the last two in
        the rest.

    Reference:
        Benitez 2000, ApJ 536, 571, table 1: shares f exp(-k (mag - 20)) from the Hubble Deep Field,
        with k of the two types as in his code BPZ.
    """
    fainter = np.maximum(mag_i - _TYPES_MAG, 0.0)
    early, spiral = (share * np.exp(-slope * fainter) for share, slope in (_EARLY, _SPIRAL))
    uniform = rng.random(len(mag_i))
    is_spiral = (uniform >= early) & (uniform < early + spiral)
    weights = rng.exponential(size=(len(mag_i), len(BLUE)))
    weights *= np.where(is_spiral[:, None], (1, 1, 0, 0), (0, 0, 1, 1))
    return uniform < early, weights / weights.sum(axis=1, keepdims=True)


def _stars(
    rows: np.ndarray,
    place: Float[np.ndarray, "2 n"],
    rng: np.random.Generator,
    sky: Sky,
    filters: Filters,
) -> LightLayer:
    bright, faint = (10.0 ** (_STAR_SLOPE * limit) for limit in _STAR_MAGS)
    mag_i = np.log10(rng.uniform(bright, faint, len(rows))) / _STAR_SLOPE
    shape = {name: np.full(len(rows), value) for name, value in point(filters).items()}
    shape |= {"x_center": place[0], "y_center": place[1]}
    return layer("gaussian", shape, star_flux(mag_i, filters, rng), rows)


def _places(n: int, side: float, rng: np.random.Generator) -> Float[np.ndarray, "2 n"]:
    """Places in the square, those too near to the middle moved outwards."""
    place = rng.uniform(-0.5, 0.5, (2, n)) * side
    radius = np.hypot(*place)
    return place * np.maximum(1.0, _NEAREST / np.maximum(radius, 1e-3))
