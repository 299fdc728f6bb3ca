"""Streams of fresh images: never those of the stored set, the same for the same epoch."""

import numpy as np
import pytest
import torch

from stronglens.core.errors import MissingDataError
from stronglens.core.files import write_json
from stronglens.data.store import open_dataset
from stronglens.simulation.task import Simulate
from stronglens.training.stream import SimulatedStream, open_stream


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp("streamed") / "set"
    return open_dataset(Simulate(n=20, planes=False, seed=1).run(path).path)


def _here(dataset, seed=1):
    """Return the stream without a process of its own."""
    return SimulatedStream(open_stream(dataset, seed).blocks, workers=0)


def test_batches_hold_as_many_images_as_asked_for_of_both_classes(dataset):
    batches = list(_here(dataset)(0, 300, 64))
    assert [len(b.label) for b in batches] == [64, 64, 64, 64, 44]
    label = torch.cat([b.label for b in batches])
    assert 120 <= int(label.sum()) <= 180
    assert all(torch.isfinite(b.images.flux).all() for b in batches)


def test_an_epoch_repeats_and_the_next_is_new(dataset):
    stream = _here(dataset)
    first, again, other = (next(iter(stream(e, 64, 64))).images.flux for e in (0, 0, 1))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first, other)


def test_no_stored_image_comes_back(dataset):
    stored = {image.tobytes() for image in dataset.images(slice(0, 20)).flux}
    streamed = next(iter(_here(dataset)(0, 250, 250))).images.flux.numpy()
    assert stored.isdisjoint({image.tobytes() for image in streamed})


def test_stream_is_as_noisy_as_its_dataset(dataset):
    single = open_dataset(dataset.path / "single")
    depth = [
        float(next(iter(_here(d)(0, 64, 64))).images.ivar.amax(dim=(1, 2, 3)).median())
        for d in (dataset, single)
    ]
    assert depth[0] / depth[1] == pytest.approx(120, rel=0.1)
    assert depth[1] == pytest.approx(
        float(np.median(single.images(slice(0, 20)).ivar.max())), rel=0.1
    )


def test_dataset_of_unknown_making_is_refused(dataset, tmp_path):
    write_json(tmp_path / "provenance.json", {"bands": ["x-g"]})
    bare = open_dataset(dataset.path)
    bare.path = tmp_path
    with pytest.raises(MissingDataError, match="does not say how it was simulated"):
        open_stream(bare, 1)
