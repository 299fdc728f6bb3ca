"""The pieces an object comes in: extensions of a FITS file, or files of a folder, and their roles.

How pieces become a cutout is in `stronglens.data.fits`.
"""

import re
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from stronglens.core.errors import MissingDataError, UnreadableFileError

Role = Literal[
    "image", "sigma", "variance", "ivar", "weight", "flags", "mask", "psf", "fwhm", "other"
]  # fmt: skip

FITS_ENDINGS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fits.fz", ".fits.bz2")
"""Endings of the files that a folder is searched for."""

ROLES: dict[str, Role] = {
    **dict.fromkeys(("sci", "science", "image", "img", "bgsub", "flux", "data", "counts"), "image"),
    **dict.fromkeys(("rms", "noise", "err", "error", "sigma", "std", "uncert"), "sigma"),
    **dict.fromkeys(("var", "variance"), "variance"),
    **dict.fromkeys(("ivar", "invvar"), "ivar"),
    **dict.fromkeys(("wht", "wgt", "weight", "weights"), "weight"),
    **dict.fromkeys(("dq", "flag", "flags", "badpix", "bpm", "msk"), "flags"),
    "mask": "mask",
    **dict.fromkeys(("psf", "kernel"), "psf"),
    **dict.fromkeys(
        ("second", "model", "resid", "residual", "residuals", "seg", "segmap", "segmentation",
         "chi", "ctx", "con", "sky", "bkg", "background", "wcscorr", "d2imarr", "nexp", "expmap"),
        "other",
    ),
}  # fmt: skip
_ZIPPED = (".gz", ".bz2")
COMPRESSED = (*_ZIPPED, ".fz")
_BLOCK = 2880
BROKEN = (
    OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, zlib.error,
    fits.VerifyError,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Part:
    """One array with its header and what its name says."""

    name: str
    """Name of the extension, or what is special in the file's name."""
    role: Role
    """What the array is."""
    key: str
    """Name without the words for the role: what an image and its noise have in common."""
    data: np.ndarray
    """The array as stored, in native byte order."""
    header: fits.Header
    """Its header."""
    primary: fits.Header
    """First header of the file."""
    file: str = ""
    """Name of the file without its ending."""


def role_of(name: str, *, anywhere: bool = True) -> Role | None:
    """Role that a name states, None where it states none.

    Args:
        name: Name of an extension or file, such as "VIS_RMS" or "lens_g_psf".
        anywhere: Search the whole name; else only its first and last word.
    """
    words = words_of(name)
    searched = words if anywhere else [*words[:1], *words[-1:]]
    roles: list[Role] = [ROLES[word] for word in searched if word in ROLES]
    companions: list[Role] = [role for role in roles if role != "image"]
    return next(iter(companions or roles), None)


def read_parts(path: Path) -> list[Part]:
    """Every array of a FITS file with its role.

    Args:
        path: The file, plain or compressed.

    Returns:
        The parts in the file's order; tables are left out.

    Raises:
        MissingDataError: There is no such file.
        UnreadableFileError: It is empty, truncated or not FITS, or holds no image.
    """
    check_file(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AstropyWarning)
        try:
            with path.open("rb") as file, fits.open(file, memmap=False) as units:
                _check_sizes(path, units)
                parts = _parts_of(units)
                is_cut = _has_lost_extension(path, units)
        except UnreadableFileError:
            raise
        except PermissionError as error:
            raise UnreadableFileError(
                f"'{path}' may not be read. Change its permissions."
            ) from error
        except BROKEN as error:
            raise UnreadableFileError(unreadable(path, error)) from error
    if is_cut or any("truncated" in str(warning.message) for warning in caught):
        raise UnreadableFileError(truncated(path, "its last part is missing"))
    if not parts:
        raise UnreadableFileError(
            f"'{path}' is FITS but holds no image. Give a file with an image of 2, 3 or 4 axes."
        )
    return parts


def read_folder_parts(files: Sequence[Path]) -> list[Part]:
    """Every array of the files of one object, named by what distinguishes the files' names.

    Args:
        files: FITS files that together are one object.
    """
    return [
        _labelled(part, label, stem(file))
        for file, label in zip(files, distinct_labels(files), strict=True)
        for part in read_parts(file)
    ]


def distinct_labels(files: Sequence[Path]) -> list[str]:
    """Names of files without what they share at the front and at the back."""
    stems = [stem(file) for file in files]
    words = [re.split(r"[^A-Za-z0-9]+", text) for text in stems]
    if len(stems) < 2:
        return stems
    front = _shared(words)
    back = _shared([list(reversed(w[front:])) for w in words])
    return ["_".join(w[front : len(w) - back]) for w in words]


def stem(path: Path) -> str:
    """File name without any FITS ending."""
    for ending in sorted(FITS_ENDINGS, key=len, reverse=True):
        if path.name.lower().endswith(ending):
            return path.name[: -len(ending)]
    return path.stem


def _labelled(part: Part, label: str, file: str) -> Part:
    """Part whose file's label says more than its extension, or as much."""
    role = role_of(label, anywhere=False) or part.role
    name = f"{label}_{part.name}" if part.name else label
    return replace(part, name=name, role=role, key=_key(name), file=file)


def _shared(words: Sequence[Sequence[str]]) -> int:
    """Number of words that all sequences begin with."""
    n = 0
    while all(len(w) > n for w in words) and len({w[n] for w in words}) == 1:
        n += 1
    return n


def words_of(name: str) -> list[str]:
    """Words of a name, in lower case."""
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]


