"""Chance companions and satellites with the flux, colour, radii and widths of arcs."""

import numpy as np

from stronglens.simulation.companions import companion_shapes
from stronglens.simulation.lookalikes.look_alike import LookAlike, Stage, look_alikes
from stronglens.simulation.scene import layer


@look_alikes.register("companions")
def draw(stage: Stage) -> LookAlike:
    """Draw a galaxy for every image of an arc, at its distance and at a random angle."""
    n_sersic = stage.rng.uniform(0.7, 1.8, len(stage))
    shapes = companion_shapes(stage.arcs, n_sersic, stage.rng)
    layers = []
    for k in range(stage.arcs.flux.shape[1]):
        has = np.flatnonzero(stage.arcs.flux[:, k] > 0)
        own = {name: values[has, k] for name, values in shapes.items()}
        own["x_center"] = own["x_center"] + stage.center[0, has]
        own["y_center"] = own["y_center"] + stage.center[1, has]
        flux = stage.arc_flux[has] * stage.arcs.flux[has, k, None]
        layers.append(layer("sersic", own, flux, stage.rows[has]))
    return LookAlike(tuple(layers))
