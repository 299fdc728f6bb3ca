"""The set of a survey's images as colour pictures: the same scenes, stretched as viewers do.

How a given stretch turns flux into brightness is in `stronglens.data.colour_pictures`.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from stronglens.core.errors import WrongShapeError
from stronglens.core.seeds import numpy_generator
from stronglens.data.colour_pictures import (
    BANDS,
    Stretch,
    colour_pictures,
    eight_bits,
    through_jpeg,
)
from stronglens.data.layout import ImageFacts, Images
from stronglens.simulation.picture_settings import Pictures
from stronglens.simulation.simulated_set import AbstractSimulatedSet, ObservedBlock

_BALANCE = (0.45, 0.7, 1.6)
"""Factors of equal AB flux in red, green and blue that make galaxies look white to yellow: the mean
of those of the CFHTLS pictures of Space Warps (0.4, 0.6, 1.7) and of the Legacy Surveys' viewer
(2.2, 3.4, 6.0 over 4.7), both as their public code states them."""


@dataclass(frozen=True)
class PictureSet(AbstractSimulatedSet):
    """Scenes of another set as 8-bit colour pictures with randomly drawn stretches."""

    inner: AbstractSimulatedSet
    """The set whose images are shown."""
    settings: Pictures
    """Ranges of the stretches."""

    @property
    def task(self) -> Any:  # type: ignore[override]  # noqa: ANN401 - as the set's
        """The task, resolved."""
        return self.inner.task

    @property
    def variants(self) -> tuple[str, ...]:  # type: ignore[override]
        """Kinds of images made of each scene."""
        return self.inner.variants

    @property
    def planes(self) -> tuple[str, ...]:  # type: ignore[override]
        """None: the parts of a picture do not add up."""
        return ()

    def facts(self, variant: str) -> ImageFacts:
        """Return what all images of a variant share."""
        facts = self.inner.facts(variant)
        unit = "display value from 0 to 255 of a picture with unknown stretch; no flux"
        scale = facts.pixel_scale / np.sqrt(self.settings.zoom)
        return replace(facts, bands=BANDS, pixel_scale=float(scale), unit=unit)

    def provenance(self, variant: str) -> dict[str, Any]:
        """Return how the images of a variant were made."""
        return {**self.inner.provenance(variant), "pictures": dataclasses.asdict(self.settings)}

    def draw(self, block: int, variants: Sequence[str]) -> dict[str, ObservedBlock]:
        """Draw the scenes of a block and show them as pictures."""
        rng = numpy_generator(self.task.seed, "pictures", block)
        drawn = self.inner.draw(block, variants)
        return {name: self._shown(seen, rng) for name, seen in drawn.items()}

    def _shown(self, seen: ObservedBlock, rng: np.random.Generator) -> ObservedBlock:
        flux, noise = _red_green_blue(seen.images)
        stretch = draw_stretch(self.settings, noise, rng)
        zoom = rng.uniform(1.0, self.settings.zoom, len(flux))
        shown = colour_pictures(torch.as_tensor(flux).float(), stretch)
        shown = _enlarged(shown, torch.as_tensor(zoom, dtype=torch.float32))
        pictures = self._compressed(eight_bits(shown), rng)
        return ObservedBlock(Images(flux=pictures.astype(np.float32)), seen.truth, {})

    def _compressed(self, pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Send a share of the pictures through JPEG files."""
        is_jpeg = rng.random(len(pictures)) < self.settings.jpeg_share
        quality = rng.integers(self.settings.jpeg_quality_min, 96, len(pictures))
        for k in np.flatnonzero(is_jpeg):
            pictures[k] = through_jpeg(pictures[k], int(quality[k]))
        return pictures


def draw_stretch(
    settings: Pictures, noise: Float[np.ndarray, "n colour"], rng: np.random.Generator
) -> Stretch:
    """Draw how each picture of a batch is stretched.

    Args:
        settings: Ranges.
        noise: Noise of the sky in red, green and blue; not finite where a band is missing
            [pixel units].
        rng: Source of randomness.
    """
    n = len(noise)
    hue = np.exp(rng.normal(0.0, settings.colour_scatter, (n, 3)))
    weight = np.array(_BALANCE) * hue
    # the mean of the three bands gets unit noise
    seen = np.where(np.isfinite(noise), noise, 0.0)
    weight /= np.maximum(np.sqrt(((weight * seen) ** 2).sum(axis=1)) / 3.0, 1e-30)[:, None]
    log_level = rng.uniform(np.log(settings.level_min), np.log(settings.level_max), n)
    log_softening = rng.uniform(np.log(settings.softening_min), np.log(settings.softening_max), n)
    pedestal = rng.uniform(0.0, settings.pedestal_max, n)
    keeps_hue = rng.random(n) < settings.hue_share
    is_joint = rng.random(n) < settings.joint_share

    return Stretch(
        weight=_numbers(weight),
        level=_numbers(np.exp(log_level)),
        softening=_numbers(np.exp(log_softening)),
        pedestal=_numbers(pedestal),
        keeps_hue=torch.as_tensor(keeps_hue),
        is_joint=torch.as_tensor(is_joint),
    )


def _numbers(values: Float[np.ndarray, "*shape"]) -> Float[Tensor, "*shape"]:
    return torch.as_tensor(values, dtype=torch.float32)


def _red_green_blue(
    images: Images,
) -> tuple[Float[np.ndarray, "n colour y x"], Float[np.ndarray, "n colour"]]:
    """Images from the reddest band to the bluest, and the noise of their sky."""
    if images.flux.shape[1] != len(BANDS) or images.ivar is None:
        raise WrongShapeError(
            f"pictures are made of three bands, but the set has {images.flux.shape[1]}. Pass "
            "--bands with three of the survey's, from blue to red."
        )
    flux, ivar = images.flux[:, ::-1], images.ivar[:, ::-1]
    if images.mask is not None:
        flux = np.where(images.mask[:, ::-1], 0.0, flux)
    best = ivar.max(axis=(2, 3))
    noise = np.full(best.shape, np.inf)
    np.sqrt(np.divide(1.0, best, where=best > 0, out=noise), out=noise)
    return flux, noise


def _enlarged(
    shown: Float[Tensor, "n colour y x"], zoom: Float[Tensor, "n"]
) -> Float[Tensor, "n colour y x"]:
    """Pictures enlarged about their centre, as a page or a paper does it; the frame stays."""
    matrix = torch.zeros(len(shown), 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = 1.0 / zoom
    grid = functional.affine_grid(matrix, list(shown.shape), align_corners=False)
    return functional.grid_sample(shown, grid, padding_mode="border", align_corners=False)
