"""Accuracy against training time on the deck's images: the deck's network and ours, side by side.

One command makes the images, screens every recipe of the deck's network for a few epochs, gives the
best on validation images its full schedule, and then gives our network fractions of that time, on
the stored images and on a stream of fresh ones. Every row is kept in its own run directory,
so a stopped benchmark goes on where it was. The table is written to benchmarks/results/deck.md.

Run it on an otherwise idle machine: python benchmarks/bench_deck.py
"""

import argparse
import json
import os
import subprocess
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does

import torch

from stronglens.core.rundir import is_finished
from stronglens.core.task import AbstractTask, load_result
from stronglens.data.catalog import read_table
from stronglens.evaluation.metrics import Bootstrap, accuracy_at, auroc_of, paired_difference
from stronglens.simulation.task import Simulate, SimulateResult
from stronglens.training.task import Evaluate, EvaluateResult, Train, TrainResult

RESULTS = Path(__file__).parent / "results"
OWN_RECIPE = "deck-cnn adam 5e-4 (our default)"
HOW = Bootstrap(seed=1, n=1000, level=0.95)


@dataclass(frozen=True)
class Row:
    """One training and its test."""

    name: str
    """Name of the row."""
    training: TrainResult
    """How training went."""
    test: EvaluateResult
    """How it did on new images."""


def step(task: AbstractTask, path: Path) -> Any:  # noqa: ANN401 - the task's own result
    """Run a task in its directory, or load what it left when it was finished before."""
    if is_finished(path):
        return load_result(path, task.result_type)
    return task.run(path)


def row(root: Path, name: str, task: Train) -> Row:
    """Train and test one row."""
    print(f"== {name}", flush=True)
    training = step(task, root / name / "train")
    test = step(Evaluate(finder=root / name / "train", data=task.data), root / name / "test")
    done = f"{training.seconds:.0f} s, test accuracy {test.accuracy.value:.4f}"
    print(f"   {done}, AUROC {test.auroc.value:.4f}", flush=True)
    return Row(name, training, test)


def deck_recipes(data: Path, epochs: int, workers: int) -> dict[str, Train]:
    """Return the recipes of the deck's network: those of the slides, and the published code's."""
    recipes = {
        f"deck-cnn {optimiser} 1e-3 decay {decay:g}": Train(
            data=data,
            network="deck-cnn",
            optimiser=optimiser,
            learning_rate=1e-3,
            decay=decay,
            epochs=epochs,
        )
        for optimiser in ("sgd", "rmsprop", "adam")
        for decay in (0.01, 0.0)
    }
    recipes["deck-cnn sgd 5e-4, batches of 8 (published code)"] = Train(
        data=data,
        network="deck-cnn",
        optimiser="sgd",
        learning_rate=5e-4,
        decay=0.0,
        batch_size=8,
        epochs=epochs,
    )
    recipes[OWN_RECIPE] = Train(data=data, network="deck-cnn", epochs=epochs)
    return {name: replace(task, workers=workers) for name, task in recipes.items()}


def own_rows(root: Path, data: Path, options: argparse.Namespace, minutes: float) -> list[Row]:
    """Train ours for fractions of the deck row's time: the first with every seed, then a stream."""
    rows = []
    for place, fraction in enumerate(options.fractions):
        limit = fraction * minutes
        for seed in range(1, (options.seeds if place == 0 else 1) + 1):
            task = Train(data=data, seed=seed, max_minutes=limit, workers=options.workers)
            rows.append(row(root, f"resnet-small stored {fraction:g} seed {seed}", task))
    fresh = Train(data=data, max_minutes=limit, stream=True, workers=options.workers)
    rows.append(row(root, f"resnet-small stream {fraction:g} seed 1", fresh))
    return rows


