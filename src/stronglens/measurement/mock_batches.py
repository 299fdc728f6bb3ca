"""Simulated images as batches for a training: endless, mixed, the same for the same epoch."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from stronglens.core.seeds import torch_generator
from stronglens.measurement.mock_images import MockChoices, draw_exposures
from stronglens.measurement.network_input import prepare_mocks
from stronglens.measurement.parameters import to_latent

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Pools:
    """Pools of images by number, each of several blocks of scenes, in a random order."""

    seed: int
    """Seed of the stream."""
    blocks: int = 8
    """Blocks in a pool, each with a frame of its own."""
    scenes: int = 64
    """Scenes in a block."""
    exposures: int = 2
    """Images of each scene."""
    device: str = "cpu"
    """Where images are simulated."""
    choices: MockChoices = field(default_factory=MockChoices)
    """What is fixed about the images."""

    @property
    def size(self) -> int:
        """Images in a pool."""
        return self.blocks * self.scenes * self.exposures

    def __getitem__(self, number: int) -> Batch:
        """Simulate a pool."""
        place = torch.device(self.device)
        parts: list[Batch] = []
        for block in range(number * self.blocks, (number + 1) * self.blocks):
            drawn = draw_exposures(self.seed, block, self.scenes, self.choices, place)
            for images in islice(drawn, self.exposures):
                seen = prepare_mocks(images).view()
                u = to_latent(images.truth, seen.limits)
                parts.append({"planes": seen.planes, "conditions": seen.conditions, "u": u})
        generator = torch_generator(self.seed, "pool-order", number)
        order = torch.randperm(self.size, generator=generator).to(place)
        return {name: torch.cat([part[name] for part in parts])[order] for name in parts[0]}

    def __len__(self) -> int:
        """Return a number no training comes to the end of."""
        return 2**31


@dataclass(frozen=True)
class PoolBatches:
    """Batches cut from pools; an epoch of training is a number of pools never seen before."""

    pools: Pools
    """Where the images come from."""
    per_epoch: int
    """Pools in an epoch."""
    batch_size: int
    """Images per batch; the size of a pool is a multiple of it."""
    device: torch.device
    """Where the batches are wanted."""
    workers: int = 0
    """Processes that simulate ahead."""

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        numbers = range(number * self.per_epoch, (number + 1) * self.per_epoch)
        loader = DataLoader(
            self.pools,  # type: ignore[arg-type]
            sampler=numbers,
            batch_size=None,
            num_workers=self.workers,
        )
        for pool in loader:
            for start in range(0, self.pools.size, self.batch_size):
                part = slice(start, start + self.batch_size)
                batch = {name: values[part].to(self.device) for name, values in pool.items()}
                batch["planes"] = batch["planes"].contiguous(memory_format=torch.channels_last)
                yield batch

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self.per_epoch * (self.pools.size // self.batch_size)


@dataclass(frozen=True)
class HeldBatches:
    """The same batches in every epoch, kept in memory, to be judged on."""

    batches: tuple[Batch, ...]
    """The batches."""

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches."""
        yield from self.batches

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.batches)
