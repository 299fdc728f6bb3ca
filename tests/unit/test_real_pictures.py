"""The benchmark on real pictures in miniature: labels, the finder of each picture, the field."""

import numpy as np
import pytest
from fits_toys import finder, galaxy, wcs_header, write
from PIL import Image
from real_pictures_field import figures, stated_threshold
from real_pictures_scores import judge, panel_of
from real_pictures_sets import LENS, OTHER, SETS, missing_folders, read_pictures


@pytest.fixture
def root(tmp_path):
    """Two folders of real pictures: an image of Euclid, and a lens and a look-alike as PNG."""
    write(tmp_path / "euclid_q1_lenses" / "a.fits", galaxy(), wcs_header(0.1, FILTER="VIS"))
    folder = tmp_path / "spacewarps_cfhtls_sample"
    folder.mkdir()
    for name in "bc":
        picture = np.full((100, 110, 3), 20, np.uint8)
        Image.fromarray(picture).save(folder / f"{name}.png")
    (folder / "labels.csv").write_text("file,expert_grade\nb.png,0.3\nc.png,3.0\n")
    return tmp_path


def test_every_picture_has_the_label_of_its_folder_or_table(root):
    labels = {one.entry.object_id: one.label for one in read_pictures(root)}
    assert labels == {"a": LENS, "b": OTHER, "c": LENS}
    assert set(missing_folders(root)) == {one.folder for one in SETS} - {
        "euclid_q1_lenses",
        "spacewarps_cfhtls_sample",
    }


def test_a_picture_goes_to_the_finder_of_its_bands_or_says_why_to_none(root, tmp_path):
    weights = tmp_path / "weights"
    weights.mkdir()
    finder(bands=("euclid-vis",)).save(weights / "large.safetensors")
    panel = panel_of(weights, ())
    verdicts = {one.entry.object_id: judge(one, panel) for one in read_pictures(root)}
    assert verdicts["a"].finder == "large"
    assert 0 < verdicts["a"].score < 1
    assert verdicts["b"].finder == ""
    assert "no finder suits its bands" in verdicts["b"].remark
    assert np.isnan(verdicts["b"].rank)


def test_the_field_counts_lenses_that_were_never_found_as_missed():
    field = np.linspace(0, 1, 200)
    lenses = {
        "is_detectable": np.array([True, True, True, True, False]),
        "is_detected": np.array([True, True, True, False, True]),
        "score": np.array([0.999, 0.985, 0.2, np.nan, 0.999]),
    }
    found = figures("toy", (0.98, "given"), field, lenses)
    assert (found.n_sources, found.n_lenses, found.n_targets) == (200, 4, 3)
    assert found.fpr.value == pytest.approx((field > 0.98).mean())
    assert found.recovered.value == pytest.approx(2 / 4)
    assert found.recovered_targets.value == pytest.approx(2 / 3)
    # one in a hundred of the field's sources is above the third best of 200
    assert found.recovered_at_true_rate.value == pytest.approx(1 / 4)


def test_a_finder_that_is_not_calibrated_says_that_it_states_no_rate():
    threshold, words = stated_threshold(finder())
    assert threshold == finder().facts.threshold
    assert "no 1 % stated" in words
