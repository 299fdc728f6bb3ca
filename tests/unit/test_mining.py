"""Hard negatives come again in the next epoch, in the places of others, also after a restart."""

import pytest
import torch
from torch import nn

from stronglens.training.mining import MinedBatches


class Fresh:
    """Batches of ten images whose one pixel is a number that never comes twice; odd ones lenses."""

    def __init__(self, n_batches=4):
        self.n_batches = n_batches

    def epoch(self, number):
        for i in range(self.n_batches):
            value = 1000 * number + 10 * i + torch.arange(10.0)
            yield {"image": value[:, None, None, None], "label": torch.arange(10.0) % 2}

    def __len__(self):
        return self.n_batches


class Brightness(nn.Module):
    """A network whose logit is the pixel, and that must be asked in its evaluation mode."""

    def forward(self, images):
        assert not self.training
        return images.flatten(1).mean(1)


def mined(folder, **options):
    network = Brightness()
    settings = {"share": 0.2, "folder": folder, "seed": 1} | options
    return MinedBatches(Fresh(), network.train(), **settings)


def epoch(batches, number):
    """All images of an epoch, taken as a loop does that stops at the last batch."""
    iterator = batches.epoch(number)
    found = [next(iterator) for _ in range(len(batches))]
    iterator.close()
    return torch.cat([batch["image"].flatten() for batch in found])


def test_the_first_epoch_is_fresh_and_the_next_holds_the_hardest_of_it(tmp_path):
    batches = mined(tmp_path)
    first, second = epoch(batches, 0), epoch(batches, 1)
    assert first.tolist() == [10.0 * i + j for i in range(4) for j in range(10)]
    hard = second[second < 1000]
    # two of ten images a batch; the eight negatives with the highest logits of twenty
    assert len(hard) == 8
    assert set(hard.tolist()) <= set(range(24, 40, 2))
    assert (second.reshape(4, 10) < 1000).sum(1).tolist() == [2] * 4


def test_lenses_stay_where_they_are(tmp_path):
    batches = mined(tmp_path, share=0.5)
    epoch(batches, 0)
    second = epoch(batches, 1).reshape(4, 10)
    assert (second[:, 1::2] >= 1000).all()
    assert (second[:, ::2] < 1000).all()


def test_a_training_that_was_killed_repeats_the_same_images(tmp_path):
    whole = mined(tmp_path / "a")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    expected = [epoch(whole, n) for n in range(3)][2]
    before = mined(tmp_path / "b")
    [epoch(before, n) for n in range(3)]
    # the last epoch was learnt, but its checkpoint not written: a new process begins it again
    torch.testing.assert_close(epoch(mined(tmp_path / "b"), 2), expected)


def test_other_seeds_repeat_other_images_and_the_network_keeps_its_mode(tmp_path):
    batches = mined(tmp_path)
    epoch(batches, 0)
    assert batches._network.training
    second = epoch(batches, 1)
    epoch(mined(tmp_path), 0)
    assert not torch.equal(second, epoch(mined(tmp_path, seed=2), 1))


@pytest.mark.parametrize("most", [1, 3])
def test_memory_is_bounded(tmp_path, monkeypatch, most):
    monkeypatch.setattr("stronglens.training.mining.MOST_KEPT", most)
    batches = mined(tmp_path)
    epoch(batches, 0)
    second = epoch(batches, 1)
    assert set(second[second < 1000].tolist()) <= set(range(40 - 2 * most, 40, 2))
    assert (second < 1000).any()
