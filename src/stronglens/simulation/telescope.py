"""From the light of a block's scenes to noiseless images: drawn, blurred and in pixels.

Light is drawn in `fast_scene` and folded in `scene_fold`; PSFs come from the camera.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from stronglens.light.records import LightComponent
from stronglens.simulation.camera import AbstractCamera, View
from stronglens.simulation.fast_scene import Drawn, Scenes
from stronglens.simulation.kernels import Kernels
from stronglens.simulation.render import Grid
from stronglens.simulation.scene import Deflectors, Lensing, LightLayer
from stronglens.simulation.scene_fold import SceneFold, samples_per_pixel

CHUNK = 25
"""Images drawn together."""
_SIGMAS = 2.355  # width at half maximum of a Gaussian in standard deviations


@dataclass(frozen=True)
class Telescope:
    """PSFs of a block, and how finely its light is drawn."""

    grid: Grid
    """Frame."""
    camera: AbstractCamera
    """Bands and PSFs."""
    view: View
    """How the images of the block are seen."""
    n: int
    """Number of images."""
    kernels: Kernels | None
    """Compiled code, where there is a compiler."""

    @cached_property
    def psf(self) -> Float[Tensor, "n band k k"]:
        """PSF of every image and band at the scale of the pixels [-]."""
        return self.camera.kernels(self.view, slice(None), self.grid.pixel_scale)

    def parts(self) -> list[tuple[int, int]]:
        """Return first and last image of the parts that are drawn together."""
        return [(start, min(start + CHUNK, self.n)) for start in range(0, self.n, CHUNK)]

    def scenes(
        self, layers: Sequence[LightLayer], lenses: Sequence[Lensing] | None = None
    ) -> Scenes:
        """Return light ready to be drawn.

        Args:
            layers: Light, its rows counted from the first image of the block.
            lenses: What bends it, if anything.
        """
        blur = (self._sharpest / _SIGMAS) ** 2 + self.grid.pixel_scale**2 / 12.0
        return Scenes(
            grid=self.grid,
            thinning=self.grid.oversample // self._samples,
            n=self.n,
            n_bands=len(self.camera.bands),
            layers=layers,
            lenses=lenses,
            blur=blur**0.5,
            kernels=self.kernels,
        )

    def see(self, drawn: Drawn, part: int) -> Float[Tensor, "n band y x"]:
        """Return what pixels see of light.

        Args:
            drawn: Light of the images of a part.
            part: Number of the part.
        """
        fold, transfer = self._transfers[part]
        return fold.apply(drawn.planes, transfer)

    def picture(self, layers: Sequence[LightLayer]) -> Float[Tensor, "n band y x"]:
        """Return what pixels see of unlensed light, in all images.

        Args:
            layers: Light, its rows counted from the first image of the block.
        """
        size = (self.n, len(self.camera.bands), self.grid.height, self.grid.width)
        picture, scenes = torch.zeros(size), self.scenes(layers)
        for part, (start, stop) in enumerate(self.parts()):
            drawn = scenes.draw(start, stop)
            lit = (drawn.flux != 0.0).any(dim=1).nonzero()[:, 0]
            if len(lit):
                fold, transfer = self._transfers[part]
                picture[start + lit] = fold.apply(drawn.planes[lit], transfer[lit])
        return picture

    @property
    def _sharpest(self) -> float:
        return min(band.psf_fwhm for band in self.camera.bands)

    @property
    def _samples(self) -> int:
        return samples_per_pixel(self.grid, self._sharpest)

    @cached_property
    def _transfers(self) -> list[tuple[SceneFold, Complex[Tensor, "n band f_y f_x"]]]:
        """Spectra of the PSFs of each part."""
        samples, found = self._samples, []
        for start, stop in self.parts():
            if samples == 1:
                own = self.psf[start:stop]
            else:
                scale = self.grid.pixel_scale / samples
                own = self.camera.kernels(self.view, slice(start, stop), scale)
            fold = SceneFold(self.grid, samples, own.shape[-1], self.camera.has_pixels)
            found.append((fold, fold.transfer(own)))
        return found


def deflector_layers(deflectors: Deflectors) -> list[LightLayer]:
    """Return the light of deflectors as one layer for each component.

    Args:
        deflectors: Light of the galaxies in the middle, one row per image.
    """
    shapes = {name: values for name, values in vars(deflectors.shapes).items() if name != "flux"}
    rows = torch.arange(len(deflectors.flux))
    return [
        LightLayer(
            LightComponent("sersic", {name: values[:, k] for name, values in shapes.items()}),
            deflectors.flux[:, :, k] * deflectors.shapes.flux[:, k, None],
            rows,
        )
        for k in range(deflectors.flux.shape[2])
    ]
