"""Frames and PSFs of simulated images: drawn widely for training, or stated for a frozen set.

What is seen through them is in `mock_scenes`.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.simulation.psf import EllipticalMoffat, elliptical_moffat_kernel

LARGEST_SIDE = 64
"""Side of the largest frame that a network sees [pixel]."""
_SMALLEST_SIDE = 40
_PSF_PARTS = 5
_CUT_WIDTHS = 4.0


@dataclass(frozen=True)
class PsfShape:
    """An elliptical Moffat core, and a share of the light in a round halo three times as wide."""

    fwhm: float
    """Full width at half maximum of the core [arcsec]."""
    beta: float = 3.5
    """Slope of its wings [-]."""
    e1: float = 0.0
    """Ellipticity of the core [-]."""
    e2: float = 0.0
    """The same along the diagonals [-]."""
    halo: float = 0.0
    """Share of the light in the halo [-]."""

    def kernel(self, pixel_scale: float, size: int) -> Float[Tensor, "k k"]:
        """Return the PSF sampled at a pixel scale [arcsec/pixel], summing to one."""
        rows = (
            [self.fwhm, 3.0 * self.fwhm],
            [self.beta, self.beta],
            [self.e1, 0.0],
            [self.e2, 0.0],
            [0.0] * 2,
            [0.0] * 2,
        )
        profile = EllipticalMoffat(*torch.tensor(rows))
        core, halo = elliptical_moffat_kernel(profile, pixel_scale, size)
        return (1.0 - self.halo) * core + self.halo * halo

    def observed(self, pixel_scale: float) -> Float[Tensor, "k k"]:
        """Return the PSF as a user has it: at the pixel scale, the pixel's response included."""
        size = 2 * math.ceil(_CUT_WIDTHS * self.fwhm / pixel_scale) + 1
        fine = self.kernel(pixel_scale / _PSF_PARTS, size * _PSF_PARTS)
        kernel = fine.unflatten(1, (size, -1)).unflatten(0, (size, -1)).sum(dim=(1, 3))
        return kernel / kernel.sum()

    def mistaken(self, rng: np.random.Generator, scatter: float) -> "PsfShape":
        """Return a PSF measured wrongly by a relative scatter of its width."""
        e1, e2 = rng.normal(0.0, 0.5 * scatter, 2)
        width = float(np.exp(rng.normal(0.0, scatter)))
        return replace(self, fwhm=self.fwhm * width, e1=self.e1 + float(e1), e2=self.e2 + float(e2))


@dataclass(frozen=True)
class MockFrame:
    """The pixels and the PSF that a batch of simulated images shares."""

    pixel_scale: float
    """Scale of the camera's pixels [arcsec/pixel]."""
    n_pixels: int
    """Side of the image [pixel]."""
    psf: PsfShape
    """PSF of the images."""
    told_psf: PsfShape
    """PSF that goes with the images, which may be wrong."""
    binning: int = 1
    """Camera pixels along the side of one of the image's, 1 if it was not binned [-]."""

    @property
    def image_scale(self) -> float:
        """Scale of the image's pixels [arcsec/pixel]."""
        return self.pixel_scale * self.binning

    @property
    def field(self) -> float:
        """Side of the image [arcsec]."""
        return self.image_scale * self.n_pixels


def draw_frame(rng: np.random.Generator) -> MockFrame:
    """Draw a frame as some telescope has it: 0.04 to 0.3 arcsec/pixel, PSFs to match.

    Args:
        rng: Source of randomness.

    Returns:
        A frame of at most `LARGEST_SIDE` pixels, at most 12 arcsec wide and at least 4.5.
    """
    image_scale = float(np.exp(rng.uniform(math.log(0.075), math.log(0.30))))
    fewest = max(_SMALLEST_SIDE, math.ceil(4.5 / image_scale))
    most = max(min(LARGEST_SIDE, math.floor(12.0 / image_scale)), fewest)
    n_pixels = min(int(rng.integers(fewest, most + 1)), LARGEST_SIDE)
    binnings = [b for b in (1, 2, 3, 4) if image_scale / b >= 0.03]
    # fine pixels are binned only where their field needs it: space telescopes
    binning = int(rng.choice(binnings)) if image_scale < 0.15 else 1
    narrowest, widest = max(0.07, 0.65 * image_scale), min(4.5 * image_scale, 1.2)
    fwhm = float(np.exp(rng.uniform(math.log(narrowest), math.log(widest))))
    e1, e2 = rng.normal(0.0, 0.03, 2).clip(-0.1, 0.1)
    halo = float(rng.uniform(0.0, 0.25) if rng.random() < 0.5 else 0.0)
    psf = PsfShape(fwhm, float(rng.uniform(2.2, 6.0)), float(e1), float(e2), halo)
    told = psf.mistaken(rng, 0.05) if rng.random() < 0.3 else psf
    return MockFrame(image_scale / binning, n_pixels, psf, told, binning)
