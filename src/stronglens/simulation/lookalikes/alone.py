"""Deflectors with nothing beside them."""

from stronglens.simulation.lookalikes.look_alike import LookAlike, Stage, look_alikes


@look_alikes.register("alone")
def draw(stage: Stage) -> LookAlike:
    """Draw nothing: the deflector alone."""
    return LookAlike(())
