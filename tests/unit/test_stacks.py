"""Stacks, pictures and labels as other people's files hold them."""

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from astropy.table import Table
from PIL import Image

from stronglens.core.errors import MissingDataError, OutOfRangeError, UnreadableFileError
from stronglens.data.label_tables import bare_name, read_labels
from stronglens.data.picture_files import read_picture
from stronglens.data.planes import Hints
from stronglens.data.stacks import read_stack

N, BANDS, SIZE = 5, 3, 16
FLUX = np.random.default_rng(0).normal(size=(N, BANDS, SIZE, SIZE + 2)).astype(np.float32)
LABELS = np.array([1, 0, 1, 1, 0])


def write(path, flux, **columns):
    """Write a stack by the ending of its name."""
    if path.suffix == ".npy":
        np.save(path, flux)
    elif path.suffix == ".npz":
        np.savez(path, images=flux, **columns)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            for name, values in {"images": flux, **columns}.items():
                file.create_dataset(f"train/{name}", data=values)
    else:
        group = zarr.open_group(path, mode="w")
        for name, values in {"images": flux, **columns}.items():
            group.create_array(name, data=values)
    return path


@pytest.mark.parametrize("ending", [".npy", ".npz", ".h5", ".zarr"])
@pytest.mark.parametrize("bands_last", [False, True])
def test_every_stack_gives_its_objects_in_order(tmp_path, ending, bands_last):
    flux = np.moveaxis(FLUX, 1, -1) if bands_last else FLUX
    path = write(tmp_path / f"s{ending}", flux)
    cutouts = [c for c, _ in read_stack(path, Hints(bands=("g", "r", "i"), pixel_scale=0.2))]
    np.testing.assert_array_equal(np.stack([c.flux for c in cutouts]), FLUX)
    assert cutouts[0].bands == ("g", "r", "i")
    assert cutouts[0].pixel_scale == 0.2
    assert len({c.object_id for c in cutouts}) == N
    later = [c for c, _ in read_stack(path, Hints(bands=("g", "r", "i")), start=3)]
    np.testing.assert_array_equal(later[0].flux, FLUX[3])


@pytest.mark.parametrize("ending", [".npz", ".h5", ".zarr"])
def test_labels_names_noise_and_psf_of_a_stack_are_read(tmp_path, ending):
    columns = {"y": LABELS, "ra": np.arange(N) * 1.0, "variance": np.full_like(FLUX, 0.25),
               "psfs": np.ones((N, BANDS, 5, 5), np.float32)}  # fmt: skip
    columns["variance"][0, 0, 2, 3] = 0
    found = list(read_stack(write(tmp_path / f"s{ending}", FLUX, **columns)))
    assert [values["label"] for _, values in found] == list(LABELS)
    assert [values["ra"] for _, values in found] == [0, 1, 2, 3, 4]
    cutout = found[0][0]
    assert cutout.ivar[0, 2, 3] == 0
    assert np.median(cutout.ivar) == 4
    np.testing.assert_allclose(cutout.psf.sum((1, 2)), 1, atol=1e-6)


def test_three_axes_are_bands_where_few_or_named_and_objects_else(tmp_path):
    one = write(tmp_path / "one.npz", FLUX[0], filters=np.array(["g", "r", "i"]))
    (found,) = list(read_stack(one))
    assert found[0].bands == ("g", "r", "i")
    many = write(tmp_path / "many.npy", np.repeat(FLUX[:, 0], 3, axis=0))
    assert len(list(read_stack(many))) == 3 * N
    grey = write(tmp_path / "grey.npy", FLUX[:, 0])
    assert len(list(read_stack(grey, Hints(bands=("r",))))) == N


def test_cutana_zarr_takes_names_from_the_table_beside_it(tmp_path):
    folder = tmp_path / "batch_cutout_process_000"
    folder.mkdir()
    write(folder / "images.zarr", np.moveaxis(FLUX, 1, -1))
    names = [f"source {k}" for k in range(N)]
    pq.write_table(pa.table({"source_id": names}), folder / "images_metadata.parquet")
    cutouts = [c for c, _ in read_stack(folder / "images.zarr")]
    assert [c.object_id for c in cutouts] == names


