"""What a process does with the blocks of a scan: open, cut, score and write, each block one part.

Which blocks there are is in `scanning.plan`, what becomes of the parts in `scanning.catalogue`.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stronglens.core.device import torch_device
from stronglens.core.errors import StronglensError
from stronglens.data.catalog import write_table
from stronglens.data.survey_tile import SurveyTile
from stronglens.data.targets import TargetStatus
from stronglens.data.tile_sources import TileSource, open_tile
from stronglens.finders.finder import load_finder
from stronglens.scanning.plan import Plan, TileBlock, status_elsewhere
from stronglens.scanning.sources import SourceCut, find_targets
from stronglens.scanning.tile_pixels import PixelStore
from stronglens.scanning.tile_scores import Judge, Verdict
from stronglens.scanning.tile_view import Seen, TileView, see, sky_positions, view_tile

Columns = dict[str, np.ndarray]
_NO_PIXELS = -1


@dataclass(frozen=True)
class BlockResult:
    """What one block came to."""

    n_rows: int
    """Targets of the block."""
    n_ok: int
    """Those with a score that counts."""
    n_candidates: int
    """Those above the threshold."""
    seconds: float
    """Time that it took [s]."""
    first_fault: str = ""
    """Why the first target without a score has none."""


@dataclass(frozen=True)
class TileWork:
    """Settings of the work; called once per process, it builds the worker."""

    plan: Plan
    """Targets of each tile."""
    parts: Path
    """Folder of the finished parts."""
    finder: Path
    """Run directory or weights of the finder."""
    threshold: float
    """Score above which a target is a candidate."""
    prevalence: float
    """Lenses over all targets, for which probabilities are given."""
    device: str = "cpu"
    """Where the network works."""
    batch_size: int = 256
    """Targets that are cut and scored at once."""
    bands: tuple[str, ...] = ()
    """Bands to use instead of the nearest."""
    pad: float = 0.0
    """Part of the finder's field that may lie outside the tile."""
    abstain: bool = False
    """Whether targets unlike the training images get no verdict."""
    views: str | None = None
    """Views over which logits are averaged; the finder's own if None."""
    top: int = 64
    """Best targets whose pixels are kept, whatever their score."""
    most_cutouts: int = 100_000
    """Best candidates whose pixels are kept."""
    cut: SourceCut = field(default_factory=SourceCut)
    """Which sources of a tile are targets, where no table names them."""

    def __call__(self) -> "TileScanner":
        """Build the worker: load the finder."""
        return TileScanner(self)


