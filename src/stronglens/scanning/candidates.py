"""Float cutouts of the candidates as a dataset, and the contact sheet of the best targets.

Pixels were kept while the tiles were at hand, by `scanning.tile_pixels`.
"""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stronglens.core.files import atomic_path
from stronglens.data.filters import wavelength
from stronglens.data.layout import IMAGES, PARTS, TRUTH, ImageFacts, Images
from stronglens.data.stretch import sky_sigma
from stronglens.data.writer import SHARD, DatasetWriter
from stronglens.plots.gallery import picture
from stronglens.plots.mosaic import mosaic
from stronglens.scanning.rank import CANDIDATE_COLOUR, short_name
from stronglens.scanning.tile_pixels import GridFacts, grid_facts, pixel_path

Columns = dict[str, np.ndarray]
_TABLE = (
    "object_id", "ra", "dec", "score", "p_lens", "input", "x", "y", "band", "known",
)  # fmt: skip
_COLOURS = 3
_WHITE = np.array([0.6, 1.0, 1.4])
"""Noise of a blue, middle and red band in proportions that look white."""
PSF_SIDE = 41
"""Side of the kernels in the dataset; all shards must agree before all are seen [pixel]."""
_UNIT = "flux of which one is of the magnitude zero_point [AB]"


def write_cutouts(
    root: Path, folder: Path, parts: Sequence[Path], rows: Columns, provenance: dict[str, Any]
) -> dict[str, int]:
    """Write flux, ivar, mask and psf of the candidates, on the pixels of their tiles.

    Cutouts of one pixel scale, size and set of bands are one dataset: the largest in `root`
    itself, others in folders beside.

    Args:
        root: Directory of the first dataset.
        folder: Where the pixels were kept.
        parts: Parts of the scan, by whose number rows know their files.
        rows: Candidates, best first.
        provenance: Where the dataset comes from.

    Returns:
        Number of cutouts by directory.
    """
    _remove(root)
    found = _by_grids(folder, parts, rows)
    by_number = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    written = {}
    for number, (_, chosen) in enumerate(by_number):
        place = root if number == 0 else root / f"grid-{number + 1}"
        some = {key: values[chosen] for key, values in rows.items()}
        _write_dataset(place, folder, parts, some, provenance)
        written[str(place)] = len(chosen)
    return written


