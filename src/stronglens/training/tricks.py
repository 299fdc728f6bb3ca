"""Simple quantities of an image, and how well they alone tell the classes apart.

If one of them does, a network can score well without having learnt any lensing.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer

from stronglens.core.seeds import derived_seed

LIMIT = 0.60
_CORNER = 6


@dataclass(frozen=True)
class Trick:
    """How far one quantity separates the classes."""

    name: str
    """Name of the quantity, or "together"."""
    auroc: float
    """Cross-validated area under the ROC curve, the larger of a linear and a tree classifier's."""
    error: float
    """Standard error of the area (Hanley & McNeil 1982)."""


def tricks(
    flux: Float32[np.ndarray, "n band y x"],
    psf_fwhm: Float[np.ndarray, " n"],
    label: Int[np.ndarray, " n"],
    seed: int,
) -> list[Trick]:
    """Cross-validated AUROC of every simple quantity alone, and of all together.

    Args:
        flux: Noisy images; the first band is used [pixel units].
        psf_fwhm: PSF width of each image [arcsec].
        label: 1 lens, 0 not.
        seed: Seed of the folds and the classifiers.

    Returns:
        One entry per quantity, then one named "together".
    """
    quantities = simple_quantities(flux[:, 0], psf_fwhm)
    quantities["together"] = np.concatenate(list(quantities.values()), axis=1)
    return [_trick(name, values, label, seed) for name, values in quantities.items()]


def simple_quantities(
    image: Float32[np.ndarray, "n y x"], psf_fwhm: Float[np.ndarray, " n"]
) -> dict[str, Float[np.ndarray, "n feature"]]:
    """Total flux, peak, corners, background, noise, its texture, PSF width, azimuthal profile.

    Args:
        image: Noisy images [pixel units].
        psf_fwhm: PSF width of each image [arcsec].

    Returns:
        An array (n, features) per quantity.
    """
    c = _CORNER
    corners = np.stack(
        [image[:, y, x].mean(axis=(1, 2)) for y in _ends(c) for x in _ends(c)], axis=1
    )
    border = _border(image)
    center = np.median(border, axis=1)
    rms = 1.4826 * np.median(np.abs(border - center[:, None]), axis=1)
    return {
        "total flux": image.sum(axis=(1, 2))[:, None],
        "peak": image.max(axis=(1, 2))[:, None],
        "corners": corners,
        "background": center[:, None],
        "noise rms": rms[:, None],
        "noise texture": noise_texture(image),
        "psf width": np.asarray(psf_fwhm, dtype=float)[:, None],
        "azimuthal profile": azimuthal_profile(image),
    }


def azimuthal_profile(image: Float32[np.ndarray, "n y x"]) -> Float[np.ndarray, "n radius"]:
    """Mean flux in rings two pixels wide around the centre of each image."""
    _, height, width = image.shape
    y, x = np.mgrid[:height, :width]
    ring = (np.hypot(y - (height - 1) / 2, x - (width - 1) / 2) / 2).astype(int)
    n_rings = min(height, width) // 4
    flat = image.reshape(len(image), -1)
    return np.stack([flat[:, (ring == k).ravel()].mean(axis=1) for k in range(n_rings)], axis=1)


def noise_texture(image: Float32[np.ndarray, "n y x"]) -> Float[np.ndarray, "n feature"]:
    """Correlation of neighbours along rows and columns in the corners, and their kurtosis.

    Args:
        image: Noisy images [pixel units].

    Returns:
        Three numbers an image.
    """
    blocks = np.stack([image[:, y, x] for y in _ends(_CORNER) for x in _ends(_CORNER)], axis=1)
    blocks = blocks.astype(float) - blocks.mean(axis=(2, 3), keepdims=True)
    variance = np.maximum((blocks**2).mean(axis=(1, 2, 3)), 1e-30)
    along_x = (blocks[..., 1:] * blocks[..., :-1]).mean(axis=(1, 2, 3)) / variance
    along_y = (blocks[:, :, 1:] * blocks[:, :, :-1]).mean(axis=(1, 2, 3)) / variance
    kurtosis = (blocks**4).mean(axis=(1, 2, 3)) / variance**2
    return np.stack([along_x, along_y, kurtosis], axis=1)


def row_order_auroc(rows: Int[np.ndarray, " n"], label: Int[np.ndarray, " n"]) -> float:
    """How well the place in the file alone tells the classes apart: 0.5 where it cannot.

    Args:
        rows: Rows of images.
        label: 1 lens, 0 not.
    """
    area = float(roc_auc_score(label, rows))
    return max(area, 1 - area)


def _ends(c: int) -> tuple[slice, slice]:
    return slice(None, c), slice(-c, None)


def _border(image: Float32[np.ndarray, "n y x"]) -> Float32[np.ndarray, "n pixel"]:
    """Return the pixels of a frame three pixels wide."""
    keep = np.ones(image.shape[1:], dtype=bool)
    keep[3:-3, 3:-3] = False
    return image[:, keep]


def _trick(
    name: str, values: Float[np.ndarray, "n feature"], label: Int[np.ndarray, " n"], seed: int
) -> Trick:
    state = derived_seed(seed, "tricks", name) % 2**31
    folds = StratifiedKFold(5, shuffle=True, random_state=state)
    n_quantiles = min(200, len(label) // 2)
    classifiers = (
        make_pipeline(
            QuantileTransformer(output_distribution="normal", n_quantiles=n_quantiles),
            LogisticRegression(max_iter=1000),
        ),
        HistGradientBoostingClassifier(
            max_iter=60, max_depth=4, learning_rate=0.1, random_state=state
        ),
    )
    areas = []
    for classifier in classifiers:
        score = cross_val_predict(classifier, values, label, cv=folds, method="predict_proba")
        areas.append(float(roc_auc_score(label, np.asarray(score)[:, 1])))
    return Trick(name, max(areas), _auroc_error(max(areas), label))


def _auroc_error(auroc: float, label: Int[np.ndarray, " n"]) -> float:
    """Standard error of an AUROC (Hanley & McNeil 1982, eq. 1)."""
    n_positive, n_negative = int(label.sum()), int((1 - label).sum())
    q1, q2 = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    variance = auroc * (1 - auroc)
    variance += (n_positive - 1) * (q1 - auroc**2) + (n_negative - 1) * (q2 - auroc**2)
    return float(np.sqrt(variance / (n_positive * n_negative)))
