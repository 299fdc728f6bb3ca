"""Saturated stars where they are asked for, such as in the middle of images of their class."""

import numpy as np
import torch

from stronglens.simulation.artefacts.apply import as_parameters
from stronglens.simulation.artefacts.artefact import BandFacts, Canvas, Images
from stronglens.simulation.artefacts.saturated_stars import apply, draw
from stronglens.simulation.imperfections import Artefacts


def place_stars(
    images: Images,
    at: dict[int, tuple[float, float]],
    settings: Artefacts,
    bands: tuple[BandFacts, ...],
    generator: np.random.Generator,
) -> Images:
    """Put one saturated star on each of some images.

    Args:
        images: Noisy images; they are not changed.
        at: Place of the star by number of the image: x and y from the centre [pixel].
        settings: Chances, and how bright stars can be.
        bands: Facts of the bands, in the order of the images' axis.
        generator: Source of randomness.

    Returns:
        New images.
    """
    if not at:
        return images
    canvas = Canvas(images.flux.shape[2], images.flux.shape[3], bands, settings)
    rows = sorted(at)
    x, y = np.array([at[row] for row in rows]).T
    draws = draw(len(rows), canvas, generator) | {"x": x, "y": y}
    after = apply(images, as_parameters(draws, torch.tensor(rows), images.flux), canvas)
    # what was not observed stays so, star or not
    known = images.ivar > 0.0
    return Images(
        flux=torch.where(known, after.flux, images.flux),
        ivar=after.ivar.masked_fill(after.mask, 0.0),
        mask=after.mask,
        psf=images.psf,
    )
