"""The trials of a study on disk: their table, and finders among them, without Optuna.

How trials are drawn and run is in `study.py` and `tune.py`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.core.rundir import read_settings
from stronglens.data.catalog import read_table

TRIALS = "trials.parquet"
"""Table of the trials of a study, best first."""
FOLDER = "trials"
"""Folder of the trials' own run directories."""


def is_study(path: Path) -> bool:
    """Whether a directory is that of a study."""
    return (path / "settings.toml").is_file() and read_settings(path)[0] == "tune"


def best_trials(path: Path, top: int) -> list[Path]:
    """Run directories of the best finished trials of a study, best first.

    Args:
        path: Directory of the study.
        top: How many at most.

    Raises:
        MissingDataError: The study has no table of trials yet, or no trial has finished.
    """
    if not (path / TRIALS).is_file():
        raise MissingDataError(
            f"study {path} has no {TRIALS}. Let it finish: give its command again."
        )
    table = read_table(path / TRIALS)
    rows = np.flatnonzero(np.asarray(table["state"]) == "complete")
    if len(rows) == 0:
        raise MissingDataError(f"no trial of study {path} has finished. Use another study.")
    return [path / FOLDER / str(table["folder"][row]) for row in rows[:top]]


def member_paths(finders: Sequence[Path], top: int) -> list[Path]:
    """Finders that are named, with the best trials in the place of a study.

    Raises:
        OutOfRangeError: None is named, or one is named twice.
        MissingDataError: A study holds none.
    """
    if not finders:
        raise OutOfRangeError("finders is empty. Name two or more: --finders runs/a runs/b.")
    found: list[Path] = []
    for path in finders:
        found += best_trials(path, top) if is_study(path) else [path]
    twice = [str(path) for path in found if found.count(path) > 1]
    if twice:
        raise OutOfRangeError(f"finder {twice[0]} is named twice. Name each member once.")
    return found


def short_names(paths: Sequence[Path]) -> list[str]:
    """Shortest ends of paths by which they can be told apart."""
    deepest = max(len(path.parts) for path in paths)
    for n in range(1, deepest + 1):
        names = ["/".join(path.parts[-n:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]
