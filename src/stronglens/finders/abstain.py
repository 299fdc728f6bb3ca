"""How unlike its training images an image is: distance in the network's features, and checks.

An image more unlike than a stated share of training-like ones gets no verdict but `abstain`.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.finders.features import penultimate
from stronglens.finders.finder import Finder
from stronglens.finders.normalise import PixelImages

FEWEST_IMAGES = 40
"""Images from which on it is known what is usual."""
MOST_COMPONENTS = 16
_TAIL = 0.975
_BATCH = 256
_FLOORS = {
    "bad_share": 0.05,
    "level_share": 0.02,
    "log_rms": 0.05,
    "background": 0.2,
    "log_peak": 0.2,
    "feature_distance": 1.0,
}
"""Smallest change of each number that counts as one unit of unlikeness."""

_Planes = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]
Numbers = dict[str, Float[np.ndarray, "n"]]


@dataclass(frozen=True)
class Usual:
    """Usual values of one number."""

    middle: float
    """Median."""
    below: float
    """Distance from there to the lower 2.5 % of images, or the floor."""
    above: float
    """Distance from there to the upper 2.5 %, or the floor."""

    def unlikeness(self, values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
        """Distance from the median over that to the tail; infinite where there is no value."""
        away = values - self.middle
        scaled = np.where(away > 0, away / self.above, -away / self.below)
        return np.where(np.isfinite(values), scaled, np.inf)


@dataclass(frozen=True)
class FeatureLaw:
    """Normal law of a network's last features: few free directions, the rest alike."""

    mean: tuple[float, ...]
    """Mean features."""
    directions: tuple[tuple[float, ...], ...]
    """Unit vectors of largest variance."""
    variances: tuple[float, ...]
    """Variance along each."""
    rest: float
    """Variance along every other direction."""

    def distance(self, features: Float[np.ndarray, "n feature"]) -> Float[np.ndarray, "n"]:
        """Mahalanobis distance, over the root of the number of features.

        Reference:
            Lee et al. 2018, NeurIPS 31, equation 2, with one class; Tipping & Bishop 1999, JRSS B
            61, 611, section 3.2, for a covariance of few directions.
        """
        away = features - np.array(self.mean)
        along = away @ np.array(self.directions).reshape(-1, len(self.mean)).T
        rest = np.maximum((away**2).sum(axis=1) - (along**2).sum(axis=1), 0.0)
        squared = (along**2 / np.array(self.variances)).sum(axis=1) + rest / self.rest
        return np.sqrt(squared / len(self.mean))


@dataclass(frozen=True)
class Abstention:
    """What is usual for a finder, and from where on it abstains."""

    keep: float
    """Share of training-like images that get a verdict."""
    threshold: float
    """Unlikeness above which an image gets none."""
    n: int
    """Images by which the usual was found."""
    usual: dict[str, Usual]
    """Usual values by the name of a number."""
    features: FeatureLaw | None = None
    """Law of the network's features; None where it has none."""

    def unlikeness(
        self,
        finder: Finder,
        flux: Float[np.ndarray, "n band y x"],
        ivar: Float[np.ndarray, "n band y x"] | None = None,
        mask: Bool[np.ndarray, "n band y x"] | None = None,
    ) -> tuple[Float[np.ndarray, "n"], np.ndarray]:
        """How unlike the usual images are, and the number that says so.

        Args:
            finder: The finder that this belongs to.
            flux: Images (n, band, y, x), sky removed [pixel units].
            ivar: Inverse variance [1 / pixel units^2].
            mask: True where a pixel is bad.

        Returns:
            Unlikeness, above 1 for about 5 % of usual values of one number; name of the number
            that is most unusual.
        """
        numbers = _numbers(finder, flux, ivar, mask, self.features)
        names = list(self.usual)
        table = np.stack([self.usual[name].unlikeness(numbers[name]) for name in names])
        if finder.facts.takes_missing_bands:
            table[_is_lacking(numbers, names)] = 0.0
        worst = table.argmax(axis=0)
        return table.max(axis=0), np.array(names, dtype=object)[worst]

    def to_record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Abstention":
        """Build it from what `to_record` returned."""
        law = record.get("features")
        features = None
        if law is not None:
            directions = tuple(tuple(one) for one in law["directions"])
            mean, variances = tuple(law["mean"]), tuple(law["variances"])
            features = FeatureLaw(mean, directions, variances, float(law["rest"]))
        usual = {name: Usual(**values) for name, values in record["usual"].items()}
        return cls(record["keep"], record["threshold"], record["n"], usual, features)


