"""Scans that are killed go on: no row lost, none doubled, the same scores from every engine."""

import importlib.util
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fits_toys import finder
from survey_toys import write_survey

from stronglens.data.catalog import read_table

COMMAND = str(Path(sys.executable).with_name("stronglens"))
pytestmark = pytest.mark.slow
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install ray"
)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Weights, tiles, table of targets, and their names."""
    folder = tmp_path_factory.mktemp("survey")
    finder().save(folder / "weights.safetensors")
    return folder / "weights.safetensors", *write_survey(folder, n_tiles=2, n=150)


def _command(survey, out, *more):
    weights, tiles, targets, _ = survey
    words = ["scan", *map(str, tiles), "--targets", str(targets), "--finder", str(weights)]
    return [COMMAND, *words, "--out", str(out), "--block", "10", *more]


def _run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def _scores(out):
    table = read_table(out / "candidates.parquet")
    return dict(zip(table["object_id"], table["score"], strict=True))


def test_a_scan_killed_again_and_again_ends_as_one_that_was_not(tmp_path, survey):
    generator = random.Random(1)
    out = tmp_path / "killed"
    for _ in range(4):
        if (out / "result.json").is_file():
            break  # a quick machine ends between two kills
        process = subprocess.Popen(_command(survey, out), stdout=-3, stderr=-3)
        parts = out / "work" / "parts"
        before = len(list(parts.glob("*.parquet")))
        while process.poll() is None and len(list(parts.glob("*.parquet"))) <= before + 2:
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 0.1))
        process.kill()
        process.wait()
    if not (out / "result.json").is_file():
        assert _run(_command(survey, out)).returncode == 0
    assert _run(_command(survey, tmp_path / "whole")).returncode == 0
    assert len(read_table(out / "candidates.parquet")["score"]) == 300
    assert _scores(out) == _scores(tmp_path / "whole")


def test_a_killed_worker_is_replaced(tmp_path, survey):
    out = tmp_path / "scan"
    command = _command(survey, out, "--workers", "2")
    process = subprocess.Popen(command, stdout=-3, stderr=-3)
    while process.poll() is None and not list(out.glob("work/parts/*.parquet")):
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [pid for pid in map(int, children) if "spawn_main" in _words(pid)]
    os.kill(workers[0], signal.SIGKILL)
    assert process.wait() == 0
    assert sorted(_scores(out)) == sorted(survey[3])


def _words(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()


def test_files_that_cannot_grow_are_said_and_the_same_command_goes_on(tmp_path, survey):
    out = tmp_path / "scan"
    task = _command(survey, out, "--top", "0", "--most-cutouts", "0")

    def no_large_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

    done = _run(task, preexec_fn=no_large_files)
    assert done.returncode != 0
    assert "File too large" in done.stderr
    assert _run(task).returncode == 0
    assert sorted(_scores(out)) == sorted(survey[3])


@pytest.mark.ray
@needs_ray
def test_ray_and_this_machine_give_the_same_scores(tmp_path, survey):
    for engine in ("local", "ray"):
        done = _run(_command(survey, tmp_path / engine, "--engine", engine, "--workers", "2"))
        assert done.returncode == 0, done.stderr
    here, there = _scores(tmp_path / "local"), _scores(tmp_path / "ray")
    assert sorted(here) == sorted(survey[3])
    names = sorted(here)
    np.testing.assert_allclose([here[n] for n in names], [there[n] for n in names], rtol=1e-6)
