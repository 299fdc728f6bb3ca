"""The classes of scenes by name, with what they are and their share; drawing is elsewhere.

Light enough for the command line; a class of look-alikes is one line here and one file there.
"""

from dataclasses import dataclass

from stronglens.core.errors import OutOfRangeError
from stronglens.core.registry import Registry


@dataclass(frozen=True)
class SceneClass:
    """A class of scenes."""

    description: str
    """What is in its images."""
    share: float
    """Its share of the images, unless settings say otherwise."""
    label: int = 0
    """1 for lenses, 0 for what is not one."""
    keeps_deflector: bool = False
    """Whether its deflector can be a real galaxy that is there already."""


LENS = "lens"
GROUP = "group"
REAL = "real"

scene_classes: Registry[SceneClass] = Registry("scene class")
for _name, _share, _label, _keeps, _description in (
    (LENS, 0.45, 1, True, "a galaxy with its multiply imaged source"),
    (GROUP, 0.05, 1, False, "a group of galaxies in one halo with its multiply imaged source"),
    ("companions", 0.1, 0, True, "a deflector with galaxies of the flux, colour and radii of arcs"),
    (
        "twin",
        0.15,
        0,
        True,
        "a deflector and light of an arc's flux and colour, not lensed",
    ),
    ("alone", 0.03, 0, True, "a deflector and nothing else"),
    ("blue-neighbours", 0.05, 0, True, "a red elliptical with a few blue galaxies near it"),
    ("ring", 0.04, 0, False, "a ring galaxy, red in the middle"),
    ("spiral", 0.05, 0, False, "a spiral seen from above"),
    ("edge-on", 0.03, 0, False, "a disc seen from its side"),
    ("merger", 0.03, 0, False, "two galaxies with tidal tails"),
    ("star-cluster", 0.01, 0, False, "a cluster of stars"),
    (REAL, 0.1, 0, False, "a real galaxy as it is; only where real images are painted on"),
    ("bright-star", 0.01, 0, False, "a star in the middle, bright enough for spikes"),
):
    scene_classes.register(_name)(SceneClass(_description, _share, _label, _keeps))


def default_shares() -> dict[str, float]:
    """Return the share of every class."""
    return {name: scene_classes.get(name).share for name in scene_classes.names()}


def check_shares(shares: dict[str, float]) -> None:
    """Raise if shares are not those of known classes.

    Raises:
        UnknownNameError: A class that does not exist.
        OutOfRangeError: A negative share, or none above zero.
    """
    for name, share in shares.items():
        scene_classes.get(name)
        if not share >= 0:
            raise OutOfRangeError(f"shares: {name}={share} is negative. Use 0 to leave it out.")
    if not sum(shares.values()) > 0:
        raise OutOfRangeError("shares: all are 0. Give at least one class a share above 0.")
