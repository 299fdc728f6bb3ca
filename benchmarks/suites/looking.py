"""How a finder that was made for other images looks at those of a suite.

Its bands are picked by name; it sees as much of the middle as it was trained to see, on its own
pixels.
"""

import math

import numpy as np

from stronglens.data.layout import ImageFacts, Images
from stronglens.data.resample import Target
from stronglens.data.resample_many import is_same_scale, resample_many
from stronglens.finders.finder import SMALLEST_SIZE, Finder, FinderFacts

COARSEST = 2.0
"""Largest ratio of pixel scales that resampling bridges, as in the choice of `scan`."""
LEAST_FIELD = 0.7
"""Part of the field it was trained on that a finder of any size needs to see."""


def suits(finder: Finder, facts: ImageFacts) -> bool:
    """Whether a finder can score the images of a suite.

    Args:
        finder: Any finder.
        facts: Bands and pixels of the images.
    """
    wanted = finder.facts
    if any(band not in facts.bands for band in wanted.bands):
        return False
    if not 1 / COARSEST < wanted.pixel_scale / facts.pixel_scale < COARSEST:
        return False
    target = target_of(wanted, facts)
    usual = wanted.height, wanted.width
    if not wanted.any_size:
        return (target.height, target.width) == usual
    least = max(LEAST_FIELD * min(usual), SMALLEST_SIZE)
    return min(target.height, target.width) >= least


def logits_of(finder: Finder, images: Images, facts: ImageFacts) -> np.ndarray:
    """Logits of some images.

    Args:
        finder: A finder that suits them.
        images: The images.
        facts: Their bands and pixels.
    """
    wanted = finder.facts
    bands = [facts.bands.index(band) for band in wanted.bands]
    planes = [None if p is None else p[:, bands] for p in (images.flux, images.ivar, images.mask)]
    target = target_of(wanted, facts)
    if is_same_scale(target, facts.pixel_scale):
        rows = middle(facts.height, wanted.height, is_free=wanted.any_size)
        columns = middle(facts.width, wanted.width, is_free=wanted.any_size)
        seen = [None if p is None else p[:, :, rows, columns] for p in planes]
    else:
        flux, ivar, mask = planes
        if flux is None or ivar is None or mask is None:
            raise ValueError("images without ivar and mask cannot be brought to other pixels.")
        factor = 10 ** (0.4 * (wanted.zero_point - facts.zero_point))
        seen = resample_many(flux, ivar, mask, facts.pixel_scale, factor, target)
    return finder.logits(*seen, batch_size=64)  # type: ignore[arg-type]


def target_of(wanted: FinderFacts, facts: ImageFacts) -> Target:
    """Pixels that a finder is shown: its own grid, or as much of it as an image holds."""
    ratio = facts.pixel_scale / wanted.pixel_scale
    height, width = (math.floor(n * ratio + 1e-6) for n in (facts.height, facts.width))
    return Target(
        min(height, wanted.height), min(width, wanted.width), wanted.pixel_scale, wanted.zero_point
    )


def middle(n: int, wanted: int, *, is_free: bool) -> slice:
    """Pixels that a finder sees along an axis, the centre staying where it was.

    Args:
        n: Pixels there are.
        wanted: Pixels of a training image.
        is_free: Whether other sizes will do.
    """
    if n <= wanted:
        return slice(0, n)
    size = wanted - (n - wanted) % 2 if is_free else wanted
    first = (n - size) // 2
    return slice(first, first + size)
