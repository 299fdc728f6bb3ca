"""Tables larger than memory: piles on disk, Parquet by parts, and the HATS layout."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from stronglens.core.errors import MissingDataError, UnreadableFileError
from stronglens.data.catalog import read_metadata, read_table
from stronglens.data.hats import INDEX, healpix_index, write_hats
from stronglens.data.spool import Spool, pile_name
from stronglens.data.table_stream import TableWriter, count_rows, read_in_parts


def _rows(n, first=0):
    return {
        "object_id": np.array([f"o{first + k}" for k in range(n)], object),
        "score": np.linspace(0, 1, n) if n else np.zeros(0),
        "row": np.arange(first, first + n),
        "is_good": np.arange(n) % 2 == 0,
    }


def test_rows_come_back_from_their_piles_in_order(tmp_path):
    spool = Spool(tmp_path / "spool")
    for first in (0, 10, 20):
        rows = _rows(10, first)
        spool.add_sorted(rows["row"] % 3, rows)
    assert spool.names() == [pile_name(k) for k in range(3)]
    back = [spool.read(name) for name in spool.names()]
    assert sorted(np.concatenate([rows["row"] for rows in back]).tolist()) == list(range(30))
    for number, rows in enumerate(back):
        assert (rows["row"] % 3 == number).all()
        assert (np.diff(rows["row"]) > 0).all()
        assert list(rows["object_id"]) == [f"o{row}" for row in rows["row"]]
        assert rows["is_good"].dtype == bool
        some = spool.read(pile_name(number), 2, 9)
        assert some["row"].tolist() == rows["row"][2:9].tolist()


def test_empty_rows_make_no_pile_and_nan_stays(tmp_path):
    spool = Spool(tmp_path)
    spool.add_sorted(np.zeros(0, np.int64), _rows(0))
    assert spool.names() == []
    spool.add("a", {"score": np.array([np.nan, 1.0])})
    np.testing.assert_array_equal(spool.read("a")["score"], [np.nan, 1.0])


def test_a_pile_that_is_cut_off_is_named(tmp_path):
    spool = Spool(tmp_path)
    spool.add("a", _rows(100))
    file = tmp_path / "a.arrows"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(UnreadableFileError, match=r"a.arrows is cut off"):
        spool.read("a")


def test_parts_make_one_table_and_an_error_leaves_none(tmp_path):
    path = tmp_path / "t.parquet"
    with TableWriter(path, {"finder": "f"}) as writer:
        for first in (0, 7):
            writer.write({**_rows(7, first), "p": np.full(7, np.nan)})
    assert count_rows(path) == 14
    assert read_metadata(path) == {"finder": "f"}
    whole = read_table(path)
    assert whole["row"].tolist() == list(range(14))
    assert np.isnan(whole["p"]).all()
    assert pq.read_table(path).column("p").null_count == 14
    parts = list(read_in_parts(path, 4, ["row"]))
    assert [len(part["row"]) for part in parts] == [4, 4, 4, 2]
    with pytest.raises(KeyError), TableWriter(tmp_path / "u.parquet") as writer:
        writer.write({**_rows(1), "lost": _rows(1)["none"]})
    assert [file.name for file in tmp_path.iterdir()] == ["t.parquet"]


def test_rows_of_a_broken_or_missing_table_are_not_counted(tmp_path):
    with pytest.raises(MissingDataError, match="does not exist"):
        count_rows(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(UnreadableFileError, match="not a readable Parquet"):
        count_rows(tmp_path / "bad.parquet")


def _sky(n, seed=0):
    rng = np.random.default_rng(seed)
    dec = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    return {**_rows(n), "ra": rng.uniform(0, 360, n), "dec": dec}


def test_hats_catalogue_holds_every_placed_row_once_in_its_pixel(tmp_path):
    rows = _sky(3000)
    rows["ra"][:5] = np.nan
    cuts = (slice(0, 900), slice(900, None))
    parts = [{name: values[cut] for name, values in rows.items()} for cut in cuts]
    assert write_hats(tmp_path / "cat", "toy", lambda _: parts, most_rows=20) == 2995
    files = sorted((tmp_path / "cat" / "dataset").rglob("Npix=*.parquet"))
    seen = []
    for file in files:
        order = int(file.parts[-3].removeprefix("Norder="))
        pixel = int(file.stem.removeprefix("Npix="))
        assert file.parts[-2] == f"Dir={pixel // 10_000 * 10_000}"
        table = read_table(file)
        np.testing.assert_array_equal(healpix_index(table["ra"], table["dec"], order), pixel)
        assert (np.diff(table[INDEX]) >= 0).all()
        assert len(table["row"]) <= 20
        seen += table["row"].tolist()
    assert sorted(seen) == list(range(5, 3000))
    info = Table.read(tmp_path / "cat" / "partition_info.csv")
    assert len(info) == len(files)
    properties = (tmp_path / "cat" / "hats.properties").read_text()
    assert "hats_nrows=2995" in properties
    assert pq.read_metadata(tmp_path / "cat" / "dataset" / "_metadata").num_rows == 2995


def test_hats_catalogue_without_positions_is_empty_and_a_second_one_replaces_it(tmp_path):
    rows = _sky(10)
    assert write_hats(tmp_path / "cat", "toy", lambda _: [rows]) == 10
    rows["ra"][:] = np.nan
    assert write_hats(tmp_path / "cat", "toy", lambda _: [rows]) == 0
    assert not list((tmp_path / "cat").rglob("Npix=*"))


def test_healpix_pixels_of_the_poles_and_the_origin_are_the_published_ones():
    # Gorski et al. 2005: the nested base pixels, four north, four around the equator, four south
    ra = np.array([45.0, 135.0, 0.0, 90.0, 45.0])
    dec = np.array([80.0, 80.0, 0.0, 0.0, -80.0])
    np.testing.assert_array_equal(healpix_index(ra, dec, 0), [0, 1, 4, 5, 8])
