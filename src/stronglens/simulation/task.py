"""The task Simulate: a survey and a population become a dataset with truth.

What is drawn and rendered is decided in `population`, `scenes` and `observing`.
"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from stronglens.core.errors import OutOfRangeError
from stronglens.core.rundir import RunDirectory
from stronglens.core.task import AbstractTask, TaskResult, settings
from stronglens.simulation.presets import presets
from stronglens.simulation.priors import Population

if TYPE_CHECKING:
    from stronglens.simulation.simulated_set import AbstractSimulatedSet


@dataclass(frozen=True)
class SimulateResult(TaskResult):
    """What Simulate made."""

    n: int
    """Number of images."""
    n_lens: int
    """Number of lenses among them."""
    content_hash: str
    """Hash of every pixel and truth value of the stack."""
    images_per_second: float
    """Scenes drawn, rendered, observed and written per second; 0 where nothing was left to do."""


@settings
@dataclass(frozen=True)
class Simulate(AbstractTask):
    """Make mock images of lenses and of what is not one, with their truth."""

    verb: ClassVar[str] = "simulate"
    result_type: ClassVar[type[TaskResult]] = SimulateResult
    execution_options: ClassVar[frozenset[str]] = frozenset({"device", "workers"})

    preset: str = "deck"
    """Named set of defaults for what is not given: see `stronglens list presets`."""
    n: int | None = None
    """Number of images, half of them lenses; by default the preset's."""
    survey: str | None = None
    """Name of the survey; by default the preset's."""
    start: int = 0
    """Number of the first scene: scene i is the same in whatever set it is written."""
    seed: int = 1
    """Seed of every random draw: same seed, same images."""
    size: int = 45
    """Side of the images [pixels]."""
    oversample: int = 2
    """Sub-pixels per pixel side when rendering; centres and arcs are sampled more finely."""
    deflector_light: bool = True
    """Whether the deflector's own light is in the images."""
    planes: bool = True
    """Whether the aligned noiseless, source and deflector_light planes are written too."""
    single: bool = True
    """Whether the same scenes are also written as single exposures, in the folder `single`."""
    population: Population = field(default_factory=Population)
    """What deflectors and sources are drawn from."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to render."""
    workers: int = 1
    """Processes that simulate and write; use the number of cores."""

    def resolved(self) -> "Simulate":
        """Fill what the preset decides."""
        preset = presets.get(self.preset)
        return dataclasses.replace(self, n=self.n or preset.n, survey=self.survey or preset.survey)

    def check(self) -> None:
        """Raise if a number is outside its range."""
        self.population.check()
        if self.n is None or self.n < 10:
            raise OutOfRangeError(f"n={self.n} is too few: at least 10 images fill all splits.")
        if not 11 <= self.size <= 1024:
            raise OutOfRangeError(f"size={self.size} is outside 11-1024 pixels.")
        if not 1 <= self.oversample <= 20:
            raise OutOfRangeError(f"oversample={self.oversample} is outside 1-20.")
        if self.start < 0:
            raise OutOfRangeError(f"start={self.start} is negative. Use 0 or more.")
        if self.workers < 1:
            raise OutOfRangeError(f"workers={self.workers} is below 1. Use 1 or more processes.")
        if self.seed < 0:
            raise OutOfRangeError(f"seed={self.seed} is negative. Use 0 or more.")

    def plan(self) -> "AbstractSimulatedSet":
        """Return what the settings describe, ready to be drawn block by block."""
        from stronglens.simulation.deck import DeckSet
        from stronglens.surveys import survey

        task = self.resolved()
        return DeckSet(task, survey(str(task.survey)).bands[0])

    def work(self, run: RunDirectory) -> SimulateResult:
        """Draw, render and write every shard that is still missing."""
        from stronglens.simulation.dataset import write_dataset

        rate = write_dataset(self.plan(), run, self.workers)
        return _summary(run.path, rate)


def _summary(path: Path, rate: float) -> SimulateResult:
    from stronglens.data.store import open_dataset

    dataset = open_dataset(path)
    label = dataset.column("label")
    return SimulateResult(
        path=path,
        n=dataset.n,
        n_lens=int(label.sum()),
        content_hash=dataset.content_hash(),
        images_per_second=rate,
    )
