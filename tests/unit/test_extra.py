"""A second dataset in every batch: classes keep their shares, and only what fits is taken."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from stronglens.core.errors import WrongShapeError
from stronglens.training.extra import MixedBatches, check_extra

LABEL = torch.tensor([1.0, 0.0] * 10)


class Base:
    """Two batches of twenty images of zeros, every second a lens."""

    def epoch(self, number):
        for _ in range(2):
            yield {"image": torch.zeros(20, 1, 2, 3), "label": LABEL}

    def __len__(self):
        return 2


def mixed(label, share=0.25, seed=1, augment=None):
    images = (1.0 + torch.arange(len(label))).view(-1, 1, 1, 1).expand(-1, 1, 2, 3)
    return MixedBatches(Base(), images, label, share=share, seed=seed, augment=augment)


def test_lenses_take_the_places_of_lenses_and_others_those_of_others():
    label = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])
    batches = mixed(label, share=0.4)
    assert len(batches) == 2
    for batch in batches.epoch(0):
        come = batch["image"][:, 0, 0, 0]
        torch.testing.assert_close(batch["label"], LABEL)
        assert int((come[LABEL == 1] > 0).sum()) == int((come[LABEL == 0] > 0).sum()) == 4
        assert set(come[LABEL == 1].tolist()) <= {0.0, 1.0, 2.0}
        assert set(come[LABEL == 0].tolist()) <= {0.0, 3.0, 4.0, 5.0}


def test_a_class_that_the_second_set_lacks_stays_as_it_is():
    for batch in mixed(torch.zeros(7)).epoch(0):
        come = batch["image"][:, 0, 0, 0] > 0
        assert not come[LABEL == 1].any()
        assert come[LABEL == 0].any()


def test_epochs_differ_and_repeat():
    def images(seed, number):
        return torch.cat([b["image"] for b in mixed(torch.zeros(50), seed=seed).epoch(number)])

    assert torch.equal(images(1, 3), images(1, 3))
    assert not torch.equal(images(1, 3), images(1, 4))
    assert not torch.equal(images(1, 3), images(2, 3))


def test_what_comes_in_is_seen_in_a_view_of_its_own():
    batches = mixed(torch.zeros(3), augment=lambda images, generator: -images)
    for batch in batches.epoch(0):
        assert float(batch["image"].max()) == 0
        assert float(batch["image"].min()) < 0


def dataset(**changes):
    facts = {"path": Path("set"), "bands": ("g", "r"), "size": (45, 45), "pixel_scale": 0.2}
    return SimpleNamespace(**facts | changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"bands": ("r", "g")}, "bands r,g"),
        ({"size": (45, 44)}, "size"),
        ({"pixel_scale": 0.21}, "pixel_scale 0.21"),
    ],
)
def test_a_set_of_other_images_is_refused(changes, named):
    with pytest.raises(WrongShapeError, match=named):
        check_extra(dataset(**changes), dataset())


def test_a_set_of_like_images_is_taken():
    check_extra(dataset(pixel_scale=0.2001), dataset())
