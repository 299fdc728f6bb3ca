"""What Audit does: trick tests, leaks between splits, and the figures of a dataset.

The quantities themselves are in `tricks`; the task is in `task`.
"""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from tqdm.auto import tqdm

from stronglens.core.files import write_json
from stronglens.core.rundir import RunDirectory
from stronglens.core.seeds import numpy_generator
from stronglens.data.layout import TRUTH
from stronglens.data.store import SPLITS, Dataset, open_dataset
from stronglens.finders import load_finder
from stronglens.plots.panels import histograms, panel_table
from stronglens.training.batches import labelled_rows
from stronglens.training.shortcuts import groups_seen, shortcuts
from stronglens.training.task import Audit, AuditResult
from stronglens.training.tricks import LIMIT, Trick, row_order_auroc, tricks

_SINGLE = "single"
_PER_CLASS = 3
_CHUNK = 1000


def audit(task: Audit, run: RunDirectory) -> AuditResult:
    """Audit a dataset, and its single exposures if it has them, split by split.

    Args:
        task: The settings.
        run: The open run directory; audit.json and figures are written there.

    Returns:
        The largest AUROC found, and whether all are below the limit.
    """
    sets = {"": open_dataset(task.data)}
    if (task.data / _SINGLE / TRUTH).is_file():
        sets = {"stack ": sets[""], "single ": open_dataset(task.data / _SINGLE)}
    found: dict[str, list[Trick]] = {}
    jobs = [(name, dataset, split) for name, dataset in sets.items() for split in SPLITS]
    for name, dataset, split in tqdm(jobs, desc="audit", unit="set", disable=None):
        rows = dataset.index(split)
        chosen = numpy_generator(task.seed, "audit", name, split).permutation(rows)[: task.n]
        found[f"{name}{split}"] = _tricks_of(dataset, np.sort(chosen), task.seed)
    first = next(iter(sets.values()))
    leaks, copies = shared_groups(first), shared_images(first, task.n)
    looked = _look_at_finder(task, first, run)
    _write(run, found, leaks, first, {"images_in_two_splits": copies, **looked.facts})
    draw_figures(task.data, run.path / "figures")
    areas = [(t.auroc, f"{name}: {t.name}") for name, entries in found.items() for t in entries]
    worst = max(areas)
    passed = worst[0] < LIMIT and leaks == copies == 0 and not looked.failed
    return AuditResult(
        path=run.path,
        worst_auroc=worst[0],
        worst=worst[1],
        groups_in_two_splits=leaks,
        has_passed=passed,
        images_in_two_splits=copies,
        finder_failed=looked.failed,
    )


@dataclass(frozen=True)
class _Looked:
    """What was seen of a finder."""

    facts: dict[str, Any]
    failed: tuple[str, ...]


def _look_at_finder(task: Audit, dataset: Dataset, run: RunDirectory) -> _Looked:
    """Look for shortcuts of a finder on test images, and for groups it has been trained on."""
    if task.finder is None:
        return _Looked({}, ())
    finder = load_finder(task.finder)
    height, width = dataset.size
    finder.check(dataset.bands, dataset.pixel_scale, height=height, width=width)
    rows = labelled_rows(dataset, "test")
    seen = groups_seen(finder, dataset, rows)
    chosen = np.sort(numpy_generator(task.seed, "audit finder").permutation(rows)[: task.n])
    looks, refused = shortcuts(finder, dataset, chosen, task.seed)
    for look in looks:
        verdict = "passed" if look.has_passed else "FAILED"
        run.log(f"finder, {look.name}: {look.value:.4f} ({look.meaning}), {verdict}")
    facts = {
        "finder": str(task.finder),
        "n_looked_at": len(chosen),
        "shortcuts": [{**asdict(look), "has_passed": look.has_passed} for look in looks],
        "not_looked_at": refused,
        "test_groups_seen_in_training": seen,
    }
    failed = [look.name for look in looks if not look.has_passed]
    return _Looked(facts, tuple([*failed, *(["seen in training"] if seen else [])]))


def shared_groups(dataset: Dataset) -> int:
    """Number of groups (scenes, hosts) that appear in more than one split."""
    if "group_id" not in dataset.columns():
        return 0
    groups = [set(dataset.column("group_id")[dataset.index(split)]) for split in SPLITS]
    pairs = ((0, 1), (0, 2), (1, 2))
    return len(set().union(*(groups[a] & groups[b] for a, b in pairs)))


def shared_images(dataset: Dataset, n: int) -> int:
    """Number of images, of the first n of each split, that appear in more than one split."""
    kept: list[set[bytes]] = []
    for split in SPLITS:
        rows = dataset.index(split)[:n]
        hashes: set[bytes] = set()
        for start in range(0, len(rows), _CHUNK):
            flux = dataset.images(rows[start : start + _CHUNK]).flux
            hashes |= {hashlib.sha256(image.tobytes()).digest() for image in flux}
        kept.append(hashes)
    pairs = ((0, 1), (0, 2), (1, 2))
    return len(set().union(*(kept[a] & kept[b] for a, b in pairs)))


