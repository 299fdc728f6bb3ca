"""Small files written whole or not at all, and the hash of what was read.

What stands in the files is known to their owners, not here.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stronglens.core.errors import MissingDataError, UnreadableFileError

_BOOKKEEPING = frozenset({"log.txt", "status.json", "environment.json"})


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and rename it into place if the block succeeds.

    Args:
        path: Where the finished file shall stand; its folder must exist.

    Yields:
        The path to write to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: dict[str, Any] | list[Any]) -> None:
    """Write JSON whole or not at all; NaN is refused, since JSON has none."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False, default=_plain) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        MissingDataError: There is no such file.
        UnreadableFileError: The file is not JSON.
    """
    if not path.is_file():
        raise MissingDataError(f"no file {path}. Is this the directory of a finished run?")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UnreadableFileError(
            f"{path} is not valid JSON ({error}). Run the task again."
        ) from error


def content_hash(path: Path) -> str:
    """Hash a file, or every file of a folder but the bookkeeping of the run that made it.

    Args:
        path: A file or a folder.

    Returns:
        The first 16 hexadecimal digits of a SHA-256.
    """
    digest = hashlib.sha256()
    if path.is_file():
        return _hash_of(path)
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name not in _BOOKKEEPING:
            digest.update(f"{file.relative_to(path)}:{_hash_of(file)}\n".encode())
    return digest.hexdigest()[:16]


def _hash_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever JSON does not know
    """Turn paths and numpy scalars into JSON values."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
