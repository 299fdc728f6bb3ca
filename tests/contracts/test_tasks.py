"""What every task promises, whatever its verb: one parametrised file for all of them."""

import dataclasses
import math
from typing import get_type_hints

import pytest

from stronglens.cli.flags import field_help
from stronglens.cli.main import main
from stronglens.cli.verbs import VERBS, task_of
from stronglens.core.errors import OutOfRangeError, UnknownNameError
from stronglens.core.task import AbstractTask, TaskResult

WITH_TASK = [name for name, verb in VERBS.items() if verb.task]
REQUIRED = 'data = "d"\nfinder = "f"\nfiles = ["a.fits"]\n'


def _fields(record):
    return {field.name: field for field in dataclasses.fields(record)}


def _nested(task):
    """Return the names of the fields of a task that are settings records themselves."""
    hints = get_type_hints(task)
    return [name for name in _fields(task) if dataclasses.is_dataclass(hints[name])]


def _required(task):
    """Return TOML for the fields of a task that have no default."""
    bare = [
        name
        for name, field in _fields(task).items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    return "".join(line + "\n" for line in REQUIRED.splitlines() if line.split()[0] in bare)


@pytest.fixture(params=WITH_TASK)
def task(request):
    """Every task in turn."""
    return task_of(request.param)


def test_task_is_a_frozen_dataclass_with_the_verb_of_the_table(task):
    assert issubclass(task, AbstractTask)
    assert dataclasses.is_dataclass(task)
    assert task.__dataclass_params__.frozen
    assert task_of(task.verb) is task
    assert issubclass(task.result_type, TaskResult)
    assert task.result_type is not TaskResult


def test_every_setting_is_explained(task):
    assert set(_fields(task)) <= set(field_help(task))
    hints = get_type_hints(task)
    for name in _nested(task):
        assert set(_fields(hints[name])) <= set(field_help(hints[name]))
    assert set(_fields(task.result_type)) <= set(field_help(task.result_type))


def test_positional_and_execution_options_are_fields(task):
    assert set(task.positional) <= set(_fields(task))
    assert set(task.execution_options) <= set(_fields(task))


def test_settings_survive_toml(task):
    made = task.from_toml(_required(task))
    assert task.from_toml(made.to_toml()) == made


def test_a_wrong_key_at_the_top_is_refused_by_name(task):
    with pytest.raises(OutOfRangeError, match="no_such_setting"):
        task.from_toml(_required(task) + "no_such_setting = 1\n")


def test_a_wrong_key_one_level_down_is_refused_with_its_path(task):
    for name in _nested(task):
        with pytest.raises(OutOfRangeError, match=rf"{name}\.no_such_setting"):
            task.from_toml(f"{_required(task)}[{name}]\nno_such_setting = 1\n")


def test_every_fault_comes_at_once(task):
    with pytest.raises(OutOfRangeError, match=r"no_such_setting.*nor_this_one"):
        task.from_toml(_required(task) + "no_such_setting = 1\nnor_this_one = 2\n")


@pytest.mark.parametrize("verb", WITH_TASK)
def test_a_wrong_key_in_a_file_is_refused_on_the_command_line(verb, capsys, empty_folder):
    (empty_folder / "wrong.toml").write_text("no_such_setting = 1\n")
    assert main([verb, "--config", "wrong.toml"]) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"stronglens {verb}: ")
    assert "no_such_setting" in message


@pytest.mark.parametrize("verb", WITH_TASK)
def test_a_seed_that_is_negative_is_refused_before_anything_is_written(verb, empty_folder):
    task = task_of(verb)
    if "seed" not in _fields(task):
        pytest.skip("the task draws nothing")
    made = dataclasses.replace(task.from_toml(_required(task)), seed=-1)
    with pytest.raises((OutOfRangeError, FileNotFoundError, UnknownNameError)):
        made.run("out")
    assert not (empty_folder / "out").exists()


def test_defaults_are_numbers_that_make_sense(task):
    for name, field in _fields(task).items():
        if isinstance(field.default, float):
            assert math.isfinite(field.default), name


def test_a_task_is_not_made_with_a_setting_it_does_not_have(task):
    with pytest.raises(TypeError, match="no_such_setting"):
        task(no_such_setting=1)
