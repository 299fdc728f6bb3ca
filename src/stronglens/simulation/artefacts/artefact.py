"""What an artefact is, the registry of all of them, and the records that go in and out.

The kinds are in the other files of this folder; `apply` puts them on images.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from stronglens.core.registry import Registry
from stronglens.simulation.imperfections import Artefacts

Stage = Literal["sky", "exposure", "coadd", "mask"]
"""Where an artefact arises: before the detector, in one exposure, in the coadd, in its mask."""
STAGES: tuple[Stage, ...] = ("sky", "exposure", "coadd", "mask")
"""The order in which artefacts are applied."""

Draws = dict[str, np.ndarray]
"""Parameters of a batch of artefacts by name, each (event, ...)."""
Parameters = dict[str, Tensor]
"""The same as tensors, and `image`, the index of the image of each event."""


@dataclass(frozen=True, eq=False)
class Images:
    """Noisy images with all that goes with them."""

    flux: Float[Tensor, "n band y x"]
    """Sky-subtracted mean of the exposures [pixel units]."""
    ivar: Float[Tensor, "n band y x"]
    """Inverse variance; 0 where nothing is known [1 / pixel units^2]."""
    mask: Bool[Tensor, "n band y x"]
    """True where a pixel is bad."""
    psf: Float[Tensor, "n band k l"]
    """Kernel at the pixel scale, of odd sides and sum 1."""


@dataclass(frozen=True)
class BandFacts:
    """What the artefacts must know of the images in one band."""

    gain: float
    """Electrons per pixel unit of one exposure [electrons / pixel unit]."""
    n_exposures: int
    """Exposures of which the image is the mean."""
    full_well: float = 100_000.0
    """Charge above the sky at which a pixel of an exposure saturates [electrons]."""
    bleeds: bool = True
    """Whether a full pixel spills along its column."""


@dataclass(frozen=True)
class Canvas:
    """Size and facts of the images that artefacts are drawn for."""

    height: int
    """Rows [pixel]."""
    width: int
    """Columns [pixel]."""
    bands: tuple[BandFacts, ...]
    """Facts by band."""
    settings: Artefacts
    """Rates and chances."""

    @property
    def side(self) -> int:
        """The shorter side [pixel]."""
        return min(self.height, self.width)

    def by_band(self, name: str, like: Tensor) -> Float[Tensor, " band"]:
        """Return one fact of every band as a tensor.

        Args:
            name: Field of the facts.
            like: Tensor whose precision and device are taken.
        """
        return like.new_tensor([getattr(band, name) for band in self.bands])


@dataclass(frozen=True)
class Artefact:
    """A kind of artefact: how its parameters are drawn, and what they do to images.

    `draw` takes the number of events, the canvas and a random stream; `apply` takes images, the
    parameters and the canvas, and returns new images. What it adds it may add to several images and
    several times to one.
    """

    draw: Callable[[int, Canvas, np.random.Generator], Draws]
    """Parameters, each with one row per event."""
    apply: Callable[[Images, Parameters, Canvas], Images]
    """New images; those given stay as they were."""
    stage: Stage
    """Where it arises."""
    is_of_one_band: bool
    """Whether an event touches one band only, that of its parameter `band`."""


artefacts: Registry[Artefact] = Registry("artefact")
