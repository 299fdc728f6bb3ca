"""The work of the task Train: from a dataset to a finder with its history.

The loop itself is in `fit.py`, the reading of images in `batches.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from stronglens.core.device import cpu_threads, torch_device
from stronglens.core.rundir import RunDirectory
from stronglens.core.weights import WEIGHTS, load_weights
from stronglens.data.augment import AUGMENTATIONS
from stronglens.data.store import Dataset, open_dataset
from stronglens.evaluation.history import parting_epoch
from stronglens.evaluation.metrics import best_threshold
from stronglens.finders import (
    Architecture,
    Finder,
    FinderFacts,
    build_network,
    n_parameters,
    networks,
    own_fit,
    sigmoid,
)
from stronglens.finders.normalise import AbstractNormalisation, normalisations
from stronglens.plots.curves import training_history
from stronglens.training.batches import (
    Batch,
    Batches,
    StoredBatches,
    StreamedBatches,
    blank_bands_of,
    labelled_rows,
    labels_of,
    limited_rows,
    normalised_images,
    pixel_chunks,
    usable_rows,
)
from stronglens.training.extra import MixedBatches
from stronglens.training.fit import Hooks, Plan, Problem, fit
from stronglens.training.journal import Limits, Memory, Row
from stronglens.training.mining import MinedBatches
from stronglens.training.optim import LOSSES, LearningRate
from stronglens.training.own_fit import fit_at_once
from stronglens.training.progress import figures_line
from stronglens.training.repeats import RepeatedBatches
from stronglens.training.scoring import stopping_rows
from stronglens.training.starting import opened, stands_for, take_over
from stronglens.training.stream import open_stream
from stronglens.training.task import Train, TrainResult

LAST_WEIGHTS = "last.safetensors"
_SCORED_BATCH = 256


@dataclass(frozen=True)
class _Lesson:
    """What a training needs besides its settings."""

    finder: Finder
    training: Batches
    validation: StoredBatches
    n_train: int


def train(
    task: Train, run: RunDirectory, watch: Callable[[Row], None] | None = None
) -> TrainResult:
    """Train a network as the settings say; an interrupted training of the run goes on.

    Args:
        task: The settings, resolved.
        run: Where everything goes.
        watch: Told the figures of every epoch; what it raises ends the training.

    Returns:
        What came out.
    """
    with cpu_threads(task.workers):
        dataset = open_dataset(task.data)
        device = torch_device(task.device)
        lesson = _prepare(task, dataset, device)
        finder = lesson.finder
        count = f"{lesson.n_train:,} images an epoch"
        if own_fit(task.network) is None:
            count = f"{n_parameters(finder.network):,} parameters, {count}"
        run.log(f"{finder!r}: {count}, on {device}")

        def report(row: Row) -> None:
            run.log(f"epoch {row['epoch']:.0f}: {figures_line(row)}")
            run.progress(epoch=row["epoch"], **{k: v for k, v in row.items() if k != "epoch"})
            if watch is not None:
                watch(row)

        def keep_best(epoch: int) -> None:
            _with_training(finder, task, epoch).save(run.path / WEIGHTS)

        problem = Problem(
            finder.network,
            classification_figures(LOSSES[task.loss or "cross-entropy"]),
            _mined(task, lesson, run),
            lesson.validation,
        )
        memory = _learn(task, problem, finder, run, Hooks(keep_best, report))
        _with_training(finder, task, len(memory.rows)).save(run.path / LAST_WEIGHTS)
        threshold = _settle(task, lesson, memory, run)
        return _result(task, lesson, memory, threshold, run)


def _learn(
    task: Train, problem: Problem, finder: Finder, run: RunDirectory, hooks: Hooks
) -> Memory:
    """Train a network, or let a finder that is none fit itself."""
    its_own = own_fit(task.network)
    if its_own is None:
        return fit(problem, _plan(task, finder.device), run.path, hooks)
    memory = fit_at_once(finder, its_own, problem, run.path, hooks, seed=task.seed)
    run.log(f"fitted itself: {finder.facts.training['fit']}")
    return memory


def classification_figures(
    loss: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[nn.Module, Batch], dict[str, Tensor]]:
    """Return the figures of a finder on a batch: its loss, and its accuracy at a score of 0.5."""

    def figures(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        logits = network(batch["image"]).float()
        right = (logits > 0) == (batch["label"] > 0.5)
        return {"loss": loss(logits, batch["label"]), "accuracy": right.float().mean()}

    return figures


def _prepare(task: Train, dataset: Dataset, device: torch.device) -> _Lesson:
    """Read the images, find the numbers of their scaling, build the network."""
    rows = limited_rows(labelled_rows(dataset, "train"), task.n_train, task.seed)
    needs_all = own_fit(task.network) is not None
    rows = usable_rows(dataset, rows, needs_all_bands=needs_all)
    val_rows = usable_rows(dataset, stopping_rows(dataset), needs_all_bands=needs_all)
    start = None if task.start_from is None else opened(task.start_from)
    kind = normalisations.get(task.normalisation or "sky-asinh")
    normalisation = kind.fit(pixel_chunks(dataset, rows)) if start is None else start.normalisation

    def stored(rows: np.ndarray, batch_size: int) -> StoredBatches:
        images = normalised_images(dataset, rows, normalisation).to(device)
        return StoredBatches(images, labels_of(dataset, rows).to(device), batch_size, task.seed)

    batch_size = task.batch_size or _SCORED_BATCH
    if task.stream:
        training = _streamed(task, dataset, normalisation, len(rows), device)
    else:
        augment = AUGMENTATIONS[task.augmentation or "none"]
        training = replace(stored(rows, batch_size), is_shuffled=True, augment=augment)
    training = _mixed(task, training, normalisation, device)
    facts = replace(
        _facts(task, dataset), takes_missing_bands=bool(blank_bands_of(dataset, rows).any())
    )
    network = build_network(facts.network, facts.input_shape, facts.architecture, seed=task.seed)
    if start is not None:
        called = stands_for(start.facts, dataset, task.bands_as)
        facts = replace(facts, training=take_over(network, start, called, task.start_from))
    finder = Finder(network.to(device), normalisation, facts=facts, device=device)
    return _Lesson(finder, training, stored(val_rows, _SCORED_BATCH), len(rows))


def _mined(task: Train, lesson: _Lesson, run: RunDirectory) -> Batches:
    """Batches to learn from, in which hard negatives come again where this is wanted."""
    if not task.mine:
        return lesson.training
    folder = run.path / "checkpoints"
    folder.mkdir(exist_ok=True)
    network = lesson.finder.network
    return MinedBatches(lesson.training, network, share=task.mine, folder=folder, seed=task.seed)


def _streamed(
    task: Train,
    dataset: Dataset,
    normalisation: AbstractNormalisation,
    n: int,
    device: torch.device,
) -> Batches:
    """Batches of fresh images; their seeds are apart from those of any stored set."""
    stream, batch_size = open_stream(dataset, task.seed), task.batch_size or _SCORED_BATCH
    part = max(n // task.repeats, batch_size)
    fresh = StreamedBatches(stream, normalisation, part, batch_size, device)
    if task.repeats == 1:
        return fresh
    augment = AUGMENTATIONS[task.augmentation or "none"]
    return RepeatedBatches(fresh, task.repeats, seed=task.seed, augment=augment)


def _mixed(
    task: Train, base: Batches, normalisation: AbstractNormalisation, device: torch.device
) -> Batches:
    """Batches with images of a second dataset among them, where there is one."""
    if task.extra is None:
        return base
    extra = open_dataset(task.extra)
    rows = labelled_rows(extra, "train", needs_both=False)
    rows = usable_rows(extra, rows, needs_all_bands=False)
    images = normalised_images(extra, rows, normalisation).to(device)
    augment = AUGMENTATIONS[task.augmentation or "none"]
    label = labels_of(extra, rows)
    return MixedBatches(
        base, images, label, share=task.extra_share, seed=task.seed, augment=augment
    )


def _facts(task: Train, dataset: Dataset) -> FinderFacts:
    height, width = dataset.size
    architecture = Architecture(task.width or 1, task.depth or 1, task.dropout or 0.0)
    if own_fit(task.network) is not None:
        architecture = networks.facts(task.network)["architecture"]
    return FinderFacts(
        network=task.network,
        architecture=architecture,
        bands=dataset.bands,
        height=height,
        width=width,
        pixel_scale=dataset.pixel_scale,
        zero_point=dataset.zero_point,
        views=task.views or "none",
    )


def _plan(task: Train, device: torch.device) -> Plan:
    minutes = task.max_minutes
    return Plan(
        seed=task.seed,
        optimiser=task.optimiser or "adamw",
        learning_rate=LearningRate(
            task.learning_rate or 1e-3, task.decay or 0.0, task.schedule or "constant"
        ),
        weight_decay=task.weight_decay or 0.0,
        precision=task.precision or "float32",
        limits=Limits(
            task.epochs, None if minutes is None else 60 * minutes, task.early_stop_patience
        ),
        device=device,
        average=task.average or None,
        clip=task.clip,
    )


def _with_training(finder: Finder, task: Train, epoch: int, threshold: float = 0.5) -> Finder:
    """Return the finder with a record of how it was trained."""
    training = {**finder.facts.training, **task.to_dict(), "epoch": epoch}
    facts = replace(finder.facts, training=training, threshold=threshold)
    return Finder(finder.network, finder.normalisation, facts=facts, device=finder.device)


def _settle(task: Train, lesson: _Lesson, memory: Memory, run: RunDirectory) -> float:
    """Go back to the best weights, choose the threshold on validation images, draw the history."""
    finder = lesson.finder
    tensors, _ = load_weights(run.path / WEIGHTS)
    finder.network.load_state_dict(tensors)
    batches = lesson.validation.epoch(0)
    logits = torch.cat([finder.logits_of_normalised(batch["image"]) for batch in batches])
    labels = lesson.validation.label.cpu().numpy()
    threshold = best_threshold(sigmoid(logits.cpu().numpy()), labels)
    _with_training(finder, task, memory.best_epoch, threshold).save(run.path / WEIGHTS)
    history = {name: np.array([row[name] for row in memory.rows]) for name in memory.rows[0]}
    (run.path / "figures").mkdir(exist_ok=True)
    parting = parting_epoch(history["loss"], history["val_loss"])
    figure = training_history(history, best_epoch=memory.best_epoch, parting=parting)
    figure.savefig(run.path / "figures" / "training.png")
    return threshold


def _result(
    task: Train, lesson: _Lesson, memory: Memory, threshold: float, run: RunDirectory
) -> TrainResult:
    best = memory.rows[memory.best_epoch - 1]
    losses = (np.array([row[name] for row in memory.rows]) for name in ("loss", "val_loss"))
    last = memory.rows[-1]
    images_seen = last["updates"] * min(task.batch_size or lesson.n_train, lesson.n_train)
    return TrainResult(
        path=run.path,
        network=lesson.finder.facts.network,
        n_parameters=n_parameters(lesson.finder.network),
        n_train=lesson.n_train,
        epochs=len(memory.rows),
        best_epoch=memory.best_epoch,
        val_loss=best["val_loss"],
        val_accuracy=best["val_accuracy"],
        threshold=threshold,
        seconds=last["seconds"],
        images_per_second=images_seen / max(last["seconds"], 1e-9),
        parting_epoch=parting_epoch(*losses),
    )
