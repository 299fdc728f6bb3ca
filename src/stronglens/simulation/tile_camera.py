"""Real images as the camera: patches of a tile that light is added to, with its PSF and noise.

Cutting them is in `stronglens.data.patches`, measuring them in `stronglens.data.measure`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy.ndimage import map_coordinates
from torch import Tensor

from stronglens.core.errors import WrongShapeError
from stronglens.core.seeds import derived_seed, numpy_generator, torch_generator
from stronglens.data.detections import Detections, detect, without_background
from stronglens.data.filters import is_same_filter
from stronglens.data.measure import MeasuredSurvey, completed, measure_survey
from stronglens.data.patches import (
    Patches,
    PatchPlan,
    Places,
    draw_patches,
    host_places,
    oriented,
    sky_places,
)
from stronglens.data.selection import DeflectorCut, select_deflectors, select_galaxies
from stronglens.data.tiles import Tile, read_tile, with_bands, with_zero_point, within_columns
from stronglens.simulation.artefacts import BandFacts
from stronglens.simulation.camera import AbstractCamera, View
from stronglens.simulation.canvas import Canvas
from stronglens.simulation.classes import REAL, scene_classes
from stronglens.simulation.simulated_set import BLOCK
from stronglens.surveys import Band, Survey

_NOTHING_KNOWN = 1e30  # variance where the tile knows nothing [pixel units^2]
_MOMENT_WIDTH = 1.0  # scatter of the weight that a host's shape is measured with [arcsec]


@dataclass(frozen=True, eq=False)
class TileView(View):
    """Patches of the tile, one for each image of a block."""

    flux: Float[np.ndarray, "n band y x"]
    """Real images, background removed [pixel units]."""
    ivar: Float[np.ndarray, "n band y x"]
    """Their inverse variance [1 / pixel units^2]."""
    orientation: Int64[np.ndarray, " n"]
    """How each patch was turned and flipped, and its PSF with it."""


@dataclass(frozen=True, eq=False)
class TileCamera(AbstractCamera):
    """One tile, measured: its PSF, gain and noise are those of the images."""

    tile: Tile
    """The tile, its background removed, PSF, gain and inverse variance filled in."""
    detections: Detections
    """Its sources."""
    measured: MeasuredSurvey
    """What was measured of it."""
    canvas: Canvas
    """What is painted on."""
    size: int
    """Side of the images [pixel]."""
    is_real: bool = True
    """Neighbours, noise and artefacts are in the patches."""
    has_pixels: bool = True
    """A kernel measured from stars holds the width of the pixels."""

    @cached_property
    def bands(self) -> tuple[Band, ...]:  # type: ignore[override]
        """Bands, as measured."""
        return self.measured.to_survey().bands

    @property
    def zero_point(self) -> float:  # type: ignore[override]
        """Magnitude of one pixel unit [mag AB]."""
        return float(self.tile.zero_point[0])

    def draw_view(self, seed: int, block: int, scene_class: np.ndarray) -> TileView:
        """Cut a patch for every scene: around a real host, a real galaxy, or clear sky."""
        rng = numpy_generator(seed, "patches", block)
        can_have_host = [scene_classes.get(name).keeps_deflector for name in scene_class]
        has_host = np.array(can_have_host) & (rng.random(len(scene_class)) < self.canvas.host_share)
        kind = np.where(scene_class == REAL, 2, np.where(has_host, 1, 0))
        rows = range(block * BLOCK, (block + 1) * BLOCK)
        drawn = [
            draw_patches(self.tile, self._plan(k), places, derived_seed(seed, "places", k), rows)
            for k, places in enumerate(self._places)
        ]
        flux = _chosen([patches.flux for patches in drawn], kind)
        ivar = _chosen([_ivar(patches) for patches in drawn], kind)
        mask = _chosen([patches.mask for patches in drawn], kind)
        psf_fwhm = np.array([band.psf_fwhm for band in self.bands])
        cells = _chosen([np.array(patches.cell_id) for patches in drawn], kind)
        return TileView(
            psf_fwhm=np.broadcast_to(psf_fwhm, (len(kind), len(psf_fwhm))),
            bad=mask,
            has_host=has_host,
            host_shape=np.where(has_host, self._shapes(flux), np.nan),
            truth={
                "group_id": cells,
                "split": _chosen([np.array(patches.split) for patches in drawn], kind),
                "x_tile": _chosen([patches.x for patches in drawn], kind),
                "y_tile": _chosen([patches.y for patches in drawn], kind),
                "has_real_deflector": has_host,
            },
            flux=np.where(mask, 0.0, flux).astype(np.float32),
            ivar=ivar.astype(np.float32),
            orientation=_chosen([patches.orientation for patches in drawn], kind),
        )

    def kernels(self, view: View, images: slice, pixel_scale: float) -> Float[Tensor, "n band k k"]:
        """Return the tile's PSF, turned with each patch."""
        step = round(self.tile.pixel_scale / pixel_scale)
        by_orientation = torch.as_tensor(self._oriented_kernels(step))
        return by_orientation[torch.as_tensor(_own(view).orientation[images])]

    def variance(
        self, noiseless: Float[Tensor, "n band y x"], view: View
    ) -> Float[Tensor, "n band y x"]:
        """Return the variance of the patch and of the photons added to it [pixel units^2]."""
        ivar = torch.as_tensor(_own(view).ivar)
        real = torch.where(ivar > 0, 1.0 / ivar.clamp_min(1e-30), _NOTHING_KNOWN)
        return real + noiseless.clamp_min(0.0) / self._gain()

    def noise(
        self, noiseless: Float[Tensor, "n band y x"], view: View, key: tuple[int, int]
    ) -> Float[Tensor, "n band y x"]:
        """Return the patches with the photon noise of what is added: theirs they have already."""
        generator = torch_generator(key[0], "noise", key[1])
        photons = (noiseless.clamp_min(0.0) / self._gain()).sqrt()
        drawn = torch.randn(photons.shape, generator=generator) * photons
        return torch.as_tensor(_own(view).flux) + drawn

    def facts(self) -> tuple[BandFacts, ...]:
        """Return what artefacts must know of the bands."""
        return tuple(BandFacts(float(gain), 1) for gain in self.tile.gain)

    def _gain(self) -> Float[Tensor, "band 1 1"]:
        return torch.as_tensor(self.tile.gain.astype(np.float32))[:, None, None]

    def _plan(self, kind: int) -> PatchPlan:
        clear = round(self.canvas.clear / self.tile.pixel_scale) if kind == 0 else 0
        return PatchPlan(self.size, clear=clear)

    @cached_property
    def _places(self) -> tuple[Places, Places, Places]:
        """Clear sky, red galaxies, and galaxies of every kind."""
        cut = DeflectorCut(faintest=self.canvas.host_mag_faint)
        hosts = select_deflectors(self.detections, 0, cut=cut)
        galaxies = select_galaxies(self.detections, 0)
        return (
            sky_places(self.tile, self._plan(0), self.detections),
            host_places(self.tile, self._plan(1), self.detections, hosts),
            host_places(self.tile, self._plan(2), self.detections, galaxies),
        )

    def _oriented_kernels(self, step: int) -> Float[np.ndarray, "8 band k k"]:
        kernels = self.tile.psf
        if kernels is None:
            raise WrongShapeError("the tile has no PSF. Complete it with what was measured.")
        fine = np.stack([resampled_kernel(kernel, step) for kernel in kernels])
        return np.stack([oriented(fine, orientation) for orientation in range(8)])

    def _shapes(self, flux: Float[np.ndarray, "n band y x"]) -> Float[np.ndarray, "2 n"]:
        """Axis ratios and angles [rad] of what is in the middle of each patch."""
        light = flux.sum(axis=1)
        line = (np.arange(self.size) - (self.size - 1) / 2) * self.tile.pixel_scale
        weight = np.exp(-0.5 * (line**2 + line[:, None] ** 2) / _MOMENT_WIDTH**2)
        light = np.clip(light, 0.0, None) * weight
        total = np.maximum(light.sum(axis=(1, 2)), 1e-30)
        xx, yy, xy = (
            (light * plane).sum(axis=(1, 2)) / total
            for plane in (
                line**2 + 0 * line[:, None],
                line[:, None] ** 2 + 0 * line,
                line * line[:, None],
            )
        )
        spread = np.hypot(xx - yy, 2 * xy)
        q = np.sqrt(np.clip((xx + yy - spread) / np.maximum(xx + yy + spread, 1e-30), 0.04, 1.0))
        return np.stack([q, 0.5 * np.arctan2(2 * xy, xx - yy)])