def fit_abstention(
    finder: Finder,
    flux: Float[np.ndarray, "n band y x"],
    ivar: Float[np.ndarray, "n band y x"] | None = None,
    mask: Bool[np.ndarray, "n band y x"] | None = None,
    *,
    keep: float = 0.99,
) -> Abstention:
    """Measure what is usual on images like those of the training, that were not trained on.

    Every second image says what is usual, the others from where on to abstain, so that the stated
    share holds for further images.

    Args:
        finder: A trained finder.
        flux: Images (n, band, y, x) in random order, sky removed [pixel units].
        ivar: Inverse variance [1 / pixel units^2].
        mask: True where a pixel is bad.
        keep: Share of such images that shall get a verdict.

    Raises:
        OutOfRangeError: The share is not in (0, 1).
        MissingDataError: There are too few images.
    """
    if not 0 < keep < 1:
        raise OutOfRangeError(f"keep={keep:g} is no share of images. Allowed: (0, 1).")
    needed = max(FEWEST_IMAGES, 2 * int(np.ceil(1 / (1 - keep))))
    if len(flux) < needed:
        raise MissingDataError(
            f"{len(flux)} images are too few to know what is usual for all but {1 - keep:.2g} of "
            f"them. Use at least {needed}, or keep less."
        )
    half, rest = _halves(flux, ivar, mask)
    law = _feature_law(finder, *half)
    usual = {n: _usual(n, values) for n, values in _numbers(finder, *half, law).items()}
    measured = Abstention(keep, np.inf, len(flux), usual, law)
    unlike, _ = measured.unlikeness(finder, *rest)
    # the rank that keeps the share for one more image: split conformal prediction
    rank = min(int(np.ceil(keep * (len(unlike) + 1))), len(unlike))
    return Abstention(keep, float(np.sort(unlike)[rank - 1]), len(flux), usual, law)


