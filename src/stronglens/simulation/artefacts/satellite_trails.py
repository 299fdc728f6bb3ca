"""Satellite trails: lines across one exposure, blurred by the PSF and by being out of focus."""

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
from stronglens.simulation.artefacts.planes import column, coordinates, noise_level, psf_width
from stronglens.simulation.convolution import convolve

FAINTEST, BRIGHTEST = 1.0, 60.0
"""Crest of a trail, log-uniform between these (our choice) [noise of the exposure]."""
WIDEST = 4.0
"""Largest width of the line before the PSF, for satellites out of focus [pixel]."""


def draw(n_events: int, canvas: Canvas, rng: np.random.Generator) -> Draws:
    """Draw where trails pass, how bright and how wide they are; each of them crosses the frame.

    Args:
        n_events: Number of trails.
        canvas: Size of the images.
        rng: Source of randomness.
    """
    angle = rng.uniform(-np.pi / 2, np.pi / 2, n_events)
    reach = (np.abs(np.sin(angle)) * canvas.width + np.abs(np.cos(angle)) * canvas.height) / 2
    normal = rng.standard_normal((n_events, canvas.height, canvas.width), dtype=np.float32)
    return draw_fate(n_events, canvas, rng) | {
        "angle": angle,
        "distance": rng.uniform(-reach, reach),
        "brightness": np.exp(rng.uniform(np.log(FAINTEST), np.log(BRIGHTEST), n_events)),
        "thickness": rng.uniform(1.0, WIDEST, n_events),
        "photon_noise": normal,
    }


def trails(
    parameters: Parameters, psf: Float[Tensor, "event k l"], height: int, width: int
) -> Float[Tensor, "event {height} {width}"]:
    """Trails that hold one unit of flux per pixel of length, convolved with the PSF.

    Args:
        parameters: Angle [rad], distance from the centre and thickness [pixel].
        psf: Kernel of each event.
        height: Rows [pixel].
        width: Columns [pixel].
    """
    margin_y, margin_x = psf.shape[1] // 2, psf.shape[2] // 2
    x, y = coordinates(height + 2 * margin_y, width + 2 * margin_x, psf)
    angle, thickness = column(parameters["angle"]), column(parameters["thickness"])
    distance = y * torch.cos(angle) - x * torch.sin(angle) - column(parameters["distance"])
    line = ((thickness + 1.0) / 2.0 - distance.abs()).clamp(0.0, 1.0) / thickness
    blurred = convolve(line, psf)
    return blurred[:, margin_y : margin_y + height, margin_x : margin_x + width]


def apply(images: Images, parameters: Parameters, canvas: Canvas) -> Images:
    """Add trails to images, with the noise of their own photons.

    Args:
        images: Images.
        parameters: As drawn.
        canvas: Gains and numbers of exposures.
    """
    image, band = parameters["image"], parameters["band"]
    psf = images.psf[image, band]
    line = trails(parameters, psf, canvas.height, canvas.width).clamp_min(0.0)
    n_exposures = canvas.by_band("n_exposures", line)[band]
    sigma_one = noise_level(images)[image, band] * n_exposures.sqrt()
    width = psf_width(psf).hypot(parameters["thickness"])
    light = line * column(parameters["brightness"] * sigma_one * width)
    gain = column(canvas.by_band("gain", line)[band])
    light = light + (light / gain).sqrt() * parameters["photon_noise"]
    return add_to_one_exposure(images, light, parameters, canvas)


artefacts.register("satellite_trails")(Artefact(draw, apply, stage="exposure", is_of_one_band=True))
