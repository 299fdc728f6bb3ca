"""Run directory: settings, environment, log, status and result of one execution of a task.

What the verb itself makes stands beside these files and is known to the verb alone.
"""

import dataclasses
import json
import platform
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from stronglens.core.errors import InterruptedRunError, MissingDataError, StaleCheckpointError
from stronglens.core.files import content_hash, read_json, write_json, write_text

if TYPE_CHECKING:
    from stronglens.core.task import AbstractTask, TaskResult

FORMAT_VERSION = 1
_PACKAGES = ("torch", "numpy", "lightning", "zarr", "pyarrow", "astropy", "scipy", "safetensors")


class RunDirectory:
    """One run's directory while its work goes on; use it as a context manager.

    Args:
        path: The directory.
        is_resumed: Whether an interrupted run of the same settings goes on in it.
    """

    def __init__(self, path: Path, *, is_resumed: bool) -> None:
        self.path = path
        self.is_resumed = is_resumed
        self._status: dict[str, Any] = {}

    @classmethod
    def open(cls, out: Path | str | None, task: "AbstractTask", *, resume: bool) -> Self:
        """Create the directory, or go on in one that the same settings left unfinished.

        Raises:
            StaleCheckpointError: It holds something else, or a finished run.
            MissingDataError: `resume` was asked for and there is nothing to resume.
        """
        path = Path(out) if out is not None else _default_path(task.verb)
        is_resumed = _check_existing(path, task, resume=resume)
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path, is_resumed=is_resumed)
        if not is_resumed or _growth(path, task):
            header = (
                f"# made by: stronglens {task.verb}; run again with: stronglens rerun {path.name}\n"
            )
            write_text(path / "settings.toml", f'{header}task = "{task.verb}"\n{task.to_toml()}')
            write_json(path / "environment.json", _environment(task))
        run.progress(state="running", verb=task.verb, started=_now(), format_version=FORMAT_VERSION)
        run.log(f"{'resumed' if is_resumed else 'started'}: stronglens {task.verb}")
        return run

    def __enter__(self) -> Self:
        """Return the run itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write how the run ended, whatever the reason."""
        state = "finished" if kind is None else "failed"
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            state = "interrupted"
        reason = {} if error is None else {"reason": f"{type(error).__name__}: {error}"}
        # a full disk must not hide the error that is on its way up
        with suppress(OSError):
            self.progress(state=state, ended=_now(), **reason)
            self.log(f"{state} {reason.get('reason', '')}".rstrip())

    def log(self, message: str) -> None:
        """Append a line with the time to log.txt."""
        with (self.path / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{_now()} {message}\n")

    def progress(self, **facts: Any) -> None:  # noqa: ANN401 - facts are free
        """Put facts such as the epochs done into status.json."""
        self._status.update(facts)
        write_json(self.path / "status.json", self._status)

    def keep_result(self, result: "TaskResult") -> None:
        """Write the frozen record that run() returns."""
        from stronglens.core.task import plain_settings

        values = plain_settings(result)
        write_json(self.path / "result.json", values)


def is_finished(path: Path) -> bool:
    """Whether a directory holds a finished run."""
    return (path / "status.json").is_file() and _state(path) == "finished"


def check_finished(path: Path) -> None:
    """Check that a directory holds a finished run.

    Raises:
        MissingDataError: It holds no run.
        InterruptedRunError: Its run has not finished.
    """
    if not (path / "status.json").is_file():
        raise MissingDataError(f"no run directory at {path} (status.json is missing).")
    state = read_json(path / "status.json").get("state")
    if state != "finished":
        raise InterruptedRunError(
            f"the run in {path} is {state}, not finished. Give its command again to let it go on."
        )


def read_settings(path: Path) -> tuple[str, dict[str, Any]]:
    """Read a run directory's verb and settings."""
    file = path / "settings.toml"
    if not file.is_file():
        raise MissingDataError(f"no run directory at {path} (settings.toml is missing).")
    values = tomllib.loads(file.read_text(encoding="utf-8"))
    return str(values.pop("task")), values


def _check_existing(path: Path, task: "AbstractTask", *, resume: bool) -> bool:
    """Return whether an unfinished run of these settings stands at `path`."""
    if path.exists() and not path.is_dir():
        raise StaleCheckpointError(f"{path} is a file, not a directory. Choose another --out.")
    if not path.exists() or not any(path.iterdir()):
        if resume:
            raise MissingDataError(
                f"nothing to resume in {path}. Leave out --resume to start there."
            )
        return False
    if not (path / "settings.toml").is_file():
        raise StaleCheckpointError(
            f"{path} is not empty and holds no run of stronglens. Choose another --out."
        )
    verb, values = read_settings(path)
    differing = _differing_fields(values, task) if verb == task.verb else []
    if verb != task.verb or differing:
        what = f"a run of '{verb}'" if verb != task.verb else "a run with other settings"
        names = f" ({'; '.join(differing)})" if differing else ""
        raise StaleCheckpointError(f"{path} holds {what}{names}. Choose another --out.")
    if _state(path) == "finished" and not _growth(path, task):
        raise StaleCheckpointError(f"{path} holds the finished run already. Choose another --out.")
    return True


def _growth(path: Path, task: "AbstractTask") -> list[str]:
    """Return the names of the settings that are larger than those of the run at `path`."""
    values, now = read_settings(path)[1], task.to_dict()
    return [name for name in task.growing() if now.get(name, 0) > values.get(name, 0)]


def _state(path: Path) -> str:
    """Return the state a run directory was left in; a run killed at birth counts as interrupted."""
    if not (path / "status.json").is_file():
        return "interrupted"
    return str(read_json(path / "status.json").get("state"))


def _differing_fields(values: Mapping[str, Any], task: "AbstractTask") -> list[str]:
    now = json.loads(json.dumps(task.to_dict(), default=str))
    grown = {name for name in task.growing() if now.get(name, 0) >= values.get(name, 0)}
    names = (set(values) | set(now)) - task.execution_options - grown
    return [
        f"{name}: {values.get(name, 'unset')!r} there, {now.get(name, 'unset')!r} now"
        for name in sorted(names)
        if values.get(name) != now.get(name)
    ]


def _default_path(verb: str) -> Path:
    return Path("runs") / f"{datetime.now(UTC).astimezone():%Y%m%d-%H%M%S}-{verb}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _environment(task: "AbstractTask") -> dict[str, Any]:
    """Return versions, commit, platform and the hashes of what will be read."""
    versions = {}
    for name in ("stronglens", *_PACKAGES):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    inputs = {
        name: {"path": str(path), "hash": content_hash(path) if path.exists() else None}
        for name, path in task.inputs().items()
    }
    return {
        "versions": versions,
        "commit": _commit(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "time": time.time(),
        "inputs": inputs,
        "settings_fields": [field.name for field in dataclasses.fields(task)],  # type: ignore[arg-type]
    }


def _commit() -> str | None:
    """Return the commit of the source tree, if it is a git checkout."""
    folder = Path(__file__).parent
    command = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
