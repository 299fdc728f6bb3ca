"""The verb `forecast`: how many lenses a survey should hold and how many could be discovered.

What is drawn is in `lenses`, what is seen of it in `observing`.
"""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from stronglens.core.errors import OutOfRangeError
from stronglens.core.rundir import RunDirectory
from stronglens.core.task import AbstractTask, TaskResult, settings

if TYPE_CHECKING:
    from stronglens.forecasting.counts import Sample
    from stronglens.forecasting.observing import Watch


@dataclass(frozen=True)
class ForecastResult(TaskResult):
    """Expected numbers of lenses and what they are like."""

    n_ideal: float
    """Ideal lenses on the full sky: a source inside the Einstein radius, however faint."""
    n_ideal_error: float
    """Standard error of that, from the finite sample alone."""
    n_discoverable: float
    """Lenses in the survey's area that pass every cut."""
    n_discoverable_error: float
    """Standard error of that, from the finite sample alone."""
    n_sampled: int
    """Ideal lenses in the sample."""
    n_passed: int
    """Lenses of the sample that pass every cut."""
    survey: str
    """Name of the survey."""
    strategy: str
    """Which exposures were stacked, or the g-i finder."""
    area: float
    """Area of the survey [deg^2]."""
    cuts: dict[str, float]
    """Fraction of ideal lenses left after each cut in sequence."""
    medians: dict[str, float]
    """Medians of the discoverable lenses; magnitudes in the band of highest S/N."""
    quantiles: dict[str, list[float]]
    """5, 50 and 95 % of the same."""


@settings
@dataclass(frozen=True)
class Forecast(AbstractTask):
    """Forecast the lenses of a survey as Collett (2015) did, from our own source catalogue."""

    verb: ClassVar[str] = "forecast"
    result_type: ClassVar[type[TaskResult]] = ForecastResult

    survey: str = "euclid-vis"
    """Survey as observed in the paper: des-dr2, lsst-y10, euclid-vis or cfhtls."""
    strategy: Literal["all", "best", "optimal", "g-i"] = "optimal"
    """Stack of all exposures, the best one, those that resolve the lens; or the g-i finder."""
    n: int = 300_000
    """Pairs of deflector and source drawn; four in ten are ideal lenses."""
    seed: int = 1
    """Seed of every random draw: same seed, same numbers."""
    area: float | None = None
    """Area of the survey [deg^2]; by default the paper's."""
    read_noise_as_in_2015: bool = True
    """Add the read noise itself to the variance, as the paper's code did, and not its square."""

    def resolved(self) -> "Forecast":
        """Fill in the area."""
        if self.area is not None:
            return self
        from stronglens.forecasting.observations import observations

        return dataclasses.replace(self, area=observations.get(self.survey).area)

    def check(self) -> None:
        """Raise if the survey is not known or a number is outside its range."""
        from stronglens.forecasting.observations import FULL_SKY

        if self.n < 1:
            raise OutOfRangeError(f"n={self.n} is below 1. Draw 100,000 or more for few per cent.")
        if self.seed < 0:
            raise OutOfRangeError(f"seed={self.seed} is negative. Use 0 or more.")
        if self.area is not None and not 0.0 < self.area <= FULL_SKY:
            raise OutOfRangeError(
                f"area={self.area:g} is outside 0 to {FULL_SKY:g} deg^2, the full sky."
            )
        self.watch()

    def watch(self) -> "Watch":
        """Return how the survey is looked at.

        Raises:
            UnknownNameError: No such survey.
            OutOfRangeError: The g-i finder was asked for where there is no g or i.
        """
        from stronglens.forecasting.observations import observations
        from stronglens.forecasting.observing import Watch

        observation = observations.get(self.survey)
        if self.strategy != "g-i":
            noise = self.read_noise_as_in_2015
            return Watch(observation, self.strategy, read_noise_as_in_2015=noise)
        finder = observation.finder
        if finder is None:
            raise OutOfRangeError(
                f"strategy='g-i' needs the bands g and i, which {self.survey!r} lacks. Choose all, "
                "best or optimal."
            )
        return Watch(observation, finder.strategy, finder, self.read_noise_as_in_2015)

    def work(self, run: RunDirectory) -> ForecastResult:
        """Draw and observe lenses, count them, write their table and the figures."""
        from stronglens.forecasting.blocks import sample_lenses

        sample = sample_lenses(run, self.watch(), self.n, self.seed)
        result = self._result(run, sample)
        self._draw(run, sample, result)
        return result

    def _result(self, run: RunDirectory, sample: "Sample") -> ForecastResult:
        area = float(self.area or 0.0)
        ideal, found = sample.n_ideal(), sample.n_discoverable(area)
        run.log(f"ideal, full sky: {ideal.number:.5g} +- {ideal.error:.2g}")
        run.log(f"discoverable, {area:g} deg^2: {found.number:.5g} +- {found.error:.2g}")
        quantiles = sample.quantiles()
        return ForecastResult(
            path=run.path,
            n_ideal=ideal.number,
            n_ideal_error=ideal.error,
            n_discoverable=found.number,
            n_discoverable_error=found.error,
            n_sampled=len(sample.lenses["weight"]),
            n_passed=int(sample.is_discoverable().sum()),
            survey=self.survey,
            strategy=self.strategy,
            area=area,
            cuts=sample.remaining(),
            medians={name: values[1] for name, values in quantiles.items()},
            quantiles=quantiles,
        )

    def _draw(self, run: RunDirectory, sample: "Sample", result: ForecastResult) -> None:
        """Draw what ideal and discoverable lenses are like, and the effect of each cut."""
        from stronglens.forecasting.observations import FULL_SKY
        from stronglens.plots.forecast import cut_waterfall, lens_histograms

        title = f"{self.survey}, {self.strategy}, {result.area:,.0f} deg²"
        lenses = lens_histograms(sample.lenses, sample.is_discoverable(), title=title)
        lenses.savefig(run.path / "lenses.png")
        in_area = result.n_ideal * result.area / FULL_SKY
        cut_waterfall(result.cuts, in_area, title=title).savefig(run.path / "cuts.png")