def test_a_mask_of_good_pixels_is_turned_and_a_mask_of_bits_waits_for_the_bits(tmp_path):
    good = np.ones(FLUX.shape, bool)
    good[0, 0, 1, 1] = False
    path = write(tmp_path / "mmu.h5", FLUX, image_mask=good)
    cutout = next(iter(read_stack(path)))[0]
    assert cutout.mask.sum() == 1
    assert cutout.mask[0, 1, 1]
    bits = np.full(FLUX.shape, 32, np.int32)
    bits[0, 0, 1, 1] = 33
    path = write(tmp_path / "bits.npz", FLUX, mask=bits)
    cutout = next(iter(read_stack(path)))[0]
    assert not cutout.mask.any()
    assert "--flags" in cutout.remarks[0]
    assert next(iter(read_stack(path, Hints(flags=1))))[0].mask.sum() == 1


def test_what_is_no_stack_is_refused(tmp_path):
    with pytest.raises(MissingDataError, match="does not exist"):
        list(read_stack(tmp_path / "none.npy"))
    (tmp_path / "a.npy").write_bytes(b"nothing")
    with pytest.raises(UnreadableFileError, match=r"cannot be read as \.npy"):
        list(read_stack(tmp_path / "a.npy"))
    np.save(tmp_path / "b.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(UnreadableFileError, match="Python objects are not allowed"):
        list(read_stack(tmp_path / "b.npy"))
    np.savez(tmp_path / "c.npz", weights=np.ones(3))
    with pytest.raises(MissingDataError, match="holds no array of images, only: weights"):
        list(read_stack(tmp_path / "c.npz"))


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_picture_has_colour_bands_no_zero_point_and_its_first_row_on_top(tmp_path, ending):
    values = np.zeros((20, 30, 3), np.uint8)
    values[:8, :, 0] = 250
    Image.fromarray(values).save(tmp_path / f"a.{ending}", quality=95)
    cutout = read_picture(tmp_path / f"a.{ending}", Hints(pixel_scale=0.3))
    assert cutout.bands == ("rgb-r", "rgb-g", "rgb-b")
    assert np.isnan(cutout.zero_point).all()
    assert "no flux" in cutout.remarks[0]
    assert cutout.flux[0, -4:].min() > 200
    assert cutout.flux[0, :8].max() < 50
    grey = tmp_path / "grey.png"
    Image.fromarray(values[:, :, 0]).save(grey)
    assert read_picture(grey).bands == ("grey",)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableFileError, match="is no picture"):
        read_picture(tmp_path / "bad.png")


def test_labels_are_found_by_object_or_file_and_by_a_condition(tmp_path):
    path = tmp_path / "labels.csv"
    Table({"file": ["x/a.png", "b.fits"], "ring": [1, 0], "grade": [2.5, 0.3]}).write(path)
    labels = read_labels(path, ("label=ring",))
    assert (labels["a"].label, labels["b"].label) == (1, 0)
    by_grade = read_labels(path, ("label=grade>2",))
    assert (by_grade["a"].label, by_grade["b"].label) == (1, 0)
    with pytest.raises(OutOfRangeError, match=r"label '2\.5' .* is neither lens nor not"):
        read_labels(path, ("label=grade",))
    with pytest.raises(MissingDataError, match="no column 'label'"):
        read_labels(path)
    assert bare_name("folder/a.b.fits.gz") == "a.b"


@pytest.mark.parametrize(
    ("word", "label"), [("lens", 1), ("nolens", 0), ("True", 1), ("0.0", 0), ("", np.nan)]
)
def test_words_for_labels_are_understood(tmp_path, word, label):
    (tmp_path / "l.csv").write_text(f"object_id,label\na,{word}\nb,\n")
    found = read_labels(tmp_path / "l.csv")["a"].label
    assert found == label or (np.isnan(found) and np.isnan(label))
