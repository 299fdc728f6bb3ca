"""A tile as a finder sees it: the right bands, cut around targets, on the finder's own pixels.

Opening tiles and cutting them is in `stronglens.data`; the scores come from `scanning.tile_work`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Shaped

from stronglens.data.cutout import MAX_MASKED
from stronglens.data.cutting import CutRules, Cuts, cut_many
from stronglens.data.resample import Target
from stronglens.data.resample_many import native_size, resample_many
from stronglens.data.survey_tile import SurveyTile, TileGrid
from stronglens.data.targets import TargetStatus
from stronglens.finders.finder import FinderFacts
from stronglens.scanning.bands import UNNAMED, choose_bands

Places = tuple[Float64[np.ndarray, "n"], Float64[np.ndarray, "n"]]

# edges are judged on the finder's field, not on the margin that resampling needs
_RULES = CutRules(max_outside=1.0)


@dataclass(frozen=True, eq=False)
class GridView:
    """Those bands of one pixel grid of a tile that the finder wants."""

    grid: TileGrid
    """Bands wanted, in the finder's order."""
    bands: tuple[int, ...]
    """Their numbers among the finder's bands."""
    size: int
    """Side of a cutout [pixel]."""

    @property
    def without_psf(self) -> TileGrid:
        """The grid, without the kernels that only kept cutouts need."""
        return replace(
            self.grid, images=tuple(replace(image, psf=None) for image in self.grid.images)
        )


@dataclass(frozen=True, eq=False)
class TileView:
    """How a finder looks at a tile."""

    reference: TileGrid
    """Grid on which targets are placed."""
    parts: tuple[GridView, ...]
    """Grids with bands that the finder wants."""
    target: Target
    """The finder's own grid."""
    band: str
    """Bands used, separated by commas."""
    n_bands: int
    """Number of the finder's bands, one that the tile lacks among them."""
    remarks: tuple[str, ...] = ()
    """What had to be assumed."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Some targets as the finder sees them, and as they are on the tile."""

    flux: Float32[np.ndarray, "n band y x"]
    """On the finder's grid [pixel units of the finder]."""
    ivar: Float32[np.ndarray, "n band y x"]
    """Inverse variance; 0 where nothing is known."""
    mask: Bool[np.ndarray, "n band y x"]
    """True where a pixel is bad."""
    status: Shaped[np.ndarray, "n"]
    """As in `TargetStatus`."""
    reason: Shaped[np.ndarray, "n"]
    """Why a target cannot be scored."""
    cuts: tuple[Cuts, ...]
    """The tile's own pixels, one for each part of the view, without PSF."""
    places: tuple[Places, ...]
    """Columns and rows of the targets on the grid of each part [pixel]."""


def view_tile(tile: SurveyTile, facts: FinderFacts, asked: Sequence[str] = ()) -> TileView:
    """Choose bands of a tile for a finder.

    Args:
        tile: Opened tile.
        facts: What the finder was made for.
        asked: Bands to use instead of the nearest.

    Raises:
        UnknownNameError: A band cannot be told or is not there.
        WrongShapeError: Fewer bands than the finder needs.
    """
    places = [(grid, k) for grid in tile.grids for k in range(len(grid.bands))]
    available = [grid.bands[k] for grid, k in places]
    chosen, notes = choose_bands(available, facts.bands, asked, may_lack=facts.takes_missing_bands)
    target = Target(facts.height, facts.width, facts.pixel_scale, facts.zero_point)
    parts = []
    for grid in tile.grids:
        here = {n: k for n, k in enumerate(chosen) if k is not None and places[k][0] is grid}
        if here:
            bands = tuple(here)
            images = tuple(grid.images[places[k][1]] for k in here.values())
            size = native_size(target, grid.pixel_scale)
            parts.append(GridView(replace(grid, images=images), bands, size))
    remarks = dict.fromkeys((*notes, *tile.grids[0].remarks))
    used = ",".join(available[k] or UNNAMED for k in chosen if k is not None)
    return TileView(tile.grids[0], tuple(parts), target, used, len(chosen), tuple(remarks))


