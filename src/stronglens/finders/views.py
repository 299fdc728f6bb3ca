"""Views of an image over which a finder may average its logits when it scores.

Random views for training are the business of `stronglens.data.augment`.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

ViewsName = Literal["none", "flips", "turns", "d4"]

_TURNS = tuple((False, n) for n in range(4))
VIEWS: dict[str, tuple[tuple[bool, int], ...]] = {
    "none": ((False, 0),),
    "flips": ((False, 0), (True, 0), (False, 2), (True, 2)),
    "turns": _TURNS,
    "d4": _TURNS + tuple((True, n) for n in range(4)),
}
"""Views by name, each whether the x axis is reversed and how many quarter turns follow: none; flips
along x, along y and both (Petrillo et al. 2019); quarter turns (Avestruz et al. 2019); all eight
views of a square."""


def views_of(
    images: Float[Tensor, "batch band y x"], name: str
) -> Iterator[Float[Tensor, "batch band y_new x_new"]]:
    """Yield the images in each view; those that are not square are never turned on their side.

    Args:
        images: Images.
        name: One of `VIEWS`.
    """
    is_square = images.shape[-2] == images.shape[-1]
    for is_flipped, n_quarter_turns in VIEWS[name]:
        if is_square or n_quarter_turns % 2 == 0:
            flipped = images.flip(-1) if is_flipped else images
            yield torch.rot90(flipped, n_quarter_turns, (-2, -1))
