"""The task Combine, as settings; its work is in `committee.py`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from stronglens.core.errors import OutOfRangeError
from stronglens.core.rundir import RunDirectory
from stronglens.core.task import AbstractTask, TaskResult, settings
from stronglens.evaluation.estimate import Estimate


@dataclass(frozen=True)
class CombineResult(TaskResult):
    """A committee and what it gains; the directory is a finder for every other verb."""

    n_members: int
    """Number of members."""
    method: str
    """How they are combined."""
    judged_on: str
    """Images behind the figures below, in words."""
    best_member: str
    """Member that ranked best on the images to which the weights were fitted."""
    auroc: Estimate
    """Area under the ROC curve of the committee."""
    gain_auroc: Estimate
    """That area minus the best member's, on the same images."""
    gain_rare: Estimate
    """The same for the mean true-positive rate at small false-positive rates, in log rate."""
    table: str = ""
    """Figures of every member and of every way to combine them."""
    overlap: str = ""
    """Shares of false positives that members have in common."""


@settings
@dataclass(frozen=True)
class Combine(AbstractTask):
    """Join finders to a committee that works as one finder, weighed on validation images."""

    verb: ClassVar[str] = "combine"
    result_type: ClassVar[type[TaskResult]] = CombineResult
    execution_options: ClassVar[frozenset[str]] = frozenset({"device"})

    data: Path
    """Dataset whose validation split weighs and judges the members; never its test split."""
    finders: tuple[Path, ...] = ()
    """Members: run directories of `train`, weights files, or studies of `tune`."""
    top: int = 5
    """Trials to take of each study, best first."""
    method: Literal["log-odds", "mean", "median", "stacking", "greedy"] = "log-odds"
    """Combination: mean log-odds, mean probability, median log-odds, logistic regression, or greedy
    selection of members."""
    calibration: Literal["beta", "temperature"] = "beta"
    """Map from each member's logits to log-odds."""
    seed: int = 1
    """Seed of the intervals."""
    n_bootstrap: int = 200
    """Resamplings behind each interval."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to score."""

    def check(self) -> None:
        """Refuse settings that cannot work, and members that do not fit each other or the data."""
        for name, lowest in (("top", 1), ("seed", 0), ("n_bootstrap", 100)):
            if getattr(self, name) < lowest:
                raise OutOfRangeError(
                    f"{name}={getattr(self, name)} is outside its range. Allowed: {lowest} or more."
                )
        from stronglens.data.store import open_dataset
        from stronglens.finders import load_finder
        from stronglens.finders.committee import check_members
        from stronglens.training.trials import member_paths

        paths = member_paths(self.finders, self.top)
        finders = [load_finder(path) for path in paths]
        check_members(finders, [str(path) for path in paths])
        dataset = open_dataset(self.data)
        height, width = dataset.size
        for finder in finders:
            finder.check(dataset.bands, dataset.pixel_scale, height=height, width=width)

    def inputs(self) -> dict[str, Path]:
        """Return members and dataset."""
        members = {f"finder_{i + 1}": path for i, path in enumerate(self.finders)}
        return {"data": self.data, **members}

    def work(self, run: RunDirectory) -> CombineResult:
        """Combine."""
        from stronglens.training.committee import combine

        return combine(self, run)
