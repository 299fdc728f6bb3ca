"""A study on Optuna that several processes share and that survives a killed one.

All is kept in a journal file. Who works on a trial holds a lock of the operating system, which is
free again as soon as that process has gone, however that happened: then the trial is given out anew
and its training goes on where it stopped. How a trial is trained is in `tune.py`.
"""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from stronglens.core.seeds import derived_seed
from stronglens.training.search_space import Choice, Dimension, grid

JOURNAL = "study.journal"
_LOCKS = "locks"
_NAME = "study"
_MOST_ATTEMPTS = 3
_TORN = 2**20


@dataclass(frozen=True)
class StudyPlan:
    """What a study is, as every process that works on it is told."""

    folder: Path
    """Directory of the study."""
    space: tuple[Dimension, ...]
    """What is searched."""
    sampler: str
    """tpe, random or grid."""
    pruner: str
    """median or none."""
    patience: int
    """Trials, and epochs of a trial, before any trial is given up."""
    is_minimised: bool
    """Whether a small value is a good one."""
    n_trials: int
    """Trials in all."""
    seed: int
    """Seed of the choice of trials."""


@dataclass(frozen=True)
class Claim:
    """A trial that this process alone works on."""

    trial: Trial
    """The trial."""
    folder: str
    """Name of its run directory; that of the trial it takes up, if that one was interrupted."""
    lock: IO[str]
    """What keeps others away while it is open."""


