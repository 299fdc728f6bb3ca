"""A calibrated finder through the verbs: what is written, and other people's scores beside it."""

import json

import numpy as np
import pytest
from lens_toys import write_toy_dataset

from stronglens.cli.main import main
from stronglens.core.errors import MissingDataError, OutOfRangeError, WrongShapeError
from stronglens.core.task import load_result
from stronglens.data.catalog import read_table, write_table
from stronglens.data.store import open_dataset
from stronglens.evaluation.selection import Selection
from stronglens.finders import load_finder
from stronglens.finders.abstain import Abstention
from stronglens.finders.calibrate import Calibration
from stronglens.training.calibrate_task import Calibrate, CalibrateResult
from stronglens.training.scoring import calibration_rows, stopping_rows
from stronglens.training.selection import load_selection
from stronglens.training.task import Evaluate, Train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("calibrated")


@pytest.fixture(scope="module")
def data(folder):
    return write_toy_dataset(folder / "data", 1000, ring=1.5)


@pytest.fixture(scope="module")
def finder(folder, data):
    Train(data=data, width=8, depth=1, epochs=6, batch_size=32, learning_rate=0.01).run(
        folder / "finder"
    )
    Calibrate(finder=folder / "finder", data=data, keep=0.95).run(folder / "calibrated")
    return folder / "calibrated"


@pytest.fixture(scope="module")
def report(folder, finder, data):
    Evaluate(finder=finder, data=data, n_bootstrap=100).run(folder / "report")
    return folder / "report"


@pytest.fixture(scope="module")
def metrics(report):
    return json.loads((report / "metrics.json").read_text())


def test_calibration_and_choosing_share_no_image_and_use_no_other_split(data):
    dataset = open_dataset(data)
    rows, words = calibration_rows(dataset)
    rest = stopping_rows(dataset)
    assert "half of the validation split" in words
    assert set(rows) & set(rest) == set()
    assert set(rows) | set(rest) == set(dataset.index("validation"))
    assert 0.35 < len(rows) / len(dataset.index("validation")) < 0.65


def test_a_split_of_its_own_is_preferred(data, tmp_path):
    truth = read_table(data / "truth.parquet")
    own = np.flatnonzero(truth["split"] == "train")[:40]
    truth["split"][own] = "calibration"
    write_table(tmp_path / "truth.parquet", truth)
    (tmp_path / "images.zarr").symlink_to(data / "images.zarr")
    (tmp_path / "provenance.json").symlink_to(data / "provenance.json")
    rows, words = calibration_rows(open_dataset(tmp_path))
    assert set(rows) == set(own)
    assert "split 'calibration'" in words
    assert set(stopping_rows(open_dataset(tmp_path))) == set(open_dataset(data).index("validation"))


def test_a_calibrated_finder_is_a_finder_with_more_to_say(folder, finder, data):
    before, after = load_finder(folder / "finder"), load_finder(finder)
    images = open_dataset(data).images(slice(0, 5))
    np.testing.assert_array_equal(before(images), after(images))
    assert before.facts.calibration is None
    assert after.facts.calibration is not None
    calibration = Calibration.from_record(after.facts.calibration)
    p = calibration.p_lens(after(images), 1e-3)
    assert ((p > 0) & (p < 1)).all()
    assert after.facts.abstention is not None
    assert Abstention.from_record(after.facts.abstention).keep == 0.95
    result = load_result(finder, CalibrateResult)
    assert isinstance(result, CalibrateResult)
    assert result.slope.low <= result.slope.value <= result.slope.high
    assert (finder / "figures" / "reliability.png").stat().st_size > 5000


def test_too_few_lenses_for_a_promise_are_named(finder):
    report = json.loads((finder / "calibration.json").read_text())
    assert "at least 99 lenses" in report["refused"]["list_0.99"]
    assert set(report["lists_per_million"]) == {"0.5", "0.8", "0.9", "0.95"}
    assert "threshold_0.001" in report["refused"]


def test_test_report_says_what_came_of_the_promises(metrics):
    for name, entry in metrics["conformal"].items():
        assert entry["promise"] == float(name)
        # 61 lenses made the promise, 125 test it: a standard deviation of 4 % together
        assert entry["coverage"]["value"] > entry["promise"] - 0.16
        assert entry["n_candidates"]["value"] > 0
    for name in ("slope", "intercept", "intercept_joint"):
        entry = metrics["calibration"][name]
        assert entry["low"] <= entry["value"] <= entry["high"]
    assert metrics["calibration"]["slope"]["value"] > 0.2
    assert metrics["calibration"]["prevalence"] == 1e-3
    assert metrics["abstention"]["share_of_others"] < 0.2


