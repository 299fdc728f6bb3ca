"""Streamed images that come again: each is learnt from in some epochs, then fresh ones replace it.

Where fresh images come from is in `stream.py`.
"""

from collections.abc import Iterator

import torch

from stronglens.core.seeds import derived_seed
from stronglens.training.batches import Augment, Batch, Batches, StoredBatches


class RepeatedBatches:
    """Batches of streamed images that each stay for some epochs, seen in another view in each.

    Where drawing an image costs more than learning from it, most is learnt in a given time when
    each comes a few times. An epoch holds the images of as many parts of the stream as there are
    repeats; the next epoch drops the oldest part and draws a new one. A resumed training draws the
    parts of its epoch anew.

    Args:
        fresh: The stream in parts: its epochs hold the images of one part each.
        repeats: Epochs for which an image stays.
        seed: Seed of the order and of the views.
        augment: What is done to each batch, if anything.
    """

    def __init__(
        self, fresh: Batches, repeats: int, *, seed: int, augment: Augment | None = None
    ) -> None:
        self._fresh = fresh
        self._repeats = repeats
        self._seed = seed
        self._augment = augment
        self._parts: dict[int, Batch] = {}

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self._fresh) * self._repeats

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        wanted = range(number, number + self._repeats)
        self._parts = {part: self._parts.get(part) or self._drawn(part) for part in wanted}
        images, label = (
            torch.cat([self._parts[part][name] for part in wanted]) for name in ("image", "label")
        )
        batch_size = len(label) // len(self)
        seed = derived_seed(self._seed, "repeats")
        held = StoredBatches(
            images, label, batch_size, seed, is_shuffled=True, augment=self._augment
        )
        yield from held.epoch(number)

    def _drawn(self, part: int) -> Batch:
        """Return all images of a part of the stream."""
        batches = list(self._fresh.epoch(part))
        return {name: torch.cat([batch[name] for batch in batches]) for name in ("image", "label")}
