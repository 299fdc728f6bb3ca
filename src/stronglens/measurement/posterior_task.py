"""The tasks TrainPosterior and CalibratePosterior: their settings and results."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from stronglens.core.errors import OutOfRangeError
from stronglens.core.rundir import RunDirectory
from stronglens.core.task import AbstractTask, TaskResult, settings

_DEFAULT_EPOCHS = 40


@dataclass(frozen=True)
class TrainPosteriorResult(TaskResult):
    """A network that has learnt, and how much it knows."""

    n_parameters: int
    """Trainable numbers of the network."""
    images_seen: int
    """Simulated images that it has learnt from."""
    epochs: int
    """Epochs trained."""
    best_epoch: int
    """Epoch whose weights were kept."""
    gain: float
    """Information gained over the prior on images of other seeds, all parameters [nat]."""
    seconds: float
    """Time of the training [s]."""


@settings
@dataclass(frozen=True)
class TrainPosterior(AbstractTask):
    """Train a network to give posteriors of lens parameters, on fresh simulated images."""

    verb: ClassVar[str] = "train-posterior"
    result_type: ClassVar[type[TaskResult]] = TrainPosteriorResult
    execution_options: ClassVar[frozenset[str]] = frozenset({"device", "workers"})

    seed: int = 1
    """Seed of the weights and of the simulated images."""
    epochs: int | None = None
    """Passes of images_per_epoch; 40, or as many as max_minutes allows."""
    max_minutes: float | None = None
    """Time after which training stops, from its first update; the schedule follows it [min]."""
    images_per_epoch: int = 32_768
    """Fresh images in an epoch, in multiples of 1024, or of 8192 on a GPU."""
    n_validation: int = 4096
    """Images of other seeds that every epoch is judged on."""
    batch_size: int = 256
    """Images per update: a power of two of at most 1024."""
    learning_rate: float = 1.5e-3
    """Highest learning rate of a one-cycle schedule."""
    weight_decay: float = 1e-3
    """Decay of the weights."""
    width: int = 32
    """Channels after the first layer of the encoder."""
    depth: int = 1
    """Residual blocks of the encoder at each size."""
    n_features: int = 128
    """Numbers that an image becomes."""
    transforms: int = 5
    """Transformations of the flow."""
    hidden: int = 128
    """Units in each hidden layer of the flow."""
    bins: int = 8
    """Bins of the flow's splines."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the encoder; the flow and all weights are float32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to simulate and to train."""
    workers: int = 0
    """Processes that simulate ahead on the CPU; 0 simulates in the training itself."""

    def resolved(self) -> "TrainPosterior":
        """Fill in the number of epochs where neither it nor a time is given."""
        if self.epochs is None and self.max_minutes is None:
            return replace(self, epochs=_DEFAULT_EPOCHS)
        return self

    def check(self) -> None:
        """Refuse settings that cannot work."""
        counts = ("images_per_epoch", "n_validation", "width", "depth", "n_features")
        for name in (*counts, "transforms", "hidden", "bins", "epochs"):
            _check_least(name, getattr(self, name), 1)
        for name in ("max_minutes", "learning_rate"):
            _check_least(name, getattr(self, name), 1e-12)
        for name in ("seed", "workers", "weight_decay"):
            _check_least(name, getattr(self, name), 0)
        if self.batch_size not in {2**k for k in range(11)}:
            raise OutOfRangeError(
                f"batch_size={self.batch_size} does not divide a pool of 1024 images. Allowed: 1, "
                "2, 4, ... 1024."
            )

    def work(self, run: RunDirectory) -> TrainPosteriorResult:
        """Train."""
        from stronglens.measurement.posterior_training import train_posterior

        return train_posterior(self, run)


@dataclass(frozen=True)
class CalibratePosteriorResult(TaskResult):
    """How well the posteriors of a network hold."""

    n: int
    """Simulated images behind the certificate."""
    coverage_error: float
    """Largest difference of coverage and its nominal value, of any parameter and level [-]."""
    worst_parameter: str
    """The parameter it belongs to."""
    coverage_noise: float
    """What 95 % of perfect networks stay below by chance, for one parameter [-]."""
    tarp_error: float
    """Largest deviation of the joint coverage (TARP) [-]."""
    sbc_failures: tuple[str, ...]
    """Parameters whose ranks are uneven at 1 %, corrected for the number of parameters."""


@settings
@dataclass(frozen=True)
class CalibratePosterior(AbstractTask):
    """Test the posteriors of a network on simulations, and write a certificate into its weights."""

    verb: ClassVar[str] = "calibrate-posterior"
    result_type: ClassVar[type[TaskResult]] = CalibratePosteriorResult
    execution_options: ClassVar[frozenset[str]] = frozenset({"device"})

    posterior: Path | None = None
    """Run directory of train-posterior or weights file; by default the network shipped with us."""
    n: int = 4000
    """Images that the certificate rests on."""
    n_fit: int = 2000
    """Other images, on which the temperature of each parameter is fitted."""
    draws: int = 256
    """Draws from the posterior of each image."""
    seed: int = 1
    """Seed of the images; they are never those of a training."""
    pixel_scale: float | None = None
    """Pixel scale of your instrument, for a certificate of it alone [arcsec/pixel]."""
    psf_fwhm: float | None = None
    """Width of its PSF [arcsec]."""
    n_pixels: int = 64
    """Side of its cutouts, at most 64 [pixel]."""
    in_half: bool = False
    """Write the weights in half precision, half as large."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network works."""

    def check(self) -> None:
        """Refuse settings that cannot work, and weights that are not there."""
        for name, least in (("n", 100), ("n_fit", 100), ("draws", 32), ("seed", 0)):
            _check_least(name, getattr(self, name), least)
        for name in ("pixel_scale", "psf_fwhm"):
            _check_least(name, getattr(self, name), 1e-12)
        if not 1 <= self.n_pixels <= 64:
            raise OutOfRangeError(f"n_pixels={self.n_pixels} is outside 1-64. Bin the images.")
        if (self.pixel_scale is None) != (self.psf_fwhm is None):
            raise OutOfRangeError(
                f"pixel_scale={self.pixel_scale} and psf_fwhm={self.psf_fwhm} belong together. "
                "Give both for the certificate of one instrument, or neither for all."
            )
        from stronglens.measurement.posterior_network import load_posterior

        load_posterior(self.posterior)

    def inputs(self) -> dict[str, Path]:
        """Return the weights."""
        return {} if self.posterior is None else {"posterior": self.posterior}

    def work(self, run: RunDirectory) -> CalibratePosteriorResult:
        """Calibrate."""
        from stronglens.measurement.calibration import calibrate_posterior

        return calibrate_posterior(self, run)


def _check_least(name: str, value: int | float | None, least: int | float) -> None:
    if value is not None and not value >= least:
        word = "above 0" if 0 < least < 1 else f"{least:g} or more"
        raise OutOfRangeError(f"{name}={value} cannot work. Allowed: {word}.")
