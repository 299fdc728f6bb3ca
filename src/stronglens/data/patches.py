"""Square patches of a tile, of sky or of chosen hosts, turned and flipped, split by sky cell.

What is painted on them is the business of `stronglens.simulation`.
"""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int8, Int64, Shaped
from scipy.ndimage import maximum_filter, minimum_filter, uniform_filter

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.core.seeds import numpy_generator
from stronglens.data.detections import Detections
from stronglens.data.selection import Rows
from stronglens.data.splits import FRACTIONS, split_of_groups
from stronglens.data.store import SPLITS
from stronglens.data.tiles import Tile

CELL = 256
"""Side of a sky cell, the group that a split never divides [pixel]."""
GUARD = 4
"""Pixels around a patch that must belong to its split too [pixel]."""
_N_ORIENTATIONS = 8


@dataclass(frozen=True)
class PatchPlan:
    """Which patches of a tile are wanted."""

    size: int
    """Side of a patch [pixel]."""
    clear: int = 0
    """Side of the box in the middle that must hold no source; 0 allows any [pixel]."""
    max_bad: float = 0.01
    """Largest part of a patch that may be bad, in any band [-]."""
    fractions: tuple[float, float, float] = FRACTIONS
    """Shares of the sky cells in train, validation and test."""
    splits: tuple[str, ...] = SPLITS
    """Splits that patches are drawn for."""


