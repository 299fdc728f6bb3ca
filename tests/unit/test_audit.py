"""Audit finds a trick where there is one, and none where there is none."""

import json
from dataclasses import replace

import numpy as np
import pytest

from stronglens.data.catalog import read_table, write_table
from stronglens.data.store import open_dataset
from stronglens.simulation.task import Simulate
from stronglens.training.audit import shared_groups
from stronglens.training.task import Audit
from stronglens.training.tricks import azimuthal_profile, tricks


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Simulate(n=500, seed=2).run(tmp_path_factory.mktemp("audited") / "set")


def _noise(n=1200):
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, 1, 21, 25)).astype(np.float32), np.arange(n) % 2


def test_noise_alone_separates_nothing():
    flux, label = _noise()
    found = {trick.name: trick.auroc for trick in tricks(flux, np.ones(len(label)), label, seed=1)}
    assert set(found) >= {"total flux", "peak", "corners", "background", "noise rms", "psf width"}
    # five standard errors of 0.017 around a coin toss, the larger of two classifiers
    assert all(0.41 < auroc < 0.59 for auroc in found.values())


@pytest.mark.parametrize(
    ("name", "cheat"),
    [
        ("background", lambda flux: flux + 0.5),
        ("noise rms", lambda flux: flux * 1.5),
        ("peak", lambda flux: np.where(flux == flux.max(axis=(1, 2, 3), keepdims=True), 9, flux)),
    ],
)
def test_a_trick_is_named_for_what_it_is(name, cheat):
    flux, label = _noise()
    flux[label == 1] = cheat(flux[label == 1])
    found = {trick.name: trick.auroc for trick in tricks(flux, np.ones(len(label)), label, seed=1)}
    assert found[name] > 0.8
    assert found["together"] > 0.8
    assert found["psf width"] < 0.6


def test_profile_of_a_ring_peaks_at_its_radius():
    y, x = np.mgrid[:41, :45]
    radius = np.hypot(y - 20, x - 22)
    ring = np.exp(-0.5 * ((radius - 9) / 1.0) ** 2)[None].astype(np.float32)
    assert azimuthal_profile(ring)[0].argmax() == 4  # ring 4 holds radii 8 to 10


def test_the_decks_images_pass_and_leave_their_figures(made, tmp_path):
    result = Audit(data=made.path).run(tmp_path / "audit")
    report = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert result.groups_in_two_splits == 0
    assert set(report["tricks"]) == {
        f"{kind} {split}"
        for kind in ("stack", "single")
        for split in ("train", "validation", "test")
    }
    for figure in ("panels.png", "histograms.png"):
        assert (tmp_path / "audit" / "figures" / figure).stat().st_size > 5000


def test_a_scene_in_two_splits_is_found(made, tmp_path):
    truth = read_table(made.path / "truth.parquet")
    truth["group_id"][truth["split"] == "test"] = truth["group_id"][0]
    dataset = open_dataset(made.path)
    assert shared_groups(dataset) == 0
    write_table(tmp_path / "truth.parquet", truth)
    (tmp_path / "images.zarr").symlink_to(made.path / "images.zarr")
    assert shared_groups(open_dataset(tmp_path)) == 1


def test_verdict_turns_on_the_limit():
    from stronglens.training.task import AuditResult

    passed = AuditResult("x", 0.55, "stack test: peak", 0, has_passed=True)  # type: ignore[arg-type]
    assert passed.exit_code == 0
    assert replace(passed, has_passed=False).exit_code == 3
