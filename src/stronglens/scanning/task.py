"""The verb `scan`: score real images with a trained finder and rank them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.core.rundir import RunDirectory
from stronglens.core.task import AbstractTask, TaskResult, settings

if TYPE_CHECKING:
    from stronglens.finders.finder import Finder
    from stronglens.scanning.rank import Ranking

EXIT_SOME_FAILED = 3
EXIT_NOTHING_DONE = 1


@dataclass(frozen=True)
class ScanResult(TaskResult):
    """How many objects were scored, and how many passed the cut."""

    n_rows: int
    """Rows of the table: one per object."""
    n_ok: int
    """Objects with a score."""
    n_failed: int
    """Objects marked as failed, each with its reason."""
    n_candidates: int
    """Objects whose score is above the threshold."""
    threshold: float
    """Score above which an object is a candidate."""
    first_failure: str = ""
    """Reason of the first object marked as failed; the others stand in the table and the log."""

    @property
    def exit_code(self) -> int:
        """Status for scripts: 0 all scored, 3 some marked as failed, 1 nothing scored."""
        if self.n_ok == 0:
            return EXIT_NOTHING_DONE
        return EXIT_SOME_FAILED if self.n_failed else 0


@settings
@dataclass(frozen=True)
class Scan(AbstractTask):
    """Score real FITS images with a finder: table of candidates and contact sheet."""

    verb: ClassVar[str] = "scan"
    result_type: ClassVar[type[TaskResult]] = ScanResult
    positional: ClassVar[tuple[str, ...]] = ("files",)
    execution_options: ClassVar[frozenset[str]] = frozenset({"device", "batch_size"})

    files: tuple[Path, ...]
    """FITS files, folders or quoted patterns; a file or a folder of bands is one object."""
    finder: Path
    """Run directory of `stronglens train`, or its weights file."""
    pixel_scale: float | None = None
    """Side of a pixel, for files whose header does not say [arcsec]."""
    zero_point: float | None = None
    """Magnitude of one pixel unit, for files whose header does not say [mag AB]."""
    band: str | None = None
    """Band of the images to use instead of the one nearest the finder's, such as g or hsc-g."""
    plane_bands: str | None = None
    """Bands in order, such as g,r,i, of images that do not name theirs."""
    use_mask: bool = False
    """Take 1 in a mask for a bad pixel; else a mask may mark neighbours or arcs and is left out."""
    threshold: float | None = None
    """Score above which an object is a candidate; by default the finder's own."""
    pad: float = 0.0
    """Part of the finder's field that an image may lack, to be filled with 0 and masked [0-0.3]."""
    top: int = 64
    """Images on the contact sheet."""
    batch_size: int = 256
    """Images per pass of the network."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network works."""

    def check(self) -> None:
        """Raise if there is nothing to scan or a number is outside its range."""
        if not self.files:
            raise MissingDataError(
                "files is empty: there is nothing to scan. Name FITS files, folders or a quoted "
                "pattern: stronglens scan 'images/*.fits' --finder RUN."
            )
        if not self.finder.exists():
            raise MissingDataError(
                f"finder='{self.finder}' does not exist. Pass a run directory of stronglens train "
                "or its weights.safetensors."
            )
        for name, low, high in (
            ("pixel_scale", 1e-3, 60.0), ("zero_point", 0.0, 50.0), ("threshold", 0.0, 1.0),
            ("pad", 0.0, 0.3), ("top", 0, 10_000), ("batch_size", 1, 100_000),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise OutOfRangeError(
                    f"{name}={value:g} is outside {low:g} to {high:g}. Choose a value in between."
                )

    def inputs(self) -> dict[str, Path]:
        """Return the finder; the images are named row by row in the table."""
        return {"finder": self.finder}

    def work(self, run: RunDirectory) -> ScanResult:
        """Score every file and write table, FITS copy and contact sheet."""
        from stronglens.core.device import torch_device
        from stronglens.finders.finder import load_finder

        finder = load_finder(self.finder, device=torch_device(self.device))
        threshold = finder.facts.threshold if self.threshold is None else self.threshold
        run.log(f"{finder!r}; threshold used {threshold:.4f}")
        run.log("p_lens stays empty: the finder is not calibrated")
        ranking = self._ranking(run, finder)
        n_candidates = self._write(run, ranking, threshold)
        n_failed = len(ranking.failed)
        n_ok = len(ranking.entries) - n_failed
        run.log(f"{n_ok} scored, {n_failed} failed, {n_candidates} candidates")
        return ScanResult(
            path=run.path,
            n_rows=len(ranking.entries),
            n_ok=n_ok,
            n_failed=n_failed,
            n_candidates=n_candidates,
            threshold=threshold,
            first_failure=ranking.failed[0].reason if n_failed else "",
        )

    def _ranking(self, run: RunDirectory, finder: "Finder") -> "Ranking":
        """Read and score all inputs, with a line in the log for each."""
        from tqdm import tqdm

        from stronglens.data.inputs import list_inputs
        from stronglens.data.planes import Hints
        from stronglens.scanning.rank import log_line, rank
        from stronglens.scanning.score import ScoreOptions, prepared, scored

        hints = Hints(
            pixel_scale=None if self.pixel_scale is None else float(self.pixel_scale),
            zero_point=None if self.zero_point is None else float(self.zero_point),
            bands=_listed(self.plane_bands),
            use_mask=self.use_mask,
            wanted=_listed(self.band) or finder.facts.bands,
        )
        options = ScoreOptions(hints, _listed(self.band), self.pad, self.batch_size)
        paths = list_inputs(self.files)
        run.progress(n_inputs=len(paths))
        bar = tqdm(paths, desc="scan", unit="file", disable=None)
        entries = (entry for path in bar for entry in prepared(path, finder, options))
        scores = scored(entries, finder, self.batch_size)
        return rank(scores, self.top, lambda entry: run.log(log_line(entry)))

    def _write(self, run: RunDirectory, ranking: "Ranking", threshold: float) -> int:
        """Write what the run leaves behind, and return the number of candidates."""
        from stronglens.data.catalog import write_fits_table, write_table
        from stronglens.scanning.rank import candidate_columns, write_contact_sheet

        columns = candidate_columns(ranking.entries, threshold, str(self.finder))
        facts = {"threshold": threshold, "finder": str(self.finder), "format_version": 1}
        write_table(run.path / "candidates.parquet", columns, facts)
        write_fits_table(run.path / "candidates.fits", columns, {"THRESH": threshold})
        sheet = run.path / "contact_sheet.png"
        write_contact_sheet(sheet, ranking, threshold, str(self.finder))
        return int(columns["is_candidate"].sum())


def _listed(text: str | None) -> tuple[str, ...]:
    """Names in a list separated by commas."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
