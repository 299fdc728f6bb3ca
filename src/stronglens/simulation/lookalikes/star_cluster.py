"""Clusters of stars: many points in the light of unresolved ones, in the deflector's place."""

import numpy as np

from stronglens.simulation.galaxies import draw_shapes
from stronglens.simulation.lookalikes.look_alike import LookAlike, Stage, as_bright, look_alikes
from stronglens.simulation.scene import layer
from stronglens.simulation.stars import point, star_flux

_STARS = 20


@look_alikes.register("star-cluster")
def draw(stage: Stage) -> LookAlike:
    """Draw twenty stars with a power law of luminosities and their haze, as bright as a lens."""
    rng, n = stage.rng, len(stage)
    size = np.clip(stage.systems["theta_e"], 0.5, 2.5)
    radius = size * rng.gamma(2.0, 0.5, (_STARS, n))
    angle = rng.uniform(0, 2 * np.pi, (_STARS, n))
    share = rng.pareto(1.2, (_STARS, n)) + 1.0
    share /= share.sum(axis=0)
    places, fluxes = [], []
    for k in range(_STARS):
        shape = point(stage.filters) | {
            "x_center": stage.center[0] + radius[k] * np.cos(angle[k]),
            "y_center": stage.center[1] + radius[k] * np.sin(angle[k]),
        }
        shape = {name: np.broadcast_to(values, (n,)) for name, values in shape.items()}
        places.append(shape)
        fluxes.append(star_flux(-2.5 * np.log10(share[k]), stage.filters, rng))
    unresolved = rng.uniform(0.2, 0.6, n)[:, None]
    total = np.sum(fluxes, axis=0)
    whole = as_bright(total, stage.light())
    scale = (1 - unresolved) * whole / total
    stars = (
        layer("gaussian", shape, flux * scale, stage.rows)
        for shape, flux in zip(places, fluxes, strict=True)
    )
    haze = draw_shapes(size, stage.center, rng) | {"q": rng.uniform(0.8, 1.0, n)}
    haze["n_sersic"] = rng.uniform(1.0, 3.0, n)
    around = layer("sersic", haze, whole * unresolved, stage.rows)
    return LookAlike((*stars, around), replaces_deflector=True)
