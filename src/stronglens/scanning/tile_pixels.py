"""Pixels of the best targets, kept beside the parts until candidates and contact sheet are made.

Which of them are candidates of the whole survey is known only at the end: `scanning.candidates`.
"""

import heapq
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64

from stronglens.core.files import atomic_path
from stronglens.data.cutting import psf_at
from stronglens.data.targets import TargetStatus
from stronglens.scanning.tile_scores import Verdict
from stronglens.scanning.tile_view import Seen, TileView

NO_PIXELS = -1
"""Number of a file or row where no pixels were kept."""


@dataclass(frozen=True)
class GridFacts:
    """What the cutouts of one pixel grid share."""

    bands: tuple[str, ...]
    """Names of the bands."""
    pixel_scale: float
    """Side of a pixel [arcsec]."""
    zero_point: float
    """Magnitude of one pixel unit [mag AB]."""
    size: int
    """Side of a cutout [pixel]."""
    has_psf: bool = False
    """Whether there is a PSF."""

    @property
    def key(self) -> str:
        """Name that grids have in common if their cutouts can stand in one dataset."""
        # tiles of one survey differ a little in scale, by their projection
        numbers = f"{self.pixel_scale:.3g}|{self.zero_point:.4f}|{self.size}|{self.has_psf}"
        return f"{','.join(self.bands)}|{numbers}"


class _Best:
    """The k largest values seen so far."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._heap: list[float] = []

    def accept(self, values: Float64[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
        """Whether each value is among the k largest at the time when it comes."""
        taken = np.zeros(len(values), bool)
        for index, value in enumerate(values.tolist()):
            if len(self._heap) < self._k:
                heapq.heappush(self._heap, value)
                taken[index] = True
            elif self._heap and value > self._heap[0]:
                heapq.heapreplace(self._heap, value)
                taken[index] = True
        return taken


class PixelStore:
    """Writes the pixels of targets that may turn out to be among the best of the survey.

    Args:
        folder: Where the files go.
        top: Best targets wanted, whatever their score.
        most: Best candidates wanted.
        threshold: Score of candidates.
    """

    def __init__(self, folder: Path, top: int, most: int, threshold: float) -> None:
        self.folder = folder
        self.threshold = threshold
        self._best, self._candidates = _Best(top), _Best(most)
        self._block, self._n_files = "", 0

    def begin(self, block: str) -> None:
        """Begin a block; what an earlier attempt left of it is removed."""
        self._block, self._n_files = block, 0
        for stale in self.folder.glob(f"{block}-*.npz"):
            stale.unlink()

    def keep(self, view: TileView, seen: Seen, verdict: Verdict) -> tuple[np.ndarray, np.ndarray]:
        """Write the pixels of a batch's best, and return file and row for each target.

        Args:
            view: How the tile was looked at.
            seen: The batch.
            verdict: What the finder said.
        """
        file = np.full(len(verdict.logit), NO_PIXELS, np.int64)
        row = file.copy()
        ok = np.flatnonzero(verdict.status == TargetStatus.OK)
        logit = verdict.logit[ok]
        is_kept = self._best.accept(logit)
        is_candidate = verdict.score[ok] > self.threshold
        is_kept[is_candidate] |= self._candidates.accept(logit[is_candidate])
        kept = ok[is_kept]
        if len(kept):
            file[kept], row[kept] = self._n_files, np.arange(len(kept))
            self._write(view, seen, kept)
            self._n_files += 1
        return file, row

    def _write(self, view: TileView, seen: Seen, kept: np.ndarray) -> None:
        """Write one file: the finder's pixels, and the tile's own for each grid."""
        arrays: dict[str, np.ndarray] = {
            "seen_flux": seen.flux[kept],
            "seen_mask": seen.mask[kept],
        }
        for number, (part, cut) in enumerate(zip(view.parts, seen.cuts, strict=True)):
            grid = part.grid
            arrays[f"facts_{number}"] = np.array(
                [",".join(grid.bands), repr(float(grid.pixel_scale)), repr(float(grid.zero_point))]
            )
            for name in ("flux", "ivar", "mask"):
                arrays[f"{name}_{number}"] = getattr(cut, name)[kept]
            x, y = seen.places[number]
            psf = psf_at(part.grid, x[kept], y[kept])
            if psf is not None:
                arrays[f"psf_{number}"] = psf
        path = pixel_path(self.folder, self._block, self._n_files)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)


def pixel_path(folder: Path, block: str, number: int) -> Path:
    """Return where a block's kept pixels are."""
    return folder / f"{block}-{number:05d}.npz"


def grid_facts(arrays: "np.lib.npyio.NpzFile") -> list[GridFacts]:
    """Return what the grids of a pixel file are, in order."""
    found = []
    while f"facts_{len(found)}" in arrays:
        bands, scale, zero_point = arrays[f"facts_{len(found)}"].tolist()
        size = arrays[f"flux_{len(found)}"].shape[-1]
        found.append(
            GridFacts(
                tuple(bands.split(",")),
                pixel_scale=float(scale),
                zero_point=float(zero_point),
                size=size,
                has_psf=f"psf_{len(found)}" in arrays,
            )
        )
    return found
