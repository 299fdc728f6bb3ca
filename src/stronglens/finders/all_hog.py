"""The Automated Lensing Learner: oriented gradients and a logistic regression, no network.

The gradients are in `hog.py`, the preparation of the images in `all_scaling.py`.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from stronglens.core.errors import OutOfRangeError
from stronglens.core.seeds import numpy_generator
from stronglens.finders.hog import CellHistograms, HogSettings, block_features
from stronglens.finders.logistic import auroc, fit_logits
from stronglens.finders.networks import Architecture, FitData, InputShape, Recipe, networks
from stronglens.finders.views import views_of

CITATION = """@article{avestruz2019,
  author = {Avestruz, C. and others},
  title = {Automated Lensing Learner: Automated Strong Lensing Identification with a Computer
           Vision Technique},
  journal = {The Astrophysical Journal},
  volume = {877},
  pages = {58},
  year = {2019},
  eprint = {1704.02322}
}"""

RECIPE = Recipe(normalisation="all-hst", views="turns")

CELLS = (4, 6, 8, 12, 16, 24, 32)
"""Sides of a cell that are searched, as far as 3 to 12 of them fit along the shorter side."""
BLOCKS = (1, 2, 3, 4)
"""Sides of a block that are searched [cells]."""
ORIENTATIONS = (3, 6, 9)
"""Bins of the orientation that are searched, after cells and blocks."""
FIRST_STRENGTHS = (1.0, 30.0)
"""Inverse strengths of the penalty tried with every setting."""
STRENGTHS = tuple(10 ** (0.5 * i) for i in range(-2, 9))
"""Inverse strengths of the penalty tried at the end, 0.1 to 10,000."""
SEARCHED_PART = 0.2
"""Part of the training images on which a setting is fitted, and another part to compare on."""
SEARCHED_RANGE = (200, 1000)
"""Smallest and largest number of images of such a part."""
MOST_BYTES = 4 * 2**30
"""Largest size of all features of a training; settings that need more are left out [bytes]."""
_CHUNK = 64


class HogFinder(nn.Module):
    """Oriented gradients of each band, of which a weighted sum is the logit.

    Settings may differ from band to band; they are kept beside the weights and taken up with them.

    Args:
        shape: Shape of one image.
        settings: Settings of each band.
    """

    settings: Int64[Tensor, "band 3"]

    def __init__(self, shape: InputShape, settings: Sequence[HogSettings]) -> None:
        super().__init__()
        self.shape = shape
        self.output = nn.Linear(1, 1)
        self.adopt(settings)
        self.register_load_state_dict_pre_hook(_adopt_saved)

    def adopt(self, settings: Sequence[HogSettings]) -> None:
        """Take up other settings, with new weights."""
        device = self.output.weight.device
        lengths = [s.length(self.shape.height, self.shape.width) for s in settings]
        if min(lengths) < 1:
            raise OutOfRangeError(
                f"images of {self.shape.height}x{self.shape.width} pixels are too small for "
                f"{settings}: no block fits in. Use larger images or fewer cells in a block."
            )
        numbers = [[s.orientations, s.cell, s.block] for s in settings]
        self.register_buffer("settings", torch.tensor(numbers, device=device))
        self.of_band = tuple(settings)
        self.cells_of_band = nn.ModuleList(CellHistograms(s) for s in settings)
        self.output = nn.Linear(sum(lengths), 1, device=device)

    def features(self, images: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch feature"]:
        """Features of normalised images, band after band."""
        with torch.autocast(images.device.type, enabled=False):
            parts = [self._features_of_some(some) for some in images.float().split(_CHUNK)]
        return torch.cat(parts) if parts else images.new_zeros(0, self.output.in_features)

    def forward(self, images: Float[Tensor, "batch band y x"]) -> Float[Tensor, "batch"]:
        """Logits of normalised images."""
        return self.output(self.features(images))[:, 0]

    def _features_of_some(self, images: Tensor) -> Tensor:
        return torch.cat(
            [
                block_features(cells(images[:, i]), settings.block)
                for i, (cells, settings) in enumerate(
                    zip(self.cells_of_band, self.of_band, strict=True)
                )
            ],
            dim=1,
        )


def fit_all_hog(finder: HogFinder, data: FitData) -> dict[str, Any]:
    """Search the settings of each band, then the penalty, and fit the weights to all images.

    Args:
        finder: What is fitted, in place.
        data: Normalised training images.

    Returns:
        The settings, the inverse strength of the penalty, and whether the fit ended by itself.

    Reference:
        Avestruz et al. 2019: settings by grid search on a fifth of the images, the penalty on
        four fifths against one; training and scoring in four quarter turns.
    """
    n_bands = data.images.shape[1]
    settings = [_best_settings(data, band) for band in range(n_bands)]
    finder.adopt(settings)
    rows = _shuffled(data, "penalty")
    n_compared = max(len(rows) // 5, 1)
    seen = _Seen(*_turned(finder, data.images), data.label.cpu().numpy())
    aurocs = seen.aurocs(rows[n_compared:], rows[:n_compared], STRENGTHS)
    strength = STRENGTHS[int(np.argmax(aurocs))]
    fitted = fit_logits(seen.flat(rows), np.tile(seen.label[rows], seen.n_views), [strength])[0]
    with torch.no_grad():
        finder.output.weight.copy_(torch.from_numpy(fitted.weight)[None])
        finder.output.bias.fill_(fitted.bias)
    return {
        "orientations": [s.orientations for s in settings],
        "cell": [s.cell for s in settings],
        "block": [s.block for s in settings],
        "penalty_c": strength,
        "has_converged": fitted.has_converged,
    }


@networks.register(
    "all-hog",
    summary="Automated Lensing Learner: oriented gradients and logistic regression, no network",
    citation=CITATION,
    input_shape=InputShape(1, 101, 101),
    architecture=Architecture(width=6, depth=3, dropout=0.0),
    recipe=RECIPE,
    any_size=False,
    fit=fit_all_hog,
)
def all_hog(shape: InputShape, architecture: Architecture) -> HogFinder:
    """Finder of Avestruz et al.; width is the number of orientations, depth the cells of a block.

    Both are only where a fit begins: it searches them, and the size of the cells, band by band.
    Before it there are about six cells along the shorter side, 16 pixels wide at 101.
    """
    side = min(shape.height, shape.width)
    settings = HogSettings(architecture.width, max(4, round(side / 6.3)), architecture.depth)
    return HogFinder(shape, [settings] * shape.n_bands)


def grid(height: int, width: int) -> list[HogSettings]:
    """Return the cells and blocks that are searched for images of a size, at six orientations."""
    side = min(height, width)
    cells = [c for c in CELLS if 3 <= side // c <= 12]
    made = [HogSettings(6, cell, block) for cell, block in itertools.product(cells, BLOCKS)]
    return [settings for settings in made if settings.length(height, width) > 0]


@dataclass(frozen=True)
class _Seen:
    """Features of images in each view, and their labels."""

    features: Float32[np.ndarray, "n view feature"]
    n_views: int
    label: np.ndarray

    def flat(self, rows: np.ndarray) -> Float32[np.ndarray, "n_seen feature"]:
        """Return the features of some images, view after view."""
        chosen = self.features[rows].swapaxes(0, 1)
        return chosen.reshape(-1, chosen.shape[2])

    def aurocs(
        self, fitted: np.ndarray, compared: np.ndarray, strengths: Sequence[float]
    ) -> list[float]:
        """Return the AUROC of mean logits of some images after a fit to others, per strength."""
        labels = np.tile(self.label[fitted], self.n_views)
        seen, label = self.flat(compared), self.label[compared]
        return [
            auroc(logit(seen).reshape(self.n_views, -1).mean(0), label)
            for logit in fit_logits(self.flat(fitted), labels, strengths)
        ]


def _turned(
    finder: HogFinder, images: Float[Tensor, "n band y x"]
) -> tuple[Float32[np.ndarray, "n view feature"], int]:
    """Return features in all quarter turns, and their number."""
    with torch.inference_mode():
        views = [finder.features(view).cpu().numpy() for view in views_of(images, "turns")]
    return np.stack(views, axis=1), len(views)


def _best_settings(data: FitData, band: int) -> HogSettings:
    """Search cells and blocks, then orientations, on parts of the images of one band."""
    rows = _shuffled(data, "search", band)
    smallest, largest = SEARCHED_RANGE
    size = min(max(round(SEARCHED_PART * len(rows)), smallest), largest, len(rows) // 2)
    used = rows[: 2 * size]
    images = data.images[torch.from_numpy(used), band : band + 1]
    some = FitData(images, data.label[torch.from_numpy(used)], data.keeps_flux, data.seed)
    height, width = images.shape[2:]
    most = MOST_BYTES // (4 * data.images.shape[1] * 4 * len(rows))
    shapes = grid(height, width)
    best = _best_of([s for s in shapes if s.length(height, width) <= most] or shapes[:1], some)
    others = [HogSettings(n, best.cell, best.block) for n in ORIENTATIONS]
    return _best_of([s for s in others if s.length(height, width) <= most] or [best], some)


def _best_of(candidates: list[HogSettings], some: FitData) -> HogSettings:
    """Return the settings with the highest AUROC on the second half of some images."""
    n = len(some.images)
    first, second = np.arange(n // 2), np.arange(n // 2, n)
    shape = InputShape(1, some.images.shape[2], some.images.shape[3])
    highest = []
    for settings in candidates:
        finder = HogFinder(shape, [settings])
        seen = _Seen(*_turned(finder, some.images), some.label.cpu().numpy())
        highest.append(max(seen.aurocs(first, second, FIRST_STRENGTHS)))
    return candidates[int(np.argmax(highest))]


def _shuffled(data: FitData, *key: str | int) -> np.ndarray:
    """Return the rows in an order drawn with the seed, lenses and others in turn where possible."""
    label = data.label.cpu().numpy()
    generator = numpy_generator(data.seed, "all-hog", *key)
    place = np.empty(len(label))
    for value in (0, 1):
        rows = generator.permutation(np.flatnonzero(label == value))
        place[rows] = (np.arange(len(rows)) + 0.5) / max(len(rows), 1)
    return np.argsort(place, kind="stable")


def _adopt_saved(module: nn.Module, tensors: dict[str, Tensor], prefix: str, *_rest: Any) -> None:  # noqa: ANN401 - torch's own hook type
    """Take up the settings that were saved with the weights, before the weights."""
    saved = tensors.get(f"{prefix}settings")
    if isinstance(module, HogFinder) and saved is not None and saved.shape[1:] == (3,):
        module.adopt([HogSettings(*row) for row in saved.tolist()])
