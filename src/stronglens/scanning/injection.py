"""Simulated lenses painted into a tile: light and its photon noise added to the real pixels.

What is made of lenses that the scan then finds or misses is in `scanning.recovery`.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

from stronglens.core.conventions import magnitude_from_flux
from stronglens.core.errors import MissingDataError
from stronglens.data.catalog import write_table
from stronglens.data.filters import is_same_filter, nearest_band
from stronglens.data.patches import oriented
from stronglens.data.tile_files import write_tile
from stronglens.data.tile_sources import TileSource, open_tile
from stronglens.data.tiles import Tile, with_zero_point
from stronglens.scanning.sources import whole_tile
from stronglens.scanning.tile_view import sky_positions
from stronglens.simulation.canvas import Canvas
from stronglens.simulation.cast import draw_classes
from stronglens.simulation.simulated_set import BLOCK, STACK
from stronglens.simulation.survey_set import ZERO_POINT, SurveySet
from stronglens.simulation.task import Simulate
from stronglens.simulation.tile_camera import TileView
from stronglens.surveys import survey, surveys

TRUTH = "injected.parquet"
_MOST_BLOCKS = 40
_APERTURE, _RING = 1.5, (4.0, 6.0)
"""Radii in which the light of a real deflector and the sky around it are measured [arcsec]."""
_ORIENTATIONS = {k: (-k) % 4 for k in range(4)} | {k: k for k in range(4, 8)}
"""Orientation that undoes another: a flip with any turn undoes itself."""

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Injection:
    """How many lenses are painted, and which."""

    rate: float
    """Lenses per square arcmin."""
    seed: int = 1
    """Seed of everything drawn."""


def paint_tile(source: TileSource, folder: Path, injection: Injection) -> Columns:
    """Copy a tile with simulated lenses in it, and return what they are.

    Half of the deflectors are red galaxies of the tile, half are painted on clear sky; PSF, gain
    and noise are the tile's own. Lenses do not overlap.

    Args:
        source: Tile, not opened.
        folder: The copy goes to `folder/tile`, the truth beside it.
        injection: How many.

    Returns:
        Truth table of the lenses: theta_e [arcsec], arc_snr, magnitudes; x_tile, y_tile [pixel],
        ra, dec [deg].

    Raises:
        MissingDataError: The tile has no WCS, no stars for a PSF, or no room for a lens.
    """
    opened = open_tile(source).grids[0]
    if opened.wcs is None:
        raise MissingDataError(
            f"tile {source.tile_id} has no WCS, by whose positions painted lenses are found again. "
            "Add one, or leave --inject out."
        )
    tile = with_zero_point(whole_tile(opened), ZERO_POINT)
    bare = write_tile(folder / "bare" / source.tile_id, tile)
    task = Simulate(
        preset="survey", survey=_survey_of(tile.bands), shares={"lens": 1.0}, planes=False,
        seed=injection.seed, canvas=Canvas(tile=bare),
    ).resolved()  # fmt: skip
    drawn = SurveySet(task, survey(str(task.survey)))
    area = tile.height * tile.width * (tile.pixel_scale / 60) ** 2
    painted, truth = _painted(drawn, tile, max(round(injection.rate * area), 1))
    ra, dec = sky_positions(opened, truth["x_tile"].astype(float), truth["y_tile"].astype(float))
    truth |= deflector_magnitudes(truth, tile)
    truth |= {"ra": ra, "dec": dec, "tile_id": np.full(len(ra), source.tile_id, object)}
    write_tile(folder / "tiles" / source.tile_id, replace(tile, flux=painted))
    write_table(folder / f"{source.tile_id}-{TRUTH}", truth)
    return truth


def deflector_magnitudes(truth: Columns, tile: Tile) -> Columns:
    """Magnitudes of all deflectors; those of real galaxies are measured on the tile.

    Args:
        truth: Truth table; its columns mag_deflector_... are NaN for real galaxies.
        tile: Tile without the lenses.

    Returns:
        These columns, with magnitudes within 1.5 arcsec for real galaxies [mag AB].
    """
    names = [name for name in truth if name.startswith("mag_deflector_")]
    bands = {name: nearest_band(name.removeprefix("mag_deflector_"), tile.bands) for name in names}
    found = {name: np.array(truth[name], np.float64) for name in names}
    for name, band in bands.items():
        if band is None:
            continue
        for row in np.flatnonzero(~np.isfinite(found[name])).tolist():
            place = int(truth["y_tile"][row]), int(truth["x_tile"][row])
            flux = _aperture_flux(tile.flux[band], place, tile.pixel_scale)
            if flux > 0:
                found[name][row] = magnitude_from_flux(flux, float(tile.zero_point[band]))
    return found


def _aperture_flux(
    plane: Float32[np.ndarray, "y x"], place: tuple[int, int], scale: float
) -> float:
    """Flux within the aperture, over the median of the ring around it; 0 at an edge."""
    y, x = place
    half = math.ceil(_RING[1] / scale)
    if not (half <= y < plane.shape[0] - half and half <= x < plane.shape[1] - half):
        return 0.0
    box = plane[y - half : y + half + 1, x - half : x + half + 1]
    rows, columns = np.indices(box.shape) - half
    away = np.hypot(rows, columns) * scale
    ring = box[(away > _RING[0]) & (away <= _RING[1])]
    return float((box[away <= _APERTURE] - np.median(ring)).sum())


def _painted(
    drawn: SurveySet, tile: Tile, wanted: int
) -> tuple[Float32[np.ndarray, "band y x"], Columns]:
    """Pixels with lenses added, and their truth; fewer where there is no room for more."""
    flux, taken = tile.flux.copy(), np.zeros((tile.height, tile.width), bool)
    parts: list[Columns] = []
    for block in range(_MOST_BLOCKS):
        seen = drawn.draw(block, (STACK,))[STACK]
        key = (drawn.task.seed, block)
        scene_class = draw_classes(drawn.task.shares, key, is_real=True)
        view = drawn.camera.draw_view(drawn.task.seed, block, scene_class)
        if not isinstance(view, TileView):
            raise MissingDataError("lenses are painted on tiles only. Give images of a survey.")
        # bad pixels are 0 in both
        added = (seen.images.flux - view.flux).astype(np.float32)
        n_left = wanted - sum(len(part["x_tile"]) for part in parts)
        rows = _add(flux, taken, added, (seen.truth, view.orientation), n_left)
        parts.append({name: values[rows] for name, values in seen.truth.items()})
        if len(rows) == n_left or len(rows) < BLOCK // 50:
            break
    truth = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if not len(truth["x_tile"]):
        raise MissingDataError(f"tile {tile.tile_id} has no room for a lens. Use a larger tile.")
    return flux, truth


def _add(
    flux: Float32[np.ndarray, "band y x"],
    taken: Bool[np.ndarray, "y x"],
    added: Float32[np.ndarray, "n band k l"],
    places: tuple[Columns, np.ndarray],
    most: int,
) -> np.ndarray:
    """Add stamps in the orientation of the tile, and return the rows of those that had room."""
    truth, orientation = places
    size, rows = added.shape[-1], []
    for row in range(len(added)):
        if len(rows) == most:
            break
        y, x = int(truth["y_tile"][row]) - size // 2, int(truth["x_tile"][row]) - size // 2
        box = (slice(y, y + size), slice(x, x + size))
        if taken[box].any():
            continue
        taken[box] = True
        flux[(slice(None), *box)] += oriented(added[row], _ORIENTATIONS[int(orientation[row])])
        rows.append(row)
    return np.array(rows, np.int64)


def _survey_of(bands: tuple[str, ...]) -> str:
    """Survey with the most of a tile's bands, by survey and filter, then by filter alone."""

    def shared(name: str) -> tuple[int, int]:
        own = [band.name for band in surveys.get(name).bands]
        same = sum(band in own for band in bands)
        alike = sum(any(is_same_filter(one, band) for one in own) for band in bands)
        return same, alike

    return max(surveys.names(), key=shared)
