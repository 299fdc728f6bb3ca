"""A task is one frozen dataclass: its fields are the settings, its run() does the work.

The same object is the call, the TOML file, the flags and the record in the run directory.
"""

import dataclasses
import tomllib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import ConfigDict, with_config

from stronglens.core.errors import OutOfRangeError, UnreadableFileError
from stronglens.core.files import read_json
from stronglens.core.rundir import RunDirectory

if TYPE_CHECKING:
    from pydantic import ValidationError

settings = with_config(ConfigDict(extra="forbid"))
"""Decorator of every task and settings record: a key that is not a field is refused."""


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """What a task gives back: a small frozen record, kept as result.json."""

    path: Path
    """Directory of the run."""


class AbstractTask(ABC):
    """Settings as fields, work in `work()`; subclasses are frozen dataclasses."""

    verb: ClassVar[str]
    result_type: ClassVar[type[TaskResult]]
    positional: ClassVar[tuple[str, ...]] = ()
    execution_options: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def work(self, run: RunDirectory) -> TaskResult:
        """Do the work inside an open run directory."""

    def check(self) -> None:  # noqa: B027 - a task whose settings cannot be wrong needs none
        """Raise if a setting is outside its range, before anything is written."""

    def resolved(self) -> Self:
        """Return the task with every default that depends on other settings filled in."""
        return self

    def growing(self) -> frozenset[str]:
        """Return the numbers that may be larger when the command is given again, for more."""
        return frozenset()

    def inputs(self) -> dict[str, Path]:
        """Return the files and folders the work reads, to be hashed into the record."""
        return {}

    def run(self, out: Path | str | None = None, *, resume: bool = False) -> TaskResult:
        """Run the task and keep everything about it in a directory.

        Args:
            out: Directory of the run; by default runs/<date>-<time>-<verb>. An interrupted run of
                the same settings in it goes on.
            resume: Demand that there is a run to go on with.

        Returns:
            The result record, also kept as result.json.

        Raises:
            StaleCheckpointError: The directory holds a run of other settings, or a finished one.
        """
        task = self.resolved()
        task.check()
        with RunDirectory.open(out, task, resume=resume) as run:
            result = task.work(run)
            run.keep_result(result)
        return result

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values; None is left out, since TOML has none."""
        return plain_settings(self)

    def to_toml(self) -> str:
        """Return the settings as TOML."""
        import tomli_w

        return tomli_w.dumps(self.to_dict())

    @classmethod
    def from_toml(cls, text: str, source: str = "settings") -> Self:
        """Build a task from TOML; every fault is reported at once with its path.

        Args:
            text: The TOML document.
            source: Its name, for the error message.

        Raises:
            UnreadableFileError: The text is not TOML.
            OutOfRangeError: A key or value is not one of the task's fields.
        """
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UnreadableFileError(f"{source} is not valid TOML: {error}.") from error
        return cls.from_dict(values, source)

    @classmethod
    def from_dict(cls, values: dict[str, Any], source: str = "settings") -> Self:
        """Build a task from plain values, checked as in `from_toml`."""
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(cls).validate_python(values)
        except ValidationError as error:
            raise misfit(cls, error, source) from error


def misfit(task_type: type[AbstractTask], error: "ValidationError", source: str) -> OutOfRangeError:
    """Build the error for values that do not fit a task; every fault is named at once.

    Args:
        task_type: The task.
        error: What pydantic found.
        source: Where the values come from, such as the name of a file.
    """
    faults = "; ".join(
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
        for fault in error.errors()
    )
    names = ", ".join(field.name for field in dataclasses.fields(task_type))  # type: ignore[arg-type]
    return OutOfRangeError(
        f"{source} does not fit the task '{task_type.verb}': {faults}. Fields: {names}."
    )


def plain_settings(record: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    """Return a settings record as plain TOML values, without those that are None."""
    return {
        field.name: _plain(getattr(record, field.name))
        for field in dataclasses.fields(record)
        if getattr(record, field.name) is not None
    }


def load_result(path: Path, result_type: type[TaskResult]) -> TaskResult:
    """Read result.json of a run directory back into its record."""
    from pydantic import TypeAdapter

    values = read_json(path / "result.json")
    return TypeAdapter(result_type).validate_python({**values, "path": path})


def _plain(value: Any) -> Any:  # noqa: ANN401 - any setting
    if dataclasses.is_dataclass(value):
        return plain_settings(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
