"""The page of a suite: one table per arm with every row on the same images, and what they are.

What is computed is in `figures`; what is run is in `running`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from suites.entrants import Entrant
from suites.figures import ALL, DETECTABLE, Carried, Figures
from suites.settings import NEVER_TRAINED, RATES, Suite

from stronglens.evaluation.estimate import Estimate

THETA_E = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, np.inf)
ARC_SNR = (0.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, np.inf)


@dataclass(frozen=True)
class Row:
    """A line of a table."""

    entrant: Entrant
    """Who."""
    figures: Figures | None = None
    """What it reached; None where it could not work."""
    carried: tuple[Carried, ...] = ()
    """What it reached at thresholds fixed on other images."""
    differences: dict[str, Estimate] = field(default_factory=dict)
    """Ours less this row."""


@dataclass(frozen=True)
class ArmResult:
    """Everything about an arm."""

    name: str
    """Its name."""
    rows: tuple[Row, ...]
    """Rows, best first, the oracle on top."""
    truth: Mapping[str, np.ndarray]
    """Truth of its images."""
    content_hash: str
    """Hash of its images."""
    frozen: str
    """What that hash is compared with, in words."""
    left_out: dict[str, Carried] = field(default_factory=dict)
    """Ours trained without one family, by family, at its own threshold."""


def page(suite: Suite, arms: Sequence[ArmResult], facts: str) -> str:
    """Markdown page of a suite."""
    parts = [f"# Suite {suite.name}", suite.question, facts]
    if suite.carries and len(arms) > 1:
        parts += ["## What is kept", _kept(arms)]
    for arm in arms:
        parts += [f"## {arm.name}", _images(arm), *_tables(arm), *_histograms(arm.truth)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _images(arm: ArmResult) -> str:
    """Return how many images there are, and which."""
    lens = arm.truth["label"] == 1
    share = arm.truth["is_detectable"][lens].mean() if lens.any() else 0.0
    return (
        f"{int(lens.sum()):,} lenses, {share:.0%} of them detectable, and {int((~lens).sum()):,} "
        f"others. Content hash {arm.content_hash[:16]}: {arm.frozen}."
    )


def _tables(arm: ArmResult) -> list[str]:
    """Return the tables of an arm."""
    parts = [_merits(arm.rows)]
    if any(row.differences for row in arm.rows):
        parts.append(_differences(arm.rows))
    if any(row.carried for row in arm.rows):
        parts += [_carried(arm.rows), _families(arm)]
    return parts


def _merits(rows: Sequence[Row]) -> str:
    """Table of the figures read off the test images themselves."""
    known = [row.figures for row in rows if row.figures is not None]
    kinds = list(dict.fromkeys(kind for one in known for kind in one.auroc))
    rates = [rate for rate in RATES if any((ALL, rate) in one.tpr for one in known)]
    heads = ["finder", "from", "parameters", "minutes", "passes"]
    heads += [f"AUROC, {kind}" for kind in kinds]
    heads += [f"TPR at FPR {rate:g}, {kind}" for rate in rates for kind in kinds]
    heads += ["TPR0", "TPR10", "no score"]
    lines = [_line(heads), "|---" * len(heads) + "|"]
    for row in rows:
        cells = _who(row.entrant)
        if row.figures is None:
            lines.append(_line([*cells, f"no figures: {row.entrant.reason}"]))
            continue
        one = row.figures
        cells += [str(one.auroc.get(kind, "")) for kind in kinds]
        cells += [str(one.tpr.get((kind, rate), "")) for rate in rates for kind in kinds]
        lines.append(_line([*cells, str(one.tpr0), str(one.tpr10), str(one.n_failed)]))
    return "\n".join(lines)


def _who(one: Entrant) -> list[str]:
    """Return the cells that say who it is and how it came to be."""
    parameters = f"{one.n_parameters:,}" if one.n_parameters else ""
    minutes = f"{one.seconds / 60:.1f}" if one.seconds else ""
    return [f"`{one.name}`", one.kind, parameters, minutes, f"{one.epochs:.1f}" if minutes else ""]


def _differences(rows: Sequence[Row]) -> str:
    """Table of ours less each other row, on the same images."""
    names = list(dict.fromkeys(name for row in rows for name in row.differences))
    lines = [_line(["`resnet-small` less", *names]), "|---" * (1 + len(names)) + "|"]
    lines += [
        _line([f"`{row.entrant.name}`", *(str(row.differences.get(name, "")) for name in names)])
        for row in rows
        if row.differences
    ]
    return "Differences on the same images, resampled together:\n\n" + "\n".join(lines)


def _carried(rows: Sequence[Row]) -> str:
    """Table of rates at thresholds that were fixed on the calibration part of the rare suite."""
    heads = ["finder", "stated FPR", "FPR here", "TPR, all", "TPR, detectable"]
    lines = [_line(heads), "|---" * len(heads) + "|"]
    lines += [
        _line([f"`{row.entrant.name}`", f"{one.rate:g}", str(one.fpr), str(one.tpr[ALL]),
               str(one.tpr.get(DETECTABLE, ""))])
        for row in rows
        for one in row.carried
    ]  # fmt: skip
    words = "At thresholds fixed on images kept for it (Clopper-Pearson):\n\n"
    return words + "\n".join(lines)


def _families(arm: ArmResult) -> str:
    """Table of false positives by class of scenes, at the largest rate."""
    rows = [row for row in arm.rows if row.carried]
    classes = list(rows[0].carried[0].by_class) if rows else []
    if len(classes) < 2:
        return ""
    heads = ["class", "images", *(f"`{row.entrant.name}`" for row in rows)]
    if arm.left_out:
        heads.append("ours, never shown it")
    lines = [_line(heads), "|---" * len(heads) + "|"]
    for name in classes:
        n = int((arm.truth["scene_class"] == name).sum())
        mark = f"{name} (not in the suite's training set)" if name in NEVER_TRAINED else name
        cells = [mark, str(n), *(f"{row.carried[0].by_class[name].value:.3f}" for row in rows)]
        if arm.left_out:
            without = arm.left_out.get(name)
            cells.append("" if without is None else str(without.by_class[name]))
        lines.append(_line(cells))
    rate = rows[0].carried[0].rate
    return f"False positives of each class at the threshold for {rate:g}:\n\n" + "\n".join(lines)


def _kept(arms: Sequence[ArmResult]) -> str:
    """Table of what each change leaves of the true-positive rate, and what it does to the false."""
    reference = {row.entrant.name: row.carried for row in arms[0].rows}
    heads = ["images", "finder", "stated FPR", "TPR, detectable", "kept", "FPR", "FPR / stated",
             "no score"]  # fmt: skip
    lines = [_line(heads), "|---" * len(heads) + "|"]
    for arm in arms[1:]:
        for row in arm.rows:
            for own, one in zip(reference.get(row.entrant.name, ()), row.carried, strict=False):
                before, after = own.tpr.get(DETECTABLE), one.tpr.get(DETECTABLE)
                if before is None or after is None:
                    continue
                kept = after.value / before.value if before.value else np.nan
                failed = 0 if row.figures is None else row.figures.n_failed
                lines.append(_line([
                    arm.name, f"`{row.entrant.name}`", f"{one.rate:g}", str(after), f"{kept:.0%}",
                    str(one.fpr), f"{one.fpr.value / one.rate:.2g}", str(failed),
                ]))  # fmt: skip
    words = (
        f"Thresholds are those of the rare suite; `kept` is the true-positive rate over that on "
        f"“{arms[0].name}”. An image without a score counts as not found.\n\n"
    )
    return words + "\n".join(lines)


def _histograms(truth: Mapping[str, np.ndarray]) -> list[str]:
    """Numbers of lenses by Einstein radius and by arc S/N."""
    lens = truth["label"] == 1
    tables = []
    for name, title, edges in (
        ("theta_e", "theta_e [arcsec]", THETA_E), ("arc_snr", "arc S/N, best band", ARC_SNR),
    ):  # fmt: skip
        values = truth[name][lens].astype(float)
        counts = np.histogram(values[np.isfinite(values)], edges)[0]
        heads = [title, *(_bin(low, high) for low, high in pairwise(edges))]
        middle = np.nanmedian(values) if np.isfinite(values).any() else np.nan
        cells = ["lenses", *(f"{count:,}" for count in counts)]
        tables.append(
            "\n".join([_line([*heads, "median"]), "|---" * (len(heads) + 1) + "|",
                       _line([*cells, f"{middle:.2f}"])])
        )  # fmt: skip
    return tables


def _bin(low: float, high: float) -> str:
    return f"{low:g} and more" if np.isinf(high) else f"{low:g} to {high:g}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
