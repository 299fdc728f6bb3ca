"""Training further from a finder: what stays, what changes, what is refused."""

import numpy as np
import pytest
import torch
from lens_toys import toy_images, write_toy_dataset

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.data.layout import ImageFacts, Images
from stronglens.data.store import open_dataset
from stronglens.data.writer import DatasetWriter
from stronglens.finders import InputShape, build_network, load_finder, networks
from stronglens.finders.calibrate import Calibration
from stronglens.finders.committee import committee_of
from stronglens.finders.members import Combination
from stronglens.training.task import Train


def write_other(path, *, bands=("des-g",), size=45, n=80):
    """Write a dataset of another survey."""
    flux, ivar, label, _ = toy_images(n, seed=4, size=size, ring=2.0)
    writer = DatasetWriter(path, ImageFacts(bands, 0.26, 30.0, size, size), n)
    shape = (n, len(bands), size, size)
    for start, stop in writer.missing_shards():
        rows = slice(start, stop)
        images = Images(np.broadcast_to(flux, shape)[rows], np.broadcast_to(ivar, shape)[rows])
        split = np.array(["train", "validation"])[(np.arange(n) // 2) % 2]
        names = np.array([f"other-{i}" for i in range(start, stop)])
        writer.write_shard(
            start, images, {"object_id": names, "split": split[rows], "label": label[rows]}
        )
    writer.finish({"seed": 0})
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("further")


@pytest.fixture(scope="module")
def first(folder):
    """Run directory of a finder of the first dataset."""
    data = write_toy_dataset(folder / "first", 240, ring=2.0)
    settings = {"width": 4, "depth": 1, "epochs": 4, "batch_size": 20, "learning_rate": 0.02}
    task = Train(data=data, normalisation="min-max", views="flips", workers=1, **settings)
    return task.run(folder / "finder").path


@pytest.fixture(scope="module")
def other(folder):
    return write_other(folder / "other")


def test_what_follows_from_the_finder_is_filled_in_and_the_rate_is_lower(first, other):
    task = Train(data=other, start_from=first, bands_as="lsst-g").resolved()
    assert (task.network, task.width, task.depth) == ("resnet-small", 4, 1)
    assert (task.normalisation, task.views) == ("min-max", "flips")
    rate = networks.facts("resnet-small")["recipe"].learning_rate
    assert task.learning_rate == pytest.approx(rate / 10)
    assert task.resolved() == task
    free = Train(
        data=other, start_from=first, learning_rate=0.5, dropout=0.1, views="d4"
    ).resolved()
    assert (free.learning_rate, free.dropout, free.views) == (0.5, 0.1, "d4")


def test_a_start_keeps_scaling_and_weights_and_takes_the_new_images(first, other, folder):
    task = Train(
        data=other, start_from=first, bands_as="lsst-g", epochs=1, learning_rate=1e-12,
        batch_size=20, workers=1, precision="float32",
    )  # fmt: skip
    before, after = load_finder(first), load_finder(task.run(folder / "further").path)
    assert after.normalisation == before.normalisation
    weights, others = before.network.state_dict(), after.network.state_dict()
    for name, weight in weights.items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(others[name], weight, rtol=0, atol=1e-6)
    assert (after.facts.bands, after.facts.pixel_scale) == (("des-g",), 0.26)
    started = after.facts.training["started_from"]
    assert (started["finder"], started["bands"]) == (str(first), ["lsst-g"])
    assert started["training"]["data"] == str(folder / "first")
    images = open_dataset(other).images(slice(0, 3))
    assert np.isfinite(after(images)).all()


def test_a_start_is_ahead_of_random_weights(first, folder):
    data = write_toy_dataset(folder / "few", 160, seed=8, ring=2.0)
    brief = {"data": data, "epochs": 1, "batch_size": 20, "workers": 1}
    ahead = Train(start_from=first, **brief).run(folder / "ahead")
    behind = Train(width=4, depth=1, **brief).run(folder / "behind")
    assert ahead.val_loss < behind.val_loss


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 9}, "width=9 contradicts start_from"),
        ({"normalisation": "sky-asinh"}, "which has normalisation=min-max"),
        ({"network": "deck-cnn"}, "network=deck-cnn contradicts"),
        ({"mine": 0.2}, "looks for hard negatives among fresh images"),
        ({"mine": 0.7, "stream": True}, r"Allowed: \(0, 0\.5\]"),
        ({"start_from": None}, "bands_as=lsst-g names bands of a finder"),
    ],
)
def test_settings_that_contradict_are_refused(changes, message, first, other, tmp_path):
    settings = {"data": other, "start_from": first, "bands_as": "lsst-g"} | changes
    with pytest.raises(OutOfRangeError, match=message):
        Train(**settings).run(tmp_path / "run")


