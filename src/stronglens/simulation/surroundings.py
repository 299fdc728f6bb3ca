"""Galaxies and stars that happen to stand near: the same for every class of scenes."""

import numpy as np
from jaxtyping import Float, Int

from stronglens.core.seeds import numpy_generator
from stronglens.simulation.counts import CATALOGUE, draw_magnitudes
from stronglens.simulation.field_galaxies import FieldGalaxies, draw_field_galaxies
from stronglens.simulation.galaxies import Filters
from stronglens.simulation.galaxy_structure import Parts, galaxy_layers, layers_of
from stronglens.simulation.scene import LightLayer
from stronglens.simulation.simulated_set import BLOCK
from stronglens.simulation.sky import Sky
from stronglens.simulation.stars import point, star_flux

_NEAREST = 1.5  # neighbours leave the place of the deflector to it [arcsec]
_BRIGHT = 16.0
_STAR_MAGS = (18.0, 23.0)
_STAR_SLOPE = 0.15  # of log10(counts) per magnitude, as at high galactic latitude (our choice)
_HOST_MAG = 22.5
"""Faintest galaxy whose satellites are drawn [mag AB in i]."""
_SATELLITES = 0.3
"""Galaxies within `_REACH` of a bright one beyond those of the field, and brighter than below."""
_REACH = 8.0  # [arcsec]
_FAINTER = 4.0  # [mag]


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
    rows = np.repeat(np.arange(BLOCK), rng.poisson(galaxy_density(sky) * area, BLOCK))
    galaxies = draw_galaxies(rows, _places(len(rows), side, rng), sky, filters, rng)
    layers = galaxy_layers(galaxies, filters, rng)
    rows = np.repeat(np.arange(BLOCK), rng.poisson(sky.star_density * area, BLOCK))
    stars = _stars(rows, _places(len(rows), side, rng), rng, filters)
    return (*layers, *layers_of([stars]))


def galaxy_density(sky: Sky) -> float:
    """Galaxies of the field around every object [1 / arcmin^2].

    Args:
        sky: Densities.
    """
    limits = np.array([_BRIGHT, sky.neighbour_mag_faint])
    bright, faint = CATALOGUE.brighter(limits)
    return sky.neighbour_boost * float(faint - bright)


def draw_galaxies(
    rows: Int[np.ndarray, " n"],
    place: Float[np.ndarray, "n 2"],
    sky: Sky,
    filters: Filters,
    rng: np.random.Generator,
) -> FieldGalaxies:
    """Draw galaxies of the field at given places, and satellites of the bright ones.

    Args:
        rows: Numbers of the images they are in, ascending.
        place: Places [arcsec].
        sky: Limits.
        filters: Bands.
        rng: Source of randomness.

    Reference:
        Satellites are as many as the angular correlation w(5 arcsec) of about 0.5 of galaxies of
        r = 20-22 (Connolly et al. 2002, ApJ 579, 42) adds to the counts, with its slope.
    """
    mag_i = draw_magnitudes(_BRIGHT, sky.neighbour_mag_faint, rng.random(len(rows)))
    hosts = np.repeat(
        np.arange(len(rows)), rng.poisson(_SATELLITES, len(rows)) * (mag_i < _HOST_MAG)
    )
    n = len(hosts)
    # n(theta) theta ~ theta^0.25
    radius, angle = _REACH * rng.random(n) ** 0.8, rng.uniform(0.0, 2.0 * np.pi, n)
    offset = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rows = np.concatenate([rows, rows[hosts]])
    order = np.argsort(rows, kind="stable")
    place = np.concatenate([place, place[hosts] + offset])[order]
    mag_i = np.concatenate([mag_i, mag_i[hosts] + _FAINTER * rng.random(n)])[order]
    return draw_field_galaxies(mag_i, rows[order], place, filters, rng)


def _stars(
    rows: Int[np.ndarray, " n"],
    place: Float[np.ndarray, "n 2"],
    rng: np.random.Generator,
    filters: Filters,
) -> Parts:
    bright, faint = (10.0 ** (_STAR_SLOPE * limit) for limit in _STAR_MAGS)
    mag_i = np.log10(rng.uniform(bright, faint, len(rows))) / _STAR_SLOPE
    shape = {name: np.full(len(rows), value) for name, value in point(filters).items()}
    shape |= {"x_center": place[:, 0], "y_center": place[:, 1]}
    return Parts("gaussian", rows, shape, star_flux(mag_i, filters, rng))


def _places(n: int, side: float, rng: np.random.Generator) -> Float[np.ndarray, "n 2"]:
    """Places in the square, those too near to the middle moved outwards."""
    place = rng.uniform(-0.5, 0.5, (n, 2)) * side
    radius = np.hypot(*place.T)[:, None]
    return place * np.maximum(1.0, _NEAREST / np.maximum(radius, 1e-3))
