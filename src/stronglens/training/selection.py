"""Selection functions of finders: from scored lenses to a surface on disk, and back.

The surface is in `stronglens.evaluation.selection`, its fit in `evaluation.selection_fit`.
"""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from stronglens.core.errors import MissingDataError, UnreadableFileError
from stronglens.data.catalog import read_metadata, write_table
from stronglens.data.store import Dataset
from stronglens.evaluation.selection import Cell, Columns, Selection, cells
from stronglens.evaluation.selection_fit import Shape, fit_selection
from stronglens.plots.selection import CompletenessMap

SELECTION = "selection.parquet"
_NODES = (12, 12, 3, 3)
_FINE = 60
_LABELS = {
    "theta_e_over_psf": "Einstein radius / PSF width",
    "theta_e": "Einstein radius [arcsec]",
    "arc_snr": "arc S/N",
    "magnification": "magnification",
}


def selection_columns(dataset: Dataset, rows: np.ndarray) -> Columns:
    """Properties of lenses that completeness depends on, as far as the truth table has them.

    Args:
        dataset: A dataset with truth.
        rows: Lenses.

    Returns:
        theta_e_over_psf, or theta_e [arcsec] where no PSF width is stated; arc_snr; magnification;
        the deflector's magnitude in the band nearest to i [mag AB].
    """
    names = dataset.columns()

    def column(name: str) -> np.ndarray:
        return np.asarray(dataset.column(name), float)[rows]

    found: Columns = {}
    if "theta_e" in names and "psf_fwhm" in names:
        found["theta_e_over_psf"] = column("theta_e") / column("psf_fwhm")
    elif "theta_e" in names:
        found["theta_e"] = column("theta_e")
    found |= {name: column(name) for name in ("arc_snr", "magnification") if name in names}
    magnitude = _magnitude_column(names)
    if magnitude is not None:
        found[magnitude] = column(magnitude)
    return found


def selection_of(
    columns: Columns, found: np.ndarray, facts: dict[str, Any], seed: int = 1
) -> tuple[Selection, list[Cell]]:
    """Fit the surface, and compare two halves: cells of each half by the surface of the other.

    Args:
        columns: Properties of lenses; those with a value that cannot be used are left out.
        found: Whether each was found.
        facts: Of which finder, dataset and threshold it is.
        seed: Seed of centres and halves.

    Raises:
        MissingDataError: Fewer than two properties are known, or too few lenses.
    """
    if len(columns) < 2:
        raise MissingDataError(
            f"the truth table has {', '.join(columns) or 'none'} of the properties of lenses; a "
            "selection function needs two of theta_e, arc_snr, magnification, mag_deflector."
        )
    logarithmic = {name: not name.startswith("mag_") for name in columns}
    good = np.ones(len(found), bool)
    for name, values in columns.items():
        good &= np.isfinite(values) & ((values > 0) | (not logarithmic[name]))
    used, seen = {name: values[good] for name, values in columns.items()}, found[good]
    shape = Shape(logarithmic, seed=seed)
    surface = fit_selection(used, seen, shape, facts)
    return surface, _halves(used, seen, shape)


def cell_errors(compared: list[Cell]) -> dict[str, float | int]:
    """Mean and largest distance of predicted and observed completeness over cells.

    Beside the mean stands what counting alone would make it if the surface were the truth.
    """
    errors = [abs(cell.observed - cell.predicted) for cell in compared]
    noise = [np.sqrt(c.predicted * (1 - c.predicted) / c.n * 2 / np.pi) for c in compared]
    large = [e for e, cell in zip(errors, compared, strict=True) if cell.n >= 200]
    return {
        "n_cells": len(errors),
        "mean_abs_error": float(np.mean(errors)) if errors else 0.0,
        "mean_abs_error_of_counting": float(np.mean(noise)) if noise else 0.0,
        "worst_with_200_lenses": float(max(large)) if large else 0.0,
        "n_cells_with_200_lenses": len(large),
    }


