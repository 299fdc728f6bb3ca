"""Discs seen from their side, in the deflector's place."""

import numpy as np

from stronglens.simulation.lookalikes.discs import bulges, placed
from stronglens.simulation.lookalikes.look_alike import LookAlike, Stage, look_alikes
from stronglens.simulation.scene import layer


@look_alikes.register("edge-on")
def draw(stage: Stage) -> LookAlike:
    """Draw thin discs with a bulge."""
    rng, n = stage.rng, len(stage)
    place = placed(stage, rng.uniform(0.1, 0.25, n))
    r_eff = np.clip(1.8 * stage.systems["r_eff_deflector"] * rng.uniform(0.7, 1.5, n), 0.5, 5.0)
    share = rng.uniform(0.4, 0.8, n)
    disc = place | {"r_eff": r_eff, "n_sersic": np.ones(n)}
    bulge = r_eff * rng.uniform(0.15, 0.4, n)
    flux = stage.light("sbc") * share[:, None]
    return LookAlike(
        (layer("sersic", disc, flux, stage.rows), bulges(stage, bulge, 1 - share, place)),
        replaces_deflector=True,
    )
