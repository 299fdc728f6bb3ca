"""Two galaxies that merge, with a tidal tail each."""

import numpy as np

from stronglens.simulation.galaxies import draw_shapes
from stronglens.simulation.lookalikes.look_alike import LookAlike, Stage, look_alikes
from stronglens.simulation.relations import Columns
from stronglens.simulation.scene import LightLayer, layer


@look_alikes.register("merger")
def draw(stage: Stage) -> LookAlike:
    """Draw the brighter galaxy in the middle, the other beside it, and one-sided rings as tails."""
    rng, n = stage.rng, len(stage)
    r_eff = np.clip(stage.systems["r_eff_deflector"], 0.3, 2.5)
    angle = rng.uniform(0, 2 * np.pi, n)
    apart = r_eff * rng.uniform(0.8, 2.5, n) * np.stack([np.cos(angle), np.sin(angle)])
    first, tails = rng.uniform(0.6, 0.9, n), rng.uniform(0.05, 0.2, n)
    shares = ((1 - tails) * first, (1 - tails) * (1 - first))
    layers = []
    for side, share in zip((0.0, 1.0), shares, strict=True):
        place = stage.center + side * apart
        old = rng.random(n)[:, None]
        flux = old * stage.light() + (1 - old) * stage.light("scd")
        shape = draw_shapes(r_eff * rng.uniform(0.4, 0.9, n), place, rng)
        shape["n_sersic"] = rng.uniform(2.0, 5.0, n)
        layers.append(layer("sersic", shape, flux * share[:, None], stage.rows))
        layers.append(_tail(stage, place, r_eff, 0.5 * tails))
    return LookAlike(tuple(layers), replaces_deflector=True)


def _tail(stage: Stage, place: np.ndarray, r_eff: np.ndarray, share: np.ndarray) -> LightLayer:
    """Draw a flattened ring, bright on one side only, off the galaxy's centre."""
    rng, n = stage.rng, len(stage)
    radius = r_eff * rng.uniform(1.2, 2.5, n)
    turn = rng.uniform(0, 2 * np.pi, n)
    off = 0.8 * radius * np.stack([np.cos(turn), np.sin(turn)])
    shape: Columns = {
        "radius": radius,
        "width": radius * rng.uniform(0.12, 0.3, n),
        "asymmetry": np.ones(n),
        "asymmetry_phase": rng.uniform(0, 2 * np.pi, n),
        "q": rng.uniform(0.3, 0.7, n),
        "phi": np.pi * rng.random(n),
        "x_center": place[0] + off[0],
        "y_center": place[1] + off[1],
    }
    return layer("ring", shape, stage.light("irregular") * share[:, None], stage.rows)
