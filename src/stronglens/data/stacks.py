"""Stacks of images in NPY, NPZ, HDF5 and Zarr files, read object by object, with their labels.

Which dataset they go to is decided in `stronglens.data.fetch`; FITS stacks are read in `data.fits`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow.parquet as pq
import zarr

from stronglens.core.conventions import bad_mask_from_good_mask
from stronglens.core.errors import MissingDataError, UnreadableFileError, WrongShapeError
from stronglens.data.cutout import Cutout, stack_kernels
from stronglens.data.filters import band_name, family_in, filter_in
from stronglens.data.planes import Hints

ENDINGS = (".npy", ".npz", ".h5", ".hdf5", ".hdf", ".zarr")
"""Endings of the files and folders read here."""
_CHANNELS = 6
_NAMES = {
    "flux": ("flux", "images", "image", "image_array", "data", "x", "cutouts", "x_train", "imgs"),
    "ivar": ("ivar", "image_ivar", "invvar", "inverse_variance", "weight"),
    "variance": ("variance", "var"),
    "sigma": ("sigma", "rms", "noise_map", "noise", "err"),
    "mask": ("mask", "masks"),
    "good": ("image_mask",),  # the Multimodal Universe marks good pixels
    "psf": ("psf", "psfs", "kernel"),
    "label": ("label", "labels", "y", "ans", "is_lens", "y_train", "target"),
    "object_id": ("object_id", "object_ids", "ids", "id", "source_id", "name", "names"),
    "ra": ("ra",),
    "dec": ("dec",),
    "bands": ("bands", "filters", "band", "image_band", "channels"),
}
_POWERS = {"ivar": 1.0, "variance": -1.0, "sigma": -2.0}
_BROKEN = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError)


@dataclass(frozen=True, eq=False)
class Stack:
    """Arrays of a stack, still on disk where the file allows it."""

    path: Path
    """The file."""
    arrays: Mapping[str, Any]
    """Array of each role that is there."""
    bands: tuple[str, ...]
    """Names of the bands, "" where nothing states them."""
    n: int | None
    """Number of objects; None where the file holds one."""
    bands_last: bool
    """Whether the bands come behind the pixels."""

    def value(self, role: str, index: int) -> Any:  # noqa: ANN401 - number, text or None
        """Entry of a column such as label or ra; None where the stack has none."""
        column = self.arrays.get(role)
        if column is None or self.n is None or column.shape[0] != self.n:
            return None
        value = column[index]
        return value.decode() if isinstance(value, bytes) else value


def is_stack(path: Path) -> bool:
    """Whether a path is a file or folder that is read here."""
    return path.name.lower().endswith(ENDINGS)


def read_stack(
    path: Path | str, hints: Hints | None = None, start: int = 0
) -> Iterator[tuple[Cutout, dict[str, Any]]]:
    """Objects of a stack, each with what its columns say: label, ra, dec.

    Args:
        path: NPY, NPZ, HDF5 file, or Zarr group; images (n, y, x), (n, band, y, x) or (n, y, x,
            band), or one object (y, x), (band, y, x).
        hints: Bands, pixel scale and zero point, which such files seldom state.
        start: Number of objects to leave out at the beginning.

    Yields:
        Cutout and columns of each object.

    Raises:
        MissingDataError: There is no such file, or no array of images in it.
        UnreadableFileError: It is not what its ending says.
        WrongShapeError: The array is no stack of images.
    """
    hints = hints or Hints()
    with _opened(Path(path)) as (arrays, facts):
        stack = _described(Path(path), arrays, facts, hints)
        if stack.n is None:
            if start == 0:
                yield _cutout(stack, None, hints, facts), {}
            return
        for index in range(start, stack.n):
            values = {name: stack.value(name, index) for name in ("label", "ra", "dec")}
            known = {name: float(value) for name, value in values.items() if value is not None}
            yield _cutout(stack, index, hints, facts), known


@contextmanager
def _opened(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Arrays of a file by name, and its attributes."""
    if not path.exists():
        raise MissingDataError(f"'{path}' does not exist. Check the name, or quote the pattern.")
    try:
        if path.suffix.lower() == ".npy":
            yield {"flux": np.load(path, mmap_mode="r", allow_pickle=False)}, {}
        elif path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as file:
                yield (
                    {name: file[name] for name in file.files if file[name].dtype.names is None},
                    {},
                )
        elif path.suffix.lower() == ".zarr":
            yield _zarr(path)
        else:
            with h5py.File(path, "r") as file:
                yield _datasets(file), dict(file.attrs)
    except _BROKEN as error:
        if isinstance(error, UnreadableFileError | MissingDataError | WrongShapeError):
            raise
        detail = " ".join(str(error).split())[:160] or type(error).__name__
        raise UnreadableFileError(
            f"'{path}' cannot be read as {path.suffix} ({detail}). Fetch the file again; arrays of "
            "Python objects are not allowed."
        ) from error


