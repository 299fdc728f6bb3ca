"""Parts that several classes of disc galaxies share: where they stand and their red bulges."""

import numpy as np
from jaxtyping import Float

from stronglens.simulation.lookalikes.look_alike import Stage
from stronglens.simulation.relations import Columns
from stronglens.simulation.scene import LightLayer, layer


def placed(stage: Stage, q: Float[np.ndarray, " n"]) -> Columns:
    """Axis ratio, angle and centre of galaxies that stand in the deflectors' place.

    Args:
        stage: Where they stand.
        q: Axis ratios.
    """
    return {
        "q": q,
        "phi": np.pi * stage.rng.random(len(stage)),
        "x_center": stage.center[0],
        "y_center": stage.center[1],
    }


def bulges(
    stage: Stage, r_eff: Float[np.ndarray, " n"], share: Float[np.ndarray, " n"], place: Columns
) -> LightLayer:
    """Old bulges that hold a share of the light of galaxies as bright as lenses.

    Args:
        stage: Where they stand.
        r_eff: Half-light radii [arcsec].
        share: Share of the light in i.
        place: What `placed` returned.
    """
    shape = place | {
        "r_eff": r_eff,
        "n_sersic": stage.rng.uniform(2.0, 5.0, len(stage)),
        "q": np.sqrt(np.clip(place["q"], 0.1, 1.0)),
    }
    return layer("sersic", shape, stage.light() * share[:, None], stage.rows)