def see(
    view: TileView, x: Float64[np.ndarray, "n"], y: Float64[np.ndarray, "n"], pad: float = 0.0
) -> Seen:
    """Cut targets out of a tile and bring them to the finder's grid.

    Args:
        view: How the finder looks at the tile.
        x: Columns of the targets on the reference grid [pixel].
        y: Their rows [pixel].
        pad: Part of the finder's field that may lie outside the tile on each axis.
    """
    shape = (len(x), view.n_bands, view.target.height, view.target.width)
    flux, ivar = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    # a band that the tile lacks stays bad everywhere
    mask = np.ones(shape, bool)
    status = np.full(len(x), str(TargetStatus.OK), object)
    reason = np.full(len(x), "", object)
    cuts, places = [], []
    for part in view.parts:
        here = _on_grid(part.grid, view.reference, x, y)
        cut = cut_many(part.without_psf, *here, part.size, _RULES)
        factor = _flux_factor(view.target.zero_point, part.grid.zero_point)
        planes = resample_many(
            cut.flux, cut.ivar, cut.mask, part.grid.pixel_scale, factor, view.target
        )
        if len(view.parts) == 1 and part.bands == tuple(range(shape[1])):
            flux, ivar, mask = planes  # all there is: no copy
        else:
            for whole, some in zip((flux, ivar, mask), planes, strict=True):
                whole[:, part.bands] = some
        _mark_edges(status, reason, _missing(part.grid, view.target, *here) > pad)
        _mark(status, reason, np.asarray(cut.status, object), np.asarray(cut.reason, object))
        cuts.append(cut)
        places.append(here)
    there = [band for part in view.parts for band in part.bands]
    _mark_empty(status, reason, flux[:, there])
    return Seen(flux, ivar, mask, status, reason, cuts=tuple(cuts), places=tuple(places))


def sky_positions(
    grid: TileGrid, x: Float64[np.ndarray, "n"], y: Float64[np.ndarray, "n"]
) -> tuple[Float64[np.ndarray, "n"], Float64[np.ndarray, "n"]]:
    """Right ascension and declination of pixels [deg]; NaN where the tile has no WCS."""
    if grid.wcs is None or len(x) == 0:
        return np.full(len(x), math.nan), np.full(len(x), math.nan)
    place = grid.wcs.pixel_to_world(x, y).icrs
    return np.asarray(place.ra.deg, np.float64), np.asarray(place.dec.deg, np.float64)


def _on_grid(grid: TileGrid, reference: TileGrid, x: np.ndarray, y: np.ndarray) -> Places:
    """Pixels of another grid of the same tile that lie at the same places of the sky."""
    if (grid.height, grid.width, grid.pixel_scale) == (
        reference.height,
        reference.width,
        reference.pixel_scale,
    ):
        return x, y
    if grid.wcs is not None and reference.wcs is not None:
        there = grid.wcs.world_to_pixel(reference.wcs.pixel_to_world(x, y))
        return np.asarray(there[0], np.float64), np.asarray(there[1], np.float64)
    ratio = reference.pixel_scale / grid.pixel_scale
    return (
        (x - (reference.width - 1) / 2) * ratio + (grid.width - 1) / 2,
        (y - (reference.height - 1) / 2) * ratio + (grid.height - 1) / 2,
    )


def _flux_factor(target: float, tile: float) -> float:
    """Pixel units of the finder in one of the tile; 1 where a zero point is not known."""
    shift = target - tile
    return 10 ** (0.4 * shift) if math.isfinite(shift) else 1.0


def _missing(
    grid: TileGrid, target: Target, x: np.ndarray, y: np.ndarray
) -> Float64[np.ndarray, "n"]:
    """Largest part of the finder's field, along an axis, that lies outside the tile."""
    worst = np.zeros(len(x))
    for place, n, side in ((x, grid.width, target.width), (y, grid.height, target.height)):
        half = 0.5 * side * target.pixel_scale / grid.pixel_scale
        # cutouts start at whole pixels, so a pixel more or less is no edge
        beyond = np.maximum(half - 1.0 - place - 0.5, place + 0.5 + half - 1.0 - n)
        worst = np.maximum(worst, beyond / (2 * half))
    return np.clip(worst, 0.0, 1.0)


def _mark(status: np.ndarray, reason: np.ndarray, found: np.ndarray, why: np.ndarray) -> None:
    """Take over what is wrong, where nothing else is."""
    is_new = (status == TargetStatus.OK) & (found != TargetStatus.OK)
    status[is_new], reason[is_new] = found[is_new], why[is_new]


def _mark_edges(status: np.ndarray, reason: np.ndarray, is_edge: np.ndarray) -> None:
    why = "the finder's field reaches over the edge of the tile. Allow a part of it with --pad."
    is_new = is_edge & (status == TargetStatus.OK)
    status[is_new], reason[is_new] = str(TargetStatus.EDGE), why


def _mark_empty(status: np.ndarray, reason: np.ndarray, flux: np.ndarray) -> None:
    """Mark fields that are mostly exact zeros in a band: nobody observed them."""
    is_empty = (flux == 0).mean(axis=(2, 3)).max(axis=1, initial=0.0) > MAX_MASKED
    is_new = is_empty & (status == TargetStatus.OK)
    status[is_new], reason[is_new] = str(TargetStatus.MASKED), "most pixels of a band are zero."
