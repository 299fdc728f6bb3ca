"""Bad columns that survive into the coadd: hot or dead ones, and those filled from the sides."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

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
    masked,
    noise_level,
    sum_of_events,
)

WIDEST = 3
"""Most neighbouring columns that are bad together [pixel]."""
FAINTEST, BRIGHTEST = 1.0, 10.0
"""Offset of a column that is not filled, log-uniform (our choice) [noise of the coadd]."""


def draw(n_events: int, canvas: Canvas, rng: np.random.Generator) -> Draws:
    """Draw which columns are bad, from which row on and what is in them.

    Args:
        n_events: Number of bad columns.
        canvas: Size of the images.
        rng: Source of randomness.
    """
    size = np.exp(rng.uniform(np.log(FAINTEST), np.log(BRIGHTEST), n_events))
    return {
        "band": rng.integers(len(canvas.bands), size=n_events),
        "is_missed": rng.random(n_events) < canvas.settings.missed,
        "is_filled": rng.random(n_events) < 0.5,
        "first": rng.integers(canvas.width, size=n_events),
        "n_columns": 1 + (rng.random(n_events) ** 3 * WIDEST).astype(int),
        # half of the columns are bad in all rows, the others from a trap on
        "start": rng.uniform(-canvas.height, canvas.height, n_events),
        "offset": np.where(rng.random(n_events) < 0.7, size, -size),
    }


def _filled(flux: Tensor, first: Tensor, n_columns: Tensor) -> Tensor:
    """Planes with each row between the columns left and right of the bad ones on a line."""
    width = flux.shape[-1]
    left, right = first - 1, first + n_columns
    left_value, right_value = (
        flux.gather(2, at.clamp(0, width - 1)[:, None, None].expand(-1, flux.shape[1], 1))
        for at in (torch.where(left < 0, right, left), torch.where(right >= width, left, right))
    )
    x = torch.arange(width, device=flux.device)[None, None, :]
    share = (x - column(left)) / column(right - left)
    return left_value + (right_value - left_value) * share.clamp(0.0, 1.0)


def apply(images: Images, parameters: Parameters, canvas: Canvas) -> Images:
    """Spoil columns; where several overlap, a pixel gets the mean of what each would put there.

    Args:
        images: Images.
        parameters: As drawn.
        canvas: Size of the images.
    """
    image, band = parameters["image"], parameters["band"]
    plane = images.flux[image, band]
    x = torch.arange(canvas.width, device=plane.device)[None, None, :]
    _, y = coordinates(canvas.height, canvas.width, plane)
    first, n_columns = parameters["first"], parameters["n_columns"]
    is_bad = (x >= column(first)) & (x < column(first + n_columns))
    is_bad = is_bad & (y + (canvas.height - 1) / 2 >= column(parameters["start"]))
    offset = column(parameters["offset"] * noise_level(images)[image, band])
    filled = _filled(plane, first, n_columns)
    spoilt = torch.where(column(parameters["is_filled"]), filled, plane + offset)
    change = sum_of_events(torch.where(is_bad, spoilt - plane, 0.0), image, band, images)
    n_events = sum_of_events(is_bad, image, band, images)
    flux = images.flux + change / n_events.clamp_min(1.0)
    return replace(images, flux=flux, mask=masked(images, is_bad, parameters))


artefacts.register("bad_columns")(Artefact(draw, apply, stage="coadd", is_of_one_band=True))
