"""The work of the task Tune: train trial after trial, and say which settings mattered.

Which trial comes next, and how processes share a study, is in `study.py`.
"""

import csv
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.exceptions import TrialPruned
from optuna.importance import get_param_importances
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from stronglens.core.engine import Crew, map_shards
from stronglens.core.errors import StronglensError
from stronglens.core.files import atomic_path, write_text
from stronglens.core.rundir import RunDirectory, is_finished
from stronglens.core.task import load_result
from stronglens.data.catalog import write_table
from stronglens.plots.tuning import importance_figure, study_history
from stronglens.training.journal import Row, read_history
from stronglens.training.study import (
    Claim,
    StudyPlan,
    claim,
    give_up,
    has_died_too_often,
    listed_trials,
    open_study,
    values_by_name,
)
from stronglens.training.task import Train, TrainResult
from stronglens.training.train import train
from stronglens.training.trials import FOLDER, TRIALS
from stronglens.training.tune_task import Tune, TuneResult

_PAUSE = 2.0
_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}


@dataclass(frozen=True)
class Ended:
    """How a trial went."""

    folder: str
    """Name of its run directory."""
    words: str
    """What became of it."""


class TrialWorker:
    """Trains one trial after another of a study that it shares with others.

    Args:
        plan: The study.
        shared: Settings of train that all trials share.
        figure: Column of the history that is the value of a trial.
    """

    def __init__(self, plan: StudyPlan, shared: dict[str, Any], figure: str) -> None:
        self._plan = plan
        self._shared = shared
        self._figure = figure
        self._study = open_study(plan)

    def __call__(self, shard: int, following: int | None, /) -> Ended | None:
        """Train the next trial, whatever its number; None if there is none left."""
        claimed = claim(self._study, self._plan)
        if claimed is None:
            return None
        with claimed.lock:
            return Ended(claimed.folder, self._trained(claimed))

    def _trained(self, claimed: Claim) -> str:
        trial = claimed.trial
        if has_died_too_often(trial):
            give_up(self._study, trial, "the process died of it again and again")
            return "failed: the process died of it again and again"
        folder = self._plan.folder / FOLDER / claimed.folder
        try:
            value = self._value(trial, folder)
        except TrialPruned as stop:
            self._study.tell(trial, state=TrialState.PRUNED)
            return f"pruned: {stop}"
        except (StronglensError, torch.OutOfMemoryError) as error:
            reason = " ".join(str(error).split())
            give_up(self._study, trial, reason)
            return f"failed: {reason}"
        self._study.tell(trial, value)
        return f"{self._figure} {value:.5g}"

    def _value(self, trial: Trial, folder: Path) -> float:
        """Train a trial, or go on with its training, and return its value."""
        settings = {**self._shared, **trial.params}
        task = Train.from_dict(settings, f"trial {trial.number}").resolved()
        task.check()
        if is_finished(folder):
            result = load_result(folder, TrainResult)
        else:
            watch = partial(_watch, trial, self._figure)
            if (folder / "history.csv").is_file():
                _report_again(trial, self._figure, read_history(folder / "history.csv"))
            with RunDirectory.open(folder, task, resume=False) as run:
                result = train(task, run, watch)
                run.keep_result(result)
        return float(getattr(result, self._figure))


def tune(task: Tune, run: RunDirectory) -> TuneResult:
    """Search settings, or go on with a search that was interrupted or is shared.

    Args:
        task: The settings.
        run: Where the journal, the trials, their table and the figures go.

    Returns:
        What was found.
    """
    plan = StudyPlan(
        folder=run.path.resolve(),
        space=task.dimensions(),
        sampler=task.sampler,
        pruner=task.pruner,
        patience=task.patience,
        is_minimised=task.objective == "loss",
        n_trials=task.trials or 1,
        seed=task.seed,
    )
    study = open_study(plan)
    figure = f"val_{task.objective}"
    work = partial(TrialWorker, plan, task.shared(), figure)
    crew = Crew(task.engine, task.workers, task.gpus)
    for n, outcome in enumerate(map_shards(work, range(plan.n_trials), crew), 1):
        ended = outcome.result
        words = outcome.fault or ("" if ended is None else f"trial {ended.folder}: {ended.words}")
        if words:
            run.log(words)
        run.progress(trials=n)
    _wait_for_others(study, work)
    return _concluded(task, plan, study, run)


def _wait_for_others(study: Study, work: Callable[[], TrialWorker]) -> None:
    """Wait for trials of processes that share the study, and take over those of killed ones."""
    worker: TrialWorker | None = None
    while study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        worker = worker or work()
        if worker(0, None) is None:
            time.sleep(_PAUSE)


