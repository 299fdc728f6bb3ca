"""A forecast block by block: each is drawn from its own stream and kept until all are there."""

from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from stronglens.core.device import cpu_threads
from stronglens.core.rundir import RunDirectory
from stronglens.core.seeds import numpy_generator
from stronglens.data.catalog import read_table, write_table
from stronglens.forecasting.counts import Sample
from stronglens.forecasting.lenses import LensPopulation
from stronglens.forecasting.observing import Watch, observe_without_gradients
from stronglens.simulation.relations import Columns

BLOCK = 20_000
"""Pairs of deflector and source in a block."""
TABLE = "lenses.parquet"
"""The table a forecast leaves behind."""


def sample_lenses(run: RunDirectory, watch: Watch, n_pairs: int, seed: int) -> Sample:
    """Draw and observe every block that is still missing, and join them.

    Args:
        run: The open run directory.
        watch: How the survey is looked at.
        n_pairs: Pairs of deflector and source to draw.
        seed: Seed of every draw.

    Returns:
        All lenses, which also stand in the table `lenses.parquet` of the directory.
    """
    parts = run.path / "parts"
    files = [parts / f"{block:05d}.parquet" for block in range(-(-n_pairs // BLOCK))]
    # small pictures fit one core's cache: a second thread only makes it wait
    with cpu_threads(1):
        for block, file in enumerate(tqdm(files, desc="forecast", unit="block", disable=None)):
            if not file.is_file():
                size = min(BLOCK, n_pairs - block * BLOCK)
                write_table(file, draw_block(watch, size, (seed, block)))
            run.progress(blocks_done=block + 1, blocks=len(files))
    sample = Sample(_joined(files, n_pairs), n_pairs, watch.n_cuts)
    write_table(run.path / TABLE, sample.lenses, {"n_pairs": n_pairs, "format_version": 1})
    _remove(parts, files)
    return sample


def draw_block(watch: Watch, n_pairs: int, key: tuple[int, int]) -> Columns:
    """Draw the lenses of one block and observe them.

    Args:
        watch: How the survey is looked at.
        n_pairs: Pairs of deflector and source to draw.
        key: Seed and number of the block.
    """
    seed, block = key
    lenses = LensPopulation().draw(numpy_generator(seed, "ideal lenses", block), n_pairs)
    seen = observe_without_gradients(watch, lenses, numpy_generator(seed, "exposures", block))
    columns = lenses | seen | _in_best_band(lenses, seen["best_band"])
    return {name: _smaller(name, values) for name, values in columns.items()}


def _in_best_band(lenses: Columns, best_band: np.ndarray) -> Columns:
    """Magnitudes of source and deflector in the best band; NaN where there is none."""
    columns = {}
    for kind in ("source", "deflector"):
        magnitude = np.full(len(best_band), np.nan)
        for band in set(best_band.tolist()) - {""}:
            rows = best_band == band
            magnitude[rows] = lenses[f"mag_{kind}_{band}"][rows]
        columns[f"mag_{kind}"] = magnitude
    return columns


def _smaller(name: str, values: np.ndarray) -> np.ndarray:
    """Column as it is stored: single precision for all numbers but the weight."""
    if values.dtype.kind == "f" and name != "weight":
        return values.astype(np.float32)
    return values.astype(np.int8) if values.dtype.kind == "i" else values


def _joined(files: list[Path], n_pairs: int) -> Columns:
    """Join the blocks; the weights become lenses of the full sky."""
    tables = [read_table(file) for file in files]
    lenses = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    return lenses | {
        "weight": lenses["weight"] / n_pairs,
        "best_band": lenses["best_band"].astype(str),
    }


def _remove(folder: Path, files: list[Path]) -> None:
    for file in files:
        file.unlink()
    folder.rmdir()
