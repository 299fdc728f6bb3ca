"""Labels and scores in other people's files: the Bologna lens challenge's, and plain tables.

Only tables and names are read here; images are the business of the readers of FITS files.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stronglens.core.errors import MissingDataError, UnreadableFileError, WrongShapeError
from stronglens.data.catalog import read_table

CLASSIFICATIONS = "classifications.csv"
_ID_NAMES = ("object_id", "id", "name")
_SCORE_NAMES = ("score", "p_lens", "probability", "p", "prediction", "is_lens")
_LOGIT_NAMES = ("logit",)
_TRUTH_NAMES = {
    "einstein_area": "einstein_area",
    "numb_pix_lensed_image": "n_arc_pixels",
    "flux_lensed_image_in_sigma": "arc_flux_in_sigma",
}
_IMAGE_NUMBER = re.compile(r"-(\d+)\.fits?(?:\.(?:gz|fz|bz2))?$", flags=re.IGNORECASE)
_FOLDERS = {"lens": 1, "lenses": 1, "nolens": 0, "nonlens": 0, "non_lens": 0, "no_lens": 0}


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Scores that some code gave to images."""

    scores: np.ndarray
    """Scores from 0 to 1, or logits; NaN where the file has none."""
    is_logit: bool
    """Whether they are logits: any number, higher for lenses."""
    object_id: np.ndarray | None = None
    """Name of each image; None where the order of rows says which it is."""


@dataclass(frozen=True, eq=False)
class LabelTable:
    """Which images of a challenge are lenses."""

    object_id: np.ndarray
    """Name of each image."""
    label: np.ndarray
    """1 for lenses, 0 for others."""
    truth: dict[str, np.ndarray]
    """Other columns, in the challenge's units."""


def read_scores(path: Path | str) -> ScoreTable:
    """Read scores from a table: CSV, text in columns, or Parquet.

    The column of names is called object_id or id; without one, rows are in the order of the
    images. The scores are called score, p_lens, probability or prediction and lie between 0 and 1,
    or logit and are any number. A file without a header holds names and scores, or scores alone.

    Args:
        path: The file.

    Raises:
        MissingDataError: There is no such file, or it has no rows.
        UnreadableFileError: No column holds scores, or an entry is no number.
        WrongShapeError: A name comes twice, or a score is outside 0 to 1.
    """
    columns = _columns(Path(path))
    lower = {name.lower(): name for name in columns}
    id_name = next((lower[n] for n in _ID_NAMES if n in lower), None)
    logit_name = next((lower[n] for n in _LOGIT_NAMES if n in lower), None)
    score_name = logit_name or next((lower[n] for n in _SCORE_NAMES if n in lower), None)
    if score_name is None:
        raise UnreadableFileError(
            f"{path} has the columns {', '.join(columns)} and none with scores. Name it "
            f"{', '.join(_SCORE_NAMES[:4])} (0 to 1) or logit (any number)."
        )
    scores = _numbers(columns[score_name], score_name, Path(path))
    if logit_name is None and ((scores < 0) | (scores > 1)).any():
        raise WrongShapeError(
            f"column '{score_name}' of {path} holds {np.nanmin(scores):g} to "
            f"{np.nanmax(scores):g}; scores lie between 0 and 1. Call numbers of any size 'logit'."
        )
    names = None if id_name is None else columns[id_name].astype(str).astype(object)
    if names is not None and len(set(names)) < len(names):
        raise WrongShapeError(
            f"column '{id_name}' of {path} holds {len(names) - len(set(names))} names more than "
            "once. Give one score for each image."
        )
    return ScoreTable(scores, logit_name is not None, names)


