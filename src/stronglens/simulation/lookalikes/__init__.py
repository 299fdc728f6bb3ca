"""Look-alikes of lenses: one class a file, found by name in the registry `look_alikes`."""

from stronglens.simulation.lookalikes import (
    alone,
    blue_neighbours,
    bright_star,
    companions,
    edge_on,
    merger,
    real,
    ring,
    spiral,
    star_cluster,
    twin,
)
from stronglens.simulation.lookalikes.casting import draw_look_alikes
from stronglens.simulation.lookalikes.look_alike import LookAlike, Stage, look_alikes

__all__ = [
    "LookAlike",
    "Stage",
    "alone",
    "blue_neighbours",
    "bright_star",
    "companions",
    "draw_look_alikes",
    "edge_on",
    "look_alikes",
    "merger",
    "real",
    "ring",
    "spiral",
    "star_cluster",
    "twin",
]
