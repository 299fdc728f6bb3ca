"""Which objects a list of files, folders and patterns means."""

from fits_toys import galaxy, write

from stronglens.data.inputs import is_one_object, list_inputs

IMAGE = galaxy(12, 12)


def test_folder_of_objects_is_not_one_object(tmp_path):
    for name in ("lens_1", "lens_2", "lens_10", "PSF_all"):
        write(tmp_path / f"{name}.fits", IMAGE)
    assert not is_one_object(tmp_path)
    assert [path.name for path in list_inputs([tmp_path])] == [
        "lens_1.fits",
        "lens_10.fits",
        "lens_2.fits",
    ]


def test_two_objects_in_one_band_each_are_two(tmp_path):
    write(tmp_path / "A_g.fits", IMAGE)
    write(tmp_path / "B_r.fits", IMAGE)
    assert not is_one_object(tmp_path)


def test_files_named_by_band_are_one_object(tmp_path):
    for band in "ugri":
        write(tmp_path / f"{band}.fits.gz", IMAGE)
    assert is_one_object(tmp_path)
    assert list_inputs([tmp_path]) == [tmp_path]


def test_model_beside_an_image_does_not_make_two_objects(tmp_path):
    for name in ("image", "noise", "model"):
        write(tmp_path / f"{name}.fits", IMAGE)
    assert is_one_object(tmp_path)


def test_single_file_in_a_folder_is_the_object(tmp_path):
    write(tmp_path / "a" / "x.fits", IMAGE)
    (tmp_path / "b").mkdir()
    assert list_inputs([tmp_path]) == [tmp_path / "a" / "x.fits"]


def test_patterns_are_expanded_and_duplicates_dropped(tmp_path):
    a, b = (write(tmp_path / f"{name}.fits", IMAGE) for name in "ab")
    assert list_inputs([tmp_path / "*.fits", a, b]) == [a, b]


def test_what_is_not_there_stays_to_be_reported(tmp_path):
    (tmp_path / "empty").mkdir()
    given = [tmp_path / "no.fits", tmp_path / "*.none", tmp_path / "empty"]
    assert list_inputs(given) == given


def test_file_with_brackets_in_its_name_is_no_pattern(tmp_path):
    path = write(tmp_path / "a[1].fits", IMAGE)
    assert list_inputs([path]) == [path]
