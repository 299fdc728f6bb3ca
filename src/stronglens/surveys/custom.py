"""A user's own survey as one TOML file: read, checked and written.

What the keys mean is said by the records; the surveys that come with stronglens have files of
their own.
"""

import dataclasses
import tomllib
from pathlib import Path

import tomli_w
from pydantic import TypeAdapter, ValidationError

from stronglens.core.errors import MissingDataError, OutOfRangeError, UnreadableFileError
from stronglens.core.task import plain_settings
from stronglens.surveys.records import Band, PublishedDepth, Survey

KERNEL_FILES = (".fits", ".fits.gz", ".npy")
"""Endings of a file with a measured PSF or noise covariance."""

_FILE_FIELDS = ("psf_kernel", "noise_covariance")
_RECORDS = {"survey": Survey, "bands": Band, "depth_published": PublishedDepth}


def read_survey(path: Path | str) -> Survey:
    """Read a survey from a TOML file.

    Args:
        path: The file; a psf_kernel or noise_covariance in it is looked for beside it.

    Raises:
        MissingDataError: There is no such file, or a file it names is missing.
        UnreadableFileError: The file is not TOML.
        OutOfRangeError: A key is unknown, missing or outside its range; every fault is named.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingDataError(f"{path} is not a file. Give the TOML file of a survey.")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"{path} is not valid TOML: {error}.") from error
    try:
        survey = TypeAdapter(Survey).validate_python(values)
    except ValidationError as error:
        raise _misfit(path, error) from error
    _check_names(path, survey)
    bands = tuple(_with_files(path, band) for band in survey.bands)
    return dataclasses.replace(survey, bands=bands)


def write_survey(survey: Survey, path: Path | str) -> None:
    """Write a survey as a TOML file that `read_survey` reads back.

    Args:
        survey: The survey.
        path: The file.
    """
    Path(path).write_text(tomli_w.dumps(plain_settings(survey)), encoding="utf-8")


def _misfit(path: Path, error: ValidationError) -> OutOfRangeError:
    """Build the error for values that are not a survey; every fault is named at once."""
    faults, records = [], {}
    for fault in error.errors():
        place = [str(part) for part in fault["loc"]]
        given = "" if fault["type"] == "missing" else f" (got {fault['input']!r})"
        faults.append(f"{'.'.join(place)}: {fault['msg']}{given}")
        if fault["type"] in ("missing", "extra_forbidden"):
            owner = next((part for part in reversed(place[:-1]) if part in _RECORDS), "survey")
            records[owner] = ", ".join(entry.name for entry in dataclasses.fields(_RECORDS[owner]))
    allowed = "".join(f" Keys of {owner}: {names}." for owner, names in records.items())
    return OutOfRangeError(
        f"{path} does not describe a survey: {'; '.join(faults)}.{allowed} Correct the file."
    )


def _check_names(path: Path, survey: Survey) -> None:
    names = [band.name for band in survey.bands]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OutOfRangeError(
            f"{path} has more than one band named {', '.join(twice)}. Names of bands differ; "
            "rename one."
        )


def _with_files(path: Path, band: Band) -> Band:
    """Return the band with the full paths of the files it names."""
    names = {name: getattr(band, name) for name in _FILE_FIELDS}
    found = {
        name: str(_file_beside(path, band, name))
        for name, file in names.items()
        if file is not None
    }
    return dataclasses.replace(band, **found)


def _file_beside(path: Path, band: Band, name: str) -> Path:
    """Return the path of a file that a band names, after making sure that it is there."""
    given = getattr(band, name)
    file = path.parent / given
    if not file.name.endswith(KERNEL_FILES):
        raise OutOfRangeError(
            f"{path}: {name}={given!r} of {band.name} ends in none of {', '.join(KERNEL_FILES)}. "
            "Save it as one of these."
        )
    if not file.is_file():
        raise MissingDataError(
            f"{path}: {name}={given!r} of {band.name} is not there. Put the file beside the TOML "
            "file."
        )
    return file
