"""The task Simulate: a survey and a population become a dataset with truth.

What is drawn and rendered is decided in `population`, `scenes` and `observing`.
"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from stronglens.core.errors import OutOfRangeError
from stronglens.core.rundir import RunDirectory
from stronglens.core.task import AbstractTask, TaskResult, settings
from stronglens.simulation.canvas import Canvas
from stronglens.simulation.classes import check_shares, default_shares
from stronglens.simulation.imperfections import Artefacts, Jitter
from stronglens.simulation.picture_settings import Pictures
from stronglens.simulation.presets import DECK, SURVEY, presets
from stronglens.simulation.priors import Population
from stronglens.simulation.sky import Sky

if TYPE_CHECKING:
    from stronglens.simulation.simulated_set import AbstractSimulatedSet
    from stronglens.surveys import Survey


_FIELDS = {"ground": 12.8, "space": 10.0}  # side of the images [arcsec]
_WELL_SAMPLED = 2.5  # PSF width over pixel above which two sub-pixels are enough


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
    execution_options: ClassVar[frozenset[str]] = frozenset({"device", "workers", "dry_run"})

    preset: str | None = None
    """Named set of defaults for what is not given: see `stronglens list presets`; by default
    "survey" where a survey is named and "deck" where none is."""
    n: int | None = None
    """Number of images, half of them lenses; by default the preset's."""
    survey: str | None = None
    """Name of the survey, or TOML file of your own; by default the preset's."""
    bands: tuple[str, ...] = ()
    """Bands of the survey, or of the canvas, to make, such as lsst-g lsst-i; by default all."""
    start: int = 0
    """Number of the first scene: scene i is the same in whatever set it is written."""
    seed: int = 1
    """Seed of every random draw: same seed, same images."""
    size: int | None = None
    """Side of the images [pixels]; by default 45 for the deck, else 12.8 arcsec from the ground and
    10 arcsec from space."""
    pixel_scale: float | None = None
    """Side of a pixel in survey presets [arcsec]; by default the survey's."""
    oversample: int | None = None
    """Sub-pixels per pixel side when rendering; by default 2, and 4 where pixels barely sample the
    PSF."""
    deflector_light: bool = True
    """Whether the deflector's own light is in the images."""
    planes: bool = True
    """Whether aligned planes (noiseless, source, deflector_light and, but for the deck, noise) are
    written too."""
    single: bool = True
    """Whether the deck's scenes are also written as single exposures, in the folder `single`."""
    population: Population = field(default_factory=Population)
    """What the deck preset draws from."""
    shares: dict[str, float] = field(default_factory=default_shares)
    """Share of each class of scenes in survey presets: see `stronglens list classes`."""
    sky: Sky = field(default_factory=Sky)
    """What survey presets draw from."""
    canvas: Canvas = field(default_factory=Canvas)
    """Real images of your own that survey presets paint on."""
    jitter: Jitter = field(default_factory=Jitter)
    """How much images of survey presets differ from the survey's facts, in the training prior."""
    artefacts: Artefacts = field(default_factory=Artefacts)
    """What the camera and the coadd add in survey presets."""
    pictures: Pictures = field(default_factory=Pictures)
    """Colour pictures of survey presets, as viewers and papers show them."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to render."""
    workers: int = 1
    """Processes that simulate and write; use the number of cores."""
    dry_run: bool = False
    """Only say what time, disk and memory it would take, after making a few images."""

    def resolved(self) -> "Simulate":
        """Fill what preset and survey decide."""
        named = self.survey not in {None, presets.get(DECK).survey}
        name = self.preset or (SURVEY if named else DECK)
        preset = presets.get(name)
        given = {"preset": name, "n": self.n, "survey": self.survey}
        task = dataclasses.replace(self, **_filled(given, n=preset.n, survey=preset.survey))
        frame = {"size": 45, "oversample": 2} if preset.kind == "deck" else _frame(task)
        own = {"size": self.size, "oversample": self.oversample}
        return dataclasses.replace(task, **_filled(own, **frame))

    def check(self) -> None:
        """Raise if a number is outside its range."""
        self.population.check()
        self.sky.check()
        self.canvas.check()
        self.jitter.check()
        self.artefacts.check()
        self.pictures.check()
        check_shares(self.shares)
        limits = {
            "n": (self.n, 10, 10**9),
            "size": (self.size, 11, 1024),
            "oversample": (self.oversample, 1, 20),
            "start": (self.start, 0, 10**12),
            "workers": (self.workers, 1, 1024),
            "seed": (self.seed, 0, 2**62),
        }
        for name, (value, low, high) in limits.items():
            if value is None or not low <= value <= high:
                raise OutOfRangeError(f"{name}={value} is outside {low:,}-{high:,}.")

    def run(self, out: Path | str | None = None, *, resume: bool = False) -> TaskResult:
        """Run the task in a directory, or say what it would take."""
        if not self.dry_run:
            return super().run(out, resume=resume)
        from stronglens.simulation.dry_run import estimate

        task = self.resolved()
        task.check()
        return estimate(task.plan(), Path(out or "runs"))

    def inputs(self) -> dict[str, Path]:
        """Return the images painted on, and the stamps."""
        read = {"tile": self.canvas.tile, "stamps": self.sky.stamps}
        return {name: path for name, path in read.items() if path is not None}

    def growing(self) -> frozenset[str]:
        """Return n, but for the deck, whose splits depend on it."""
        is_deck = presets.get(str(self.preset)).kind == "deck"
        return frozenset() if is_deck else frozenset({"n"})

    def plan(self) -> "AbstractSimulatedSet":
        """Return what the settings describe, ready to be drawn block by block."""
        from stronglens.simulation.deck import DeckSet
        from stronglens.simulation.picture_set import PictureSet
        from stronglens.simulation.survey_set import SurveySet

        task = self.resolved()
        seen = _seen(task)
        if presets.get(str(task.preset)).kind == "deck":
            return DeckSet(task, seen.bands[0])
        made = SurveySet(task, seen)
        return PictureSet(made, task.pictures) if task.pictures.make else made

    def work(self, run: RunDirectory) -> SimulateResult:
        """Draw, render and write every shard that is still missing."""
        from stronglens.simulation.dataset import write_dataset

        rate = write_dataset(self.plan(), run, self.workers)
        return _summary(run.path, rate)


