"""Rows sorted into piles on disk, for tables that do not fit into memory.

Each pile is a file of Arrow streams, one after the other, to which rows can be added again and
again. Finished tables are written by `stronglens.data.catalog` and `data.table_stream`.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Int, Shaped

from stronglens.core.errors import UnreadableFileError
from stronglens.data.catalog import from_arrow

_ENDING = ".arrows"


class Spool:
    """Piles of rows in one folder, each with a name.

    Args:
        folder: Made when absent; piles already there are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, columns: Mapping[str, np.ndarray]) -> None:
        """Put rows on top of a pile.

        Args:
            name: Name of the pile, fit for a file.
            columns: One-dimensional arrays of one length, of the same kinds each time.
        """
        batch = pa.table({key: arrow_column(values) for key, values in columns.items()})
        with self._path(name).open("ab") as file, pa.ipc.new_stream(file, batch.schema) as stream:
            stream.write_table(batch)

    def add_sorted(
        self, pile: Int[np.ndarray, "n"], columns: Mapping[str, Shaped[np.ndarray, "n"]]
    ) -> None:
        """Put each row on the pile of its number; rows keep their order.

        Args:
            pile: Number of each row's pile.
            columns: The rows.
        """
        if not len(pile):
            return
        order = np.argsort(pile, kind="stable")
        numbers, starts = np.unique(pile[order], return_index=True)
        for number, rows in zip(numbers.tolist(), np.split(order, starts[1:]), strict=True):
            self.add(pile_name(number), {key: values[rows] for key, values in columns.items()})

    def names(self) -> list[str]:
        """Return the names of the piles, sorted."""
        return sorted(path.name.removesuffix(_ENDING) for path in self.folder.glob(f"*{_ENDING}"))

    def read(self, name: str, start: int = 0, stop: int | None = None) -> dict[str, np.ndarray]:
        """Return rows of a pile in the order in which they came.

        Args:
            name: Name of the pile.
            start: First row wanted.
            stop: The row after the last one wanted; by default all.

        Raises:
            UnreadableFileError: The pile is cut off.
        """
        path = self._path(name)
        tables = []
        try:
            with pa.memory_map(str(path)) as file:
                while file.tell() < file.size():
                    tables.append(pa.ipc.open_stream(file).read_all())
        except (pa.ArrowInvalid, OSError) as error:
            raise UnreadableFileError(
                f"{path} is cut off or missing ({error}). Remove {path.parent} and run again."
            ) from error
        # files are mapped, so that only rows wanted come into memory
        whole = pa.concat_tables(tables)
        joined = whole.slice(start, (whole.num_rows if stop is None else stop) - start)
        return {key: from_arrow(joined.column(key)) for key in joined.column_names}

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{_ENDING}"


def pile_name(number: int) -> str:
    """Return the name of a numbered pile; names sort as the numbers do from 0."""
    return f"{number:09d}"


def arrow_column(values: Shaped[np.ndarray, "n"]) -> pa.Array:
    """Column whose type depends on the kind of the array alone; NaN stays NaN."""
    if values.dtype.kind in "OUS":
        return pa.array(values.astype(object), type=pa.string())
    return pa.array(np.ascontiguousarray(values))