def read_challenge_labels(path: Path | str) -> LabelTable:
    """Read the labels of the Bologna lens challenge.

    Args:
        path: A classifications.csv with the columns ID and is_lens; a folder that holds one; or a
            folder with images below the folders `lens` and `nolens`, one folder per band.

    Returns:
        Names, labels and what else the file says: Einstein area, pixels and flux of the arc.

    Raises:
        MissingDataError: There is neither such a file nor such folders.
        UnreadableFileError: The file has no such columns.

    Reference:
        Metcalf et al. 2019, A&A 625, A119, section 2, for the challenge.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.rglob(CLASSIFICATIONS))
        return read_challenge_labels(files[0]) if files else _labels_of_folders(path)
    columns = _columns(path)
    lower = {name.lower(): name for name in columns}
    if not {"id", "is_lens"} <= set(lower):
        raise UnreadableFileError(
            f"{path} has the columns {', '.join(columns)}. The challenge's classification file has "
            "ID and is_lens."
        )
    label = _numbers(columns[lower["is_lens"]], "is_lens", path)
    truth = {
        ours: _numbers(columns[lower[theirs]], theirs, path)
        for theirs, ours in _TRUTH_NAMES.items()
        if theirs in lower
    }
    return LabelTable(columns[lower["id"]].astype(str).astype(object), label.astype(int), truth)


def rows_of_scores(table: ScoreTable, object_id: np.ndarray, source: str) -> np.ndarray:
    """Scores in the order of the images asked for.

    Args:
        table: Scores with or without names.
        object_id: Names of the images.
        source: Name of the file, for messages.

    Raises:
        MissingDataError: Some image has no score.
        WrongShapeError: There are no names, and the number of rows is another.
    """
    if table.object_id is None:
        if len(table.scores) != len(object_id):
            raise WrongShapeError(
                f"{source} has {len(table.scores)} rows and no column object_id; "
                f"{len(object_id)} images are to be ranked. Add the column, or one row per image."
            )
        return table.scores
    place = {str(name): k for k, name in enumerate(table.object_id)}
    missing = [str(name) for name in object_id if str(name) not in place]
    if missing:
        raise MissingDataError(
            f"{source} has no score for {len(missing)} of {len(object_id)} images, such as "
            f"{', '.join(missing[:3])}. Score every image; leave an entry empty where it failed."
        )
    return table.scores[[place[str(name)] for name in object_id]]


def _labels_of_folders(path: Path) -> LabelTable:
    """Labels by the folders in which images lie; the bands of an object count once."""
    found: dict[str, int] = {}
    for file in sorted(path.rglob("*.fit*")):
        number = _IMAGE_NUMBER.search(file.name)
        labels = [_FOLDERS[p.name.lower()] for p in file.parents if p.name.lower() in _FOLDERS]
        if number is not None and labels:
            found[number.group(1)] = labels[0]
    if not found:
        raise MissingDataError(
            f"{path} holds no {CLASSIFICATIONS} and no images such as imageSDSS_R-100002.fits "
            "below folders 'lens' and 'nolens'. Pass a folder of the challenge, or its file."
        )
    names = np.array(list(found), dtype=object)
    return LabelTable(names, np.array(list(found.values())), {})


def _columns(path: Path) -> dict[str, np.ndarray]:
    """Columns of a table of any kind, as text or numbers."""
    if not path.is_file():
        raise MissingDataError(f"no table at {path}. Pass a CSV, text or Parquet file.")
    if path.suffix.lower() in (".parquet", ".pq"):
        return read_table(path)
    rows = _text_rows(path)
    if not rows:
        raise MissingDataError(f"{path} has no rows. Write one for each image.")
    if len({len(row) for row in rows}) > 1:
        raise UnreadableFileError(
            f"{path} has rows of {min(map(len, rows))} to {max(map(len, rows))} entries. "
            "Every row needs as many."
        )
    has_header = not _is_number(rows[0][-1])
    plain = ["score"] if len(rows[0]) == 1 else ["object_id", "score"]
    header = rows[0] if has_header else plain
    body = rows[1:] if has_header else rows
    if not has_header and len(rows[0]) > 2:
        raise UnreadableFileError(f"{path} has {len(rows[0])} columns and no header. Name them.")
    if not body:
        raise MissingDataError(f"{path} has a header and no rows. Write one for each image.")
    table = np.array(body, dtype=object)
    return {name.strip(): table[:, k] for k, name in enumerate(header)}


def _text_rows(path: Path) -> list[list[str]]:
    """Entries of a CSV file, or of one with blanks between them; comments are left out."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise UnreadableFileError(f"{path} is not readable as text ({error}).") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and lines[0].startswith("#") and not _is_comment(lines):
        lines[0] = lines[0].lstrip("#").strip()
    lines = [line for line in lines if not line.startswith("#")]
    if any("," in line for line in lines):
        return [[entry.strip() for entry in row] for row in csv.reader(lines)]
    return [line.split() for line in lines]


def _is_comment(lines: list[str]) -> bool:
    """Whether the first line is prose and not a header: other entries than the rows have."""
    body = next((line for line in lines if not line.startswith("#")), "")
    separator = "," if "," in body else None
    return len(lines[0].lstrip("#").split(separator)) != len(body.split(separator))


def _numbers(values: np.ndarray, name: str, path: Path) -> np.ndarray:
    """Column as numbers; an empty entry is NaN."""
    try:
        return np.array([float(v) if str(v).strip() else np.nan for v in values])
    except ValueError as error:
        raise UnreadableFileError(f"column '{name}' of {path} is no number: {error}.") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return not text.strip()
    return True