def test_every_figure_is_a_number_with_an_interval_or_refused(metrics):
    for name in (
        "tpr_at_fpr_0.1",
        "tpr_at_fpr_1e-05",
        "log_fpr_area_1e-05_to_0.01",
        "purity_at_recall_0.9",
        "candidates_per_lens_at_recall_0.5",
    ):
        assert (name in metrics) != (name in metrics["refused"])
        if name in metrics:
            assert metrics[name]["low"] <= metrics[name]["value"] <= metrics[name]["high"]
    assert "1000000 negatives" in metrics["refused"]["tpr_at_fpr_1e-05"]
    assert metrics["sky"] == {
        "prevalence": 1e-3, "n_objects": 1_000_000, "seconds_per_object": 5.0,
    }  # fmt: skip
    listed = metrics["list_at_threshold"]
    assert listed["hours"]["value"] == pytest.approx(listed["n_candidates"]["value"] * 5 / 3600)


def test_selection_function_is_written_and_loaded_again(report, metrics):
    selection = load_selection(report)
    assert isinstance(selection, Selection)
    assert [v.name for v in selection.variables] == ["theta_e", "arc_snr"]
    table = read_table(report / "selection.parquet")
    columns = {name: table[name] for name in ("theta_e", "arc_snr")}
    np.testing.assert_allclose(selection(**columns), table["completeness"], atol=1e-9)
    assert table["n_lenses"].sum() == metrics["n_positive"] == selection.n
    assert metrics["selection"]["completeness"]["low"] < selection.n_found / selection.n
    for name in ("selection", "reliability"):
        assert (report / "figures" / f"{name}.png").stat().st_size > 5000
    with pytest.raises(MissingDataError, match="no selection function at"):
        load_selection(report / "figures")


def test_scores_of_any_code_are_judged_like_ours(folder, report, data, metrics):
    table = read_table(report / "scores.parquet")
    lines = [f"{name},{score:.9f}" for name, score in zip(table["object_id"], table["score"],
             strict=True)]  # fmt: skip
    file = folder / "other.csv"
    file.write_text("\n".join(["object_id,score", *lines[::-1]]) + "\n")
    command = ["evaluate", "--scores", str(file), "--data", str(data), "--n-bootstrap", "100"]
    assert main([*command, "--out", str(folder / "other")]) == 0
    other = json.loads((folder / "other" / "metrics.json").read_text())
    assert other["auroc"]["value"] == pytest.approx(metrics["auroc"]["value"], abs=1e-4)
    assert other["confusion"] == metrics["confusion"]
    assert "without a calibration" in other["refused"]["calibration"]
    assert not (folder / "other" / "figures" / "feature_maps.png").exists()
    assert (folder / "other" / "figures" / "roc.png").is_file()


def test_scores_for_the_challenges_own_files_are_judged(folder, tmp_path):
    generator = np.random.default_rng(0)
    label = np.arange(300) % 2
    score = np.clip(0.3 * label + generator.uniform(0, 0.7, 300), 0, 1)
    truth = "".join(f"{100000 + i},{label[i]},{label[i] * 1.0},5,3\n" for i in range(300))
    header = "ID,is_lens,Einstein_area,numb_pix_lensed_image,flux_lensed_image_in_sigma\n"
    (tmp_path / "classifications.csv").write_text(header + truth)
    (tmp_path / "entry.txt").write_text("".join(f"{100000 + i} {score[i]}\n" for i in range(300)))
    out = tmp_path / "report"
    Evaluate(data=tmp_path, scores=tmp_path / "entry.txt", n_bootstrap=100).run(out)
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["n_positive"], metrics["n_negative"]) == (150, 150)
    assert metrics["auroc"]["value"] > 0.8
    assert "einstein_area" in read_table(out / "scores.parquet")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"scores": None, "finder": None}, OutOfRangeError, "one of them is judged"),
        ({"prevalence": 0.0}, OutOfRangeError, "prevalence=0"),
        ({"seconds_per_object": -1.0}, OutOfRangeError, "seconds_per_object=-1"),
    ],
)
def test_wrong_settings_of_a_test_are_refused(folder, data, finder, settings, error, message):
    given = {"finder": finder, "data": data, **settings}
    with pytest.raises(error, match=message):
        Evaluate(**given).run(folder / "never")
    assert not (folder / "never").exists()


def test_scores_that_do_not_fit_are_refused(folder, data):
    (folder / "few.csv").write_text("score\n0.5\n")
    with pytest.raises(WrongShapeError, match="1 rows and no column object_id"):
        Evaluate(data=data, scores=folder / "few.csv", n_bootstrap=100).run(folder / "few")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"prevalence": 1.0}, OutOfRangeError, "prevalence=1"),
        ({"keep": 0.0}, OutOfRangeError, "keep=0"),
        ({"weighted": True}, MissingDataError, "no truth column 'weight'"),
    ],
)
def test_wrong_settings_of_a_calibration_are_refused(folder, data, settings, error, message):
    with pytest.raises(error, match=message):
        Calibrate(finder=folder / "finder", data=data, **settings).run(folder / "never")
    assert not (folder / "never").exists()
