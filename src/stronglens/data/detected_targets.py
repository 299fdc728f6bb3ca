"""Sources found on a tile as targets, with magnitudes, sizes and colours that cuts can ask for.

How sources are found and measured is in `stronglens.data.detections`.
"""

import numpy as np
from astropy.io.fits import Header

from stronglens.core.errors import unknown_name
from stronglens.data.cutting import CutRules, cut_many
from stronglens.data.detections import detect
from stronglens.data.survey_tile import SurveyTile, TileGrid
from stronglens.data.target_cuts import columns_of, passes
from stronglens.data.targets import TargetOptions, Targets
from stronglens.data.tiles import Tile, effective_gain


def detect_targets(tile: SurveyTile, options: TargetOptions, reference: str = "r") -> Targets:
    """Sources of a tile that meet the cuts, by row and column.

    Cuts may ask for `mag_<filter>` of each band [mag AB], `snr`, `diameter` (twice the half-light
    radius) [arcsec], `q`, `is_star_like` and `is_saturated` (0 or 1), x and y.

    Args:
        tile: Opened tile; sources are sought on its reference grid.
        options: Cuts, and columns to keep.
        reference: Band in which sizes are measured, or else the nearest one.

    Raises:
        UnknownNameError: A cut asks for what is not measured.
    """
    grid = tile.grids[0]
    found = detect(in_memory(grid), reference)
    columns: dict[str, np.ndarray] = {
        "x": found.x,
        "y": found.y,
        "snr": found.snr,
        "diameter": found.diameter * grid.pixel_scale,
        "q": np.asarray(found.q, np.float64),
        "is_star_like": found.is_star_like.astype(np.float64),
        "is_saturated": found.is_saturated.astype(np.float64),
    }
    for k, band in enumerate(grid.bands):
        columns[f"mag_{band.rpartition('-')[2] or k}"] = found.magnitude(k)
    _check([*columns_of(options.cuts), *options.keep], columns)
    n = len(found.x)
    rows = np.flatnonzero(passes(options.cuts, columns, n))
    unknown = np.full(n, np.nan)
    width = max(len(str(n)), 5)
    names = np.array([f"{tile.tile_id}-{k:0{width}d}" for k in range(n)], object)
    return Targets(
        object_id=names,
        ra=unknown,
        dec=unknown.copy(),
        x=found.x,
        y=found.y,
        tile_id=np.full(n, tile.tile_id, object),
        extra={name: columns[name] for name in options.keep},
    ).rows(rows)


def in_memory(grid: TileGrid) -> Tile:
    """All pixels of a grid, bands at one zero point.

    Args:
        grid: Bands of a tile on one pixel grid.
    """
    side = max(grid.height, grid.width)
    middle = np.array([(grid.width - 1) / 2]), np.array([(grid.height - 1) / 2])
    cut = cut_many(grid, *middle, side, CutRules(max_outside=1.0, max_bad=1.0))
    rows, columns = (slice((side - n) // 2, (side - n) // 2 + n) for n in (grid.height, grid.width))
    ivar = np.ascontiguousarray(cut.ivar[0][:, rows, columns])
    headers: list[Header] = [image.header for image in grid.images]
    shift = np.array([grid.zero_point - image.zero_point for image in grid.images])
    scale = 10 ** (0.4 * np.nan_to_num(shift))
    unknown = np.full(len(headers), np.nan)
    return Tile(
        tile_id=grid.tile_id,
        flux=np.ascontiguousarray(cut.flux[0][:, rows, columns]),
        ivar=ivar if ivar.any() else None,
        mask=np.ascontiguousarray(cut.mask[0][:, rows, columns]),
        bands=grid.bands,
        pixel_scale=grid.pixel_scale,
        zero_point=np.full(len(headers), grid.zero_point),
        gain=np.array([effective_gain(header) for header in headers]) / scale,
        saturation=unknown,
        exposure_time=unknown,
        psf=cut.psf[0] if cut.psf is not None else None,
        wcs=grid.wcs,
        remarks=grid.remarks,
    )


def _check(names: list[str], columns: dict[str, np.ndarray]) -> None:
    for name in names:
        if name not in columns:
            raise unknown_name("measured column", name, columns)
