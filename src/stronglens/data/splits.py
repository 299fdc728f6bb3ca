"""Which split a group of images belongs to: for ever, whatever else is in the dataset."""

import hashlib
from collections.abc import Iterable

import numpy as np

from stronglens.core.errors import OutOfRangeError
from stronglens.data.store import SPLITS

FRACTIONS = (0.64, 0.16, 0.20)
"""Shares of train, validation and test."""


def split_of_groups(
    group_ids: Iterable[str], fractions: tuple[float, float, float] = FRACTIONS
) -> np.ndarray:
    """Split of each group by a hash of its name alone.

    Args:
        group_ids: Names of groups: a scene, a host galaxy, a cell of the sky.
        fractions: Shares of train, validation and test; they add up to one.

    Returns:
        "train", "validation" or "test" for each.

    Raises:
        OutOfRangeError: The shares do not add up to one.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1.0) > 1e-6:
        raise OutOfRangeError(
            f"fractions={fractions} are no shares. Give three numbers from 0 that sum to 1."
        )
    edges = np.cumsum(fractions)[:2]
    places = [_place(group_id) for group_id in group_ids]
    return np.asarray(SPLITS)[np.searchsorted(edges, places, side="right")]


def _place(group_id: str) -> float:
    """Number in [0, 1) made of a name."""
    digest = hashlib.sha256(str(group_id).encode()).digest()
    return int.from_bytes(digest[:6], "little") / 2.0**48
