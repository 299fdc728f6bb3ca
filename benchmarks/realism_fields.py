"""Whole fields as a survey sees them: drawn from nothing, or drawn galaxies on a real field.

What is measured of them is in `bench_realism`.
"""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import maximum_filter
from torch import Tensor

from stronglens.core.seeds import numpy_generator, torch_generator
from stronglens.data.detections import Detections
from stronglens.data.measure import read_centred
from stronglens.data.tiles import Tile
from stronglens.simulation.compose import compose_light, observe_bands, sample_bands
from stronglens.simulation.correlated import wide_share
from stronglens.simulation.galaxies import Filters
from stronglens.simulation.galaxy_structure import galaxy_layers
from stronglens.simulation.render import Grid
from stronglens.simulation.scene import LightLayer
from stronglens.simulation.simulated_set import BLOCK
from stronglens.simulation.sky import Sky
from stronglens.simulation.surroundings import (
    draw_galaxies,
    draw_surroundings,
    galaxy_density,
)
from stronglens.simulation.survey_camera import SurveyCamera
from stronglens.simulation.tile_camera import resampled_kernel
from stronglens.surveys.colours import equivalent_band

OVERSAMPLE = 3
STAMPS = (41, 81, 161)
"""Sides of the frames that single galaxies are drawn on [pixel]."""
CLEAR = 2.4
"""Side of the square without a source that a galaxy is painted on [arcsec]."""
APART = 33
"""Least distance of painted galaxies along one axis [pixel]."""
DEPTH_CELL = 128
"""Side of the squares of one depth [pixel]."""
FIELD = Sky(prior="sky", neighbour_boost=1.0)
"""Galaxies of the field as neighbours are drawn, but no denser than anywhere."""
BRIGHT = dataclasses.replace(FIELD, neighbour_mag_faint=23.0)
"""Those of them that are painted: fainter ones are not chosen afterwards."""

See = Callable[[Tensor, Grid], Tensor]
Middle = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Light of a field: one component a row, at positions in the tile."""

    layers: list[LightLayer]
    """Components, their centres within half a pixel of a pixel's middle."""
    row: list[np.ndarray]
    """Rows of the tile those pixels are in."""
    column: list[np.ndarray]
    """Columns of the tile those pixels are in."""


def filters_of(camera: SurveyCamera) -> Filters:
    names = tuple(equivalent_band(band) for band in camera.bands)
    sharpest = min(band.psf_fwhm for band in camera.bands)
    least = 0.5 * camera.bands[0].pixel_scale / OVERSAMPLE
    return Filters(names, camera.zero_point, least, sharpest)