def write_sheet(
    path: Path, folder: Path, parts: Sequence[Path], rows: Columns, facts: dict[str, Any]
) -> None:
    """Draw a page with the best targets as the finder saw them.

    Args:
        path: PNG file to write.
        folder: Where the pixels were kept.
        parts: Parts of the scan.
        rows: Targets to show, best first.
        facts: finder, threshold, and what the page is about, for the footnote.
    """
    seen = _pixels(folder, parts, rows, ("seen_",))
    pictures = [
        _picture(one["seen_flux"], one["seen_mask"], str(bands).split(","))
        for one, bands in zip(seen, rows["band"], strict=True)
    ]
    titles = [
        f"{score:.3f}" + (f"  p {p:.2g}" if np.isfinite(p) else "") + f"\n{short_name(name)}"
        for score, p, name in zip(rows["score"], rows["p_lens"], rows["object_id"], strict=True)
    ]
    colours = [CANDIDATE_COLOUR if is_one else None for is_one in rows["is_candidate"]]
    figure = mosaic(pictures, titles, footnote=str(facts["footnote"]), frame_colours=colours)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _picture(flux: np.ndarray, mask: np.ndarray, bands: Sequence[str]) -> np.ndarray:
    """Three bands in colour, from red to blue where there are more; else the middle one."""
    n = len(flux)
    if n < _COLOURS:
        return np.where(mask[n // 2], np.nan, flux[n // 2])
    by_wavelength = sorted(range(n), key=lambda k: wavelength(bands[k]) or math.inf)
    places = np.linspace(n > _COLOURS, n - 1, _COLOURS).round().astype(int)
    shown = [by_wavelength[place] for place in places]
    planes = torch.from_numpy(flux[None, shown]), None, torch.from_numpy(mask[None, shown])
    noise = np.nan_to_num(sky_sigma(*planes)[0].numpy().astype(np.float64))
    unit = np.where(noise > 0, noise, 1.0) * _WHITE
    return picture(flux[shown], unit, mask[shown])


def _pixels(
    folder: Path, parts: Sequence[Path], rows: Columns, prefixes: tuple[str, ...]
) -> list[dict[str, np.ndarray]]:
    """Pixels of each row, from files that are opened once: arrays whose names begin so."""
    found: list[dict[str, np.ndarray]] = [{} for _ in rows["row"]]
    places = np.stack([rows["part"], rows["pixel_file"]], axis=1)
    for part, file in np.unique(places, axis=0).tolist():
        here = np.flatnonzero((places == (part, file)).all(axis=1))
        with np.load(pixel_path(folder, parts[part].stem, file), allow_pickle=False) as arrays:
            for name in (name for name in arrays.files if name.startswith(prefixes)):
                # copies, so that the rest of the file can be forgotten
                some = arrays[name][rows["pixel_row"][here]]
                for row, pixels in zip(here.tolist(), some, strict=True):
                    found[row][name] = pixels
    return found


def _by_grids(folder: Path, parts: Sequence[Path], rows: Columns) -> dict[str, np.ndarray]:
    """Rows by the key of their pixel grids."""
    keys: dict[tuple[int, int], str] = {}
    for part, file in set(zip(rows["part"].tolist(), rows["pixel_file"].tolist(), strict=True)):
        with np.load(pixel_path(folder, parts[part].stem, file), allow_pickle=False) as arrays:
            keys[part, file] = " ".join(grid.key for grid in grid_facts(arrays))
    names = np.array(
        [keys[k] for k in zip(rows["part"].tolist(), rows["pixel_file"].tolist(), strict=True)]
    )
    return {str(name): np.flatnonzero(names == name) for name in np.unique(names)}


def _write_dataset(
    root: Path, folder: Path, parts: Sequence[Path], rows: Columns, provenance: dict[str, Any]
) -> None:
    """Write one dataset, a shard at a time, the best candidates first."""
    n = len(rows["row"])
    grids: list[GridFacts] = []
    for start in range(0, n, SHARD):
        some = {key: values[start : start + SHARD] for key, values in rows.items()}
        grids, images = _images(folder, parts, some)
        truth = {name: some[name] for name in _TABLE if name in some}
        truth["split"] = np.full(len(some["row"]), "test", object)
        # grids share their rows; the last one written ends the shard
        for number in reversed(range(len(grids))):
            writer = DatasetWriter(root, _facts(grids[number], number), n)
            writer.write_shard(start, images[number], truth)
    writer = DatasetWriter(root, _facts(grids[0], 0), n)
    writer.finish(provenance)


def _images(
    folder: Path, parts: Sequence[Path], rows: Columns
) -> tuple[list[GridFacts], list[Images]]:
    """Images of some rows, for each of their grids."""
    first = parts[int(rows["part"][0])].stem, int(rows["pixel_file"][0])
    with np.load(pixel_path(folder, *first), allow_pickle=False) as arrays:
        grids = grid_facts(arrays)
    taken = _pixels(folder, parts, rows, ("flux_", "ivar_", "mask_", "psf_"))
    return grids, [
        _stacked(taken, number, has_psf=grids[number].has_psf) for number in range(len(grids))
    ]


def _stacked(taken: list[dict[str, np.ndarray]], number: int, *, has_psf: bool) -> Images:
    """Arrays of a shard; kernels are cut or padded to one size, and 0 where a tile has none."""
    arrays = {
        name: np.stack([pixels[f"{name}_{number}"] for pixels in taken])
        for name in ("flux", "ivar", "mask")
    }
    n_bands = arrays["flux"].shape[1]
    if not has_psf:
        return Images(**arrays)
    psf = np.zeros((len(taken), n_bands, PSF_SIDE, PSF_SIDE), np.float32)
    for target, pixels in zip(psf, taken, strict=True):
        kernel = pixels.get(f"psf_{number}")
        if kernel is not None:
            _put_kernel(target, kernel)
    return Images(**arrays, psf=psf)


def _put_kernel(target: np.ndarray, kernel: np.ndarray) -> None:
    """Put odd kernels into the middle of larger or smaller odd ones, sum kept at 1."""
    side = min(kernel.shape[-1], target.shape[-1])
    inner, outer = (
        slice((n - side) // 2, (n - side) // 2 + side) for n in (kernel.shape[-1], target.shape[-1])
    )
    part = kernel[:, inner, inner]
    total = part.sum(axis=(1, 2), keepdims=True)
    target[:, outer, outer] = part / np.where(total > 0, total, 1.0)


def _facts(grid: GridFacts, number: int) -> ImageFacts:
    return ImageFacts(
        bands=grid.bands,
        pixel_scale=grid.pixel_scale,
        zero_point=grid.zero_point,
        height=grid.size,
        width=grid.size,
        grid="grid" if number == 0 else f"grid{number + 1}",
        unit=_UNIT,
    )


def _remove(root: Path) -> None:
    """Remove what an interrupted attempt left."""
    for name in (IMAGES, PARTS):
        shutil.rmtree(root / name, ignore_errors=True)
    (root / TRUTH).unlink(missing_ok=True)
    for other in root.glob("grid-*"):
        shutil.rmtree(other, ignore_errors=True)
