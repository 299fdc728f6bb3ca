"""Random views of the same objects for training, on whole batches, with labels that follow.

`d4` and `d4-shift` move pixels without touching their values; `deck`, `cmu` and `petrillo` are what
published systems did. Whether an image is a lens does not depend on its view, so `label` needs no
change in any of them.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor

from stronglens.core.conventions import flip_labels, turn_labels
from stronglens.data.warp import Warp, random_signs, uniform, warped

DECK_SHIFT = 0.1
"""Largest shift of the study's augmentation, as a fraction of the image's side."""
CMU_ZOOM = 0.9
"""Smallest distance between samples in the augmentation of CMU DeepLens [pixels]."""
PETRILLO_ZOOM = 1 / 1.1
"""Smallest distance between samples in Petrillo's augmentation [pixels]."""
PETRILLO_SHIFT = 4.0
"""Largest shift in Petrillo's augmentation [pixels]."""


@dataclass(frozen=True)
class Views:
    """One of the eight views of a square, and a shift by whole pixels, for each image of a batch.

    The x axis is reversed first, then the image is turned, then shifted.
    """

    is_flipped: Bool[Tensor, "batch"]
    """Whether the x axis is reversed."""
    n_quarter_turns: Int64[Tensor, "batch"]
    """Quarter turns in the sense of torch.rot90 over (y, x)."""
    shift_x: Int64[Tensor, "batch"]
    """Shift along x [pixels]."""
    shift_y: Int64[Tensor, "batch"]
    """Shift along y [pixels]."""


def draw_views(
    n: int, generator: Generator, *, is_square: bool = True, largest_shift: int = 2
) -> Views:
    """Draw views uniformly.

    Args:
        n: Number of images.
        generator: Source of randomness.
        is_square: Whether the images are square; if not, only half turns are drawn.
        largest_shift: Largest shift along each axis [pixels].

    Returns:
        Views on the device of the generator.
    """
    device = generator.device

    def draw(low: int, high: int) -> Tensor:
        return torch.randint(low, high + 1, (n,), generator=generator, device=device)

    turns = draw(0, 3) if is_square else 2 * draw(0, 1)
    shift_x = draw(-largest_shift, largest_shift)
    return Views(draw(0, 1) == 1, turns, shift_x, draw(-largest_shift, largest_shift))


def apply_views(
    images: Float[Tensor, "batch band y x"], views: Views
) -> Float[Tensor, "batch band y x"]:
    """Show each image in its view; pixels that come in from outside repeat the edge.

    Args:
        images: Images; square ones if a view holds a quarter turn.
        views: A view per image.

    Returns:
        The images seen so.
    """
    height, width = images.shape[-2:]
    y = torch.arange(height, device=images.device)[None, :, None]
    x = torch.arange(width, device=images.device)[None, None, :]
    y = (y - views.shift_y[:, None, None]).clamp(0, height - 1)
    x = (x - views.shift_x[:, None, None]).clamp(0, width - 1)
    turns = views.n_quarter_turns[:, None, None]
    from_y = _choose(turns, (y, x, height - 1 - y, width - 1 - x))
    from_x = _choose(turns, (x, width - 1 - y, width - 1 - x, y))
    from_x = torch.where(views.is_flipped[:, None, None], width - 1 - from_x, from_x)
    index = (from_y * width + from_x).flatten(1)[:, None].expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, index).view(images.shape)


def view_labels(labels: dict[str, Any], views: Views, pixel_scale: float) -> dict[str, Any]:
    """Labels of images after `apply_views`.

    Args:
        labels: Tensors (batch,) named as in the truth table: e1, gamma2, x_center, ...
        views: The views that were applied.
        pixel_scale: Side of a pixel [arcsec].

    Returns:
        The labels that belong to the views.
    """
    flipped = flip_labels(labels, "x")
    first = {name: torch.where(views.is_flipped, flipped[name], labels[name]) for name in labels}
    turned = [turn_labels(first, n) for n in range(4)]
    result = {}
    for name in labels:
        value = _choose(views.n_quarter_turns, tuple(each[name] for each in turned))
        for axis, shift in (("x", views.shift_x), ("y", views.shift_y)):
            value = value + shift * pixel_scale if axis in name.split("_") else value
        result[name] = value
    return result


