"""Images of a stream that come again: each in as many epochs as said, then never."""

import pytest
import torch

from stronglens.training.repeats import RepeatedBatches


class Parts:
    """Parts of two batches of five images whose one pixel is a number that never comes twice."""

    def __init__(self):
        self.drawn = []

    def epoch(self, number):
        self.drawn.append(number)
        for i in range(2):
            value = 100 * number + 5 * i + torch.arange(5.0)
            yield {"image": value[:, None, None, None], "label": torch.arange(5.0) % 2}

    def __len__(self):
        return 2


def epoch(batches, number):
    found = list(batches.epoch(number))
    assert [len(batch["label"]) for batch in found] == [5] * len(batches)
    pixels = torch.cat([batch["image"].flatten() for batch in found])
    labels = torch.cat([batch["label"] for batch in found])
    torch.testing.assert_close(labels, (pixels % 5) % 2, rtol=0, atol=0)
    return pixels.tolist()


def test_an_image_comes_in_as_many_epochs_as_there_are_repeats():
    batches = RepeatedBatches(Parts(), 3, seed=1)
    seen = [epoch(batches, number) for number in range(5)]
    counts = {pixel: sum(pixels.count(pixel) for pixels in seen) for pixel in range(200, 210)}
    assert set(counts.values()) == {3}
    assert all(len(set(pixels)) == 30 for pixels in seen)


def test_each_part_is_drawn_once_and_the_order_changes():
    parts = Parts()
    batches = RepeatedBatches(parts, 3, seed=1)
    first, second = epoch(batches, 0), epoch(batches, 1)
    assert parts.drawn == [0, 1, 2, 3]
    kept = [pixel for pixel in first if pixel >= 100]
    assert kept != [pixel for pixel in second if pixel < 300]


def test_an_epoch_is_the_same_after_a_restart():
    batches = RepeatedBatches(Parts(), 2, seed=1)
    for number in range(3):
        through = epoch(batches, number)
    assert epoch(RepeatedBatches(Parts(), 2, seed=1), 2) == through
    assert epoch(RepeatedBatches(Parts(), 2, seed=2), 2) != through


@pytest.mark.parametrize("repeats", [1, 4])
def test_views_change_from_epoch_to_epoch(repeats):
    def moved(images, generator):
        return images + torch.rand(images.shape, generator=generator) / 2

    batches = RepeatedBatches(Parts(), repeats, seed=1, augment=moved)
    first, second = (
        torch.cat([batch["image"].flatten() for batch in batches.epoch(number)])
        for number in (0, 1)
    )
    assert set(first.tolist()).isdisjoint(second.tolist())