def open_tile_camera(
    canvas: Canvas,
    survey: Survey | None,
    size: int,
    zero_point: float,
    bands: Sequence[str] = (),
) -> TileCamera:
    """Read a tile, find its sources and measure its PSF and noise.

    Args:
        canvas: What is painted on.
        survey: Survey the tile is of, whose band names it takes.
        size: Side of the images [pixel].
        zero_point: Magnitude of one pixel unit that the tile comes to [mag AB].
        bands: Bands of the tile to take, in order; by default all.
    """
    tile = with_zero_point(read_tile(str(canvas.tile)), zero_point)
    tile = with_bands(tile, bands) if bands else tile
    stop = canvas.stop_column or tile.width
    tile = _named(within_columns(tile, canvas.first_column, stop), survey)
    found = detect(tile)
    measured = measure_survey(tile, found)
    complete = completed(without_background(tile), measured)
    return TileCamera(complete, found, measured, canvas, size)


def resampled_kernel(kernel: Float[np.ndarray, "k k"], step: int) -> Float[np.ndarray, "j j"]:
    """Kernel at a finer scale, cubic between its pixels, sum 1.

    Args:
        kernel: Odd, at the pixel scale.
        step: Sub-pixels along a pixel's side, odd.
    """
    if step == 1:
        return kernel
    if step % 2 == 0:
        raise WrongShapeError(
            f"step={step} of a measured kernel is even: no sub-pixel lies in a pixel's middle. Use "
            f"--oversample {step + 1}."
        )
    side = len(kernel) * step
    line = (np.arange(side) - (side - 1) / 2) / step + (len(kernel) - 1) / 2
    rows, columns = np.meshgrid(line, line, indexing="ij")
    fine = map_coordinates(kernel.astype(np.float64), [rows, columns], order=3, mode="nearest")
    return (fine / fine.sum()).astype(np.float32)


def _named(tile: Tile, survey: Survey | None) -> Tile:
    """Give bands the names that the survey has for their filters."""
    if survey is None:
        return tile
    names = [
        next((band.name for band in survey.bands if is_same_filter(band.name, name)), name)
        for name in tile.bands
    ]
    return replace(tile, bands=tuple(names))


def _chosen(arrays: list[np.ndarray], kind: np.ndarray) -> np.ndarray:
    """Take each row from the array of its kind."""
    return np.stack([arrays[k][row] for row, k in enumerate(kind)])


def _ivar(patches: Patches) -> np.ndarray:
    if patches.ivar is None:
        raise WrongShapeError("the tile has no inverse variance. Complete it with its noise.")
    return patches.ivar


def _own(view: View) -> TileView:
    """Return the view as one that this camera drew."""
    if not isinstance(view, TileView):
        raise WrongShapeError("the view is another camera's. Draw it with this one.")
    return view