def augment_d4(
    images: Float[Tensor, "batch band y x"], generator: Generator
) -> Float[Tensor, "batch band y x"]:
    """Random views of the square; centre and noise stay as they were."""
    is_square = images.shape[-1] == images.shape[-2]
    views = draw_views(len(images), generator, is_square=is_square, largest_shift=0)
    return apply_views(images, views)


def augment_d4_shift(
    images: Float[Tensor, "batch band y x"], generator: Generator
) -> Float[Tensor, "batch band y x"]:
    """Random views of the square with shifts of up to two pixels; the noise stays as it was."""
    is_square = images.shape[-1] == images.shape[-2]
    return apply_views(images, draw_views(len(images), generator, is_square=is_square))


def augment_deck(
    images: Float[Tensor, "batch band y x"], generator: Generator
) -> Float[Tensor, "batch band y x"]:
    """Random rotation by any angle, shift up to a tenth and flips, as in the study of 2017.

    Values are those of the nearest pixel, and pixels from outside repeat the edge, as the Keras of
    that year did it.

    Args:
        images: Images.
        generator: Source of randomness.

    Returns:
        The transformed images.
    """
    n = len(images)
    angle = uniform(n, -math.pi, math.pi, generator)
    # a warp counts in half sides, so a shift of a tenth of the side is 0.2
    shift_x, shift_y = (uniform(n, -2 * DECK_SHIFT, 2 * DECK_SHIFT, generator) for _ in range(2))
    flip_x, flip_y = (random_signs(n, generator) for _ in range(2))
    warp = Warp(angle, torch.ones_like(angle), flip_x, flip_y, shift_x, shift_y)
    return warped(images, warp, mode="nearest", fill="edge")


def augment_cmu(
    images: Float[Tensor, "batch band y x"], generator: Generator
) -> Float[Tensor, "batch band y x"]:
    """Random rotation by up to 90 degrees, zoom 0.9 to 1 and flips, as in CMU DeepLens.

    What comes in from outside is the other side of the image.

    Args:
        images: Images.
        generator: Source of randomness.

    Returns:
        The transformed images.

    Reference:
        Lanusse et al. 2018, MNRAS 473, 3895, and their code.
    """
    n = len(images)
    angle = uniform(n, -math.pi / 2, math.pi / 2, generator)
    zoom = uniform(n, CMU_ZOOM, 1.0, generator)
    flip_x, flip_y = (random_signs(n, generator) for _ in range(2))
    still = torch.zeros_like(angle)
    return warped(images, Warp(angle, zoom, flip_x, flip_y, still, still), fill="wrap")


def augment_petrillo(
    images: Float[Tensor, "batch band y x"], generator: Generator
) -> Float[Tensor, "batch band y x"]:
    """Random rotation by up to 180 degrees, zoom, shift up to four pixels and flips.

    The zoom is log-uniform between 1/1.1 and 1; what comes in from outside mirrors the image.

    Args:
        images: Images.
        generator: Source of randomness.

    Returns:
        The transformed images.

    Reference:
        Petrillo et al. 2019, MNRAS 482, 807, and their code.
    """
    n = len(images)
    height, width = images.shape[-2:]
    angle = uniform(n, 0.0, math.pi, generator)
    zoom = torch.exp(uniform(n, math.log(PETRILLO_ZOOM), 0.0, generator))
    flip_x, flip_y = (random_signs(n, generator) for _ in range(2))
    shift_x, shift_y = (
        uniform(n, -PETRILLO_SHIFT, PETRILLO_SHIFT, generator) * 2 / side
        for side in (width, height)
    )
    return warped(images, Warp(angle, zoom, flip_x, flip_y, shift_x, shift_y), fill="reflect")


AUGMENTATIONS = {
    "none": None,
    "deck": augment_deck,
    "d4": augment_d4,
    "d4-shift": augment_d4_shift,
    "cmu": augment_cmu,
    "petrillo": augment_petrillo,
}
"""Augmentations by name."""


def _choose(choice: Tensor, options: tuple[Tensor, ...]) -> Tensor:
    """Take for each element the option of that number."""
    result = options[0]
    for i, option in enumerate(options[1:], start=1):
        result = torch.where(choice == i, option, result)
    return result
