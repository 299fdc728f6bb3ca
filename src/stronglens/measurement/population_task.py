"""The verb `population`: from many measured lenses to their mass profiles and to cosmology.

The likelihood is in `population_model`, tables are read in `population_table`.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.core.rundir import RunDirectory
from stronglens.core.task import AbstractTask, TaskResult, settings

Range = tuple[float, float]


@dataclass(frozen=True)
class PopulationResult(TaskResult):
    """What a sample of lenses says of all of them."""

    n_lenses: int
    """Lenses that were used."""
    n_slopes: int
    """Lenses with a measured slope that is narrower than the interim prior."""
    n_ratios: int
    """Lenses with a velocity dispersion."""
    medians: dict[str, float]
    """Median of each parameter."""
    low: dict[str, float]
    """16 % quantile of each parameter."""
    high: dict[str, float]
    """84 % quantile of each parameter."""
    k_hat: float
    """Shape of the tail of the importance weights, 0 where none are needed; below 0.7 they hold."""
    effective_size: float
    """Independent draws that the weighted ones are worth."""
    n_mocks: int
    """Mock samples with the same redshifts and errors that were analysed."""
    coverage: dict[str, float]
    """Share of them whose truth lies in the 68 % interval, by parameter."""
    summary: str
    """Medians and 68 % intervals in one line."""


@settings
@dataclass(frozen=True)
class Population(AbstractTask):
    """Infer mean, scatter and drift of density slopes, and Om and w, from many lenses."""

    verb: ClassVar[str] = "population"
    result_type: ClassVar[type[TaskResult]] = PopulationResult
    positional: ClassVar[tuple[str, ...]] = ("table",)

    table: Path | None = None
    """Run of `measure`, or a CSV, FITS or Parquet table: z_lens, z_source, theta_e, sigma_v, slope,
    and their errors under the same names with _error, or _16 and _84, behind."""
    redshifts: Path | None = None
    """Second table, joined by `name`: redshifts and velocity dispersions of measured lenses."""
    relation: Literal["sis", "power-law"] = "sis"
    """How theta_e and sigma_v give a distance ratio: isothermal, or with each lens's own slope."""
    verdicts: tuple[str, ...] = ("verified", "refined")
    """Verdicts that are used, where the table has any."""
    interim_mean: float = 2.0
    """Mean of the prior under which slopes were measured [-]."""
    interim_sd: float | None = None
    """Its standard deviation, which is divided out; by default 0.2 for a run of `measure`, none for
    other tables [-]."""
    z_pivot: float = 0.3
    """Redshift at which the mean slope is given [-]."""
    aperture: float = 1.5
    """Radius in which dispersions were measured, where no column `aperture` says [arcsec]."""
    slope_mean: Range = (1.6, 2.4)
    """Prior range of the mean slope at z_pivot; equal limits fix it. With power-law, mean slopes at
    all lenses are held between 1.7 and 2.3 [-]."""
    slope_scatter: Range = (0.0, 0.3)
    """Prior range of the scatter of slopes [-]."""
    slope_drift: Range = (-1.0, 1.0)
    """Prior range of the change of the mean slope with redshift [-]."""
    matter_density: Range = (0.0, 1.0)
    """Prior range of Om [-]."""
    w: Range = (-2.5, -0.3)
    """Prior range of w; equal limits fix it, -1 -1 is a cosmological constant [-]."""
    f_e: Range = (0.85, 1.15)
    """Prior range of f_E, dispersion of the isothermal model over that of the stars [-]."""
    ratio_scatter: Range = (0.0, 0.5)
    """Prior range of the scatter of ln(d_ls/d_source) beyond its errors [-]."""
    n_draws: int = 4000
    """Draws from the posterior."""
    n_mocks: int = 40
    """Mock samples that test whether truths are recovered; 0 for none."""
    seed: int = 1
    """Seed of draws and mocks."""

    def check(self) -> None:
        """Raise if there is no table, or a number or range cannot be."""
        if self.table is None:
            raise MissingDataError(
                "table is missing: there are no lenses. Name a run of measure or a table: "
                "stronglens population lenses.csv."
            )
        for name, low, high in (
            ("interim_mean", 1.0, 3.0), ("interim_sd", 1e-3, 10.0), ("z_pivot", 0.0, 10.0),
            ("aperture", 0.01, 30.0), ("n_draws", 100, 1_000_000), ("n_mocks", 0, 10_000),
            ("seed", 0, 2**62),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise OutOfRangeError(
                    f"{name}={value:g} is outside {low:g} to {high:g}. Choose a value in between."
                )
        for name, low, high in (
            ("slope_mean", 1.55, 2.45), ("slope_scatter", 0.0, 1.0), ("slope_drift", -10.0, 10.0),
            ("matter_density", 0.0, 1.0), ("w", -5.0, 0.0), ("f_e", 0.3, 3.0),
            ("ratio_scatter", 0.0, 3.0),
        ):  # fmt: skip
            first, last = getattr(self, name)
            is_finite = math.isfinite(first) and math.isfinite(last)
            if not (is_finite and low <= first <= last <= high):
                raise OutOfRangeError(
                    f"{name}={first:g} {last:g} is no range inside {low:g} to {high:g}. Give the "
                    "lower limit, then the upper one."
                )
        for name in ("table", "redshifts"):
            path = getattr(self, name)
            if path is not None and not path.exists():
                raise MissingDataError(f"{name}='{path}' does not exist. Give a path that does.")

    def inputs(self) -> dict[str, Path]:
        """Return the tables."""
        named = {"table": self.table, "redshifts": self.redshifts}
        return {name: path for name, path in named.items() if path is not None}

    def work(self, run: RunDirectory) -> PopulationResult:
        """Sample the posterior, test it on mocks, and draw what came out."""
        from stronglens.measurement.population import infer_population

        return infer_population(self, run)
