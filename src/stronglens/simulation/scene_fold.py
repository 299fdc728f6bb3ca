"""From light on the thinned frame to pixels: PSF, pixel and the filter's inverse in one step.

The light is drawn in `fast_scene`; convolution on the full oversampled frame is in `convolution`.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from stronglens.simulation.convolution import fft_size
from stronglens.simulation.render import Grid

WELL_SAMPLED = 3.0
"""PSF width, in samples, from which on a frame need not be finer [-]."""

# Images transformed at once: their spectra stay in a 2 MB cache.
_SAMPLES_IN_CACHE = 120_000


def samples_per_pixel(grid: Grid, sharpest: float) -> int:
    """Say how finely frames are kept once they are drawn.

    Args:
        grid: Frame.
        sharpest: Width of the narrowest PSF [arcsec].

    Returns:
        Samples along a pixel's side: the oversampling over a power of two [-].
    """
    samples = grid.oversample
    while samples % 2 == 0 and 0.5 * samples * sharpest >= WELL_SAMPLED * grid.pixel_scale:
        samples //= 2
    return samples


@dataclass(frozen=True)
class SceneFold:
    """Convolution of thinned frames with PSFs, read where the pixels are."""

    grid: Grid
    """Frame."""
    samples: int
    """Samples of the thinned frame along a pixel's side [-]."""
    kernel_size: int
    """Odd side of the kernels [sample]."""
    has_pixels: bool
    """Whether the kernels hold the width of the pixels already."""

    def transfer(self, kernels: Float[Tensor, "n band k k"]) -> Complex[Tensor, "n band f_y f_x"]:
        """Return the spectrum of PSF, pixel and the filter's inverse.

        Args:
            kernels: PSF at the scale of the samples, of odd sides [-].
        """
        y, x = self._factors
        spectrum = torch.fft.rfft2(kernels, s=(len(y), self._length(self.grid.width)))
        return spectrum.mul_(y[:, None]).mul_(x)

    def apply(
        self, planes: Float[Tensor, "n band h w"], transfer: Complex[Tensor, "n band f_y f_x"]
    ) -> Float[Tensor, "n band y x"]:
        """Return what pixels see of light.

        Args:
            planes: Light on the thinned frame, padding included [pixel units].
            transfer: What `transfer` returned for these images.
        """
        grid, step = self.grid, self.samples
        rows, columns = (self._length(n) for n in (grid.height, grid.width))
        seen = planes.new_empty((*planes.shape[:2], grid.height, grid.width))
        size = max(1, _SAMPLES_IN_CACHE // (rows * columns * planes.shape[1]))
        for start in range(0, len(planes), size):
            part = slice(start, start + size)
            spectrum = torch.fft.rfft2(planes[part], s=(rows, columns)).mul_(transfer[part])
            if step > 1:
                spectrum = spectrum.unflatten(2, (step, -1)).sum(dim=2).div_(step)
            full = torch.fft.irfft2(spectrum, s=(rows // step, columns))
            first = grid.padding
            across = slice(first * step, (first + grid.width - 1) * step + 1, step)
            seen[part] = full[:, :, first : first + grid.height, across]
        return seen

    def _length(self, n_pixels: int) -> int:
        """Length of the transform of an axis: what wraps around reaches only the padding."""
        cut, half = self.grid.padding * self.samples, self.kernel_size // 2
        n_samples = n_pixels * self.samples + 2 * cut
        needed = max(n_samples + max(half + 1 - cut, 0), self.kernel_size)
        return fft_size(needed, math.lcm(8, self.samples))

    @cached_property
    def _factors(self) -> tuple[Complex[Tensor, " f_y"], Complex[Tensor, " f_x"]]:
        """What each axis multiplies its spectrum by."""
        rows, columns = (self._length(n) for n in (self.grid.height, self.grid.width))
        return (
            self._factor(torch.fft.fftfreq(rows, dtype=torch.float64)),
            self._factor(torch.fft.rfftfreq(columns, dtype=torch.float64)),
        )

    def _factor(self, cycles: Tensor) -> Tensor:
        """Move the kernel's middle to the middle of a pixel, add up over it, undo the filter.

        Reference:
            Dirichlet kernel for the sum over sub-pixels; response of `fast_scene.thinned`.
        """
        step, oversample = self.samples, self.grid.oversample
        shift = self.kernel_size // 2 + 0.5 * (step - 1)
        factor = torch.exp(2j * math.pi * cycles * shift) * step
        thinning = oversample // step
        fine = cycles / thinning
        if self.has_pixels:
            factor = factor / torch.sinc(fine)
        else:
            sums = torch.sin(math.pi * oversample * fine) / torch.sin(math.pi * fine)
            factor = factor * torch.where(fine == 0.0, 1.0, sums / oversample)
        while thinning > 1:
            factor = factor / torch.cos(math.pi * fine) ** 5
            fine, thinning = 2.0 * fine, thinning // 2
        return factor.to(torch.complex64)
