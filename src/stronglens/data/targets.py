"""Targets: the objects of a survey that shall be looked at, and the tile that each is cut from.

Tables are opened in `stronglens.data.target_tables`; pixels are cut in `data.cutting`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from astropy.wcs import WCS
from jaxtyping import Float64, Int64, Shaped
from scipy.spatial import KDTree

from stronglens.core.errors import MissingDataError, OutOfRangeError, unknown_name
from stronglens.data.target_cuts import columns_of, passes
from stronglens.data.target_tables import TableFile, open_table, read_chunks

_NAMES: dict[str, tuple[str, ...]] = {
    "object_id": (
        "object_id", "objectid", "id", "objid", "source_id", "sourceid", "coadd_object_id", "ls_id",
        "id_str", "number", "name", "ident",
    ),
    "ra": ("ra", "ra_deg", "raj2000", "alpha_j2000", "right_ascension", "coord_ra", "ramean",
           "alphawin_j2000", "ra2000", "i_ra", "target_ra"),
    "dec": ("dec", "dec_deg", "dej2000", "decj2000", "delta_j2000", "declination", "coord_dec",
            "decmean", "deltawin_j2000", "dec2000", "i_dec", "target_dec"),
    "x": ("x", "x_pixel", "x_image", "xwin_image", "xpix"),
    "y": ("y", "y_pixel", "y_image", "ywin_image", "ypix"),
    "tile_id": ("tile_id", "tileid", "tile", "tilename", "brickname", "tile_index"),
}  # fmt: skip


class TargetStatus(StrEnum):
    """What became of a target; every target ends in exactly one row with one of these."""

    OK = "ok"
    FAILED = "failed"
    EDGE = "edge"
    MASKED = "masked"
    OUTSIDE = "outside"


@dataclass(frozen=True)
class TargetOptions:
    """How a table of targets is read."""

    columns: tuple[str, ...] = ()
    """Names of columns where they cannot be guessed, as "ra=ALPHA_J2000"."""
    keep: tuple[str, ...] = ()
    """Other columns to carry along."""
    cuts: tuple[str, ...] = ()
    """Conditions that rows must meet, as "mag_r<21.5" or "mag_g-mag_r>0.8"."""
    chunk: int = 100_000
    """Rows in memory at a time."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Some rows of a table of targets; positions in pixels count from 0 at the first pixel."""

    object_id: Shaped[np.ndarray, "n"]
    """Name, a string; made from the row's number where the table has none."""
    ra: Float64[np.ndarray, "n"]
    """Right ascension; NaN where the table has none [deg]."""
    dec: Float64[np.ndarray, "n"]
    """Declination; NaN where the table has none [deg]."""
    x: Float64[np.ndarray, "n"]
    """Column on the tile; NaN where the table has none [pixel]."""
    y: Float64[np.ndarray, "n"]
    """Row on the tile; NaN where the table has none [pixel]."""
    tile_id: Shaped[np.ndarray, "n"]
    """Tile that x and y count on; "" where the table does not say."""
    extra: dict[str, np.ndarray] = field(default_factory=dict)
    """Columns carried along, by name."""
    first_row: int = 0
    """Number of the first of these rows in the table, cuts not counted."""

    def __len__(self) -> int:
        """Return the number of targets."""
        return len(self.object_id)

    def rows(self, index: Int64[np.ndarray, "m"]) -> "Targets":
        """Return some of the targets.

        Args:
            index: Their rows.
        """
        names = ("object_id", "ra", "dec", "x", "y", "tile_id")
        extra = {name: values[index] for name, values in self.extra.items()}
        return replace(self, extra=extra, **{name: getattr(self, name)[index] for name in names})


@dataclass(frozen=True, eq=False)
class Footprint:
    """Where a tile lies; found from headers, without reading pixels."""

    tile_id: str
    """Name of the tile."""
    height: int
    """Number of rows."""
    width: int
    """Number of columns."""
    pixel_scale: float
    """Side of a pixel [arcsec]."""
    wcs: WCS | None = None
    """Celestial coordinates; None where the headers have none."""


@dataclass(frozen=True, eq=False)
class Assignment:
    """Where each target is cut from."""

    tile: Int64[np.ndarray, "n"]
    """Index of the footprint; -1 where the target is on no tile."""
    x: Float64[np.ndarray, "n"]
    """Column on that tile; NaN where it is on none [pixel]."""
    y: Float64[np.ndarray, "n"]
    """Row on that tile; NaN where it is on none [pixel]."""
    edge_distance: Float64[np.ndarray, "n"]
    """Distance to the nearest edge of that tile; NaN where it is on none [pixel]."""
    status: Shaped[np.ndarray, "n"]
    """`ok`, `edge`, `outside` or `failed`, as in `TargetStatus`."""


