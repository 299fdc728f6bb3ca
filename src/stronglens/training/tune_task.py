"""The task Tune, as settings; its work is in `tune.py`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from stronglens.core.errors import OutOfRangeError
from stronglens.core.rundir import RunDirectory
from stronglens.core.task import AbstractTask, TaskResult, settings

if TYPE_CHECKING:
    from stronglens.training.search_space import Dimension

_TRIALS = 20


@dataclass(frozen=True)
class TuneResult(TaskResult):
    """What a study has found; every trial is a finder of its own below the directory."""

    n_complete: int
    """Trials that were trained to their end."""
    n_pruned: int
    """Trials given up because they were poor."""
    n_failed: int
    """Trials that could not be trained; the reasons stand in trials.csv."""
    objective: str
    """Figure of the validation images by which trials are compared."""
    best_value: float | None = None
    """That figure of the best trial."""
    best_trial: Path | None = None
    """Run directory of the best trial, a finder."""
    best_settings: str = ""
    """What was searched, in the best trial."""
    importance: str = ""
    """Share of the differences between trials that each setting explains."""

    @property
    def exit_code(self) -> int:
        """Status for scripts: 0 some trial was trained, 1 none was."""
        return 0 if self.n_complete else 1


@settings
@dataclass(frozen=True)
class Tune(AbstractTask):
    """Search the settings of train: a study of many trials, each a finder of its own."""

    verb: ClassVar[str] = "tune"
    result_type: ClassVar[type[TaskResult]] = TuneResult
    execution_options: ClassVar[frozenset[str]] = frozenset(
        {"engine", "workers", "threads", "gpus", "device"}
    )

    data: Path
    """Dataset with the splits train and validation."""
    network: str = "resnet-small"
    """Network to train, unless it is searched."""
    search: tuple[str, ...] = ()
    """What to search, by names of train: width=16,32,64 dropout=0..0.5 learning_rate=1e-4..1e-2:log
    or, in five steps, learning_rate=1e-4..1e-2:log:5."""
    space: Literal["none", "deck"] = "none"
    """Ready-made space, to which search adds: deck has the 13 hyper-parameters of the deck."""
    fixed: tuple[str, ...] = ()
    """Settings of train that all trials share, such as epochs=20 batch_size=64."""
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    """How trials are chosen: by what did well so far, at random, or every combination."""
    trials: int | None = None
    """Trials in all, by default 20 or every combination of a grid; more may be asked for later."""
    objective: Literal["loss", "accuracy"] | None = None
    """Validation figure to compare by: loss, or accuracy where the loss itself is searched."""
    pruner: Literal["median", "none"] = "median"
    """Give up a trial whose figure is worse than the median of the others at the same epoch."""
    patience: int = 5
    """Trials that must have ended, and epochs that a trial gets, before any is given up."""
    seed: int = 1
    """Seed of the choice of trials and of every training, unless it is searched."""
    engine: Literal["local", "ray"] = "local"
    """Processes of this machine, or a Ray cluster."""
    workers: int = 1
    """Trials at a time."""
    threads: int = 0
    """CPU threads of each trial; 0 for all cores."""
    gpus: float = 0.0
    """GPUs of each trial on Ray; may be a part of one."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""

    def resolved(self) -> Self:
        """Fill in what follows from the space."""
        names = {one.name for one in self.dimensions()}
        objective = self.objective or ("accuracy" if "loss" in names else "loss")
        trials = self.trials
        if trials is None:
            trials = self._n_combinations() if self.sampler == "grid" else _TRIALS
        return replace(self, objective=objective, trials=trials)

    def check(self) -> None:
        """Refuse settings that cannot work, and data that are not there."""
        for name, lowest in (("trials", 1), ("workers", 1), ("patience", 1), ("threads", 0),
                             ("seed", 0), ("gpus", 0)):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise OutOfRangeError(
                    f"{name}={value} is outside its range. Allowed: {lowest} or more."
                )
        if not self.dimensions():
            raise OutOfRangeError(
                "search is empty: there is nothing to tune. Give --search width=16,32,64 "
                "learning_rate=1e-4..1e-2:log, or --space deck."
            )
        if "loss" in {one.name for one in self.dimensions()} and self.objective == "loss":
            raise OutOfRangeError(
                "objective='loss' compares values of different losses, since loss is searched. "
                "Use --objective accuracy."
            )
        from stronglens.data.store import open_dataset
        from stronglens.finders import networks
        from stronglens.training.batches import labelled_rows

        networks.get(self.network)
        dataset = open_dataset(self.data)
        for split in ("train", "validation"):
            labelled_rows(dataset, split)

    def growing(self) -> frozenset[str]:
        """Return the number of trials, which may be larger when the command is given again."""
        return frozenset({"trials"})

    def inputs(self) -> dict[str, Path]:
        """Return the dataset."""
        return {"data": self.data}

    def dimensions(self) -> "tuple[Dimension, ...]":
        """Return what is searched."""
        from stronglens.training.search_space import SPACES, parse_fixed, parse_space

        return parse_space((*SPACES[self.space], *self.search), parse_fixed(self.fixed))

    def shared(self) -> dict[str, Any]:
        """Return the settings of train that all trials share."""
        from stronglens.training.search_space import parse_fixed

        own = {"data": str(self.data.resolve()), "network": self.network, "seed": self.seed}
        own |= {"device": self.device, "workers": self.threads}
        return own | parse_fixed(self.fixed)

    def _n_combinations(self) -> int:
        from stronglens.training.search_space import grid

        return len(grid(self.dimensions()))

    def work(self, run: RunDirectory) -> TuneResult:
        """Tune."""
        from stronglens.training.tune import tune

        return tune(self, run)
