"""Convolution by FFT: of an image, and of an oversampled frame down to its pixels in one step."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from stronglens.core.errors import WrongShapeError

_FFT_FACTORS = (2, 3, 5, 7)


def convolve(
    image: Float[Tensor, "batch y x"],
    kernel: Float[Tensor, "#batch k_y k_x"] | Float[Tensor, "k_y k_x"],
) -> Float[Tensor, "batch y x"]:
    """Convolution with a kernel of odd height and width; outside the frame the sky is dark.

    Args:
        image: Images [pixel units].
        kernel: One kernel for all images or one per image, at the images' pixel scale [-].

    Returns:
        Convolved images of the same size [pixel units].

    Reference:
        Convolution theorem, zero padded so that nothing wraps around.
    """
    half_y, half_x = _half_sizes(kernel)
    rows, columns = image.shape[1:]
    size = (fft_size(rows + 2 * half_y, 8), fft_size(columns + 2 * half_x, 8))
    spectrum = torch.fft.rfft2(image, s=size) * torch.fft.rfft2(kernel, s=size)
    full = torch.fft.irfft2(spectrum, s=size)
    return full[:, half_y : half_y + rows, half_x : half_x + columns]


@dataclass(frozen=True)
class _Axis:
    """Where one axis of a frame and of a kernel lie inside a transform."""

    size: int
    """Length of the transform, a multiple of the oversampling [sub-pixel]."""
    shift: int
    """Where the kernel starts, so that pixels begin at multiples of the oversampling."""
    first: int
    """Index of the first pixel after folding [pixel]."""

    @classmethod
    def of(cls, n_fine: int, half: int, cut: int, step: int) -> "_Axis":
        """Lay an axis out: what wraps around reaches only the part that is cut off.

        Args:
            n_fine: Length of the oversampled, padded axis [sub-pixel].
            half: Half-size of the kernel [sub-pixel].
            cut: Padding on each side [sub-pixel].
            step: Sub-pixels along a pixel's side.
        """
        shift = (1 - half) % step
        needed = max(n_fine + max(half - cut + shift, 0), 2 * half + step + shift)
        return cls(
            size=fft_size(needed, math.lcm(8, step)),
            shift=shift,
            first=(cut + half + step - 1 + shift) // step,
        )


@dataclass(frozen=True)
class PixelFold:
    """Convolution of an oversampled frame that gives the sums over its pixels at once.

    The box of a pixel is convolved with the kernel beforehand. Of the result only one sub-pixel per
    pixel is wanted, so along y the spectrum is folded before it is transformed back.
    """

    y: _Axis
    """Layout of the rows."""
    x: _Axis
    """Layout of the columns."""
    step: int
    """Sub-pixels along a pixel's side."""
    height: int
    """Rows of the result [pixel]."""
    width: int
    """Columns of the result [pixel]."""

    def transfer(
        self, kernel: Float[Tensor, "*batch k_y k_x"]
    ) -> Complex[Tensor, "*batch f_y f_x"]:
        """Return the spectrum of kernel and pixel box together."""
        kernel = torch.nn.functional.pad(kernel, (self.step - 1,) * 4)
        rows = kernel.unfold(-1, self.step, 1).sum(dim=-1)
        boxed = rows.unfold(-2, self.step, 1).sum(dim=-1)
        boxed = torch.nn.functional.pad(boxed, (self.x.shift, 0, self.y.shift, 0))
        return torch.fft.rfft2(boxed, s=(self.y.size, self.x.size))

    def apply(
        self, frame: Float[Tensor, "batch y x"], transfer: Complex[Tensor, "*kernels f_y f_x"]
    ) -> Float[Tensor, "batch h w"]:
        """Return the convolved frame, summed to pixels and without its padding."""
        spectrum = torch.fft.rfft2(frame, s=(self.y.size, self.x.size)) * transfer
        folded = spectrum.unflatten(1, (self.step, -1)).sum(dim=1)
        pixels = torch.fft.irfft2(folded, s=(self.y.size // self.step, self.x.size))
        rows = slice(self.y.first, self.y.first + self.height)
        left = self.x.first * self.step
        columns = slice(left, left + (self.width - 1) * self.step + 1, self.step)
        return pixels[:, rows, columns] / self.step


def pixel_fold(
    kernel: Float[Tensor, "*batch k_y k_x"], size: tuple[int, int], padding: int, oversample: int
) -> PixelFold:
    """Lay out the convolution of a frame with kernels of this size.

    Args:
        kernel: Kernels of odd height and width at the oversampled scale [-].
        size: Height and width of the picture without its padding [pixel].
        padding: Extra pixels on each side [pixel].
        oversample: Sub-pixels along a pixel's side [-].

    Returns:
        The layout, which depends on the sizes alone.
    """
    cut = padding * oversample
    y, x = (
        _Axis.of(n * oversample + 2 * cut, half, cut, oversample)
        for n, half in zip(size, _half_sizes(kernel), strict=True)
    )
    return PixelFold(y, x, step=oversample, height=size[0], width=size[1])


def _half_sizes(kernel: Tensor) -> tuple[int, int]:
    height, width = kernel.shape[-2:]
    if height % 2 == 0 or width % 2 == 0:
        raise WrongShapeError(
            f"a kernel of {height} x {width} has no central pixel. Use odd height and width."
        )
    return height // 2, width // 2


def fft_size(n: int, multiple: int) -> int:
    """Smallest multiple of at least n with no prime factor above 7: quick to transform."""
    size = -(-n // multiple) * multiple
    # an oversampling with a larger prime factor would never be smooth
    while not _is_smooth(size // multiple):
        size += multiple
    return size


def _is_smooth(n: int) -> bool:
    for factor in _FFT_FACTORS:
        while n % factor == 0:
            n //= factor
    return n == 1
