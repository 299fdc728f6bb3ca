"""Tables of targets, read a chunk at a time: CSV, FITS, VOTable, Parquet and HATS directories.

What the columns mean is in `stronglens.data.targets`.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from astropy.io import fits, votable
from astropy.table import Table

from stronglens.core.errors import MissingDataError, UnreadableFileError, unknown_name
from stronglens.data.parts import BROKEN, unreadable

Columns = dict[str, np.ndarray]
_DELIMITERS = (",", "\t", ";")
_BROKEN = (*BROKEN, pa.ArrowException)


@dataclass(frozen=True)
class TableFile:
    """A table on disk: names of its columns, number of rows, and a way to read some columns."""

    path: Path
    """File or directory."""
    names: tuple[str, ...]
    """Names of the columns that hold one value per row."""
    n_rows: int | None
    """Number of rows; None where only reading tells."""
    read: Callable[[Sequence[str], int], Iterator[Columns]]
    """Chunks of some columns, given their names and the rows per chunk."""


def open_table(path: Path | str) -> TableFile:
    """Open a table by what its name and first bytes say.

    Args:
        path: CSV (also with tabs, semicolons or blanks), FITS, VOTable, Parquet, or a HATS
            directory.

    Raises:
        MissingDataError: There is no such file, or no Parquet file in the directory.
        UnreadableFileError: It cannot be read as a table.
    """
    path = Path(path)
    if not path.exists():
        raise MissingDataError(f"table '{path}' does not exist. Give the path of a table.")
    opener = _directory if path.is_dir() else _OPENERS.get(_kind(path), _csv)
    try:
        return opener(path)
    except _BROKEN as error:
        raise _refusal(path, error) from error


def read_chunks(table: TableFile, names: Sequence[str], chunk: int) -> Iterator[Columns]:
    """Chunks of some columns of a table, numbers as float64, integers as int64, words as objects.

    Args:
        table: From `open_table`.
        names: Columns wanted.
        chunk: Rows per chunk at most.

    Raises:
        UnknownNameError: The table has no such column.
        UnreadableFileError: It breaks off or a value is not of its column's kind.
    """
    for name in names:
        if name not in table.names:
            raise unknown_name(f"column of {table.path}", name, table.names)
    try:
        for columns in table.read(list(dict.fromkeys(names)), chunk):
            yield {name: _native(values) for name, values in columns.items()}
    except _BROKEN as error:
        raise _refusal(table.path, error) from error


def _kind(path: Path) -> str:
    """Kind of a file by its ending."""
    name = path.name.lower()
    for ending in (".gz", ".bz2"):
        name = name.removesuffix(ending)
    return name.rpartition(".")[2]


def _refusal(path: Path, error: BaseException) -> UnreadableFileError:
    if _kind(path) in ("fits", "fit"):
        return UnreadableFileError(unreadable(path, error))
    detail = " ".join(str(error).split())[:200]
    return UnreadableFileError(
        f"table '{path}' cannot be read ({detail}). Allowed: CSV, FITS, VOTable, Parquet, HATS."
    )


def _native(values: np.ndarray) -> np.ndarray:
    """Column in native byte order; bytes as words, floats as float64, masked words as ""."""
    if isinstance(values, np.ma.MaskedArray):
        values = values.filled(np.nan if values.dtype.kind == "f" else values.fill_value)
    kind = values.dtype.kind
    if kind == "f":
        return np.ascontiguousarray(values, np.float64)
    if kind in "iu":
        return np.ascontiguousarray(values, np.int64)
    if kind == "b":
        return np.ascontiguousarray(values)
    words = ["" if v is None else v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v)
             for v in values.tolist()]  # fmt: skip
    return np.array([word.strip() for word in words], object)


def _from_arrow(batch: pa.RecordBatch) -> Columns:
    """Numpy columns of an Arrow batch; a null is NaN in a column of numbers."""
    return {
        name: column.to_numpy(zero_copy_only=False)
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }


def _scalar_names(schema: pa.Schema) -> tuple[str, ...]:
    return tuple(field.name for field in schema if not pa.types.is_nested(field.type))


def _parquet(path: Path) -> TableFile:
    return _parquet_files(path, [path])


def _directory(path: Path) -> TableFile:
    """HATS directory, or any folder of Parquet files, in the order of their names."""
    below = sorted(p for p in path.rglob("*.parquet") if not p.name.startswith(("_", ".")))
    files = [p for p in below if "Norder" in str(p)] or below
    if not files:
        raise MissingDataError(
            f"directory '{path}' holds no Parquet file. Give a HATS directory (with dataset/ or "
            "Norder=…/ in it), or a table."
        )
    return _parquet_files(path, files)


def _parquet_files(path: Path, files: Sequence[Path]) -> TableFile:
    """Table of one or more Parquet files of the same columns."""

    def read(names: Sequence[str], chunk: int) -> Iterator[Columns]:
        for file in files:
            # without reading ahead, so that memory does not grow with the table
            with pq.ParquetFile(file, pre_buffer=False) as opened:
                for batch in opened.iter_batches(chunk, columns=list(names)):
                    yield _from_arrow(batch)

    with pq.ParquetFile(files[0]) as first:
        names = _scalar_names(first.schema_arrow)
    n_rows = sum(pq.read_metadata(file).num_rows for file in files)
    return TableFile(path, names, n_rows, read)


def _csv(path: Path) -> TableFile:
    """Text table; columns separated by commas, tabs or semicolons stream, others are read whole."""
    with pa.input_stream(str(path)) as stream:
        head = stream.read(1_000_000).decode("utf-8", "replace")
    lines = [line for line in head.splitlines() if line.strip()]
    if not lines:
        raise UnreadableFileError(f"table '{path}' is empty. Give a table with a line of names.")
    delimiter = next((mark for mark in _DELIMITERS if mark in lines[0]), "")
    if not delimiter or lines[0].startswith("#"):
        return _in_memory(path, Table.read(path, format="ascii", guess=True))
    parse = pc.ParseOptions(delimiter=delimiter)

    def read(names: Sequence[str], chunk: int) -> Iterator[Columns]:
        convert = pc.ConvertOptions(include_columns=list(names), strings_can_be_null=True)
        with pc.open_csv(path, parse_options=parse, convert_options=convert) as reader:
            for batch in reader:
                for start in range(0, batch.num_rows, chunk):
                    yield _from_arrow(batch.slice(start, chunk))

    with pc.open_csv(path, parse_options=parse) as reader:
        names = tuple(reader.schema.names)
    return TableFile(path, names, None, read)


def _fits(path: Path) -> TableFile:
    """First table of a FITS file, memory-mapped where it is not compressed."""
    with fits.open(path, memmap=True) as units:
        found = [k for k, u in enumerate(units) if isinstance(u, fits.BinTableHDU | fits.TableHDU)]
        tables = [k for k in found if not isinstance(units[k], fits.CompImageHDU)]
        if not tables:
            raise UnreadableFileError(f"'{path}' is FITS without a table. Give a table of targets.")
        index = tables[0]
        hdu: Any = units[index]
        n_rows = int(hdu.header["NAXIS2"])
        names = tuple(c.name for c in hdu.columns if _is_scalar(c))

    def read(names: Sequence[str], chunk: int) -> Iterator[Columns]:
        with fits.open(path, memmap=True) as opened:
            data: Any = opened[index].data  # type: ignore[attr-defined]
            for start in range(0, n_rows, chunk):
                part = data[start : start + chunk]
                yield {name: np.array(part[name]) for name in names}

    return TableFile(path, names, n_rows, read)


def _is_scalar(column: fits.Column) -> bool:
    """Whether a column of a FITS table has one value per row."""
    if column.dim:
        return False
    count = str(column.format).rstrip("LXBIJKAEDCMPQ ()0123456789")
    number = "".join(c for c in str(column.format).split("(")[0] if c.isdigit())
    return count == "" and ("A" in str(column.format) or number in ("", "1"))


def _votable(path: Path) -> TableFile:
    """First table of a VOTable, which is held whole in memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = votable.parse_single_table(str(path)).to_table(use_names_over_ids=True)
    return _in_memory(path, table)


def _in_memory(path: Path, table: Any) -> TableFile:  # noqa: ANN401 - astropy types its tables loosely
    """Table that has been read whole."""
    names = tuple(name for name in table.colnames if np.ndim(table[name]) == 1)

    def read(names: Sequence[str], chunk: int) -> Iterator[Columns]:
        for start in range(0, len(table), chunk):
            part = table[start : start + chunk]
            yield {name: _plain(part[name]) for name in names}

    return TableFile(path, names, len(table), read)


def _plain(column: Any) -> np.ndarray:  # noqa: ANN401 - any kind of astropy column
    """Values of an astropy column; masked numbers are NaN, masked words empty."""
    values: Any = np.ma.asarray(column)
    if not np.ma.is_masked(values):
        return np.asarray(values)
    if values.dtype.kind in "iuf":
        return values.astype(np.float64).filled(np.nan)
    return values.astype(object).filled("")


_OPENERS: dict[str, Callable[[Path], TableFile]] = {
    **dict.fromkeys(("parquet", "pq", "parq"), _parquet),
    **dict.fromkeys(("fits", "fit", "fts"), _fits),
    **dict.fromkeys(("xml", "vot", "votable"), _votable),
}
