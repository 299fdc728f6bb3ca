"""PSF models of tiles, each a kernel at any pixel: one kernel, a Gaussian, a map of widths, PSFEx.

A PSF measured on the stars of a tile is found in `stronglens.data.star_psf`.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from jaxtyping import Float32, Float64, Int64, Shaped
from scipy.ndimage import map_coordinates
from scipy.special import erf

from stronglens.core.conventions import fwhm_to_sigma
from stronglens.core.errors import OutOfRangeError, UnreadableFileError
from stronglens.data.cutout import stack_kernels
from stronglens.data.parts import BROKEN, check_file, unreadable

_REACH = 3.0
"""Half the side of a Gaussian kernel [FWHM]."""


class PsfModel(ABC):
    """A kernel at each place of a tile: odd, centred, sum 1."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Side of the kernels, odd [pixel]."""

    @abstractmethod
    def kernels(
        self, x: Float64[np.ndarray, "n"], y: Float64[np.ndarray, "n"]
    ) -> Float32[np.ndarray, "n k k"]:
        """Kernels at places of the tile.

        Args:
            x: Columns, from 0 at the centre of the first pixel [pixel].
            y: Rows [pixel].
        """


@dataclass(frozen=True, eq=False)
class KernelPsf(PsfModel):
    """One kernel for the whole tile."""

    kernel: Float32[np.ndarray, "k k"]
    """Odd, centred, sum 1."""

    @property
    def size(self) -> int:
        """Side of the kernel [pixel]."""
        return self.kernel.shape[0]

    def kernels(
        self, x: Float64[np.ndarray, "n"], y: Float64[np.ndarray, "n"]
    ) -> Float32[np.ndarray, "n k k"]:
        """Return the kernel as often as there are places."""
        return np.broadcast_to(self.kernel, (len(x), *self.kernel.shape)).copy()


@dataclass(frozen=True, eq=False)
class WidthPsf(PsfModel):
    """Gaussians whose width a map of the tile states."""

    fwhm: Shaped[np.ndarray, "y x"]
    """Full width at half maximum; not positive where nothing is known [arcsec]."""
    pixel_scale: float
    """Side of a pixel [arcsec]."""
    widest: float
    """Width that sets the size of all kernels [arcsec]."""

    @property
    def size(self) -> int:
        """Side of the kernels [pixel]."""
        return 2 * math.ceil(_REACH * self.widest / self.pixel_scale) + 1

    def kernels(
        self, x: Float64[np.ndarray, "n"], y: Float64[np.ndarray, "n"]
    ) -> Float32[np.ndarray, "n k k"]:
        """Gaussians of the width at each place; 0 where none is known."""
        row, column = (
            np.clip(np.rint(place), 0, n - 1).astype(np.int64)
            for place, n in zip((y, x), self.fwhm.shape, strict=True)
        )
        fwhm = np.asarray(self.fwhm[row, column], np.float64) / self.pixel_scale
        return gaussian_kernels(fwhm, self.size)


@dataclass(frozen=True, eq=False)
class PsfexPsf(PsfModel):
    """Model of PSFEx: images whose sum, weighted by a polynomial of the place, is the PSF."""

    basis: Float64[np.ndarray, "term k k"]
    """Images on the pixels of the tile."""
    powers: Int64[np.ndarray, "term 2"]
    """Powers of x and of y of each term."""
    zero: tuple[float, float]
    """Place subtracted from x and y, counting from 1 [pixel]."""
    scale: tuple[float, float]
    """Length by which the difference is divided [pixel]."""

    @property
    def size(self) -> int:
        """Side of the kernels [pixel]."""
        return self.basis.shape[-1]

    def kernels(
        self, x: Float64[np.ndarray, "n"], y: Float64[np.ndarray, "n"]
    ) -> Float32[np.ndarray, "n k k"]:
        """Sum of the images, brought to sum 1."""
        u = (x + 1 - self.zero[0]) / self.scale[0]
        v = (y + 1 - self.zero[1]) / self.scale[1]
        terms = u[:, None] ** self.powers[:, 0] * v[:, None] ** self.powers[:, 1]
        images = np.tensordot(terms, self.basis, 1)
        return (images / images.sum((1, 2), keepdims=True)).astype(np.float32)


