"""The task Quickstart: the whole road in one command, from no data to a tested finder and a page.

Each step is a task of its own in a folder of its own; the page is made in `page`.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from stronglens.core.errors import OutOfRangeError
from stronglens.core.rundir import RunDirectory, is_finished
from stronglens.core.task import AbstractTask, TaskResult, load_result, settings

if TYPE_CHECKING:
    from stronglens.pipelines.page import Story

DECK_NETWORK = "deck-cnn"
OWN_NETWORK = "resnet-small"
_PRESETS = {"quick": (8_000, 2.5), "full": (20_000, 30.0)}


@dataclass(frozen=True)
class QuickstartResult(TaskResult):
    """What the quickstart came to."""

    page: str
    """Name of the page in the run directory."""
    content_hash: str
    """Hash of the images."""
    worst_trick: float
    """Largest AUROC that any simple quantity reaches alone, or all together."""
    deck_accuracy: float
    """Accuracy of the deck's network on new images."""
    deck_auroc: float
    """Its AUROC."""
    own_accuracy: float
    """Accuracy of our network on the same images."""
    own_auroc: float
    """Its AUROC."""
    seconds: float
    """Time from start to page [s]."""


@settings
@dataclass(frozen=True)
class Quickstart(AbstractTask):
    """Simulate, audit, train two finders for equal time, test them, and make one page of it."""

    verb: ClassVar[str] = "quickstart"
    result_type: ClassVar[type[TaskResult]] = QuickstartResult
    execution_options: ClassVar[frozenset[str]] = frozenset({"device"})

    preset: Literal["quick", "full"] = "quick"
    """quick ends within ten minutes on two cores; full makes the whole set and trains longer."""
    n: int | None = None
    """Number of images; by default the preset's."""
    minutes: float | None = None
    """Training time of each finder [min]; by default the preset's."""
    seed: int = 1
    """Seed of images and trainings."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train and score."""

    def resolved(self) -> Self:
        """Fill what the preset decides."""
        n, minutes = _PRESETS[self.preset]
        return replace(self, n=self.n or n, minutes=self.minutes or minutes)

    def check(self) -> None:
        """Raise if a number is outside its range."""
        if self.n is not None and self.n < 200:
            raise OutOfRangeError(f"n={self.n} is too few to train and test on. Use 200 or more.")
        if self.minutes is not None and not 0 < self.minutes < 1e4:
            raise OutOfRangeError(f"minutes={self.minutes} is outside 0-10,000.")
        if self.seed < 0:
            raise OutOfRangeError(f"seed={self.seed} is negative. Use 0 or more.")

    def work(self, run: RunDirectory) -> QuickstartResult:
        """Run every step that is not finished yet, then write the page."""
        import time

        from stronglens.pipelines.page import write_page

        began = time.perf_counter()
        story = self._story(run)
        seconds = time.perf_counter() - began
        write_page(story, run.path, seconds)
        own, deck = story.evaluations[OWN_NETWORK], story.evaluations[DECK_NETWORK]
        return QuickstartResult(
            path=run.path,
            page="index.html",
            content_hash=story.simulation.content_hash,
            worst_trick=story.audit.worst_auroc,
            deck_accuracy=deck.accuracy.value,
            deck_auroc=deck.auroc.value,
            own_accuracy=own.accuracy.value,
            own_auroc=own.auroc.value,
            seconds=seconds,
        )

    def _story(self, run: RunDirectory) -> "Story":
        """Run the steps, in order."""
        from stronglens.pipelines.page import Story
        from stronglens.simulation.task import Simulate
        from stronglens.training.task import Audit, Evaluate, Train

        data = run.path / "data"
        device, seed = self.device, self.seed
        simulation = _step(run, "data", Simulate(n=self.n, seed=seed, device=device))
        audit = _step(run, "audit", Audit(data=data))
        trainings, evaluations = {}, {}
        for network in (DECK_NETWORK, OWN_NETWORK):
            name = f"train-{network}"
            task = Train(
                data=data, network=network, seed=seed, max_minutes=self.minutes, device=device
            )
            trainings[network] = _step(run, name, task)
            judge = Evaluate(finder=run.path / name, data=data, device=device)
            evaluations[network] = _step(run, f"test-{network}", judge)
        return Story(run.path, simulation, audit, trainings, evaluations)


def _step(run: RunDirectory, name: str, task: AbstractTask) -> Any:  # noqa: ANN401 - its own result
    """Run one step in its folder, or load what it left when it was finished before."""
    path = run.path / name
    if is_finished(path):
        return load_result(path, task.result_type)
    run.log(f"step {name}")
    run.progress(step=name)
    return task.run(path)
