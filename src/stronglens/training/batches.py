"""From a dataset to batches: read, normalised once, kept in memory, shuffled and augmented.

Every epoch is a function of the seed and its number, so a resumed training sees the same batches.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.core.seeds import numpy_generator, torch_generator
from stronglens.data.store import Dataset
from stronglens.finders.normalise import AbstractNormalisation, PixelImages, blank_bands
from stronglens.training.stream import Stream

Batch = dict[str, Tensor]
Augment = Callable[[Tensor, Generator], Tensor]
_CHUNK = 2000


class Batches(Protocol):
    """Batches of an epoch: the same for the same number, whatever came before."""

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        ...

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        ...


@dataclass(frozen=True)
class StoredBatches:
    """Batches of images held in memory."""

    images: Float[Tensor, "n band y x"]
    """Normalised images."""
    label: Float[Tensor, "n"]
    """1 for lenses, 0 for others."""
    batch_size: int
    """Images per batch."""
    seed: int = 0
    """Seed of the order and of the augmentation."""
    is_shuffled: bool = False
    """Whether the order changes from epoch to epoch; a rest smaller than a batch is left out."""
    augment: Augment | None = None
    """What is done to each batch, if anything."""

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        device = str(self.images.device)
        n = len(self.images)
        order = torch.arange(n)
        if self.is_shuffled:
            order = torch.randperm(n, generator=torch_generator(self.seed, "order", number))
        for i in range(len(self)):
            rows = order[i * self.batch_size : (i + 1) * self.batch_size].to(device)
            images = self.images[rows]
            if self.augment is not None:
                generator = torch_generator(self.seed, "view", number, i, device=device)
                images = self.augment(images, generator)
            yield {
                "image": images.contiguous(memory_format=torch.channels_last),
                "label": self.label[rows],
            }

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        n = len(self.images)
        n_full = n // self.batch_size
        return max(n_full, 1) if self.is_shuffled else -(-n // self.batch_size)


@dataclass(frozen=True)
class StreamedBatches:
    """Batches of fresh images; an epoch has as many as a stored set would have."""

    stream: Stream
    """Where they come from."""
    normalisation: AbstractNormalisation
    """Scaling of the images."""
    n: int
    """Images in an epoch."""
    batch_size: int
    """Images per batch."""
    device: torch.device
    """Where the batches are wanted."""

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        for labelled in self.stream(number, len(self) * self.batch_size, self.batch_size):
            images = self.normalisation(labelled.images).to(self.device)
            yield {
                "image": images.contiguous(memory_format=torch.channels_last),
                "label": labelled.label.to(self.device),
            }

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return max(self.n // self.batch_size, 1)


def labelled_rows(dataset: Dataset, split: str, *, needs_both: bool = True) -> np.ndarray:
    """Rows of a split that are labelled 1 or 0.

    Args:
        dataset: The dataset.
        split: Name of the split.
        needs_both: Whether both classes must be there; one is enough otherwise.

    Raises:
        MissingDataError: There is no label at all, or only one of the two classes.
    """
    if "label" not in dataset.columns():
        raise MissingDataError(
            f"{dataset.path} has no truth column 'label'. Add it: 1 for lenses, 0 for others."
        )
    rows = dataset.index(split)
    label = np.asarray(dataset.column("label"), dtype=float)[rows]
    n_lenses, n_others = int((label == 1).sum()), int((label == 0).sum())
    if (min if needs_both else max)(n_lenses, n_others) == 0:
        raise MissingDataError(
            f"split '{split}' of {dataset.path} holds {n_lenses} lenses and {n_others} others; "
            f"{'both are' if needs_both else 'one is'} needed. Use another split or dataset."
        )
    return rows[(label == 1) | (label == 0)]


def limited_rows(rows: np.ndarray, n: int | None, seed: int) -> np.ndarray:
    """At most n of the rows, drawn with the seed.

    Raises:
        OutOfRangeError: n is less than 2.
    """
    if n is None or n >= len(rows):
        return rows
    if n < 2:
        raise OutOfRangeError(f"n_train={n} is too few images to train on. Allowed: 2 or more.")
    return np.sort(numpy_generator(seed, "n_train").permutation(rows)[:n])


def pixel_chunks(dataset: Dataset, rows: np.ndarray) -> Iterator[PixelImages]:
    """Yield the images of some rows in parts, so that raw images never fill the memory."""
    for start in range(0, len(rows), _CHUNK):
        images = dataset.images(rows[start : start + _CHUNK])
        yield PixelImages(
            torch.from_numpy(np.ascontiguousarray(images.flux)),
            None if images.ivar is None else torch.from_numpy(images.ivar),
            None if images.mask is None else torch.from_numpy(images.mask),
        )


def usable_rows(dataset: Dataset, rows: np.ndarray, *, needs_all_bands: bool) -> np.ndarray:
    """Leave out the rows whose image has no good pixel, in any band or in one of them."""
    blank = blank_bands_of(dataset, rows)
    return rows[~(blank.any(1) if needs_all_bands else blank.all(1))]


def blank_bands_of(dataset: Dataset, rows: np.ndarray) -> Bool[np.ndarray, "n band"]:
    """Whether each band of each row has no good pixel."""
    none = torch.zeros((0, len(dataset.bands)), dtype=torch.bool)
    return torch.cat([none, *map(blank_bands, pixel_chunks(dataset, rows))]).numpy()


def normalised_images(
    dataset: Dataset, rows: np.ndarray, normalisation: AbstractNormalisation
) -> Float[Tensor, "n band y x"]:
    """Read and normalise the images of some rows."""
    return torch.cat([normalisation(chunk) for chunk in pixel_chunks(dataset, rows)])


def labels_of(dataset: Dataset, rows: np.ndarray) -> Float[Tensor, "n"]:
    """Labels of some rows as 0.0 and 1.0."""
    return torch.from_numpy(np.asarray(dataset.column("label"), dtype=np.float32)[rows])
