"""Which inputs a list of files, folders and patterns means: one file or one folder per object.

Reading them is in `stronglens.data.fits`.
"""

import glob
from collections.abc import Iterable
from pathlib import Path

from stronglens.core.errors import MissingDataError
from stronglens.data.filters import filter_in
from stronglens.data.parts import FITS_ENDINGS, distinct_labels, role_of, stem
from stronglens.data.picture_files import is_picture

_LONGEST_BAND_LABEL = 2


def list_inputs(paths: Iterable[Path]) -> list[Path]:
    """Files and one-object folders that paths and patterns stand for, each once, in order.

    A pattern without a match and a path that does not exist stay as they are, so that each can be
    reported; so does a folder with neither FITS files nor pictures. Pictures count where there are
    no FITS files.

    Args:
        paths: Files, folders, or patterns with * ? [ ].
    """
    found: dict[Path, None] = {}
    for path in paths:
        for match in _matches(path):
            found.update(dict.fromkeys(_expand(match) if match.is_dir() else [match]))
    return list(found)


def object_files(folder: Path) -> list[Path]:
    """FITS files of a folder that together are one object.

    Raises:
        MissingDataError: The folder holds no FITS file.
    """
    files = _fits_files(folder)
    if not files:
        raise MissingDataError(
            f"folder '{folder}' holds no FITS file ({', '.join(FITS_ENDINGS[:3])}, plain or "
            "compressed). Give the folder of an object, or FITS files."
        )
    return files


def is_one_object(folder: Path) -> bool:
    """Whether the FITS files of a folder are one object: bands of it, or one image with companions.

    Args:
        folder: Folder that may also hold other folders.
    """
    files = _fits_files(folder)
    labels = dict(zip(files, distinct_labels(files), strict=True))
    roles = {file: role_of(label, anywhere=False) for file, label in labels.items()}
    images = [file for file in files if roles[file] in (None, "image")]
    if len(images) == 1:
        return len(files) > 1
    bands = [_band_of_label(labels[file]) for file in images]
    return len(images) > 1 and all(bands) and len(set(bands)) == len(bands)


def _matches(path: Path) -> list[Path]:
    """Paths that a pattern matches, sorted; the path itself if it exists or nothing matches."""
    if path.exists() or not glob.has_magic(str(path)):
        return [path]
    return [Path(match) for match in sorted(glob.glob(str(path), recursive=True))] or [path]  # noqa: PTH207


def _expand(folder: Path) -> list[Path]:
    """The folder itself if it is one object; else its images and what its folders hold."""
    if is_one_object(folder):
        return [folder]
    below = [
        path
        for sub in sorted(folder.iterdir())
        if sub.is_dir() and not sub.name.startswith(".")
        for path in (_expand(sub) if _holds_fits(sub) else [])
    ]
    pictures = sorted(path for path in folder.iterdir() if is_picture(path))
    return [*(_images(_fits_files(folder)) or pictures), *below] or [folder]


def _holds_fits(folder: Path) -> bool:
    return any(path.name.lower().endswith(FITS_ENDINGS) for path in folder.rglob("*"))


def _fits_files(folder: Path) -> list[Path]:
    """FITS files directly in a folder, by name."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file()
        and path.name.lower().endswith(FITS_ENDINGS)
        and not path.name.startswith(".")
    )


def _images(files: list[Path]) -> list[Path]:
    """Files whose names do not say that they are a PSF, a noise map or a mask."""
    roles = {file: role_of(stem(file), anywhere=False) for file in files}
    return [file for file in files if roles[file] in (None, "image", "other")]


def _band_of_label(label: str) -> str:
    """Filter that a label consists of, beside words for its role; "" if it holds anything else."""
    words = [word for word in label.split("_") if word and role_of(word) is None]
    if len(words) != 1:
        return ""
    return filter_in(words) if len(words[0]) <= _LONGEST_BAND_LABEL or _is_long(words[0]) else ""


def _is_long(word: str) -> bool:
    """Whether a word is a filter of more than two letters, such as F814W or VIS."""
    return filter_in([word]) == word.lower()
