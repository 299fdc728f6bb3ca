"""The verb `scan`: score survey tiles or cutouts with a trained finder and rank them."""

import dataclasses
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.core.rundir import RunDirectory
from stronglens.core.task import AbstractTask, TaskResult, settings
from stronglens.scanning.result import ScanResult
from stronglens.scanning.source_cut import SourceCut

if TYPE_CHECKING:
    from stronglens.data.tile_sources import TileSource
    from stronglens.finders.finder import Finder, FinderFacts
    from stronglens.scanning.choice import Named
    from stronglens.scanning.survey import SurveyScan
    from stronglens.scanning.tile_work import TileWork


@settings
@dataclass(frozen=True)
class Scan(AbstractTask):
    """Score survey tiles or cutouts with a finder: candidates, their cutouts, a contact sheet."""

    verb: ClassVar[str] = "scan"
    result_type: ClassVar[type[TaskResult]] = ScanResult
    positional: ClassVar[tuple[str, ...]] = ("files",)
    execution_options: ClassVar[frozenset[str]] = frozenset(
        {"device", "batch_size", "engine", "workers", "gpus", "dry_run"}
    )

    files: tuple[Path, ...]
    """Tiles or cutouts: FITS files, folders, quoted patterns, names with {band} and {tile}."""
    finder: Path | None = None
    """Run directory of `stronglens train`, its weights file, or a name of `stronglens list
    finders`; by default the one of that list nearest the bands and pixels of the images."""
    targets: Path | None = None
    """Table of objects with ra and dec, or x and y: CSV, FITS, VOTable, Parquet, HATS directory;
    without one, sources are found on the tiles."""
    kind: Literal["auto", "tiles", "cutouts"] = "auto"
    """Whether files are survey tiles or cutouts of one object; by default told by their size."""
    columns: str | None = None
    """Names of columns of the targets where they cannot be guessed, as ra=ALPHA,dec=DELTA."""
    where: str | None = None
    """Conditions on columns of the targets, separated by commas, as mag_r<21.5,mag_g-mag_r>0.8."""
    sources: SourceCut = field(default_factory=SourceCut)
    """Which sources are targets, where no table names them."""
    layout: str = "auto"
    """Layout of the tiles, such as hsc, des, legacy, euclid; by default told by names of files."""
    pixel_scale: float | None = None
    """Side of a pixel, for files whose header does not say [arcsec]."""
    zero_point: float | None = None
    """Magnitude of one pixel unit, for files whose header does not say [mag AB]."""
    psf_fwhm: float | None = None
    """PSF width, for tiles that come without a PSF [arcsec]."""
    band: str | None = None
    """Band of the images to use instead of the one nearest the finder's, such as g or hsc-g."""
    plane_bands: str | None = None
    """Bands in order, such as g,r,i, of images that do not name theirs."""
    use_mask: bool = False
    """Take 1 in a cutout's mask for a bad pixel; else it may mark neighbours and is left out."""
    threshold: float | None = None
    """Score above which an object is a candidate; by default the finder's own."""
    prevalence: float = 1e-3
    """Lenses over all objects, for which probabilities, purity and completeness are given."""
    pad: float = 0.0
    """Part of the finder's field that an image may lack, to be filled with 0 and masked [0-0.3]."""
    abstain: bool = False
    """Whether targets that are unlike the training images get no verdict."""
    views: Literal["none", "flips", "turns", "d4"] | None = None
    """Views of an image over which logits are averaged; by default the finder's own."""
    known: Path | None = None
    """Table of known lenses with ra and dec, or the word lenscat; adds the column `known`."""
    known_radius: float = 2.0
    """Distance within which a target is a known lens [arcsec]."""
    compare: Path | None = None
    """Dataset that the finder was trained on: a page tells how unlike it this survey is, before
    anything is scanned."""
    inject: float = 0.0
    """Simulated lenses that are painted into copies of tiles, which are then scanned blind, for
    the selection function [per arcmin^2]."""
    inject_tiles: int = 4
    """Tiles that lenses are painted into, drawn at random."""
    seed: int = 1
    """Seed of what is painted and of which tiles are drawn."""
    top: int = 64
    """Images on the contact sheet."""
    most_cutouts: int = 100_000
    """Best candidates whose cutouts are written."""
    block: int = 5000
    """Targets that are done, written and, after a kill, redone as one."""
    batch_size: int = 256
    """Images per pass of the network."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network works."""
    engine: Literal["local", "ray"] = "local"
    """Processes of this machine, or Ray: a cluster if RAY_ADDRESS names one, else this machine."""
    workers: int = 1
    """Processes or Ray actors; use the number of cores, or of GPUs."""
    gpus: float | None = None
    """GPUs of each Ray actor; by default 1 with --device cuda, else 0."""
    dry_run: bool = False
    """Only say what time, disk and memory it would take, after trying a few targets."""

    def check(self) -> None:
        """Raise if there is nothing to scan or a number is outside its range."""
        if not self.files:
            raise MissingDataError(
                "files is empty: there is nothing to scan. Name FITS files, folders or a quoted "
                "pattern: stronglens scan 'images/*.fits' --finder RUN."
            )
        self.inputs()
        if self.targets is not None and not self.targets.exists():
            raise MissingDataError(
                f"targets='{self.targets}' does not exist. Give a table with ra and dec, or leave "
                "it out to find sources on the tiles."
            )
        self.sources.check()
        for name, low, high in (
            ("pixel_scale", 1e-3, 60.0), ("zero_point", 0.0, 50.0), ("threshold", 0.0, 1.0),
            ("pad", 0.0, 0.3), ("top", 0, 10_000), ("batch_size", 1, 100_000),
            ("prevalence", 1e-12, 0.999), ("block", 1, 10**7), ("workers", 1, 100_000),
            ("most_cutouts", 0, 10**9), ("gpus", 0.0, 64.0), ("known_radius", 1e-3, 3600.0),
            ("inject", 0.0, 1000.0), ("inject_tiles", 1, 10**6), ("seed", 0, 2**62),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise OutOfRangeError(
                    f"{name}={value:g} is outside {low:g} to {high:g}. Choose a value in between."
                )

    def inputs(self) -> dict[str, Path]:
        """Return the finder; the images are named row by row in the table."""
        if self.finder is None:
            return {}
        from stronglens.finders.finder import finder_path

        return {"finder": finder_path(self.finder)}

    def listed(self, name: str) -> tuple[str, ...]:
        """Return the words of a setting that is a list separated by commas.

        Args:
            name: Name of the field.
        """
        text = getattr(self, name) or ""
        return tuple(part.strip() for part in text.split(",") if part.strip())

    def run(self, out: Path | str | None = None, *, resume: bool = False) -> TaskResult:
        """Run the task in a directory, or say what it would take."""
        if not self.dry_run:
            return super().run(out, resume=resume)
        from stronglens.scanning.dry_run import estimate

        self.check()
        task, _ = self._with_finder()
        facts = task._finder().facts  # noqa: SLF001 - of the same class
        return estimate(task._survey(facts), task._work(facts), Path(out or "runs"))  # noqa: SLF001

    def work(self, run: RunDirectory) -> ScanResult:
        """Score everything and write tables, cutouts and contact sheet."""
        if not self._is_survey():
            from stronglens.scanning.cutout_scan import scan_cutouts

            run.log("p_lens stays empty: cutouts are no survey with a prevalence")
            return scan_cutouts(self, self._named(), run)
        task, reason = self._with_finder()
        if reason:
            run.log(f"finder chosen: {reason}")
        return task._scan_tiles(run)  # noqa: SLF001 - of the same class

    def _scan_tiles(self, run: RunDirectory) -> ScanResult:
        finder = self._finder()
        threshold = finder.facts.threshold if self.threshold is None else self.threshold
        run.log(f"{finder!r}; threshold used {threshold:.4f}")
        from stronglens.scanning.survey import WORK, planned, scan_survey

        scan, work = self._survey(finder.facts), self._work(finder.facts)
        if self.known is not None:
            from stronglens.scanning.known import read_known

            lenses = read_known(self.known, self.known_radius)
            run.log(f"{len(lenses.name)} known lenses and candidates in {self.known}")
        if self.compare is not None:
            from stronglens.scanning.fitness import check_fitness

            check_fitness(run, work, finder, planned(scan, run.path), self.compare)
        result = scan_survey(scan, work, run)
        if self.inject:
            from stronglens.scanning.blind import scan_injected

            result = dataclasses.replace(result, recovered=scan_injected(self, self._tiles(), run))
        shutil.rmtree(run.path / WORK)
        return result

    def _named(self) -> "Named":
        from stronglens.core.device import torch_device
        from stronglens.scanning.choice import Named

        return Named(torch_device(self.device), self.views)

    def _with_finder(self) -> "tuple[Scan, str]":
        """Return the task with a finder for its tiles, and why that one where it was chosen."""
        from stronglens.finders.finder import finder_path
        from stronglens.scanning.choice import finder_of_tiles

        if self.finder is not None:
            return dataclasses.replace(self, finder=finder_path(self.finder)), ""
        path, reason = finder_of_tiles(self._tiles())
        return dataclasses.replace(self, finder=path), reason

    def _finder(self) -> "Finder":
        return self._named().load(self._path())

    def _path(self) -> Path:
        """Return where the finder is, once there is one."""
        if self.finder is None:
            raise MissingDataError("no finder has been chosen yet. Pass --finder.")
        return self.finder

    def _tiles(self) -> "list[TileSource]":
        from stronglens.data.tile_sources import TileHints, list_tiles

        hints = TileHints(
            layout=self.layout,
            bands=self.listed("plane_bands"),
            pixel_scale=_number(self.pixel_scale),
            zero_point=_number(self.zero_point),
            psf_fwhm=_number(self.psf_fwhm),
        )
        # workers elsewhere have another working directory
        return [
            dataclasses.replace(source, files=tuple(file.absolute() for file in source.files))
            for source in list_tiles(self.files, hints)
        ]

    def _is_survey(self) -> bool:
        """Return whether the files are tiles: said so, or much larger than what a finder sees."""
        if self.kind != "auto" or self.targets is not None:
            return self.kind != "cutouts"
        from stronglens.scanning.survey import is_larger_than_cutouts

        return is_larger_than_cutouts(self._tiles(), self._field())

    def _field(self) -> float | None:
        """Return the side of what the finder sees, where there is one [arcsec]."""
        if self.finder is None:
            return None
        facts = self._named().load(self.finder).facts
        return max(facts.height, facts.width) * facts.pixel_scale

    def _survey(self, facts: "FinderFacts") -> "SurveyScan":
        from stronglens.core.engine import Crew
        from stronglens.data.targets import TargetOptions
        from stronglens.scanning.products import ProductOptions
        from stronglens.scanning.survey import SurveyScan

        gpus = float(self.device == "cuda") if self.gpus is None else self.gpus
        return SurveyScan(
            sources=tuple(self._tiles()),
            table=self.targets,
            options=TargetOptions(columns=self.listed("columns"), cuts=self.listed("where")),
            block=self.block,
            crew=Crew(self.engine, self.workers, gpus if self.engine == "ray" else 0.0),
            products=ProductOptions(
                finder=str(self._path()),
                threshold=facts.threshold if self.threshold is None else self.threshold,
                prevalence=self.prevalence,
                radius=facts.height * facts.pixel_scale / 2,
                top=self.top,
                most_cutouts=self.most_cutouts,
                known=self.known,
                known_radius=self.known_radius,
            ),
        )

    def _work(self, facts: "FinderFacts") -> "TileWork":
        from stronglens.scanning.plan import Plan
        from stronglens.scanning.tile_work import TileWork

        return TileWork(
            plan=Plan(Path(), (), ()),
            parts=Path(),
            finder=self._path().absolute(),
            threshold=facts.threshold if self.threshold is None else self.threshold,
            prevalence=self.prevalence,
            device=self.device,
            batch_size=self.batch_size,
            bands=self.listed("band"),
            pad=self.pad,
            abstain=self.abstain,
            views=self.views,
            top=self.top,
            most_cutouts=self.most_cutouts,
            cut=self.sources,
        )


def _number(value: float | None) -> float | None:
    """Return a whole number as the float that is meant."""
    return None if value is None else float(value)
