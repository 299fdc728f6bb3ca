"""Both engines keep one contract: every shard one outcome, whatever happens to the workers."""

import importlib.util
import sys
from pathlib import Path

import pytest
from engine_toys import Toy, count

from stronglens.core.engine import Crew, map_shards
from stronglens.core.errors import MissingDataError, OutOfRangeError

TESTS = str(Path(__file__).parents[1])
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install ray"
)
RAY = pytest.param(Crew("ray", 2), marks=[pytest.mark.ray, needs_ray], id="ray")
OUTSIDE = [pytest.param(Crew("local", 2), marks=pytest.mark.slow, id="processes"), RAY]


@pytest.fixture
def paths(monkeypatch):
    """Processes find the toys."""
    monkeypatch.setenv("PYTHONPATH", TESTS)


def _results(crew, folder, shards):
    outcomes = list(map_shards(Toy(folder), shards, crew))
    assert sorted(outcome.shard for outcome in outcomes) == sorted(shards)
    return {outcome.shard: outcome for outcome in outcomes}


@pytest.mark.parametrize("crew", [pytest.param(Crew("local", 1), id="here"), *OUTSIDE])
def test_every_shard_has_one_outcome_and_a_full_disk_is_the_fault_of_its_shard(
    crew, tmp_path, paths
):
    results = _results(crew, tmp_path, [0, 1, 2, 3, 4, 6, 7])
    assert all(results[shard].result[0] == shard**2 for shard in (0, 1, 2, 4, 6, 7))
    assert results[3].result is None
    assert "No space left on device" in results[3].fault
    assert not results[3].is_lost
    assert len(list(tmp_path.glob("built-*"))) <= crew.workers
    assert any(outcome.result and outcome.result[1] is not None for outcome in results.values())


@pytest.mark.parametrize("crew", OUTSIDE)
def test_a_worker_that_is_killed_costs_its_own_shard_one_more_attempt(crew, tmp_path, paths):
    results = _results(crew, tmp_path, [5, 1, 2, 4, 6])
    assert results[5].result[0] == 25
    assert count(tmp_path, 5) == 2
    assert [count(tmp_path, shard) for shard in (1, 2, 4, 6)] == [1, 1, 1, 1]


@pytest.mark.parametrize("crew", OUTSIDE)
def test_a_shard_that_kills_every_worker_is_given_up_and_the_rest_is_done(crew, tmp_path, paths):
    results = _results(crew, tmp_path, [13, 1, 2])
    assert results[13].is_lost
    assert "3 processes died" in results[13].fault
    assert count(tmp_path, 13) == 3
    assert [results[shard].result[0] for shard in (1, 2)] == [1, 4]


@pytest.mark.parametrize("crew", [pytest.param(Crew("local", 1), id="here"), *OUTSIDE[:1]])
def test_a_mistake_in_the_program_is_raised(crew, tmp_path, paths):
    with pytest.raises(ZeroDivisionError, match="cannot be built"):
        list(map_shards(Toy(tmp_path, is_broken=True), [1, 2], crew))


def test_no_shards_need_no_workers(tmp_path):
    assert list(map_shards(Toy(tmp_path), [], Crew("ray", 2))) == []


def test_no_workers_are_refused(tmp_path):
    with pytest.raises(OutOfRangeError, match="workers=0 is below 1"):
        list(map_shards(Toy(tmp_path), [1], Crew("local", 0)))


def test_ray_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDataError, match=r"pip install 'stronglens\[ray\]'"):
        list(map_shards(Toy(tmp_path), [1], Crew("ray", 1)))