def _key(name: str) -> str:
    """Words of a name that do not state a role, "map" of "noise_map" among those that do."""
    return "_".join(word for word in words_of(name) if word not in ROLES and word != "map")


def _parts_of(units: fits.HDUList) -> list[Part]:
    """Parts of all header-data units that are images."""
    primary = units[0].header  # type: ignore[attr-defined]
    parts = [_part(unit, primary) for unit in units]
    return [part for part in parts if part is not None]


def _check_sizes(path: Path, units: fits.HDUList) -> None:
    """Refuse headers that state more data than the file holds, before memory is taken for them."""
    n_bytes = path.stat().st_size
    plain = [unit for unit in units if not isinstance(unit, fits.CompImageHDU)]
    stated = [int(unit.size) for unit in plain]  # type: ignore[attr-defined]
    if path.suffix.lower() not in _ZIPPED and max(stated, default=0) > n_bytes:
        raise UnreadableFileError(
            truncated(path, f"its header states {max(stated)} bytes of data, it has {n_bytes}")
        )


def _has_lost_extension(path: Path, units: fits.HDUList) -> bool:
    """Whether another extension begins behind the last one that could be read."""
    last = units.fileinfo(len(units) - 1)
    if last is None or path.suffix.lower() in COMPRESSED:
        return False
    with path.open("rb") as file:
        file.seek(int(last["datLoc"]) + int(last["datSpan"]))
        return b"XTENSION" in file.read(80)


def _part(unit: Any, primary: fits.Header) -> Part | None:  # noqa: ANN401 - any kind of unit
    """Part of one header-data unit, None for a table or an empty one."""
    if not unit.is_image or unit.data is None or unit.data.size == 0:
        return None
    data = _without_empty_axes(np.asarray(unit.data))
    if data.ndim not in (2, 3, 4) or data.dtype.kind not in "iufb":
        return None
    name = "" if unit.name in ("PRIMARY", "COMPRESSED_IMAGE") else unit.name
    native = data.astype(data.dtype.newbyteorder("="))
    return Part(name, role_of(name) or "image", _key(name), native, unit.header, primary)


def _without_empty_axes(data: np.ndarray) -> np.ndarray:
    """Array without axes of length 1 in front of the image or behind it."""
    while data.ndim > 2 and data.shape[0] == 1:
        data = data[0]
    while data.ndim > 2 and data.shape[-1] == 1:
        data = data[..., 0]
    return data


def check_file(path: Path) -> None:
    """Refuse what is not there, a folder, or empty.

    Raises:
        MissingDataError: There is no such file.
        UnreadableFileError: It is a folder or empty.
    """
    if not path.exists():
        raise MissingDataError(f"'{path}' does not exist. Check the name, or quote the pattern.")
    if path.is_dir():
        raise UnreadableFileError(f"'{path}' is a folder, not a file. Give its FITS files.")
    if path.stat().st_size == 0:
        raise UnreadableFileError(f"'{path}' is empty (0 bytes). Fetch the file again.")


def truncated(path: Path, detail: str) -> str:
    """Say that a file is cut off."""
    return f"'{path}' is a truncated FITS file ({detail}). Fetch the file again."


def unreadable(path: Path, error: BaseException) -> str:
    """Say in plain words why a file cannot be read.

    Args:
        path: The file.
        error: What reading it raised.
    """
    detail = " ".join(str(error).split())[:160] or type(error).__name__
    if path.suffix.lower() in COMPRESSED:
        return (
            f"'{path}' cannot be read: compressed and truncated, or not FITS inside ({detail}). "
            "Fetch the file again."
        )
    with path.open("rb") as file:
        is_fits = file.read(9) == b"SIMPLE  ="
    if not is_fits:
        return (
            f"'{path}' is not a FITS file (it does not begin with SIMPLE = T). Allowed: FITS, "
            "plain or compressed as .gz or .fz."
        )
    if path.stat().st_size % _BLOCK or "reshape" in detail or "too small" in detail:
        return truncated(path, f"{path.stat().st_size} bytes, {detail}")
    return f"'{path}' cannot be read as FITS ({detail}). Fetch the file again."