class TileScanner:
    """Holds the finder and the tile at hand, and reads ahead in a thread of its own.

    Args:
        work: Settings.
    """

    def __init__(self, work: TileWork) -> None:
        self.work = work
        self.judge = Judge(
            load_finder(work.finder, device=torch_device(work.device), views=work.views),
            prevalence=work.prevalence,
            abstain=work.abstain,
        )
        self.pixels = PixelStore(work.parts, work.top, work.most_cutouts, work.threshold)
        self._reader = ThreadPoolExecutor(1)
        self._opened: dict[int, Future[SurveyTile]] = {}

    def __call__(self, block: TileBlock, following: TileBlock | None) -> BlockResult:
        """Do a block and write its part; reading what follows begins before it is done."""
        began = time.perf_counter()
        self.pixels.begin(block.name)
        if block.source is None:
            columns = self._elsewhere(block)
        else:
            columns = self._columns(block, block.source, following)
        is_ok = columns["status"] == TargetStatus.OK
        is_candidate = is_ok & (columns["score"] > self.work.threshold)
        columns["is_candidate"] = is_candidate
        write_table(self.work.parts / f"{block.name}.parquet", columns)
        return BlockResult(
            n_rows=len(is_ok),
            n_ok=int(is_ok.sum()),
            n_candidates=int(is_candidate.sum()),
            seconds=time.perf_counter() - began,
            first_fault=str(columns["reason"][~is_ok][0]) if not is_ok.all() else "",
        )

    def _columns(
        self, block: TileBlock, source: TileSource, following: TileBlock | None
    ) -> Columns:
        """Rows of a block; where its tile cannot be used, all marked as failed."""
        try:
            tile = self._tile(block.tile, source)
            view = view_tile(tile, self.judge.finder.facts, self.work.bands)
            targets = self._targets(block, tile)
        except (StronglensError, OSError, MemoryError) as error:
            reason = " ".join(str(error).split()) or "not enough memory to read the tile"
            return self._failed(block, source, reason)
        rows = _rows(targets, input_of(source), view.band)
        if not np.isfinite(rows["ra"]).any():
            rows["ra"], rows["dec"] = sky_positions(view.reference, targets["x"], targets["y"])
        note = "; ".join(view.remarks)
        try:
            for part, seen in self._seen(view, targets, following):
                verdict = self.judge(seen)
                _fill(rows, part, verdict, note)
                kept = self.pixels.keep(view, seen, verdict)
                rows["pixel_file"][part], rows["pixel_row"][part] = kept
        except (StronglensError, MemoryError) as error:
            return self._failed(block, source, " ".join(str(error).split()))
        return rows

    def _seen(
        self, view: TileView, targets: Columns, following: TileBlock | None
    ) -> Iterator[tuple[slice, Seen]]:
        """Batches, each cut while the one before is scored; the next tile comes after the last."""
        x, y = (targets[name].astype(np.float64) for name in ("x", "y"))
        size = self.work.batch_size
        parts = [slice(start, start + size) for start in range(0, len(x), size)]
        cut = [self._reader.submit(see, view, x[p], y[p], self.work.pad) for p in parts[:1]]
        for index, part in enumerate(parts):
            if index + 1 < len(parts):
                ahead = parts[index + 1]
                cut.append(self._reader.submit(see, view, x[ahead], y[ahead], self.work.pad))
            else:
                self._read_ahead(following)
            yield part, cut.pop(0).result()

    def _tile(self, number: int, source: TileSource) -> SurveyTile:
        """Open a tile, unless it is at hand; others are dropped."""
        for other in [k for k in self._opened if k != number]:
            del self._opened[other]
        if number not in self._opened:
            self._opened[number] = self._reader.submit(open_tile, source)
        return self._opened[number].result()

    def _read_ahead(self, following: TileBlock | None) -> None:
        if following is not None and following.source is not None:
            number = following.tile
            if number not in self._opened:
                self._opened[number] = self._reader.submit(open_tile, following.source)

    def _targets(self, block: TileBlock, tile: SurveyTile) -> Columns:
        if block.stop >= 0:
            return self.work.plan.targets(block)
        return find_targets(tile, self.work.cut)

    def _failed(self, block: TileBlock, source: TileSource, reason: str) -> Columns:
        """Rows of a block whose tile cannot be used; one row where its targets are not known."""
        if block.stop >= 0:
            targets = self.work.plan.targets(block)
        else:
            nothing = np.full(1, np.nan)
            targets = {
                "object_id": np.array([source.tile_id], object),
                **dict.fromkeys(("ra", "dec", "x", "y"), nothing),
                "row": np.zeros(1, np.int64),
            }
        rows = _rows(targets, input_of(source), "")
        rows["status"][:], rows["reason"][:] = str(TargetStatus.FAILED), reason
        return rows

    def _elsewhere(self, block: TileBlock) -> Columns:
        """Rows of targets that lie on no tile."""
        targets = self.work.plan.targets(block)
        rows = _rows(targets, "", "")
        for index, status in enumerate(targets["status"]):
            found = status_elsewhere(status, self.work.plan)
            rows["status"][index], rows["reason"][index] = found
        return rows


def lost_rows(plan: Plan, block: TileBlock, reason: str) -> Columns:
    """Rows of a block that every process died of, marked as failed.

    Args:
        plan: The plan.
        block: The block.
        reason: Why.
    """
    name = block.source.tile_id if block.source else ""
    targets = {
        "object_id": np.array([name], object),
        **dict.fromkeys(("ra", "dec", "x", "y"), np.full(1, np.nan)),
        "row": np.zeros(1, np.int64),
    }
    if block.stop >= 0:
        targets = plan.targets(block)
    rows = _rows(targets, input_of(block.source) if block.source else "", "")
    rows["status"][:], rows["reason"][:] = str(TargetStatus.FAILED), reason
    rows["is_candidate"] = np.zeros(len(rows["score"]), bool)
    return rows


def input_of(source: TileSource) -> str:
    """Return the file of a tile, or the folder where it has several."""
    return str(source.files[0] if len(source.files) == 1 else source.files[0].parent)


def _rows(targets: Columns, source: str, band: str) -> Columns:
    """Columns of a part, without scores yet."""
    n = len(targets["object_id"])
    numbers = {key: targets[key].astype(np.float64) for key in ("ra", "dec", "x", "y")}
    return {
        "object_id": targets["object_id"].astype(object),
        "input": np.full(n, source, object),
        **numbers,
        "score": np.full(n, np.nan),
        "logit": np.full(n, np.nan),
        "log_odds": np.full(n, np.nan),
        "p_lens": np.full(n, np.nan),
        "status": np.full(n, str(TargetStatus.FAILED), object),
        "reason": np.full(n, "", object),
        "band": np.full(n, band, object),
        "row": targets["row"].astype(np.int64),
        "pixel_file": np.full(n, _NO_PIXELS, np.int64),
        "pixel_row": np.full(n, _NO_PIXELS, np.int64),
    }


def _fill(rows: Columns, part: slice, verdict: Verdict, note: str) -> None:
    """Put the verdict on a batch into its rows."""
    for name in ("score", "logit", "log_odds", "p_lens", "status"):
        rows[name][part] = getattr(verdict, name)
    is_ok = verdict.status == TargetStatus.OK
    rows["reason"][part] = np.where(is_ok & (verdict.reason == ""), note, verdict.reason)
