"""Images turned, flipped, zoomed and shifted by any amount, a whole batch at a time.

How the amounts are drawn for training is the business of `augment.py`.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch.nn import functional

Fill = Literal["edge", "reflect", "wrap"]
_PADDING = {"edge": "border", "reflect": "reflection", "wrap": "border"}


@dataclass(frozen=True)
class Warp:
    """Where each pixel of the new images comes from: a linear map about the centre and a shift."""

    angle: Float[Tensor, "batch"]
    """Turn of the sampling grid [rad]."""
    zoom: Float[Tensor, "batch"]
    """Distance between samples in the old image [pixels]; below 1 the image looks larger."""
    flip_x: Float[Tensor, "batch"]
    """-1 where the x axis is reversed, else 1."""
    flip_y: Float[Tensor, "batch"]
    """-1 where the y axis is reversed, else 1."""
    shift_x: Float[Tensor, "batch"]
    """Shift of the sampling grid along x [half widths of the image]."""
    shift_y: Float[Tensor, "batch"]
    """Shift of the sampling grid along y [half heights of the image]."""


def uniform(n: int, low: float, high: float, generator: Generator) -> Float[Tensor, "n"]:
    """Numbers drawn uniformly, on the device of the generator."""
    return low + (high - low) * torch.rand(n, generator=generator, device=generator.device)


def random_signs(n: int, generator: Generator) -> Float[Tensor, "n"]:
    """1 and -1 with equal chances, on the device of the generator."""
    return torch.sign(uniform(n, -1.0, 1.0, generator))


def warped(
    images: Float[Tensor, "batch band y x"],
    warp: Warp,
    *,
    mode: Literal["nearest", "bilinear"] = "bilinear",
    fill: Fill = "edge",
) -> Float[Tensor, "batch band y x"]:
    """Images sampled at the places of a warp.

    Args:
        images: Images.
        warp: A warp per image.
        mode: Value of the nearest pixel, or interpolated between four.
        fill: What stands outside the image: its edge, its mirror image, or its other side.

    Returns:
        The warped images, of the same size.
    """
    if len(images) == 0:
        return images
    matrix = _matrix(warp, images.shape[-2] / images.shape[-1]).to(images.dtype)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    if fill == "wrap":
        images, grid = _wrapped(images, grid)
    return functional.grid_sample(
        images, grid, mode=mode, padding_mode=_PADDING[fill], align_corners=False
    )


def _matrix(warp: Warp, aspect: float) -> Float[Tensor, "batch 2 3"]:
    """Matrices that take places in the new image to places in the old, in half sides."""
    cosine, sine = torch.cos(warp.angle), torch.sin(warp.angle)
    along_x, along_y = warp.zoom * warp.flip_x, warp.zoom * warp.flip_y
    rows = [
        torch.stack([along_x * cosine, -along_x * sine * aspect, warp.shift_x], dim=1),
        torch.stack([along_y * sine / aspect, along_y * cosine, warp.shift_y], dim=1),
    ]
    return torch.stack(rows, dim=1)


def _wrapped(
    images: Float[Tensor, "batch band y x"], grid: Float[Tensor, "batch y x 2"]
) -> tuple[Float[Tensor, "batch band y_pad x_pad"], Float[Tensor, "batch y x 2"]]:
    """Images with one pixel of their other side around, and places brought back inside."""
    sides = torch.tensor(images.shape[:-3:-1], dtype=grid.dtype, device=grid.device)
    inside = torch.remainder(grid + 1, 2.0) - 1
    padded = functional.pad(images, (1, 1, 1, 1), mode="circular")
    return padded, inside * sides / (sides + 2)
