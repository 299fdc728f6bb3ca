"""The two ways in which images were prepared for the Automated Lensing Learner.

The finder is in `all_hog.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from stronglens.finders.normalise import AbstractNormalisation, PixelImages, normalisations

CLIP_SIGMA = 13.0
"""Flux above the median at which HST images are clipped [standard deviations of the image]."""
SMALLEST = 1e-6
"""Smallest value before the logarithm."""
N_ROUNDS = 5
"""Rounds in which masked pixels take the mean of their neighbours."""


@normalisations.register("all-hst")
@dataclass(frozen=True)
class AllHst(AbstractNormalisation):
    """Logarithm of one plus the flux, clipped above, over its largest value in the image and band.

    Reference:
        Avestruz et al. 2019, ApJ 877, 58, and their code.
    """

    @classmethod
    def fit(cls, chunks: Iterable[PixelImages]) -> "AllHst":
        """Return the scaling; it has no numbers to find."""
        return cls()

    def scale(self, images: PixelImages) -> Float[Tensor, "batch band y x"]:
        """Scaled images between 0 and 1."""
        if images.flux.numel() == 0:
            return images.flux
        flux = filled_from_neighbours(images.flux, images.mask)
        median = flux.flatten(2).median(2).values[:, :, None, None]
        deviation = flux.std((2, 3), correction=0, keepdim=True)
        clipped = torch.minimum(flux.clamp_min(SMALLEST), median + CLIP_SIGMA * deviation)
        return _over_maximum(torch.log1p(clipped.clamp_min(SMALLEST)))


@normalisations.register("all-challenge")
@dataclass(frozen=True)
class AllChallenge(AbstractNormalisation):
    """Rows over their norm, clipped below, over the norm of the image; logarithm, over its maximum.

    Quarter turns follow the scaling here; the code turned the images first, so that rows were
    columns in half of them.

    Reference:
        Avestruz et al. 2019, ApJ 877, 58, and their code for the lens-finding challenge.
    """

    @classmethod
    def fit(cls, chunks: Iterable[PixelImages]) -> "AllChallenge":
        """Return the scaling; it has no numbers to find."""
        return cls()

    def scale(self, images: PixelImages) -> Float[Tensor, "batch band y x"]:
        """Scaled images, at most 1."""
        if images.flux.numel() == 0:
            return images.flux
        flux = filled_from_neighbours(images.flux, images.mask)
        rows = flux / _or_one(flux.square().sum(3, keepdim=True).sqrt())
        lowest = rows.mean((2, 3), keepdim=True) - rows.std((2, 3), correction=0, keepdim=True)
        clipped = torch.maximum(rows, lowest)
        norm = clipped.square().sum((2, 3), keepdim=True).sqrt()
        return _over_maximum(torch.log1p(clipped / _or_one(norm)))


def filled_from_neighbours(
    flux: Float[Tensor, "batch band y x"], bad: Bool[Tensor, "batch band y x"] | None
) -> Float[Tensor, "batch band y x"]:
    """Images whose bad pixels take the mean of their four neighbours, from the rim inwards.

    Args:
        flux: Images; bad pixels farther inside than five pixels keep their value.
        bad: True where a pixel is bad.
    """
    if bad is None or not bool(bad.any()):
        return flux
    known = ~bad
    for _ in range(N_ROUNDS):
        total, n = _sum_of_neighbours(flux * known), _sum_of_neighbours(known.to(flux.dtype))
        is_reached = bad & (n > 0)
        flux = torch.where(is_reached, total / n.clamp_min(1.0), flux)
        known = known | is_reached
    return flux


def _sum_of_neighbours(
    values: Float[Tensor, "batch band y x"],
) -> Float[Tensor, "batch band y x"]:
    """Sum over the four neighbours of each pixel; outside the image is 0."""
    padded = functional.pad(values, (1, 1, 1, 1))
    along_y = padded[..., 2:, 1:-1] + padded[..., :-2, 1:-1]
    return along_y + padded[..., 1:-1, 2:] + padded[..., 1:-1, :-2]


def _over_maximum(values: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch band y x"]:
    """Values over the largest size of one in their image and band."""
    return values / _or_one(values.abs().amax((2, 3), keepdim=True))


def _or_one(values: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch band y x"]:
    """Values to divide by: 1 where they are 0."""
    return torch.where(values > 0, values, 1.0)