@dataclass(frozen=True, eq=False)
class Places:
    """Pixels of a tile that can be the middle of a patch."""

    y: Int64[np.ndarray, "place"]
    """Row."""
    x: Int64[np.ndarray, "place"]
    """Column."""
    host: Int64[np.ndarray, "place"]
    """Row of the source there; -1 for any place."""


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of one tile, all that belongs to each turned with its pixels."""

    flux: Float32[np.ndarray, "n band y x"]
    """Linear [pixel units]."""
    ivar: Float32[np.ndarray, "n band y x"] | None
    """Inverse variance; None where the tile has none [1 / pixel units^2]."""
    mask: Bool[np.ndarray, "n band y x"]
    """True where a pixel is bad."""
    psf: Float32[np.ndarray, "n band k l"] | None
    """Kernel of each band; None where the tile has none."""
    cell_id: tuple[str, ...]
    """Tile and sky cell of each centre: the group that splits are made of."""
    split: tuple[str, ...]
    """Split of each cell."""
    host: Int64[np.ndarray, "n"]
    """Row of the source in the middle; -1 for a random place."""
    x: Int64[np.ndarray, "n"]
    """Column of the tile that the middle pixel is from."""
    y: Int64[np.ndarray, "n"]
    """Row of the tile that the middle pixel is from."""
    orientation: Int64[np.ndarray, "n"]
    """Quarter turns, plus 4 where flipped in x before."""
    bands: tuple[str, ...]
    """Names of the bands."""
    pixel_scale: float
    """Side of a pixel [arcsec]."""
    zero_point: Float64[np.ndarray, "band"]
    """Magnitude of one pixel unit [mag AB]."""
    gain: Float64[np.ndarray, "band"]
    """Effective gain; NaN where not known [electrons / pixel unit]."""

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.cell_id)


def sky_places(tile: Tile, plan: PatchPlan, detections: Detections | None = None) -> Places:
    """Every pixel of a tile that can be the middle of a patch.

    Args:
        tile: The tile.
        plan: What is asked of a patch.
        detections: Its sources, needed where the middle shall be clear.

    Raises:
        MissingDataError: There is no such pixel.
    """
    allowed = _fitting(tile, plan)
    if plan.clear:
        if detections is None:
            raise MissingDataError(
                f"clear={plan.clear} needs to know where sources are. Pass detections of the tile."
            )
        source = (detections.segmentation > 0).astype(np.uint8)
        allowed &= maximum_filter(source, plan.clear) == 0
    y, x = np.nonzero(allowed)
    return _checked(Places(y=y, x=x, host=np.full(len(y), -1)), tile, plan)


def host_places(tile: Tile, plan: PatchPlan, detections: Detections, rows: Rows) -> Places:
    """The middles of chosen sources, to half a pixel, where a patch around them fits.

    Args:
        tile: The tile.
        plan: What is asked of a patch; `clear` does not count.
        detections: Sources of the tile.
        rows: Those that may be hosts.

    Raises:
        MissingDataError: No host has a whole patch.
    """
    # sorted, so that the order in which the hosts were chosen does not count
    rows = np.sort(rows)
    y = np.rint(detections.y[rows]).astype(np.int64)
    x = np.rint(detections.x[rows]).astype(np.int64)
    fits = _fitting(tile, plan)[y, x]
    return _checked(Places(y=y[fits], x=x[fits], host=rows[fits]), tile, plan)


def draw_patches(tile: Tile, plan: PatchPlan, places: Places, seed: int, rows: range) -> Patches:
    """Patches at random places, turned and flipped at random.

    Patch i depends on seed, tile, places and i alone, not on how many are drawn at once.

    Args:
        tile: The tile, its background removed and PSF filled in where they are wanted.
        plan: What was asked of the places.
        places: Where the middle of a patch may be, from `sky_places` or `host_places`.
        seed: Seed of the task.
        rows: Numbers of the patches to draw.
    """
    picks = np.zeros((len(rows), 2), np.int64)
    for k, row in enumerate(rows):
        generator = numpy_generator(seed, "patch", tile.tile_id, row)
        picks[k] = generator.integers((len(places.y), _N_ORIENTATIONS))
    index, orientation = picks.T
    y, x = places.y[index], places.x[index]
    cells = [cell_id(tile, *place) for place in zip(y.tolist(), x.tolist(), strict=True)]
    cuts = np.stack([y - plan.size // 2, x - plan.size // 2, orientation], axis=1)
    return Patches(
        flux=_cut(tile.flux, plan.size, cuts),
        ivar=None if tile.ivar is None else _cut(tile.ivar, plan.size, cuts),
        mask=_cut(tile.mask, plan.size, cuts),
        psf=None if tile.psf is None else _turned_kernels(tile.psf, orientation),
        cell_id=tuple(cells),
        split=tuple(split_of_groups(cells, plan.fractions)),
        host=places.host[index],
        x=x,
        y=y,
        orientation=orientation,
        bands=tile.bands,
        pixel_scale=tile.pixel_scale,
        zero_point=tile.zero_point,
        gain=tile.gain,
    )


def oriented(images: np.ndarray, orientation: int) -> np.ndarray:
    """Images (…, y, x) in one of the eight orientations of the square.

    Args:
        images: Square in their last two axes.
        orientation: Quarter turns, plus 4 for a flip in x before.
    """
    flipped = images[..., ::-1] if orientation >= 4 else images
    return np.rot90(flipped, orientation % 4, axes=(-2, -1))


def _cut(
    pixels: Shaped[np.ndarray, "band y x"], size: int, cuts: Int64[np.ndarray, "n 3"]
) -> Shaped[np.ndarray, "n band k k"]:
    """Squares from a first row and column, each in its orientation."""
    squares = np.empty((len(cuts), len(pixels), size, size), pixels.dtype)
    for target, (row, column, orientation) in zip(squares, cuts.tolist(), strict=True):
        square = pixels[:, row : row + size, column : column + size]
        target[:] = oriented(square, orientation)
    return squares


def cell_id(tile: Tile, row: int, column: int) -> str:
    """Name of the sky cell of a pixel.

    Args:
        tile: The tile.
        row: Row of the pixel.
        column: Column of the pixel.
    """
    return f"{tile.tile_id}:{row // CELL}-{column // CELL}"


def _split_map(tile: Tile, fractions: tuple[float, float, float]) -> Int8[np.ndarray, "y x"]:
    """Number of the split that each pixel belongs to."""
    cells = np.array(
        [
            [
                SPLITS.index(split)
                for split in split_of_groups(
                    [cell_id(tile, row, column) for column in range(0, tile.width, CELL)],
                    fractions,
                )
            ]
            for row in range(0, tile.height, CELL)
        ],
        np.int8,
    )
    whole = cells.repeat(CELL, axis=0).repeat(CELL, axis=1)
    return whole[: tile.height, : tile.width]


def _fitting(tile: Tile, plan: PatchPlan) -> Bool[np.ndarray, "y x"]:
    """Pixels around which a patch lies on the tile, on good pixels and within one split.

    With its guard it lies in cells of one split, so that patches of two splits never share a pixel
    and their noise does not either.
    """
    size = plan.size
    if not 1 <= size <= min(tile.height, tile.width):
        raise OutOfRangeError(
            f"size={size} of a patch is not within 1 to {min(tile.height, tile.width)}, the "
            f"smaller side of tile {tile.tile_id}. Draw smaller patches."
        )
    allowed = uniform_filter(tile.is_bad.astype(np.float64), size) <= plan.max_bad + 1e-9
    group = _split_map(tile, plan.fractions)
    reach = size + 2 * GUARD
    allowed &= minimum_filter(group, reach, mode="nearest") == group
    allowed &= maximum_filter(group, reach, mode="nearest") == group
    allowed &= np.isin(group, [SPLITS.index(name) for name in plan.splits])
    first, last = size // 2, size - size // 2 - 1
    inside = np.zeros_like(allowed)
    inside[first : tile.height - last, first : tile.width - last] = True
    return allowed & inside


def _checked(places: Places, tile: Tile, plan: PatchPlan) -> Places:
    """The places, or an error where there is none."""
    if len(places.y) > 0:
        return places
    wanted = ", ".join(f"{entry.name}={getattr(plan, entry.name)}" for entry in fields(plan))
    raise MissingDataError(
        f"tile {tile.tile_id} has no place for a patch with {wanted}: patches lie on good pixels, "
        f"within cells of {CELL} pixels of one split. Draw smaller patches, ask less of them, or "
        "give more tiles."
    )


def _turned_kernels(
    psf: Float32[np.ndarray, "band k l"], orientation: Int64[np.ndarray, "n"]
) -> Float32[np.ndarray, "n band s s"]:
    """Kernels turned like the patches, padded to a square."""
    side = max(psf.shape[1:])
    margins = [((side - n) // 2, (side - n) // 2) for n in psf.shape[1:]]
    square = np.pad(psf, [(0, 0), *margins])
    return _cut(square, side, np.outer(orientation, [0, 0, 1]))
