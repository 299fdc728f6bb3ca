"""Companions with the fluxes, radii and radial widths of a lensed scene's images, and no lensing.

What they are put beside is decided in `scenes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

from stronglens.core.seeds import numpy_generator
from stronglens.simulation.relations import Columns, one_minus_rayleigh
from stronglens.simulation.render import Grid, Sersics, pixel_coordinates

MOST = 6  # companions in a scene
_FAINTEST = 0.05  # of the peak: what belongs to an image
_LEAST_SHARE = 0.01  # of the flux: what counts as an image
_BLUR = 0.37  # scatter of a PSF of 0.86 arcsec: what is closer together is seen as one [arcsec]
_WIDTH_PER_R_EFF = 1.03  # scatter along a line of a round exponential disc, in half-light radii


@dataclass(frozen=True)
class ImageTable:
    """The images of lensed sources in pieces, brightest first, zero flux where there is none.

    A long arc counts as several pieces, as many as are seen apart, so that companions made after
    them are neither brighter nor fewer than the pieces of an arc of that flux.
    """

    flux: Float[np.ndarray, "n image"]
    """Flux of each image; they add up to the whole arc [pixel units]."""
    radius: Float[np.ndarray, "n image"]
    """Mean distance from the centre of the frame [arcsec]."""
    width: Float[np.ndarray, "n image"]
    """Scatter of that distance [arcsec]."""
    length: Float[np.ndarray, "n image"]
    """Extent of the piece around the centre of the frame, in the same measure [arcsec]."""

    def rows(self, index: np.ndarray) -> "ImageTable":
        """Return the images of some of the scenes."""
        return ImageTable(*(getattr(self, f.name)[index] for f in fields(self)))

    def normalised(self) -> "ImageTable":
        """Return the images with fluxes that add up to one in each scene."""
        total = self.flux.sum(axis=1, keepdims=True)
        return replace(self, flux=self.flux / np.where(total > 0, total, 1.0))

    def spread(self, index: np.ndarray, n: int) -> "ImageTable":
        """Return a table of n scenes, empty but for those of an index."""
        columns = []
        for entry in fields(self):
            values = getattr(self, entry.name)
            columns.append(np.zeros((n, values.shape[1])))
            columns[-1][index] = values
        return ImageTable(*columns)

    @classmethod
    def joined(cls, parts: Sequence["ImageTable"]) -> "ImageTable":
        """Return several tables one after the other."""
        return cls(
            *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls))
        )


def separate_images(arcs: Float[Tensor, "n y x"], grid: Grid) -> ImageTable:
    """Take lensed sources apart into their separate images.

    Args:
        arcs: Lensed sources before any PSF, per oversampled pixel [pixel units].
        grid: The frame they were rendered on.

    Returns:
        Flux, distance and radial width of every image.
    """
    x, y = pixel_coordinates(grid)
    frame = x[0].numpy(), y[0].numpy()
    table = np.zeros((4, len(arcs), MOST))
    for i, arc in enumerate(arcs.numpy()):
        measured = _measured(arc, *frame)
        table[:, i, : measured.shape[1]] = measured
    table[0] *= arcs.sum(dim=(1, 2)).numpy()[:, None] / table[0].sum(axis=1, keepdims=True)
    return ImageTable(*table)


def draw_companions(
    table: ImageTable, n_sersic: Float[Tensor, " n"], seed: int, block: int
) -> Sersics:
    """Draw a galaxy for every image: its flux, distance and radial width, at a random angle.

    Args:
        table: The images to take after.
        n_sersic: Sersic index of the companions of each scene.
        seed: Seed of the dataset.
        block: Number of the block.
    """
    rng = numpy_generator(seed, "companions", block)
    columns = {"flux": table.flux} | companion_shapes(table, n_sersic.numpy(), rng)
    return Sersics(
        **{name: torch.as_tensor(np.array(v, dtype=np.float32)) for name, v in columns.items()}
    )


def companion_shapes(
    table: ImageTable, n_sersic: Float[np.ndarray, " n"], rng: np.random.Generator
) -> Columns:
    """Draw the shape and place of a galaxy for every image, as (n, image) arrays.

    Args:
        table: The images to take after.
        n_sersic: Sersic index of the companions of each scene.
        rng: Source of randomness.
    """
    shape = table.flux.shape
    angle = rng.uniform(0, 2 * np.pi, shape)
    q = one_minus_rayleigh(rng.random(shape), 0.3)
    size = table.width / (_WIDTH_PER_R_EFF * np.sqrt(0.5 * (1 + q**2)))
    return {
        "r_eff": np.clip(size, 0.05, 0.8),
        "n_sersic": np.broadcast_to(n_sersic[:, None], shape),
        "q": q,
        "phi": rng.uniform(0, np.pi, shape),
        "x_center": table.radius * np.cos(angle),
        "y_center": table.radius * np.sin(angle),
    }


def _measured(
    arc: Float[np.ndarray, "y x"], x: Float[np.ndarray, "y x"], y: Float[np.ndarray, "y x"]
) -> Float[np.ndarray, "4 image"]:
    """Flux, mean radius, radial scatter and length of the pieces of one arc, brightest first."""
    labelled = ndimage.label(arc > _FAINTEST * arc.max(), structure=np.ones((3, 3)))
    regions, n = np.asarray(labelled[0]), int(labelled[1])  # type: ignore[index]
    lit = regions > 0
    region, arc, x, y = regions[lit], arc[lit], x[lit], y[lit]
    radius = np.maximum(np.hypot(x, y), 1e-6)

    def total(values: Float[np.ndarray, " lit"]) -> Float[np.ndarray, " region"]:
        return np.bincount(region, values, n + 1)[1:]

    flux = total(arc)
    mean = total(arc * radius) / flux
    width = np.sqrt(np.maximum(total(arc * radius**2) / flux - mean**2, 0.0))
    direction = np.hypot(total(arc * x / radius), total(arc * y / radius)) / flux
    length = mean * np.sqrt(-2.0 * np.log(np.clip(direction, 1e-3, 1.0)))
    pieces = np.hypot(length, _BLUR) / np.hypot(width, _BLUR)
    pieces = np.where(flux > _LEAST_SHARE * flux.sum(), np.clip(np.rint(pieces), 1, MOST), 0)
    each = np.maximum(pieces, 1)
    rows = np.stack([flux / each, mean, width, length / each])
    table = np.repeat(rows, pieces.astype(int), 1)
    return table[:, np.argsort(-table[0])][:, :MOST]
