"""The result of a task as lines for the terminal; the whole of it is in result.json."""

import dataclasses
from pathlib import Path
from typing import Any

from stronglens.core.task import TaskResult


def result_lines(result: TaskResult) -> list[str]:
    """Return one line per number of a result, its directory last.

    Args:
        result: What a task gave back.
    """
    facts = {
        field.name: _text(getattr(result, field.name))
        for field in dataclasses.fields(result)
        if field.name != "path"
    }
    shown = {name: text for name, text in facts.items() if text}
    width = max((len(name) for name in shown), default=0)
    lines = [f"  {name:<{width}}  {text}" for name, text in shown.items()]
    is_there = (result.path / "result.json").is_file()
    return [*lines, f"in {result.path}" if is_there else f"nothing written to {result.path}"]


def _text(value: Any) -> str:  # noqa: ANN401 - any field of a result
    """Return a number, interval, name or path as text, and nothing for what is long."""
    if isinstance(value, bool | int | str | Path):
        return str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    # an estimate prints itself with its interval
    if dataclasses.is_dataclass(value) and hasattr(value, "low"):
        return str(value)
    return ""
