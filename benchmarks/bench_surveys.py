"""Every survey's simulated images, checked: finite, as noisy as stated, and free of tricks.

One command simulates images of every registered survey, in up to three bands, and writes a table
to benchmarks/results/surveys.md. Images are checked block by block and not kept; the audit of the
first ones is that of `stronglens audit`. The last section is the job that counts: what simulating
costs beside what training on the same images costs, both by processor time of one core, taken in
turns: three bands of LSST, four of KiDS, and with --tile the same four painted on real images.

Run it: python benchmarks/bench_surveys.py --n 10000 [--surveys lsst-y10 euclid-vis] [--workers 2]
        python benchmarks/bench_surveys.py --only-audit [--surveys ...]
        python benchmarks/bench_surveys.py --only-job --tile FOLDER [--stop-column 1100]
"""

import argparse
import json
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stronglens.data.store import open_dataset
from stronglens.finders.networks import networks
from stronglens.simulation.canvas import Canvas
from stronglens.simulation.imperfections import Artefacts
from stronglens.simulation.lookalikes import bright_star
from stronglens.simulation.simulated_set import BLOCK, STACK
from stronglens.simulation.task import Simulate
from stronglens.surveys import survey, surveys
from stronglens.training.task import Audit, Train

RESULTS = Path(__file__).parent / "results"
MOST_BANDS = 3
FOUR_BANDS = ("kids-u", "kids-g", "kids-r", "kids-i")
LARGEST = 340  # side of the images here: the sharpest survey's 10 arcsec [pixel]
MOST_AUDITED = 2000  # images kept for the audit of a survey
MOST_SHOWN = 4  # figures of an audit that are shown
JOB_IMAGES = 1000  # images simulated and trained on in each turn of the job that counts


def task_of(name: str) -> Simulate:
    """Return the settings of a survey's images here."""
    names = [band.name for band in survey(name).bands]
    middle = [band for band in names if band[-1] in "gri"]
    bands = tuple((middle or names)[:MOST_BANDS])
    task = Simulate(survey=name, bands=bands, seed=11).resolved()
    return replace(task, size=min(int(task.size or 0), LARGEST))


