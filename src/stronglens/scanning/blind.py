"""The blind scan of tiles with lenses painted into them, by the same settings as the scan itself.

Painting is in `scanning.injection`, the comparison in `scanning.recovery`.
"""

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stronglens.core.errors import MissingDataError, StronglensError
from stronglens.core.rundir import RunDirectory, is_finished
from stronglens.core.seeds import numpy_generator
from stronglens.data.catalog import read_table, write_table
from stronglens.data.tile_sources import TileSource
from stronglens.scanning.injection import TRUTH, Columns, Injection, paint_tile
from stronglens.scanning.recovery import measure_recovery

if TYPE_CHECKING:
    from stronglens.scanning.task import Scan

FOLDER = "injection"
_TARGETS = "targets.parquet"


def scan_injected(task: "Scan", sources: Sequence[TileSource], run: RunDirectory) -> float:
    """Paint lenses into some tiles, scan these, and write what was recovered.

    Where sources are found on the tiles, the lenses must be found first too. With a table of
    targets the lenses stand in the table, as if the survey's catalogue held each of them.

    Args:
        task: Settings of the scan.
        sources: Its tiles.
        run: The open run directory.

    Returns:
        Share of the lenses that became candidates.

    Raises:
        MissingDataError: No tile can be painted on.
    """
    folder = run.path / FOLDER
    injected = _painted(task, sources, run)
    scan = folder / "scan"
    if not is_finished(scan):
        targets = None if task.targets is None else _write_targets(folder / _TARGETS, injected)
        blind = dataclasses.replace(
            task, files=(folder / "tiles",), targets=targets, kind="tiles", layout="auto",
            inject=0.0, known=None, compare=None, columns=None, where=None, plane_bands=None,
        )  # fmt: skip
        blind.run(scan)
    table = measure_recovery(run, scan, injected)
    shutil.rmtree(folder / "bare", ignore_errors=True)
    return float(table["is_recovered"].mean())


def _painted(task: "Scan", sources: Sequence[TileSource], run: RunDirectory) -> Columns:
    """Truth of the lenses in all painted tiles; tiles painted before are kept."""
    folder = run.path / FOLDER
    order = numpy_generator(task.seed, "painted tiles").permutation(len(sources))
    parts: list[Columns] = []
    for number in order.tolist():
        if len(parts) == task.inject_tiles:
            break
        source = sources[number]
        kept = folder / f"{source.tile_id}-{TRUTH}"
        try:
            done = kept.is_file()
            injection = Injection(task.inject, task.seed + number)
            parts.append(read_table(kept) if done else paint_tile(source, folder, injection))
        except (StronglensError, OSError) as error:
            run.log(f"no lenses painted into {source.tile_id}: {error}")
    if not parts:
        raise MissingDataError(
            f"none of the {len(sources)} tiles can be painted on; log.txt says why. Leave --inject "
            "out, or give tiles with stars and sky."
        )
    names = set.intersection(*(set(part) for part in parts))
    return {name: np.concatenate([part[name] for part in parts]) for name in sorted(names)}


def _write_targets(path: Path, injected: Columns) -> Path:
    """Write a table of targets at the positions of the lenses."""
    columns = {name: injected[name] for name in ("object_id", "ra", "dec")}
    return write_table(path, columns)
