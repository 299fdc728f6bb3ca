"""Over-subtraction: light of the brightest object that was taken for background around it."""

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

SMALLEST, LARGEST = 0.1, 0.3
"""Scale of the bowl, as part of the shorter side: the mesh of the background (our choice)."""
LEAST, MOST = 0.02, 0.15
"""Part of the object's light that is subtracted, log-uniform (our choice)."""
DEEPEST = 3.0
"""Largest depth of a bowl [noise of a pixel]."""


def draw(n_events: int, canvas: Canvas, rng: np.random.Generator) -> Draws:
    """Draw the scale of bowls and how much light is lost in them, the same in all bands.

    Args:
        n_events: Number of bowls.
        canvas: Size of the images.
        rng: Source of randomness.
    """
    return {
        "scale": rng.uniform(SMALLEST, LARGEST, n_events) * canvas.side,
        "share": np.exp(rng.uniform(np.log(LEAST), np.log(MOST), n_events)),
    }


def apply(images: Images, parameters: Parameters, canvas: Canvas) -> Images:
    """Subtract a Gaussian bowl around the brightest spot; it shows as a dark ring.

    Args:
        images: Images.
        parameters: As drawn.
        canvas: Size of the images.
    """
    flux = images.flux[parameters["image"]]
    is_known = images.ivar[parameters["image"]] > 0.0
    sigma = noise_level(images)[parameters["image"]][:, :, None, None]
    light = torch.where(is_known & (flux > 3.0 * sigma), flux, 0.0)
    scaled = (light / sigma.clamp_min(1e-30)).sum(dim=1, keepdim=True)
    # the brightest spot, not the brightest pixel, which noise or a cosmic ray may be
    spot = torch.nn.functional.avg_pool2d(scaled, 5, stride=1, padding=2).flatten(1).argmax(dim=1)
    x, y = (axis[0] for axis in coordinates(canvas.height, canvas.width, flux))
    x_spot = x[0, spot % canvas.width][:, None, None]
    y_spot = y[spot // canvas.width, 0][:, None, None]
    scale = parameters["scale"][:, None, None]
    radius2 = ((x - x_spot) ** 2 + (y - y_spot) ** 2) / scale**2
    lost = light.sum(dim=(2, 3)) * parameters["share"][:, None]
    depth = lost[:, :, None, None] / (2.0 * torch.pi * scale[:, None] ** 2)
    bowl = depth.minimum(DEEPEST * sigma) * torch.exp(-0.5 * radius2)[:, None]
    return replace(images, flux=images.flux.index_add(0, parameters["image"], -bowl))


artefacts.register("oversubtraction")(Artefact(draw, apply, stage="coadd", is_of_one_band=False))