def kernel_psf(image: Shaped[np.ndarray, "k l"]) -> KernelPsf | None:
    """Model of one kernel from an image of any size; None where it has no positive sum.

    Args:
        image: The PSF, its peak in or near the middle.
    """
    stacked = stack_kernels([np.asarray(image, np.float64)])
    if stacked is None or not stacked.any():
        return None
    kernel = stacked[0]
    side = max(kernel.shape)
    margins = [((side - n) // 2, (side - n) // 2) for n in kernel.shape]
    return KernelPsf(np.pad(kernel, margins).astype(np.float32))


def gaussian_psf(psf_fwhm: float, pixel_scale: float) -> KernelPsf:
    """Gaussian of one width for the whole tile.

    Args:
        psf_fwhm: Full width at half maximum [arcsec].
        pixel_scale: Side of a pixel [arcsec].

    Raises:
        OutOfRangeError: The width is not positive or wider than 60 arcsec.
    """
    if not 0 < psf_fwhm <= 60:
        raise OutOfRangeError(f"psf_fwhm={psf_fwhm:g} is outside 0-60 arcsec. Give the seeing.")
    fwhm = np.array([psf_fwhm / pixel_scale])
    size = 2 * math.ceil(_REACH * fwhm[0]) + 1
    return KernelPsf(gaussian_kernels(fwhm, size)[0])


def gaussian_kernels(fwhm: Float64[np.ndarray, "n"], size: int) -> Float32[np.ndarray, "n k k"]:
    """Gaussians integrated over pixels; 0 where the width is not positive.

    Args:
        fwhm: Full widths at half maximum [pixel].
        size: Side of the kernels, odd [pixel].

    Reference:
        The integral of a Gaussian over a pixel is a difference of error functions.
    """
    edges = np.arange(size + 1) - size / 2
    is_known = np.isfinite(fwhm) & (fwhm > 0)
    sigma = np.where(is_known, np.asarray(fwhm_to_sigma(fwhm)), 1.0)
    line = np.diff(np.asarray(erf(edges / (math.sqrt(2) * sigma[:, None]))), axis=1)
    line /= line.sum(1, keepdims=True)
    kernels = line[:, :, None] * line[:, None, :] * is_known[:, None, None]
    return kernels.astype(np.float32)


def read_psfex(path: Path) -> PsfexPsf:
    """PSF model that PSFEx wrote, brought to the pixels of the tile.

    Args:
        path: The `.psf` file.

    Raises:
        UnreadableFileError: Not a file of PSFEx, or its PSF depends on more than x and y.

    Reference:
        Bertin 2011, ASP Conf. 442, 435; PSFEx manual: terms in the order 1, x, x^2, …, y, x y, ….
    """
    check_file(path)
    try:
        with fits.open(path) as units:
            table = units["PSF_DATA"]  # type: ignore[index]
            header, images = table.header, np.array(table.data["PSF_MASK"][0], np.float64)  # type: ignore[attr-defined]
    except BROKEN as error:
        raise UnreadableFileError(unreadable(path, error)) from error
    n_axes, degree = int(header.get("POLNAXIS", 0)), int(header.get("POLDEG1", 0))
    if n_axes not in (0, 2) or (n_axes == 2 and header.get("POLNGRP", 1) != 1):
        raise UnreadableFileError(
            f"'{path}' is a PSFEx model of {n_axes} variables; allowed are x and y of one group. "
            "Run PSFEx with PSFVAR_KEYS X_IMAGE,Y_IMAGE and PSFVAR_GROUPS 1,1."
        )
    degree = degree if n_axes else 0
    powers = [(i, j) for j in range(degree + 1) for i in range(degree + 1 - j)]
    return PsfexPsf(
        basis=_on_pixels(images.reshape(-1, *images.shape[-2:]), float(header["PSF_SAMP"])),
        powers=np.array(powers, np.int64),
        zero=_pair(header, "POLZERO", 0.0, n_axes),
        scale=_pair(header, "POLSCAL", 1.0, n_axes),
    )


def _pair(header: fits.Header, key: str, default: float, n_axes: int) -> tuple[float, float]:
    """Values of a card for x and y; a default where the PSF is the same everywhere."""
    if n_axes == 0:
        return default, default
    return float(header[f"{key}1"]), float(header[f"{key}2"])  # type: ignore[arg-type]


def _on_pixels(images: Float64[np.ndarray, "term j j"], step: float) -> np.ndarray:
    """Images sampled at steps of a part of a pixel, taken at whole pixels from their middle."""
    if step == 1:
        return images
    n = images.shape[-1]
    half = int((n // 2) * step)
    places = np.arange(-half, half + 1) / step + n // 2
    grid = np.meshgrid(places, places, indexing="ij")
    return np.stack([np.asarray(map_coordinates(image, grid, order=3)) for image in images])
