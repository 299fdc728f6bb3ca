"""Tables as comma-separated text: chains and the table of all lenses."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stronglens.core.files import atomic_path


def write_csv(path: Path, columns: Mapping[str, np.ndarray]) -> Path:
    """Write columns of equal length with a line of names; nothing stands for no number.

    Args:
        path: File to write, replaced when it exists.
        columns: One-dimensional array per name.

    Returns:
        The path written.
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow([_cell(value) for value in row])
    return path


def _cell(value: object) -> str:
    if isinstance(value, float | np.floating):
        return f"{float(value):.8g}" if np.isfinite(value) else ""
    return str(value)