def draw_figures(path: Path, folder: Path) -> None:
    """Draw the histograms of a dataset, and its panels if it was written with planes."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset = open_dataset(path)
    shown = {
        "Einstein radius theta_e [arcsec]": "theta_e",
        "arc S/N": "arc_snr",
        "magnification of the lenses": "magnification",
    }
    is_lens = dataset.column("label") == 1
    columns = {
        label: np.asarray(dataset.column(name)[is_lens], dtype=float)
        for label, name in shown.items()
        if name in dataset.columns()
    }
    if columns:
        logarithmic = frozenset({"arc S/N", "magnification of the lenses"})
        histograms(columns, log_scaled=logarithmic).savefig(folder / "histograms.png")
    if dataset.planes() and (path / _SINGLE / "truth.parquet").is_file():
        panels(dataset, open_dataset(path / _SINGLE)).savefig(folder / "panels.png")


def panels(stack: Dataset, single: Dataset) -> Any:  # noqa: ANN401 - a matplotlib figure
    """Draw lensed and unlensed scenes, noiseless and noisy, as single exposure and as stack."""
    rows = _showcase(stack)
    titles = ("lens light\nalone", "arcs or\ncompanions", "noiseless\nsingle")
    titles += ("noiseless\nstack", "noisy\nsingle", "noisy\nstack")
    # every noiseless plane is shown at the depth of the stack
    deep, shallow = _sky(stack, rows), _sky(single, rows)
    table = [
        [
            stack.plane("deflector_light", row)[0, 0],
            stack.plane("source", row)[0, 0],
            single.plane("noiseless", row)[0, 0],
            stack.plane("noiseless", row)[0, 0],
            single.images(row).flux[0, 0],
            stack.images(row).flux[0, 0],
        ]
        for row in rows[:, None]
    ]
    names = ["lensed"] * _PER_CLASS + ["unlensed"] * _PER_CLASS
    return panel_table(table, names, titles, (deep, deep, deep, deep, shallow, deep))


def _showcase(dataset: Dataset) -> Int[np.ndarray, " row"]:
    """Rows of well-resolved arcs, and of companions as bright beside deflectors as bright."""
    label = dataset.column("label")
    mag = np.asarray(dataset.column("mag_deflector"), dtype=float)
    usual = (mag > 20.5) & (mag < 23.0)
    stretched = np.asarray(dataset.column("magnification"), dtype=float)
    bright = np.nan_to_num(dataset.column("arc_snr").astype(float)) > 60
    wide = np.nan_to_num(dataset.column("theta_e").astype(float)) > 1.2
    lenses = np.flatnonzero((label == 1) & usual & wide & bright)
    if len(lenses) < _PER_CLASS:  # a set too small to choose from
        lenses = np.flatnonzero(label == 1)
    lenses = _from_the_upper_third(lenses, stretched[lenses])
    others = np.flatnonzero((label == 0) & usual)
    if len(others) < _PER_CLASS:
        others = np.flatnonzero(label == 0)
    flux = dataset.plane("source", others).sum(axis=(1, 2, 3))
    others = _from_the_upper_third(others, flux)
    return np.concatenate([lenses, others])


def _from_the_upper_third(
    rows: Int[np.ndarray, " row"], brightness: Float[np.ndarray, " row"]
) -> Int[np.ndarray, " row"]:
    """Pick evenly from the brighter third of some rows."""
    order = rows[np.argsort(-brightness)]
    return order[np.linspace(len(order) // 12, len(order) // 3, _PER_CLASS).astype(int)]


def _sky(dataset: Dataset, rows: Int[np.ndarray, " row"]) -> float:
    ivar = dataset.images(rows).ivar
    return 1.0 if ivar is None else float(np.percentile(ivar, 95) ** -0.5)


def _tricks_of(dataset: Dataset, rows: Int[np.ndarray, " row"], seed: int) -> list[Trick]:
    fwhm: Float[np.ndarray, " n"] = (
        np.asarray(dataset.column("psf_fwhm")[rows], dtype=float)
        if "psf_fwhm" in dataset.columns()
        else np.zeros(len(rows))
    )
    label = dataset.column("label")[rows].astype(int)
    return tricks(dataset.images(rows).flux, fwhm, label, seed)


def _row_order(dataset: Dataset) -> dict[str, float]:
    """How well the place in the file tells the classes of each split apart."""
    areas = {}
    for split in SPLITS:
        rows = labelled_rows(dataset, split)
        areas[split] = row_order_auroc(rows, dataset.column("label")[rows].astype(int))
    return areas


def _write(
    run: RunDirectory,
    found: dict[str, list[Trick]],
    leaks: int,
    dataset: Dataset,
    more: dict[str, Any],
) -> None:
    report = {
        "limit": LIMIT,
        "content_hash": dataset.content_hash(),
        "groups_in_two_splits": leaks,
        "n": {split: len(dataset.index(split)) for split in SPLITS},
        "tricks": {name: [asdict(trick) for trick in entries] for name, entries in found.items()},
        "row_order_auroc": _row_order(dataset),
        **more,
    }
    write_json(run.path / "audit.json", report)
    for name, entries in found.items():
        line = ", ".join(f"{trick.name} {trick.auroc:.3f}" for trick in entries)
        run.log(f"{name}: cross-validated AUROC of {line}")