def read_targets(path: Path | str, options: TargetOptions | None = None) -> Iterator[Targets]:
    """Rows of a table of targets, a chunk at a time, so that 10^8 of them need no memory.

    Args:
        path: CSV, FITS, VOTable, Parquet file, or HATS directory, with ra and dec or x and y.
        options: Names of columns, cuts, rows per chunk.

    Yields:
        Targets that meet the cuts, in the order of the table.

    Raises:
        MissingDataError: There is no such table, or no column for positions.
        UnreadableFileError: It cannot be read as a table.
        UnknownNameError: A column of the options is not there.
    """
    options = options or TargetOptions()
    table = open_table(path)
    found = _found_columns(table, options)
    cut_on = columns_of(options.cuts)
    names = [*found.values(), *options.keep, *cut_on]
    first = 0
    for columns in read_chunks(table, names, options.chunk):
        n = len(next(iter(columns.values())))
        targets = _targets(found, columns, options.keep, first, n)
        yield targets.rows(np.flatnonzero(passes(options.cuts, columns, n)))
        first += n


def count_targets(path: Path | str) -> int | None:
    """Rows of a table before cuts, where that is known without reading it; else None.

    Args:
        path: The table.
    """
    return open_table(path).n_rows


def assign_to_tiles(targets: Targets, footprints: Sequence[Footprint], margin: float) -> Assignment:
    """The tile and pixel of each target: once each, on the tile where it is farthest from the edge.

    Args:
        targets: Targets; where they have ra and dec, these count, else x, y and tile_id.
        footprints: Tiles of the survey, from `data.tile_sources.footprint_of`.
        margin: A target nearer to the edge than this is `edge`; half the side of a cutout [pixel].
    """
    n = len(targets)
    best = Assignment(
        tile=np.full(n, -1, np.int64),
        x=np.full(n, np.nan),
        y=np.full(n, np.nan),
        edge_distance=np.full(n, np.nan),
        status=np.full(n, TargetStatus.OUTSIDE.value, object),
    )
    has_sky = np.isfinite(targets.ra) & np.isfinite(targets.dec)
    by_sky = np.flatnonzero(has_sky)
    for index, rows in _near(targets, by_sky, footprints):
        x, y = _pixels_of(footprints[index], targets.ra[rows], targets.dec[rows])
        _keep_better(best, footprints, index, rows, (x, y))
    is_placed = np.isfinite(targets.x) & np.isfinite(targets.y) & ~has_sky
    for index, footprint in enumerate(footprints):
        own = targets.tile_id == footprint.tile_id
        if len(footprints) == 1:
            own |= targets.tile_id == ""
        rows = np.flatnonzero(is_placed & own)
        _keep_better(best, footprints, index, rows, (targets.x[rows], targets.y[rows]))
    on_tile = best.tile >= 0
    best.status[on_tile] = TargetStatus.OK.value
    best.status[on_tile & (best.edge_distance < margin)] = TargetStatus.EDGE.value
    best.status[~has_sky & ~is_placed] = TargetStatus.FAILED.value
    return best


def _found_columns(table: TableFile, options: TargetOptions) -> dict[str, str]:
    """Column of the table for each field of a target that it has."""
    given = dict(_split(text) for text in options.columns)
    unknown = sorted(set(given) - set(_NAMES))
    if unknown:
        raise unknown_name("field of a target", unknown[0], _NAMES)
    by_lower = {name.lower(): name for name in reversed(table.names)}
    found = dict(given)
    for field_name, guesses in _NAMES.items():
        guess = next((by_lower[g] for g in guesses if g in by_lower), None)
        if field_name not in given and guess is not None:
            found[field_name] = guess
    if not ({"ra", "dec"} <= set(found) or {"x", "y"} <= set(found)):
        raise MissingDataError(
            f"no positions in '{table.path}', which has {', '.join(table.names[:20])}: neither ra "
            "and dec nor x and y. Name the columns, as in --columns ra=ALPHA_J2000 dec=DELTA_J2000."
        )
    return found


