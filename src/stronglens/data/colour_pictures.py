"""Colour pictures as survey viewers serve them: three bands stretched together, in 8 bits.

A picture is made for eyes: its values are no flux any more, and the stretch is rarely told. How the
stretches of training pictures are drawn is the business of `stronglens.simulation`.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from torch import Tensor

from stronglens.core.errors import WrongShapeError

BANDS = ("rgb-r", "rgb-g", "rgb-b")
"""Names of the bands of a picture: red, green and blue."""
GREY = "grey"
"""Name of the band of a picture without colours."""
WHITE = 255.0
"""Largest value of a picture."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """How flux becomes brightness, for each image of a batch."""

    weight: Float[Tensor, "batch colour"]
    """Factor of the flux of red, green and blue, so that the mean of the three has unit noise."""
    level: Float[Tensor, "batch"]
    """Brightness of one sigma of the noise of that mean, white being 1."""
    softening: Float[Tensor, "batch"]
    """Sigmas of the noise at which the stretch turns from linear to logarithmic."""
    pedestal: Float[Tensor, "batch"]
    """Brightness of the empty sky, white being 1."""
    keeps_hue: Bool[Tensor, "batch"]
    """Whether too bright a colour is dimmed with the others, instead of being cut off alone."""
    is_joint: Bool[Tensor, "batch"]
    """Whether the mean of the bands is stretched, instead of each band for itself."""


def are_display_values(bands: Sequence[str]) -> bool:
    """Whether bands are those of a picture, whose values are brightness and no flux."""
    return bool(bands) and set(bands) <= {*BANDS, GREY}


def colour_pictures(
    flux: Float[Tensor, "batch colour y x"], stretch: Stretch
) -> Float[Tensor, "batch colour y x"]:
    """Brightness between 0 and 1 of red, green and blue.

    Args:
        flux: Images in red, green and blue, sky removed [pixel units]; not finite counts as sky.
        stretch: How each one is stretched.

    Returns:
        Brightness, white being 1.

    Raises:
        WrongShapeError: Not three bands.

    Reference:
        Lupton et al. 2004, PASP 116, 133, section 2: every colour times f(I) / I, with I the mean
        of the bands and f an inverse hyperbolic sine.
    """
    if flux.shape[1] != len(BANDS):
        raise WrongShapeError(
            f"a colour picture needs three bands, not {flux.shape[1]}. Choose red, green and blue."
        )
    scaled = torch.nan_to_num(flux, 0.0, 0.0, 0.0) * stretch.weight[:, :, None, None]
    level, softening, pedestal = (
        value[:, None, None, None] for value in (stretch.level, stretch.softening, stretch.pedestal)
    )
    mean = scaled.mean(dim=1, keepdim=True)
    intensity = torch.where(stretch.is_joint[:, None, None, None], mean, scaled)
    # the factor f(I) / I is one where I vanishes
    size = intensity.abs().clamp_min(1e-3) / softening
    bright = scaled * level * torch.asinh(size) / size + pedestal
    dimmed = bright / bright.amax(dim=1, keepdim=True).clamp_min(1.0)
    keeps = stretch.keeps_hue[:, None, None, None]
    return torch.where(keeps, dimmed, bright).clamp(0.0, 1.0)


def eight_bits(brightness: Float[Tensor, "batch colour y x"]) -> UInt8[np.ndarray, "n colour y x"]:
    """Round brightness between 0 and 1 to the 256 values of a picture file."""
    return (brightness * WHITE).round().to(torch.uint8).numpy()


def through_jpeg(
    picture: UInt8[np.ndarray, "colour y x"], quality: int
) -> UInt8[np.ndarray, "colour y x"]:
    """Return a picture as it is after a JPEG file.

    Args:
        picture: Red, green and blue.
        quality: Quality of the JPEG file, from 1 to 95.
    """
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(np.moveaxis(picture, 0, -1))).save(
        file, "JPEG", quality=quality
    )
    file.seek(0)
    with Image.open(file) as opened:
        return np.ascontiguousarray(np.moveaxis(np.asarray(opened), -1, 0))