def image_numbers(
    flux: Float[np.ndarray, "n band y x"],
    mask: Bool[np.ndarray, "n band y x"] | None,
    bands: tuple[str, ...],
) -> Numbers:
    """Simple numbers of images: bad and level pixels, noise, background and peak of each band.

    Args:
        flux: Images [pixel units].
        mask: True where a pixel is bad.
        bands: Names of the bands.

    Returns:
        bad_share; level_share, of good pixels that equal the brightest, as where a detector is
        full; log_rms of the border; background over it; log_peak over it. NaN without good pixels.
    """
    good = np.isfinite(flux) if mask is None else np.isfinite(flux) & ~mask
    values = np.where(good, flux, np.nan).reshape(*flux.shape[:2], -1).astype(np.float64)
    blank = np.asarray(np.isnan(values).all(axis=2))
    values[blank] = 0.0  # so that medians of nothing need not be asked for
    width = max(1, min(flux.shape[2:]) // 8)
    frame = np.ones(flux.shape[2:], bool)
    frame[width:-width, width:-width] = False
    border = values[..., frame.ravel()]
    border[np.isnan(border).all(axis=2)] = 0.0
    middle = np.nanmedian(border, axis=2)
    rms = 1.4826 * np.nanmedian(np.abs(border - middle[..., None]), axis=2)
    rms = np.where(rms > 0, rms, 1e-12)
    peak = np.nanmax(values, axis=2)
    level = (values == np.asarray(peak)[:, :, None]).sum(axis=2) - 1.0
    table = {
        "bad_share": 1.0 - good.mean(axis=(2, 3)),
        "level_share": level / np.maximum(good.sum(axis=(2, 3)), 1),
        "log_rms": np.log10(rms),
        "background": middle / rms,
        "log_peak": np.log10(np.maximum(peak / rms, 1e-3)),
    }
    return {
        f"{name}_{band}": np.where(blank[:, k], np.nan, columns[:, k]).astype(np.float64)
        for name, columns in table.items()
        for k, band in enumerate(bands)
    }


def _halves(
    flux: np.ndarray, ivar: np.ndarray | None, mask: np.ndarray | None
) -> tuple[_Planes, _Planes]:
    """Every second image, and the others."""

    def part(start: int) -> _Planes:
        rows = slice(start, None, 2)
        return (
            flux[rows],
            None if ivar is None else ivar[rows],
            None if mask is None else mask[rows],
        )

    return part(0), part(1)


def _usual(name: str, values: Float[np.ndarray, "n"]) -> Usual:
    floor = next(floor for kind, floor in _FLOORS.items() if name.startswith(kind))
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return Usual(0.0, floor, floor)
    low, middle, high = (float(v) for v in np.quantile(known, [1 - _TAIL, 0.5, _TAIL]))
    if name == "feature_distance":
        floor = max(0.05 * middle, 1e-6)
    return Usual(middle, max(middle - low, floor), max(high - middle, floor))


def _numbers(
    finder: Finder,
    flux: np.ndarray,
    ivar: np.ndarray | None,
    mask: np.ndarray | None,
    law: FeatureLaw | None,
) -> Numbers:
    numbers = image_numbers(flux, mask, finder.facts.bands)
    if law is not None:
        found = _features(finder, flux, ivar, mask)
        if found is not None:
            numbers["feature_distance"] = law.distance(found)
    return numbers


def _is_lacking(numbers: Numbers, names: list[str]) -> Bool[np.ndarray, "number n"]:
    """Whether a number has no value because its band is missing, other bands being there."""
    unknown = np.stack([np.isnan(numbers[name]) for name in names])
    is_share = [name.startswith("bad_share") for name in names]
    return unknown & ~unknown[is_share].all(axis=0)


def _features(
    finder: Finder, flux: np.ndarray, ivar: np.ndarray | None, mask: np.ndarray | None
) -> Float[np.ndarray, "n feature"] | None:
    """Last features of every image, or None where the finder has no network with such."""
    if not isinstance(finder.network, nn.Module) or len(flux) == 0:
        return None
    parts = []
    for start in range(0, len(flux), _BATCH):
        rows = slice(start, start + _BATCH)
        images = PixelImages(*(_tensor(plane, rows) for plane in (flux, ivar, mask)))  # type: ignore[arg-type]
        found = penultimate(finder.network, finder.normalised(images).to(finder.device))
        if found is None:
            return None
        parts.append(found.float().cpu().numpy().astype(np.float64))
    return np.concatenate(parts)


def _tensor(plane: np.ndarray | None, rows: slice) -> Tensor | None:
    if plane is None:
        return None
    return torch.tensor(plane[rows]) if plane.dtype == bool else torch.tensor(plane[rows]).float()


def _feature_law(
    finder: Finder,
    flux: np.ndarray,
    ivar: np.ndarray | None,
    mask: np.ndarray | None,
) -> FeatureLaw | None:
    features = _features(finder, flux, ivar, mask)
    if features is None:
        return None
    features = features[np.isfinite(features).all(axis=1)]
    mean = features.mean(axis=0)
    _, roots, directions = np.linalg.svd(features - mean, full_matrices=False)
    variances = roots**2 / max(len(features) - 1, 1)
    n_kept = min(MOST_COMPONENTS, max(len(features) // 10, 1), len(variances))
    n_rest = len(mean) - n_kept
    rest = variances[n_kept:].sum() / n_rest if n_rest else 0.0
    smallest = 1e-6 * float(variances.sum()) / len(mean) + 1e-12
    return FeatureLaw(
        mean=tuple(mean.tolist()),
        directions=tuple(tuple(one) for one in directions[:n_kept].tolist()),
        variances=tuple(np.maximum(variances[:n_kept], smallest).tolist()),
        rest=float(max(rest, smallest)),
    )
