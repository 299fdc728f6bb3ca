"""Red ellipticals with a few blue galaxies near them."""

import numpy as np

from stronglens.simulation.counts import CATALOGUE, draw_magnitudes
from stronglens.simulation.galaxies import draw_shapes, mixed_flux
from stronglens.simulation.lookalikes.look_alike import LookAlike, Stage, look_alikes
from stronglens.simulation.scene import layer
from stronglens.simulation.systems import draw_source_sizes

_MOST = 4
_MAGS = (21.0, 25.0)


@look_alikes.register("blue-neighbours")
def draw(stage: Stage) -> LookAlike:
    """Draw one to four galaxies of their own magnitudes, colours and sizes within 4 arcsec."""
    rng = stage.rng
    number = rng.integers(1, _MOST + 1, len(stage))
    layers = []
    for k in range(_MOST):
        has = np.flatnonzero(number > k)
        mag_i = draw_magnitudes(*_MAGS, rng.random(len(has)))
        z = CATALOGUE.redshifts(mag_i, rng.standard_normal(len(has)))
        radius, angle = rng.uniform(0.6, 4.0, len(has)), rng.uniform(0, 2 * np.pi, len(has))
        place = stage.center[:, has] + radius * np.stack([np.cos(angle), np.sin(angle)])
        shape = draw_shapes(draw_source_sizes(mag_i, z, rng), place, rng)
        blue = np.zeros(len(has), dtype=bool)
        flux = mixed_flux(mag_i, z, stage.filters, rng, red=blue)
        layers.append(layer("sersic", shape, flux, stage.rows[has]))
    return LookAlike(tuple(layers))
