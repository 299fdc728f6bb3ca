"""Splits by a hash of the group's name: stable for ever, in the stated shares."""

from collections import Counter

import pytest

from stronglens.core.errors import OutOfRangeError
from stronglens.data.splits import FRACTIONS, split_of_groups
from stronglens.data.store import SPLITS


def test_split_of_a_group_is_stable_and_has_its_share():
    # stored when the rule was made: a change would move images between splits
    assert list(split_of_groups([f"field:{k}-0" for k in range(6)])) == [
        "train",
        "validation",
        "train",
        "train",
        "test",
        "train",
    ]
    shares = Counter(split_of_groups([f"tile:{k}-{k % 7}" for k in range(10_000)]))
    for split, fraction in zip(SPLITS, FRACTIONS, strict=True):
        # five standard deviations of a binomial draw
        assert shares[split] / 10_000 == pytest.approx(fraction, abs=0.025)
    assert split_of_groups(["any"], (0.0, 0.0, 1.0)) == ["test"]


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.5), (1.2, -0.2, 0.0)])
def test_shares_must_be_shares(fractions):
    with pytest.raises(OutOfRangeError, match="sum to 1"):
        split_of_groups(["group"], fractions)
