"""Settings from a TOML file, checked field by field before flags go on top of them.

A file may give some settings only; whole tasks are read by `core.task`.
"""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from stronglens.core.errors import MissingDataError, OutOfRangeError, UnreadableFileError
from stronglens.core.task import AbstractTask, misfit


def read_config(task_type: type[AbstractTask], path: Path) -> dict[str, Any]:
    """Read those settings of a task that a TOML file gives, checked and typed.

    Args:
        task_type: The task they are for.
        path: The file; settings.toml of a run directory is one.

    Raises:
        MissingDataError: There is no such file.
        UnreadableFileError: It is not TOML.
        OutOfRangeError: A key or value does not fit the task; every fault is named at once.
    """
    if not path.is_file():
        raise MissingDataError(f"no file {path}. Give --config a TOML file with settings.")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"{path} is not valid TOML: {error}.") from error
    verb = values.pop("task", task_type.verb)
    if verb != task_type.verb:
        raise OutOfRangeError(
            f"{path} holds settings of '{verb}', not of '{task_type.verb}'. "
            f"Use: stronglens {verb} --config {path}."
        )
    return _checked(task_type, values, path)


def _checked(task_type: type[AbstractTask], values: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return values with the types of the task's fields; those left out stay out."""
    hints, fields = get_type_hints(task_type), dataclasses.fields(task_type)  # type: ignore[arg-type]
    # every field may be left out here: flags can give it
    columns: dict[str, Any] = {field.name: (hints[field.name], None) for field in fields}
    partial = create_model(task_type.__name__, __config__=ConfigDict(extra="forbid"), **columns)
    try:
        checked = partial.model_validate(values)
    except ValidationError as error:
        raise misfit(task_type, error, str(path)) from error
    return {name: getattr(checked, name) for name in checked.model_fields_set}
