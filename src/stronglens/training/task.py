"""The tasks of training: Train and Evaluate, as settings; their work is in files of their own."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, Self

from stronglens.core.errors import OutOfRangeError
from stronglens.core.rundir import RunDirectory
from stronglens.core.task import AbstractTask, TaskResult, settings
from stronglens.evaluation.estimate import Estimate

_RECIPE_FIELDS = (
    *("batch_size", "learning_rate", "optimiser", "schedule", "decay", "weight_decay", "loss"),
    *("width", "depth", "dropout", "augmentation", "normalisation", "precision"),
    *("average", "clip", "views"),
)
_OWN_FIT_FIELDS = ("normalisation", "views")
"""What of a recipe applies to a finder that is no network and fits itself."""
_LOOP_FIELDS = (*_RECIPE_FIELDS, "epochs", "max_minutes", "early_stop_patience")


@dataclass(frozen=True)
class TrainResult(TaskResult):
    """A trained finder and how its training went."""

    network: str
    """Name of the network."""
    n_parameters: int
    """Number of trained parameters."""
    n_train: int
    """Number of training images in an epoch."""
    epochs: int
    """Epochs trained, the last perhaps in part."""
    best_epoch: int
    """Epoch of the smallest validation loss, whose weights were kept."""
    val_loss: float
    """Validation loss of that epoch."""
    val_accuracy: float
    """Validation accuracy of that epoch, at a score of 0.5."""
    threshold: float
    """Score above which the validation accuracy is highest."""
    seconds: float
    """Time from the first to the last update [s]."""
    images_per_second: float
    """Training images taken in per second, validation included [1/s]."""
    parting_epoch: int | None = None
    """Epoch from which the validation loss rises while the training loss falls, if any."""


@settings
@dataclass(frozen=True)
class Train(AbstractTask):
    """Train a network to tell lenses from other galaxies."""

    verb: ClassVar[str] = "train"
    result_type: ClassVar[type[TaskResult]] = TrainResult
    execution_options: ClassVar[frozenset[str]] = frozenset({"device", "workers"})

    data: Path
    """Dataset with the splits train and validation."""
    network: str = "resnet-small"
    """Network to train; `stronglens list networks` shows all."""
    seed: int = 1
    """Seed of weights, order, augmentation and dropout."""
    epochs: int | None = None
    """Passes over the training images; the recipe's, or as many as max_minutes allows."""
    max_minutes: float | None = None
    """Time after which training stops, from its first update; the schedule follows it [min]."""
    batch_size: int | None = None
    """Images per update."""
    learning_rate: float | None = None
    """Learning rate (the highest one of a schedule)."""
    optimiser: Literal["sgd", "rmsprop", "adam", "adamw", "adadelta"] | None = None
    """How weights are updated."""
    schedule: Literal["constant", "cosine", "one-cycle", "step"] | None = None
    """How the learning rate changes over the training."""
    decay: float | None = None
    """Decay per update: the learning rate is divided by 1 + decay x updates."""
    weight_decay: float | None = None
    """Decay of the weights themselves, as the optimiser defines it."""
    loss: Literal["cross-entropy", "focal", "mse", "hinge"] | None = None
    """What is made small."""
    width: int | None = None
    """Channels of the first block of layers."""
    depth: int | None = None
    """Blocks of layers: of convolutions and a pooling, or of residuals in each stage."""
    dropout: float | None = None
    """Probability that a feature is dropped before the last layer."""
    augmentation: Literal["none", "deck", "d4", "d4-shift", "cmu", "petrillo"] | None = None
    """Views of the training images: d4 turns by quarters and flips, the others by any angle."""
    normalisation: (
        Literal["all-challenge", "all-hst", "cmu-ground", "cmu-paper", "cmu-space", "flux"]
        | Literal["display", "min-max", "petrillo-sqrt", "sky-asinh"]
        | None
    ) = None
    """Scaling of pixel values: sky-asinh for flux, display for pictures (PNG, JPEG); the others are
    those of published systems."""
    precision: Literal["float32", "bfloat16"] | None = None
    """Arithmetic of the layers; weights are float32 in both."""
    average: float | None = None
    """Decay per update of the running mean of the weights that becomes the finder; 0 for none."""
    clip: float | None = None
    """Largest norm of the gradient."""
    views: Literal["none", "flips", "turns", "d4"] | None = None
    """Views of an image over which the finder averages its logits when it scores."""
    early_stop_patience: int | None = None
    """Stop after so many epochs without a better validation loss; never by default."""
    n_train: int | None = None
    """Use only so many of the training images, drawn with the seed."""
    stream: bool = False
    """Learn from fresh simulated images in every epoch instead of the stored ones."""
    repeats: int = 1
    """Epochs for which an image of a stream is learnt from, each time in another view, before a
    fresh one takes its place."""
    mine: float | None = None
    """Share of the images of a stream in whose place hard negatives of the epoch before come."""
    extra: Path | None = None
    """Second dataset like the first whose training images come into every batch: real galaxies, or
    lenses painted on them."""
    extra_share: float = 0.25
    """Share of each class of a batch that comes from there."""
    start_from: Path | None = None
    """Finder whose weights are trained further, by path or name; its network and scaling stay, and
    the learning rate is a tenth of the recipe's by default."""
    bands_as: str | None = None
    """Bands of that finder that the dataset's stand for, in order, such as new,g,r,i with "new" for
    one that it does not know."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""
    workers: int = 0
    """CPU threads; 0 for all cores."""

    def resolved(self) -> Self:
        """Fill in what the network's own recipe and architecture say."""
        from stronglens.finders import networks, own_fit
        from stronglens.finders.finder import has_finder

        if self.start_from is not None and has_finder(self.start_from):
            from stronglens.training.starting import starting_settings

            bare = replace(self, start_from=None, **starting_settings(self, type(self).network))
            return replace(bare.resolved(), start_from=self.start_from)
        facts, fits_itself = networks.facts(self.network), own_fit(self.network) is not None
        recipe, architecture = facts["recipe"], facts["architecture"]
        sources = {"width": architecture, "depth": architecture, "dropout": architecture}
        values = {
            name: getattr(sources.get(name, recipe), name)
            for name in (_OWN_FIT_FIELDS if fits_itself else _RECIPE_FIELDS)
            if getattr(self, name) is None
        }
        if self.epochs is None and self.max_minutes is None:
            values["epochs"] = recipe.epochs
        return replace(self, **values)

    def check(self) -> None:
        """Refuse settings that cannot work, and data that are not there."""
        from stronglens.finders import networks

        networks.get(self.network)
        at_least_one = ("epochs", "batch_size", "width", "depth", "early_stop_patience")
        for name in at_least_one:
            _check_range(name, getattr(self, name), 1, "1 or more")
        for name in ("decay", "weight_decay", "average", "seed", "workers"):
            _check_range(name, getattr(self, name), 0, "0 or more")
        _check_range("n_train", self.n_train, 2, "2 or more")
        for name in ("learning_rate", "max_minutes", "clip"):
            _check_range(name, getattr(self, name), 1e-12, "above 0")
        _check_range("repeats", self.repeats, 1, "1 or more")
        self._check_extra()
        self._check_start_and_stream()
        for name in ("dropout", "average"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise OutOfRangeError(f"{name}={value} is outside its range. Allowed: [0, 1).")
        self._check_network()

    def _check_extra(self) -> None:
        """Refuse a second dataset that does not fit the first."""
        if not 0 < self.extra_share < 1:
            raise OutOfRangeError(
                f"extra_share={self.extra_share} is outside its range. Allowed: (0, 1)."
            )
        if self.extra is None:
            return
        from stronglens.data.store import open_dataset
        from stronglens.training.extra import check_extra

        check_extra(open_dataset(self.extra), open_dataset(self.data))

    def _check_start_and_stream(self) -> None:
        """Refuse settings of a start or a stream where there is none, and data that do not fit."""
        if self.mine is not None and not 0 < self.mine <= 0.5:
            raise OutOfRangeError(f"mine={self.mine} is outside its range. Allowed: (0, 0.5].")
        if self.mine is not None and not self.stream:
            raise OutOfRangeError(
                f"mine={self.mine} looks for hard negatives among fresh images. Add --stream."
            )
        if self.repeats > 1 and not self.stream:
            raise OutOfRangeError(
                f"repeats={self.repeats} is for fresh images; stored ones come in every epoch "
                "anyway. Add --stream, or leave it out."
            )
        if self.start_from is None:
            if self.bands_as is not None:
                raise OutOfRangeError(
                    f"bands_as={self.bands_as} names bands of a finder. Add --start-from FINDER."
                )
            return
        from stronglens.data.store import open_dataset
        from stronglens.training.starting import check_start, opened

        check_start(opened(self.start_from).facts, open_dataset(self.data), self.bands_as)

    def _check_network(self) -> None:
        """Refuse settings that do not apply to the network, and images that it cannot take."""
        from stronglens.data.store import open_dataset
        from stronglens.finders import Architecture, InputShape, check_network, networks, own_fit

        architecture = networks.facts(self.network)["architecture"]
        if own_fit(self.network) is not None:
            useless = [n for n in _LOOP_FIELDS if getattr(self, n) is not None]
            for name in [n for n in useless if n not in _OWN_FIT_FIELDS]:
                raise OutOfRangeError(
                    f"{name}={getattr(self, name)} does not apply to '{self.network}', which is no "
                    f"network and fits itself. Allowed: {', '.join(_OWN_FIT_FIELDS)}; leave it out."
                )
        else:
            architecture = Architecture(self.width or 1, self.depth or 1, self.dropout or 0.0)
        dataset = open_dataset(self.data)
        height, width = dataset.size
        scale, zero_point, bands = dataset.pixel_scale, dataset.zero_point, dataset.bands
        shape = InputShape(len(bands), height, width, scale, zero_point, bands)
        check_network(self.network, shape, architecture)

    def inputs(self) -> dict[str, Path]:
        """Return the datasets, and the finder from which the training starts if there is one."""
        from stronglens.finders.finder import finder_path

        start = None if self.start_from is None else finder_path(self.start_from)
        named = {"data": self.data, "extra": self.extra, "start_from": start}
        return {name: path for name, path in named.items() if path is not None}

    def work(self, run: RunDirectory) -> TrainResult:
        """Train."""
        from stronglens.training.train import train

        return train(self, run)


@dataclass(frozen=True)
class EvaluateResult(TaskResult):
    """How good a finder is on images it has not seen; intervals are in metrics.json."""

    n_positive: int
    """Number of lenses."""
    n_negative: int
    """Number of others."""
    accuracy: Estimate
    """Fraction classified rightly at a score of 0.5."""
    auroc: Estimate
    """Area under the ROC curve."""
    tpr0: Estimate
    """Highest true-positive rate before the first false positive; range over tenths."""
    tpr10: Estimate
    """The same with fewer than ten false positives."""
    ms_per_image: float
    """Time to score an image, scaling included; 0 where scores came from a file [ms]."""


@settings
@dataclass(frozen=True)
class Evaluate(AbstractTask):
    """Judge a finder on images it has not seen, with intervals and figures."""

    verb: ClassVar[str] = "evaluate"
    result_type: ClassVar[type[TaskResult]] = EvaluateResult
    execution_options: ClassVar[frozenset[str]] = frozenset({"device", "batch_size"})

    data: Path
    """Dataset with truth; with scores also the challenge's classifications.csv or its folder."""
    finder: Path | None = None
    """Run directory of `train`, a weights file, or a name of `stronglens list finders`."""
    scores: Path | None = None
    """Table of any other code's scores to judge instead: columns object_id and score."""
    split: Literal["train", "validation", "test", "all"] = "test"
    """Which of its images."""
    prevalence: float = 1e-3
    """Lenses over all objects on the sky, for purity and lengths of lists."""
    seconds_per_object: float = 5.0
    """Time in which a person judges a candidate [s]."""
    seed: int = 1
    """Seed of the bootstrap."""
    n_bootstrap: int = 1000
    """Resamplings behind each interval."""
    level: float = 0.95
    """Probability that an interval holds."""
    views: Literal["none", "flips", "turns", "d4"] | None = None
    """Views of an image over which logits are averaged; by default the finder's own."""
    batch_size: int = 256
    """Images per pass."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to score."""

    def check(self) -> None:
        """Refuse settings that cannot work, and finders and data that do not fit."""
        _check_range("n_bootstrap", self.n_bootstrap, 100, "100 or more")
        _check_range("batch_size", self.batch_size, 1, "1 or more")
        _check_range("seed", self.seed, 0, "0 or more")
        _check_range("seconds_per_object", self.seconds_per_object, 0, "0 s or more")
        for name in ("level", "prevalence"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise OutOfRangeError(f"{name}={value} is no probability. Allowed: (0, 1).")
        if (self.finder is None) == (self.scores is None):
            raise OutOfRangeError(
                f"finder={self.finder} and scores={self.scores}: one of them is judged. Give "
                "--finder RUN for a finder of stronglens, or --scores FILE.csv for any other code."
            )
        from stronglens.training.evaluate import open_inputs

        open_inputs(self)

    def inputs(self) -> dict[str, Path]:
        """Return finder or scores, and dataset."""
        from stronglens.finders.finder import finder_path

        finder = None if self.finder is None else finder_path(self.finder)
        judged = {"finder": finder, "scores": self.scores}
        return {n: p for n, p in {**judged, "data": self.data}.items() if p is not None}

    def work(self, run: RunDirectory) -> EvaluateResult:
        """Evaluate."""
        from stronglens.training.evaluate import evaluate

        return evaluate(self, run)


@dataclass(frozen=True)
class AuditResult(TaskResult):
    """Whether simple quantities tell the classes of a dataset apart."""

    worst_auroc: float
    """Largest cross-validated AUROC of any quantity in any set, all together included."""
    worst: str
    """The set and quantity it belongs to."""
    groups_in_two_splits: int
    """Scenes or hosts that appear in more than one split."""
    has_passed: bool
    """Whether every AUROC is below 0.60, nothing is in two splits and the finder did not fail."""
    images_in_two_splits: int = 0
    """Images that appear in more than one split, pixel by pixel."""
    finder_failed: tuple[str, ...] = ()
    """Looks at the finder that it failed, if one was given."""

    @property
    def exit_code(self) -> int:
        """Exit status of the command: 0 if the dataset has passed, 3 if not."""
        return 0 if self.has_passed else 3


@settings
@dataclass(frozen=True)
class Audit(AbstractTask):
    """Show that no trick separates the classes of a dataset, and draw what it holds."""

    verb: ClassVar[str] = "audit"
    result_type: ClassVar[type[TaskResult]] = AuditResult

    data: Path
    """Dataset with truth; its single exposures are audited too if it has them."""
    finder: Path | None = None
    """Finder to look at too: rotation, position, pedestal, order, corners alone, shuffled arcs."""
    seed: int = 1
    """Seed of the cross-validation folds."""
    n: int = 4000
    """Images of each split to use at most."""

    def check(self) -> None:
        """Refuse settings that cannot work."""
        _check_range("n", self.n, 50, "50 or more")
        _check_range("seed", self.seed, 0, "0 or more")

    def inputs(self) -> dict[str, Path]:
        """Return the dataset, and the finder if there is one."""
        from stronglens.finders.finder import finder_path

        finder = {} if self.finder is None else {"finder": finder_path(self.finder)}
        return {"data": self.data, **finder}

    def work(self, run: RunDirectory) -> AuditResult:
        """Audit."""
        from stronglens.training.audit import audit

        return audit(self, run)


def _check_range(name: str, value: float | None, lowest: float, allowed: str) -> None:
    """Refuse a number below its lowest value; None and NaN-free numbers pass."""
    if value is not None and not value >= lowest:
        raise OutOfRangeError(f"{name}={value} is outside its range. Allowed: {allowed}.")
