"""The page a quickstart ends with: one HTML file with everything in it, for a person to read.

The figures are those that the steps drew; the words around them are here.
"""

import base64
import html
from dataclasses import dataclass
from pathlib import Path
from string import Template

from stronglens.core.files import read_json, write_text
from stronglens.evaluation.estimate import Estimate
from stronglens.simulation.task import SimulateResult
from stronglens.training.task import AuditResult, EvaluateResult, TrainResult

_NAMES = {"deck-cnn": "the 2017 deck's network", "resnet-small": "ours, resnet-small"}


@dataclass(frozen=True)
class Story:
    """What the steps of a quickstart gave."""

    path: Path
    """Directory of the quickstart; each step's folder is in it."""
    simulation: SimulateResult
    """The images."""
    audit: AuditResult
    """Whether tricks separate their classes."""
    trainings: dict[str, TrainResult]
    """Training of each network."""
    evaluations: dict[str, EvaluateResult]
    """Test of each network, on the same new images."""


def write_page(story: Story, folder: Path, seconds: float) -> None:
    """Write index.html, with every figure inside it.

    Args:
        story: What happened.
        folder: Where the page goes.
        seconds: How long it took [s].
    """
    template = Template((Path(__file__).parent / "page.html").read_text(encoding="utf-8"))
    fields = {
        "minutes": f"{seconds / 60:.1f}",
        "headline": _headline(story),
        "n": f"{story.simulation.n:,}",
        "hash": story.simulation.content_hash,
        "rate": f"{story.simulation.images_per_second:.0f}",
        "audit": _audit_table(story.path / "audit"),
        "audit_verdict": _verdict(story.audit),
        "results": _results_table(story),
        "trainings": "".join(_training(story, name) for name in story.trainings),
        "tests": "".join(_test(story, name) for name in story.evaluations),
        "panels": _figure(story.path / "audit" / "figures" / "panels.png", "One scene per row."),
        "histograms": _figure(
            story.path / "audit" / "figures" / "histograms.png",
            "What the lenses are like; grey is the middle 68 %.",
        ),
    }
    write_text(folder / "index.html", template.substitute(fields))


def _headline(story: Story) -> str:
    """Return the result in one sentence."""
    parts = [
        f"{_NAMES[name]} gets <b>{100 * test.accuracy.value:.1f} %</b> of them right"
        for name, test in story.evaluations.items()
    ]
    n_new = next(iter(story.evaluations.values()))
    count = n_new.n_positive + n_new.n_negative
    return f"On {count:,} new images, {' and '.join(parts)}, after equal training time."


def _verdict(audit: AuditResult) -> str:
    worst = f"{html.escape(audit.worst)}, at {audit.worst_auroc:.3f}"
    if audit.has_passed:
        return f"No quantity passes 0.60; the furthest is {worst}. The images are fair."
    return f"<b>Not passed</b>: {worst}. A network could cheat on these images."


def _audit_table(folder: Path) -> str:
    """Return the AUROC of every quantity in every set as a table."""
    sets: dict[str, list[dict[str, float]]] = read_json(folder / "audit.json")["tricks"]
    names = [str(trick["name"]) for trick in next(iter(sets.values()))]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in sets)
    rows = [
        f"<tr><td>{name}</td>{''.join(_cell(tricks[i]) for tricks in sets.values())}</tr>"
        for i, name in enumerate(names)
    ]
    return f"<table><tr><th>quantity</th>{head}</tr>{''.join(rows)}</table>"


def _cell(trick: dict[str, float]) -> str:
    return f"<td>{trick['auroc']:.3f} ± {trick['error']:.3f}</td>"


def _results_table(story: Story) -> str:
    rows = []
    for name, test in story.evaluations.items():
        metrics = read_json(test.path / "metrics.json")
        cells = [
            f"<b>{_NAMES[name]}</b>",
            f"{story.trainings[name].n_parameters:,}",
            _interval(test.accuracy, 100, " %"),
            _interval(test.auroc),
            _rate(metrics, "tpr_at_fpr_0.1"),
            _rate(metrics, "tpr_at_fpr_0.01"),
            f"{test.ms_per_image:.2f}",
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    heads = ("finder", "parameters", "accuracy", "AUROC", "lenses found at 10 % false positives")
    heads += ("at 1 %", "ms per image")
    top = "".join(f"<th>{head}</th>" for head in heads)
    return f"<table><tr>{top}</tr>{''.join(rows)}</table>"


def _rate(metrics: dict[str, object], name: str) -> str:
    """Return a rate with its interval, or why it is not stated."""
    value = metrics.get(name)
    if isinstance(value, dict):
        return _interval(Estimate(**value), 100, " %")
    return "<span class=quiet>too few negatives to say</span>"


def _interval(estimate: Estimate, scale: float = 1.0, unit: str = "") -> str:
    digits = 1 if scale > 1 else 3
    value, low, high = (
        f"{scale * x:.{digits}f}" for x in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value}{unit}<br><span class=quiet>{low} to {high}</span>"


def _training(story: Story, name: str) -> str:
    """Return a section on how a training went."""
    training = story.trainings[name]
    parting = (
        f"From epoch {training.parting_epoch} on, training and validation part: it begins to learn "
        "its images by heart."
        if training.parting_epoch
        else "Training and validation loss stay together: more time would still help."
    )
    text = (
        f"{training.epochs} epochs of {training.n_train:,} images in "
        f"{training.seconds / 60:.1f} min ({training.images_per_second:,.0f} images/s). Best at "
        f"epoch {training.best_epoch}, with {100 * training.val_accuracy:.1f} % of the validation "
        f"images right. {parting}"
    )
    picture = _figure(training.path / "figures" / "training.png", text)
    return f"<h3>{_NAMES[name].capitalize()}</h3>{picture}"


def _test(story: Story, name: str) -> str:
    """Return a section on what a finder gets right and wrong."""
    folder = story.evaluations[name].path / "figures"
    captions = {
        "confusion": "How many of each class went where.",
        "roc": "Lenses found against false alarms.",
        "scores": "Scores of both classes.",
        "gallery_true_positives": "Lenses it found.",
        "gallery_false_negatives": "Lenses it missed.",
        "gallery_false_positives": "What it took for a lens.",
        "gallery_true_negatives": "What it rightly passed over.",
        "feature_maps": "One image after every layer of the network.",
    }
    small = "".join(
        _figure(folder / f"{key}.png", captions[key]) for key in ("confusion", "roc", "scores")
    )
    large = "".join(
        _figure(folder / f"{key}.png", text)
        for key, text in captions.items()
        if key not in ("confusion", "roc", "scores")
    )
    return f"<h3>{_NAMES[name].capitalize()}</h3><div class=row>{small}</div>{large}"


def _figure(file: Path, caption: str) -> str:
    """Return a figure with its picture inside the page; nothing where there is no picture."""
    if not file.is_file():
        return ""
    data = base64.b64encode(file.read_bytes()).decode()
    return (
        f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )
