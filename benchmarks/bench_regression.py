"""The regressions of 2017 and 2019: error of each parameter beside that of saying the mean.

    python benchmarks/bench_regression.py --minutes 3 --n 4000

First the five parameters of 2017 on images like its own, with labels that follow the image; then
theta_e, e1 and e2 on the frozen ground-based set of S/N 100, on which the network of posteriors is
measured too (bench_posterior.py). It writes benchmarks/results/regression.md.
"""

import argparse
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import torch

from stronglens.data.store import open_dataset
from stronglens.finders.normalise import AbstractNormalisation, PixelImages, normalisations
from stronglens.measurement.frozen_sets import FROZEN_SETS, THETA_E, frozen_set
from stronglens.measurement.mock_images import MockChoices, MockImages, draw_images
from stronglens.measurement.regression import (
    LabelledSet,
    Schooling,
    parameter_errors,
    read_labelled,
    train_regressor,
)
from stronglens.measurement.regression_networks import (
    BOTTLENECK_TARGETS,
    DECK_TARGETS,
    REGRESSORS,
)
from stronglens.simulation.task import Simulate

HERE = Path(__file__).parent
HEADER = (
    "| network | images | parameter | rms | mean abs. error | rms of the mean | rms / rms of the "
    "mean |\n|---|---|---|---|---|---|---|"
)


def labelled(
    blocks: Iterator[MockImages], scaling: AbstractNormalisation | None = None
) -> tuple[LabelledSet, AbstractNormalisation]:
    """Simulated lenses with theta_e, e1 and e2, scaled as the study of 2017 scaled images."""
    parts = list(blocks)
    images = PixelImages(torch.cat([part.flux for part in parts])[:, None])
    scaling = scaling or normalisations.get("min-max").fit([images])
    truth = {k: torch.cat([part.truth[k] for part in parts]) for k in BOTTLENECK_TARGETS}
    return LabelledSet(scaling(images), truth, parts[0].frame.image_scale), scaling


def ground(n: int, seed: int) -> Iterator[MockImages]:
    choices = MockChoices(FROZEN_SETS["sim-ground"], 100.0, THETA_E, oversample=2)
    for block in range(-(-n // 50)):
        yield draw_images(seed, block, 50, choices)


def rows(
    name: str, where: str, sets: tuple[LabelledSet, LabelledSet, LabelledSet], minutes: float
) -> list[str]:
    training, validation, test = sets
    with tempfile.TemporaryDirectory() as folder:
        settings = Schooling(seed=1, seconds=60 * minutes)
        predict = train_regressor(name, training, validation, Path(folder), settings)
    errors = parameter_errors(predict(test.images), test.labels, training.labels)
    return [
        f"| {name} | {where} | {key} | {e.rms:.4g} | {e.mae:.4g} | {e.rms_of_mean:.4g} | "
        f"{e.rms / e.rms_of_mean:.2f} |"
        for key, e in errors.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=4000, help="training images")
    parser.add_argument("--minutes", type=float, default=3.0, help="training of each network")
    parser.add_argument("--sims", type=Path, default=None, help="a deck-like set that exists")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "regression.md")
    options = parser.parse_args()
    lines = [HEADER]
    with tempfile.TemporaryDirectory() as folder:
        # half of the images are lenses, and a tenth of them validate
        path = (
            options.sims or Simulate(n=round(2.9 * options.n), seed=11).run(folder + "/sims").path
        )
        dataset = open_dataset(path)
        splits = ("train", "validation", "test")
        deck = tuple(read_labelled(dataset, DECK_TARGETS, split) for split in splits)
    for name in ("deck-regression", "deck-regression-deeper"):
        lines += rows(name, "deck-like stacks", deck, options.minutes)  # type: ignore[arg-type]
        print("\n".join(lines), flush=True)
    training, scaling = labelled(ground(options.n, 21))
    validation, _ = labelled(ground(max(options.n // 10, 200), 22), scaling)
    test, _ = labelled(frozen_set("sim-ground", 100.0, 1000), scaling)
    sets = training, validation, test
    for name in REGRESSORS:
        lines += rows(name, "sim-ground, S/N 100", sets, options.minutes)
        print("\n".join(lines[-3:]), flush=True)
    note = (
        f"{len(deck[0]):,} and {len(sets[0]):,} lenses to learn from, {options.minutes:g} minutes "
        f"a network on {torch.get_num_threads()} thread(s), {datetime.now(UTC):%Y-%m-%d}. Test: "
        f"{len(deck[2]):,} and {len(sets[2]):,} lenses."
    )
    text = "\n".join(lines)
    options.out.write_text(f"# Regression of lens parameters\n\n{text}\n\n{note}\n")
    print(note)


if __name__ == "__main__":
    main()
