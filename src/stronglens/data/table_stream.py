"""Parquet tables written a part at a time, so that their length does not count for memory.

Tables that fit into memory are written and read by `stronglens.data.catalog`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stronglens.core.errors import MissingDataError, UnreadableFileError
from stronglens.data.catalog import METADATA_KEY, from_arrow
from stronglens.data.spool import arrow_column


class TableWriter:
    """Writes one Parquet file, a row group for each call; use it as a context manager.

    Args:
        path: File to write, whole or not at all; its folder must exist.
        metadata: Facts about the table that JSON can hold, kept in the file.
    """

    def __init__(self, path: Path, metadata: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self.n_rows = 0
        self._metadata = {METADATA_KEY: json.dumps(dict(metadata or {})).encode()}
        self._temporary = path.with_name(f".{path.name}.tmp")
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> "TableWriter":
        """Return the writer itself."""
        return self

    def write(self, columns: Mapping[str, np.ndarray]) -> None:
        """Add rows, with the same columns each time; NaN is stored as null."""
        arrays = {name: _nullable(arrow_column(values)) for name, values in columns.items()}
        table = pa.table(arrays).replace_schema_metadata(self._metadata)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._temporary, table.schema, compression="zstd")
        self._writer.write_table(table)
        self.n_rows += table.num_rows

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put the file in its place if all went well."""
        try:
            if self._writer is not None:
                self._writer.close()
            if kind is None and self._writer is not None:
                self._temporary.replace(self.path)
        finally:
            self._temporary.unlink(missing_ok=True)


def count_rows(path: Path) -> int:
    """Number of rows of a Parquet file, from its footer alone.

    Raises:
        MissingDataError: There is no such file.
        UnreadableFileError: It is not a whole Parquet file.
    """
    if not path.is_file():
        raise MissingDataError(f"table '{path}' does not exist. Give the path of a .parquet file.")
    try:
        return pq.read_metadata(path).num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise UnreadableFileError(
            f"table '{path}' is not a readable Parquet file ({error}). Write it again."
        ) from error


def read_in_parts(
    path: Path, rows: int = 100_000, columns: Sequence[str] | None = None
) -> Iterator[dict[str, np.ndarray]]:
    """Rows of a Parquet file, some at a time; nulls come back as by `read_table`.

    Args:
        path: The file.
        rows: Most rows at a time.
        columns: Names of those wanted; by default all.
    """
    count_rows(path)
    with pq.ParquetFile(path) as file:
        names = None if columns is None else list(columns)
        for batch in file.iter_batches(rows, columns=names):
            table = pa.Table.from_batches([batch])
            yield {name: from_arrow(table.column(name)) for name in table.column_names}


def _nullable(column: pa.Array) -> pa.Array:
    """Column with NaN as null."""
    if not pa.types.is_floating(column.type):
        return column
    return pa.array(column.to_numpy(zero_copy_only=False), from_pandas=True)
