"""Ghosts: the edge of a defocused reflection, a faint arc much larger than the frame's objects."""

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

FAINTEST, BRIGHTEST = 0.3, 3.0
"""Brightness inside, log-uniform (our choice) [noise of a pixel]."""
SMALLEST, LARGEST = 0.5, 4.0
"""Radius, log-uniform, as part of the shorter side (our choice)."""


def draw(n_events: int, canvas: Canvas, rng: np.random.Generator) -> Draws:
    """Draw the radius, brightness and softness of ghosts; the edge of each crosses the frame.

    Args:
        n_events: Number of ghosts.
        canvas: Size of the images.
        rng: Source of randomness.
    """
    radius = np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST), n_events)) * canvas.side
    angle = rng.uniform(-np.pi, np.pi, n_events)
    distance = radius + rng.uniform(-0.4, 0.4, n_events) * canvas.side
    return {
        "band": rng.integers(len(canvas.bands), size=n_events),
        "x": distance * np.cos(angle),
        "y": distance * np.sin(angle),
        "radius": radius,
        "softness": rng.uniform(0.5, 3.0, n_events),
        "brightness": np.exp(rng.uniform(np.log(FAINTEST), np.log(BRIGHTEST), n_events)),
    }


def apply(images: Images, parameters: Parameters, canvas: Canvas) -> Images:
    """Add the even light of a pupil out of focus, with a soft edge.

    Args:
        images: Images.
        parameters: As drawn.
        canvas: Size of the images.
    """
    image, band = parameters["image"], parameters["band"]
    x, y = coordinates(canvas.height, canvas.width, images.flux)
    distance = (x - column(parameters["x"])).hypot(y - column(parameters["y"]))
    inside = (column(parameters["radius"]) - distance) / column(parameters["softness"])
    light = column(parameters["brightness"] * noise_level(images)[image, band])
    light = light * torch.sigmoid(inside)
    return replace(images, flux=images.flux + sum_of_events(light, image, band, images))


artefacts.register("ghosts")(Artefact(draw, apply, stage="sky", is_of_one_band=True))
