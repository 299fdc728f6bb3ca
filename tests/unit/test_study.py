"""A study on disk: trials are given out once, and anew when the process that had one has gone."""

import csv
import dataclasses
import importlib.util
import json
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from lens_toys import write_toy_dataset

from stronglens.cli.main import main
from stronglens.core.errors import (
    MissingDataError,
    OutOfRangeError,
    StaleCheckpointError,
    UnknownNameError,
)
from stronglens.finders import load_finder
from stronglens.training.committee_task import Combine
from stronglens.training.search_space import parse_space
from stronglens.training.study import StudyPlan, claim, give_up, listed_trials, open_study
from stronglens.training.task import Train
from stronglens.training.trials import best_trials, member_paths, short_names
from stronglens.training.tune_task import Tune


def plan(folder, **changes):
    """Return a plan of a study that costs nothing."""
    facts = {
        "folder": folder,
        "space": parse_space(["width=2,4,8", "learning_rate=1e-4..1e-1:log"]),
        "sampler": "tpe",
        "pruner": "none",
        "patience": 2,
        "is_minimised": True,
        "n_trials": 14,
        "seed": 5,
    }
    return StudyPlan(**facts | changes)


def value(parameters):
    return abs(np.log10(parameters["learning_rate"]) + 2) + 1 / parameters["width"]


def work_through(one, n=None):
    """Do so many trials of a study, or all that are left, and return their settings."""
    study, done = open_study(one), []
    while n is None or len(done) < n:
        claimed = claim(study, one)
        if claimed is None:
            break
        with claimed.lock:
            study.tell(claimed.trial, value(claimed.trial.params))
        done.append((claimed.folder, claimed.trial.params))
    return done


def claim_and_hang(one, ready):
    """In a process of its own: take a trial and never end it."""
    _kept = claim(open_study(one), one)
    ready.set()
    time.sleep(600)


