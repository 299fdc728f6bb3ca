"""Fresh images instead of stored ones: the simulation of a dataset, run again with new seeds.

What a training does with the images is in `batches.py`.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader

from stronglens.core.errors import MissingDataError
from stronglens.core.files import read_json
from stronglens.core.seeds import derived_seed, torch_generator
from stronglens.data.layout import PROVENANCE
from stronglens.data.store import Dataset
from stronglens.finders.normalise import PixelImages
from stronglens.simulation.simulated_set import BLOCK, AbstractSimulatedSet
from stronglens.simulation.task import Simulate


@dataclass(frozen=True)
class LabelledImages:
    """A batch of images with their labels."""

    images: PixelImages
    """Images in pixel units."""
    label: Float[Tensor, "batch"]
    """1 for lenses, 0 for others."""


class Stream(Protocol):
    """Images that have never been seen before."""

    def __call__(self, epoch: int, n: int, batch_size: int) -> Iterator[LabelledImages]:
        """Yield n images in batches; the same for the same epoch, and different for another."""
        ...


@dataclass(frozen=True)
class Blocks:
    """Blocks of fresh scenes by number, as a worker process draws them."""

    plan: AbstractSimulatedSet
    """What is simulated; its seed is that of the stream."""
    variant: str
    """Kind of images."""

    def __getitem__(self, block: int) -> LabelledImages:
        """Draw and observe a block; its scenes come in a random order."""
        torch.set_num_threads(1)
        seen = self.plan.draw(block, (self.variant,))[self.variant]
        order = torch.randperm(BLOCK, generator=torch_generator(self.plan.task.seed, "mix", block))
        planes = (seen.images.flux, seen.images.ivar, seen.images.mask)
        tensors = [None if plane is None else torch.as_tensor(plane)[order] for plane in planes]
        label = torch.as_tensor(seen.truth["label"]).float()
        return LabelledImages(PixelImages(*tensors), label[order])  # type: ignore[arg-type]

    def __len__(self) -> int:
        """Return a number no stream comes to the end of."""
        return 2**31


@dataclass
class SimulatedStream:
    """Blocks drawn ahead by a worker process while the network learns from those before.

    The worker goes on from epoch to epoch: starting one takes seconds.
    """

    blocks: Blocks
    """Where the images come from."""
    workers: int = 1
    """Processes that draw ahead."""
    _next: int = field(default=-1, init=False)
    _ahead: Iterator[LabelledImages] | None = field(default=None, init=False, repr=False)

    def __call__(self, epoch: int, n: int, batch_size: int) -> Iterator[LabelledImages]:
        """Yield n images in batches; the same for the same epoch, and different for another."""
        per_epoch = -(-n // BLOCK)
        first = epoch * per_epoch
        if self._ahead is None or self._next != first:
            self._ahead, self._next = iter(self._loader(first, per_epoch)), first
        yield from _rebatched(self._taken(self._ahead, per_epoch), n, batch_size)

    def _taken(self, ahead: Iterator[LabelledImages], n_blocks: int) -> Iterator[LabelledImages]:
        """Yield blocks and note which comes next, however far the epoch gets."""
        for block in itertools.islice(ahead, n_blocks):
            self._next += 1
            yield block

    def _loader(self, first: int, per_epoch: int) -> "DataLoader[LabelledImages]":
        return DataLoader(
            self.blocks,  # type: ignore[arg-type]
            sampler=range(first, len(self.blocks)),
            batch_size=None,
            num_workers=self.workers,
            prefetch_factor=max(per_epoch, 4) if self.workers else None,
        )


def open_stream(dataset: Dataset, seed: int) -> Stream:
    """Open the endless stream of images like those of a dataset.

    Args:
        dataset: A dataset that stronglens simulated.
        seed: Seed of the training; the stream's own is derived from it and is never a dataset's.

    Raises:
        MissingDataError: The dataset does not say how it was made.
    """
    file = dataset.path / PROVENANCE
    made = read_json(file) if file.is_file() else {}
    if "settings" not in made or "variant" not in made:
        raise MissingDataError(
            f"{dataset.path} does not say how it was simulated, so no fresh images like its own "
            "can be drawn. Train with --no-stream."
        )
    task = Simulate.from_dict(made["settings"], str(file))
    fresh = replace(task, seed=derived_seed(seed, "stream", task.seed), device="cpu")
    return SimulatedStream(Blocks(fresh.plan(), str(made["variant"])))


def _rebatched(
    blocks: Iterator[LabelledImages], n: int, batch_size: int
) -> Iterator[LabelledImages]:
    """Cut blocks into batches; what is left of one begins the next."""
    held: list[LabelledImages] = []
    n_held, n_left = 0, n
    for block in blocks:
        held.append(block)
        n_held += len(block.label)
        while n_held >= min(batch_size, n_left) > 0:
            size = min(batch_size, n_left)
            joined = _joined(held)
            yield _part(joined, 0, size)
            held = [_part(joined, size, n_held)]
            n_held, n_left = n_held - size, n_left - size


def _joined(parts: list[LabelledImages]) -> LabelledImages:
    if len(parts) == 1:
        return parts[0]
    images = PixelImages.joined([part.images for part in parts])
    return LabelledImages(images, torch.cat([p.label for p in parts]))


def _part(labelled: LabelledImages, start: int, stop: int) -> LabelledImages:
    return LabelledImages(labelled.images.rows(start, stop), labelled.label[start:stop])
