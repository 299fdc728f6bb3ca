"""Run directories opened and run again: the verb written in them says which task they hold.

What is in a run directory is decided by `core.rundir`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from stronglens.cli.verbs import task_of
from stronglens.core.rundir import check_finished, read_settings
from stronglens.core.task import AbstractTask, TaskResult, load_result


def load_run(path: Path | str) -> TaskResult:
    """Open the result of a finished run.

    Args:
        path: Directory of the run.

    Returns:
        The record that `run()` returned when it was made.

    Raises:
        MissingDataError: There is no run in it.
        InterruptedRunError: Its run has not finished.
    """
    folder = Path(path)
    check_finished(folder)
    verb, _ = read_settings(folder)
    return load_result(folder, task_of(verb).result_type)


def load_task(path: Path | str) -> AbstractTask:
    """Return the task that a run directory was made by, with all its settings.

    Args:
        path: Directory of the run, finished or not.

    Raises:
        MissingDataError: There is no run in it.
    """
    folder = Path(path)
    verb, values = read_settings(folder)
    return task_of(verb).from_dict(values, source=str(folder / "settings.toml"))


def parse_rerun(words: Sequence[str]) -> tuple[AbstractTask, Path | None]:
    """Turn the words after `rerun` into the task of a run directory and the new directory."""
    parser = argparse.ArgumentParser("stronglens rerun", description="Run a run directory again.")
    parser.add_argument("run", type=Path, help="run directory, such as runs/sims")
    parser.add_argument("--out", type=Path, help="directory of the new run")
    given = parser.parse_args(list(words))
    return load_task(given.run), given.out
