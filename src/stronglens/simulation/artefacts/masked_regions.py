"""Regions without data or not to be trusted: chip gaps, rectangles, discs around stars."""

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
from stronglens.simulation.artefacts.planes import column, coordinates, sum_of_events

CLEAR = 0.25
"""Distance from the centre that stays open, as part of half of the shorter side: a target without
data would not have been selected."""
LARGEST = 0.4
"""Largest width of a region, as part of the shorter side (our choice)."""
KINDS = ("gap", "rectangle", "disc")


def draw(n_events: int, canvas: Canvas, rng: np.random.Generator) -> Draws:
    """Draw the kind, the edges and the band of each region; discs are the same in all bands.

    A gap reaches across the frame, a rectangle to its border; neither holds data. In a disc the
    pixels are there and are masked.

    Args:
        n_events: Number of regions.
        canvas: Size of the images.
        rng: Source of randomness.
    """
    kind = rng.integers(len(KINDS), size=n_events)
    near = CLEAR * canvas.side / 2 + rng.uniform(0.0, 0.7, n_events) * canvas.side / 2
    size = rng.uniform(2.0, max(LARGEST * canvas.side, 3.0), n_events)
    along = max(canvas.height, canvas.width) / 2
    edge = rng.uniform(-along, along, n_events)
    angle = rng.uniform(-np.pi, np.pi, n_events)
    band = rng.integers(len(canvas.bands), size=n_events)
    return {
        "band": np.where(kind == KINDS.index("disc"), -1, band),
        "is_disc": kind == KINDS.index("disc"),
        "is_vertical": rng.random(n_events) < 0.5,
        "sign": np.where(rng.random(n_events) < 0.5, -1.0, 1.0),
        "near": near,
        "far": near + size,
        "start": np.where(kind == KINDS.index("gap"), -along, edge),
        "x": (near + size / 2) * np.cos(angle),
        "y": (near + size / 2) * np.sin(angle),
    }


def apply(images: Images, parameters: Parameters, canvas: Canvas) -> Images:
    """Mask regions, and empty those without data.

    Args:
        images: Images.
        parameters: As drawn.
        canvas: Size of the images.
    """
    x, y = coordinates(canvas.height, canvas.width, images.flux)
    get = {name: column(value) for name, value in parameters.items()}
    across = torch.where(get["is_vertical"], x, y) * get["sign"]
    along = torch.where(get["is_vertical"], y, x)
    is_strip = (across >= get["near"]) & (across < get["far"]) & (along >= get["start"])
    radius = (x - get["x"]).hypot(y - get["y"])
    is_inside = torch.where(get["is_disc"], radius < (get["far"] - get["near"]) / 2, is_strip)
    n_band = len(canvas.bands)
    chosen, band = torch.arange(n_band, device=x.device), parameters["band"][:, None]
    event, band = ((band < 0) | (band == chosen)).nonzero(as_tuple=True)
    masks = [
        sum_of_events(planes[event], parameters["image"][event], band, images) > 0
        for planes in (is_inside, is_inside & ~get["is_disc"])
    ]
    flux = images.flux.masked_fill(masks[1], 0.0)
    return replace(images, flux=flux, mask=images.mask | masks[0])


artefacts.register("masked_regions")(Artefact(draw, apply, stage="mask", is_of_one_band=False))
