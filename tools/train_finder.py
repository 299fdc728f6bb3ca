"""Train a finder that comes with the package, from its committed recipe, and write its card.

    python tools/train_finder.py NAME [--minutes M] [--runs runs/shipped]

The recipe src/stronglens/finders/weights/NAME.toml has three tables: [simulate] and [train] are
settings of those tasks, [card] says in words what the finder is for; start_from names another
recipe, whose finder must be there. A fourth, [extra], simulates a second set that is mixed in,
painted on real images, say. Images for validation, scaling and calibration, and others for the
test, are simulated and kept under --runs; an interrupted run goes on where it stopped. A finder
whose name ends in -first is only for others to start from, and not put into the package.
"""

import argparse
import json
import shutil
import subprocess
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from stronglens.core.errors import StaleCheckpointError
from stronglens.core.task import AbstractTask
from stronglens.finders.shipped import FOLDER
from stronglens.simulation.task import Simulate
from stronglens.training.calibrate_task import Calibrate
from stronglens.training.task import Evaluate, Train

TEST_SEED = 90_000_001
"""Added to a recipe's seed for the images of the test."""
N_TEST = 3000
"""Images of the test."""
MOST_BYTES = 4_000_000


def run(task: AbstractTask, out: Path) -> None:
    """Run a task unless it has been run there already."""
    if (out / "result.json").is_file():
        return
    task.run(out)


def card(name: str, recipe: dict[str, Any], runs: Path) -> dict[str, Any]:
    """Return what the finder was trained on and what it reached."""
    results = {part: _json(runs / part / "result.json") for part in ("data", "test")}
    trained = _json(runs / "finder" / "result.json")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "name": name,
        **recipe["card"],
        "recipe": f"{name}.toml",
        "trained": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit,
        "torch": metadata.version("torch"),
        "training": {
            key: trained[key]
            for key in ("network", "n_parameters", "epochs", "best_epoch", "seconds")
        },
        "started_from": recipe["train"].get("start_from"),
        "validation_data": results["data"]["content_hash"],
        "test_data": {key: results["test"][key] for key in ("n", "n_lens", "content_hash")},
        "metrics": _json(runs / "report" / "metrics.json"),
    }


def make(name: str, runs: Path, *, minutes: float | None, workers: int) -> Path:
    """Simulate, train, calibrate and test as a recipe says.

    Args:
        name: Name of the recipe.
        runs: Folder of all recipes' runs.
        minutes: Training time instead of the recipe's [min].
        workers: Processes that simulate.

    Returns:
        The weights.
    """
    recipe, here = read_recipe(name), runs / name
    options = {"workers": workers, "planes": False}
    data = replace(Simulate.from_dict(recipe["simulate"], "simulate"), **options)
    run(data, here / "data")
    run(replace(data, seed=data.seed + TEST_SEED, n=N_TEST), here / "test")
    settings = {**recipe["train"], "data": str(here / "data")}
    if "extra" in recipe:
        run(replace(Simulate.from_dict(recipe["extra"], "extra"), **options), here / "extra")
        settings["extra"] = str(here / "extra")
    if "start_from" in settings:
        settings["start_from"] = str(runs / settings["start_from"] / "finder")
    if minutes is not None:
        settings["max_minutes"] = minutes
    run(Train.from_dict(settings, "train"), here / "finder")
    run(Calibrate(finder=here / "finder", data=here / "data"), here / "calibrated")
    run(Evaluate(finder=here / "calibrated", data=here / "test", split="all"), here / "report")
    return here / "calibrated" / "weights.safetensors"


def main() -> None:
    """Make a finder and put it into the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="name of a recipe")
    parser.add_argument("--minutes", type=float, default=None, help="training time instead")
    parser.add_argument("--workers", type=int, default=1, help="processes that simulate")
    parser.add_argument("--runs", type=Path, default=Path("runs/shipped"), help="where to work")
    options = parser.parse_args()
    name, runs = options.name, options.runs
    weights = make(name, runs, minutes=options.minutes, workers=options.workers)
    if name.endswith("-first"):
        return
    if weights.stat().st_size > MOST_BYTES:
        raise StaleCheckpointError(f"{weights} has more than {MOST_BYTES:,} bytes; make it small.")
    shutil.copyfile(weights, FOLDER / f"{name}.safetensors")
    text = json.dumps(card(name, read_recipe(name), runs / name), indent=1, ensure_ascii=False)
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def read_recipe(name: str) -> dict[str, Any]:
    """Return the tables of a recipe."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
