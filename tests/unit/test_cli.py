"""The command line around a task: flags, files, exit statuses, messages."""

import json
import math
import subprocess
import sys
import tomllib

import pytest
from toys import Population, Toy, ToyResult

import stronglens as sl
from stronglens.cli.flags import field_help
from stronglens.cli.main import help_text, main
from stronglens.cli.verbs import VERBS, Verb


@pytest.fixture(autouse=True)
def toy_verb(monkeypatch, empty_folder):
    """Add the verb `toy` and work in an empty folder."""
    monkeypatch.setitem(VERBS, "toy", Verb("makes toys", "stronglens toy", "toys:Toy"))
    return empty_folder


def _printed_settings(capsys, *words):
    assert main(["toy", *words, "--print-config"]) == 0
    return tomllib.loads(capsys.readouterr().out)


def test_help_shows_every_verb_with_an_example():
    text = help_text()
    for name, verb in VERBS.items():
        if name != "toy":
            assert f"\n  {name} " in text
            assert verb.example in text


def test_help_fits_a_terminal():
    assert max(len(line) for line in help_text().splitlines()) <= 80


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_is_printed_in_every_way_people_ask_for_it(capsys, words):
    assert main(words) == 0
    assert capsys.readouterr().out.strip() == help_text()


def test_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"stronglens {sl.__version__}\n"


def test_unknown_verb_is_refused_with_the_nearest_one(capsys):
    assert main(["simulte"]) == 2
    assert "Did you mean 'simulate'?" in capsys.readouterr().err


def test_help_of_a_verb_comes_from_the_docstrings_of_its_fields(capsys):
    assert main(["toy", "--help"]) == 0
    text = capsys.readouterr().out
    for part in ("Make toys.", "Time to wait [s].", "--population.theta-min", "[arcsec]", "--out"):
        assert part in text
    assert "None" not in text


def test_positional_files_and_flags_may_come_in_any_order(capsys):
    first = _printed_settings(capsys, "a.fits", "b.fits", "--finder", "runs/f", "--n", "5")
    second = _printed_settings(capsys, "--n", "5", "--finder", "runs/f", "a.fits", "b.fits")
    assert first == second
    assert first["files"] == ["a.fits", "b.fits"]
    assert first["n"] == 5


def test_flags_go_on_top_of_the_file(capsys, toy_verb):
    file = toy_verb / "toy.toml"
    file.write_text('finder = "runs/f"\nn = 7\nis_deep = true\n[population]\ntheta_min = 1.5\n')
    given = _printed_settings(capsys, "--config", str(file), "--n", "8", "--no-is-deep")
    assert (given["n"], given["is_deep"], given["finder"]) == (8, False, "runs/f")
    assert given["population"] == {"theta_min": 1.5, "theta_max": 3.0}
    again = _printed_settings(capsys, f"--config={file}", "--is-deep")
    assert (again["n"], again["is_deep"]) == (7, True)


def test_printed_settings_are_a_file_that_config_reads(capsys, toy_verb):
    given = _printed_settings(capsys, "--finder", "f", "--population.theta-max", "2.5")
    assert main(["toy", "--finder", "f", "--population.theta-max", "2.5", "--print-config"]) == 0
    (toy_verb / "toy.toml").write_text(capsys.readouterr().out)
    assert _printed_settings(capsys, "--config", "toy.toml") == given


def test_a_wrong_file_names_every_fault_at_once(capsys, toy_verb):
    (toy_verb / "toy.toml").write_text('n = "many"\nnn = 3\n[population]\ntheta = 1\n')
    assert main(["toy", "--config", "toy.toml"]) == 2
    message = capsys.readouterr().err
    for part in ("n: Input should be a valid integer", "nn:", "population.theta:", "Fields: "):
        assert part in message
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n = ", "not valid TOML"),
        ('task = "scan"\n', "holds settings of 'scan', not of 'toy'"),
        (None, "no file"),
    ],
)
def test_a_file_that_is_no_settings_is_refused(capsys, toy_verb, text, message):
    if text is not None:
        (toy_verb / "toy.toml").write_text(text)
    assert main(["toy", "--config", "toy.toml"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "meant"), [("--nn", "--n INT"), ("--population.theta", "--population.theta-min")]
)
def test_a_mistyped_flag_gets_a_suggestion(capsys, flag, meant):
    assert main(["toy", "--finder", "f", flag, "3"]) == 2
    message = capsys.readouterr().err
    assert "Perhaps you meant" in message
    assert meant in message


