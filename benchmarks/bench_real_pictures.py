"""Every real picture with its score: a table, areas under the ROC curve, and a contact sheet.

    python benchmarks/bench_real_pictures.py [--weights DIR | --finder NAME=PATH ...] [--no-field]

Without --weights or --finder it takes the finders that come with the package, each picture the one
that `stronglens scan` would choose. The last columns of the KiDS field are scanned too, once as
they are and three times with simulated lenses painted in. It writes real_pictures.md, .json and
.png to --out, by default benchmarks/results. Folders that are not there are named and left out.
"""

import argparse
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from bench_simulation import commit
from real_pictures_field import (
    FAINTEST,
    RATE,
    FieldFigures,
    finder_of_field,
    judge_field,
    write_field,
)
from real_pictures_scores import PREVALENCE, Panel, Verdict, judge, panel_of
from real_pictures_sets import SIMULATED, missing_folders, read_pictures

from stronglens.core.errors import StronglensError
from stronglens.data.colour_pictures import are_display_values
from stronglens.data.tile_sources import list_tiles, open_tile
from stronglens.evaluation.metrics import Bootstrap, auroc_of, estimate, refusal
from stronglens.plots.gallery import picture
from stronglens.plots.mosaic import mosaic

REAL = Path(__file__).parents[2] / "shared" / "data" / "real"
RESULTS = Path(__file__).parent / "results"
KIDS = "kids_viking_field"
HOW = Bootstrap(seed=1, n=2000)
LENS_COLOUR, OTHER_COLOUR = "#1b7837", "#b2182b"


