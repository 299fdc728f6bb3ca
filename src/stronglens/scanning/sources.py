"""Sources of a tile as targets, where no table names them: found, and sensibly chosen.

How sources are found and measured is in `stronglens.data.detections`.
"""

import numpy as np
from jaxtyping import Bool

from stronglens.core.errors import OutOfRangeError
from stronglens.data.cutting import CutRules, cut_many
from stronglens.data.detections import Detections, detect
from stronglens.data.filters import nearest_band
from stronglens.data.survey_tile import SurveyTile, TileGrid
from stronglens.data.tiles import Tile
from stronglens.scanning.source_cut import SourceCut
from stronglens.scanning.tile_view import sky_positions


def find_targets(tile: SurveyTile, cut: SourceCut) -> dict[str, np.ndarray]:
    """Targets of a tile: its sources that pass a cut, by row and column.

    Args:
        tile: Opened tile.
        cut: Which sources are targets.

    Returns:
        Columns object_id, ra, dec, x, y, row.
    """
    grid = tile.grids[0]
    found = detect(whole_tile(grid), cut.band)
    rows = np.flatnonzero(passes(found, cut))
    rows = rows[np.lexsort((found.x[rows], found.y[rows]))]
    x, y = found.x[rows], found.y[rows]
    ra, dec = sky_positions(grid, x, y)
    width = max(len(str(len(rows) - 1)), 5)
    return {
        "object_id": np.array([f"{tile.tile_id}-{k:0{width}d}" for k in range(len(rows))], object),
        "ra": ra,
        "dec": dec,
        "x": x,
        "y": y,
        "row": np.arange(len(rows)),
    }


def passes(found: Detections, cut: SourceCut) -> Bool[np.ndarray, "source"]:
    """Whether each source passes a cut.

    Args:
        found: Sources of a tile.
        cut: What is asked of them.
    """
    magnitude = found.magnitude(found.reference)
    chosen = (magnitude > cut.brightest) & (magnitude < cut.faintest) & (found.snr > cut.min_snr)
    if not cut.stars:
        chosen &= ~found.is_star_like
    if cut.min_size > 0:
        chosen &= ~(found.diameter < cut.min_size * found.star_diameter)
    if cut.colour is None:
        return chosen
    first, second = (nearest_band(name, found.bands) for name in _two(cut.colour))
    if first is None or second is None or first == second:
        raise OutOfRangeError(
            f"colour={cut.colour} needs two bands of the tile, which has {','.join(found.bands)}."
        )
    with np.errstate(invalid="ignore"):
        colour = found.magnitude(first) - found.magnitude(second)
    return chosen & (colour > cut.bluest) & (colour < cut.reddest)


def whole_tile(grid: TileGrid) -> Tile:
    """All pixels of a grid in memory, bands at one zero point.

    Args:
        grid: Bands of a tile on one pixel grid.
    """
    side = max(grid.height, grid.width)
    middle = np.array([(grid.width - 1) / 2]), np.array([(grid.height - 1) / 2])
    cut = cut_many(grid, *middle, side, CutRules(max_outside=1.0, max_bad=1.0))
    rows, columns = (slice((side - n) // 2, (side - n) // 2 + n) for n in (grid.height, grid.width))
    n = len(grid.images)
    unknown = np.full(n, np.nan)
    ivar = cut.ivar[0][:, rows, columns]
    return Tile(
        tile_id=grid.tile_id,
        flux=np.ascontiguousarray(cut.flux[0][:, rows, columns]),
        ivar=np.ascontiguousarray(ivar) if ivar.any() else None,
        mask=np.ascontiguousarray(cut.mask[0][:, rows, columns]),
        bands=grid.bands,
        pixel_scale=grid.pixel_scale,
        zero_point=np.full(n, grid.zero_point),
        gain=unknown,
        saturation=unknown,
        exposure_time=unknown,
        wcs=grid.wcs,
        remarks=grid.remarks,
    )


def _two(colour: str) -> tuple[str, str]:
    """Bands of a colour; a band such as hsc-g has a hyphen of its own."""
    words = colour.split("-")
    if len(words) not in {2, 4}:
        raise OutOfRangeError(f"colour={colour} is no difference of two bands, such as g-r.")
    half = len(words) // 2
    return "-".join(words[:half]), "-".join(words[half:])
