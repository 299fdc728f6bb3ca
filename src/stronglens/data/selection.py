"""Which sources of a tile serve for what: stars for the PSF, deflectors, galaxies.

Finding the sources is in `stronglens.data.detections`, cutting them out in `data.patches`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from stronglens.core.errors import MissingDataError
from stronglens.core.seeds import numpy_generator
from stronglens.data.detections import Detections
from stronglens.data.filters import nearest_band

Rows = Int64[np.ndarray, "row"]


@dataclass(frozen=True)
class DeflectorCut:
    """What a real galaxy must be to serve as a deflector: bright, extended, red, roundish."""

    brightest: float = 16.0
    """Brightest magnitude in the red band [mag AB]."""
    faintest: float = 21.0
    """Faintest magnitude in the red band [mag AB]."""
    bluest: float = 0.8
    """Smallest colour, blue band minus red band; not asked of a tile of one band [mag]."""
    smallest_q: float = 0.4
    """Smallest axis ratio [-]."""
    blue_band: str = "g"
    """Filter of the colour's first band; the nearest one is taken."""
    red_band: str = "r"
    """Filter of the magnitude and of the colour's second band; the nearest one is taken."""


_EARLY_TYPES = DeflectorCut()


def select_stars(detections: Detections, seed: int, n: int | None = None) -> Rows:
    """Rows of unsaturated, whole stars, in random order.

    Args:
        detections: Sources of a tile.
        seed: Seed of the order.
        n: Number wanted at most.
    """
    return _shuffled(detections.is_star_like & _is_whole(detections), seed, "stars", n)


def select_galaxies(
    detections: Detections, seed: int, n: int | None = None, min_snr: float = 20.0
) -> Rows:
    """Rows of whole sources that are larger than stars, in random order: real negatives.

    Args:
        detections: Sources of a tile.
        seed: Seed of the order.
        n: Number wanted at most.
        min_snr: Smallest signal to noise [-].
    """
    chosen = _is_extended(detections) & (detections.snr > min_snr)
    return _shuffled(chosen, seed, "galaxies", n)


def select_deflectors(
    detections: Detections, seed: int, n: int | None = None, cut: DeflectorCut = _EARLY_TYPES
) -> Rows:
    """Rows of whole galaxies that could be deflectors, in random order.

    Args:
        detections: Sources of a tile.
        seed: Seed of the order.
        n: Number wanted at most.
        cut: What is asked of them.

    Raises:
        MissingDataError: The tile's bands are not named, so that there is no colour.
    """
    red = nearest_band(cut.red_band, detections.bands)
    if red is None:
        raise MissingDataError(
            f"bands {detections.bands} have no known wavelength, but deflectors are chosen by "
            "magnitude and colour. Pass hints with bands when reading the tile."
        )
    magnitude = detections.magnitude(red)
    chosen = _is_extended(detections) & (detections.q > cut.smallest_q)
    chosen &= (magnitude > cut.brightest) & (magnitude < cut.faintest)
    blue = nearest_band(cut.blue_band, detections.bands)
    if blue is not None and blue != red:
        # a source that is not seen in the blue band is redder than any limit
        chosen &= detections.magnitude(blue) > magnitude + cut.bluest
    return _shuffled(chosen, seed, "deflectors", n)


def _is_whole(detections: Detections) -> Bool[np.ndarray, "source"]:
    return ~detections.is_saturated & ~detections.is_edge


def _is_extended(detections: Detections) -> Bool[np.ndarray, "source"]:
    """Whole sources larger than stars; every whole source where no stars were found."""
    is_larger = ~(detections.diameter < 1.15 * detections.star_diameter)
    return _is_whole(detections) & ~detections.is_star_like & is_larger


def _shuffled(chosen: np.ndarray, seed: int, kind: str, n: int | None) -> Rows:
    return numpy_generator(seed, "select", kind).permutation(np.flatnonzero(chosen))[:n]
