"""The verb `forecast` from the command line to its files, killed and resumed on the way."""

import json

import numpy as np
import pytest

import stronglens as sl
from stronglens.cli.main import main
from stronglens.data.catalog import read_table
from stronglens.forecasting import blocks
from stronglens.forecasting.observations import FULL_SKY

SMALL = ["--n", "300", "--seed", "5"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One small forecast through the command line."""
    folder = tmp_path_factory.mktemp("forecast") / "run"
    assert main(["forecast", "--survey", "euclid-vis", *SMALL, "--out", str(folder)]) == 0
    return folder


def test_a_forecast_leaves_numbers_a_table_and_figures(run):
    result = json.loads((run / "result.json").read_text())
    promised = {"n_ideal", "n_discoverable", "area", "strategy", "cuts", "medians"}
    assert promised <= set(result)
    assert (result["area"], result["strategy"]) == (15000.0, "optimal")
    assert {"theta_e", "z_lens", "z_source", "mag_source"} <= set(result["medians"])
    for name in ("lenses.png", "cuts.png", "lenses.parquet"):
        assert (run / name).stat().st_size > 1000
    assert not (run / "parts").exists()


def test_the_table_adds_up_to_the_numbers(run):
    result, lenses = sl.load_run(run), read_table(run / "lenses.parquet")
    assert lenses["weight"].sum() == pytest.approx(result.n_ideal)
    found = lenses["cuts_passed"] == 5
    expected = lenses["weight"][found].sum() * result.area / FULL_SKY
    assert expected == pytest.approx(result.n_discoverable)
    assert (found.sum(), len(found)) == (result.n_passed, result.n_sampled)
    shares = list(result.cuts.values())
    assert shares[0] == 1.0
    assert (np.diff(shares) <= 0.0).all()


def test_half_the_area_holds_half_the_lenses(run, tmp_path):
    words = ["forecast", "--survey", "euclid-vis", *SMALL, "--area", "7500"]
    assert main([*words, "--out", str(tmp_path / "half")]) == 0
    whole, half = sl.load_run(run), sl.load_run(tmp_path / "half")
    assert half.n_discoverable == pytest.approx(whole.n_discoverable / 2)
    assert half.n_ideal == whole.n_ideal


def test_a_killed_forecast_goes_on_with_the_same_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 60)
    task = sl.Forecast(survey="des-dr2", n=150, seed=7)
    whole = task.run(tmp_path / "whole")
    draw, drawn = blocks.draw_block, []

    def killed_in_the_second(watch, n_pairs, key):
        drawn.append(key[1])
        if drawn == [0, 1]:
            raise KeyboardInterrupt
        return draw(watch, n_pairs, key)

    monkeypatch.setattr(blocks, "draw_block", killed_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        task.run(tmp_path / "killed")
    resumed = task.run(tmp_path / "killed", resume=True)
    assert drawn == [0, 1, 1, 2]
    assert (resumed.n_ideal, resumed.n_discoverable) == (whole.n_ideal, whole.n_discoverable)
    one, other = (read_table(tmp_path / name / "lenses.parquet") for name in ("whole", "killed"))
    np.testing.assert_array_equal(one["snr"], other["snr"])


def test_the_difference_finder_finds_no_more_than_its_survey(tmp_path):
    result = sl.Forecast(survey="cfhtls", strategy="g-i", n=300, seed=1).run(tmp_path / "run")
    shares = list(result.cuts.values())
    assert len(shares) == 6
    assert shares[-1] <= shares[-2]


def test_an_unknown_survey_is_refused_on_the_command_line(empty_folder, capsys):
    assert main(["forecast", "--survey", "ska", "--out", "run"]) == 2
    assert "Known: cfhtls, des-dr2, euclid-vis, lsst-y10" in capsys.readouterr().err
    assert not (empty_folder / "run").exists()
