"""Datasets on disk: open one, whoever made it, and read its images, planes and truth.

Writing is in `writer`; the layout both share is in `layout`.
"""

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from jaxtyping import Float32, Int

from stronglens.core.errors import (
    InterruptedRunError,
    MissingDataError,
    UnknownNameError,
    UnreadableFileError,
    WrongShapeError,
    unknown_name,
)
from stronglens.core.files import read_json
from stronglens.data.catalog import read_table
from stronglens.data.layout import IMAGES, PLANES, PROVENANCE, TRUTH, ImageFacts, Images

SPLITS = ("train", "validation", "test")


class Dataset:
    """A dataset directory opened for reading.

    Args:
        path: The directory, laid out as the documentation of datasets says.
        group: Its open Zarr group of images.
        facts: What all its images share.
        truth: Its truth table, column by column.
    """

    def __init__(
        self, path: Path, group: zarr.Group, facts: ImageFacts, truth: dict[str, np.ndarray]
    ) -> None:
        self.path = path
        self.facts = facts
        self._group = group
        self._truth = truth

    @property
    def n(self) -> int:
        """Number of images."""
        return _array(self._group, "flux").shape[0]

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands."""
        return self.facts.bands

    @property
    def pixel_scale(self) -> float:
        """Side of a pixel [arcsec]."""
        return self.facts.pixel_scale

    @property
    def zero_point(self) -> float:
        """Magnitude of one pixel unit [mag AB]."""
        return self.facts.zero_point

    @property
    def size(self) -> tuple[int, int]:
        """Height and width [pixels]."""
        return self.facts.height, self.facts.width

    def columns(self) -> list[str]:
        """Return the names of the truth columns."""
        return list(self._truth)

    def column(self, name: str) -> np.ndarray:
        """Return one column of the truth table; nulls of numbers are NaN.

        Raises:
            UnknownNameError: There is no such column.
        """
        if name not in self._truth:
            raise unknown_name(f"truth column of {self.path}", name, self._truth)
        return self._truth[name]

    def index(self, split: str) -> Int[np.ndarray, " rows"]:
        """Return the rows of a split: train, validation, test, or all.

        Raises:
            MissingDataError: The dataset has no such rows.
        """
        if split == "all":
            return np.arange(self.n)
        if split not in SPLITS:
            raise unknown_name("split", split, (*SPLITS, "all"))
        if "split" not in self._truth:
            raise MissingDataError(f"{self.path} has no column 'split'. Use split='all'.")
        rows = np.flatnonzero(self._truth["split"] == split)
        if rows.size == 0:
            raise MissingDataError(f"{self.path} has no images in the split '{split}'.")
        return rows

    def images(self, rows: np.ndarray | slice) -> Images:
        """Read the images of some rows."""
        flux = np.asarray(_rows(_array(self._group, "flux"), rows), dtype=np.float32)
        ivar = self._optional("ivar", rows)
        mask = self._optional("mask", rows)
        psf = self._optional("psf", rows)
        return Images(
            flux=flux,
            ivar=None if ivar is None else ivar.astype(np.float32),
            mask=None if mask is None else mask.astype(bool),
            psf=None if psf is None else psf.astype(np.float32),
        )

    def planes(self) -> list[str]:
        """Return the names of the aligned planes, such as noiseless or source."""
        folder = self.path / PLANES / self.facts.grid
        return sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []

    def plane(self, name: str, rows: np.ndarray | slice) -> Float32[np.ndarray, "n band y x"]:
        """Read an aligned plane of some rows.

        Raises:
            UnknownNameError: The dataset was written without it.
        """
        if name not in self.planes():
            raise unknown_name(f"plane of {self.path}", name, self.planes())
        group = zarr.open_group(self.path / PLANES / self.facts.grid, mode="r")
        return np.asarray(_rows(_array(group, name), rows), dtype=np.float32)

    def content_hash(self) -> str:
        """Hash every pixel and every truth value, independent of how they are compressed."""
        digest = hashlib.sha256()
        flux = _array(self._group, "flux")
        for start in range(0, self.n, 2000):
            digest.update(np.ascontiguousarray(flux[start : start + 2000]).tobytes())
        for name in sorted(self._truth):
            digest.update(f"{name}:{self._truth[name].tolist()}".encode())
        return digest.hexdigest()[:16]

    def _optional(self, name: str, rows: np.ndarray | slice) -> np.ndarray | None:
        if name not in self._group:
            return None
        array = _array(self._group, name)
        if name == "psf" and array.ndim == 3:  # one PSF serves all
            count = self.n if isinstance(rows, slice) else len(rows)
            return np.broadcast_to(np.asarray(array[:]), (count, *array.shape))
        return np.asarray(_rows(array, rows))


def open_dataset(path: Path | str, grid: str | None = None) -> Dataset:
    """Open a dataset directory.

    Args:
        path: The directory.
        grid: Which pixel grid to read; by default the only one.

    Returns:
        The dataset.

    Raises:
        MissingDataError: There is no dataset there.
        InterruptedRunError: The run that makes it has not finished.
        UnreadableFileError: It is there and cannot be understood.
        WrongShapeError: Images and truth do not fit.
    """
    root = Path(path)
    if not (root / IMAGES).is_dir():
        raise MissingDataError(
            f"no dataset at {root} ({IMAGES} is missing). Make one with: "
            "stronglens simulate --preset deck --out DIR."
        )
    if not (root / TRUTH).is_file():
        raise InterruptedRunError(
            f"the dataset {root} is not finished ({TRUTH} is missing). "
            "Give the command that makes it again to let it go on."
        )
    group = _open_grid(root, grid)
    facts = _read_facts(root, group)
    truth = read_table(root / TRUTH)
    n_rows = len(next(iter(truth.values()))) if truth else 0
    if n_rows != _array(group, "flux").shape[0]:
        raise WrongShapeError(
            f"{root} has {_array(group, 'flux').shape[0]} images and {n_rows} rows of truth. "
            "Make the dataset anew."
        )
    return Dataset(root, group, facts, truth)


def _open_grid(root: Path, grid: str | None) -> zarr.Group:
    grids = sorted(folder.name for folder in (root / IMAGES).iterdir() if folder.is_dir())
    if grid is None and len(grids) != 1:
        raise UnknownNameError(
            f"{root} has {len(grids)} pixel grids ({', '.join(grids)}): name one with grid=…."
        )
    name = grid or grids[0]
    if name not in grids:
        raise unknown_name(f"grid of {root}", name, grids)
    try:
        group = zarr.open_group(root / IMAGES / name, mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise UnreadableFileError(f"{root / IMAGES / name} is not readable ({error}).") from error
    if "flux" not in group:
        raise UnreadableFileError(f"{root / IMAGES / name} holds no array 'flux'.")
    return group


def _read_facts(root: Path, group: zarr.Group) -> ImageFacts:
    """Read what all images share from the group's attributes, else from provenance.json."""
    values: dict[str, Any] = {}
    if (root / PROVENANCE).is_file():
        values.update(read_json(root / PROVENANCE))
    values.update(dict(group.attrs))
    missing = [name for name in ("bands", "pixel_scale", "zero_point") if name not in values]
    if missing:
        raise UnreadableFileError(
            f"{root} does not say its {', '.join(missing)}: neither the attributes of its Zarr "
            f"group nor {PROVENANCE} do. Add them there."
        )
    _, n_bands, height, width = _array(group, "flux").shape
    bands = tuple(str(band) for band in values["bands"])
    if len(bands) != n_bands:
        raise WrongShapeError(f"{root} names {len(bands)} bands and its images have {n_bands}.")
    return ImageFacts(
        bands=bands,
        pixel_scale=_known(values["pixel_scale"]),
        zero_point=_known(values["zero_point"]),
        height=height,
        width=width,
        grid=str(group.store_path).rstrip("/").rsplit("/", 1)[-1],
        unit=str(values.get("unit", "")),
    )


def _known(value: float | None) -> float:
    """Number of the attributes, where null stands for what is not known."""
    return math.nan if value is None else float(value)


def _array(group: zarr.Group, name: str) -> zarr.Array:
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise UnreadableFileError(f"'{name}' in {group.store_path} is not an array.")
    return array


def _rows(array: zarr.Array, rows: np.ndarray | slice) -> np.ndarray:
    """Read rows; many scattered ones are read as one run and picked in memory."""
    if isinstance(rows, slice):
        return np.asarray(array[rows])
    rows = np.asarray(rows)
    if rows.size == 0:
        return np.asarray(array[0:0])
    first, last = int(rows.min()), int(rows.max()) + 1
    if (last - first) <= 4 * rows.size:
        return np.asarray(array[first:last])[rows - first]
    return np.asarray(array.oindex[rows])
