"""Hard negatives of a stream: those with the highest logits come again in the next epoch.

Where fresh images come from is in `stream.py`; in which order they are learnt, in `batches.py`.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from stronglens.core.seeds import torch_generator
from stronglens.core.weights import load_settings, load_weights, save_weights
from stronglens.training.batches import Batch, Batches

MOST_KEPT = 10_000
"""Images that are kept at most."""


class MinedBatches:
    """Batches in which some negatives are replaced by the hardest ones of the epoch before.

    Classes keep their shares. The negatives of every batch are scored before it is learnt from; the
    highest are kept, and written beside the checkpoint, so that a resumed training repeats them.

    Args:
        fresh: Batches of images that have never been seen.
        network: What learns; it says which negatives are hard.
        share: Share of each batch that is replaced.
        folder: Where the kept images are written.
        seed: Seed of what is replaced by what.
    """

    def __init__(
        self, fresh: Batches, network: nn.Module, *, share: float, folder: Path, seed: int
    ) -> None:
        self._fresh = fresh
        self._network = network
        self._share = share
        self._folder = folder
        self._seed = seed
        self._logits: Tensor = torch.zeros(0)
        self._images: Tensor | None = None

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self._fresh)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        hard = self._read(number - 1)
        self._logits, self._images = torch.zeros(0), None
        for i, batch in enumerate(self._fresh.epoch(number)):
            self._keep(batch)
            if i == len(self) - 1:
                # before the last batch goes out: who takes it need not come back
                self._write(number)
            generator = torch_generator(self._seed, "mine", number, i)
            yield batch if hard is None else self._replaced(batch, hard, generator)

    def _replaced(self, batch: Batch, hard: Tensor, generator: torch.Generator) -> Batch:
        """Return a batch with hard negatives in the places of some of its own."""
        negatives = torch.nonzero(batch["label"].cpu() < 0.5).flatten()
        n = min(round(self._share * len(batch["label"])), len(negatives))
        places = negatives[torch.randperm(len(negatives), generator=generator)[:n]]
        chosen = torch.randint(len(hard), (n,), generator=generator)
        images = batch["image"].clone()
        images[places.to(images.device)] = hard[chosen].to(images.device)
        return {**batch, "image": images}

    def _keep(self, batch: Batch) -> None:
        """Score the fresh negatives of a batch, and keep the highest of all so far."""
        images = batch["image"][batch["label"] < 0.5]
        if len(images) == 0:
            return
        was_training = self._network.training
        self._network.eval()
        with torch.no_grad():
            logits = self._network(images).float().cpu()
        self._network.train(was_training)
        kept = [images.cpu()] if self._images is None else [self._images, images.cpu()]
        together, all_logits = torch.cat(kept), torch.cat([self._logits, logits])
        batch_size = len(batch["label"])
        n = min(MOST_KEPT, max(round(self._share * batch_size) * len(self), 1), len(all_logits))
        self._logits, highest = all_logits.topk(n)
        self._images = together[highest]

    def _read(self, epoch: int) -> Tensor | None:
        """Return the hard negatives of an epoch, or None where there are none."""
        file = self._file(epoch)
        if epoch < 0 or not file.is_file() or load_settings(file)["epoch"] != epoch:
            return None
        return load_weights(file)[0]["images"]

    def _write(self, epoch: int) -> None:
        """Write the hard negatives of an epoch."""
        kept: Tensor | None = self._images
        if kept is not None:
            facts = {"kind": "hard negatives", "epoch": epoch}
            save_weights(self._file(epoch), {"images": kept}, facts)

    def _file(self, epoch: int) -> Path:
        # the file before the last is still needed if the process is killed before its checkpoint
        return self._folder / f"hard_negatives_{epoch % 2}.safetensors"