class KernelLock(JournalFileOpenLock):
    """A lock of the operating system on the journal; nobody waits for a process that was killed.

    Args:
        path: The file that is locked.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._file: IO[str] | None = None

    def acquire(self) -> bool:
        """Wait until the lock is free, and take it."""
        self._file = self._path.open("a", encoding="utf-8")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None


class SeededSampler(BaseSampler):
    """A sampler whose choice for a trial hangs on the trials before and not on the process.

    Args:
        kind: tpe or random.
        seed: Seed of the study.
    """

    def __init__(self, kind: str, seed: int) -> None:
        self._kind = kind
        self._seed = seed
        self._number = -1
        self._sampler: BaseSampler = RandomSampler(seed=0)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return what is drawn together."""
        return self._of(study, trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw what is drawn together."""
        return self._of(study, trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:  # noqa: ANN401 - any setting
        """Draw one setting."""
        own = self._of(study, trial)
        return own.sample_independent(study, trial, param_name, param_distribution)

    def _of(self, study: Study, trial: FrozenTrial) -> BaseSampler:
        if trial.number != self._number:
            others = study.get_trials(deepcopy=False)[: trial.number]
            place = sum(not _is_given_out_anew(other) for other in others)
            seed = derived_seed(self._seed, "trial", place) % 2**32
            is_tpe = self._kind == "tpe"
            self._sampler = TPESampler(seed=seed) if is_tpe else RandomSampler(seed=seed)
            self._number = trial.number
        return self._sampler


def open_study(plan: StudyPlan) -> Study:
    """Open a study, or make it where there is none; the combinations of a grid are queued then."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    (plan.folder / _LOCKS).mkdir(parents=True, exist_ok=True)
    journal = plan.folder / JOURNAL
    lock = KernelLock(plan.folder / _LOCKS / "journal.lock")
    with _held(lock):
        _drop_torn_line(journal)
    storage = JournalStorage(JournalFileBackend(str(journal), lock))
    with _held(_study_lock(plan)):
        study = optuna.create_study(
            study_name=_NAME,
            storage=storage,
            sampler=SeededSampler(plan.sampler, plan.seed),
            pruner=_pruner(plan),
            direction="minimize" if plan.is_minimised else "maximize",
            load_if_exists=True,
        )
        if plan.sampler == "grid":
            for values in grid(plan.space)[len(_queued(study)) : plan.n_trials]:
                study.enqueue_trial(values)
    return study


def claim(study: Study, plan: StudyPlan) -> Claim | None:
    """Take the next trial, first of all one whose process has gone; None if there is none left."""
    with _held(_study_lock(plan)):
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            _give_out_anew(study, plan, trial)
        trials = study.get_trials(deepcopy=False)
        is_waiting = any(trial.state == TrialState.WAITING for trial in trials)
        n_taken = sum(not _is_awaited(trial) for trial in trials)
        if n_taken >= plan.n_trials or (plan.sampler == "grid" and not is_waiting):
            return None
        asked = study.ask({one.name: _distribution(one) for one in plan.space})
        if "folder" not in asked.user_attrs:
            asked.set_user_attr("folder", _next_folder(trials))
        lock = _try_lock(plan, asked.number)
    return None if lock is None else Claim(asked, asked.user_attrs["folder"], lock)


def has_died_too_often(trial: Trial) -> bool:
    """Whether so many processes have gone during a trial that it must be the cause."""
    return int(trial.user_attrs.get("attempt", 1)) > _MOST_ATTEMPTS


def give_up(study: Study, trial: Trial, reason: str) -> None:
    """Mark a trial as failed, with the reason."""
    trial.set_user_attr("reason", reason)
    study.tell(trial, state=TrialState.FAIL)


def listed_trials(study: Study) -> list[FrozenTrial]:
    """Trials with a run directory, without those that were given out anew."""
    trials = study.get_trials(deepcopy=False)
    return [one for one in trials if "folder" in one.user_attrs and not _is_awaited(one)]


def _next_folder(trials: Sequence[FrozenTrial]) -> str:
    """Name that no trial has yet."""
    taken = [int(one.user_attrs["folder"]) for one in trials if "folder" in one.user_attrs]
    return f"{max(taken, default=-1) + 1:04d}"


def _queued(study: Study) -> list[FrozenTrial]:
    """Trials that came from the grid, and not from one that was interrupted."""
    return [one for one in study.get_trials(deepcopy=False) if "attempt" not in one.user_attrs]


def _is_awaited(trial: FrozenTrial) -> bool:
    """Whether a trial has not begun, or was given out anew under another number."""
    return trial.state == TrialState.WAITING or _is_given_out_anew(trial)


def _is_given_out_anew(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.FAIL and "reason" not in trial.user_attrs


def _give_out_anew(study: Study, plan: StudyPlan, trial: FrozenTrial) -> None:
    """Queue a trial again if nobody works on it any more."""
    lock = _try_lock(plan, trial.number)
    if lock is None:
        return
    with lock:
        attempt = int(trial.user_attrs.get("attempt", 1)) + 1
        facts = {**trial.user_attrs, "attempt": attempt}
        study.enqueue_trial(dict(trial.params), user_attrs=facts)
        study.tell(trial.number, state=TrialState.FAIL)


def _distribution(one: Dimension) -> BaseDistribution:
    if isinstance(one, Choice):
        return CategoricalDistribution(one.values)
    if one.is_integer:
        return IntDistribution(round(one.low), round(one.high), log=one.is_log)
    return FloatDistribution(one.low, one.high, log=one.is_log)


def _pruner(plan: StudyPlan) -> BasePruner:
    if plan.pruner == "none":
        return NopPruner()
    return MedianPruner(n_startup_trials=plan.patience, n_warmup_steps=plan.patience)


def _study_lock(plan: StudyPlan) -> KernelLock:
    return KernelLock(plan.folder / _LOCKS / "study.lock")


@contextmanager
def _held(lock: KernelLock) -> Iterator[None]:
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _try_lock(plan: StudyPlan, number: int) -> IO[str] | None:
    """Lock a trial, or return None if another process, or another claim, has it."""
    file = (plan.folder / _LOCKS / f"{number:04d}.lock").open("a", encoding="utf-8")
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file
    file.close()
    return None


def _drop_torn_line(journal: Path) -> None:
    """Cut off what a process that was killed while it wrote has left behind the last full line."""
    if not journal.is_file():
        return
    size = journal.stat().st_size
    with journal.open("rb+") as file:
        start = max(size - _TORN, 0)
        file.seek(start)
        tail = file.read()
        if tail and not tail.endswith(b"\n"):
            file.truncate(start + tail.rfind(b"\n") + 1)


def values_by_name(trials: Sequence[FrozenTrial], names: Sequence[str]) -> dict[str, list[Any]]:
    """Settings of trials, column by column; None where a trial has none."""
    return {name: [trial.params.get(name) for trial in trials] for name in names}
