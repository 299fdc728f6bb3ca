"""The figures of an evaluation: outcomes, curves, galleries and feature maps.

How they are drawn is the business of `stronglens.plots`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64

from stronglens.data.store import Dataset
from stronglens.evaluation.confusion import confusion
from stronglens.evaluation.metrics import (
    FEWEST_FALSE_POSITIVES,
    Bootstrap,
    auroc_of,
    roc_band,
    roc_curve,
)
from stronglens.finders import Finder
from stronglens.finders.features import feature_maps
from stronglens.finders.normalise import PixelImages
from stronglens.plots.curves import RocBand, confusion_matrix, roc, score_histograms
from stronglens.plots.maps import feature_map_figure
from stronglens.plots.mosaic import mosaic

N_GALLERY = 24
"""Images in a gallery."""
MOST_LAYERS = 24
"""Layers up to which every one is drawn."""
_GALLERIES = {
    "true_positives": (1, True),
    "false_negatives": (1, False),
    "false_positives": (0, True),
    "true_negatives": (0, False),
}


@dataclass(frozen=True)
class Scored:
    """Images of a dataset with scores and what is true of them."""

    rows: Int64[np.ndarray, "n"]
    """Rows of the dataset."""
    logits: Float32[np.ndarray, "n"]
    """Raw outputs; NaN where an image could not be scored."""
    scores: Float32[np.ndarray, "n"]
    """Their sigmoids."""
    labels: Int64[np.ndarray, "n"]
    """1 for lenses, 0 for others."""
    truth: dict[str, np.ndarray]
    """Columns of the truth table, as far as they are there."""
    threshold: float
    """The finder's threshold."""
    p_lens: np.ndarray | None = None
    """Probabilities at a stated prevalence, of a calibrated finder."""

    def only(self, chosen: Bool[np.ndarray, "n"]) -> "Scored":
        """Return the chosen images alone."""
        truth = {name: values[chosen] for name, values in self.truth.items()}
        return Scored(
            rows=self.rows[chosen],
            logits=self.logits[chosen],
            scores=self.scores[chosen],
            labels=self.labels[chosen],
            truth=truth,
            threshold=self.threshold,
            p_lens=None if self.p_lens is None else self.p_lens[chosen],
        )

    def columns(self) -> dict[str, np.ndarray]:
        """Return everything as columns of a table."""
        columns = {
            **self.truth,
            "row": self.rows,
            "label": self.labels,
            "logit": self.logits,
            "score": self.scores,
        }
        return columns if self.p_lens is None else {**columns, "p_lens": self.p_lens}


def draw_figures(name: str, scored: Scored, how: Bootstrap, folder: Path) -> None:
    """Draw the figures that need scores and labels alone into a folder.

    Args:
        name: What gave the scores.
        scored: Scores and truth.
        how: How intervals are drawn.
        folder: Where the figures go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    matrix = confusion(scored.scores, scored.labels)
    counts = np.array(
        [
            [matrix.true_positives, matrix.false_negatives],
            [matrix.false_positives, matrix.true_negatives],
        ]
    )
    figures = {
        "confusion": confusion_matrix(counts, subtitle="lens: score above 0.5"),
        "roc": roc([_roc_band(name, scored, how)]),
        "scores": score_histograms(scored.scores, scored.labels, threshold=scored.threshold),
    }
    for file, figure in figures.items():
        figure.savefig(folder / f"{file}.png")


def draw_galleries(dataset: Dataset, scored: Scored, folder: Path) -> None:
    """Draw images of the four outcomes, with scores and truth."""
    for name, (label, is_found) in _GALLERIES.items():
        _gallery(dataset, scored, label=label, is_found=is_found, path=folder / f"gallery_{name}")


def _roc_band(name: str, scored: Scored, how: Bootstrap) -> RocBand:
    """ROC curve with interval, on a grid that suits both a linear and a logarithmic axis."""
    n_negative = int((scored.labels == 0).sum())
    lowest = min(FEWEST_FALSE_POSITIVES / n_negative, 0.5)
    grid = np.unique(np.concatenate([np.geomspace(lowest, 1, 120), np.linspace(0, 1, 120)]))
    tpr, low, high = roc_band(scored.logits, scored.labels, grid, how)
    area = auroc_of(roc_curve(scored.logits, scored.labels))
    return RocBand(f"{name}: area {area:.3f}", grid, tpr, low, high, lowest)


def _gallery(dataset: Dataset, scored: Scored, *, label: int, is_found: bool, path: Path) -> None:
    """Draw the images of one outcome: first those of which the finder was most sure."""
    is_chosen = (scored.labels == label) & ((scored.scores > 0.5) == is_found)
    chosen = np.flatnonzero(is_chosen)
    sign = -1 if is_found else 1
    chosen = chosen[np.argsort(sign * scored.logits[chosen], kind="stable")][:N_GALLERY]
    if len(chosen) == 0:
        path.with_suffix(".png").unlink(missing_ok=True)
        return
    images = dataset.images(scored.rows[chosen]).flux
    titles = [_title(scored, int(i)) for i in chosen]
    kind = path.name.removeprefix("gallery_").replace("_", " ")
    footnote = (
        f"{int(is_chosen.sum()):,} {kind}; here the {len(chosen)} of which the finder was most "
        f"sure. Band {dataset.bands[0]}."
    )
    figure = mosaic(list(images[:, 0]), titles, columns=8, footnote=footnote)
    figure.savefig(path.with_suffix(".png"))


def _title(scored: Scored, i: int) -> str:
    """Score and truth of one image."""
    lines = [f"score {scored.scores[i]:.3f}"]
    if scored.labels[i] == 1:
        facts = []
        for name, form in (("theta_e", 'θ$_E$ {:.2f}"'), ("arc_snr", "S/N {:.0f}")):
            if name in scored.truth and np.isfinite(float(scored.truth[name][i])):
                facts.append(form.format(float(scored.truth[name][i])))
        lines.append(", ".join(facts) or "lens")
    else:
        kind = scored.truth.get("scene_class")
        lines.append(str(kind[i]) if kind is not None else "not a lens")
    return "\n".join(lines)


def draw_feature_maps(finder: Finder, dataset: Dataset, scored: Scored, path: Path) -> None:
    """Draw what each layer makes of the lens with the highest score; of many, the activations."""
    lenses = np.flatnonzero(scored.labels == 1)
    best = int(lenses[np.argmax(scored.logits[lenses])])
    images = dataset.images(scored.rows[best : best + 1])
    record = PixelImages(
        torch.from_numpy(images.flux),
        None if images.ivar is None else torch.from_numpy(images.ivar),
        None if images.mask is None else torch.from_numpy(images.mask),
    )
    normalised = finder.normalised(record)
    maps = feature_maps(finder.network, normalised.to(finder.device))
    if len(maps) > MOST_LAYERS:
        maps = {k: v for k, v in maps.items() if "activation" in k or k == "view"}
    arrays = {name: values[0].float().cpu().numpy() for name, values in maps.items()}
    title = f"{finder.facts.network}: a lens, layer by layer (score {scored.scores[best]:.3f})"
    figure = feature_map_figure(normalised[0, 0].cpu().numpy(), arrays, title=title)
    figure.savefig(path)
