"""The verb `fetch`: survey files, cutouts, stacks or pictures become a dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.core.rundir import RunDirectory
from stronglens.core.task import AbstractTask, TaskResult, settings

if TYPE_CHECKING:
    from stronglens.data.fetch_inputs import FetchInput
    from stronglens.data.planes import Hints
    from stronglens.data.tile_sources import TileHints, TileSource

EXIT_SOME_FAILED = 3
EXIT_NOTHING_DONE = 1
_DEFAULT_SIZE = 64


@dataclass(frozen=True)
class FetchResult(TaskResult):
    """How many objects are in the dataset, and what became of the others."""

    n_objects: int
    """Objects asked for: rows of objects.parquet."""
    n_ok: int
    """Images in the dataset."""
    n_labelled: int
    """Images with a label."""
    n_edge: int
    """Targets too near to the edge of their tile."""
    n_masked: int
    """Objects of which too much is masked."""
    n_outside: int
    """Targets on none of the tiles."""
    n_failed: int
    """Objects that could not be read or do not fit; the reasons stand in objects.parquet."""
    first_failure: str = ""
    """Reason of the first object marked as failed."""

    @property
    def exit_code(self) -> int:
        """Status for scripts: 0 nothing failed, 3 some objects failed, 1 there is no image."""
        if self.n_ok == 0:
            return EXIT_NOTHING_DONE
        return EXIT_SOME_FAILED if self.n_failed else 0


@settings
@dataclass(frozen=True)
class Fetch(AbstractTask):
    """Make a dataset of survey tiles with targets, or of cutouts, stacks and pictures."""

    verb: ClassVar[str] = "fetch"
    result_type: ClassVar[type[TaskResult]] = FetchResult
    positional: ClassVar[tuple[str, ...]] = ("files",)

    files: tuple[Path, ...] = ()
    """Files, folders, quoted patterns, or names with {band} and {tile} in them."""
    targets: Path | None = None
    """Table of targets to cut from the files as tiles: CSV, FITS, VOTable, Parquet or HATS."""
    detect: bool = False
    """Take the sources found on the tiles as targets."""
    labels: Path | None = None
    """Table with object_id (or file) and label: 1 lens, 0 not."""
    layout: str = "auto"
    """Layout of the files, such as legacy, des or kids; see `stronglens list layouts`."""
    bands: str | None = None
    """Bands to keep, in order, such as g,r,i; all by default."""
    plane_bands: str | None = None
    """Bands in order, such as g,r,i, of images that do not name theirs."""
    size: int | None = None
    """Side of the images on the finest pixels; 64 for tiles, else that of the first object."""
    pixel_scale: float | None = None
    """Side of a pixel, for files that do not say [arcsec]."""
    zero_point: float | None = None
    """Magnitude of one pixel unit, for files that do not say [mag AB]."""
    resample: float | None = None
    """Pixel scale that all bands and objects are brought to; each keeps its own by default
    [arcsec]."""
    psf_fwhm: float | None = None
    """PSF width, for tiles without a PSF file [arcsec]."""
    psf_from_stars: bool = False
    """Measure the PSF on the stars of tiles without a PSF file."""
    flags: int | None = None
    """Bits of flag images that make a pixel bad, instead of those of the layout."""
    use_mask: bool = False
    """Take 1 in the mask of a cutout for a bad pixel; else it may mark neighbours or arcs."""
    columns: tuple[str, ...] = ()
    """Columns that cannot be guessed, such as ra=ALPHA_J2000 label=ring object_id=file."""
    cuts: tuple[str, ...] = ()
    """Conditions on targets, such as 'mag_r<21.5' 'mag_g-mag_r>0.8'."""
    keep: tuple[str, ...] = ()
    """Columns of the targets to keep in the truth table."""
    pad: float = 0.0
    """Part of a cutout that may lie outside its tile, masked [0-0.5]."""

    def check(self) -> None:
        """Raise if there is nothing to fetch or a number is outside its range."""
        if not self.files:
            raise MissingDataError(
                "files is empty: there is nothing to fetch. Name files, folders or a quoted "
                "pattern: stronglens fetch 'tiles/*.fits' --targets TABLE."
            )
        if self.targets is not None and self.detect:
            raise OutOfRangeError(
                f"targets='{self.targets}' and detect are both given; targets come from a table or "
                "from the tiles. Leave one out."
            )
        for path in (self.targets, self.labels):
            if path is not None and not path.exists():
                raise MissingDataError(f"table '{path}' does not exist. Give the path of a table.")
        for name, low, high in (
            ("size", 4, 4096), ("pixel_scale", 1e-3, 60.0), ("zero_point", -50.0, 60.0),
            ("resample", 1e-3, 60.0), ("psf_fwhm", 1e-3, 60.0), ("pad", 0.0, 0.5),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise OutOfRangeError(
                    f"{name}={value:g} is outside {low:g} to {high:g}. Choose a value in between."
                )

    def inputs(self) -> dict[str, Path]:
        """Return the tables; the images are named row by row."""
        tables = {"targets": self.targets, "labels": self.labels}
        return {name: path for name, path in tables.items() if path is not None and path.is_file()}

    def work(self, run: RunDirectory) -> FetchResult:
        """Fetch every object, with a bar of progress and a line in the log for each failure."""
        from stronglens.data.dataset_grid import GridOptions
        from stronglens.data.fetch import Fetcher, FetchOptions
        from stronglens.data.fetch_progress import FetchProgress
        from stronglens.data.label_tables import read_labels

        grid = GridOptions(_listed(self.bands), self.size, self.resample)
        labels = {} if self.labels is None else read_labels(self.labels, self.columns)
        sources = self._sources()
        with FetchProgress(run, [source.n for source in sources]) as progress:
            fetcher = Fetcher(run.path, FetchOptions(grid, labels), progress.add)
            counts = fetcher.fetch(sources, self._provenance())
        run.log("; ".join(f"{name}: {n}" for name, n in sorted(counts.items())))
        return FetchResult(
            path=run.path,
            n_objects=sum(n for name, n in counts.items() if name != "labelled"),
            n_ok=counts["ok"],
            n_labelled=counts["labelled"],
            n_edge=counts["edge"],
            n_masked=counts["masked"],
            n_outside=counts["outside"],
            n_failed=counts["failed"],
            first_failure=progress.first_failure,
        )

    def _sources(self) -> "list[FetchInput]":
        """Inputs: targets tile by tile, or cutouts."""
        from stronglens.data.fetch_inputs import list_cutout_inputs
        from stronglens.data.fetch_tiles import list_tile_inputs
        from stronglens.data.targets import TargetOptions
        from stronglens.data.tile_sources import list_tiles

        hints = self._tile_hints()
        if self.targets is None and not self.detect:
            return list_cutout_inputs(self.files, self._hints(), hints)
        tiles: list[TileSource] = list_tiles(self.files, hints)
        named = tuple(text for text in self.columns if not text.startswith("label="))
        options = TargetOptions(columns=named, keep=self.keep, cuts=self.cuts)
        return list_tile_inputs(
            tiles, self.targets, options, size=self.size or _DEFAULT_SIZE, pad=self.pad
        )

    def _hints(self) -> "Hints":
        from stronglens.data.planes import Hints

        return Hints(
            pixel_scale=_number(self.pixel_scale),
            zero_point=_number(self.zero_point),
            bands=_listed(self.plane_bands),
            use_mask=self.use_mask,
            flags=self.flags,
        )

    def _tile_hints(self) -> "TileHints":
        from stronglens.data.tile_sources import TileHints

        return TileHints(
            layout=self.layout,
            bands=_listed(self.plane_bands),
            pixel_scale=_number(self.pixel_scale),
            zero_point=_number(self.zero_point),
            psf_fwhm=_number(self.psf_fwhm),
            psf_from_stars=self.psf_from_stars,
            flags=self.flags,
        )

    def _provenance(self) -> dict[str, Any]:
        return {"settings": self.to_dict(), "source": [str(path) for path in self.files]}


def _listed(text: str | None) -> tuple[str, ...]:
    """Names in a list separated by commas."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _number(value: float | None) -> float | None:
    """Number as float: a TOML file may give an integer."""
    return None if value is None else float(value)
