"""Steep centres of light that is not lensed: cells of the frame are split, and split again.

A mean in the middle of its cell has the cell's flux, but not where the flux is, and the PSF makes
of it what it would of light elsewhere. So the light near a centre is spread over its cell and the
neighbours such that, of what they hold, flux, place and extent are right.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stronglens.light.records import LightComponent
from stronglens.simulation.cells import average_cells
from stronglens.simulation.render import Grid
from stronglens.simulation.scene import LightLayer

_REACH = 2
"""Cells on each side of the central one that are split [-]."""
_PARTS, _DEPTH = 3, 5  # parts along the side of a cell; times that those at the centre are split
_AROUND = 2 * _REACH + 3  # cells along a side that light is spread over


@dataclass(frozen=True)
class _Axis:
    """Places along an axis: cells of the frame, or parts of them."""

    index: Int[Tensor, "n place"]
    """Number of each place, counted from where the frame begins."""
    power: int
    """Places along the side of a cell [-]."""

    def inner(self) -> "_Axis":
        """Return all places but the first and the last."""
        return _Axis(self.index[:, 1:-1], self.power)

    def split(self) -> "_Axis":
        """Return the parts of the inner places, and one more on either side."""
        first, n = self.index[:, 1:2] * _PARTS - 1, (self.index.shape[1] - 2) * _PARTS + 2
        return _Axis(first + torch.arange(n), self.power * _PARTS)

    def cells(self) -> Float[Tensor, "n place"]:
        """Return their middles, in cells from where the frame begins."""
        return (self.index + 0.5) / self.power

    def spread(
        self, center: Float[Tensor, " n"], first: Int[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n cell place"], ...]:
        """Say what cells get of the light at each place: as it lies, and near the centre.

        Args:
            center: Place of the component [cell].
            first: Number of the first of the cells that get light.

        Returns:
            Shares by cell; those in a window around the centre; what they become in it when light
            is spread over three cells.

        Reference:
            The three shares of light at u from the middle of its cell, in cells, have the moments
            1, u and u^2 + 1/12: those of the mean over a cell around the light.
        """
        places, whole = self.cells(), self.index.div(self.power, rounding_mode="floor")
        u = places - whole - 0.5
        square = u.square() + 1.0 / 12.0
        shares = 0.5 * (square - u), 1.0 - square, 0.5 * (square + u)
        at = (whole - first[:, None])[:, None] - torch.arange(_AROUND)[:, None]
        window = (1.0 - ((places - center[:, None]) / _REACH).square()).clamp_min(0.0).square()
        own = (at == 0).float()
        near = sum((at == -k) * share[:, None] for k, share in zip((-1, 0, 1), shares, strict=True))
        return own, own * window[:, None], near * window[:, None]


def refine_cores(frames: Float[Tensor, "n band y x"], one: LightLayer, grid: Grid) -> None:
    """Make the cells around the centres of a layer's components means over them, in place.

    Args:
        frames: Flux per sub-pixel, averaged already as if it were smooth [pixel units].
        one: Unlensed light that is in it.
        grid: Frame.
    """
    center = [
        one.component.parameters[name] / grid.fine_scale + 0.5 * n
        for name, n in zip(("y_center", "x_center"), grid.fine_shape, strict=True)
    ]
    first = [_first(place) for place in center]
    change = torch.zeros(())
    for power in (_PARTS**depth for depth in range(_DEPTH)):
        reach = torch.arange(_AROUND)
        cells = [_Axis(_first(place * power)[:, None] + reach, power) for place in center]
        parts = [axis.split() for axis in cells]
        finer, plain = (_means(one.component, axes, grid) for axes in (parts, cells))
        change = change + _put(finer, parts, (center, first))
        change = change - _put(plain, cells, (center, first), is_moved=power > 1)
    _add(frames, change[:, None] * one.flux[..., None, None] * grid.fine_scale**2, one.rows, first)


def _first(center: Float[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Return the first of the places around those that hold the centres."""
    return (center - 0.5).round().to(torch.int64) - _REACH - 1


def _means(component: LightComponent, axes: list[_Axis], grid: Grid) -> Float[Tensor, "n y x"]:
    """Brightness of inner places, averaged as if it were smooth there, by their share of a cell."""
    y, x = (
        (axis.cells() - 0.5 * n) * grid.fine_scale
        for axis, n in zip(axes, grid.fine_shape, strict=True)
    )
    light = component.brightness(x[:, None, :], y[:, :, None])
    average_cells(light)
    return light[:, 1:-1, 1:-1] / axes[0].power ** 2


def _put(
    light: Float[Tensor, "n y x"],
    axes: list[_Axis],
    where: tuple[list[Tensor], list[Tensor]],
    *,
    is_moved: bool = True,
) -> Float[Tensor, "n cell_y cell_x"]:
    """Return what cells get of light at inner places; moved, the window's part is spread."""
    y, x = (axis.inner().spread(*place) for axis, *place in zip(axes, *where, strict=True))

    def summed(k: int) -> Tensor:
        return y[k] @ light @ x[k].mT

    return summed(0) - summed(1) + summed(2) if is_moved else summed(0)


def _add(frames: Tensor, light: Tensor, rows: Tensor, first: list[Tensor]) -> None:
    """Add light to cells of frames, but for the border: it is not averaged and stays as drawn."""
    row, column = (start[:, None] + torch.arange(_AROUND) for start in first)
    height, width = frames.shape[-2:]
    inside = ((row > 0) & (row < height - 1))[:, :, None]
    inside = inside & ((column > 0) & (column < width - 1))[:, None]
    place = row.clamp(0, height - 1)[:, None, :, None], column.clamp(0, width - 1)[:, None, None, :]
    band = torch.arange(frames.shape[1])[None, :, None, None]
    index = (rows[:, None, None, None], band, *place)
    frames.index_put_(index, light * inside[:, None], accumulate=True)