def killed_in_a_trial(one):
    """Let a process take a trial and kill it."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=claim_and_hang, args=(one, ready))
    process.start()
    assert ready.wait(120)
    return process


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_study_in_pieces_draws_what_a_whole_one_draws(sampler, tmp_path):
    whole = work_through(plan(tmp_path / "a", sampler=sampler))
    one = plan(tmp_path / "b", sampler=sampler)
    pieces = work_through(one, 3) + work_through(one, 9) + work_through(one)
    assert pieces == whole
    assert [folder for folder, _ in whole] == [f"{i:04d}" for i in range(14)]
    assert len({str(parameters) for _, parameters in whole}) == 14


def test_tpe_learns(tmp_path):
    values = [value(p) for _, p in work_through(plan(tmp_path, n_trials=40))]
    assert np.median(values[20:]) < 0.7 * np.median(values[:10])


def test_a_trial_is_given_to_one_process_only_and_anew_when_that_has_gone(tmp_path):
    whole = work_through(plan(tmp_path / "a"))
    one = plan(tmp_path / "b")
    assert work_through(one, 2) == whole[:2]
    process = killed_in_a_trial(one)
    study = open_study(one)
    with claim(study, one).lock as _other:
        assert [t.user_attrs["folder"] for t in listed_trials(study)] == [
            "0000",
            "0001",
            "0002",
            "0003",
        ]
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    folders = [folder for folder, _ in work_through(one)]
    # both trials that nobody works on any more come first, each in its own folder
    assert sorted(folders[:2]) == ["0002", "0003"]
    assert len(folders) == 12
    assert len(listed_trials(open_study(one))) == 14


def test_a_killed_study_goes_on_as_if_nothing_had_happened(tmp_path):
    whole = work_through(plan(tmp_path / "a"))
    one = plan(tmp_path / "b")
    work_through(one, 11)
    process = killed_in_a_trial(one)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with (tmp_path / "b" / "study.journal").open("a") as journal:
        journal.write('{"op_code":4,"worker')
    assert work_through(one) == whole[11:]


def test_a_grid_is_worked_through_once_and_may_grow(tmp_path):
    one = plan(
        tmp_path, space=parse_space(["width=1,2", "depth=1,2,3"]), sampler="grid", n_trials=4
    )
    found = [tuple(parameters.values()) for _, parameters in work_through_grid(one)]
    assert found == [(1, 1), (1, 2), (1, 3), (2, 1)]
    more = dataclasses.replace(one, n_trials=6)
    assert [p for _, p in work_through_grid(more)] == [
        {"width": 2, "depth": 2},
        {"width": 2, "depth": 3},
    ]


def work_through_grid(one):
    """Give up all trials of a grid that are left."""
    study, done = open_study(one), []
    while (claimed := claim(study, one)) is not None:
        with claimed.lock:
            give_up(study, claimed.trial, "too small")
        done.append((claimed.folder, claimed.trial.params))
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tuned")


@pytest.fixture(scope="module")
def data(folder):
    return write_toy_dataset(folder / "data", 840, ring=2.0)


@pytest.fixture(scope="module")
def tuned(folder, data):
    """A study of four trials of which one fails and one is pruned."""
    return Tune(
        data=data,
        search=("learning_rate=0.02,1e-9,1e30", "width=4"),
        sampler="grid",
        fixed=("epochs=4", "batch_size=20", "depth=1", "precision=float32"),
        patience=1,
        threads=1,
    ).run(folder / "study")


def test_a_study_ends_with_a_table_figures_and_the_best_settings(tuned, capsys):
    assert (tuned.n_complete, tuned.n_pruned, tuned.n_failed) == (1, 1, 1)
    assert tuned.best_settings == "learning_rate=0.02 width=4"
    with (tuned.path / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["complete", "pruned", "failed"]
    assert "diverged" in rows[2]["reason"]
    assert int(rows[1]["epochs"]) == 1
    assert (tuned.path / "figures" / "history.png").is_file()
    task = Train.from_toml("\n".join((tuned.path / "best.toml").read_text().splitlines()[2:]))
    assert (task.learning_rate, task.width, task.epochs) == (0.02, 4, 4)
    assert load_finder(tuned.best_trial).facts.architecture.width == 4
    assert best_trials(tuned.path, 5) == [tuned.best_trial]


def test_a_finished_study_grows_only(tuned, data):
    again = Tune.from_dict(
        {k: v for k, v in _settings(tuned.path).items() if k != "task"}, "settings"
    )
    with pytest.raises(StaleCheckpointError, match="finished run already"):
        again.run(tuned.path)


def _settings(path):
    import tomllib

    return tomllib.loads((path / "settings.toml").read_text())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"search": ()}, "there is nothing to tune"),
        (
            {"search": ("loss=mse,hinge",), "objective": "loss"},
            "compares values of different losses",
        ),
        ({"trials": 0}, "trials=0 is outside its range"),
        ({"sampler": "grid", "search": ("dropout=0..0.5",)}, "has no end of values for a grid"),
    ],
)
def test_studies_that_cannot_work_are_refused(changes, message, data, tmp_path):
    task = Tune(data=data, **{"search": ("width=2,4",)} | changes)
    with pytest.raises(OutOfRangeError, match=message):
        task.run(tmp_path / "study")


def test_losses_are_compared_by_accuracy_and_unknown_names_refused(data):
    assert Tune(data=data, search=("loss=mse,hinge",)).resolved().objective == "accuracy"
    assert Tune(data=data, space="deck").resolved().trials == 20
    with pytest.raises(UnknownNameError, match="Did you mean 'width'"):
        Tune(data=data, search=("widht=1,2",)).resolved()


def test_the_best_trials_become_a_committee(tuned, data, folder, capsys):
    other = Train(data=data, network="all-hog", seed=2, workers=1).run(folder / "hog")
    home = folder / "committee"
    words = ["--data", str(data), "--finders", str(tuned.path), str(other.path), "--top", "1"]
    assert main(["combine", *words, "--out", str(home), "--n-bootstrap", "100"]) == 0
    printed = capsys.readouterr().out
    assert "<- the committee" in printed
    assert "share of the row's false positives" in printed
    record = json.loads((home / "committee.json").read_text())
    assert "not used by the fit" in record["judged_on"]
    assert set(record["figures"]) == {"0000", "hog", *record["weights"]}
    assert np.shape(record["overlap"]["share"]) == (2, 2)
    assert (home / "figures" / "overlap.png").is_file()
    finder = load_finder(home)
    assert finder.facts.training["members"] == [str(tuned.best_trial), str(other.path)]
    for verb, more in (("calibrate", []), ("evaluate", ["--n-bootstrap", "100"])):
        out = ["--finder", str(home), "--data", str(data), "--out", str(folder / verb)]
        assert main([verb, *out, *more]) == 0


def test_members_are_named_once_and_are_finders(tuned, data, tmp_path):
    with pytest.raises(OutOfRangeError, match="finders is empty"):
        Combine(data=data).run(tmp_path / "a")
    with pytest.raises(OutOfRangeError, match="is named twice"):
        member_paths([tuned.best_trial, tuned.path], 5)
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "settings.toml").write_text('task = "tune"\n')
    with pytest.raises(MissingDataError, match=r"has no trials\.parquet"):
        member_paths([tmp_path / "bare"], 5)
    paths = [tmp_path / "a" / "x", tmp_path / "b" / "x", tmp_path / "b" / "y"]
    assert short_names(paths) == ["a/x", "b/x", "b/y"]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray: pip install ray")
def test_ray_trains_the_same_trials(data, tmp_path):
    task = Tune(
        data=data, search=("width=2,4",), sampler="grid", threads=1,
        fixed=("epochs=1", "batch_size=20", "depth=1", "precision=float32"),
    )  # fmt: skip
    here = task.run(tmp_path / "here")
    there = dataclasses.replace(task, engine="ray", workers=2).run(tmp_path / "there")
    assert there.best_value == pytest.approx(here.best_value, rel=1e-4)
    assert (here.n_complete, there.n_complete) == (2, 2)
