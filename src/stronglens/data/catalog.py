"""Typed tables on disk: truth, candidates, labels, as Parquet and as FITS.

Images live in `stronglens.data.store`, not here.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Table

from stronglens.core.errors import MissingDataError, UnreadableFileError, WrongShapeError
from stronglens.core.files import atomic_path

METADATA_KEY = b"stronglens"
"""Key of the facts in the metadata of a Parquet file."""


def write_table(
    path: Path | str, columns: Mapping[str, np.ndarray], metadata: Mapping[str, Any] | None = None
) -> Path:
    """Write columns of equal length to Parquet, whole or not at all.

    A NaN in a column of numbers is stored as null, so that any reader sees a missing value.

    Args:
        path: File to write; its folder is made when absent.
        columns: One-dimensional array per name: numbers, booleans or strings.
        metadata: Facts about the table that JSON can hold, kept in the file.

    Returns:
        The path written.
    """
    path = Path(path)
    _check_columns(columns)
    table = pa.table({name: _to_arrow(values) for name, values in columns.items()})
    if metadata is not None:
        table = table.replace_schema_metadata({METADATA_KEY: json.dumps(dict(metadata)).encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return path


def read_table(path: Path | str) -> dict[str, np.ndarray]:
    """Columns of a Parquet table by name.

    A null comes back as NaN in a column of numbers and as "" in a column of strings.

    Args:
        path: Parquet file.

    Returns:
        One array per column, all of one length; strings have dtype object.
    """
    table = _open_table(Path(path))
    return {name: from_arrow(table.column(name)) for name in table.column_names}


def read_metadata(path: Path | str) -> dict[str, Any]:
    """Facts stored with a table by `write_table`; empty when there are none."""
    metadata = _open_table(Path(path)).schema.metadata or {}
    return json.loads(metadata[METADATA_KEY]) if METADATA_KEY in metadata else {}


def write_fits_table(
    path: Path | str, columns: Mapping[str, np.ndarray], metadata: Mapping[str, Any] | None = None
) -> Path:
    """Write columns to a FITS binary table that TOPCAT and astropy open.

    Args:
        path: File to write, replaced when it exists.
        columns: One-dimensional array per name.
        metadata: Header cards: short upper-case names, values that fit a card.

    Returns:
        The path written.
    """
    path = Path(path)
    _check_columns(columns)
    cells = {name: _to_fits(np.asarray(values)) for name, values in columns.items()}
    table = Table(cells, meta=dict(metadata or {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        table.write(temporary, format="fits", overwrite=True)
    return path


def _check_columns(columns: Mapping[str, np.ndarray]) -> None:
    """Refuse columns that are not one-dimensional and of one length."""
    shapes = {name: np.shape(values) for name, values in columns.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        msg = (
            f"columns have shapes {shapes}; a table needs one-dimensional columns of one length. "
            "Store images in a dataset and pass one value per row here."
        )
        raise WrongShapeError(msg)


def _open_table(path: Path) -> pa.Table:
    """Read a Parquet file or say what is wrong with it."""
    if not path.is_file():
        msg = f"table '{path}' does not exist. Give the path of a .parquet file."
        raise MissingDataError(msg)
    try:
        return pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        msg = f"table '{path}' is not a readable Parquet file ({error}). Write it again."
        raise UnreadableFileError(msg) from error


def _to_arrow(values: np.ndarray) -> pa.Array:
    """Arrow column with NaN as null."""
    values = np.asarray(values)
    if values.dtype.kind in "US":
        return pa.array([str(value) for value in values], type=pa.string())
    return pa.array(np.ascontiguousarray(values), from_pandas=True)


def from_arrow(column: pa.ChunkedArray) -> np.ndarray:
    """Numpy column of an Arrow column, with null as NaN, or as "" among strings."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(["" if value is None else value for value in column.to_pylist()], object)
    return column.to_numpy()


def _to_fits(values: np.ndarray) -> np.ndarray:
    """Column of a dtype that FITS can hold."""
    if values.dtype.kind not in "OU":
        return values
    ascii_only = [str(value).encode("ascii", "backslashreplace") for value in values]
    return np.array(ascii_only, dtype=f"S{max([1, *map(len, ascii_only)])}")
