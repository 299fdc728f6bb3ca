"""The task Calibrate, as settings; its work is in `calibration.py`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from stronglens.core.errors import OutOfRangeError
from stronglens.core.rundir import RunDirectory
from stronglens.core.task import AbstractTask, TaskResult, settings
from stronglens.evaluation.estimate import Estimate


@dataclass(frozen=True)
class CalibrateResult(TaskResult):
    """A finder that gives probabilities; the directory is a finder for every other verb."""

    method: str
    """Kind of the map from logits to log-odds."""
    rows: str
    """Images it was fitted to, in words."""
    n_positive: int
    """Lenses among them."""
    n_negative: int
    """Others among them."""
    slope: Estimate
    """True against predicted log-odds, on folds not fitted to; 1 is right."""
    intercept: Estimate
    """True minus predicted log-odds at a slope of 1; 0 is right."""
    abstain_above: float | None = None
    """Unlikeness from where on the finder abstains; None where images were too few to say."""


@settings
@dataclass(frozen=True)
class Calibrate(AbstractTask):
    """Give a finder probabilities, promised lists and the habit to abstain."""

    verb: ClassVar[str] = "calibrate"
    result_type: ClassVar[type[TaskResult]] = CalibrateResult
    execution_options: ClassVar[frozenset[str]] = frozenset({"device"})

    finder: Path
    """Run directory of `train`, a weights file, or a name of `stronglens list finders`."""
    data: Path
    """Dataset whose split `calibration`, or else half of whose validation split, is used."""
    method: Literal["temperature", "beta", "isotonic"] = "beta"
    """Map from logits to log-odds."""
    prevalence: float = 1e-3
    """Lenses over all objects, for the lists and the figure; `scan` may take another."""
    weighted: bool = False
    """Count images by the truth column `weight`: the sky's density over that drawn from."""
    keep: float = 0.99
    """Share of images like these that get a verdict; the finder abstains from others."""
    seed: int = 1
    """Seed of folds and intervals."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to score."""

    def check(self) -> None:
        """Refuse settings that cannot work, and finders and data that do not fit."""
        for name in ("prevalence", "keep"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise OutOfRangeError(f"{name}={value:g} is no share. Allowed: (0, 1).")
        if self.seed < 0:
            raise OutOfRangeError(f"seed={self.seed} is outside its range. Allowed: 0 or more.")
        from stronglens.data.store import open_dataset
        from stronglens.finders import load_finder
        from stronglens.training.scoring import calibration_rows, sky_weights

        dataset = open_dataset(self.data)
        height, width = dataset.size
        finder = load_finder(self.finder)
        finder.check(dataset.bands, dataset.pixel_scale, height=height, width=width)
        rows, _ = calibration_rows(dataset)
        if self.weighted:
            sky_weights(dataset, rows)

    def inputs(self) -> dict[str, Path]:
        """Return finder and dataset."""
        from stronglens.finders.finder import finder_path

        return {"finder": finder_path(self.finder), "data": self.data}

    def work(self, run: RunDirectory) -> CalibrateResult:
        """Calibrate."""
        from stronglens.training.calibration import calibrate

        return calibrate(self, run)
