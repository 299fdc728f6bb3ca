"""What a class of look-alikes gets and gives, and the registry of all of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from stronglens.core.registry import Registry
from stronglens.simulation.companions import ImageTable
from stronglens.simulation.galaxies import OLD, Filters
from stronglens.simulation.relations import Columns
from stronglens.simulation.scene import LightLayer


@dataclass(frozen=True)
class Stage:
    """What stands where look-alikes of one class are put, one row per image."""

    rows: Int[np.ndarray, " n"]
    """Numbers of the images in their block, ascending."""
    systems: Columns
    """The deflectors, as drawn for lenses too."""
    center: Float[np.ndarray, "2 n"]
    """Positions of the deflectors [arcsec]."""
    arcs: ImageTable
    """Images of a lensed source drawn for another deflector of about the same Einstein radius, with
    fluxes that add up to one."""
    arc_flux: Float[np.ndarray, "n band"]
    """Flux of all these images in every band [pixel units]."""
    filters: Filters
    """Bands."""
    rng: np.random.Generator
    """Source of randomness of the class in this block."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.rows)

    def light(self, template: str = OLD) -> Float[np.ndarray, "n band"]:
        """Flux of a galaxy as bright as a deflector with its arc, in the colours of a template.

        As bright in all bands together: what stands in a lens's place is then no fainter than it.
        """
        z = self.systems["z_lens"]
        mag_i = self.filters.mag_i_of(self.systems["absolute_r"], z)
        lens = self.filters.flux(mag_i, z, OLD) + self.arc_flux
        return as_bright(self.filters.flux(mag_i, z, template), lens)


def as_bright(
    flux: Float[np.ndarray, "n band"], other: Float[np.ndarray, "n band"]
) -> Float[np.ndarray, "n band"]:
    """Return fluxes that add up to those of another galaxy, in their own colours."""
    return flux * (other.sum(axis=1) / flux.sum(axis=1))[:, None]


@dataclass(frozen=True)
class LookAlike:
    """What a class adds to its images."""

    layers: tuple[LightLayer, ...]
    """Light beside or in place of the deflector's; rows are those of the block."""
    replaces_deflector: bool = False
    """Whether the deflector's own light is left out."""


look_alikes: Registry[Callable[[Stage], LookAlike]] = Registry("class of look-alikes")
