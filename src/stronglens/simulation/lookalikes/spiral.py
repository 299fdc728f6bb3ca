"""Spirals seen from above, in the deflector's place."""

import numpy as np

from stronglens.simulation.lookalikes.discs import bulges, placed
from stronglens.simulation.lookalikes.look_alike import LookAlike, Stage, look_alikes
from stronglens.simulation.scene import layer


@look_alikes.register("spiral")
def draw(stage: Stage) -> LookAlike:
    """Draw spirals of two to four arms around an old bulge."""
    rng, n = stage.rng, len(stage)
    place = placed(stage, rng.uniform(0.55, 1.0, n))
    r_eff = np.clip(1.5 * stage.systems["r_eff_deflector"] * rng.uniform(0.7, 1.5, n), 0.5, 5.0)
    share = rng.uniform(0.3, 0.8, n)
    disc = place | {
        "r_eff": r_eff,
        "n_arms": rng.integers(2, 5, n).astype(float),
        "pitch": np.deg2rad(rng.uniform(10, 35, n)) * rng.choice([-1.0, 1.0], n),
        "arm_contrast": rng.uniform(0.4, 0.95, n),
        "arm_phase": rng.uniform(0, 2 * np.pi, n),
        "arm_onset": 0.3 * r_eff,
    }
    bulge = r_eff * rng.uniform(0.15, 0.4, n)
    blue = stage.light("scd") * share[:, None]
    return LookAlike(
        (layer("spiral", disc, blue, stage.rows), bulges(stage, bulge, 1 - share, place)),
        replaces_deflector=True,
    )
