"""Charge that one exposure of a coadd caught: how much of it the coadd keeps."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.simulation.artefacts.artefact import Canvas, Draws, Images, Parameters
from stronglens.simulation.artefacts.planes import masked, noise_level, sum_of_events

FEWEST_TO_CLIP = 3
"""With fewer exposures an outlier cannot be told from its opposite."""
MEDIAN_INFLUENCE = (torch.pi / 2.0) ** 0.5
"""What one outlier moves the median of n values by, at most, times n [standard deviations]."""


def draw_fate(n_events: int, canvas: Canvas, rng: np.random.Generator) -> Draws:
    """Draw the band of each event, whether clipping fails on it and whether it is left unmasked.

    Args:
        n_events: Number of events.
        canvas: Bands and chances.
        rng: Source of randomness.
    """
    return {
        "band": rng.integers(len(canvas.bands), size=n_events),
        "is_residual": rng.random(n_events) < canvas.settings.residual,
        "is_missed": rng.random(n_events) < canvas.settings.missed,
    }


def add_to_one_exposure(
    images: Images, added: Float[Tensor, "event y x"], parameters: Parameters, canvas: Canvas
) -> Images:
    """Add what one exposure caught to the mean, clipped mean or median of all of them.

    The mean of n exposures keeps an nth. A clipped mean loses the exposure in pixels that stand out
    from its noise, and keeps the rest; where clipping fails it is a mean. The median moves by what
    one outlier can do. An event of which nothing was clipped is masked where it stands above the
    noise of the coadd, unless the pipeline misses it.

    Args:
        images: Coadds.
        added: Flux caught by the exposure of each event [pixel units of one exposure].
        parameters: With `image`, `band`, `is_residual` and `is_missed`.
        canvas: Numbers of exposures and how they are combined.

    Returns:
        Images with the artefacts.

    Reference:
        Gruen, Seitz & Bernstein 2014, PASP 126, 158, for clipped coadds; the influence function of
        the median, sqrt(pi / 2) sigma, in Hampel 1974, JASA 69, 383.
    """
    image, band = parameters["image"], parameters["band"]
    n_exposures = canvas.by_band("n_exposures", added)[band][:, None, None]
    sigma = noise_level(images)[image, band][:, None, None]
    sigma_one = sigma * n_exposures.sqrt()
    settings = canvas.settings
    can_reject = n_exposures >= FEWEST_TO_CLIP
    if settings.combination == "median":
        limit = torch.where(can_reject, MEDIAN_INFLUENCE * sigma_one, torch.inf)
        added = added.minimum(limit)
    is_clipped = torch.zeros_like(added, dtype=torch.bool)
    if settings.combination == "clipped":
        is_clipped = can_reject & ~parameters["is_residual"][:, None, None]
        is_clipped = is_clipped & (added > settings.clip_sigma * sigma_one)
    kept = torch.where(is_clipped, 0.0, added / n_exposures)
    # what is left around pixels that were clipped is too faint to be noticed
    is_left = (kept > sigma) & ~is_clipped.flatten(1).any(dim=1)[:, None, None]
    lost = sum_of_events(is_clipped / n_exposures, image, band, images)
    return replace(
        images,
        flux=images.flux + sum_of_events(kept, image, band, images),
        ivar=images.ivar * (1.0 - lost).clamp_min(0.0),
        mask=masked(images, is_left, parameters),
    )
