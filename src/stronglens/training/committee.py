"""The work of the task Combine: calibrate members, weigh them, and say what that gains.

Weights and calibrations come from the validation images on which trainings stop; what is gained is
measured on the other half, which no member has seen in any way. Test images are never touched.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stronglens.core.device import torch_device
from stronglens.core.errors import MissingDataError
from stronglens.core.files import write_json
from stronglens.core.rundir import RunDirectory
from stronglens.core.weights import WEIGHTS
from stronglens.data.store import Dataset, open_dataset
from stronglens.evaluation.estimate import Estimate
from stronglens.evaluation.metrics import (
    Bootstrap,
    Metric,
    auroc_of,
    best_threshold,
    estimates,
    paired_difference,
    refusal,
)
from stronglens.evaluation.overlap import Overlap, shared_false_positives
from stronglens.finders import Finder, load_finder, sigmoid
from stronglens.finders.calibrate import Calibration, fit_calibration
from stronglens.finders.committee import committee_of
from stronglens.plots.committee import overlap_figure
from stronglens.training.combination import METHODS, combined, fit_combination, rare_area
from stronglens.training.committee_task import Combine, CombineResult
from stronglens.training.scoring import calibration_rows, logits_of_rows, stopping_rows
from stronglens.training.trials import member_paths, short_names

RATES = (1e-4, 1e-3, 1e-2, 1e-1)
"""False-positive rates for the overlap; the smallest that the negatives support is taken."""


@dataclass(frozen=True)
class _Sample:
    """Logits of all members on the same images."""

    logits: np.ndarray
    """Member, image."""
    labels: np.ndarray
    words: str


@dataclass(frozen=True)
class _Judged:
    """Log-odds on the images that judge, by the name of member or method."""

    members: dict[str, np.ndarray]
    methods: dict[str, np.ndarray]
    labels: np.ndarray
    words: str
    overlap: Overlap | None
    refused: str


def combine(task: Combine, run: RunDirectory) -> CombineResult:
    """Join finders to a committee.

    Args:
        task: The settings.
        run: Where the weights, committee.json and the figure go.

    Returns:
        What the committee gains over its best member.
    """
    paths = member_paths(task.finders, task.top)
    names = short_names(paths)
    device = torch_device(task.device)
    finders = [load_finder(path, device=device) for path in paths]
    dataset = open_dataset(task.data)
    fitted, held_out = _samples(finders, dataset)
    maps = [fit_calibration(row, fitted.labels, task.calibration) for row in fitted.logits]
    log_odds = _log_odds(maps, fitted.logits)
    combinations = {name: fit_combination(name, log_odds, fitted.labels) for name in METHODS}
    committee = committee_of(finders, maps, combinations[task.method], names=names)
    scores = sigmoid(combined(combinations[task.method], log_odds))
    _save(committee, task, fitted, paths, best_threshold(scores, fitted.labels), run)
    seen = _log_odds(maps, held_out.logits)
    judged = _Judged(
        dict(zip(names, seen, strict=True)),
        {name: combined(one, seen) for name, one in combinations.items()},
        held_out.labels,
        held_out.words,
        *_overlap(maps, [fitted] if held_out.logits is fitted.logits else [fitted, held_out]),
    )
    best = names[_best_of(log_odds, fitted.labels)]
    weights = {name: one.weights for name, one in combinations.items()}
    return _report(task, run, judged, best, weights)


def _samples(finders: list[Finder], dataset: Dataset) -> tuple[_Sample, _Sample]:
    """Images to fit to, and images to judge on: the same where there are too few to share."""
    fitted = _sample(finders, dataset, stopping_rows(dataset), "validation images of the fit")
    try:
        rows, words = calibration_rows(dataset)
    except MissingDataError:
        words = "the validation images of the fit itself, too few to share: gains look too good"
        return fitted, replace(fitted, words=words)
    return fitted, _sample(finders, dataset, rows, f"{words}, not used by the fit")


def _sample(finders: list[Finder], dataset: Dataset, rows: np.ndarray, words: str) -> _Sample:
    logits = np.stack([logits_of_rows(finder, dataset, rows)[0] for finder in finders])
    good = np.isfinite(logits).all(0)
    labels = np.asarray(dataset.column("label"), float)[rows].astype(np.int64)
    return _Sample(logits[:, good].astype(np.float64), labels[good], words)


def _log_odds(maps: list[Calibration], logits: np.ndarray) -> np.ndarray:
    return np.stack([one.log_odds(row) for one, row in zip(maps, logits, strict=True)])


def _best_of(log_odds: np.ndarray, labels: np.ndarray) -> int:
    """Index of the member that ranks best at small rates, by area of the whole curve if equal."""
    rare = rare_area(int((labels == 0).sum()))
    metrics = {"rare": rare, "auroc": auroc_of}
    found = [estimates(metrics, row, labels, Bootstrap(n=1)) for row in log_odds]
    return max(range(len(found)), key=lambda i: tuple(found[i][n].value for n in metrics))


def _save(
    committee: Finder,
    task: Combine,
    fitted: _Sample,
    paths: list[Path],
    threshold: float,
    run: RunDirectory,
) -> None:
    training = {
        **task.to_dict(),
        "members": [str(path) for path in paths],
        "fitted_to": f"{fitted.words}: {len(fitted.labels)}",
    }
    committee.facts = replace(committee.facts, training=training, threshold=threshold)
    committee.save(run.path / WEIGHTS)
    run.log(f"{committee!r} of {', '.join(str(path) for path in paths)}")


def _report(
    task: Combine, run: RunDirectory, judged: _Judged, best: str, weights: dict[str, Any]
) -> CombineResult:
    """Measure members and methods on the judging images, write and draw it."""
    how = Bootstrap(task.seed, task.n_bootstrap)
    rare = rare_area(int((judged.labels == 0).sum()))
    metrics: dict[str, Metric] = {"auroc": auroc_of, "rare": rare}
    rows = {
        name: estimates(metrics, log_odds, judged.labels, how)
        for name, log_odds in (judged.members | judged.methods).items()
    }
    pair = (judged.methods[task.method], judged.members[best])
    gains = {name: paired_difference(m, pair, judged.labels, how) for name, m in metrics.items()}
    overlap = judged.overlap
    record = {
        "judged_on": judged.words,
        "n_positive": int((judged.labels == 1).sum()),
        "n_negative": int((judged.labels == 0).sum()),
        "best_member": best,
        "figures": {name: {k: asdict(v) for k, v in row.items()} for name, row in rows.items()},
        "gains": {name: asdict(gain) for name, gain in gains.items()},
        "weights": weights,
        "overlap": None if overlap is None else _overlap_record(overlap, list(judged.members)),
        "refused": judged.refused,
    }
    write_json(run.path / "committee.json", record)
    if overlap is not None:
        (run.path / "figures").mkdir(exist_ok=True)
        figure = overlap_figure(overlap.share, list(judged.members), rate=overlap.rate)
        figure.savefig(run.path / "figures" / "overlap.png")
    return CombineResult(
        path=run.path,
        n_members=len(judged.members),
        method=task.method,
        judged_on=judged.words,
        best_member=best,
        auroc=rows[task.method]["auroc"],
        gain_auroc=gains["auroc"],
        gain_rare=gains["rare"],
        table=_table(rows, task.method),
        overlap=judged.refused or _matrix(overlap, list(judged.members)),
    )


def _overlap(maps: list[Calibration], samples: list[_Sample]) -> tuple[Overlap | None, str]:
    """Overlap at the smallest rate that the negatives support, or why there is none."""
    log_odds = np.hstack([_log_odds(maps, sample.logits) for sample in samples])
    labels = np.hstack([sample.labels for sample in samples])
    n_negative = int((labels == 0).sum())
    rate = next((rate for rate in RATES if refusal(rate, n_negative) is None), None)
    if rate is None:
        return None, str(refusal(RATES[-1], n_negative))
    return shared_false_positives(log_odds, labels, rate), ""


def _overlap_record(overlap: Overlap, names: list[str]) -> dict[str, Any]:
    share = [[None if np.isnan(x) else float(x) for x in row] for row in overlap.share]
    return {
        "rate": overlap.rate, "members": names, "share": share, "n_false": overlap.n_false.tolist()
    }  # fmt: skip


def _table(rows: dict[str, dict[str, Estimate]], chosen: str) -> str:
    width = max(len(name) for name in rows)
    lines = [f"    {'':<{width}}  AUROC   TPR at small rates"]
    for name, row in rows.items():
        mark = " <- the committee" if name == chosen else ""
        figures = f"{row['auroc'].value:.4f}  {row['rare'].value:.4f}"
        lines.append(f"    {name:<{width}}  {figures}{mark}")
    return "\n" + "\n".join(lines)


def _matrix(overlap: Overlap | None, names: list[str]) -> str:
    if overlap is None:
        return ""
    width = max(len(name) for name in names)
    head = f"share of the row's false positives (rate {overlap.rate:g}) that the column has too"
    lines = [
        head,
        "      " + " " * (width + 2) + "  ".join(f"{i + 1:>4}" for i in range(len(names))),
    ]
    for i, (name, row) in enumerate(zip(names, overlap.share, strict=True)):
        cells = "  ".join("   -" if np.isnan(share) else f"{share:4.2f}" for share in row)
        lines.append(f"    {i + 1} {name:<{width}}  {cells}")
    return "\n".join(lines)