def draw_field(tile: Tile, filters: Filters, sky: Sky, seed: int) -> Catalogue:
    """Draw the galaxies and stars of a tile: the neighbours of 250 frames side by side."""
    scale = tile.pixel_scale
    n_rows = round((BLOCK * tile.height / tile.width) ** 0.5)
    n_columns = BLOCK // n_rows
    side = (tile.height * tile.width * scale**2 / (n_rows * n_columns)) ** 0.5
    layers = draw_surroundings(sky, filters, side / 2 - 1.0, (seed, 0))
    frames = n_rows * n_columns
    return placed(
        [layer.of(0, frames) for layer in layers],
        lambda frame: ((frame // n_columns + 0.5) * side, (frame % n_columns + 0.5) * side),
        scale,
    )


def placed(layers: list[LightLayer], middle: Middle, scale: float) -> Catalogue:
    """Split positions into a pixel of the tile and what is left of it."""
    moved, rows, columns = [], [], []
    for one in layers:
        parameters = dict(one.component.parameters)
        y_frame, x_frame = middle(one.rows.numpy())
        y = (parameters["y_center"].numpy() + y_frame) / scale
        x = (parameters["x_center"].numpy() + x_frame) / scale
        row, column = np.rint(y).astype(int), np.rint(x).astype(int)
        parameters["y_center"] = torch.as_tensor(((y - row) * scale).astype(np.float32))
        parameters["x_center"] = torch.as_tensor(((x - column) * scale).astype(np.float32))
        component = dataclasses.replace(one.component, parameters=parameters)
        moved.append(LightLayer(component, one.flux, one.rows))
        rows.append(row)
        columns.append(column)
    return Catalogue(moved, rows, columns)


def stamp_sides(one: LightLayer, scale: float) -> np.ndarray:
    """Side of the frame that holds each component's light [pixel]."""
    size = one.component.parameters.get("r_eff", torch.zeros(len(one.rows)))
    wanted = 12.0 * size.numpy() / scale
    return np.array(STAMPS)[np.minimum(np.searchsorted(STAMPS, wanted), len(STAMPS) - 1)]


def paint(catalogue: Catalogue, tile: Tile, see: See) -> np.ndarray:
    """Noiseless light of a catalogue on the grid of a tile."""
    margin = max(STAMPS)
    height, width = tile.height + 2 * margin, tile.width + 2 * margin
    total = np.zeros((len(tile.bands), height, width), np.float32)
    for one, row, column in zip(catalogue.layers, catalogue.row, catalogue.column, strict=True):
        sides = stamp_sides(one, tile.pixel_scale)
        for side in np.unique(sides):
            index = np.flatnonzero(sides == side)
            grid = Grid(int(side), int(side), tile.pixel_scale, OVERSAMPLE, 8)
            for part in np.array_split(index, -(-len(index) // 25)):
                own = torch.as_tensor(part)
                rows = torch.arange(len(part))
                layer = LightLayer(one.component[own], one.flux[own], rows)
                stamps = see(compose_light(grid, [layer], len(part), len(tile.bands)), grid)
                for stamp, y, x in zip(stamps.numpy(), row[part], column[part], strict=True):
                    top, left = y + margin - side // 2, x + margin - side // 2
                    if 0 <= top <= height - side and 0 <= left <= width - side:
                        total[:, top : top + side, left : left + side] += stamp
    return total[:, margin:-margin, margin:-margin]


def simulated_tile(tile: Tile, camera: SurveyCamera, sky: Sky | None, seed: int) -> Tile:
    """A field of the survey's camera with everything drawn; without a sky, of noise alone."""
    counter = iter(range(10**9))
    bands = tuple(dataclasses.replace(band, noise_scatter=0.0) for band in camera.bands)
    even = dataclasses.replace(camera, bands=bands)
    view = even.draw_view(seed, 10**9, np.array(["lens"]))
    depth = depth_map(tile, camera, seed)

    def see(fine: Tensor, grid: Grid) -> Tensor:
        view = camera.draw_view(seed, next(counter), np.full(len(fine), "lens"))
        kernels = camera.kernels(view, slice(None), grid.fine_scale)
        return observe_bands([fine], kernels, grid)[0]

    with torch.inference_mode():
        drawn = Catalogue([], [], [])
        if sky is not None:
            drawn = draw_field(tile, filters_of(camera), sky, seed)
        light = paint(drawn, tile, see)
        noiseless = torch.as_tensor(light)[None]
        noise = even.noise(noiseless, view, (seed, 0))[0]
        noise += level_map(tile, even, noise, seed)
    flux = np.where(tile.mask, 0.0, light + noise.numpy() * depth).astype(np.float32)
    return dataclasses.replace(tile, flux=flux, tile_id=f"simulated-{seed}")


def level_map(tile: Tile, camera: SurveyCamera, noise: Tensor, seed: int) -> Tensor:
    """What the camera adds to whole images, one draw for each square of the tile."""
    rows, columns = -(-tile.height // DEPTH_CELL), -(-tile.width // DEPTH_CELL)
    files = [band.noise_covariance for band in camera.bands]
    wide = [0.0 if file is None else wide_share(torch.as_tensor(read_centred(file)))
            for file in files]  # fmt: skip
    sigma = (torch.tensor(wide) ** 0.5)[:, None, None] * noise.std(dim=(1, 2), keepdim=True)
    cells = torch.randn(len(wide), rows, columns, generator=torch_generator(seed, "levels"))
    levels = cells.repeat_interleave(DEPTH_CELL, 1).repeat_interleave(DEPTH_CELL, 2)
    return sigma * levels[:, : tile.height, : tile.width]


def depth_map(tile: Tile, camera: SurveyCamera, seed: int) -> np.ndarray:
    """Noise over that of the survey, one draw of the camera for each square of the tile."""
    rows, columns = -(-tile.height // DEPTH_CELL), -(-tile.width // DEPTH_CELL)
    view = camera.draw_view(seed, 0, np.full(rows * columns, "lens"))
    cells = view.jitter.noise_factor.T.reshape(-1, rows, columns)
    wide = np.kron(cells, np.ones((1, DEPTH_CELL, DEPTH_CELL)))
    return wide[:, : tile.height, : tile.width]


def painted_tile(
    tile: Tile, found: Detections, camera: SurveyCamera, sky: Sky, seed: int
) -> tuple[Tile, np.ndarray, np.ndarray]:
    """The real tile with drawn galaxies on its clear sky, and the pixels they are on.

    Satellites go with their galaxy, and so do all of its components.
    """
    rng = numpy_generator(seed, "galaxies")
    area = tile.height * tile.width * (tile.pixel_scale / 60.0) ** 2
    n = int(rng.poisson(galaxy_density(sky) * area))
    filters = filters_of(camera)
    galaxies = draw_galaxies(np.arange(n), np.zeros((n, 2)), sky, filters, rng)
    clear = round(CLEAR / tile.pixel_scale)
    free = maximum_filter((found.segmentation > 0).astype(np.uint8), clear) == 0
    free &= ~tile.is_bad
    row, column = np.nonzero(free)
    order = numpy_generator(seed, "places").permutation(len(row))
    places = iter(np.stack([row, column], axis=1)[order])
    taken = np.zeros((tile.height, tile.width), bool)
    spots = np.array([next_free(places, taken) for _ in range(n)])
    scale = tile.pixel_scale
    light = galaxy_layers(galaxies, filters, rng)
    drawn = placed(light, lambda galaxy: (spots[galaxy] * scale).T, scale)
    kernels = torch.as_tensor(np.stack([resampled_kernel(k, OVERSAMPLE) for k in tile.psf]))

    def see(fine: Tensor, grid: Grid) -> Tensor:
        return sample_bands([fine], kernels.expand(len(fine), *kernels.shape), grid)[0]

    with torch.inference_mode():
        light = paint(drawn, tile, see)
    photons = np.sqrt(np.maximum(light, 0.0) / tile.gain[:, None, None])
    generator = torch_generator(seed, "photons")
    noise = torch.randn(light.shape, generator=generator).numpy() * photons
    flux = np.where(tile.mask, 0.0, tile.flux + light + noise).astype(np.float32)
    painted = dataclasses.replace(tile, flux=flux, tile_id=f"painted-{seed}")
    return painted, *spots.T


def next_free(places: Iterator[np.ndarray], taken: np.ndarray) -> tuple[int, int]:
    """Next clear place at least ten arcsec from those taken before; far away when all are."""
    for y, x in places:
        near = taken[max(y - APART, 0) : y + APART + 1, max(x - APART, 0) : x + APART + 1]
        if not near.any():
            taken[y, x] = True
            return int(y), int(x)
    return -10_000, -10_000