def line(entry: Row, deck: Row) -> str:
    """Return a row of the table, with paired differences from the deck's row."""
    training, test = entry.training, entry.test
    cells = [
        entry.name,
        f"{training.epochs}",
        f"{training.seconds / 60:.1f}",
        f"{training.seconds / deck.training.seconds:.2f}",
        f"{training.val_accuracy:.4f}",
        interval(test.accuracy),
        interval(test.auroc),
        f"{test.ms_per_image:.2f}",
    ]
    if entry is not deck:
        ours, theirs = scores(entry), scores(deck)
        pair = (ours[0], theirs[0])
        metrics = (accuracy_at(0.0), auroc_of)
        cells += [interval(paired_difference(m, pair, ours[1], HOW)) for m in metrics]
    return f"| {' | '.join(cells + [''] * (10 - len(cells)))} |"


def scores(entry: Row) -> tuple:
    """Return logits and labels of the new images."""
    table = read_table(entry.test.path / "scores.parquet")
    return table["logit"], table["label"].astype(int)


def interval(estimate) -> str:  # noqa: ANN001 - an Estimate
    """Return a value with its interval."""
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"


def table(screened: list[Row], rows: list[Row], made: SimulateResult, workers: int) -> str:
    """Return the whole table with what it was measured on."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    deck = rows[0]
    threads = f"{workers or torch.get_num_threads()} thread(s) a row"
    facts = (
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}, {threads}. "
        f"{made.n:,} images, content hash {made.content_hash}; tested on {deck.test.n_positive:,} "
        f"lenses and {deck.test.n_negative:,} others. Intervals are 95 %; differences are paired "
        "on the same images. Time is from the first to the last update, augmentation, simulation "
        "of streamed images and validation included."
    )
    head = "| row | epochs | minutes | of the deck row | validation accuracy | test accuracy "
    head += "| test AUROC | ms per image | accuracy less the deck row's "
    head += "| AUROC less the deck row's |\n" + "|---" * 10 + "|"
    text = f"# Accuracy against training time on the deck's images\n\n{facts}\n"
    for title, entries in (
        ("Recipes of the deck's network, screened", screened),
        ("The deck row and ours", rows),
    ):
        if entries:
            lines = "\n".join(line(entry, deck) for entry in entries)
            text += f"\n## {title}\n\n{head}\n{lines}\n"
    return text


def options_of_the_command() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=20_000, help="images, 64 %% of them to learn from")
    parser.add_argument("--screen-epochs", type=int, default=15, help="0 takes our default recipe")
    parser.add_argument("--deck-epochs", type=int, default=200)
    parser.add_argument(
        "--fractions", type=float, nargs="+", default=[0.1, 1.0], help="of the deck row's time"
    )
    parser.add_argument("--seeds", type=int, default=3, help="trainings of ours at the first time")
    parser.add_argument("--workers", type=int, default=0, help="threads of each row; 0 for all")
    parser.add_argument("--root", type=Path, default=Path("runs/bench-deck"))
    return parser.parse_args()


def main() -> None:
    """Run what is missing and write the table."""
    options = options_of_the_command()
    root, data, workers = options.root, options.root / "data", options.workers
    made = step(Simulate(n=options.n), data)
    screened, best = [], OWN_RECIPE
    if options.screen_epochs:
        recipes = deck_recipes(data, options.screen_epochs, workers)
        screened = [row(root / "screen", name, task) for name, task in recipes.items()]
        best = max(screened, key=lambda entry: entry.training.val_accuracy).name
    deck = row(root, best, deck_recipes(data, options.deck_epochs, workers)[best])
    rows = [deck, *own_rows(root, data, options, deck.training.seconds / 60)]
    RESULTS.mkdir(exist_ok=True)
    text = table(screened, rows, made, workers)
    (RESULTS / "deck.md").write_text(text, encoding="utf-8")
    record = [{"name": r.name, **asdict(r.test), "seconds": r.training.seconds} for r in rows]
    (RESULTS / "deck.json").write_text(json.dumps(record, indent=1, default=str), encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
