"""Copies of the best rows for other tools: FITS and VOTable for TOPCAT, regions for DS9.

The whole table is Parquet, by `scanning.catalogue`.
"""

import math
from pathlib import Path

import numpy as np
from astropy.table import Table

from stronglens.core.files import atomic_path, write_text
from stronglens.data.catalog import write_fits_table
from stronglens.data.table_stream import read_in_parts

MOST_ROWS = 100_000
"""Rows of the copies; a table for other tools must fit into memory."""
_COLOURS = {"known": "cyan", "candidate": "yellow"}


def write_copies(folder: Path, facts: dict[str, float], radius: float) -> int:
    """Write candidates.fits, candidates.vot and candidates.reg beside candidates.parquet.

    Args:
        folder: Where the table is and the copies go.
        facts: Header cards of the FITS copy.
        radius: Of the circles that mark candidates in DS9 [arcsec].

    Returns:
        Rows of the copies: the first of the table.
    """
    columns = next(read_in_parts(folder / "candidates.parquet", MOST_ROWS))
    write_fits_table(folder / "candidates.fits", columns, facts)
    plain = {
        name: values.astype(str) if values.dtype == object else values
        for name, values in columns.items()
    }
    with atomic_path(folder / "candidates.vot") as temporary:
        # three times as fast as text, and half as long
        options = {"table_id": "candidates", "tabledata_format": "binary"}
        Table(plain).write(temporary, format="votable", **options)
    write_text(folder / "candidates.reg", "\n".join(_regions(columns, radius)) + "\n")
    return len(columns["score"])


def _regions(columns: dict[str, np.ndarray], radius: float) -> list[str]:
    """Lines of a DS9 region file: a circle with its score around each candidate."""
    lines = ["# Region file format: DS9 version 4.1", "global color=green width=2", "icrs"]
    known = columns.get("known", np.full(len(columns["score"]), "", object))
    for index in np.flatnonzero(columns["is_candidate"]).tolist():
        ra, dec = float(columns["ra"][index]), float(columns["dec"][index])
        if not (math.isfinite(ra) and math.isfinite(dec)):
            continue
        colour = _COLOURS.get(str(known[index]))
        text = f"{columns['score'][index]:.3f} {columns['object_id'][index]}"
        marks = f"text={{{text}}}" + (f" color={colour}" if colour else "")
        lines.append(f'circle({ra:.7f},{dec:.7f},{radius:g}") # {marks}')
    return lines
