"""Looks at a finder find the shortcut that it takes, and nothing where it takes none."""

import json

import numpy as np
import pytest
from lens_toys import toy_images, write_toy_dataset

from stronglens.data.store import open_dataset
from stronglens.finders import Architecture, Finder, FinderFacts, build_network
from stronglens.finders.normalise import SkyAsinh
from stronglens.training.audit import shared_images
from stronglens.training.shortcuts import shortcuts, with_shuffled_arcs, without_middle
from stronglens.training.task import Audit
from stronglens.training.tricks import noise_texture, row_order_auroc

FACTS = FinderFacts("resnet-small-flat", Architecture(8, 1, 0.0), ("lsst-g",), 45, 45, 0.18, 30.0)


class Cheat(Finder):
    """A finder that scores by a rule instead of a network."""

    def __init__(self, rule):
        super().__init__(build_network("resnet-small-flat"), SkyAsinh(), facts=FACTS)
        self.rule = rule

    def logits(self, flux, ivar=None, mask=None, *, batch_size=256):
        parts = [self.rule(flux[k : k + batch_size]) for k in range(0, len(flux), batch_size)]
        return np.concatenate(parts).astype(np.float32)


def ring_light(flux):
    """The same for every turn, shift by little and pedestal: ring minus what is around."""
    y, x = np.mgrid[:45, :45] - 22.0
    radius = np.hypot(x, y)
    ring, far = (radius > 4) & (radius < 11), radius > 15
    return flux[:, 0][:, ring].mean(1) - flux[:, 0][:, far].mean(1)


CHEATS = {
    "rotation": lambda flux: flux[:, 0, 14:22, :].mean((1, 2)) - flux[:, 0, 23:31].mean((1, 2)),
    "position": lambda flux: flux[:, 0, ::2, ::2].mean((1, 2)) - flux[:, 0].mean((1, 2)),
    "pedestal": lambda flux: np.median(flux[:, 0], axis=(1, 2)),
    "file order": lambda flux: ring_light(flux) - ring_light(flux).mean(),
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return open_dataset(write_toy_dataset(tmp_path_factory.mktemp("toy") / "data", 400))


def looks_of(finder, dataset):
    rows = dataset.index("all")
    return {look.name: look for look in shortcuts(finder, dataset, rows, seed=1)[0]}


def test_a_finder_that_looks_at_rings_passes(dataset):
    looks = looks_of(Cheat(ring_light), dataset)
    assert set(looks) == {"rotation", "position", "pedestal", "file order", "corners alone"}
    assert all(look.has_passed for look in looks.values())


@pytest.mark.parametrize("name", list(CHEATS))
def test_a_shortcut_is_named_for_what_it_is(dataset, name):
    looks = looks_of(Cheat(CHEATS[name]), dataset)
    assert not looks[name].has_passed
    assert looks[name].value > looks[name].limit


def test_a_finder_that_reads_the_corners_fails(dataset, monkeypatch):
    images = dataset.images

    def marked(rows):
        found = images(rows)
        found.flux[dataset.column("label")[rows] == 1, :, :3, :3] += 5.0
        return found

    monkeypatch.setattr(dataset, "images", marked)
    looks = looks_of(Cheat(lambda flux: flux[:, 0, :3, :3].mean((1, 2))), dataset)
    assert looks["corners alone"].value > 0.95


def test_shuffled_arcs_take_the_label_with_them():
    flux, _, label, _ = toy_images(600, ring=0.0, seed=3)
    ringed, _, _, _ = toy_images(600, ring=4.0, seed=3)
    source = ringed - flux
    partner = np.random.default_rng(0).permutation(600)
    logits = ring_light(with_shuffled_arcs(ringed, source, partner))
    gain = np.corrcoef(logits, label[partner])[0, 1]
    assert gain > 0.1
    assert abs(np.corrcoef(logits, label)[0, 1]) < 0.1
    np.testing.assert_allclose(
        with_shuffled_arcs(ringed, source, np.arange(600)), ringed, atol=1e-4
    )


def test_without_its_middle_an_image_keeps_its_corners():
    flux = toy_images(5)[0]
    bare = without_middle(flux, seed=1)
    np.testing.assert_array_equal(bare[:, :, :4, :4], flux[:, :, :4, :4])
    assert bare[:, 0, 22, 22].max() < 6 < flux[:, 0, 22, 22].min()
    assert without_middle(flux[:0], seed=1).shape == flux[:0].shape


def test_texture_of_noise_is_measured():
    white = np.random.default_rng(0).normal(size=(300, 30, 40)).astype(np.float32)
    smooth = (white + np.roll(white, 1, axis=2)).astype(np.float32)
    assert abs(noise_texture(white)[:, 0].mean()) < 0.06
    assert noise_texture(smooth)[:, 0].mean() > 0.35
    assert abs(noise_texture(smooth)[:, 1].mean()) < 0.06


def test_order_in_the_file_is_measured():
    label = np.repeat([0, 1], 50)
    assert row_order_auroc(np.arange(100), label) == 1.0
    assert row_order_auroc(np.arange(100), np.arange(100) % 2) == pytest.approx(0.5, abs=0.02)


def test_an_image_in_two_splits_is_found(dataset, monkeypatch):
    assert shared_images(dataset, 50) == 0
    images = dataset.images
    monkeypatch.setattr(dataset, "images", lambda rows: images(np.asarray(rows) % 37))
    assert shared_images(dataset, 50) > 0


def test_audit_of_a_finder_writes_what_it_saw(dataset, tmp_path):
    network = build_network(FACTS.network, FACTS.input_shape, FACTS.architecture)
    Finder(network, SkyAsinh(), facts=FACTS).save(tmp_path / "finder.safetensors")
    result = Audit(data=dataset.path, finder=tmp_path / "finder.safetensors", n=100).run(
        tmp_path / "audit"
    )
    report = json.loads((tmp_path / "audit" / "audit.json").read_text())
    looks = {look["name"]: look for look in report["shortcuts"]}
    assert looks["file order"]["has_passed"]
    assert "no plane 'source'" in report["not_looked_at"]["shuffled arcs"]
    assert set(report["row_order_auroc"]) == {"train", "validation", "test"}
    assert report["test_groups_seen_in_training"] is None
    assert report["images_in_two_splits"] == 0
    assert set(result.finder_failed) == {n for n, look in looks.items() if not look["has_passed"]}
