"""Labels and scores of other people's files: the challenge's, and tables of any code."""

from pathlib import Path

import numpy as np
import pytest

from stronglens.core.errors import MissingDataError, UnreadableFileError, WrongShapeError
from stronglens.data.catalog import write_table
from stronglens.data.challenge import read_challenge_labels, read_scores, rows_of_scores

REAL = Path(__file__).parents[3] / "shared/data/real/bologna_challenge_samples_simulated"
CLASSIFIED = """ID,is_lens,Einstein_area,numb_pix_lensed_image,flux_lensed_image_in_sigma
100000,1,2.5,120,33.5
100001,0,0,0,0
100002,1,0.4,12,4.5
"""


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "object_id,score\na,0.9\nb,0.1\nc,\n",
        "ID probability\na 0.9\nb 0.1\nc nan\n",
        "a,0.9\nb,0.1\nc,\n",
        "# made by a code\n# id, p_lens\n" * 0 + "#id,p_lens\na,0.9\nb,0.1\nc,\n",
        "# made by a code of mine in May\nname,prediction\na,0.9\nb,0.1\nc,\n",
        "\ufeffobject_id,extra,score\na,x,0.9\nb,y,0.1\nc,z,\n",
    ],
)
def test_tables_of_many_forms_are_read(tmp_path, text):
    table = read_scores(write(tmp_path / "scores.csv", text))
    assert table.object_id is not None
    assert list(table.object_id) == ["a", "b", "c"]
    np.testing.assert_array_equal(table.scores, [0.9, 0.1, np.nan])
    assert not table.is_logit


def test_order_of_rows_serves_without_names(tmp_path):
    for text in ("score\n0.2\n0.7\n", "0.2\n0.7\n"):
        table = read_scores(write(tmp_path / "s.txt", text))
        assert table.object_id is None
        np.testing.assert_array_equal(rows_of_scores(table, np.array(["x", "y"]), "s"), [0.2, 0.7])
        with pytest.raises(WrongShapeError, match="2 rows and no column object_id; 3 images"):
            rows_of_scores(table, np.array(["x", "y", "z"]), "s")


def test_parquet_and_logits_are_read(tmp_path):
    columns = {"object_id": np.array(["a", "b"]), "logit": np.array([-7.0, 12.0])}
    table = read_scores(write_table(tmp_path / "s.parquet", columns))
    assert table.is_logit
    np.testing.assert_array_equal(rows_of_scores(table, np.array(["b", "a"]), "s"), [12.0, -7.0])


def test_names_that_are_numbers_meet_names_that_are_text(tmp_path):
    table = read_scores(write(tmp_path / "s.csv", "ID,score\n100002,0.5\n100000,0.25\n"))
    np.testing.assert_array_equal(
        rows_of_scores(table, np.array(["100000", "100002"], object), "s"), [0.25, 0.5]
    )


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("object_id,mark\na,b\n", UnreadableFileError, "none with scores"),
        ("object_id,score\na,1.5\nb,0\n", WrongShapeError, "Call numbers of any size 'logit'"),
        ("object_id,score\na,0.1\na,0.2\n", WrongShapeError, "more than once"),
        ("object_id,score\na,much\n", UnreadableFileError, "is no number"),
        ("object_id,score\na,0.5\nb\n", UnreadableFileError, "rows of 1 to 2 entries"),
        ("", MissingDataError, "no rows"),
        ("object_id,score\n", MissingDataError, "a header and no rows"),
    ],
)
def test_useless_tables_are_refused(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        read_scores(write(tmp_path / "s.csv", text))


def test_a_missing_score_is_named(tmp_path):
    table = read_scores(write(tmp_path / "s.csv", "object_id,score\na,0.1\n"))
    with pytest.raises(MissingDataError, match="1 of 2 images, such as b"):
        rows_of_scores(table, np.array(["a", "b"]), "s.csv")


def test_classification_file_of_the_challenge(tmp_path):
    folder = tmp_path / "GroundBasedTraining"
    folder.mkdir()
    write(folder / "classifications.csv", CLASSIFIED)
    for path in (folder / "classifications.csv", folder, tmp_path):
        labels = read_challenge_labels(path)
        assert list(labels.object_id) == ["100000", "100001", "100002"]
        np.testing.assert_array_equal(labels.label, [1, 0, 1])
        np.testing.assert_array_equal(labels.truth["einstein_area"], [2.5, 0, 0.4])
        assert set(labels.truth) == {"einstein_area", "n_arc_pixels", "arc_flux_in_sigma"}


def test_folders_of_the_challenge_name_their_classes(tmp_path):
    for kind, numbers in (("lens", (3, 5)), ("nolens", (4,))):
        for band in (1, 2):
            folder = tmp_path / "ground" / kind / f"Band{band}"
            folder.mkdir(parents=True)
            for number in numbers:
                (folder / f"imageSDSS_R-{100000 + number}.fits").touch()
    labels = read_challenge_labels(tmp_path)
    found = dict(zip(labels.object_id, labels.label, strict=True))
    assert found == {"100003": 1, "100005": 1, "100004": 0}


def test_other_files_and_folders_are_refused(tmp_path):
    with pytest.raises(MissingDataError, match=r"holds no classifications\.csv"):
        read_challenge_labels(tmp_path)
    with pytest.raises(UnreadableFileError, match="ID and is_lens"):
        read_challenge_labels(write(tmp_path / "a.csv", "name,score\nb,1\n"))
    with pytest.raises(MissingDataError, match="no table at"):
        read_challenge_labels(tmp_path / "nothing.csv")


@pytest.mark.skipif(not REAL.is_dir(), reason="the challenge's samples are not on this machine")
@pytest.mark.parametrize(("kind", "n"), [("space_based", (8, 8)), ("ground_based", (6, 6))])
def test_samples_of_the_challenge_are_labelled(kind, n):
    labels = read_challenge_labels(REAL / kind)
    assert (int((labels.label == 1).sum()), int((labels.label == 0).sum())) == n
