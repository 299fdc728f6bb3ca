"""The work of the task Explain: attribution maps, nearest training images, scores without arcs.

Scores themselves are explained nowhere better than in the galleries of `evaluate`.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from stronglens.core.device import torch_device
from stronglens.core.errors import MissingDataError
from stronglens.core.rundir import RunDirectory
from stronglens.data.catalog import write_table
from stronglens.data.store import Dataset, open_dataset
from stronglens.finders import Finder, load_finder, sigmoid
from stronglens.finders.features import penultimate
from stronglens.plots.mosaic import mosaic
from stronglens.training.batches import labelled_rows, pixel_chunks
from stronglens.training.explain_task import Explain, ExplainResult
from stronglens.training.scoring import logits_of_rows

N_NEIGHBOURS = 3
"""Look-alikes shown of each image."""
_MOST_NEIGHBOURS = 5000
_SOURCE = "source"
_SHOWN = 0.995  # share of pixels whose attribution is not cut off
_BLUE, _ORANGE = np.array([0.0, 0.45, 0.70]), np.array([0.84, 0.37, 0.0])


@dataclass(frozen=True)
class _Neighbours:
    """Training images nearest to some images."""

    rows: Int[np.ndarray, "n k"]
    distance: Float[np.ndarray, "n k"]


def explain(task: Explain, run: RunDirectory) -> ExplainResult:
    """Explain the images with the highest scores.

    Args:
        task: The settings.
        run: Where explanations.parquet, attributions.npz and figures go.

    Returns:
        What could be shown.
    """
    finder = load_finder(task.finder, device=torch_device(task.device))
    dataset = open_dataset(task.data)
    rows, logits = _chosen(finder, dataset, task)
    columns = _facts(dataset, rows, logits)
    (run.path / "figures").mkdir(exist_ok=True)
    near = nearest_training_images(finder, dataset, rows)
    if near is not None:
        columns |= _neighbour_columns(dataset, near)
        _draw_neighbours(dataset, rows, columns, near, run)
    bare = logits_without_arc(finder, dataset, rows)
    if bare is None:
        run.log(f"{dataset.path} has no plane '{_SOURCE}': no score without the arc")
    else:
        columns |= {"logit_without_arc": bare, "score_without_arc": sigmoid(bare)}
    has_maps = importlib.util.find_spec("captum") is not None
    if has_maps:
        maps = attributions(finder, dataset, rows, task.steps)
        np.savez_compressed(run.path / "attributions.npz", attribution=maps, row=rows)
        _draw_attributions(dataset, rows, columns, maps, run)
    else:
        run.log("no attribution maps: they need captum. pip install 'stronglens[explain]'")
    write_table(run.path / "explanations.parquet", columns)
    return ExplainResult(run.path, len(rows), has_maps, 0 if bare is None else len(rows))


def attributions(
    finder: Finder, dataset: Dataset, rows: Int[np.ndarray, " n"], steps: int = 32
) -> Float[np.ndarray, "n band y x"]:
    """What each pixel of each band adds to the logit, beside an image of empty sky.

    Args:
        finder: A finder whose network can be differentiated.
        dataset: Where the images are.
        rows: Which of them.
        steps: Steps of the integral.

    Returns:
        Maps that add up to the logit of the image minus that of the empty sky.

    Raises:
        MissingDataError: captum is not installed.

    Reference:
        Sundararajan, Taly & Yan 2017, ICML, equation 1: integrated gradients.
    """
    if importlib.util.find_spec("captum") is None:
        raise MissingDataError("attribution maps need captum. pip install 'stronglens[explain]'.")
    # an optional extra, imported only when it is asked for
    from captum.attr import IntegratedGradients  # type: ignore[import]  # noqa: PLC0415

    finder.network.eval()
    method = IntegratedGradients(lambda images: finder.network(images).float())
    found = []
    for images in _normalised(finder, dataset, rows):
        for one in images.split(1):
            sky = torch.zeros_like(one)
            maps = method.attribute(one, baselines=sky, n_steps=steps)
            found.append(maps.detach().float().cpu().numpy())
    return np.concatenate(found)


def nearest_training_images(
    finder: Finder, dataset: Dataset, rows: Int[np.ndarray, " n"]
) -> _Neighbours | None:
    """Training images that look most alike to the network, in the features before its last layer.

    Args:
        finder: A finder.
        dataset: Where images and training images are.
        rows: Images to find look-alikes for.

    Returns:
        Rows and distances, each feature in units of its scatter; None without such features.
    """
    pool = np.setdiff1d(labelled_rows(dataset, "train"), rows)[:_MOST_NEIGHBOURS]
    own, others = _features(finder, dataset, rows), _features(finder, dataset, pool)
    if own is None or others is None:
        return None
    scale = np.maximum(others.std(axis=0), 1e-9)
    distance = np.linalg.norm((own[:, None] - others[None]) / scale, axis=2)
    order = np.argsort(distance, axis=1, kind="stable")[:, :N_NEIGHBOURS]
    return _Neighbours(pool[order], np.take_along_axis(distance, order, axis=1))


def logits_without_arc(
    finder: Finder, dataset: Dataset, rows: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"] | None:
    """Logits of images from which the noiseless arcs, or companions, are taken out.

    Args:
        finder: A finder.
        dataset: A dataset; without the plane `source` there is no answer.
        rows: Which images.
    """
    if _SOURCE not in dataset.planes():
        return None
    images = dataset.images(rows)
    flux = images.flux - dataset.plane(_SOURCE, rows)
    return finder.logits(flux, images.ivar, images.mask).astype(np.float64)


def _chosen(finder: Finder, dataset: Dataset, task: Explain) -> tuple[np.ndarray, np.ndarray]:
    """Rows with the highest logits, and these."""
    rows = labelled_rows(dataset, task.split)
    label = np.asarray(dataset.column("label"), float)[rows]
    if task.label != "any":
        rows = rows[label == (1 if task.label == "lenses" else 0)]
    logits, _ = logits_of_rows(finder, dataset, rows)
    order = np.argsort(-np.nan_to_num(logits, nan=-np.inf), kind="stable")[: task.top]
    return rows[order], logits[order]


def _facts(dataset: Dataset, rows: np.ndarray, logits: np.ndarray) -> dict[str, Any]:
    names = [n for n in ("object_id", "label", "scene_class") if n in dataset.columns()]
    columns: dict[str, Any] = {name: dataset.column(name)[rows] for name in names}
    return {**columns, "row": rows, "logit": logits, "score": sigmoid(logits)}


def _neighbour_columns(dataset: Dataset, near: _Neighbours) -> dict[str, np.ndarray]:
    label = np.asarray(dataset.column("label"), float)
    columns = {}
    for k in range(near.rows.shape[1]):
        columns[f"neighbour_{k + 1}_row"] = near.rows[:, k]
        columns[f"neighbour_{k + 1}_label"] = label[near.rows[:, k]]
        columns[f"neighbour_{k + 1}_distance"] = near.distance[:, k]
    return columns


def _normalised(finder: Finder, dataset: Dataset, rows: np.ndarray) -> Iterator[Tensor]:
    for images in pixel_chunks(dataset, rows):
        yield finder.normalised(images).to(finder.device)


def _features(
    finder: Finder, dataset: Dataset, rows: np.ndarray
) -> Float[np.ndarray, "n feature"] | None:
    parts = []
    for images in _normalised(finder, dataset, rows):
        for part in images.split(256):
            found = penultimate(finder.network, part)
            if found is None:
                return None
            parts.append(found.float().cpu().numpy())
    return np.concatenate(parts) if parts else None


def _draw_neighbours(
    dataset: Dataset,
    rows: np.ndarray,
    columns: dict[str, Any],
    near: _Neighbours,
    run: RunDirectory,
) -> None:
    """Draw each image beside its look-alikes."""
    pictures, titles = [], []
    label = np.asarray(dataset.column("label"), float)
    for i, row in enumerate(rows):
        shown = np.array([row, *near.rows[i]])
        pictures += [dataset.images(np.array([k])).flux[0, 0] for k in shown]
        titles.append(f"score {columns['score'][i]:.3f}\n{_kind(float(label[row]))}")
        titles += [
            f"training: {_kind(float(label[k]))}\ndistance {d:.1f}"
            for k, d in zip(near.rows[i], near.distance[i], strict=True)
        ]
    footnote = f"Left in each row an image, then its nearest training images. {dataset.bands[0]}."
    figure = mosaic(pictures, titles, columns=1 + near.rows.shape[1], footnote=footnote)
    figure.savefig(run.path / "figures" / "look_alikes.png")


def _draw_attributions(
    dataset: Dataset, rows: np.ndarray, columns: dict[str, Any], maps: np.ndarray, run: RunDirectory
) -> None:
    """Draw image and attribution of every band; bright pixels speak for a lens."""
    flux = dataset.images(np.sort(rows)).flux[np.argsort(np.argsort(rows))]
    pictures, titles = [], []
    for i in range(len(rows)):
        for k, band in enumerate(dataset.bands):
            pictures += [flux[i, k], _two_colours(maps[i, k])]
            titles += [f"score {columns['score'][i]:.3f}\n{band}", f"attribution\n{band}"]
    footnote = (
        "Beside each image what its pixels add to the logit: blue speaks for a lens, orange "
        "against. Each map is scaled by itself."
    )
    per_row = max(2, 2 * len(dataset.bands)) if len(dataset.bands) > 1 else 6
    figure = mosaic(pictures, titles, columns=per_row, footnote=footnote)
    figure.savefig(run.path / "figures" / "attributions.png")


def _two_colours(values: Float[np.ndarray, "y x"]) -> Float[np.ndarray, "y x 3"]:
    """Blue where values are above zero, orange where below, white at zero."""
    limit = float(np.quantile(np.abs(values), _SHOWN)) or 1.0
    scaled = np.clip(values / limit, -1, 1)[..., None]
    colour = np.where(scaled > 0, _BLUE, _ORANGE)
    return 1 - np.abs(scaled) * (1 - colour)


def _kind(label: float) -> str:
    return "lens" if label == 1 else "not a lens"
