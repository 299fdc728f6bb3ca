"""The rows of a suite: networks trained for it under one limit of time, and finders that exist.

Training sets are simulated once and kept; a training that was stopped goes on where it was.
"""

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from suites.looking import suits
from suites.settings import OURS, Training

from stronglens.core.errors import StronglensError
from stronglens.core.rundir import is_finished
from stronglens.core.task import load_result
from stronglens.core.weights import weights_file
from stronglens.data.catalog import read_table, write_table
from stronglens.data.layout import TRUTH, ImageFacts
from stronglens.finders.finder import load_finder
from stronglens.finders.networks import own_fit
from stronglens.finders.shipped import shipped_finders
from stronglens.training.journal import Clock
from stronglens.training.task import Train, TrainResult

TRAINED, SHIPPED, GIVEN = "trained here", "comes with the package", "given"


@dataclass(frozen=True)
class Entrant:
    """A row of a table."""

    name: str
    """Its name."""
    kind: str
    """Where it comes from."""
    weights: Path | None = None
    """Its weights; None where there are none."""
    reason: str = ""
    """Why there are none."""
    n_parameters: int = 0
    """Trained parameters; 0 where not known."""
    seconds: float = 0.0
    """Time of its training on one thread [s]."""
    epochs: float = 0.0
    """Passes over its training images."""

    @property
    def key(self) -> str:
        """Name of its scores: another training gives another one."""
        if self.weights is None:
            return self.name
        return f"{self.name}-{hashlib.sha256(self.weights.read_bytes()).hexdigest()[:8]}"


def trained(training: Training, root: Path, only: Sequence[str], workers: int) -> list[Entrant]:
    """Train every row of a set that is missing, several at a time.

    Args:
        training: The set, and its rows.
        root: Where sets and trainings are kept.
        only: Names of rows; all where empty.
        workers: Processes of one thread each.
    """
    names = [name for name in training.networks if not only or name in only]
    if not names:
        return []
    data = training_set(training, root, workers)
    folder = trained_folder(training, root)
    tasks = {name: (task_of(name, data, training.minutes), folder / name) for name in names}
    return list(_run_all(tasks, workers).values())


def left_out(training: Training, root: Path, workers: int) -> dict[str, Entrant]:
    """Train ours without one family of look-alikes at a time.

    Args:
        training: The set; what it leaves out stands in its settings.
        root: Where sets and trainings are kept.
        workers: Processes of one thread each.

    Returns:
        The finder that never saw a family, by the family's name.
    """
    data, tasks = training_set(training, root, workers), {}
    for family in training.leave_out:
        part = without_family(data, family, root / "sets" / f"{training.name}-without-{family}")
        out = trained_folder(training, root) / f"{OURS}-without-{family}"
        tasks[family] = (task_of(OURS, part, training.minutes), out)
    return _run_all(tasks, workers)


def trained_folder(training: Training, root: Path) -> Path:
    """Return where trainings on a set are kept: another time is another training."""
    words = [training.name, training.variant, f"{training.minutes:g}min"]
    return root / "trained" / "-".join(word for word in words if word)


def training_set(training: Training, root: Path, workers: int) -> Path:
    """Simulate a training set unless it is there, and return the folder that is learnt from."""
    path = root / "sets" / training.name
    if not is_finished(path):
        replace(training.simulate, workers=workers).run(path)
    return path / training.variant if training.variant else path


def without_family(data: Path, family: str, out: Path) -> Path:
    """The same dataset, the images of one family of scenes having no label.

    Args:
        data: A dataset.
        family: Class of scenes.
        out: Folder of the new one, which shares the pixels of the old.
    """
    if out.is_dir():
        return out
    out.mkdir(parents=True)
    for file in data.iterdir():
        if file.name != TRUTH:
            (out / file.name).symlink_to(file.resolve())
    truth = read_table(data / TRUTH)
    truth["label"] = np.where(truth["scene_class"] == family, np.nan, truth["label"])
    write_table(out / TRUTH, truth)
    return out


def task_of(network: str, data: Path, minutes: float) -> Train:
    """Training of a row by its own recipe, on one thread, within a time."""
    if own_fit(network) is not None:
        return Train(data=data, network=network, workers=1)
    return Train(data=data, network=network, workers=1, max_minutes=minutes)


def existing(facts: ImageFacts, given: Sequence[str], only: Sequence[str]) -> list[Entrant]:
    """Finders that need no training and suit the images: those of the package, and those given.

    Args:
        facts: What the images are.
        given: NAME=PATH of other finders.
        only: Names of rows; all where empty.
    """
    found = [Entrant(f"{one.name} (shipped)", SHIPPED, one.path) for one in shipped_finders()]
    for text in given:
        name, path = text.split("=", 1)
        found.append(Entrant(name, GIVEN, weights_file(Path(path), "finder", "train")))
    suited = []
    for one in found:
        if only and one.kind == SHIPPED and one.name.split(" ")[0] not in only:
            continue
        finder = load_finder(one.weights or "")
        if suits(finder, facts):
            n = sum(weight.numel() for weight in finder.network.parameters())
            suited.append(replace(one, n_parameters=n))
    return suited


def _run_all(tasks: dict[str, tuple[Train, Path]], workers: int) -> dict[str, Entrant]:
    """Run trainings side by side; one that cannot work says why in its row."""
    if workers <= 1:
        return {name: _run(*one) for name, one in tasks.items()}
    context = get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context) as pool:
        waiting = {name: pool.submit(_run, *one) for name, one in tasks.items()}
        return {name: future.result() for name, future in waiting.items()}


def _run(task: Train, out: Path) -> Entrant:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    torch.set_num_threads(1)
    # processor time of one thread is wall-clock time of an idle machine, whatever else runs here
    Clock.now = staticmethod(time.process_time)
    try:
        if not is_finished(out):
            task.run(out)
        result = load_result(out, TrainResult)
    except StronglensError as error:
        return Entrant(task.network, TRAINED, reason=str(error))
    seen = result.images_per_second * result.seconds / max(result.n_train, 1)
    return Entrant(
        task.network, TRAINED, out / "weights.safetensors", n_parameters=result.n_parameters,
        seconds=result.seconds, epochs=seen,
    )  # fmt: skip