def _watch(trial: Trial, figure: str, row: Row) -> None:
    """Report an epoch, and end a trial that is poor."""
    trial.report(row[figure], int(row["epoch"]))
    if trial.should_prune():
        raise TrialPruned(f"{figure} {row[figure]:.5g} after epoch {row['epoch']:.0f} is poor")


def _report_again(trial: Trial, figure: str, history: dict[str, list[float]]) -> None:
    """Report the epochs of a training that is taken up again."""
    for epoch, value in zip(history["epoch"], history[figure], strict=True):
        trial.report(value, int(epoch))


def _concluded(task: Tune, plan: StudyPlan, study: Study, run: RunDirectory) -> TuneResult:
    """Write table and figures of a study as it stands."""
    trials = sorted(listed_trials(study), key=partial(_rank, is_minimised=plan.is_minimised))
    names = [one.name for one in plan.space]
    _write_trials(run.path, trials, names)
    importance = _importance(study, trials)
    _draw(task, plan, trials, importance, run.path / "figures")
    counts = {state: sum(one.state == state for one in trials) for state in _STATES}
    best = trials[0] if counts[TrialState.COMPLETE] else None
    path = None if best is None else run.path / FOLDER / _folder(best)
    if path is not None:
        write_text(run.path / "best.toml", (path / "settings.toml").read_text(encoding="utf-8"))
    shown = {} if best is None else best.params
    return TuneResult(
        path=run.path,
        n_complete=counts[TrialState.COMPLETE],
        n_pruned=counts[TrialState.PRUNED],
        n_failed=counts[TrialState.FAIL],
        objective=f"validation {task.objective}",
        best_value=None if best is None else best.value,
        best_trial=path,
        best_settings=" ".join(f"{name}={_short(value)}" for name, value in shown.items()),
        importance=" ".join(f"{name}={share:.2f}" for name, share in importance.items()),
    )


def _rank(trial: FrozenTrial, *, is_minimised: bool) -> tuple[int, float, int]:
    """Order of the table: complete trials by value, then the others by number."""
    if trial.state != TrialState.COMPLETE or trial.value is None:
        return 1, 0.0, _number(trial)
    return 0, trial.value if is_minimised else -trial.value, _number(trial)


def _folder(trial: FrozenTrial) -> str:
    return str(trial.user_attrs["folder"])


def _number(trial: FrozenTrial) -> int:
    """Place of a trial in the study; one that was given out anew keeps its own."""
    return int(_folder(trial))


def _last(trial: FrozenTrial) -> float:
    """Figure of the last epoch of a trial."""
    return trial.intermediate_values[max(trial.intermediate_values)]


def _short(value: Any) -> str:  # noqa: ANN401 - any setting
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _seconds(trial: FrozenTrial) -> float:
    return trial.duration.total_seconds() if trial.duration is not None else float("nan")


def _write_trials(path: Path, trials: list[FrozenTrial], names: list[str]) -> None:
    """Write every trial with its settings, best first, as Parquet and as CSV."""
    table: dict[str, list[Any]] = {
        "folder": [_folder(trial) for trial in trials],
        "state": [_STATES[trial.state] for trial in trials],
        "value": [float("nan") if trial.value is None else trial.value for trial in trials],
        "epochs": [len(trial.intermediate_values) for trial in trials],
        "seconds": [_seconds(trial) for trial in trials],
        **values_by_name(trials, names),
        "reason": [trial.user_attrs.get("reason", "") for trial in trials],
    }
    with atomic_path(path / "trials.csv") as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    write_table(path / TRIALS, {name: _column(values) for name, values in table.items()})


def _column(values: list[Any]) -> np.ndarray:
    """Numbers as an array of them, anything else as strings."""
    is_number = all(isinstance(value, int | float) for value in values)
    return np.array(values) if is_number else np.array([str(value) for value in values], object)


def _importance(study: Study, trials: list[FrozenTrial]) -> dict[str, float]:
    """Share of each setting in what makes trials differ; empty with too few trials to say."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    values = {trial.value for trial in complete}
    if len(complete) < 4 or len(values) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return get_param_importances(study)


def _draw(
    task: Tune,
    plan: StudyPlan,
    trials: list[FrozenTrial],
    importance: dict[str, float],
    folder: Path,
) -> None:
    folder.mkdir(exist_ok=True)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = [one for one in trials if one.state == TrialState.PRUNED and one.intermediate_values]
    if complete:
        figure = study_history(
            np.array([[_number(one), one.value] for one in complete], float),
            np.array([[_number(one), _last(one)] for one in pruned], float),
            figure=f"validation {task.objective}",
            is_minimised=plan.is_minimised,
        )
        figure.savefig(folder / "history.png")
    if importance:
        importance_figure(importance).savefig(folder / "importance.png")