def test_other_bands_and_sizes_are_refused(first, other, folder, tmp_path):
    with pytest.raises(WrongShapeError, match="say --bands-as lsst-g"):
        Train(data=other, start_from=first).run(tmp_path / "a")
    two = write_other(folder / "two", bands=("des-g", "des-r"))
    with pytest.raises(WrongShapeError, match="has bands des-g,des-r"):
        Train(data=two, start_from=first, bands_as="lsst-g").run(tmp_path / "b")
    fixed = Train(data=folder / "first", network="deck-cnn", width=2, epochs=1, workers=1).run(
        folder / "fixed"
    )
    large = write_other(folder / "large", bands=("lsst-g",), size=61)
    with pytest.raises(WrongShapeError, match="61x61 pixels but 'deck-cnn' takes 45x45"):
        Train(data=large, start_from=fixed.path).run(tmp_path / "c")


def test_committees_and_finders_that_fit_themselves_are_no_start(first, other, folder, tmp_path):
    members = [load_finder(first), load_finder(first)]
    map_ = Calibration("temperature", (1.0,), 0.5, 10, 10)
    pair = committee_of(members, [map_, map_], Combination("sum", (0.5, 0.5)))
    pair.save(tmp_path / "pair.safetensors")
    with pytest.raises(OutOfRangeError, match="is a committee"):
        Train(data=other, start_from=tmp_path / "pair.safetensors").run(tmp_path / "a")
    hog = Train(data=folder / "first", network="all-hog", workers=1).run(folder / "hog")
    with pytest.raises(OutOfRangeError, match="fits itself at once"):
        Train(data=other, start_from=hog.path).run(tmp_path / "b")


def test_a_finder_learns_bands_that_it_does_not_know(first, folder):
    data = write_other(folder / "wider", bands=("des-u", "des-g", "des-r"))
    settings = {"epochs": 1, "learning_rate": 1e-12, "batch_size": 20, "workers": 1}
    task = Train(
        data=data, start_from=first, bands_as="new,lsst-g,new", precision="float32", **settings
    )
    before, after = load_finder(first), load_finder(task.run(folder / "wider-finder").path)
    flux, *_ = toy_images(6, ring=2.0)
    wide = np.random.default_rng(0).normal(size=(6, 3, 45, 45)).astype(np.float32)
    wide[:, 1:2] = flux
    network = build_network("resnet-small", InputShape(3, 45, 45), after.facts.architecture)
    network.load_state_dict(after.network.state_dict())
    one, three = (torch.as_tensor(images) for images in (flux, wide))
    with torch.inference_mode():
        for net in (before.network, network):
            net.eval()
        # the running means of the layers moved a little with the one epoch
        torch.testing.assert_close(network(three), before.network(one), rtol=0.2, atol=0.2)


@pytest.mark.parametrize("bands_as", ["new,new,new", "lsst-g,new", "lsst-r,new,new"])
def test_bands_without_a_counterpart_are_refused(first, folder, bands_as):
    data = folder / "wider"
    if not data.exists():
        write_other(data, bands=("des-u", "des-g", "des-r"))
    with pytest.raises(WrongShapeError, match="stand for those"):
        Train(data=data, start_from=first, bands_as=bands_as).run(folder / "refused")
