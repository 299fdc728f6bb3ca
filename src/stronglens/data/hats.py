"""Catalogues written in the HATS layout: Parquet files by HEALPix pixel, as LSDB opens them.

Targets are read from such a directory by `stronglens.data.target_tables`.
"""

import csv
import shutil
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import astropy.units as u
import numpy as np
import pyarrow.parquet as pq
from astropy_healpix import HEALPix
from jaxtyping import Float64, Int64

from stronglens.core.files import atomic_path, write_text
from stronglens.data.spool import Spool
from stronglens.data.table_stream import TableWriter

INDEX = "_healpix_29"
"""Column with the pixel of each row at order 29, by which rows are sorted."""
_INDEX_ORDER = 29
_ORDERS = range(3, 9)
_DIRECTORY_SIZE = 10_000

Rows = Callable[[tuple[str, ...] | None], Iterable[Mapping[str, np.ndarray]]]
"""Gives some rows of a table at a time, each time it is called: columns by name, or all of them."""


def write_hats(folder: Path, name: str, rows: Rows, most_rows: int = 100_000) -> int:
    """Write rows with positions as a HATS catalogue; rows without a position are left out.

    All partitions have one order, the lowest from 3 to 8 at which none has too many rows. One
    partition at a time is in memory.

    Args:
        folder: Directory of the catalogue, replaced when it exists.
        name: Name of the catalogue.
        rows: Gives the rows, `ra` and `dec` [deg] among their columns; called twice.
        most_rows: Rows of a partition, as long as the highest order allows it.

    Returns:
        Number of rows written.

    Reference:
        IVOA Note "HATS: A Standard for the Hierarchical Adaptive Tiling Scheme", 2025.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    spool = Spool(temporary / "spool")
    order = _lowest_order(rows(("ra", "dec")), most_rows)
    for part in rows(None):
        is_placed = np.isfinite(part["ra"]) & np.isfinite(part["dec"])
        placed = {key: values[is_placed] for key, values in part.items()}
        placed[INDEX] = healpix_index(placed["ra"], placed["dec"], _INDEX_ORDER)
        spool.add_sorted(placed[INDEX] >> 2 * (_INDEX_ORDER - order), placed)
    info = _write_partitions(temporary / "dataset", spool, order)
    _write_facts(temporary, name, order, info)
    shutil.rmtree(temporary / "spool")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)
    return sum(n for _, n in info)


def healpix_index(
    ra: Float64[np.ndarray, "n"], dec: Float64[np.ndarray, "n"], order: int
) -> Int64[np.ndarray, "n"]:
    """Nested HEALPix pixel of positions.

    Args:
        ra: Right ascension [deg].
        dec: Declination [deg].
        order: Order; there are 12 x 4^order pixels.

    Reference:
        Gorski et al. 2005, ApJ 622, 759.
    """
    return np.asarray(_grid(order).lonlat_to_healpix(ra * u.deg, dec * u.deg), np.int64)


@cache
def _grid(order: int) -> HEALPix:
    return HEALPix(nside=2**order, order="nested")


def _lowest_order(parts: Iterable[Mapping[str, np.ndarray]], most_rows: int) -> int:
    """Lowest order at which no pixel has too many rows, or else the highest."""
    finest = _ORDERS[-1]
    counts = np.zeros(12 * 4**finest, np.int64)
    for part in parts:
        ra, dec = part["ra"], part["dec"]
        is_placed = np.isfinite(ra) & np.isfinite(dec)
        pixel = healpix_index(ra[is_placed], dec[is_placed], finest)
        counts += np.bincount(pixel, minlength=len(counts))
    for order in _ORDERS:
        shared = counts.reshape(-1, 4 ** (finest - order)).sum(axis=1)
        if shared.max() <= most_rows:
            return order
    return finest


def _write_partitions(folder: Path, spool: Spool, order: int) -> list[tuple[int, int]]:
    """Write one file per pixel of an order, and return the pixels with their numbers of rows."""
    folder.mkdir(parents=True)
    info: list[tuple[int, int]] = []
    for name in spool.names():
        rows = spool.read(name)
        along = np.argsort(rows[INDEX], kind="stable")
        ordered = {INDEX: rows[INDEX][along]}
        ordered |= {key: values[along] for key, values in rows.items() if key != INDEX}
        info.append((int(name), _write_partition(folder, order, int(name), ordered)))
    return info


def _write_partition(folder: Path, order: int, pixel: int, rows: Mapping[str, np.ndarray]) -> int:
    start = pixel // _DIRECTORY_SIZE * _DIRECTORY_SIZE
    place = folder / f"Norder={order}" / f"Dir={start}"
    place.mkdir(parents=True, exist_ok=True)
    with TableWriter(place / f"Npix={pixel}.parquet") as writer:
        writer.write(rows)
    return writer.n_rows


def _write_facts(folder: Path, name: str, order: int, info: list[tuple[int, int]]) -> None:
    """Write the properties, the list of partitions, and the common metadata."""
    n_rows = sum(n for _, n in info)
    properties = {
        "obs_collection": name,
        "dataproduct_type": "object",
        "hats_nrows": n_rows,
        "hats_col_ra": "ra",
        "hats_col_dec": "dec",
        "hats_max_rows": max((n for _, n in info), default=0),
        "hats_order": order,
        "hats_skymap_order": order,
        "hats_col_healpix": INDEX,
        "hats_col_healpix_order": _INDEX_ORDER,
        "hats_npix_suffix": ".parquet",
        "hats_version": "v1.0",
        "hats_builder": "stronglens",
        "hats_creation_date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M%Z}",
    }
    text = "".join(f"{key}={value}\n" for key, value in properties.items())
    write_text(folder / "hats.properties", text)
    write_text(folder / "properties", text)
    with (
        atomic_path(folder / "partition_info.csv") as temporary,
        temporary.open("w", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["Norder", "Npix"])
        writer.writerows((order, pixel) for pixel, _ in info)
    files = sorted((folder / "dataset").rglob("*.parquet"))
    if not files:
        return
    footers = []
    for path in files:
        footer = pq.read_metadata(path)
        footer.set_file_path(str(path.relative_to(folder / "dataset")))
        footers.append(footer)
    schema = pq.read_schema(files[0])
    pq.write_metadata(schema, folder / "dataset" / "_common_metadata")
    pq.write_metadata(schema, folder / "dataset" / "_metadata", metadata_collector=footers)
