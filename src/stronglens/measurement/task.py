"""The verbs `measure` and `floor`: parameters of lenses with a verdict, and what can be known.

How a lens is measured is in `refine`; the tasks of the network are in `posterior_task`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.core.rundir import RunDirectory
from stronglens.core.task import AbstractTask, TaskResult, settings

EXIT_SOME_FAILED = 3
EXIT_NOTHING_DONE = 1


@dataclass(frozen=True)
class MeasureResult(TaskResult):
    """How many lenses were measured, and how far they can be trusted."""

    n_rows: int
    """Rows of the table: one per object."""
    n_verified: int
    """Measurements that passed every check."""
    n_refined: int
    """Measurements with a doubt that is named."""
    n_network_only: int
    """Measurements where only the network's posterior stands."""
    n_rejected: int
    """Objects that are no lens, or could not be read, each with its reason."""
    n_failed: int
    """Those of them that could not be read."""
    median_seconds: float
    """Median time per object [s]."""
    first_rejection: str = ""
    """Reason of the first object rejected."""

    @property
    def exit_code(self) -> int:
        """Status for scripts: 0 all read, 3 some could not be read, 1 none could."""
        if self.n_failed == self.n_rows:
            return EXIT_NOTHING_DONE
        return EXIT_SOME_FAILED if self.n_failed else 0


@settings
@dataclass(frozen=True)
class Measure(AbstractTask):
    """Measure lens parameters: search, exact likelihood, posterior, verdict; one page per lens."""

    verb: ClassVar[str] = "measure"
    result_type: ClassVar[type[TaskResult]] = MeasureResult
    positional: ClassVar[tuple[str, ...]] = ("files",)

    files: tuple[Path, ...] = ()
    """FITS files, folders with image, noise and PSF, quoted patterns, datasets, COOLEST files."""
    pixel_scale: float | None = None
    """Side of a pixel, for files whose header does not say [arcsec]."""
    noise: Path | None = None
    """FITS noise map for inputs that have none; by default it is estimated, with a remark."""
    psf: Path | None = None
    """FITS PSF for inputs that have none; by default one is assumed, with a remark."""
    band: str | None = None
    """Band to measure; by default the first."""
    lens_model: Literal["sie", "sie+shear", "epl+shear"] = "sie+shear"
    """Mass model."""
    network: bool = True
    """Whether a network's posterior is reported too and its draws are used as starts."""
    posterior: Path | None = None
    """Run directory or weights of that network; by default the one that comes with stronglens."""
    n_draws: int = 256
    """Draws from the importance sampler's proposal, per lens."""
    theta_e_min: float | None = None
    """Smallest Einstein radius searched; by default what the PSF resolves [arcsec]."""
    theta_e_max: float | None = None
    """Largest Einstein radius searched; by default what the image holds [arcsec]."""
    seed: int = 1
    """Seed of the draws."""

    def check(self) -> None:
        """Raise if there is nothing to measure or a number is outside its range."""
        if not self.files:
            raise MissingDataError(
                "files is empty: there is nothing to measure. Name FITS files, folders or a "
                "dataset: stronglens measure lens.fits --pixel-scale 0.05."
            )
        if (self.theta_e_min is None) != (self.theta_e_max is None):
            raise OutOfRangeError("theta_e_min and theta_e_max belong together. Give both or none.")
        for name, low, high in (
            ("pixel_scale", 1e-3, 10.0), ("n_draws", 32, 100_000), ("theta_e_min", 0.05, 30.0),
            ("theta_e_max", 0.05, 30.0), ("seed", 0, 2**62),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise OutOfRangeError(
                    f"{name}={value:g} is outside {low:g} to {high:g}. Choose a value in between."
                )
        for name in ("noise", "psf", "posterior"):
            path = getattr(self, name)
            if path is not None and not path.exists():
                raise MissingDataError(f"{name}='{path}' does not exist. Give a path that does.")

    def inputs(self) -> dict[str, Path]:
        """Return the common files; the images are named row by row in the table."""
        named = {"noise": self.noise, "psf": self.psf, "posterior": self.posterior}
        return {name: path for name, path in named.items() if path is not None}

    def work(self, run: RunDirectory) -> MeasureResult:
        """Measure every object, and write table, pages and figures."""
        from stronglens.measurement.measuring import measure_all

        return measure_all(self, run)


@dataclass(frozen=True)
class FloorResult(TaskResult):
    """The smallest errors that any unbiased measurement of an image can have."""

    arc_snr: float
    """Signal to noise of the arcs [-]."""
    theta_e: float
    """Einstein radius that was assumed [arcsec]."""
    errors: dict[str, float]
    """Fisher limit of each parameter; theta_e in arcsec."""
    relative_theta_e: float
    """Fisher limit of theta_e over theta_e [-]."""


@settings
@dataclass(frozen=True)
class Floor(AbstractTask):
    """Give the Fisher limit of a lens as a survey sees it: what no measurement can beat."""

    verb: ClassVar[str] = "floor"
    result_type: ClassVar[type[TaskResult]] = FloorResult

    lens_model: Literal["sie", "sie+shear", "epl+shear"] = "epl+shear"
    """Mass model whose parameters are free."""
    theta_e: float = 1.2
    """Einstein radius [arcsec]."""
    q: float = 0.8
    """Axis ratio of mass and light in (0, 1] [-]."""
    phi: float = 0.5
    """Angle of the major axis from x [rad]."""
    gamma1: float = 0.03
    """External shear, first component [-]."""
    gamma2: float = -0.02
    """External shear, second component [-]."""
    slope: float = 2.0
    """Slope of the density [-]."""
    beta_x: float = 0.1
    """Source position from the deflector along x [arcsec]."""
    beta_y: float = 0.05
    """Source position from the deflector along y [arcsec]."""
    r_source: float = 0.15
    """Half-light radius of the source [arcsec]."""
    arc_snr: float = 100.0
    """Signal to noise of the arcs, summed over pixels [-]."""
    pixel_scale: float = 0.05
    """Pixel scale [arcsec/pixel]."""
    fwhm: float = 0.09
    """Width of the Gaussian PSF [arcsec]."""
    field: float = 4.8
    """Side of the image [arcsec]."""
    deflector_ratio: float = 5.0
    """Flux of the deflector over flux of the arcs; 0 for none [-]."""
    poisson_share: float = 0.5
    """Share of the noise variance at the ring that is Poisson noise of deflector and arcs [0-1)."""

    def check(self) -> None:
        """Raise if a number is outside its range."""
        for name, low, high in (
            ("theta_e", 0.05, 30.0), ("q", 0.2, 1.0), ("gamma1", -0.35, 0.35),
            ("gamma2", -0.35, 0.35), ("slope", 1.3, 2.7), ("r_source", 1e-3, 5.0),
            ("arc_snr", 1.0, 1e5), ("pixel_scale", 1e-3, 5.0), ("fwhm", 1e-3, 10.0),
            ("field", 0.5, 100.0), ("deflector_ratio", 0.0, 1e4), ("poisson_share", 0.0, 0.99),
        ):  # fmt: skip
            value = getattr(self, name)
            if not low <= value <= high:
                raise OutOfRangeError(
                    f"{name}={value:g} is outside {low:g} to {high:g}. Choose a value in between."
                )

    def work(self, run: RunDirectory) -> FloorResult:
        """Compute the Fisher limit and write it as a table."""
        from stronglens.measurement.information_floor import floor_of

        return floor_of(self, run)
