"""Labels of objects from a table of the user: which object, lens or not, and where it is.

Tables are opened in `stronglens.data.target_tables`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.data.target_cuts import columns_of, passes
from stronglens.data.target_tables import open_table, read_chunks

_NAMES = {
    "object_id": ("object_id", "objectid", "id", "id_str", "file", "filename", "image", "name"),
    "label": ("label", "is_lens", "lens", "truth", "class"),
    "ra": ("ra",),
    "dec": ("dec",),
}
_WORDS = {"lens": 1.0, "true": 1.0, "yes": 1.0, "nolens": 0.0, "false": 0.0, "no": 0.0}
_ENDINGS = (".fits.gz", ".fits.fz", ".fits", ".fit", ".png", ".jpeg", ".jpg", ".npy")
_CHUNK = 100_000


@dataclass(frozen=True)
class Label:
    """What the table says of one object."""

    label: float = math.nan
    """1 lens, 0 not; NaN where the table does not say."""
    ra: float = math.nan
    """Right ascension; NaN where the table has none [deg]."""
    dec: float = math.nan
    """Declination; NaN where the table has none [deg]."""


def read_labels(path: Path | str, columns: Sequence[str] = ()) -> dict[str, Label]:
    """Labels by name of the object, the endings and folders of file names left out.

    Args:
        path: Table with names of objects or files, and 1 or 0, true or false, lens or nolens.
        columns: Names of columns that cannot be guessed, as "label=ring" or "object_id=file"; a
            label may be a condition on columns, as "label=grade>2".

    Raises:
        MissingDataError: There is no such table, or it has no column of names or of labels.
        OutOfRangeError: A label is none of these.
    """
    table = open_table(path)
    given = dict(text.split("=", 1) for text in columns if text.split("=")[0] in _NAMES)
    by_lower = {name.lower(): name for name in table.names}
    found = {
        field: given.get(field) or next((by_lower[n] for n in names if n in by_lower), "")
        for field, names in _NAMES.items()
    }
    for field in ("object_id", "label"):
        if not found[field]:
            raise MissingDataError(
                f"no column '{field}' in '{path}', which has {', '.join(table.names[:20])}. Name "
                f"it with --columns {field}=COLUMN."
            )
    labels: dict[str, Label] = {}
    condition = found["label"] if found["label"] not in table.names else ""
    used = {k: name for k, name in found.items() if name and not (k == "label" and condition)}
    names = [*used.values(), *(columns_of([condition]) if condition else [])]
    for chunk in read_chunks(table, names, _CHUNK):
        columns_here = {k: chunk[name].tolist() for k, name in used.items()}
        if condition:
            n = len(columns_here["object_id"])
            columns_here["label"] = passes([condition], chunk, n).tolist()
        for row in zip(*columns_here.values(), strict=True):
            values = dict(zip(columns_here, row, strict=True))
            name = bare_name(str(values.pop("object_id")))
            label = _as_label(values.pop("label"), str(path))
            labels[name] = Label(label, **{k: _number(v) for k, v in values.items()})
    return labels


def bare_name(text: str) -> str:
    """Name of an object or file without folders and endings."""
    name = text.replace("\\", "/").rpartition("/")[2]
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _as_label(value: object, source: str) -> float:
    """Label as a number; NaN where it is empty."""
    text = str(value).strip().lower()
    if text in ("", "nan", "none"):
        return math.nan
    number = _WORDS[text] if text in _WORDS else _number(text)
    if number not in (0.0, 1.0):
        raise OutOfRangeError(
            f"label '{value}' in '{source}' is neither lens nor not; allowed are 1 and 0, true and "
            "false, lens and nolens. Turn grades into labels first."
        )
    return number


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return math.nan