def _split(text: str) -> tuple[str, str]:
    name, mark, column = text.partition("=")
    if not mark:
        raise OutOfRangeError(
            f"columns entry '{text}' has no '='; allowed is FIELD=COLUMN, such as ra=ALPHA_J2000."
        )
    return name.strip(), column.strip()


def _targets(
    found: dict[str, str], columns: dict[str, np.ndarray], keep: Sequence[str], first: int, n: int
) -> Targets:
    """Targets of one chunk of a table."""
    ids = columns[found["object_id"]] if "object_id" in found else np.arange(first, first + n)
    places = {name: _numbers(columns, found.get(name), n) for name in ("ra", "dec", "x", "y")}
    for name in ("x", "y"):
        # SExtractor and FITS count pixels from 1
        if found.get(name, "").lower().endswith("_image"):
            places[name] = places[name] - 1
    tiles = columns[found["tile_id"]] if "tile_id" in found else np.full(n, "", object)
    return Targets(
        object_id=_words(ids),
        tile_id=_words(tiles),
        extra={name: columns[name] for name in keep},
        first_row=first,
        **places,
    )


def _numbers(columns: dict[str, np.ndarray], name: str | None, n: int) -> np.ndarray:
    """Column as float64; NaN where there is none or a value is no number."""
    if name is None:
        return np.full(n, np.nan)
    values = columns[name]
    if values.dtype.kind != "O":
        return values.astype(np.float64)
    return np.array([_number(value) for value in values], np.float64)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _words(values: np.ndarray) -> np.ndarray:
    """Column as strings; numbers that are whole are written without a point."""
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values % 1 == 0).all():
        values = values.astype(np.int64)
    return np.array([str(value) for value in values.tolist()], object)


def _near(
    targets: Targets, rows: np.ndarray, footprints: Sequence[Footprint]
) -> Iterator[tuple[int, np.ndarray]]:
    """Tiles with coordinates, each with the rows of targets that may be on it."""
    if not len(rows):
        return
    tree = KDTree(_unit_vectors(targets.ra[rows], targets.dec[rows]))
    for index, footprint in enumerate(footprints):
        if footprint.wcs is None:
            continue
        middle = ((footprint.width - 1) / 2, (footprint.height - 1) / 2)
        ra, dec = (np.atleast_1d(v) for v in footprint.wcs.all_pix2world(*middle, 0))
        radius = 0.5 * math.hypot(footprint.height, footprint.width) * footprint.pixel_scale
        # a hundredth more than the diagonal, for the projection
        chord = 2 * math.sin(min(1.01 * math.radians(radius / 3600), math.pi) / 2)
        found = tree.query_ball_point(_unit_vectors(ra, dec)[0], chord, return_sorted=True)
        if found:
            yield index, rows[np.array(found, np.int64)]


def _unit_vectors(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    a, d = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)], axis=1)


def _pixels_of(
    footprint: Footprint, ra: Float64[np.ndarray, "n"], dec: Float64[np.ndarray, "n"]
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of positions near a tile; NaN where the WCS gives none."""
    if footprint.wcs is None:
        return np.full(len(ra), np.nan), np.full(len(ra), np.nan)
    # positions far outside make the inverse of distortions fail: the linear part is enough there
    x, y = footprint.wcs.wcs_world2pix(ra, dec, 0)
    near = (x > -footprint.width) & (x < 2 * footprint.width)
    near &= (y > -footprint.height) & (y < 2 * footprint.height)
    if near.any() and footprint.wcs.has_distortion:
        x[near], y[near] = footprint.wcs.all_world2pix(ra[near], dec[near], 0, quiet=True)
    return np.asarray(x, np.float64), np.asarray(y, np.float64)


def _keep_better(
    best: Assignment,
    footprints: Sequence[Footprint],
    index: int,
    rows: np.ndarray,
    places: tuple[np.ndarray, np.ndarray],
) -> None:
    """Put targets on a tile where it holds them farther from its edge than any before."""
    x, y = places
    tile = footprints[index]
    distance = np.minimum.reduce([x + 0.5, tile.width - 0.5 - x, y + 0.5, tile.height - 0.5 - y])
    scales = np.array([f.pixel_scale for f in footprints])
    before = best.edge_distance[rows] * scales[best.tile[rows]]
    on_tile = np.isfinite(distance) & (distance >= 0)
    is_better = on_tile & ~(distance * tile.pixel_scale <= before)
    chosen = rows[is_better]
    best.tile[chosen] = index
    best.x[chosen], best.y[chosen] = x[is_better], y[is_better]
    best.edge_distance[chosen] = distance[is_better]
