"""Scattered light: a gradient from one side of the frame in one band, which no mask tells of."""

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
from stronglens.simulation.artefacts.planes import (
    column,
    coordinates,
    noise_level,
    sum_of_events,
)

FAINTEST, BRIGHTEST = 0.3, 5.0
"""Brightness at the border it comes from, log-uniform (our choice) [noise of a pixel]."""


def draw(n_events: int, canvas: Canvas, rng: np.random.Generator) -> Draws:
    """Draw the direction, brightness and reach of gradients.

    Args:
        n_events: Number of gradients.
        canvas: Size of the images.
        rng: Source of randomness.
    """
    return {
        "band": rng.integers(len(canvas.bands), size=n_events),
        "angle": rng.uniform(-np.pi, np.pi, n_events),
        "brightness": np.exp(rng.uniform(np.log(FAINTEST), np.log(BRIGHTEST), n_events)),
        "reach": rng.uniform(0.2, 1.0, n_events) * canvas.side,
    }


def apply(images: Images, parameters: Parameters, canvas: Canvas) -> Images:
    """Add light that falls exponentially from the border inwards.

    Args:
        images: Images.
        parameters: As drawn.
        canvas: Size of the images.
    """
    image, band = parameters["image"], parameters["band"]
    x, y = coordinates(canvas.height, canvas.width, images.flux)
    angle = column(parameters["angle"])
    along = x * torch.cos(angle) + y * torch.sin(angle)
    depth = along.amax(dim=(1, 2), keepdim=True) - along
    crest = parameters["brightness"] * noise_level(images)[image, band]
    light = column(crest) * torch.exp(-depth / column(parameters["reach"]))
    return replace(images, flux=images.flux + sum_of_events(light, image, band, images))


artefacts.register("scattered_light")(Artefact(draw, apply, stage="sky", is_of_one_band=True))
