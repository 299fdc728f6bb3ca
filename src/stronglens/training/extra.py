"""Images of a second dataset mixed into every batch: real galaxies among simulated ones, say.

The batches themselves are in `batches.py`.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from stronglens.core.errors import WrongShapeError
from stronglens.core.seeds import torch_generator
from stronglens.data.store import Dataset
from stronglens.training.batches import Augment, Batch, Batches

_SCALE_TOLERANCE = 0.01


class MixedBatches:
    """Batches in which some images give way to those of a second set, class by class.

    Classes keep their shares: a lens is replaced by a lens, anything else by anything else; a class
    that the second set lacks stays as it is.

    Args:
        base: Batches to mix into.
        images: Normalised images of the second set (n, band, y, x).
        label: Their labels (n,).
        share: Share of each class of each batch that is replaced.
        seed: Seed of what is replaced by what.
        augment: What is done to the images that come in, if anything.
    """

    def __init__(
        self,
        base: Batches,
        images: Tensor,
        label: Tensor,
        *,
        share: float,
        seed: int,
        augment: Augment | None = None,
    ) -> None:
        self._base = base
        self._images = images
        self._rows = {is_lens: torch.nonzero((label > 0.5) == is_lens).flatten().cpu()
                      for is_lens in (False, True)}  # fmt: skip
        self._share = share
        self._seed = seed
        self._augment = augment

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self._base)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        for i, batch in enumerate(self._base.epoch(number)):
            generator = torch_generator(self._seed, "extra", number, i)
            places, rows = self._drawn(batch["label"].cpu() > 0.5, generator)
            incoming = self._images[rows.to(self._images.device)]
            if self._augment is not None:
                device = str(incoming.device)
                views = torch_generator(self._seed, "extra views", number, i, device=device)
                incoming = self._augment(incoming, views)
            images = batch["image"].clone()
            images[places.to(images.device)] = incoming.to(images.device)
            yield {**batch, "image": images}

    def _drawn(self, is_lens: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Places in a batch, and the rows of the second set that come there."""
        places, rows = [], []
        for kind, pool in self._rows.items():
            if len(pool) == 0:
                continue
            own = torch.nonzero(is_lens == kind).flatten()
            n = round(self._share * len(own))
            places.append(own[torch.randperm(len(own), generator=generator)[:n]])
            rows.append(pool[torch.randint(len(pool), (n,), generator=generator)])
        return torch.cat(places), torch.cat(rows)


def check_extra(extra: Dataset, data: Dataset) -> None:
    """Refuse a second dataset whose images are not like those of the first.

    Args:
        extra: The second dataset.
        data: The first.

    Raises:
        WrongShapeError: Bands, size or pixel scale differ.
    """
    facts = {
        "bands": (",".join(extra.bands), ",".join(data.bands), extra.bands == data.bands),
        "size": (extra.size, data.size, extra.size == data.size),
        "pixel_scale": (
            extra.pixel_scale, data.pixel_scale,
            abs(extra.pixel_scale / data.pixel_scale - 1) < _SCALE_TOLERANCE,
        ),
    }  # fmt: skip
    for name, (found, wanted, is_same) in facts.items():
        if not is_same:
            raise WrongShapeError(
                f"extra={extra.path} has {name} {found}, but data={data.path} has {wanted}. Make "
                "both alike: fetch and simulate take bands, size and pixel scale."
            )
