"""Explanations: maps that add up, look-alikes that look alike, scores without the arc."""

import importlib.util

import numpy as np
import pytest
from lens_toys import toy_images, write_toy_dataset

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.data.catalog import read_table
from stronglens.data.store import open_dataset
from stronglens.finders import load_finder
from stronglens.training.explain import attributions, logits_without_arc, nearest_training_images
from stronglens.training.explain_task import Explain, ExplainResult
from stronglens.training.task import Train

HAS_CAPTUM = importlib.util.find_spec("captum") is not None


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_toy_dataset(tmp_path_factory.mktemp("toy") / "data", 240, ring=8.0)


@pytest.fixture(scope="module")
def finder(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "finder"
    Train(data=data, width=8, depth=1, epochs=8, batch_size=16, learning_rate=0.01).run(out)
    return out


def test_the_verb_writes_what_it_found(finder, data, tmp_path):
    result = Explain(finder=finder, data=data, top=5).run(tmp_path / "why")
    assert isinstance(result, ExplainResult)
    assert (result.n, result.n_without_arc) == (5, 0)
    assert result.has_attributions == HAS_CAPTUM
    table = read_table(tmp_path / "why" / "explanations.parquet")
    assert (np.diff(table["score"]) <= 0).all()
    assert np.isin(table["row"], open_dataset(data).index("test")).all()
    assert np.isin(table["neighbour_1_row"], open_dataset(data).index("train")).all()
    assert (table["neighbour_1_distance"] <= table["neighbour_3_distance"]).all()
    assert (tmp_path / "why" / "figures" / "look_alikes.png").stat().st_size > 5000
    assert (tmp_path / "why" / "figures" / "attributions.png").exists() == HAS_CAPTUM


def test_lenses_look_like_lenses(finder, data):
    dataset = open_dataset(data)
    rows = dataset.index("test")
    near = nearest_training_images(load_finder(finder), dataset, rows)
    assert near is not None
    label = dataset.column("label")
    assert (label[near.rows[:, 0]] == label[rows]).mean() > 0.75


def test_without_its_arc_a_lens_loses_its_score(finder, data, monkeypatch):
    dataset = open_dataset(data)
    rows = dataset.index("test")
    assert logits_without_arc(load_finder(finder), dataset, rows) is None
    ring = toy_images(240, ring=8.0)[0] - toy_images(240, ring=0.0)[0]
    monkeypatch.setattr(dataset, "planes", lambda: ["source"])
    monkeypatch.setattr(dataset, "plane", lambda name, rows: ring[rows])
    bare = logits_without_arc(load_finder(finder), dataset, rows)
    images = dataset.images(rows)
    fallen = load_finder(finder).logits(images.flux, images.ivar) - bare
    lens = dataset.column("label")[rows] == 1
    assert np.median(fallen[lens]) > 1.0
    np.testing.assert_allclose(fallen[~lens], 0, atol=1e-4)


@pytest.mark.skipif(
    not HAS_CAPTUM, reason="captum is not installed: pip install stronglens[explain]"
)
def test_attributions_add_up_to_the_logit(finder, data):
    dataset, found = open_dataset(data), load_finder(finder)
    rows = dataset.index("test")[:3]
    maps = attributions(found, dataset, rows, steps=200)
    images = dataset.images(rows)
    logits = found.logits(images.flux, images.ivar)
    empty = found.logits(np.zeros_like(images.flux), images.ivar)
    np.testing.assert_allclose(maps.sum(axis=(1, 2, 3)), logits - empty, atol=0.3)
    assert maps.shape == images.flux.shape


@pytest.mark.skipif(HAS_CAPTUM, reason="captum is installed")
def test_without_captum_maps_say_what_is_missing(finder, data):
    with pytest.raises(MissingDataError, match=r"pip install 'stronglens\[explain\]'"):
        attributions(load_finder(finder), open_dataset(data), np.arange(1))


def test_wrong_settings_are_refused(finder, data, tmp_path):
    with pytest.raises(OutOfRangeError, match="top=0"):
        Explain(finder=finder, data=data, top=0).run(tmp_path / "never")
    assert not (tmp_path / "never").exists()
