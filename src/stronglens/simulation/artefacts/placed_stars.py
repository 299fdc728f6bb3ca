"""Saturated stars where they are asked for, such as in the middle of images of their class."""

from dataclasses import fields

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
    chosen = torch.tensor(rows)
    before = Images(*(getattr(images, field.name)[chosen] for field in fields(Images)))
    after = apply(before, as_parameters(draws, torch.arange(len(rows)), images.flux), canvas)
    # what was not observed stays so, star or not
    flux = torch.where(before.ivar > 0.0, after.flux, before.flux)
    return Images(
        flux=images.flux.index_copy(0, chosen, flux),
        ivar=images.ivar.masked_fill(images.mask, 0.0).index_copy(
            0, chosen, after.ivar.masked_fill(after.mask, 0.0)
        ),
        mask=images.mask.index_copy(0, chosen, after.mask),
        psf=images.psf,
    )
