"""All artefacts on a batch of images: how many of each, in which order, and what remains true."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from stronglens.core.errors import WrongShapeError
from stronglens.core.seeds import numpy_generator
from stronglens.simulation.artefacts.artefact import (
    STAGES,
    Artefact,
    BandFacts,
    Canvas,
    Draws,
    Images,
    Parameters,
    artefacts,
)
from stronglens.simulation.imperfections import Artefacts


def apply_artefacts(
    images: Images,
    settings: Artefacts,
    bands: tuple[BandFacts, ...],
    generator: np.random.Generator,
) -> tuple[Images, dict[str, Tensor]]:
    """Put a random number of artefacts of every kind on each image.

    Each kind has a random stream of its own, so that a new kind leaves the others where they were.
    Masked pixels have no inverse variance; pixels that came without one stay as they were.

    Args:
        images: Noisy images; they are not changed.
        settings: Mean number of each kind in an image, and chances.
        bands: Facts of the bands, in the order of the images' axis.
        generator: Source of randomness; it gives the same artefacts on every device.

    Returns:
        New images, and truth columns: `n_<kind>`, the number of events of each kind.
    """
    settings.check()
    n, n_band, height, width = images.flux.shape
    if n_band != len(bands):
        raise WrongShapeError(
            f"images have {n_band} bands and bands={len(bands)} facts. Pass one for each band."
        )
    canvas = Canvas(height, width, bands, settings)
    seed = int(generator.integers(2**62))
    result, truth = _copied(images), {}
    for name in kinds_in_order():
        rng = numpy_generator(seed, "artefact", name)
        counts = rng.poisson(getattr(settings, name), size=n)
        truth[f"n_{name}"] = torch.as_tensor(counts, dtype=torch.int64)
        if counts.any():
            draws = artefacts.get(name).draw(int(counts.sum()), canvas, rng)
            _put(result, artefacts.get(name), draws, truth[f"n_{name}"], canvas)
    result.ivar.masked_fill_(result.mask, 0.0)
    return result, truth


def kinds_in_order() -> list[str]:
    """Return the names of all artefacts in the order in which they are applied."""
    return sorted(artefacts.names(), key=lambda name: STAGES.index(artefacts.get(name).stage))


def as_parameters(draws: Draws, image: Int64[Tensor, " event"], like: Tensor) -> Parameters:
    """Bring drawn parameters to the precision and device of images.

    Args:
        draws: As drawn.
        image: Index of the image of each event.
        like: Tensor whose precision and device are taken.
    """
    tensors = {name: torch.as_tensor(values) for name, values in draws.items()}
    return {"image": image.to(like.device)} | {
        name: value.to(like) if value.is_floating_point() else value.to(like.device)
        for name, value in tensors.items()
    }


def _copied(images: Images) -> Images:
    """Images whose flux, inverse variance and mask may be changed in place."""
    return replace(
        images, flux=images.flux.clone(), ivar=images.ivar.clone(), mask=images.mask.clone()
    )


def _put(images: Images, artefact: Artefact, draws: Draws, counts: Tensor, canvas: Canvas) -> None:
    """Apply one kind, in place, to the images that have any of it, where they were observed."""
    touched = counts.nonzero()[:, 0]
    image = torch.arange(len(touched)).repeat_interleave(counts[touched])
    parameters = as_parameters(draws, image, images.flux)
    rows = touched.to(images.flux.device)
    planes = {name: getattr(images, name)[rows] for name in ("flux", "ivar", "mask", "psf")}
    before = Images(**planes)
    after = artefact.apply(before, parameters, canvas)
    images.flux[rows] = torch.where(before.ivar > 0.0, after.flux, before.flux)
    images.ivar[rows] = after.ivar
    images.mask[rows] = before.mask | after.mask