def check(name: str, n: int) -> dict[str, Any]:
    """Simulate blocks of a survey and add up what is found."""
    torch.set_num_threads(1)
    plan = task_of(name).plan()
    found = {"images": 0, "bad": 0, "pulls": [], "lenses": 0, "detectable": 0, "snr": []}
    seconds = 0.0
    for block in range(-(-n // BLOCK)):
        began = time.process_time()
        seen = plan.draw(block, (STACK,))[STACK]
        seconds += time.process_time() - began
        planes = (seen.images.flux, seen.images.ivar, *seen.planes.values())
        found["bad"] += sum(
            int((~np.isfinite(plane)).sum()) for plane in planes if plane is not None
        )
        clean = sum(v for k, v in seen.truth.items() if k.startswith("n_")) == 0
        clean &= seen.truth["scene_class"] != bright_star.NAME
        good = seen.images.ivar[clean] > 0
        pull = (seen.planes["noise"][clean] * np.sqrt(seen.images.ivar[clean]))[good]
        found["pulls"].append((pull.mean(dtype=np.float64), pull.std(dtype=np.float64)))
        is_lens = seen.truth["label"] == 1
        found["images"] += BLOCK
        found["lenses"] += int(is_lens.sum())
        found["detectable"] += int(seen.truth["is_detectable"].sum())
        found["snr"].append(seen.truth["arc_snr"][is_lens])
    return {
        "name": name,
        "rate": found["images"] / seconds,
        **found,
        **audit_of(name, min(n, MOST_AUDITED)),
    }


def kept_line(name: str, n: int, cache: Path) -> str:
    """Return a survey's row of the table, from an earlier call where there is one."""
    file = cache / f"{name}.txt"
    if not file.is_file():
        file.write_text(line(check(name, n)), encoding="utf-8")
    return file.read_text(encoding="utf-8")


def audit_of(name: str, n: int) -> dict[str, Any]:
    """Audit images of a survey that are kept for it alone."""
    with tempfile.TemporaryDirectory() as folder:
        data = replace(task_of(name), n=n, planes=False, artefacts=Artefacts()).run(
            Path(folder) / "data"
        )
        result = Audit(data=data.path).run(Path(folder) / "audit")
        report = json.loads((result.path / "audit.json").read_text(encoding="utf-8"))
    return {"worst_auroc": result.worst_auroc, "worst": result.worst, "report": report}


def audit_line(name: str, n: int) -> str:
    """Audit images of a survey and return a row: the largest figures of all splits."""
    tricks = audit_of(name, n)["report"]["tricks"]
    found = [(own["auroc"], own["error"], s, own["name"]) for s in tricks for own in tricks[s]]
    largest = sorted(found, reverse=True)[:MOST_SHOWN]
    cells = [f"{area:.3f} ± {error:.3f} ({s}: {own})" for area, error, s, own in largest]
    return f"| {' | '.join((name, f'{n:,}', *cells))} |"


def print_audits(names: list[str], n: int) -> None:
    """Audit images of surveys and print a table, row by row."""
    print("| survey | images | largest AUROC | next | next | next |", "|---" * 6 + "|", sep="\n")
    for name in names:
        print(audit_line(name, n), flush=True)


def jobs(tile: Path | None, stop_column: int | None) -> dict[str, Simulate]:
    """Return the tasks of the jobs that count, by what is said of them."""
    three = task_of("lsst-y10")
    four = Simulate(survey="kids-dr4", bands=FOUR_BANDS, size=three.size, seed=11)
    found = {"simulated": three, "simulated, four bands": four.resolved()}
    if tile is not None:
        canvas = Canvas(tile=tile, stop_column=stop_column)
        found["painted on real images, four bands"] = replace(four, canvas=canvas).resolved()
    return {name: replace(task, planes=False, n=JOB_IMAGES) for name, task in found.items()}


def job_that_counts(task: Simulate, turns: int) -> str:
    """Time simulation and training of the same images in turns, and return a row."""
    torch.set_num_threads(1)
    plan = task.plan()
    plan.draw(0, (STACK,))
    simulated, trained = [], []
    with tempfile.TemporaryDirectory() as folder:
        data = task.run(Path(folder) / "data")
        # two passes over the images are what three epochs take longer than one
        n_train = int((open_dataset(data.path).column("split") == "train").sum())
        for turn in range(turns):
            began = time.process_time()
            for block in range(JOB_IMAGES // BLOCK):
                plan.draw(block, (STACK,))
            simulated.append((time.process_time() - began) / JOB_IMAGES)
            seconds = []
            for epochs in (1, 3):
                began = time.process_time()
                run = Train(data=data.path, network="resnet-small", epochs=epochs, device="cpu")
                run.run(Path(folder) / f"finder-{turn}-{epochs}")
                seconds.append(time.process_time() - began)
            trained.append((seconds[1] - seconds[0]) / 2 / n_train)
    draws, passes = np.median(simulated), np.median(trained)
    ratio = np.median(np.array(simulated) / np.array(trained))
    epochs = networks.facts("resnet-small")["recipe"].epochs
    cells = (f"{task.survey}", ", ".join(task.bands), f"{task.size}")
    rates = (f"{1 / draws:.0f}", f"{1 / passes:.0f}", f"{ratio:.2f}", f"{ratio / epochs:.1%}")
    return " | ".join((*cells, *rates))


def section(tasks: dict[str, Simulate], turns: int) -> str:
    """Return the table of the jobs that count."""
    head = (
        "| job | survey | bands | side | images/s drawn | images/s in a pass of `resnet-small` | "
    )
    head += "drawing over a pass | drawing over the recipe's epochs |"
    rows = [f"| {name} | {job_that_counts(task, turns)} |" for name, task in tasks.items()]
    return (
        f"## The job that counts\n\nCommit {commit()}, processor time of one core, medians of "
        f"{turns} turns in which both were timed one after the other; writing is not included.\n\n"
        f"{head}\n{'|---' * 8}|\n" + "\n".join(rows) + "\n"
    )


def commit() -> str:
    """Return the commit that is measured."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def line(row: dict[str, Any]) -> str:
    """Return a row of the table."""
    means, scatters = np.array(row["pulls"]).T
    task = task_of(row["name"])
    cells = (
        row["name"],
        ", ".join(task.bands),
        f"{task.size}",
        f"{row['images']:,}",
        f"{row['bad']}",
        f"{means.mean():+.4f}",
        f"{scatters.mean():.4f}",
        f"{np.median(np.concatenate(row['snr'])):.0f}",
        f"{row['detectable'] / row['lenses']:.0%}",
        f"{row['worst_auroc']:.3f} ({row['worst']})",
        f"{row['rate']:.0f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Check what is asked for and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000, help="images of each survey")
    parser.add_argument("--surveys", nargs="+", default=None)
    parser.add_argument("--workers", type=int, default=1, help="surveys checked at once")
    parser.add_argument("--tile", type=Path, default=None, help="real images in u, g, r, i")
    parser.add_argument("--stop-column", type=int, default=None, help="columns used end here")
    parser.add_argument("--turns", type=int, default=3, help="times the jobs that count are timed")
    parser.add_argument("--only-audit", action="store_true", help="audit and do nothing else")
    parser.add_argument("--only-job", action="store_true", help="time those and nothing else")
    options = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    tasks = jobs(options.tile, options.stop_column)
    if options.only_job:
        text = section(tasks, options.turns)
        (RESULTS / "job_that_counts.md").write_text(text, encoding="utf-8")
        print(text)
        return
    names = options.surveys or [name for name in surveys.names() if name != "lsst-deck"]
    if options.only_audit:
        print_audits(names, min(options.n, MOST_AUDITED))
        return
    cache = Path("runs") / "bench-surveys" / f"{commit()}-{options.n}"
    cache.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(kept_line, name, options.n, cache) for name in names]
        rows = [future.result() for future in waiting]
    head = "| survey | bands | side | images | not finite | noise, mean | noise, scatter "
    head += "| median arc S/N | detectable lenses | worst audit AUROC | images/s (one core) |"
    text = (
        "# Simulated images of every survey\n\n"
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit()}. Pixels of flux, inverse variance and "
        "planes that are not finite; mean and scatter of (image - noiseless) x sqrt(ivar) over "
        "images without artefacts; detectable as the conventions define it; the audit's limit is "
        "0.60.\n\n"
        f"{head}\n{'|---' * 11}|\n" + "\n".join(rows) + "\n\n"
        f"{section(tasks, options.turns)}"
    )
    (RESULTS / "surveys.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
