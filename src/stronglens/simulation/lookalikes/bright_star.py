"""Stars in the middle of the image, bright enough for spikes and saturated cores.

Their light is that of the saturated stars among the artefacts, added where the detector is.
"""

from stronglens.simulation.lookalikes.look_alike import LookAlike, Stage, look_alikes

NAME = "bright-star"


@look_alikes.register(NAME)
def draw(stage: Stage) -> LookAlike:
    """Leave the deflector out: the star is added with the artefacts."""
    return LookAlike((), replaces_deflector=True)
