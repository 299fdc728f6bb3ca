"""Presets of the simulator: named sets of settings, light enough to be listed without torch."""

from dataclasses import dataclass
from typing import Literal

from stronglens.core.registry import Registry

DECK, SURVEY = "deck", "survey"


@dataclass(frozen=True)
class Preset:
    """Values for the fields of Simulate that the user left open."""

    description: str
    """What the preset reproduces."""
    n: int
    """Number of images."""
    survey: str
    """Name of the survey."""
    kind: Literal["deck", "survey"]
    """Which set it makes: the deck's frozen one, or any survey's."""


presets: Registry[Preset] = Registry("preset")
presets.register(DECK)(
    Preset(
        description="the mock images of the 2017 deck: LSST g, 45x45 px, 8,000 + 8,000 to learn "
        "from and 2,000 + 2,000 new ones, as 10-year stack and as single exposure",
        n=20_000,
        survey="lsst-deck",
        kind="deck",
    )
)
presets.register(SURVEY)(
    Preset(
        description="training images of any survey: lenses, groups and ten classes of look-alikes "
        "in all its bands, with neighbours, artefacts and varying seeing",
        n=20_000,
        survey="lsst-y10",
        kind="survey",
    )
)
