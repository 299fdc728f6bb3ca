"""Datasets: written in shards, opened whoever made them, and clear about what is wrong."""

import numpy as np
import pytest
import zarr

from stronglens.core.errors import (
    InterruptedRunError,
    MissingDataError,
    OutOfRangeError,
    UnknownNameError,
    UnreadableFileError,
    WrongShapeError,
)
from stronglens.data.catalog import write_table
from stronglens.data.layout import ImageFacts, Images
from stronglens.data.store import open_dataset
from stronglens.data.writer import DatasetWriter

FACTS = ImageFacts(("a-g", "a-r"), pixel_scale=0.2, zero_point=27.0, height=7, width=9)


def _write(root, n=600, shard=500):
    rng = np.random.default_rng(1)
    flux = rng.normal(size=(n, 2, 7, 9)).astype(np.float32)
    writer = DatasetWriter(root, FACTS, n, planes=("noiseless",), shard=shard)
    for start, stop in writer.missing_shards():
        rows = slice(start, stop)
        truth = {"label": np.arange(start, stop) % 2, "split": np.array(["test"] * (stop - start))}
        writer.write_shard(start, Images(flux[rows]), truth, {"noiseless": 2 * flux[rows]})
    writer.finish({"seed": 1})
    return flux


def test_what_is_written_is_read_back_whatever_the_rows(tmp_path):
    flux = _write(tmp_path)
    dataset = open_dataset(tmp_path)
    assert (dataset.n, dataset.size, dataset.bands) == (600, (7, 9), ("a-g", "a-r"))
    for rows in (
        slice(0, 600),
        np.array([3, 1, 599]),
        np.arange(490, 510),
        np.array([], dtype=int),
    ):
        np.testing.assert_array_equal(dataset.images(rows).flux, flux[rows])
    np.testing.assert_array_equal(dataset.plane("noiseless", slice(5, 9)), 2 * flux[5:9])
    assert dataset.images(slice(0, 2)).ivar is None


def test_missing_things_are_named(tmp_path):
    with pytest.raises(MissingDataError, match="no dataset at"):
        open_dataset(tmp_path / "nowhere")
    _write(tmp_path)
    dataset = open_dataset(tmp_path)
    with pytest.raises(UnknownNameError, match="Did you mean 'label'"):
        dataset.column("lable")
    with pytest.raises(MissingDataError, match="no images in the split 'train'"):
        dataset.index("train")
    with pytest.raises(UnknownNameError, match="unknown plane"):
        dataset.plane("noise", slice(0, 1))


def test_unfinished_dataset_is_not_read_as_a_whole_one(tmp_path):
    _write(tmp_path)
    (tmp_path / "truth.parquet").unlink()
    with pytest.raises(InterruptedRunError, match="not finished"):
        open_dataset(tmp_path)


def test_images_and_truth_that_do_not_fit_are_refused(tmp_path):
    _write(tmp_path)
    write_table(tmp_path / "truth.parquet", {"label": np.arange(3)})
    with pytest.raises(WrongShapeError, match="600 images and 3 rows"):
        open_dataset(tmp_path)


def test_dataset_of_another_maker_opens(tmp_path):
    group = zarr.open_group(tmp_path / "images.zarr" / "mine", mode="w", zarr_format=3)
    group.create_array("flux", data=np.zeros((4, 1, 5, 6), dtype=np.float32))
    write_table(tmp_path / "truth.parquet", {"label": np.array([0, 1, 0, 1])})
    with pytest.raises(UnreadableFileError, match="does not say its bands, pixel_scale"):
        open_dataset(tmp_path)
    group.attrs.update({"bands": ["x-g"], "pixel_scale": 0.1, "zero_point": 25.0})
    dataset = open_dataset(tmp_path)
    assert dataset.images(np.array([2])).flux.shape == (1, 1, 5, 6)
    assert dataset.index("all").tolist() == [0, 1, 2, 3]


def test_content_hash_follows_the_pixels_not_the_shards(tmp_path):
    _write(tmp_path / "a", shard=250)
    _write(tmp_path / "b", shard=500)
    assert (
        open_dataset(tmp_path / "a").content_hash() == open_dataset(tmp_path / "b").content_hash()
    )


def test_shard_that_is_no_multiple_of_the_chunk_is_refused(tmp_path):
    with pytest.raises(OutOfRangeError, match="multiple of 250"):
        DatasetWriter(tmp_path, FACTS, 10, shard=100)
