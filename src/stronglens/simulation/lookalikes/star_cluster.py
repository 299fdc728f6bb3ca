"""Clusters of stars: many points, concentrated, in the deflector's place."""

import numpy as np

from stronglens.simulation.lookalikes.look_alike import LookAlike, Stage, look_alikes
from stronglens.simulation.scene import layer
from stronglens.simulation.stars import point, star_flux

_STARS = 20


@look_alikes.register("star-cluster")
def draw(stage: Stage) -> LookAlike:
    """Draw twenty stars with a power law of luminosities, together as bright as the deflector."""
    rng, n = stage.rng, len(stage)
    radius = np.clip(stage.systems["theta_e"], 0.5, 2.5) * rng.gamma(2.0, 0.5, (_STARS, n))
    angle = rng.uniform(0, 2 * np.pi, (_STARS, n))
    share = rng.pareto(1.2, (_STARS, n)) + 1.0
    share /= share.sum(axis=0)
    layers = []
    for k in range(_STARS):
        shape = point(stage.filters) | {
            "x_center": stage.center[0] + radius[k] * np.cos(angle[k]),
            "y_center": stage.center[1] + radius[k] * np.sin(angle[k]),
        }
        shape = {name: np.broadcast_to(values, (n,)) for name, values in shape.items()}
        mag_i = stage.mag_i() - 2.5 * np.log10(share[k])
        layers.append(layer("gaussian", shape, star_flux(mag_i, stage.filters, rng), stage.rows))
    return LookAlike(tuple(layers), replaces_deflector=True)
