"""What turns the light of a block into images: a survey's camera, or the real images painted on.

The kinds are in `survey_camera` and `tile_camera`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from stronglens.simulation.artefacts import BandFacts
from stronglens.simulation.relations import Columns
from stronglens.surveys import Band


@dataclass(frozen=True)
class View:
    """How each image of a block is seen in every band."""

    psf_fwhm: Float[np.ndarray, "n band"]
    """PSF width [arcsec]."""
    bad: Bool[np.ndarray, "n band #y #x"]
    """True where a pixel, or with axes of length one a band, holds nothing."""
    has_host: Bool[np.ndarray, " n"]
    """Whether the deflector is a real galaxy that is in the image already."""
    host_shape: Float[np.ndarray, "2 n"]
    """Axis ratio and angle [rad] of real deflectors, NaN where there is none."""
    truth: Columns
    """Columns of the truth table that only this kind of camera knows."""


class AbstractCamera(ABC):
    """PSF, noise and background of the images of a set."""

    bands: tuple[Band, ...]
    """Bands, in the order of the images' axis."""
    zero_point: float
    """Magnitude of one pixel unit, the same in every band [mag AB]."""
    is_real: bool
    """Whether the images are real, with neighbours and artefacts of their own."""
    has_pixels: bool
    """Whether the kernels hold the width of the pixels already."""

    @abstractmethod
    def draw_view(self, seed: int, block: int, scene_class: np.ndarray) -> View:
        """Draw how the scenes of a block, of these classes, are seen."""

    @abstractmethod
    def kernels(self, view: View, images: slice, pixel_scale: float) -> Float[Tensor, "n band k k"]:
        """Return the PSF of some of the images at a scale [arcsec/pixel]."""

    @abstractmethod
    def variance(
        self, noiseless: Float[Tensor, "n band y x"], view: View
    ) -> Float[Tensor, "n band y x"]:
        """Return the variance of all pixels of a block with this light in them."""

    @abstractmethod
    def noise(
        self, noiseless: Float[Tensor, "n band y x"], view: View, key: tuple[int, int]
    ) -> Float[Tensor, "n band y x"]:
        """Return what comes to the noiseless images of a block, by seed and block."""

    @abstractmethod
    def facts(self) -> tuple[BandFacts, ...]:
        """Return what artefacts must know of the bands."""
