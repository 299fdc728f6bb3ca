"""Catalogues written in the HATS layout: Parquet files by HEALPix pixel, as LSDB opens them.

Targets are read from such a directory by `stronglens.data.target_tables`.
"""

import csv
import itertools
import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import astropy.units as u
import numpy as np
import pyarrow.parquet as pq
from astropy_healpix import HEALPix
from jaxtyping import Bool, Float64, Int64

from stronglens.core.files import atomic_path, write_text
from stronglens.data.spool import Spool
from stronglens.data.table_stream import TableWriter

INDEX = "_healpix_29"
"""Column with the pixel of each row at order 29, by which rows are sorted."""
_INDEX_ORDER = 29
_ORDERS = range(3, 9)
_PILE_ORDER = 6  # few enough pixels to be files, each with few enough rows to be sorted
_DIRECTORY_SIZE = 10_000


def write_hats(
    folder: Path, name: str, parts: Iterable[Mapping[str, np.ndarray]], most_rows: int = 500_000
) -> int:
    """Write rows with positions as a HATS catalogue; rows without a position are left out.

    All partitions have one order, the lowest from 3 to 8 at which none has too many rows.

    Args:
        folder: Directory of the catalogue, replaced when it exists.
        name: Name of the catalogue.
        parts: Columns of some rows at a time, `ra` and `dec` [deg] among them.
        most_rows: Rows of a partition, as long as the highest order allows it.

    Returns:
        Number of rows written.

    Reference:
        IVOA Note "HATS: A Standard for the Hierarchical Adaptive Tiling Scheme", 2025.
    """
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    spool = Spool(temporary / "spool")
    finest = _ORDERS[-1]
    counts = np.zeros(12 * 4**finest, np.int64)
    for part in parts:
        is_placed = np.isfinite(part["ra"]) & np.isfinite(part["dec"])
        rows = {key: values[is_placed] for key, values in part.items()}
        rows[INDEX] = healpix_index(rows["ra"], rows["dec"], _INDEX_ORDER)
        fine = rows[INDEX] >> 2 * (_INDEX_ORDER - finest)
        counts += np.bincount(fine, minlength=len(counts))
        spool.add_sorted(fine >> 2 * (finest - _PILE_ORDER), rows)
    order = _lowest_order(counts, most_rows)
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
    grid = HEALPix(nside=2**order, order="nested")
    return np.asarray(grid.lonlat_to_healpix(ra * u.deg, dec * u.deg), np.int64)


def _lowest_order(counts: Int64[np.ndarray, "pixel"], most_rows: int) -> int:
    """Lowest order at which no pixel has too many rows, or else the highest."""
    for order in _ORDERS:
        shared = counts.reshape(-1, 4 ** (_ORDERS[-1] - order)).sum(axis=1)
        if shared.max() <= most_rows:
            return order
    return _ORDERS[-1]


def _write_partitions(folder: Path, spool: Spool, order: int) -> list[tuple[int, int]]:
    """Write one file per pixel of an order, and return the pixels with their numbers of rows."""
    folder.mkdir(parents=True)
    info: list[tuple[int, int]] = []
    shift = 2 * max(_PILE_ORDER - order, 0)
    by_pixel = itertools.groupby(spool.names(), lambda name: int(name) >> shift)
    for names in [list(group) for _, group in by_pixel]:
        tables = [spool.read(name) for name in names]
        rows = {key: np.concatenate([table[key] for table in tables]) for key in tables[0]}
        pixel = rows[INDEX] >> 2 * (_INDEX_ORDER - order)
        for number in np.unique(pixel).tolist():
            inside = _chosen(rows, pixel == number)
            info.append((number, _write_partition(folder, order, number, inside)))
    return sorted(info)


def _chosen(rows: dict[str, np.ndarray], kept: Bool[np.ndarray, "n"]) -> dict[str, np.ndarray]:
    """Rows kept, sorted by their index, with it in front."""
    order = np.argsort(rows[INDEX][kept], kind="stable")
    sorted_rows = {key: values[kept][order] for key, values in rows.items()}
    return {INDEX: sorted_rows.pop(INDEX), **sorted_rows}


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