def _seen(task: Simulate) -> "Survey":
    """Return the survey with the pixels that were asked for."""
    from stronglens.surveys import survey, with_pixel_scale

    seen = survey(str(task.survey))
    return seen if task.pixel_scale is None else with_pixel_scale(seen, task.pixel_scale)


def _frame(task: Simulate) -> dict[str, Any]:
    """Return side and oversampling that suit the survey."""
    seen = _seen(task)
    for name in task.bands:
        seen.band(name)
    scale, sharpest = seen.bands[0].pixel_scale, min(band.psf_fwhm for band in seen.bands)
    oversample = 2 if sharpest > _WELL_SAMPLED * scale else 4
    size = round(_FIELDS[seen.kind] / scale)
    if task.canvas.tile is not None:
        from stronglens.data.tiles import read_tile

        # a measured kernel is read in the middle of pixels, and a host is in the middle of one
        scale, oversample = read_tile(str(task.canvas.tile)).pixel_scale, 3
        size = 2 * round(0.5 * _FIELDS[seen.kind] / scale) + 1
    return {"size": size, "oversample": oversample}


def _filled(given: dict[str, Any], **usual: Any) -> dict[str, Any]:  # noqa: ANN401 - any setting
    """Return settings with their usual values where none is given; a zero is given."""
    return {name: usual.get(name) if value is None else value for name, value in given.items()}


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