def write_selection(path: Path, selection: Selection, columns: Columns) -> Path:
    """Write a surface as a table of its values on a grid, with the surface itself in the file.

    Args:
        path: Parquet file.
        selection: The surface.
        columns: Properties of the lenses, for the number of them near each node.

    Returns:
        The path written.
    """
    nodes = [_nodes(v, n) for v, n in zip(selection.variables, _NODES, strict=False)]
    names = [variable.name for variable in selection.variables]
    grid = np.array(list(itertools.product(*nodes)))
    table = {name: grid[:, k] for k, name in enumerate(names)}
    value, low, high = selection.interval(level=0.95, **table)
    near = np.stack(
        [_nearest(columns[name], node) for name, node in zip(names, nodes, strict=True)], axis=1
    )
    shape = [len(node) for node in nodes]
    good = (near >= 0).all(axis=1)
    count = np.bincount(
        np.ravel_multi_index(tuple(near[good].T), shape), minlength=int(np.prod(shape))
    )
    full = {**table, "completeness": value, "low": low, "high": high, "n_lenses": count}
    return write_table(path, full, {"selection": selection.to_record()})


def load_selection(path: Path | str) -> Selection:
    """Load a selection function that `evaluate` wrote.

    Args:
        path: Run directory of `stronglens evaluate`, or its selection.parquet.

    Returns:
        The surface: call it with a column for each of its variables, or ask for `interval`.

    Raises:
        MissingDataError: There is none.
        UnreadableFileError: The file is another table.
    """
    file = Path(path) / SELECTION if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise MissingDataError(
            f"no selection function at {file}. Pass a run directory of stronglens evaluate whose "
            f"test set had lenses enough, or its {SELECTION}."
        )
    facts = read_metadata(file)
    if "selection" not in facts:
        raise UnreadableFileError(
            f"{file} holds no selection function. Pass the {SELECTION} of stronglens evaluate."
        )
    return Selection.from_record(facts["selection"])


def completeness_map(selection: Selection, columns: Columns) -> CompletenessMap:
    """The surface over its first two variables, the others at their median."""
    first, second = selection.variables[:2]
    x = np.geomspace(first.low, first.high, _FINE)
    y = np.geomspace(second.low, second.high, _FINE)
    if not second.is_logarithmic:
        y = np.linspace(second.low, second.high, _FINE)
    rest = {v.name: float(np.median(columns[v.name])) for v in selection.variables[2:]}
    values = {first.name: x[None, :], second.name: y[:, None], **rest}
    value, low, high = selection.interval(level=0.95, **values)
    labels = [_LABELS.get(v.name, v.name) for v in (first, second)]
    is_log = (first.is_logarithmic, second.is_logarithmic)
    return CompletenessMap(x, y, value, 0.5 * (high - low), labels[0], labels[1], is_log)


def _magnitude_column(names: list[str]) -> str | None:
    if "mag_deflector" in names:
        return "mag_deflector"
    bands = sorted(name for name in names if name.startswith("mag_deflector_"))
    for letter in ("i", "r", "z", "g"):
        for name in bands:
            if name.endswith(f"-{letter}"):
                return name
    return bands[0] if bands else None


def _halves(columns: Columns, found: np.ndarray, shape: Shape) -> list[Cell]:
    """Cells of each half of the lenses against the surface fitted to the other half."""
    half = np.arange(len(found)) % 2 == 0
    compared: list[Cell] = []
    if min(half.sum(), (~half).sum()) < 200:
        return compared
    names = tuple(columns)[:2]
    for rows in (half, ~half):
        inner = {name: values[~rows] for name, values in columns.items()}
        outer = {name: values[rows] for name, values in columns.items()}
        surface = fit_selection(inner, found[~rows], shape)
        compared += cells(surface, outer, found[rows], names=names)
    return compared


def _nodes(variable: Any, n: int) -> np.ndarray:  # noqa: ANN401 - a variable of the surface
    if variable.high <= variable.low:
        return np.array([variable.low])
    spaced = np.geomspace if variable.is_logarithmic else np.linspace
    return spaced(variable.low, variable.high, n)


def _nearest(values: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Number of the nearest node; -1 where there is no value."""
    place = np.abs(values[:, None] - nodes).argmin(axis=1)
    return np.where(np.isfinite(values), place, -1)
