"""Presets of the simulator: named sets of settings, light enough to be listed without torch."""

from dataclasses import dataclass

from stronglens.core.registry import Registry


@dataclass(frozen=True)
class Preset:
    """Values for the fields of Simulate that the user left open."""

    description: str
    """What the preset reproduces."""
    n: int
    """Number of images."""
    survey: str
    """Name of the survey."""


presets: Registry[Preset] = Registry("preset")
presets.register("deck")(
    Preset(
        description="the mock images of the 2017 deck: LSST g, 45x45 px, 8,000 + 8,000 to learn "
        "from and 2,000 + 2,000 new ones, as 10-year stack and as single exposure",
        n=20_000,
        survey="lsst-deck",
    )
)
