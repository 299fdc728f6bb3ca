"""Galaxies and stars that happen to stand near: the same for every class of scenes."""

import numpy as np
from jaxtyping import Float

from stronglens.core.seeds import numpy_generator
from stronglens.simulation.counts import CATALOGUE, draw_magnitudes
from stronglens.simulation.galaxies import Filters, draw_shapes, mixed_flux
from stronglens.simulation.scene import LightLayer, layer
from stronglens.simulation.simulated_set import BLOCK
from stronglens.simulation.sky import Sky
from stronglens.simulation.stars import point, star_flux
from stronglens.simulation.systems import draw_source_sizes

_NEAREST = 1.5  # neighbours leave the place of the deflector to it [arcsec]
_BRIGHT = 19.0
_RED_SHARE = 0.3
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
    red = rng.random(len(rows)) < _RED_SHARE
    return layer("sersic", shape, mixed_flux(mag_i, z, filters, rng, red=red), rows)


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
