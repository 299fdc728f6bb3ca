"""Objects of any input, one by one: cutouts of files, folders, stacks and pictures, or of tiles.

What becomes of them is in `stronglens.data.fetch`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from stronglens.core.errors import StronglensError
from stronglens.data.companions import without_stand_in
from stronglens.data.cutout import Cutout
from stronglens.data.cutting import CutRules, Cuts, cut_many
from stronglens.data.fits import object_name, read_grids
from stronglens.data.inputs import list_inputs
from stronglens.data.layouts import find_layout
from stronglens.data.parts import FITS_ENDINGS
from stronglens.data.patches import CELL
from stronglens.data.picture_files import is_picture, read_picture
from stronglens.data.planes import Hints
from stronglens.data.stacks import is_stack, read_stack
from stronglens.data.survey_tile import SurveyTile, TileGrid
from stronglens.data.targets import Assignment, Targets, TargetStatus
from stronglens.data.tile_sources import TileHints, TileSource, list_tiles, open_tile

_BATCH = 250


@dataclass(frozen=True, eq=False)
class Entry:
    """One object: its pixels, or why there are none."""

    object_id: str
    """Name of the object."""
    input: str
    """File, folder or tile."""
    cutouts: tuple[Cutout, ...] = ()
    """One per pixel grid; empty where the object has a status other than ok."""
    status: str = TargetStatus.OK.value
    """As in `TargetStatus`."""
    reason: str = ""
    """Why it is not ok, or what had to be assumed."""
    ra: float = math.nan
    """Right ascension [deg]."""
    dec: float = math.nan
    """Declination [deg]."""
    group: str = ""
    """Group that a split must not divide; "" where only the sky or the name tells."""
    extra: dict[str, float | str] = field(default_factory=dict)
    """Columns of the table of targets or of the stack."""


class FetchInput(ABC):
    """Something that objects come from, in an order that never changes."""

    name: str
    n: int | None = None
    """Number of objects, None where only reading tells."""

    @abstractmethod
    def entries(self, skip: int) -> Iterator[Entry]:
        """Objects but the first ones; it never raises for bad data.

        Args:
            skip: Number of objects to leave out at the beginning.
        """


class CutoutInput(FetchInput):
    """File or folder of one object, stack of objects, or picture.

    Args:
        path: Where it is.
        hints: What the user knows.
    """

    def __init__(self, path: Path, hints: Hints) -> None:
        self.path, self.hints = path, hints
        self.name, self.n = str(path), None if is_stack(path) else 1

    def entries(self, skip: int) -> Iterator[Entry]:
        """Objects of the file or folder but the first ones."""
        n = skip
        try:
            for entry in self._read(skip):
                yield entry
                n += 1
        except StronglensError as error:
            # what failed when it was opened has its row already
            if n == 0 or n > skip:
                name = object_name(self.path)
                yield Entry(name, self.name, status="failed", reason=str(error))

    def _read(self, skip: int) -> Iterator[Entry]:
        if is_picture(self.path):
            yield from ([] if skip else [self._entry((read_picture(self.path, self.hints),), {})])
        elif is_stack(self.path):
            for cutout, values in read_stack(self.path, self.hints, skip):
                yield self._entry((cutout,), values)
        else:
            for k, cutouts in enumerate(read_grids(self.path, self.hints)):
                if k >= skip:
                    yield self._entry(cutouts, {})

    def _entry(self, cutouts: tuple[Cutout, ...], values: dict[str, float]) -> Entry:
        first = cutouts[0]
        return Entry(
            first.object_id,
            self.name,
            cutouts,
            reason="; ".join(dict.fromkeys(note for c in cutouts for note in c.remarks)),
            ra=values.pop("ra", first.ra),
            dec=values.pop("dec", first.dec),
            extra=dict(values),
        )


class ObjectInput(FetchInput):
    """Object whose bands are files named by a layout, such as an image of a challenge.

    Args:
        source: Its files.
    """

    def __init__(self, source: TileSource) -> None:
        self.source = source
        # two sets of a challenge have objects of the same number, in folders of their own
        self.name, self.n = str(source.files[0]), 1

    def entries(self, skip: int) -> Iterator[Entry]:
        """Return the object."""
        if skip:
            return
        try:
            tile = open_tile(self.source, needs_zero_point=False)
            cutouts = tuple(whole_cutout(grid, self.name) for grid in tile.grids)
        except StronglensError as error:
            yield Entry(self.source.tile_id, self.name, status="failed", reason=str(error))
            return
        yield Entry(self.source.tile_id, self.name, cutouts)


class TileInput(FetchInput):
    """Targets on one tile.

    Args:
        source: The tile.
        targets: Its targets.
        places: Their pixels on the reference grid.
        size: Side of the cutouts on the reference grid [pixel].
        rules: When a cutout is not ok.
    """

    def __init__(
        self,
        source: TileSource,
        targets: Targets,
        places: Assignment,
        *,
        size: int,
        rules: CutRules,
    ) -> None:
        self.source, self.targets, self.places = source, targets, places
        self.size, self.rules = size, rules
        self.name, self.n = source.tile_id, len(targets)

    def entries(self, skip: int) -> Iterator[Entry]:
        """Cutouts of the targets; where the tile cannot be opened, each is marked as failed."""
        if skip >= len(self.targets):
            return
        try:
            tile = open_tile(self.source, needs_zero_point=False)
        except StronglensError as error:
            for k in range(skip, len(self.targets)):
                yield self._entry(k, (), "failed", str(error))
            return
        for start in range(skip, len(self.targets), _BATCH):
            yield from self._cut(tile, np.arange(start, min(start + _BATCH, len(self.targets))))

    def _cut(self, tile: SurveyTile, rows: Int64[np.ndarray, "n"]) -> Iterator[Entry]:
        x, y = self.places.x[rows], self.places.y[rows]
        self._fill_sky(tile.grids[0], rows)
        finest = tile.grids[0].pixel_scale
        cuts = []
        for index, grid in enumerate(tile.grids):
            size = max(round(self.size * finest / grid.pixel_scale), 1)
            cuts.append((grid, cut_many(grid, *tile.places_on(index, x, y), size, self.rules)))
        for k, row in enumerate(rows.tolist()):
            failed = [(cut.status[k], cut.reason[k]) for _, cut in cuts if cut.status[k] != "ok"]
            if self.places.status[row] == "edge":
                failed.insert(0, ("edge", "nearer to the edge than half a cutout"))
            if failed:
                yield self._entry(row, (), *failed[0])
            else:
                yield self._entry(row, tuple(self._cutout(g, c, k, row) for g, c in cuts))

    def _fill_sky(self, grid: TileGrid, rows: Int64[np.ndarray, "n"]) -> None:
        """Coordinates of targets that the table places by pixels alone."""
        if grid.wcs is not None and not np.isfinite(self.targets.ra[rows]).all():
            ra, dec = grid.wcs.all_pix2world(self.places.x[rows], self.places.y[rows], 0)
            self.targets.ra[rows], self.targets.dec[rows] = ra, dec

    def _cutout(self, grid: TileGrid, cuts: Cuts, k: int, row: int) -> Cutout:
        return Cutout(
            flux=cuts.flux[k],
            ivar=cuts.ivar[k],
            mask=cuts.mask[k],
            bands=grid.bands,
            zero_point=np.full(len(grid.bands), grid.zero_point),
            pixel_scale=grid.pixel_scale,
            object_id=str(self.targets.object_id[row]),
            input=self.name,
            psf=None if cuts.psf is None else cuts.psf[k],
            x_center=float(cuts.x[k]) * grid.pixel_scale,
            y_center=float(cuts.y[k]) * grid.pixel_scale,
        )

    def _entry(
        self, row: int, cutouts: tuple[Cutout, ...], status: str = "ok", reason: str = ""
    ) -> Entry:
        x, y = self.places.x[row], self.places.y[row]
        cell = f"{self.name}:{int(y) // CELL}-{int(x) // CELL}"
        values = {"x": float(x), "y": float(y)}
        kept = {name: column[row] for name, column in self.targets.extra.items()}
        return Entry(
            str(self.targets.object_id[row]),
            self.name,
            cutouts,
            status,
            reason,
            ra=float(self.targets.ra[row]),
            dec=float(self.targets.dec[row]),
            group=cell,
            extra={**values, **kept},
        )


class LostInput(FetchInput):
    """Targets that are on no tile.

    Args:
        targets: The targets.
        status: Status of each.
    """

    def __init__(self, targets: Targets, status: np.ndarray) -> None:
        self.targets, self.status = targets, status
        self.name, self.n = "no tile", len(targets)

    def entries(self, skip: int) -> Iterator[Entry]:
        """Targets with their status."""
        reasons = {"outside": "on none of the tiles", "failed": "no position in the table"}
        for k in range(skip, len(self.targets)):
            yield Entry(
                str(self.targets.object_id[k]),
                self.name,
                status=str(self.status[k]),
                reason=reasons.get(str(self.status[k]), ""),
                ra=float(self.targets.ra[k]),
                dec=float(self.targets.dec[k]),
            )


class FailedInput(FetchInput):
    """Tile that cannot be opened, with a row of its own so that it is not passed over in silence.

    Args:
        name: Name of the tile.
        reason: Why it cannot be opened.
    """

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason, self.n = name, reason, 1

    def entries(self, skip: int) -> Iterator[Entry]:
        """Return the mark."""
        if not skip:
            yield Entry(self.name, self.name, status="failed", reason=self.reason)


def list_cutout_inputs(
    paths: Iterable[Path], hints: Hints, tile_hints: TileHints
) -> list[FetchInput]:
    """Inputs that hold cutouts, each object of a layout as one.

    Args:
        paths: Files, folders, patterns.
        hints: What the user knows.
        tile_hints: The same for layouts.
    """
    found: list[FetchInput] = []
    for path in paths:
        others = _others_below(path)
        if not others or (path.is_dir() and _holds_fits(path)):
            found += _cutouts_of(path, hints, tile_hints)
        found += [CutoutInput(other, hints) for other in others]
    return found


def _cutouts_of(path: Path, hints: Hints, tile_hints: TileHints) -> list[FetchInput]:
    """Objects of FITS files: by the layout that names them, or as `read_grids` finds them."""
    if "{" in path.name:
        return [ObjectInput(source) for source in list_tiles([path], tile_hints)]
    sources = list_tiles([path], tile_hints)
    named = [s for s in sources if find_layout(s.layout).holds_cutouts]
    if named:
        return [ObjectInput(source) for source in named]
    return [CutoutInput(file, hints) for file in list_inputs([path])]


def _holds_fits(folder: Path) -> bool:
    return any(file.name.lower().endswith(FITS_ENDINGS) for file in folder.rglob("*"))


def _others_below(path: Path) -> list[Path]:
    """Stacks and pictures that a path or pattern stands for."""
    if path.is_dir() and not is_stack(path):
        return sorted(p for p in path.rglob("*") if is_picture(p) or is_stack(p))
    matches = [path] if path.exists() else list_inputs([path])
    return [p for p in matches if is_picture(p) or is_stack(p)]


def whole_cutout(grid: TileGrid, name: str) -> Cutout:
    """All pixels of a grid as one cutout; a value that stands for bad pixels is masked.

    Args:
        grid: Small tile.
        name: Where it was read from.
    """
    middle = (np.array([(grid.width - 1) / 2]), np.array([(grid.height - 1) / 2]))
    side = max(grid.height, grid.width)
    rules = CutRules(max_outside=1.0, max_bad=1.0)
    cuts = cut_many(grid, *middle, side, rules)
    rows, columns = (slice((side - n) // 2, (side - n) // 2 + n) for n in (grid.height, grid.width))
    remarks = list(grid.remarks)
    planes = [without_stand_in(plane, remarks) for plane in cuts.flux[0][:, rows, columns]]
    is_stand_in = np.stack([bad for _, bad in planes])
    return Cutout(
        flux=np.stack([plane for plane, _ in planes]),
        ivar=np.where(is_stand_in, np.float32(0), cuts.ivar[0][:, rows, columns]),
        mask=cuts.mask[0][:, rows, columns] | is_stand_in,
        bands=grid.bands,
        zero_point=np.full(len(grid.bands), grid.zero_point),
        pixel_scale=grid.pixel_scale,
        object_id=grid.tile_id,
        input=name,
        psf=None if cuts.psf is None else cuts.psf[0],
        remarks=tuple(dict.fromkeys(remarks)),
    )