def main() -> None:
    options = command()
    panel = panel_of(options.weights, options.finder)
    if not panel.finders:
        raise SystemExit("no finder: none comes with the package yet. Pass --weights or --finder.")
    for folder in missing_folders(options.root):
        print(f"not there, left out: {options.root / folder}")
    verdicts = [judge(one, panel) for one in read_pictures(options.root)]
    verdicts.sort(key=lambda v: -v.rank if np.isfinite(v.rank) else np.inf)
    field = None if options.no_field else field_figures(options, panel)
    options.out.mkdir(parents=True, exist_ok=True)
    if verdicts:
        contact_sheet(verdicts).savefig(options.out / "real_pictures.png")
    text = page(verdicts, field, panel)
    (options.out / "real_pictures.md").write_text(text, encoding="utf-8")
    record = {
        "commit": commit(),
        "pictures": [line(verdict) for verdict in verdicts],
        "auroc": areas(verdicts),
        "field": None if field is None else asdict(field),
    }
    (options.out / "real_pictures.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    print(text)


def command() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="folder with .safetensors files")
    parser.add_argument("--finder", nargs="*", default=[], metavar="NAME=PATH")
    parser.add_argument("--root", type=Path, default=REAL, help="folder of the real pictures")
    parser.add_argument("--no-field", action="store_true", help="leave out the field of KiDS")
    parser.add_argument("--threshold", type=float, help="score for the field, instead of 1 %%")
    parser.add_argument("--runs", type=Path, default=Path("runs/real-pictures"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def field_figures(options: argparse.Namespace, panel: Panel) -> FieldFigures | None:
    """What the finder of its bands does on the KiDS field; None where it is not there."""
    kids = options.root / KIDS
    if not kids.is_dir():
        print(f"not there, left out: {kids}")
        return None
    tile = write_field(kids, options.runs)
    try:
        bands = open_tile(list_tiles([tile])[0]).bands
        one = finder_of_field(bands, panel.finders)
    except StronglensError as error:
        print(f"field of KiDS left out: {error}")
        return None
    return judge_field(tile, one, options.runs, options.threshold)


def line(verdict: Verdict) -> dict:
    """Row of the table."""
    one = verdict.picture
    return {
        "file": Path(one.entry.input).name if one.entry.object_id in one.entry.input
        else f"{Path(one.entry.input).name}: {one.entry.object_id}",
        "folder": one.of.folder.split("/")[0],
        "instrument": one.of.instrument,
        "kind": one.of.kind,
        "label": one.label,
        "finder": verdict.finder,
        "score": verdict.score,
        "p_lens": verdict.p_lens,
        "remark": verdict.remark,
        "assumed": verdict.assumed,
    }  # fmt: skip


def areas(verdicts: list[Verdict]) -> dict[str, str]:
    """Area under the ROC curve over all, over what is real, and by instrument."""
    groups = {"all": verdicts, "all but simulated": [
        v for v in verdicts if v.picture.of.kind != SIMULATED
    ]}  # fmt: skip
    for verdict in verdicts:
        groups.setdefault(verdict.picture.of.instrument, []).append(verdict)
    return {name: area(group) for name, group in groups.items()}


def area(group: list[Verdict]) -> str:
    """Area with its interval and the numbers behind it."""
    good = [v for v in group if np.isfinite(v.rank) and v.picture.label is not None]
    labels = np.array([v.picture.label for v in good])
    n_lens = int((labels == 1).sum())
    counts = f"{n_lens} lenses, {len(labels) - n_lens} others"
    if len(good) < len(group):
        counts += f", {len(group) - len(good)} without a score"
    if n_lens in {0, len(labels)}:
        return f"one class only: {counts}"
    return f"{estimate(auroc_of, np.array([v.rank for v in good]), labels, HOW)}; {counts}"


def page(verdicts: list[Verdict], field: FieldFigures | None, panel: Panel) -> str:
    """The whole page."""
    names = ", ".join(one.name for one in panel.finders)
    parts = [
        "# Real pictures, score by score",
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit()}; finders: {names}. Each picture is "
        "scored by the finder that `scan` would choose. Intervals are 95 %, lenses and others "
        "resampled apart. `p` is the calibrated probability at one lens in "
        f"{1 / PREVALENCE:.0f}; pictures are sorted by calibrated log-odds where there are any, "
        "else by the score. Challenge samples are simulated, HOLISMOKES lenses are painted arcs "
        "on real galaxies, all others are real.",
        "## Area under the ROC curve",
        "| pictures | AUROC |\n|---|---|",
        "\n".join(f"| {name} | {text} |" for name, text in areas(verdicts).items()),
        "## The field of KiDS, columns 1160 to 1600",
        field_text(field),
        "## Scores",
        "| score | p | label | instrument | file | finder | remark |\n" + "|---" * 7 + "|",
        "\n".join(row(line(verdict)) for verdict in verdicts),
    ]
    text = "\n\n".join(parts)
    return text.replace("|---|\n\n|", "|---|\n|") + "\n"


def row(values: dict) -> str:
    """Row of the table of scores."""
    label = {1: "lens", 0: "other"}.get(values["label"], "?")
    p_lens = f"{values['p_lens']:.2g}" if np.isfinite(values["p_lens"]) else ""
    score = f"{values['score']:.4f}" if np.isfinite(values["score"]) else "none"
    cells = [score, p_lens, label, values["instrument"], values["file"], values["finder"],
             values["remark"].replace("|", "/")]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def field_text(field: FieldFigures | None) -> str:
    """What was found on the field of KiDS."""
    if field is None:
        return "Not scanned."
    return (
        f"`{field.finder}` at a score of {field.threshold:.4f} ({field.stated}):\n\n"
        f"- extended sources with r < {FAINTEST}: {field.n_sources}, of which "
        f"{field.fpr} pass; {RATE:.0%} is stated"
        f"{'' if (why := refusal(RATE, field.n_sources)) is None else f' ({why})'}\n"
        f"- detectable lenses painted there: {field.n_lenses}, recovered {field.recovered}\n"
        f"- of those, found as a source within the limit: {field.n_targets}, recovered "
        f"{field.recovered_targets}\n"
        f"- recovered at the threshold that {RATE:.0%} of the field's sources pass: "
        f"{field.recovered_at_true_rate}"
    )


def contact_sheet(verdicts: list[Verdict]):  # noqa: ANN201 - a figure
    """Every picture as the finder saw it, from the highest score to the lowest."""
    shown = [v for v in verdicts if v.seen is not None]
    titles = [
        f"{v.score:.3f} {('other', 'lens', '?')[_label(v)]}\n{v.picture.of.instrument}\n"
        f"{v.picture.entry.object_id[:20]}"
        for v in shown
    ]
    colours = [(OTHER_COLOUR, LENS_COLOUR, None)[_label(v)] for v in shown]
    notes = "frames: green lens, red other. No score: " + ", ".join(
        v.picture.entry.object_id for v in verdicts if v.seen is None
    )
    return mosaic(
        [image_of(v) for v in shown], titles, columns=12, frame_colours=colours, footnote=notes
    )


def _label(verdict: Verdict) -> int:
    return 2 if verdict.picture.label is None else verdict.picture.label


def image_of(verdict: Verdict) -> np.ndarray:
    """Colours where there are three bands, else grey."""
    seen = verdict.seen
    if seen is None or seen.pixels is None:
        return np.zeros((1, 1, 3))
    flux, mask = seen.pixels.flux, seen.pixels.mask
    if are_display_values(seen.band.split(",")):
        return np.moveaxis(flux / 255.0, 0, -1)
    n = len(flux)
    chosen = [n - 3, n - 2, n - 1] if n >= 3 else [n // 2]
    sky = [scatter(flux[k][~mask[k]]) for k in chosen]
    return picture(flux[chosen], np.array(sky), mask[chosen])


def scatter(values: np.ndarray) -> float:
    """Robust scatter of the good pixels, mostly sky; never 0."""
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) or 1.0


if __name__ == "__main__":
    main()
