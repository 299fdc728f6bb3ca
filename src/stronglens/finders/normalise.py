"""From pixel units to what a network sees; each way of scaling is stored with the finder.

The arithmetic on pixels is in `stronglens.data.stretch`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stronglens.core.registry import Registry
from stronglens.data.stretch import (
    asinh_stretch,
    bad_pixels,
    fill_bad,
    minmax_stretch,
    sky_sigma,
)

NormalisationName = Literal[
    "all-challenge", "all-hst", "cmu-ground", "cmu-paper", "cmu-space", "display", "flux",
    "min-max", "petrillo-sqrt", "sky-asinh",
]  # fmt: skip
"""Names of all scalings; those of a published system are defined beside its network."""
_CHUNK = 2048


@dataclass(frozen=True)
class PixelImages:
    """Images in pixel units with what is known about their noise."""

    flux: Float[Tensor, "batch band y x"]
    ivar: Float[Tensor, "batch band y x"] | None = None
    mask: Bool[Tensor, "batch band y x"] | None = None

    def rows(self, start: int, stop: int) -> "PixelImages":
        """Images from start to stop."""
        return PixelImages(
            self.flux[start:stop],
            None if self.ivar is None else self.ivar[start:stop],
            None if self.mask is None else self.mask[start:stop],
        )

    @classmethod
    def joined(cls, parts: Sequence["PixelImages"]) -> "PixelImages":
        """Images of several batches, all with the same planes, one after the other."""

        def plane(name: str) -> Tensor | None:
            values = [getattr(part, name) for part in parts]
            return None if values[0] is None else torch.cat(values)

        return cls(torch.cat([part.flux for part in parts]), plane("ivar"), plane("mask"))


def blank_bands(images: PixelImages) -> Bool[Tensor, "batch band"]:
    """Whether a band of an image has no good pixel at all."""
    return bad_pixels(images.flux, images.mask).flatten(2).all(2)


@dataclass(frozen=True)
class AbstractNormalisation(ABC):
    """A scaling whose numbers, if it has any, are found on the training images."""

    keeps_flux: ClassVar[bool] = False
    """Whether values stay in pixel units, so that magnitudes can be measured."""

    @classmethod
    @abstractmethod
    def fit(cls, chunks: Iterable[PixelImages]) -> "AbstractNormalisation":
        """Find the numbers of the scaling on training images, given in parts."""

    @abstractmethod
    def scale(self, images: PixelImages) -> Float[Tensor, "batch band y x"]:
        """Scale images whose bad pixels are filled already; the mask says which they were."""

    def __call__(self, images: PixelImages) -> Float[Tensor, "batch band y x"]:
        """Scale images; bad pixels are first set to the median of their image."""
        parts = []
        for start in range(0, max(len(images.flux), 1), _CHUNK):
            part = images.rows(start, start + _CHUNK)
            bad = bad_pixels(part.flux, part.mask)
            parts.append(self.scale(PixelImages(fill_bad(part.flux, bad), part.ivar, bad)))
        return torch.cat(parts)


normalisations: Registry[type[AbstractNormalisation]] = Registry("normalisation")
"""Ways of scaling by name."""


@normalisations.register("min-max")
@dataclass(frozen=True)
class MinMax(AbstractNormalisation):
    """Each image to 0...1 by its own extremes, then one mean and deviation for all images.

    The study of 2017 stored its mocks as 8-bit pictures, which did the first step, and took the
    mean and deviation over training and validation images; here only training images count.
    """

    mean: float = 0.0
    """Mean of all scaled training pixels."""
    deviation: float = 1.0
    """Standard deviation of all scaled training pixels."""

    @classmethod
    def fit(cls, chunks: Iterable[PixelImages]) -> "MinMax":
        """Find mean and deviation of the scaled training images."""
        n = total = squares = 0.0
        for chunk in chunks:
            scaled = cls()(chunk).double()
            n += scaled.numel()
            total += float(scaled.sum())
            squares += float(scaled.square().sum())
        mean = total / n if n else 0.0
        variance = squares / n - mean**2 if n else 0.0
        return cls(mean, variance**0.5) if variance > 0 else cls()

    def scale(self, images: PixelImages) -> Float[Tensor, "batch band y x"]:
        """Scaled images, about 0 with deviation 1."""
        return (minmax_stretch(images.flux) - self.mean) / self.deviation


@normalisations.register("sky-asinh")
@dataclass(frozen=True)
class SkyAsinh(AbstractNormalisation):
    """Flux over the noise of the sky, compressed: asinh(flux / 3 sigma).

    Nothing depends on the brightest pixel, so an arc looks the same beside any galaxy, and bands
    keep their ratios up to their noise.
    """

    softening: float = 3.0
    """Flux at which the stretch turns logarithmic [sigma of the sky]."""

    @classmethod
    def fit(cls, chunks: Iterable[PixelImages]) -> "SkyAsinh":
        """Return the scaling; it has no numbers to find."""
        return cls()

    def scale(self, images: PixelImages) -> Float[Tensor, "batch band y x"]:
        """Scaled images: 0 at the sky, about 0.3 at its noise."""
        sigma = sky_sigma(images.flux, images.ivar, images.mask)
        return asinh_stretch(images.flux, self.softening * sigma)


@normalisations.register("display")
@dataclass(frozen=True)
class Display(AbstractNormalisation):
    """Display values of 8-bit pictures times one number; they have been stretched already."""

    white: float = 255.0
    """Largest value of a picture."""
    top: float = 4.0
    """What it becomes: about asinh(flux / 3 sigma) in the middle of a bright galaxy."""

    @classmethod
    def fit(cls, chunks: Iterable[PixelImages]) -> "Display":
        """Return the scaling; it has no numbers to find."""
        return cls()

    def scale(self, images: PixelImages) -> Float[Tensor, "batch band y x"]:
        """Scaled pictures, from 0 to `top`."""
        return images.flux * (self.top / self.white)


@normalisations.register("flux")
@dataclass(frozen=True)
class Flux(AbstractNormalisation):
    """No scaling at all, for finders that measure magnitudes themselves."""

    keeps_flux: ClassVar[bool] = True

    @classmethod
    def fit(cls, chunks: Iterable[PixelImages]) -> "Flux":
        """Return the scaling; it has no numbers to find."""
        return cls()

    def scale(self, images: PixelImages) -> Float[Tensor, "batch band y x"]:
        """Return the images as they are [pixel units]."""
        return images.flux


def normalisation_settings(normalisation: AbstractNormalisation) -> dict[str, Any]:
    """Return name and numbers of a scaling as plain values."""
    kind = type(normalisation)
    name = next(name for name in normalisations.names() if normalisations.get(name) is kind)
    return {"name": name, **asdict(normalisation)}


def normalisation_from_settings(settings: dict[str, Any]) -> AbstractNormalisation:
    """Build a scaling from what `normalisation_settings` returned."""
    numbers = {key: _frozen(value) for key, value in settings.items() if key != "name"}
    return normalisations.get(settings["name"])(**numbers)


def _frozen(value: Any) -> Any:  # noqa: ANN401 - numbers and nested lists of them
    """Lists, as JSON gives them back, as the tuples they were."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
