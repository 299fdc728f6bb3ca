"""Real galaxies as they are: the patch around one, and nothing added."""

from stronglens.simulation.classes import REAL
from stronglens.simulation.lookalikes.look_alike import LookAlike, Stage, look_alikes


@look_alikes.register(REAL)
def draw(stage: Stage) -> LookAlike:
    """Add nothing, and leave the simulated deflector out."""
    return LookAlike((), replaces_deflector=True)
