"""What a simulated set is: blocks of images by number, whatever they hold.

The kinds of sets are in files of their own; writing one to disk is in `dataset`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stronglens.data.layout import ImageFacts, Images
from stronglens.simulation.relations import Columns

if TYPE_CHECKING:
    from stronglens.simulation.task import Simulate

BLOCK = 250
"""Scenes drawn together: scene i of a set is scene i mod 250 of block i // 250."""

STACK = "stack"
SINGLE = "single"


@dataclass(frozen=True)
class ObservedBlock:
    """Scenes of one block as one kind of image, with their truth."""

    images: Images
    """Images of the scenes."""
    truth: Columns
    """Columns of the truth table, NaN where they do not apply."""
    planes: dict[str, np.ndarray]
    """Aligned planes (n, band, y, x) by name; empty where none are asked for [pixel units]."""

    def rows(self, rows: slice) -> "ObservedBlock":
        """Return some of the scenes."""
        return ObservedBlock(
            images=self.images.rows(rows),
            truth={name: values[rows] for name, values in self.truth.items()},
            planes={name: values[rows] for name, values in self.planes.items()},
        )


def join_blocks(blocks: Sequence[ObservedBlock]) -> ObservedBlock:
    """Return several blocks one after the other."""
    first = blocks[0]
    return ObservedBlock(
        images=Images.joined([block.images for block in blocks]),
        truth={name: np.concatenate([b.truth[name] for b in blocks]) for name in first.truth},
        planes={name: np.concatenate([b.planes[name] for b in blocks]) for name in first.planes},
    )


class AbstractSimulatedSet(ABC):
    """What a Simulate task describes, block by block."""

    task: "Simulate"
    """The task, resolved."""
    variants: tuple[str, ...]
    """Kinds of images made of each scene; the first one is the dataset itself."""
    planes: tuple[str, ...]
    """Names of the aligned planes."""

    @abstractmethod
    def facts(self, variant: str) -> ImageFacts:
        """Return what all images of a variant share."""

    @abstractmethod
    def draw(self, block: int, variants: Sequence[str]) -> dict[str, ObservedBlock]:
        """Draw, render and observe the 250 scenes of a block, the same at every call."""

    @abstractmethod
    def provenance(self, variant: str) -> dict[str, Any]:
        """Return how the images of a variant were made, as JSON can hold it."""
