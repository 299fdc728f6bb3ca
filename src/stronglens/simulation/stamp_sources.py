"""Real galaxies as sources: stamps of a folder, resized to the sizes that were drawn.

Reading and cleaning them is in `stronglens.data.stamps`.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from stronglens.core.errors import OutOfRangeError
from stronglens.data.stamps import Stamps, read_stamps
from stronglens.simulation.relations import Columns
from stronglens.simulation.scene import LightLayer, layer

STRETCH = 3.0
"""Enlargement by lensing for which a stamp's own PSF must stay below the survey's."""
LARGEST_BLUR = 0.5
"""Largest width of a stamp's own PSF, enlarged and stretched, over that of the survey: it widens
what is seen by an eighth at most, in quadrature."""


@dataclass(frozen=True, eq=False)
class Shelf:
    """Stamps ready to be used as sources."""

    stamps: Stamps
    """The galaxies."""
    r_eff: Float[np.ndarray, " stamp"]
    """Half-light radii [arcsec]."""


@lru_cache(maxsize=4)
def open_shelf(folder: Path) -> Shelf:
    """Read the stamps of a folder, once.

    Args:
        folder: Folder in the layout of GalSim's `RealGalaxyCatalog`.
    """
    stamps = read_stamps(folder)
    radii = [half_light_radius(image) for image in stamps.image]
    return Shelf(stamps, np.array(radii) * stamps.pixel_scale)


def stamp_layer(
    shelf: Shelf,
    rows: Int[np.ndarray, " n"],
    flux: Float[np.ndarray, "n band"],
    shape: Columns,
    draw: tuple[float, np.random.Generator],
) -> LightLayer:
    """Sources that are real galaxies, at the sizes of those they stand for.

    A stamp cannot be sharpened: each is enlarged by at most what keeps its own PSF, stretched by
    lensing, well below the survey's.

    Args:
        shelf: The stamps.
        rows: Numbers of the images they are in.
        flux: Total flux in every band [pixel units].
        shape: r_eff, x_center, y_center of the sources [arcsec].
        draw: Sharpest PSF of the survey [arcsec], and the source of randomness.

    Raises:
        OutOfRangeError: The survey is sharper than every stamp.
    """
    sharpest, rng = draw
    stamps = shelf.stamps
    largest = LARGEST_BLUR * sharpest / (STRETCH * stamps.psf_fwhm)
    usable = np.flatnonzero(largest > 0.2)
    if not len(usable):
        raise OutOfRangeError(
            f"a survey with a PSF of {sharpest:.2f} arcsec is too sharp for the stamps, whose own "
            f"PSF is {stamps.psf_fwhm.min():.2f} arcsec. Leave sky.stamps out."
        )
    chosen = usable[rng.integers(0, len(usable), len(rows))]
    scale = np.minimum(shape["r_eff"] / shelf.r_eff[chosen], largest[chosen])
    columns = {
        "image": stamps.image[chosen],
        "pixel_scale": stamps.pixel_scale[chosen],
        "scale": scale,
        "phi": 2 * np.pi * rng.random(len(rows)),
        "x_center": shape["x_center"],
        "y_center": shape["y_center"],
    }
    return layer("pixelated", columns, flux, rows)


def half_light_radius(image: Float[np.ndarray, "y x"]) -> float:
    """Radius of the circle around the middle that holds half of the light [pixel].

    Args:
        image: Light of one galaxy, its centroid on the middle pixel.
    """
    y, x = np.indices(image.shape)
    radius = np.hypot(y - (image.shape[0] - 1) / 2, x - (image.shape[1] - 1) / 2).ravel()
    order = np.argsort(radius)
    grown = np.cumsum(image.ravel()[order])
    return float(radius[order][np.searchsorted(grown, 0.5 * grown[-1])])
