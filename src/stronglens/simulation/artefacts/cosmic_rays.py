"""Cosmic rays: straight muons and wandering electrons, each in one exposure, not blurred."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.simulation.artefacts.artefact import (
    Artefact,
    Canvas,
    Draws,
    Images,
    Parameters,
    artefacts,
)
from stronglens.simulation.artefacts.one_exposure import add_to_one_exposure, draw_fate

THICKNESS = 100.0 / 15.0
"""Depth of the silicon, 100 micrometres as in Rubin's sensors, over a pixel of 15 [pixel]."""
CHARGE = 80.0 * 15.0
"""Charge along a pixel's length: 80 electrons per micrometre of silicon [electrons / pixel]."""
CHARGE_SCATTER = 0.3
"""Scatter of the logarithm of the charge, for the tail of the energy loss."""
WANDERING = 0.3
"""Part of the tracks that are electrons scattered many times (our choice)."""
BEND = 0.15
"""Scatter of the curvature of a wandering track [rad / pixel]."""
LONGEST = 100.0
"""Tracks are cut at this length [pixel]."""
N_STEPS = 128
"""Points along a track: closer than a pixel for the longest."""


def draw(n_events: int, canvas: Canvas, rng: np.random.Generator) -> Draws:
    """Draw where tracks start and how long they are, in which direction and with what charge.

    Args:
        n_events: Number of tracks.
        canvas: Size of the images.
        rng: Source of randomness.

    Reference:
        Muons come in with cos^2 of the zenith angle (Particle Data Group), so through a horizontal
        surface the cosine is the fourth root of a uniform number.
    """
    cosine = rng.random(n_events) ** 0.25
    length = THICKNESS * np.sqrt(1.0 - cosine**2) / np.maximum(cosine, 1e-3)
    scatter = np.exp(CHARGE_SCATTER * rng.standard_normal(n_events))
    bend = BEND * rng.standard_normal(n_events)
    return draw_fate(n_events, canvas, rng) | {
        "x": rng.uniform(-0.5, canvas.width - 0.5, n_events),
        "y": rng.uniform(-0.5, canvas.height - 0.5, n_events),
        "angle": rng.uniform(-np.pi, np.pi, n_events),
        "bend": np.where(rng.random(n_events) < WANDERING, bend, 0.0),
        "length": np.minimum(length, LONGEST),
        "electrons": CHARGE * np.minimum(np.hypot(length, THICKNESS), LONGEST) * scatter,
    }


def tracks(
    parameters: Parameters, height: int, width: int
) -> Float[Tensor, "event {height} {width}"]:
    """Charge of each track in the pixels it crosses; what leaves the frame is lost.

    Args:
        parameters: Start, angle, bend, length [pixel] and charge [electrons].
        height: Rows [pixel].
        width: Columns [pixel].

    Returns:
        Charge [electrons].
    """
    names = ("x", "y", "angle", "bend", "length", "electrons")
    x, y, angle, bend, length, electrons = (parameters[name][:, None] for name in names)
    step = length / N_STEPS
    middle = (torch.arange(N_STEPS, dtype=x.dtype, device=x.device) + 0.5) * step
    heading = angle + bend * middle
    x = x + (torch.cos(heading) * step).cumsum(dim=1)
    y = y + (torch.sin(heading) * step).cumsum(dim=1)
    planes = x.new_zeros(len(x), height * width)
    low_x, low_y = x.floor(), y.floor()
    for corner_x, weight_x in ((low_x, 1.0 - (x - low_x)), (low_x + 1.0, x - low_x)):
        for corner_y, weight_y in ((low_y, 1.0 - (y - low_y)), (low_y + 1.0, y - low_y)):
            is_inside = (corner_x >= 0) & (corner_x < width) & (corner_y >= 0) & (corner_y < height)
            index = torch.where(is_inside, corner_y * width + corner_x, 0.0).long()
            charge = electrons / N_STEPS * weight_x * weight_y * is_inside
            planes.scatter_add_(1, index, charge)
    return planes.unflatten(1, (height, width))


def apply(images: Images, parameters: Parameters, canvas: Canvas) -> Images:
    """Add tracks to images.

    Args:
        images: Images.
        parameters: As drawn.
        canvas: Gains and numbers of exposures.
    """
    charge = tracks(parameters, canvas.height, canvas.width)
    gain = canvas.by_band("gain", charge)[parameters["band"]]
    return add_to_one_exposure(images, charge / gain[:, None, None], parameters, canvas)


artefacts.register("cosmic_rays")(Artefact(draw, apply, stage="exposure", is_of_one_band=True))
