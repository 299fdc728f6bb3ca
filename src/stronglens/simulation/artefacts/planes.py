"""Pieces that several artefacts are made of: coordinates, noise levels, sums over events."""

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

from stronglens.simulation.artefacts.artefact import Images, Parameters


def coordinates(
    height: int, width: int, like: Tensor
) -> tuple[Float[Tensor, "1 1 x"], Float[Tensor, "1 y 1"]]:
    """Positions of pixel centres from the centre of the frame, as a row and a column.

    Args:
        height: Rows [pixel].
        width: Columns [pixel].
        like: Tensor whose precision and device are taken.

    Returns:
        x and y [pixel].
    """
    x = torch.arange(width, dtype=like.dtype, device=like.device) - (width - 1) / 2
    y = torch.arange(height, dtype=like.dtype, device=like.device) - (height - 1) / 2
    return x[None, None, :], y[None, :, None]


def column(values: Shaped[Tensor, " event"]) -> Shaped[Tensor, "event 1 1"]:
    """Give each event's value the axes of a plane."""
    return values[:, None, None]


def noise_level(images: Images) -> Float[Tensor, "n band"]:
    """Noise of a typical pixel, 0 where nothing was observed [pixel units]."""
    known = images.ivar.masked_fill(images.ivar <= 0.0, torch.nan).flatten(2)
    return torch.nan_to_num(known.nanmedian(dim=2).values.rsqrt())


def psf_width(psf: Float[Tensor, "event k l"]) -> Float[Tensor, " event"]:
    """Width at half maximum of the Gaussian with the peak of each kernel, 0 without one [pixel].

    Reference:
        The peak of a Gaussian of unit flux is 4 ln 2 / (pi fwhm^2).
    """
    peak = psf.flatten(1).amax(dim=1)
    width = (4.0 * torch.log(peak.new_tensor(2.0)) / (torch.pi * peak)).sqrt()
    return torch.where(peak > 0.0, width, 0.0)


def sum_of_events(
    planes: Shaped[Tensor, "event y x"],
    image: Int64[Tensor, " event"],
    band: Int64[Tensor, " event"],
    images: Images,
) -> Float[Tensor, "n band y x"]:
    """Add the planes of all events to those of their image and band.

    Args:
        planes: One plane per event.
        image: Index of its image.
        band: Index of its band.
        images: Images whose shape is taken.
    """
    total = torch.zeros_like(images.flux)
    planes = planes.to(total)
    if len(torch.unique(image * total.shape[1] + band)) == len(image):
        total[image, band] = planes
        return total
    return total.index_put_((image, band), planes, accumulate=True)


def masked(
    images: Images, is_bad: Bool[Tensor, "event y x"], parameters: Parameters
) -> Bool[Tensor, "n band y x"]:
    """The mask of images with the bad pixels of all events that the pipeline did not miss.

    Args:
        images: Images.
        is_bad: Pixels that should be masked.
        parameters: With `image`, `band` and `is_missed`.
    """
    is_found = is_bad & ~parameters["is_missed"][:, None, None]
    touched = sum_of_events(is_found, parameters["image"], parameters["band"], images)
    return images.mask | (touched > 0.0)
