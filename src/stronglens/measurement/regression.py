"""Plain regression of lens parameters: labels that follow the image, errors beside the mean's.

Networks are in `regression_networks`. These rows are there to be compared with: a number without
its uncertainty is not a measurement.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from stronglens.core.errors import MissingDataError
from stronglens.core.seeds import derived_seed, torch_generator
from stronglens.data.augment import apply_views, draw_views, view_labels
from stronglens.data.store import Dataset
from stronglens.finders.normalise import normalisations
from stronglens.measurement.regression_networks import REGRESSORS, Regressor
from stronglens.training.batches import normalised_images, pixel_chunks
from stronglens.training.fit import Hooks, Plan, Problem, fit
from stronglens.training.journal import Limits, Row
from stronglens.training.optim import LearningRate

Batch = dict[str, Tensor]
_LARGEST_SHIFT = 4


@dataclass(frozen=True)
class LabelledSet:
    """Images of lenses with the numbers wanted of them."""

    images: Float[Tensor, "n band y x"]
    """Normalised images."""
    labels: dict[str, Float[Tensor, "n"]]
    """True values by name."""
    pixel_scale: float
    """Pixel scale [arcsec/pixel]."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)


@dataclass(frozen=True)
class Limits01:
    """Smallest and largest label of each parameter, which become 0 and 1."""

    low: Float[Tensor, "target"]
    """Smallest values."""
    width: Float[Tensor, "target"]
    """Largest minus smallest."""

    def scaled(self, labels: dict[str, Tensor]) -> Float[Tensor, "n target"]:
        """Return labels as columns, scaled."""
        return (torch.stack(list(labels.values()), dim=1) - self.low) / self.width


@dataclass(frozen=True)
class LabelledBatches:
    """Batches of images in random views, each with the labels of its view."""

    data: LabelledSet
    """Images and labels."""
    limits: Limits01
    """Scaling of the labels."""
    batch_size: int
    """Images per batch."""
    seed: int
    """Seed of order and views."""
    is_augmented: bool = True
    """Whether images are turned, mirrored and shifted."""

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        n = len(self.data)
        order = torch.arange(n)
        if self.is_augmented:
            order = torch.randperm(n, generator=torch_generator(self.seed, "order", number))
        for i in range(len(self)):
            rows = order[i * self.batch_size : (i + 1) * self.batch_size]
            images = self.data.images[rows]
            labels = {name: values[rows] for name, values in self.data.labels.items()}
            if self.is_augmented:
                generator = torch_generator(self.seed, "views", number, i)
                images, labels = in_views(images, labels, generator, self.data.pixel_scale)
            yield {"images": images, "labels": self.limits.scaled(labels)}

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return math.ceil(len(self.data) / self.batch_size)


def in_views(
    images: Float[Tensor, "batch band y x"],
    labels: dict[str, Tensor],
    generator: torch.Generator,
    pixel_scale: float,
) -> tuple[Float[Tensor, "batch band y x"], dict[str, Tensor]]:
    """Show each image in a random view, with the labels that belong to the view.

    The code of 2017 turned the images and left the angle as it was, so that its network learnt an
    average over all angles.

    Args:
        images: Images.
        labels: Their labels by name.
        generator: Source of randomness.
        pixel_scale: Pixel scale [arcsec/pixel].

    Returns:
        Images and labels of the views.
    """
    is_square = images.shape[-1] == images.shape[-2]
    views = draw_views(len(images), generator, is_square=is_square, largest_shift=_LARGEST_SHIFT)
    return apply_views(images, views), view_labels(labels, views, pixel_scale)


def read_labelled(
    dataset: Dataset,
    targets: tuple[str, ...],
    split: str,
    fitted_on: str = "train",
) -> LabelledSet:
    """Read the lenses of a split, normalised as the study of 2017 did.

    Args:
        dataset: A dataset with truth.
        targets: Columns wanted.
        split: Which images.
        fitted_on: Split whose images set the numbers of the normalisation.

    Returns:
        Images and labels.

    Raises:
        MissingDataError: A column is missing, or the split has no lens.
    """
    missing = [name for name in ("label", *targets) if name not in dataset.columns()]
    if missing:
        raise MissingDataError(
            f"{dataset.path} has no truth columns {', '.join(missing)}. Use a set that stronglens "
            "simulated."
        )
    rows, known = _lenses(dataset, split), _lenses(dataset, fitted_on)
    normalisation = normalisations.get("min-max").fit(pixel_chunks(dataset, known))
    labels = {name: _column(dataset, name)[rows] for name in targets}
    images = normalised_images(dataset, rows, normalisation)
    tensors = {name: torch.from_numpy(values) for name, values in labels.items()}
    return LabelledSet(images, tensors, dataset.pixel_scale)


