"""A block of scenes seen by a telescope: seeing drawn, planes blurred, noise added.

The scenes come from `scenes`; the kernels and the noise law from `psf` and `noise`.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.seeds import numpy_generator, torch_generator
from stronglens.simulation.noise import NoiseModel, noise_variance, observe
from stronglens.simulation.psf import gaussian_kernel, stack_kernel
from stronglens.simulation.render import Grid, observe_planes
from stronglens.simulation.scenes import SceneBlock
from stronglens.surveys import Band

PSF_RADIUS = 2.5  # half-size of a kernel, in median widths


@dataclass(frozen=True)
class Seeing:
    """PSF widths of every exposure of a block of scenes."""

    psf_fwhm: Float[Tensor, "n exposure"]
    """Widths [arcsec]."""

    def kernel(self, n_exposures: int, pixel_scale: float, size: int) -> Float[Tensor, "n k k"]:
        """Return the kernels of a single exposure or of the stack of all of them."""
        if n_exposures == 1:
            return gaussian_kernel(self.psf_fwhm[:, 0], pixel_scale, size)
        return stack_kernel(self.psf_fwhm[:, :n_exposures], pixel_scale, size)

    def effective_fwhm(self, n_exposures: int) -> Float[Tensor, " n"]:
        """Width of the kernel of n exposures, from the root of its mean profile [arcsec]."""
        widths = self.psf_fwhm[:, :n_exposures]
        guess = widths.mean(dim=1)
        # half of the stack's peak: sum of Gaussians of unit flux, solved by Newton's method
        weight = widths.pow(-2)
        half = 0.5 * weight.sum(dim=1)
        for _ in range(20):
            falling = weight * torch.exp(-math.log(2) * (guess[:, None] / widths) ** 2)
            slope = (falling * (-2 * math.log(2) * guess[:, None] / widths**2)).sum(dim=1)
            guess = guess - (falling.sum(dim=1) - half) / slope
        return guess


@dataclass(frozen=True)
class Observed:
    """What the telescope gives of a block of scenes, and the noiseless planes behind it."""

    flux: Float[Tensor, "n y x"]
    """Noisy image, mean of the exposures, sky removed [pixel units]."""
    ivar: Float[Tensor, "n y x"]
    """Inverse variance [1 / pixel units^2]."""
    deflector_ivar: Float[Tensor, "n y x"]
    """The same without the Poisson noise of arc or companions."""
    features: Float[Tensor, "n y x"]
    """Noiseless lensed source or companions [pixel units]."""
    deflector: Float[Tensor, "n y x"]
    """Noiseless light of the deflector [pixel units]."""
    psf: Float[Tensor, "n k k"]
    """Kernel at the pixel scale."""
    psf_fwhm: Float[Tensor, " n"]
    """Width of that kernel [arcsec]."""


def draw_seeing(band: Band, seed: int, block: int, n: int) -> Seeing:
    """Draw the PSF width of every exposure, log-normal around the band's median.

    Args:
        band: The band.
        seed: Seed of the dataset.
        block: Number of the block.
        n: Scenes in the block.
    """
    normal = numpy_generator(seed, "seeing", block).standard_normal((n, band.n_exposures))
    scatter = torch.as_tensor(normal, dtype=torch.float32) * band.psf_fwhm_scatter
    return Seeing(psf_fwhm=band.psf_fwhm * scatter.exp())


def kernel_size(band: Band, oversample: int) -> int:
    """Return the odd side of a PSF kernel [sub-pixels]."""
    return 2 * round(PSF_RADIUS * band.psf_fwhm / band.pixel_scale * oversample) + 1


def observe_block(
    scenes: SceneBlock,
    seeing: Seeing,
    band: Band,
    grid: Grid,
    n_exposures: int,
    key: tuple[int, int],
) -> Observed:
    """Blur a block of scenes and add the noise of one exposure or of the mean of many.

    Args:
        scenes: The block.
        seeing: Its PSF widths.
        band: Sky, detector and zero point.
        grid: The frame the scenes were rendered on.
        n_exposures: Exposures averaged.
        key: Seed of the dataset and number of the block.
    """
    size = kernel_size(band, grid.oversample)
    kernel = seeing.kernel(n_exposures, grid.fine_scale, size).to(scenes.features)
    features, deflector = observe_planes((scenes.features, scenes.deflector), kernel, grid)
    noise_model = NoiseModel(
        gain=band.gain,
        read_noise=band.read_noise,
        sky_brightness=band.sky_brightness,
        zero_point=band.zero_point,
        pixel_scale=grid.pixel_scale,
    )
    seed, block = key
    generator = torch_generator(seed, "noise", n_exposures, block, device=features.device.type)
    flux, ivar = observe(features + deflector, noise_model, n_exposures, generator)
    native = seeing.kernel(n_exposures, grid.pixel_scale, kernel_size(band, 1))
    return Observed(
        flux=flux,
        ivar=ivar,
        deflector_ivar=noise_variance(deflector, noise_model, n_exposures).reciprocal(),
        features=features,
        deflector=deflector,
        psf=native,
        psf_fwhm=seeing.effective_fwhm(n_exposures),
    )
