"""A block of scenes in words: which light lies where, and what bends it; nothing is drawn here.

Fluxes and shapes are those before any telescope; `compose` makes pictures of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from stronglens.lensing.records import LensModel
from stronglens.light.records import LightComponent
from stronglens.light.sersic import Sersics


@dataclass(frozen=True)
class LightLayer:
    """One light component in some of the images of a block."""

    component: LightComponent
    """Its shape, one row per image that has it."""
    flux: Float[Tensor, "row band"]
    """Its total flux in every band [pixel units]."""
    rows: Int[Tensor, "row"]
    """Numbers of the images that have it, ascending."""

    def of(self, start: int, stop: int) -> "LightLayer":
        """Return what of it lies in images [start, stop), counted from `start`."""
        first, last = torch.searchsorted(self.rows, torch.tensor([start, stop])).tolist()
        part = slice(first, last)
        return LightLayer(self.component[part], self.flux[part], self.rows[part] - start)

    def scaled(self, factor: Float[Tensor, "n"]) -> "LightLayer":
        """Return it with the flux in each image multiplied, one factor per image of the block."""
        return LightLayer(self.component, self.flux * factor[self.rows, None], self.rows)


@dataclass(frozen=True)
class Lensing:
    """A lens model in some of the images of a block."""

    lens_model: LensModel
    """Its mass profiles, one row per image that has them."""
    rows: Int[Tensor, "row"]
    """Numbers of the images, ascending."""

    def of(self, start: int, stop: int) -> "Lensing":
        """Return what of it lies in images [start, stop), counted from `start`."""
        first, last = torch.searchsorted(self.rows, torch.tensor([start, stop])).tolist()
        part = slice(first, last)
        own = tuple(mass[part] for mass in self.lens_model)
        return Lensing(own, self.rows[part] - start)


@dataclass(frozen=True)
class Deflectors:
    """Light of the galaxies in the middle: sums of Sersic components, cusps and all."""

    shapes: Sersics
    """Components of unit flux, one row per image."""
    flux: Float[Tensor, "n band component"]
    """Total flux of each component in every band [pixel units]."""

    def __getitem__(self, index: slice) -> "Deflectors":
        """Return the deflectors of some of the images."""
        return Deflectors(self.shapes[index], self.flux[index])


def layer(
    name: str,
    columns: Mapping[str, np.ndarray],
    flux: Float[np.ndarray, "row band"],
    rows: Int[np.ndarray, "row"],
) -> LightLayer:
    """Build a layer from columns of any float type.

    Args:
        name: Light profile.
        columns: Its parameters, one value per row.
        flux: Total flux in every band [pixel units].
        rows: Numbers of the images, ascending.
    """
    parameters = {key: _float(value) for key, value in columns.items()}
    return LightLayer(LightComponent(name, parameters), _float(flux), torch.as_tensor(rows))


def joined(layers: Sequence[LightLayer]) -> LightLayer:
    """Put layers of one light profile into one, whose rows then need not ascend.

    Args:
        layers: At least one.
    """
    first = layers[0].component
    parameters = {
        name: torch.cat([one.component.parameters[name] for one in layers])
        for name in first.parameters
    }
    flux, rows = (torch.cat([getattr(one, name) for one in layers]) for name in ("flux", "rows"))
    return LightLayer(LightComponent(first.name, parameters), flux, rows)


def _float(values: np.ndarray) -> Tensor:
    return torch.as_tensor(np.array(values, dtype=np.float32))