def _datasets(file: h5py.File) -> dict[str, Any]:
    """Datasets of an HDF5 file by the last part of their names."""
    found: dict[str, Any] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.names is None:
            found.setdefault(name.rpartition("/")[2], item)

    file.visititems(visit)
    return found


def _zarr(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays of a Zarr group, or the one array, and the table of sources that lies beside it."""
    opened = zarr.open(path, mode="r")
    if isinstance(opened, zarr.Array):
        arrays: dict[str, Any] = {"flux": opened}
    else:
        arrays = dict(opened.arrays())
    for file in sorted([*path.parent.glob("*metadata*.parquet"), *path.glob("*metadata*.parquet")]):
        table = pq.read_table(file)
        for name in table.column_names:
            arrays.setdefault(name, table.column(name).to_numpy(zero_copy_only=False))
    return arrays, dict(opened.attrs)


def _described(
    path: Path, arrays: Mapping[str, Any], facts: Mapping[str, Any], hints: Hints
) -> Stack:
    """Roles of the arrays and meaning of their axes."""
    by_lower = {name.lower(): array for name, array in arrays.items()}
    found = {
        role: next((by_lower[name] for name in names if name in by_lower), None)
        for role, names in _NAMES.items()
    }
    images = found["flux"]
    if images is None or len(images.shape) < 2:
        raise MissingDataError(
            f"'{path}' holds no array of images, only: {', '.join(arrays) or 'nothing'}. Name it "
            "'flux' or 'images'."
        )
    if found["bands"] is None and "bands" in facts:
        found["bands"] = np.asarray(facts["bands"])
    n_axes, shape = len(images.shape), tuple(images.shape)
    stated = _stated_bands(found["bands"], path, hints)
    is_one = n_axes == 2 or (n_axes == 3 and (len(stated) == shape[0] or _few(shape, stated)))
    if n_axes not in (2, 3, 4) or min(shape[-2:]) < 1:
        raise WrongShapeError(
            f"images of '{path}' have the shape {shape}; allowed are (n, y, x), (n, band, y, x), "
            "(n, y, x, band) and one object (y, x) or (band, y, x). Transpose the array."
        )
    bands_last = n_axes > 2 and shape[-1] <= _CHANNELS < min(shape[-3:-1])
    if bands_last and n_axes == 3:
        is_one = True
    n_bands = 1 if n_axes == 2 or (n_axes == 3 and not is_one) else shape[-1 if bands_last else -3]
    bands = stated if len(stated) == n_bands else ("",) * n_bands
    return Stack(path, {k: v for k, v in found.items() if v is not None}, bands,
                 None if is_one else shape[0], bands_last)  # fmt: skip


def _few(shape: Sequence[int], stated: Sequence[str]) -> bool:
    """Whether the first axis of three is as short as bands are, and no single band is stated."""
    return shape[0] <= _CHANNELS < min(shape[1:]) and len(stated) != 1


def _stated_bands(column: Any, path: Path, hints: Hints) -> tuple[str, ...]:  # noqa: ANN401
    """Bands that the user or the file names."""
    if hints.bands:
        return hints.bands
    if column is None:
        return ()
    words = [w.decode() if isinstance(w, bytes) else str(w) for w in np.asarray(column).ravel()]
    family = family_in([path.stem, path.absolute().parent.name])
    return tuple(w if "-" in w else band_name(filter_in([w]) or w.lower(), family) for w in words)


def _cutout(stack: Stack, index: int | None, hints: Hints, facts: Mapping[str, Any]) -> Cutout:
    """One object of a stack."""
    flux = _planes(stack, "flux", index)
    if flux is None:
        raise MissingDataError(f"'{stack.path}' holds no images. Name the array 'images'.")
    finite = np.isfinite(flux)
    ivar = np.zeros_like(flux)
    for role, power in _POWERS.items():
        noise = _planes(stack, role, index)
        if noise is not None and noise.shape == flux.shape:
            known = np.isfinite(noise) & (noise > 0)
            ivar = np.where(known, np.where(known, noise, 1).astype(np.float64) ** power, 0)
            break
    mask = ~finite
    marked = _planes(stack, "mask", index)
    remarks: list[str] = []
    if marked is not None and marked.shape == flux.shape:
        mask |= _marked(marked, hints, remarks)
    good = _planes(stack, "good", index)
    if good is not None and good.shape == flux.shape:
        mask |= np.asarray(bad_mask_from_good_mask(good != 0))
    psf = _planes(stack, "psf", index)
    scale = hints.pixel_scale if hints.pixel_scale is not None else facts.get("pixel_scale")
    zero = hints.zero_point if hints.zero_point is not None else facts.get("zero_point")
    return Cutout(
        flux=np.where(finite, flux, 0).astype(np.float32),
        ivar=np.where(mask, 0, ivar).astype(np.float32),
        mask=mask,
        bands=stack.bands,
        zero_point=np.full(len(flux), np.nan if zero is None else float(zero)),
        pixel_scale=float("nan") if scale is None else float(scale),
        object_id=_name(stack, index),
        input=str(stack.path),
        psf=None if psf is None else stack_kernels(list(psf)),
        remarks=tuple(remarks),
    )


def _marked(mask: np.ndarray, hints: Hints, remarks: list[str]) -> np.ndarray:
    """Pixels that a mask marks as bad: those not 0, or, in a mask of bits, those of the bits given.

    Args:
        mask: Mask as stored.
        hints: Bits that count.
        remarks: Takes a remark on a mask that is not used.
    """
    if hints.flags is not None:
        return (mask.astype(np.int64) & hints.flags) != 0
    if mask.max(initial=0) > 1:
        remarks.append("mask of bits not applied, since nothing names them (--flags BITS does)")
        return np.zeros(mask.shape, bool)
    return mask != 0


def _planes(stack: Stack, role: str, index: int | None) -> np.ndarray | None:
    """Array of one object as (band, y, x)."""
    array = stack.arrays.get(role)
    if array is None:
        return None
    is_shared = index is None or (role == "psf" and array.ndim == 3)
    data = np.asarray(array if is_shared else array[index])
    data = data.astype(np.float32) if role not in ("mask", "good") else data
    if data.ndim == 2:
        return data[None]
    return np.moveaxis(data, -1, 0) if stack.bands_last and role != "psf" else data


def _name(stack: Stack, index: int | None) -> str:
    """Name of an object: as the stack states, or its number behind the file's name."""
    stem = stack.path.stem if stack.path.suffix != ".zarr" else stack.path.absolute().parent.name
    if index is None:
        return stem
    stated = stack.value("object_id", index)
    width = len(str(max((stack.n or 1) - 1, 0)))
    return str(stated) if stated is not None else f"{stem}_{index:0{width}d}"
