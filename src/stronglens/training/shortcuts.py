"""Whether a finder looks at arcs: changes of an image that must not matter, and looks without arcs.

What a dataset alone gives away is in `tricks.py`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int

from stronglens.core.errors import StronglensError
from stronglens.core.seeds import numpy_generator
from stronglens.data.layout import Images
from stronglens.data.store import Dataset, open_dataset
from stronglens.evaluation.metrics import auroc_of, roc_curve
from stronglens.evaluation.two_sample import border_rms
from stronglens.finders import Finder
from stronglens.training.tricks import LIMIT

LARGEST_CHANGE = 0.5
"""Change of the logits that still passes, over their standard deviation."""
LARGEST_ORDER_CHANGE = 0.01
"""The same where nothing but the order of images changes."""
_PEDESTAL = 0.5  # of the sky's rms
_INNER = 0.8  # diameter of the middle that is taken out, over the shorter side
_SOURCE = "source"


@dataclass(frozen=True)
class Shortcut:
    """One look at a finder."""

    name: str
    """What was done to the images."""
    value: float
    """Rms change of the logits over their standard deviation, or an AUROC."""
    limit: float
    """Value from which on the finder fails."""
    meaning: str
    """What the value is, in words."""

    @property
    def has_passed(self) -> bool:
        """Whether the value is below its limit."""
        return self.value < self.limit


def shortcuts(
    finder: Finder, dataset: Dataset, rows: Int[np.ndarray, " row"], seed: int
) -> tuple[list[Shortcut], dict[str, str]]:
    """Look at a finder in every way that the dataset allows.

    Args:
        finder: A finder that fits the dataset.
        dataset: Where the images are; with the plane `source`, twins are made too.
        rows: Labelled rows that it was not trained on.
        seed: Seed of order, noise and pairs.

    Returns:
        The looks, and the reasons why others were not possible.
    """
    images = dataset.images(rows)
    label = np.asarray(dataset.column("label"), float)[rows]
    logits = _logits(finder, images, images.flux)
    good = np.isfinite(logits)
    scale = float(logits[good].std()) or 1.0
    looks = []
    for name, changed in _harmless(images):
        views = [_logits(finder, _turned(images, one), one[0]) for one in changed]
        rms = np.sqrt(np.mean([(view[good] - logits[good]) ** 2 for view in views]))
        words = "rms change of the logits over their standard deviation"
        looks.append(Shortcut(name, float(rms) / scale, LARGEST_CHANGE, words))
    looks.append(_order(finder, images, logits, scale, seed))
    bare = _logits(finder, images, without_middle(images.flux, seed))
    looks.append(_chance("corners alone", bare, label, "AUROC of images without their middle"))
    refused = {}
    if _SOURCE in dataset.planes():
        looks.append(_twins(finder, dataset, rows, images, seed))
    else:
        refused["shuffled arcs"] = f"{dataset.path} has no plane '{_SOURCE}'"
    return looks, refused


def without_middle(
    flux: Float32[np.ndarray, "n band y x"], seed: int
) -> Float32[np.ndarray, "n band y x"]:
    """Images whose middle holds pixels drawn from their own border: noise and corners stay.

    Args:
        flux: Images [pixel units].
        seed: Seed of the draws.
    """
    height, width = flux.shape[2:]
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
    inner = distance <= _INNER * min(height, width) / 2
    generator = numpy_generator(seed, "without middle")
    picked = generator.integers(int((~inner).sum()), size=(len(flux), int(inner.sum())))
    changed = flux.copy()
    for band in range(flux.shape[1]):
        outside = flux[:, band][:, ~inner]
        changed[:, band][:, inner] = np.take_along_axis(outside, picked, axis=1)
    return changed


def with_shuffled_arcs(
    flux: Float32[np.ndarray, "n band y x"],
    source: Float32[np.ndarray, "n band y x"],
    partner: Int[np.ndarray, " n"],
) -> Float32[np.ndarray, "n band y x"]:
    """Images with the arcs, or companions, of their partners in place of their own.

    Args:
        flux: Images [pixel units].
        source: Their noiseless lensed sources or companions, blurred [pixel units].
        partner: Row whose source each image gets.
    """
    return flux - source + source[partner]


def groups_seen(finder: Finder, dataset: Dataset, rows: Int[np.ndarray, " row"]) -> int | None:
    """Number of groups among some rows that are in the split the finder was trained on.

    Args:
        finder: The finder.
        dataset: The dataset of the rows.
        rows: Rows it is said not to have seen.

    Returns:
        The number; None where its training data are gone or name no groups.
    """
    trained = finder.facts.training.get("data")
    if trained is None or "group_id" not in dataset.columns():
        return None
    try:
        seen = open_dataset(Path(trained))
        groups = set(seen.column("group_id")[seen.index("train")])
    except StronglensError:
        return None
    return len(groups & set(dataset.column("group_id")[rows]))


_View = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]


def _harmless(images: Images) -> Iterator[tuple[str, list[_View]]]:
    """Yield changes after which an image shows the same object."""
    planes = (images.flux, images.ivar, images.mask)

    def every(change: Callable[[np.ndarray], np.ndarray]) -> _View:
        flux, ivar, mask = (None if p is None else np.ascontiguousarray(change(p)) for p in planes)
        return flux, ivar, mask  # type: ignore[return-value]

    square = images.flux.shape[2] == images.flux.shape[3]
    flips = [lambda p: p[..., ::-1], lambda p: p[..., ::-1, :], lambda p: p[..., ::-1, ::-1]]
    turns = [
        lambda p: np.rot90(p, 1, (2, 3)),
        lambda p: np.rot90(p, 3, (2, 3)),
        lambda p: np.swapaxes(p, 2, 3),
        lambda p: np.swapaxes(p[..., ::-1, ::-1], 2, 3),
    ]
    views = [*flips, *turns] if square else flips
    yield "rotation", [every(view) for view in views]
    steps = [(1, 2), (-1, 2), (1, 3), (-1, 3)]
    yield "position", [every(lambda p, s=s: np.roll(p, s[0], axis=s[1])) for s in steps]
    rms = np.nan_to_num(border_rms(images.flux, images.mask))[:, :, None, None]
    raised = [(images.flux + sign * _PEDESTAL * rms).astype(np.float32) for sign in (-1, 1)]
    yield "pedestal", [(flux, images.ivar, images.mask) for flux in raised]


def _turned(images: Images, view: _View) -> Images:
    return Images(view[0], view[1], view[2], images.psf)


def _logits(finder: Finder, images: Images, flux: np.ndarray, batch_size: int = 256) -> np.ndarray:
    return finder.logits(flux, images.ivar, images.mask, batch_size=batch_size).astype(np.float64)


def _order(finder: Finder, images: Images, logits: np.ndarray, scale: float, seed: int) -> Shortcut:
    """Score in another order and other batches."""
    order = numpy_generator(seed, "file order").permutation(len(logits))
    planes = [None if p is None else p[order] for p in (images.flux, images.ivar, images.mask)]
    again = np.empty(len(order))
    again[order] = finder.logits(planes[0], planes[1], planes[2], batch_size=37)  # type: ignore[arg-type]
    change = np.nanmax(np.abs(again - logits)) / scale
    words = "largest change of a logit over the logits' standard deviation"
    return Shortcut("file order", float(change), LARGEST_ORDER_CHANGE, words)


def _twins(
    finder: Finder, dataset: Dataset, rows: np.ndarray, images: Images, seed: int
) -> Shortcut:
    """Score deflectors with the arcs of others: their own label must be lost."""
    label = np.asarray(dataset.column("label"), float)[rows]
    partner = numpy_generator(seed, "shuffled arcs").permutation(len(rows))
    source = dataset.plane(_SOURCE, rows)
    logits = _logits(finder, images, with_shuffled_arcs(images.flux, source, partner))
    kept = _auroc(logits, label[partner])
    words = f"AUROC of the label that went with the arcs' place; that of the arcs is {kept:.3f}"
    return _chance("shuffled arcs", logits, label, words)


def _chance(name: str, logits: np.ndarray, label: np.ndarray, words: str) -> Shortcut:
    """Return a look whose AUROC should be a half, on whichever side it is."""
    area = _auroc(logits, label)
    return Shortcut(name, max(area, 1 - area), LIMIT, words)


def _auroc(logits: np.ndarray, label: np.ndarray) -> float:
    good = np.isfinite(logits)
    return auroc_of(roc_curve(logits[good], label[good]))
