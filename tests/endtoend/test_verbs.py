"""Each verb once, from one tiny TOML through the command line, in the order a user takes them."""

import contextlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

import stronglens as sl
from stronglens.cli.main import main

SETTINGS = Path(__file__).parent / "settings"
CHAIN = [
    "simulate",
    "audit",
    "train",
    "evaluate",
    "explain",
    "scan",
    "forecast",
    "measure",
    "floor",
    "population",
    "train-posterior",
    "calibrate-posterior",
]
FINE = {"audit": (0, 3)}
"""Exit statuses of a run that worked; an audit of so few images may well not be passed."""
LENSES = """name,z_lens,z_source,theta_e,theta_e_error,sigma_v,sigma_v_error,slope,slope_error
a,0.2,0.7,1.1,0.02,250,15,2.0,0.1
b,0.3,0.9,1.3,0.02,260,15,2.1,0.1
c,0.4,1.2,0.9,0.02,230,15,2.2,0.1
"""
CLOCK = ("path", "seconds", "median_seconds", "images_per_second", "ms_per_image")
"""Results that depend on the machine and the hour."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Run every verb once, and stay in the folder with the runs."""
    folder = tmp_path_factory.mktemp("endtoend")
    noise = np.random.default_rng(1).normal(0.0, 1.0, (45, 45)).astype(np.float32)
    header = fits.Header({"PIXSCALE": 0.18, "MAGZERO": 30.0, "FILTER": "g"})
    fits.writeto(folder / "galaxy.fits", noise, header)
    (folder / "lenses.csv").write_text(LENSES)
    with contextlib.chdir(folder):
        for verb in CHAIN:
            words = [verb, "--config", str(SETTINGS / f"{verb}.toml"), "--out", f"runs/{verb}"]
            assert main(words) in FINE.get(verb, (0,)), f"see what {verb} has printed"
        yield folder


def _numbers(path: Path) -> dict[str, object]:
    """Return the result of a run without what the clock decides."""
    result = json.loads((path / "result.json").read_text())
    return {name: value for name, value in result.items() if name not in CLOCK}


@pytest.mark.parametrize("verb", CHAIN)
def test_a_verb_leaves_a_complete_run_directory(home, verb):
    run = home / "runs" / verb
    for name in ("settings.toml", "environment.json", "status.json", "log.txt", "result.json"):
        assert (run / name).is_file()
    status = json.loads((run / "status.json").read_text())
    assert (status["state"], status["verb"]) == ("finished", verb)


@pytest.mark.parametrize("verb", CHAIN)
def test_a_finished_run_can_be_opened_again(home, verb):
    result = sl.load_run(home / "runs" / verb)
    assert result.path == home / "runs" / verb


@pytest.mark.parametrize("verb", CHAIN)
def test_rerun_gives_the_same_numbers(home, verb):
    assert main(["rerun", f"runs/{verb}", "--out", f"runs/{verb}-again"]) in FINE.get(verb, (0,))
    assert _numbers(home / "runs" / f"{verb}-again") == _numbers(home / "runs" / verb)


@pytest.mark.parametrize("verb", CHAIN)
def test_a_finished_run_is_left_alone(home, verb, capsys):
    words = [verb, "--config", str(SETTINGS / f"{verb}.toml"), "--out", f"runs/{verb}"]
    assert main(words) == 2
    assert "finished run already" in capsys.readouterr().err


def test_a_run_with_other_settings_names_the_fields(home, capsys):
    words = ["simulate", "--config", str(SETTINGS / "simulate.toml"), "--out", "runs/simulate"]
    assert main([*words, "--seed", "4"]) == 2
    assert "seed: 3 there, 4 now" in capsys.readouterr().err


def test_metrics_have_intervals_and_counts(home):
    metrics = json.loads((home / "runs" / "evaluate" / "metrics.json").read_text())
    assert {"n_positive", "n_negative", "confusion", "ms_per_image"} <= set(metrics)
    assert set(metrics["auroc"]) >= {"value", "low", "high"}
    assert set(metrics["called_lens"]) == {"companions", "lens"}
    assert metrics["called_lens"]["lens"]["n"] == metrics["n_positive"]


def test_the_trained_finder_is_listed(home, capsys):
    capsys.readouterr()
    assert main(["list", "finders", "--json"]) == 0
    assert "runs/train" in {row["name"] for row in json.loads(capsys.readouterr().out)}


def test_citations_follow_finder_and_dataset(home):
    text = sl.cite(home / "runs" / "evaluate")
    assert "kormann1994" in text
    assert "metcalf2019" in text


def test_quickstart_ends_with_one_page_that_needs_no_other_file(home):
    words = ["quickstart", "--config", str(SETTINGS / "quickstart.toml"), "--out", "runs/quick"]
    assert main(words) == 0
    page = (home / "runs" / "quick" / "index.html").read_text()
    assert "</html>" in page
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
