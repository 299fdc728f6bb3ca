"""All look-alikes of a block, class by class."""

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from stronglens.core.seeds import numpy_generator
from stronglens.simulation.cast import Cast
from stronglens.simulation.companions import ImageTable
from stronglens.simulation.galaxies import Filters
from stronglens.simulation.lookalikes.look_alike import Stage, look_alikes
from stronglens.simulation.scene import LightLayer


def draw_look_alikes(
    cast: Cast,
    arcs: tuple[ImageTable, Float[Tensor, "n band"], Filters],
    key: tuple[int, int],
) -> tuple[list[LightLayer], Bool[np.ndarray, " n"]]:
    """Draw what the scenes that are no lenses show.

    Args:
        cast: Who is in the block.
        arcs: Images of the lensed sources that look-alikes take after, their flux, the bands.
        key: Seed of the dataset and number of the block.

    Returns:
        Layers of light, and True where the deflector's own light is left out.
    """
    images, flux, filters = arcs
    layers: list[LightLayer] = []
    replaced = np.zeros(len(cast.label), dtype=bool)
    for name in sorted(set(cast.scene_class[~cast.label])):
        rows = np.flatnonzero(cast.scene_class == name)
        stage = Stage(
            rows=rows,
            systems={column: values[rows] for column, values in cast.hosts.items()},
            center=cast.center[:, rows],
            arcs=images.rows(rows),
            arc_flux=flux[rows].numpy(),
            filters=filters,
            rng=numpy_generator(key[0], "look-alikes", name, key[1]),
        )
        drawn = look_alikes.get(name)(stage)
        layers += drawn.layers
        replaced[rows] = drawn.replaces_deflector
    return layers, replaced
