"""Datasets written shard by shard, so that a killed writer loses one shard and no more.

What is in the shards is decided by the caller; reading is in `store`.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from stronglens.core.errors import OutOfRangeError
from stronglens.core.files import write_json
from stronglens.data.catalog import read_table, write_table
from stronglens.data.layout import (
    CHUNK,
    FORMAT_VERSION,
    IMAGES,
    PARTS,
    PLANES,
    PROVENANCE,
    TRUTH,
    ImageFacts,
    Images,
    part_path,
    shard_ranges,
)

SHARD = 1000


class DatasetWriter:
    """Writes a dataset of known length; shards already there are kept.

    Args:
        root: Directory of the dataset.
        facts: What all its images share.
        n: Number of images.
        planes: Names of aligned planes to write beside the images.
        shard: Images per shard, a multiple of the chunk length of 250.
    """

    def __init__(
        self,
        root: Path,
        facts: ImageFacts,
        n: int,
        *,
        planes: tuple[str, ...] = (),
        shard: int = SHARD,
    ) -> None:
        if shard % CHUNK:
            raise OutOfRangeError(f"shard={shard} is not a multiple of {CHUNK} images.")
        self.root = root
        self.facts = facts
        self.n = n
        self.planes = planes
        self.shard = shard
        (root / PARTS).mkdir(parents=True, exist_ok=True)

    def grow(self) -> None:
        """Make room in a finished, shorter dataset; the rows of its whole shards are kept."""
        if not (self.root / TRUTH).is_file():
            return
        table = read_table(self.root / TRUTH)
        n_before = len(next(iter(table.values())))
        if n_before >= self.n:
            return
        for start, stop in shard_ranges(n_before, self.shard):
            if stop - start == self.shard:
                rows = {name: values[start:stop] for name, values in table.items()}
                write_table(part_path(self.root, start), rows)
        for folder in (IMAGES, PLANES):
            if (self.root / folder).is_dir():
                group = zarr.open_group(self.root / folder / self.facts.grid, mode="a")
                for _, array in group.arrays():
                    array.resize((self.n, *array.shape[1:]))
        # the last step: until it is done the dataset is the old one
        (self.root / TRUTH).unlink()

    def extend(self, n: int) -> None:
        """Make room for more images while writing, where their number is not known beforehand.

        Args:
            n: Number of images from now on.
        """
        self.n = n
        for folder in sorted((self.root / IMAGES).glob("*")):
            group = zarr.open_group(folder, mode="a")
            for _, array in group.arrays():
                array.resize((n, *array.shape[1:]))

    def n_written(self) -> int:
        """Return the number of images in the shards that are complete."""
        paths = sorted((self.root / PARTS).glob("truth-*.parquet"))
        return sum(len(next(iter(read_table(path).values()))) for path in paths)

    def missing_shards(self) -> list[tuple[int, int]]:
        """Return the row ranges [start, stop) that have not been written yet."""
        if (self.root / TRUTH).is_file():
            return []
        ranges = shard_ranges(self.n, self.shard)
        return [(a, b) for a, b in ranges if not part_path(self.root, a).is_file()]

    def write_shard(
        self,
        start: int,
        images: Images,
        truth: dict[str, np.ndarray],
        planes: dict[str, np.ndarray] | None = None,
    ) -> None:
        """Write one shard: pixels first, its truth last, as the mark that it is complete.

        Args:
            start: First row of the shard.
            images: Its images.
            truth: Its rows of the truth table, column by column.
            planes: Its aligned planes, by name.
        """
        self.write_pixels(start, images, self.facts)
        if planes:
            aligned = zarr.open_group(self.root / PLANES / self.facts.grid, mode="a", zarr_format=3)
            for name, values in planes.items():
                self._put(aligned, name, start, values)
        write_table(part_path(self.root, start), truth)

    def write_pixels(self, start: int, images: Images, facts: ImageFacts) -> None:
        """Write the images of one shard on one pixel grid, of which a dataset may have several.

        Args:
            start: First row of the shard.
            images: Its images on that grid.
            facts: What they share.
        """
        group = zarr.open_group(self.root / IMAGES / facts.grid, mode="a", zarr_format=3)
        if "flux" not in group:
            group.attrs.update(facts.to_attributes())
        arrays = {"flux": images.flux, "ivar": images.ivar, "mask": images.mask, "psf": images.psf}
        for name, values in arrays.items():
            if values is not None:
                self._put(group, name, start, values)

    def finish(self, provenance: dict[str, Any]) -> None:
        """Join the truth of all shards and write where the dataset comes from."""
        parts = [part_path(self.root, a) for a, _ in shard_ranges(self.n, self.shard)]
        facts = {**self.facts.to_attributes(), "grid": self.facts.grid}
        write_json(
            self.root / PROVENANCE, {"format_version": FORMAT_VERSION, **facts, **provenance}
        )
        if not (self.root / TRUTH).is_file():
            tables = [read_table(part) for part in parts]
            joined = {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}
            write_table(self.root / TRUTH, joined)
        shutil.rmtree(self.root / PARTS, ignore_errors=True)

    def _put(self, group: zarr.Group, name: str, start: int, values: np.ndarray) -> None:
        if name not in group:
            tail = values.shape[1:]
            group.create_array(
                name,
                shape=(self.n, *tail),
                dtype=values.dtype,
                chunks=(CHUNK, *tail),
                shards=(self.shard, *tail),
                compressors=BloscCodec(cname="zstd", clevel=1, shuffle="shuffle"),
            )
        array = group[name]
        if not isinstance(array, zarr.Array):
            raise OutOfRangeError(f"{name!r} in {self.root} is a group, not an array.")
        array[start : start + len(values)] = values
