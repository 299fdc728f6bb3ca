"""Light given as an image, such as the stamp of a real galaxy; reading one is elsewhere."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from stronglens.core.errors import OutOfRangeError
from stronglens.light.light_profile import lights, placed


def sample(
    u: Float[Tensor, "batch y x"],
    v: Float[Tensor, "batch y x"],
    image: Float[Tensor, "batch height width"],
    pixel_scale: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Values of images between their pixel centres, bilinear; zero outside.

    Args:
        u: Position from the centre of the image along its rows [arcsec].
        v: Position from the centre of the image along its columns [arcsec].
        image: One image each.
        pixel_scale: Side of a pixel of the image [arcsec/pixel].

    Returns:
        Values [unit of the image]. Around the outermost pixel centres they fall to zero over one
        pixel, so that the integral is the sum of the pixels times their area.
    """
    height, width = image.shape[-2:]
    half = 0.5 * pixel_scale[:, None, None]
    grid = torch.stack([u / (half * width), v / (half * height)], dim=-1)
    return grid_sample(image[:, None], grid, align_corners=False)[:, 0]


def own(
    u: Float[Tensor, "batch y x"],
    v: Float[Tensor, "batch y x"],
    image: Float[Tensor, "batch height width"],
    pixel_scale: Float[Tensor, "batch"],
    scale: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Surface brightness of images, each brought to unit flux.

    Args:
        u: Position from the centre of the image along its rows [arcsec].
        v: Position from the centre of the image along its columns [arcsec].
        image: Light per pixel in any unit, of a sum above zero.
        pixel_scale: Side of a pixel as the image was taken [arcsec/pixel].
        scale: Enlargement of the image on the sky; 1 keeps its size [-].

    Returns:
        Surface brightness [1 / arcsec^2].

    Raises:
        OutOfRangeError: An image whose sum is not above zero.

    Reference:
        The tents of bilinear interpolation add up to the pixel area each; checked against
        lenstronomy `INTERPOL` in tests/reference.
    """
    flux = image.sum(dim=(-2, -1))
    if not bool((flux > 0).all()):
        raise OutOfRangeError(
            f"image has sums {flux.tolist()}; light needs sums above zero. Subtract the background "
            "and leave out empty images."
        )
    side = pixel_scale * scale
    return sample(u, v, image, side) / (flux * side * side)[:, None, None]


lights.register("pixelated")(placed(own, ("image", "pixel_scale", "scale")))