def test_a_run_prints_its_result_and_can_be_opened_again(capsys):
    assert main(["toy", "--finder", "f", "--out", "runs/toy"]) == 0
    assert "n_ok  3\nin runs/toy" in capsys.readouterr().out
    result = sl.load_run("runs/toy")
    assert isinstance(result, ToyResult)
    assert result.n_ok == 3


def test_rerun_repeats_a_run_with_its_settings(capsys):
    assert main(["toy", "--finder", "f", "--n", "2", "--out", "runs/one"]) == 0
    assert main(["rerun", "runs/one", "--out", "runs/two"]) == 0
    assert sl.load_run("runs/two") == ToyResult(sl.load_run("runs/two").path, 2)


def test_rerun_of_what_is_no_run_says_so(capsys):
    assert main(["rerun", "nowhere"]) == 2
    assert "no run directory at nowhere" in capsys.readouterr().err


def test_an_error_is_one_line_and_no_traceback(capsys):
    assert main(["toy", "--finder", "f", "--n", "-1"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "stronglens toy: n=-1 is negative. Use 0 or more.\n"
    assert captured.out == ""


def test_an_error_of_the_system_is_one_line_as_well(capsys):
    assert main(["toy", "--finder", "f", "--mood", "bad"]) == 2
    assert "stronglens toy: [Errno 13] Permission denied" in capsys.readouterr().err


def test_nothing_done_has_an_exit_status_of_its_own():
    assert main(["toy", "--finder", "f", "--n", "0"]) == 1


@pytest.mark.parametrize("out", [[], ["--out", "runs/toy"]])
def test_an_interrupted_run_says_how_to_go_on(capsys, out):
    words = ["toy", "--finder", "f", "--mood", "stop", *out]
    assert main(words) == 130
    command = capsys.readouterr().err.strip().partition("To go on where it stopped: ")[2]
    assert command.startswith("stronglens toy --finder f --mood stop --out runs/")
    assert main([*command.split()[1:], "--resume"]) == 130


def test_list_gives_json_that_scripts_read(capsys):
    assert main(["list", "networks", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["deck-cnn"]["parameters"] == 327_330
    assert rows["deck-cnn"]["input"] == "1x45x45"
    assert "@" in rows["deck-cnn"]["citation"]


def test_list_of_surveys_gives_numbers_and_computed_depth(capsys):
    assert main(["list", "surveys", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {"description", "kind", "area", "citation"} <= set(rows["lsst-y10"])
    bands = {band["name"]: band for band in rows["lsst-y10"]["bands"]}
    assert list(bands) == [f"lsst-{name}" for name in "ugrizy"]
    assert bands["lsst-r"]["pixel_scale"] == 0.2
    assert bands["lsst-r"]["psf_fwhm"] == 0.81
    assert bands["lsst-r"]["zero_point"] == pytest.approx(28.13 + 2.5 * math.log10(30.0))
    # ten years of r reach 27.5; the numbers give a little less
    assert 27.0 < bands["lsst-r"]["depth_5_sigma"] < 27.6


@pytest.mark.parametrize("kind", ["networks", "surveys", "presets", "finders"])
def test_every_list_prints_as_table_and_as_json(capsys, kind):
    assert main(["list", kind]) == 0
    assert capsys.readouterr().out
    assert main(["list", kind, "--json"]) == 0
    json.loads(capsys.readouterr().out)


def test_list_of_something_else_names_the_lists(capsys):
    assert main(["list", "network"]) == 2
    assert "networks" in capsys.readouterr().err


def test_cite_without_runs_gives_the_package(capsys):
    assert main(["cite"]) == 0
    assert capsys.readouterr().out.startswith("@software{stronglens,")


def test_cite_follows_what_a_run_has_read(empty_folder):
    simulate = sl.Simulate(n=20, seed=1)
    folder = empty_folder / "sims"
    folder.mkdir()
    (folder / "settings.toml").write_text(f'task = "simulate"\n{simulate.resolved().to_toml()}')
    main(["toy", "--finder", str(folder), "--out", "runs/toy"])
    text = sl.cite("runs/toy")
    for key in ("@software{stronglens", "kormann1994", "@misc{lsst-deck"):
        assert text.count(key) == 1


def test_field_help_reads_the_strings_below_the_fields():
    assert field_help(Toy)["wait"] == "Time to wait [s]."
    assert field_help(Population)["theta_max"] == "Largest Einstein radius [arcsec]."


def test_a_reader_that_stops_early_is_no_error():
    command = f"{sys.executable} -m stronglens.cli.main list surveys --json | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("[")
    assert done.stderr == ""
