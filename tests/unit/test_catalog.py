"""Tables in Parquet and FITS."""

import numpy as np
import pytest
from astropy.table import Table

from stronglens.core.errors import MissingDataError, UnreadableFileError, WrongShapeError
from stronglens.data.catalog import read_metadata, read_table, write_fits_table, write_table

COLUMNS = {
    "object_id": np.array(["a", "b", ""], dtype=object),
    "score": np.array([0.5, np.nan, 0.1]),
    "label": np.array([1, 0, 1]),
    "is_candidate": np.array([True, False, True]),
}


def test_table_comes_back_as_it_was_written(tmp_path):
    path = write_table(tmp_path / "sub" / "t.parquet", COLUMNS, {"threshold": 0.5})
    back = read_table(path)
    assert list(back) == list(COLUMNS)
    for name, values in COLUMNS.items():
        np.testing.assert_array_equal(back[name], values)
        assert back[name].dtype.kind == values.dtype.kind
    assert read_metadata(path) == {"threshold": 0.5}
    assert [p.name for p in path.parent.iterdir()] == ["t.parquet"]


def test_nan_is_null_for_other_readers(tmp_path):
    import pyarrow.parquet as pq

    path = write_table(tmp_path / "t.parquet", COLUMNS)
    assert pq.read_table(path).column("score").null_count == 1
    assert read_metadata(path) == {}


def test_empty_table_keeps_its_columns(tmp_path):
    path = write_table(tmp_path / "t.parquet", {k: v[:0] for k, v in COLUMNS.items()})
    assert {name: len(values) for name, values in read_table(path).items()} == dict.fromkeys(
        COLUMNS, 0
    )


def test_fits_copy_opens_in_astropy(tmp_path):
    names = np.array(["Hélène", "b", "c"], dtype=object)
    path = write_fits_table(tmp_path / "t.fits", {**COLUMNS, "name": names}, {"THRESH": 0.5})
    table = Table.read(path)
    assert table.meta["THRESH"] == 0.5
    assert list(table["name"]) == ["H\\xe9l\\xe8ne", "b", "c"]
    np.testing.assert_array_equal(np.asarray(table["is_candidate"]), [True, False, True])
    assert np.isnan(np.ma.filled(table["score"], np.nan)[1])


def test_columns_of_unequal_length_are_refused(tmp_path):
    with pytest.raises(WrongShapeError, match="one-dimensional columns of one length"):
        write_table(tmp_path / "t.parquet", {"a": np.zeros(2), "b": np.zeros(3)})
    assert not (tmp_path / "t.parquet").exists()


def test_missing_and_broken_tables_say_so(tmp_path):
    with pytest.raises(MissingDataError, match="does not exist"):
        read_table(tmp_path / "none.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    with pytest.raises(UnreadableFileError, match="not a readable Parquet file"):
        read_table(tmp_path / "broken.parquet")
