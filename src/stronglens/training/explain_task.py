"""The task Explain, as settings; its work is in `explain.py`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from stronglens.core.errors import OutOfRangeError
from stronglens.core.rundir import RunDirectory
from stronglens.core.task import AbstractTask, TaskResult, settings


@dataclass(frozen=True)
class ExplainResult(TaskResult):
    """What was found about the images with the highest scores."""

    n: int
    """Images explained."""
    has_attributions: bool
    """Whether maps were made; they need the extra `explain`."""
    n_without_arc: int
    """Images that were scored without their arc as well; this needs the plane `source`."""


@settings
@dataclass(frozen=True)
class Explain(AbstractTask):
    """Show why a finder gave its highest scores: pixels, look-alikes, and the score without arc."""

    verb: ClassVar[str] = "explain"
    result_type: ClassVar[type[TaskResult]] = ExplainResult
    execution_options: ClassVar[frozenset[str]] = frozenset({"device"})

    finder: Path
    """Run directory of `train` or `calibrate`, or a weights file."""
    data: Path
    """Dataset with truth; its training images are where look-alikes are sought."""
    split: Literal["train", "validation", "test", "all"] = "test"
    """Which of its images."""
    label: Literal["any", "lenses", "others"] = "any"
    """Explain only images that truly are so."""
    top: int = 12
    """Images to explain, highest scores first."""
    steps: int = 32
    """Steps of the integral behind each attribution map."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to score."""

    def check(self) -> None:
        """Refuse settings that cannot work, and finders and data that do not fit."""
        for name, lowest in (("top", 1), ("steps", 4)):
            if getattr(self, name) < lowest:
                raise OutOfRangeError(
                    f"{name}={getattr(self, name)} is outside its range. Allowed: {lowest} or more."
                )
        from stronglens.data.store import open_dataset
        from stronglens.finders import load_finder

        dataset = open_dataset(self.data)
        height, width = dataset.size
        load_finder(self.finder).check(
            dataset.bands, dataset.pixel_scale, height=height, width=width
        )

    def inputs(self) -> dict[str, Path]:
        """Return finder and dataset."""
        from stronglens.finders.finder import finder_path

        return {"finder": finder_path(self.finder), "data": self.data}

    def work(self, run: RunDirectory) -> ExplainResult:
        """Explain."""
        from stronglens.training.explain import explain

        return explain(self, run)
