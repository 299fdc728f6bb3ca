"""Ring galaxies: a blue ring around an old body, in the deflector's place."""

import numpy as np

from stronglens.simulation.lookalikes.discs import bulges, placed
from stronglens.simulation.lookalikes.look_alike import LookAlike, Stage, look_alikes
from stronglens.simulation.scene import layer


@look_alikes.register("ring")
def draw(stage: Stage) -> LookAlike:
    """Draw rings of the radii of arcs, round or inclined, brighter on one side or not."""
    rng, n = stage.rng, len(stage)
    place = placed(stage, rng.uniform(0.5, 1.0, n))
    radius = np.clip(stage.systems["theta_e"] * rng.uniform(0.8, 1.5, n), 0.4, 5.0)
    share = rng.uniform(0.15, 0.6, n)
    ring = place | {
        "radius": radius,
        "width": radius * rng.uniform(0.08, 0.25, n),
        "asymmetry": rng.uniform(0.0, 0.7, n),
        "asymmetry_phase": rng.uniform(0, 2 * np.pi, n),
    }
    body = stage.systems["r_eff_deflector"] * rng.uniform(0.5, 1.0, n)
    blue = stage.light("scd") * share[:, None]
    return LookAlike(
        (layer("ring", ring, blue, stage.rows), bulges(stage, body, 1 - share, place)),
        replaces_deflector=True,
    )
