"""Pictures of lenses without noise: source and deflector of unit flux, blurred as often as needed.

Both keep their shape in every band, so they are drawn once and scaled by the flux of a band.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.forecasting.observations import Observation
from stronglens.simulation.psf import gaussian_kernel
from stronglens.simulation.relations import Columns
from stronglens.simulation.render import (
    Grid,
    Sersics,
    SieShear,
    observe_planes,
    pixel_coordinates,
    render_lensed,
    render_light,
)

_FINEST = 0.05  # sub-pixels are no wider, so that small sources are counted [arcsec]
_SIZE_STEP = 8  # sides of frames are multiples of it, so that lenses of like size go together
_BATCH = 256
# kernels end at so many FWHM, 3.5 standard deviations
_KERNEL_REACH = 1.5


@dataclass(frozen=True)
class Frames:
    """Unblurred light of some lenses on one grid."""

    grid: Grid
    """The frame."""
    source: Float[Tensor, "n y x"]
    """Lensed source of unit flux, on the oversampled frame."""
    deflector: Float[Tensor, "n y x"]
    """Deflector of unit flux, on the oversampled frame."""

    def magnification(self) -> Float[np.ndarray, " n"]:
        """Return the flux of the lensed source over that of the source."""
        return self.source.sum(dim=(1, 2), dtype=torch.float64).numpy()

    def blurred(self, psf_fwhm: Float[np.ndarray, " n"]) -> tuple[Tensor, Tensor]:
        """Return source and deflector per pixel, each lens blurred by its own Gaussian.

        Args:
            psf_fwhm: Width of each PSF [arcsec].
        """
        reach = _KERNEL_REACH * float(psf_fwhm.max()) / self.grid.fine_scale
        fwhm = torch.as_tensor(psf_fwhm, dtype=torch.float32)
        kernel = gaussian_kernel(fwhm, self.grid.fine_scale, 2 * int(np.ceil(reach)) + 1)
        source, deflector = observe_planes((self.source, self.deflector), kernel, self.grid)
        return source.clamp_min(0.0), deflector.clamp_min(0.0)

    def radius(self) -> Float[Tensor, "y x"]:
        """Return the distance of each pixel from the deflector [arcsec]."""
        pixels = Grid(self.grid.height, self.grid.width, self.grid.pixel_scale, oversample=1)
        return torch.hypot(*pixel_coordinates(pixels))[0]


def batches(
    lenses: Columns, observation: Observation, reach: float
) -> Iterator[tuple[np.ndarray, Frames]]:
    """Draw the frames of lenses in batches of one size each.

    Args:
        lenses: The lenses.
        observation: Its pixels are used, and its frames are the largest drawn.
        reach: Half-side that every frame must have [arcsec].

    Yields:
        The rows of a batch and their frames.
    """
    sides = _sides(lenses, observation, reach)
    oversample = math.ceil(observation.pixel_scale / _FINEST)
    for side in np.unique(sides):
        rows = np.flatnonzero(sides == side)
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            grid = Grid(int(side), int(side), observation.pixel_scale, oversample)
            yield batch, _frames({name: lenses[name][batch] for name in lenses}, grid)


def _sides(lenses: Columns, observation: Observation, reach: float) -> np.ndarray:
    """Sides of frames that hold every image of a source, and its light [pixel]."""
    half = lenses["theta_e"] * (1.0 + lenses["q"] ** -0.5)
    half += 3.0 * lenses["r_eff_source"] * lenses["q_source"] ** -0.5
    pixels = 2.0 * np.maximum(half + 0.5 * reach, reach) / observation.pixel_scale
    steps = np.ceil(pixels / _SIZE_STEP).astype(int) * _SIZE_STEP
    return np.minimum(steps, observation.side)


def _frames(lenses: Columns, grid: Grid) -> Frames:
    """Render source and deflector of each lens."""
    tensors = {n: torch.as_tensor(v, dtype=torch.float32) for n, v in lenses.items()}
    zeros = torch.zeros_like(tensors["theta_e"])
    lens = SieShear(
        theta_e=tensors["theta_e"],
        q=tensors["q"],
        phi=tensors["phi"],
        x_center=zeros,
        y_center=zeros,
        gamma1=zeros,
        gamma2=zeros,
    )
    place = (tensors["x_source"], tensors["y_source"])
    shape = (tensors["q_source"], tensors["phi_source"])
    source = _sersic(tensors["r_eff_source"], 1.0, shape, place)
    light = _sersic(tensors["r_eff_deflector"], 4.0, (lens.q, lens.phi), (zeros, zeros))
    return Frames(grid, render_lensed(grid, lens, source), render_light(grid, light))


def _sersic(
    r_eff_circ: Tensor, n_sersic: float, shape: tuple[Tensor, Tensor], place: tuple[Tensor, Tensor]
) -> Sersics:
    """One component of unit flux per image, its size given circularised."""
    q, phi = shape
    columns = {
        "flux": torch.ones_like(q),
        "r_eff": r_eff_circ / q.sqrt(),
        "n_sersic": torch.full_like(q, n_sersic),
        "q": q,
        "phi": phi,
        "x_center": place[0],
        "y_center": place[1],
    }
    return Sersics(**{name: values[:, None] for name, values in columns.items()})
