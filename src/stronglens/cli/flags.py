"""Flags from the fields of a task: types and help come from the task, nothing is stated twice.

Which verb it is, and what happens when the task runs, is decided in `main`.
"""

import argparse
import ast
import dataclasses
import inspect
import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_origin, get_type_hints

import tyro

from stronglens.cli.config import read_config
from stronglens.core.task import AbstractTask

_PlainPath = Annotated[Path | None, tyro.conf.arg(help_behavior_hint="")]
_Switch = Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")]


@dataclass(frozen=True)
class RunOptions:
    """Where and how the task runs; not part of its settings."""

    out: _PlainPath = None
    """Directory of the run, by default runs/<date>-<time>-<verb>. An interrupted run goes on."""
    resume: _Switch = False
    """Demand that there is an interrupted run to go on with."""
    config: _PlainPath = None
    """TOML file with settings; flags go on top of it."""
    print_config: _Switch = False
    """Print the complete settings as TOML, and stop."""


def parse_flags(
    task_type: type[AbstractTask], words: Sequence[str], description: str
) -> tuple[AbstractTask, RunOptions]:
    """Turn the words after a verb into its task and the options of the run.

    Args:
        task_type: The task of the verb.
        words: What was typed after the verb.
        description: Text above the list of flags.

    Returns:
        The task with flags on top of the file of `--config`, and the options.

    Raises:
        MissingDataError: The file of `--config` is not there.
        OutOfRangeError: It has a key or value that does not fit the task.
        SystemExit: A flag is wrong, or help was asked for.
    """
    config = _config_of(words)
    given = {} if config is None else read_config(task_type, config)
    parsed = tyro.cli(
        _command_type(task_type, given),
        prog=f"stronglens {task_type.verb}",
        description=description,
        args=list(words),
        config=(tyro.conf.DisallowNone,),
    )
    fields = {field.name: getattr(parsed, field.name) for field in _fields(task_type)}
    return task_type(**fields), parsed.run


def field_help(record: type) -> dict[str, str]:
    """Return the docstring below each field of a dataclass, its bases included."""
    texts: dict[str, str] = {}
    for base in reversed(record.__mro__):
        if dataclasses.is_dataclass(base):
            texts |= _texts_below_fields(base)
    return texts


def _texts_below_fields(record: type) -> dict[str, str]:
    """Read the source of one class for the strings that stand below its fields."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(record))).body
    statements = body.body if isinstance(body, ast.ClassDef) else []
    texts = {}
    for field, text in itertools.pairwise(statements):
        if not isinstance(field, ast.AnnAssign) or not isinstance(text, ast.Expr):
            continue
        if isinstance(field.target, ast.Name) and isinstance(text.value, ast.Constant):
            texts[field.target.id] = " ".join(str(text.value.value).split())
    return texts


def _config_of(words: Sequence[str]) -> Path | None:
    """Return the file of `--config`, which must be read before the other flags."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path)
    return parser.parse_known_args(list(words))[0].config


def _fields(record: Any) -> tuple[dataclasses.Field[Any], ...]:  # noqa: ANN401 - any dataclass
    return dataclasses.fields(record)


def _command_type(task_type: type[AbstractTask], given: dict[str, Any]) -> type[Any]:
    """Build the record that tyro fills: the fields of a task, then the options of the run."""
    hints, helps = get_type_hints(task_type, include_extras=True), field_help(task_type)
    columns: list[tuple[str, Any, Any]] = []
    for field in _fields(task_type):
        default = _default_of(field, given)
        hint, text = hints[field.name], helps.get(field.name)
        if field.name in task_type.positional:
            shown = "(required)" if default is tyro.MISSING else None
            mark = tyro.conf.arg(
                help=text, metavar=_words(field.name, hint), help_behavior_hint=shown
            )
            hint = Annotated[hint, mark, tyro.conf.Positional]
        elif not dataclasses.is_dataclass(hint):
            shown = "" if default is None else None
            hint = Annotated[hint, tyro.conf.arg(help=text, help_behavior_hint=shown)]
        # through a factory, since a dataclass refuses a dictionary as its default
        own = dataclasses.field(default_factory=partial(_itself, default), kw_only=True)
        columns.append((field.name, hint, own))
    options = Annotated[RunOptions, tyro.conf.OmitArgPrefixes]
    columns.append(("run", options, dataclasses.field(default_factory=RunOptions)))
    return dataclasses.make_dataclass(f"{task_type.__name__}Command", columns, frozen=True)


def _itself(value: Any) -> Any:  # noqa: ANN401 - any default
    return value


def _default_of(field: "dataclasses.Field[Any]", given: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return what a flag means when it is not typed: the file's value, else the task's own."""
    if field.name in given:
        return given[field.name]
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return tyro.MISSING


def _words(name: str, hint: Any) -> str:  # noqa: ANN401 - any type
    """Return how a positional field is shown: FILE for one, FILES ... for any number."""
    return f"{name.upper()} ..." if get_origin(hint) is tuple else name.upper()
