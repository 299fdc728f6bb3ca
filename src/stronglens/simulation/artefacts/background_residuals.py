"""Errors of the background: a smooth surface in each band, which no mask tells of."""

from dataclasses import replace

import numpy as np
import torch

from stronglens.simulation.artefacts.artefact import (
    Artefact,
    Canvas,
    Draws,
    Images,
    Parameters,
    artefacts,
)
from stronglens.simulation.artefacts.planes import coordinates, noise_level

SCATTER = (0.3, 0.15, 0.15, 0.08, 0.08, 0.08)
"""Scatter of the terms 1, x, y, x^2 - 1/3, x y and y^2 - 1/3 of the surface, x and y from -1 to 1
over the frame (our choice) [noise of a pixel]."""


def draw(n_events: int, canvas: Canvas, rng: np.random.Generator) -> Draws:
    """Draw the terms of the surface, independently by band.

    Args:
        n_events: Number of surfaces.
        canvas: Number of bands.
        rng: Source of randomness.
    """
    size = (n_events, len(canvas.bands), len(SCATTER))
    return {"terms": rng.standard_normal(size) * SCATTER}


def apply(images: Images, parameters: Parameters, canvas: Canvas) -> Images:
    """Add surfaces to images.

    Args:
        images: Images.
        parameters: As drawn.
        canvas: Size of the images.
    """
    x, y = coordinates(canvas.height, canvas.width, images.flux)
    x, y = torch.broadcast_tensors(x[0] / (canvas.width / 2), y[0] / (canvas.height / 2))
    third = 1.0 / 3.0
    basis = torch.stack([torch.ones_like(x), x, y, x * x - third, x * y, y * y - third])
    surface = torch.einsum("ebt,tyx->ebyx", parameters["terms"], basis)
    surface = surface * noise_level(images)[parameters["image"]][:, :, None, None]
    return replace(images, flux=images.flux.index_add(0, parameters["image"], surface))


artefacts.register("background_residuals")(
    Artefact(draw, apply, stage="coadd", is_of_one_band=False)
)
