"""Where things stand inside a dataset directory, and the record that describes its images.

Reading and writing are in `store`; what the columns of the truth table mean is in the docs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

FORMAT_VERSION = 1
IMAGES = "images.zarr"
PLANES = "planes.zarr"
TRUTH = "truth.parquet"
PROVENANCE = "provenance.json"
PARTS = "parts"
CHUNK = 250
PIXEL_ARRAYS = ("flux", "ivar", "mask")


@dataclass(frozen=True)
class ImageFacts:
    """What one pixel grid of a dataset shares over all its images."""

    bands: tuple[str, ...]
    """Names of the bands, in the order of the band axis."""
    pixel_scale: float
    """Side of a pixel; NaN where not known [arcsec]."""
    zero_point: float
    """Magnitude of one pixel unit; NaN where not known, as in pictures [mag AB]."""
    height: int
    """Number of rows."""
    width: int
    """Number of columns."""
    grid: str = "grid"
    """Name of the pixel grid."""
    unit: str = ""
    """Unit of the flux, in words."""

    def to_attributes(self) -> dict[str, Any]:
        """Return the facts as the attributes of the grid's Zarr group."""
        return {
            "bands": list(self.bands),
            # JSON has no NaN; what is not known is null
            "pixel_scale": self.pixel_scale if math.isfinite(self.pixel_scale) else None,
            "zero_point": self.zero_point if math.isfinite(self.zero_point) else None,
            "unit": self.unit,
            "format_version": FORMAT_VERSION,
        }


@dataclass(frozen=True)
class Images:
    """Images of some rows of a dataset."""

    flux: Float32[np.ndarray, "n band y x"]
    """Linear, background removed [pixel units]."""
    ivar: Float32[np.ndarray, "n band y x"] | None = None
    """Inverse variance [1 / pixel units^2]; None where the dataset has none."""
    mask: Bool[np.ndarray, "n band y x"] | None = None
    """True where a pixel is bad; None where the dataset has none."""
    psf: Float32[np.ndarray, "n band j k"] | None = None
    """Kernel at the pixel scale, summing to 1; None where the dataset has none."""

    def rows(self, rows: slice) -> "Images":
        """Return some of the images."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: a[rows] for name, a in arrays.items() if a is not None})

    @classmethod
    def joined(cls, parts: Sequence["Images"]) -> "Images":
        """Return several sets of images, all with the same arrays, one after the other."""
        arrays = {f.name: [getattr(part, f.name) for part in parts] for f in fields(cls)}
        joined = {n: np.concatenate(a) for n, a in arrays.items() if a[0] is not None}
        return replace(parts[0], **joined)


def shard_ranges(n: int, shard: int) -> list[tuple[int, int]]:
    """Return the row ranges [start, stop) of the shards of a dataset of n rows."""
    return [(start, min(start + shard, n)) for start in range(0, n, shard)]


def part_path(root: Path, start: int) -> Path:
    """Return where the truth of the shard that begins at row `start` waits for the end."""
    return root / PARTS / f"truth-{start:09d}.parquet"