@dataclass(frozen=True)
class ParameterError:
    """Errors of one parameter on test images."""

    rms: float
    """Root mean square error."""
    mae: float
    """Mean absolute error."""
    rms_of_mean: float
    """The rms that always saying the mean of the training images would give."""


def train_regressor(
    name: str, training: LabelledSet, validation: LabelledSet, folder: Path, settings: "Schooling"
) -> Callable[[Float[Tensor, "n band y x"]], dict[str, Float[np.ndarray, "n"]]]:
    """Train a regressor.

    Args:
        name: One of `REGRESSORS`.
        training: What it learns from.
        validation: What its best epoch is chosen on.
        folder: Where history and checkpoints go.
        settings: How long, and with which seed.

    Returns:
        Function from normalised images to parameters by name.
    """
    regressor = REGRESSORS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(settings.seed, "initial-weights"))
        network = regressor.build(len(training.labels))
    limits = _limits(training)
    kept: dict[str, dict[str, Tensor]] = {}

    def keep_best(epoch: int) -> None:
        kept["best"] = {key: value.clone() for key, value in network.state_dict().items()}

    size = min(regressor.batch_size, len(training))
    problem = Problem(
        network,
        squared_error,
        LabelledBatches(training, limits, size, settings.seed),
        LabelledBatches(validation, limits, 512, settings.seed, is_augmented=False),
    )
    fit(problem, _plan(regressor, settings), folder, Hooks(keep_best, settings.report))
    network.load_state_dict(kept["best"])
    network.eval()
    names = tuple(training.labels)

    def predict(images: Float[Tensor, "n band y x"]) -> dict[str, Float[np.ndarray, "n"]]:
        with torch.inference_mode():
            scaled = torch.cat([network(part) for part in images.split(512)])
        values = (scaled * limits.width + limits.low).double().numpy()
        return dict(zip(names, values.T, strict=True))

    return predict


@dataclass(frozen=True)
class Schooling:
    """How long a regressor learns."""

    seed: int = 1
    """Seed of weights, order and views."""
    epochs: int | None = None
    """Passes over the images."""
    seconds: float | None = None
    """Time after which it stops [s]."""
    report: Callable[[Row], None] = lambda row: None
    """Told the figures of every epoch."""


def squared_error(network: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Mean squared error of scaled parameters."""
    return {"loss": (network(batch["images"]) - batch["labels"]).square().mean()}


def parameter_errors(
    predicted: dict[str, Float[np.ndarray, "n"]],
    truth: dict[str, Tensor],
    trained_on: dict[str, Tensor],
) -> dict[str, ParameterError]:
    """Errors of each parameter, beside those of predicting the mean of the training images.

    Args:
        predicted: Predictions by name.
        truth: True values by name.
        trained_on: Labels of the training images by name.

    Returns:
        Errors by name, in the units of the labels.
    """
    errors = {}
    for name, values in predicted.items():
        true = truth[name].double().numpy()
        difference = values - true
        mean = float(trained_on[name].double().mean())
        errors[name] = ParameterError(
            rms=float(np.sqrt(np.mean(difference**2))),
            mae=float(np.mean(np.abs(difference))),
            rms_of_mean=float(np.sqrt(np.mean((mean - true) ** 2))),
        )
    return errors


def _limits(data: LabelledSet) -> Limits01:
    columns = torch.stack(list(data.labels.values()), dim=1)
    low, high = columns.amin(dim=0), columns.amax(dim=0)
    return Limits01(low, (high - low).clamp_min(1e-6))


def _lenses(dataset: Dataset, split: str) -> np.ndarray:
    rows = dataset.index(split)
    rows = rows[np.asarray(dataset.column("label"), dtype=float)[rows] == 1]
    if not len(rows):
        raise MissingDataError(f"split '{split}' of {dataset.path} holds no lens. Make it larger.")
    return rows


def _column(dataset: Dataset, name: str) -> np.ndarray:
    return np.asarray(dataset.column(name), dtype=np.float32)


def _plan(regressor: Regressor, settings: Schooling) -> Plan:
    return Plan(
        seed=settings.seed,
        optimiser=regressor.optimiser,
        learning_rate=LearningRate(regressor.learning_rate, schedule="cosine"),
        weight_decay=0.0,
        precision="float32",
        limits=Limits(settings.epochs, settings.seconds),
        device=torch.device("cpu"),
    )
