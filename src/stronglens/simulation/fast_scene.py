"""Light of whole scenes, lensed or not, on a grid no finer than the PSF asks for.

Every component is worked out on the oversampled frame, which is then thinned out by a filter that
the fold of `scene_fold` takes back. Where there is a compiler that is done in C++: of lensed
sources it looks only into cells that can hold light. Without one `compose` does the same in full.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.simulation.compose import compose_lensed, compose_light
from stronglens.simulation.kernels import Kernels
from stronglens.simulation.render import Grid
from stronglens.simulation.scene import Lensing, LightLayer
from stronglens.simulation.scene_tables import (
    DRAWN,
    PackedScenes,
    SceneCanvas,
    SceneFrame,
    pack_scenes,
)

FILTER = (1.0, 5.0, 10.0, 10.0, 5.0, 1.0)
"""Shares of six sub-pixels in a sample of every second one, in sixteenths: sums are kept."""


@dataclass(frozen=True)
class Drawn:
    """Light of some images before any PSF."""

    planes: Float[Tensor, "n band h w"]
    """Flux per sample of the thinned frame [pixel units]."""
    flux: Float[Tensor, "n band"]
    """Flux in the whole frame [pixel units]."""
    kept: Float[Tensor, "m y x"]
    """Oversampled frames of the images that were to be kept, in one band."""


@dataclass(frozen=True)
class Scenes:
    """Light of all images of a block, ready to be drawn in parts."""

    grid: Grid
    """Frame."""
    thinning: int
    """Sub-pixels along the side of a sample: a power of two that divides the oversampling [-]."""
    n: int
    """Number of images."""
    n_bands: int
    """Number of bands."""
    layers: Sequence[LightLayer]
    """Light."""
    lenses: Sequence[Lensing] | None
    """What bends it; none for light that is not lensed."""
    blur: float
    """Standard deviation of the narrowest PSF, pixel included [arcsec]."""
    kernels: Kernels | None
    """Compiled code, where there is a compiler."""

    @cached_property
    def _frame(self) -> SceneFrame:
        return SceneFrame(*self.grid.fine_shape, self.thinning, self.grid.fine_scale)

    @cached_property
    def _packed(self) -> PackedScenes | None:
        """What the compiled code draws, if anything."""
        layers = [one for one in self.layers if one.component.name in DRAWN]
        if self.kernels is None or not layers:
            return None
        return pack_scenes(layers, self.lenses, self.n, self.grid, self.blur)

    def draw(self, start: int, stop: int, keep: Sequence[int] = (), keep_band: int = 0) -> Drawn:
        """Draw images [start, stop).

        Args:
            start: First image.
            stop: Image after the last one.
            keep: Images, counted from the first one, whose oversampled frames are wanted too,
                where the light is lensed.
            keep_band: Band of those.
        """
        packed, n = self._packed, stop - start
        wanted = torch.tensor(list(keep), dtype=torch.int64)
        if packed is None or self.kernels is None:
            frames = self._composed(self.layers, start, stop)
            kept = frames[wanted, keep_band]
            return Drawn(thinned(frames, self.thinning), frames.sum(dim=(2, 3)), kept)
        rows = torch.full((n,), -1)
        rows[wanted] = torch.arange(len(wanted))
        canvas = SceneCanvas(
            planes=torch.empty((n, self.n_bands, *self._frame.kept_shape)),
            totals=torch.empty((n, self.n_bands)),
            keep=rows,
            keep_band=keep_band,
            kept=torch.zeros((len(wanted), *self.grid.fine_shape)) if len(wanted) else None,
        )
        self.kernels.draw_scenes(packed.of(start, stop), self._frame, canvas)
        kept = canvas.planes.new_zeros((0, 0, 0)) if canvas.kept is None else canvas.kept
        drawn = Drawn(canvas.planes, canvas.totals, kept)
        self._add_others(drawn, (start, stop), wanted, keep_band)
        return drawn

    def _add_others(
        self, drawn: Drawn, images: tuple[int, int], wanted: Tensor, keep_band: int
    ) -> None:
        """Add light that the compiled code does not know, to the images that have it."""
        others = [one.of(*images) for one in self.layers if one.component.name not in DRAWN]
        others = [one for one in others if len(one.rows)]
        if not others:
            return
        rows = torch.unique(torch.cat([one.rows for one in others]))
        place = torch.full((len(drawn.planes),), -1)
        place[rows] = torch.arange(len(rows))
        own = [LightLayer(one.component, one.flux, place[one.rows]) for one in others]
        frames = self._frames(own, self._lenses_of(images, place), len(rows))
        drawn.planes[rows] += thinned(frames, self.thinning)
        drawn.flux[rows] += frames.sum(dim=(2, 3))
        if len(wanted):
            has = place[wanted] >= 0
            drawn.kept[has] += frames[place[wanted][has], keep_band]

    def _lenses_of(self, images: tuple[int, int], place: Tensor) -> list[Lensing] | None:
        """Lenses of some images, at their places among those drawn."""
        if self.lenses is None:
            return None
        chosen = []
        for one in (lens.of(*images) for lens in self.lenses):
            has = place[one.rows] >= 0
            own = tuple(mass[has.nonzero()[:, 0]] for mass in one.lens_model)
            chosen.append(Lensing(own, place[one.rows][has]))
        return chosen

    def _composed(self, layers: Sequence[LightLayer], start: int, stop: int) -> Tensor:
        own = [one.of(start, stop) for one in layers]
        every = torch.arange(stop - start)
        return self._frames(own, self._lenses_of((start, stop), every), stop - start)

    def _frames(
        self, layers: Sequence[LightLayer], lenses: Sequence[Lensing] | None, n: int
    ) -> Tensor:
        """Oversampled frames, by torch."""
        if lenses is None:
            return compose_light(self.grid, layers, n, self.n_bands)
        return compose_lensed(self.grid, layers, lenses, n)


def thinned(frames: Float[Tensor, "*image y x"], thinning: int) -> Float[Tensor, "*image h w"]:
    """Filter frames and keep every second row and column, once or several times.

    Args:
        frames: Light; beyond the frame there is none.
        thinning: A power of two that divides both sides [-].

    Returns:
        Frames with the same sums, but for what the filter smears over the border.

    Reference:
        A binomial filter: its response cos(pi f)^5, f in cycles per sub-pixel, is small where
        sampling folds frequencies onto those that the PSF lets through.
    """
    while thinning > 1:
        padded = torch.nn.functional.pad(frames, (2, 2, 2, 2))
        rows, columns = (side // 2 for side in frames.shape[-2:])
        half = torch.zeros_like(padded[..., :rows, :])
        frames = torch.zeros_like(half[..., :columns])
        for k, share in enumerate(FILTER):
            half += share / 16.0 * padded[..., k : k + 2 * rows - 1 : 2, :]
        for k, share in enumerate(FILTER):
            frames += share / 16.0 * half[..., k : k + 2 * columns - 1 : 2]
        thinning //= 2
    return frames
