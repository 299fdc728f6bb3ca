"""Broken-lensing twins: an arc's flux and colour with geometry that no lens makes.

A third each: the unlensed source beside the deflector, the pieces of the arc pointing at the
deflector instead of around it, and a single lopsided companion.
"""

import numpy as np
from jaxtyping import Float

from stronglens.simulation.galaxies import draw_shapes
from stronglens.simulation.lookalikes.look_alike import LookAlike, Stage, look_alikes
from stronglens.simulation.relations import Columns
from stronglens.simulation.scene import LightLayer, layer

_LEAST = 0.03  # half-light radius of what is drawn [arcsec]


@look_alikes.register("twin")
def draw(stage: Stage) -> LookAlike:
    """Draw the three kinds, each for a third of the images."""
    kind = stage.rng.integers(0, 3, len(stage))
    layers = [
        *_unlensed(stage, np.flatnonzero(kind == 0)),
        *_radial(stage, np.flatnonzero(kind == 1)),
        *_lopsided(stage, np.flatnonzero(kind == 2)),
    ]
    return LookAlike(tuple(layers))


def _unlensed(stage: Stage, index: np.ndarray) -> list[LightLayer]:
    """The source itself, as bright as its arc, at 0.5 to 3 Einstein radii."""
    radius = stage.systems["theta_e"][index] * stage.rng.uniform(0.5, 3.0, len(index))
    # a lens makes a source larger as it makes it brighter
    size = np.maximum(stage.arcs.width[index, 0], _LEAST)
    shape = draw_shapes(size, _around(stage, index, radius), stage.rng)
    return [layer("sersic", shape, stage.arc_flux[index], stage.rows[index])]


def _radial(stage: Stage, index: np.ndarray) -> list[LightLayer]:
    """Every piece of the arc turned by a quarter about its own centre."""
    layers = []
    for k in range(stage.arcs.flux.shape[1]):
        has = index[stage.arcs.flux[index, k] > 0]
        angle = stage.rng.uniform(0, 2 * np.pi, len(has))
        radius = stage.arcs.radius[has, k]
        long = np.maximum(stage.arcs.length[has, k], _LEAST)
        wide = np.maximum(stage.arcs.width[has, k], _LEAST)
        shape = {
            "r_eff": np.maximum(long, wide),
            "n_sersic": np.full(len(has), 1.0),
            "q": np.clip(np.minimum(long, wide) / np.maximum(long, wide), 0.15, 1.0),
            "phi": angle,
            "x_center": stage.center[0, has] + radius * np.cos(angle),
            "y_center": stage.center[1, has] + radius * np.sin(angle),
        }
        flux = stage.arc_flux[has] * stage.arcs.flux[has, k, None]
        layers.append(layer("sersic", shape, flux, stage.rows[has]))
    return layers


def _lopsided(stage: Stage, index: np.ndarray) -> list[LightLayer]:
    """One companion with a second, smaller part off its centre."""
    radius = stage.systems["theta_e"][index] * stage.rng.uniform(0.7, 2.0, len(index))
    size = np.maximum(1.5 * stage.arcs.width[index, 0], _LEAST)
    place = _around(stage, index, radius)
    whole = draw_shapes(size, place, stage.rng)
    angle = stage.rng.uniform(0, 2 * np.pi, len(index))
    part = draw_shapes(
        np.maximum(0.4 * size, _LEAST),
        place + size * np.stack([np.cos(angle), np.sin(angle)]),
        stage.rng,
    )
    share = stage.rng.uniform(0.2, 0.5, len(index))[:, None]
    return [
        _layer(stage, index, whole, 1 - share),
        _layer(stage, index, part, share),
    ]


def _layer(stage: Stage, index: np.ndarray, shape: Columns, share: np.ndarray) -> LightLayer:
    return layer("sersic", shape, stage.arc_flux[index] * share, stage.rows[index])


def _around(stage: Stage, index: np.ndarray, radius: np.ndarray) -> Float[np.ndarray, "2 n"]:
    angle = stage.rng.uniform(0, 2 * np.pi, len(index))
    return stage.center[:, index] + radius * np.stack([np.cos(angle), np.sin(angle)])
