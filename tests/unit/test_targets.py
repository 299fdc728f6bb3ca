"""Targets: every kind of table, cuts, and each target on one tile with one status."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st

from stronglens.core.errors import (
    MissingDataError,
    OutOfRangeError,
    UnknownNameError,
    UnreadableFileError,
)
from stronglens.data.target_cuts import columns_of, passes
from stronglens.data.targets import (
    Footprint,
    TargetOptions,
    Targets,
    TargetStatus,
    assign_to_tiles,
    count_targets,
    read_targets,
)

N = 7
COLUMNS = {
    "objid": np.arange(100, 100 + N),
    "RA": 150 + 0.001 * np.arange(N),
    "Dec": 2 - 0.001 * np.arange(N),
    "mag_r": np.array([18.0, 19.0, np.nan, 21.0, 22.0, 20.0, 18.5]),
    "kind": np.array(["a", "b", "a", "b", "a", "b", "a"]),
}


def write(folder, kind):
    """The same table in one of the formats."""
    table, path = Table(COLUMNS), folder / f"t.{kind}"
    if kind in ("csv", "tsv", "txt", "csv.gz"):
        delimiter = {"tsv": "\t", "txt": " "}.get(kind, ",")
        table.write(folder / "t.ascii", format="ascii", delimiter=delimiter)
        text = (folder / "t.ascii").read_bytes()
        path.write_bytes(gzip.compress(text) if kind == "csv.gz" else text)
    elif kind == "parquet":
        pq.write_table(
            pa.table({k: pa.array(v, from_pandas=True) for k, v in COLUMNS.items()}), path
        )
    elif kind == "hats":
        for part, rows in enumerate((slice(0, 3), slice(3, N))):
            file = path / "dataset" / "Norder=1" / "Dir=0" / f"Npix={part}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            values = {k: pa.array(v[rows], from_pandas=True) for k, v in COLUMNS.items()}
            pq.write_table(pa.table(values), file)
        pq.write_table(pa.table({"x": [0]}), path / "dataset" / "_metadata.parquet")
    else:
        table.write(path, format={"fits": "fits", "xml": "votable"}[kind])
    return path


FORMATS = ("csv", "tsv", "txt", "csv.gz", "fits", "xml", "parquet", "hats")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("chunk", [2, 1000])
def test_every_format_gives_the_same_targets_whatever_the_chunk(tmp_path, kind, chunk):
    options = TargetOptions(keep=("mag_r", "kind"), chunk=chunk)
    chunks = list(read_targets(write(tmp_path, kind), options))
    assert len(chunks) > (1 if chunk == 2 else 0)
    ids = np.concatenate([c.object_id for c in chunks])
    assert list(ids) == [str(100 + k) for k in range(N)]
    np.testing.assert_allclose(np.concatenate([c.ra for c in chunks]), COLUMNS["RA"], atol=1e-9)
    np.testing.assert_allclose(np.concatenate([c.dec for c in chunks]), COLUMNS["Dec"], atol=1e-9)
    magnitudes = np.concatenate([c.extra["mag_r"] for c in chunks])
    np.testing.assert_allclose(magnitudes, COLUMNS["mag_r"])
    assert list(np.concatenate([c.extra["kind"] for c in chunks])) == list(COLUMNS["kind"])
    assert [c.first_row for c in chunks] == list(np.cumsum([0, *map(len, chunks[:-1])]))


@pytest.mark.parametrize(
    ("kind", "known"), [("parquet", N), ("fits", N), ("hats", N), ("csv", None)]
)
def test_rows_are_counted_where_a_header_tells(tmp_path, kind, known):
    assert count_targets(write(tmp_path, kind)) == known


@pytest.mark.parametrize("kind", FORMATS)
def test_cuts_leave_the_rows_that_meet_them_and_none_without_a_value(tmp_path, kind):
    options = TargetOptions(cuts=("mag_r<20.5", "mag_r - 1 > 17.2"), chunk=3)
    ids = [i for c in read_targets(write(tmp_path, kind), options) for i in c.object_id]
    assert ids == ["101", "105", "106"]


def test_pixels_counted_from_one_are_moved_and_columns_can_be_named(tmp_path):
    Table({"X_IMAGE": [1.0, 5.0], "Y_IMAGE": [1.0, 2.0]}).write(tmp_path / "a.csv")
    (targets,) = read_targets(tmp_path / "a.csv")
    assert list(targets.x) == [0.0, 4.0]
    assert list(targets.object_id) == ["0", "1"]
    Table({"lon": [10.0], "lat": [1.0], "n": ["p"]}).write(tmp_path / "b.csv")
    with pytest.raises(MissingDataError, match=r"no positions in .*lon, lat, n"):
        list(read_targets(tmp_path / "b.csv"))
    options = TargetOptions(columns=("ra=lon", "dec=lat", "object_id=n"))
    (targets,) = read_targets(tmp_path / "b.csv", options)
    assert (targets.object_id[0], targets.ra[0], targets.dec[0]) == ("p", 10.0, 1.0)


def test_wrong_columns_and_wrong_files_are_refused(tmp_path):
    path = write(tmp_path, "csv")
    with pytest.raises(
        UnknownNameError, match=r"unknown column of .* 'mag_x'.*Did you mean 'mag_r'"
    ):
        list(read_targets(path, TargetOptions(keep=("mag_x",))))
    with pytest.raises(UnknownNameError, match="unknown field of a target 'rra'"):
        list(read_targets(path, TargetOptions(columns=("rra=RA",))))
    with pytest.raises(OutOfRangeError, match="has no '='"):
        list(read_targets(path, TargetOptions(columns=("RA",))))
    with pytest.raises(MissingDataError, match="does not exist"):
        list(read_targets(tmp_path / "none.csv"))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UnreadableFileError, match="cannot be read"):
        list(read_targets(tmp_path / "broken.parquet"))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(UnreadableFileError, match="is empty"):
        list(read_targets(tmp_path / "empty.csv"))


@pytest.mark.parametrize(
    "cut", ["mag_r", "__import__('os')", "mag_r < exp(2)", "a and b", "mag_r <"]
)
def test_what_is_no_condition_is_refused(cut):
    with pytest.raises(OutOfRangeError, match="is no condition"):
        columns_of([cut])


@given(st.lists(st.floats(-30, 30), min_size=0, max_size=20), st.floats(-30, 30))
def test_a_condition_says_what_numpy_says(values, limit):
    column = np.array(values, np.float64)
    found = passes([f"m<{limit!r}", f"-40<m*2-m<={limit!r}"], {"m": column}, len(column))
    np.testing.assert_array_equal(found, (column < limit) & (2 * column - column > -40))


def footprint(tile_id, ra=150.0, dec=2.0, width=100, height=80, scale=0.2, turn=0.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [ra, dec]
    wcs.wcs.crpix = [(width + 1) / 2, (height + 1) / 2]
    c, s = np.cos(turn), np.sin(turn)
    wcs.wcs.cd = np.array([[-c, s], [s, c]]) * scale / 3600
    return Footprint(tile_id, height, width, scale, wcs)


def targets_at(ra=(), dec=(), x=(), y=(), tile_id=None):
    n = max(len(ra), len(x))
    unknown = np.full(n, np.nan)

    def column(values):
        return np.array(values, np.float64) if len(values) else unknown.copy()

    names = np.array([f"t{k}" for k in range(n)], object)
    tiles = np.array([""] * n if tile_id is None else tile_id, object)
    return Targets(names, column(ra), column(dec), column(x), column(y), tiles)


@pytest.mark.parametrize(
    ("ra", "dec", "turn"), [(150.0, 2.0, 0.0), (0.001, -45.0, 0.7), (211.0, 89.0, 2.0)]
)
def test_a_target_goes_to_the_pixel_that_the_wcs_says_also_across_zero_and_at_the_pole(
    ra, dec, turn
):
    tile = footprint("a", ra, dec, turn=turn)
    x, y = np.array([49.5, 5.0, 95.3]), np.array([39.5, 70.0, 3.0])
    sky = tile.wcs.all_pix2world(x, y, 0)
    found = assign_to_tiles(targets_at(*sky), [tile], 0.0)
    np.testing.assert_allclose(found.x, x, atol=1e-6)
    np.testing.assert_allclose(found.y, y, atol=1e-6)
    assert list(found.status) == ["ok"] * 3


def test_a_target_in_the_overlap_is_assigned_once_to_where_it_is_farthest_from_the_edge():
    tiles = [footprint("a", 150.0), footprint("b", 150.003)]
    sky = np.linspace(150.0 - 0.0025, 150.003 + 0.0025, 41), np.full(41, 2.0)
    found = assign_to_tiles(targets_at(*sky), tiles, 10.0)
    assert set(found.status) <= {"ok", "edge"}
    middle = 150.0015
    assert (found.tile[sky[0] < middle - 1e-5] == 0).all()
    assert (found.tile[sky[0] > middle + 1e-5] == 1).all()
    again = assign_to_tiles(targets_at(*sky), tiles[::-1], 10.0)
    np.testing.assert_allclose(again.edge_distance, found.edge_distance)


def test_every_target_has_one_of_the_statuses():
    tile = footprint("a")
    x, y = [50.0, 3.0, 200.0], [40.0, 40.0, 40.0]
    ra, dec = tile.wcs.all_pix2world(x, y, 0)
    found = assign_to_tiles(targets_at([*ra, 10.0, np.nan], [*dec, -60.0, 2.0]), [tile], 16.0)
    assert list(found.status) == ["ok", "edge", "outside", "outside", "failed"]
    assert {str(s) for s in found.status} <= {s.value for s in TargetStatus}
    assert list(found.tile) == [0, 0, -1, -1, -1]
    assert np.isnan(found.x[2:]).all()


def test_pixels_count_on_the_tile_they_are_for():
    tiles = [footprint("a"), footprint("b", 160.0)]
    table = targets_at(x=[50, 60, 70], y=[40, 40, 40], tile_id=["b", "a", ""])
    found = assign_to_tiles(table, tiles, 16.0)
    assert list(found.tile) == [1, 0, -1]
    assert list(found.status) == ["ok", "ok", "outside"]
    alone = assign_to_tiles(targets_at(x=[50], y=[40]), tiles[:1], 16.0)
    assert list(alone.tile) == [0]


def test_no_targets_and_no_tiles_are_no_errors():
    assert len(assign_to_tiles(targets_at(), [footprint("a")], 8.0).tile) == 0
    assert list(assign_to_tiles(targets_at([1.0], [1.0]), [], 8.0).status) == ["outside"]
