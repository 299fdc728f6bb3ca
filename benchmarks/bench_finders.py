"""Rank every finder on the frozen suites: deck, ground, space, rare, shift, foreign, avestruz.

    python benchmarks/bench_finders.py SUITE... [--small] [--finders NAME ...] [--given NAME=PATH]
    python benchmarks/bench_finders.py all --small
    python benchmarks/bench_finders.py speed

Each row learns from the same images for the same time on one thread and is judged on the same new
ones, which are drawn from their seeds, scored and dropped. Sets, trainings and scores are kept
below --root; the same command goes on where it was stopped and adds rows that are new. Pages go to
benchmarks/results/finders_SUITE.md, with `-small` behind the name for --small. What a suite is
stands in benchmarks/suites/settings.py; `speed` writes finders_speed.md.
"""

import argparse
import json
import os
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does

from bench_simulation import commit
from suites.pages import ArmResult, page
from suites.running import Options, run_suite
from suites.settings import FULL, SMALL, Suite, suites
from suites.speed import speed_page

RESULTS = Path(__file__).parent / "results"
SPEED = "speed"


def main() -> None:
    """Run the suites that are named, one after the other."""
    given = command()
    size = SMALL if given.small else FULL
    known = suites(size)
    options = Options(
        root=given.root / size,
        size=size,
        workers=given.workers,
        only=tuple(given.finders),
        given=tuple(given.given),
        minutes=given.minutes,
        freezes=given.freeze,
    )
    if not given.suites:
        print("\n".join(f"{name:9} {one.question}" for name, one in known.items()))
        print(f"{SPEED:9} How many images a second?\n\nName some of them, or all; see --help.")
        return
    names = [*known] if "all" in given.suites else given.suites
    given.results.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name == SPEED:
            text = speed_page(facts(None, options))
            (given.results / "finders_speed.md").write_text(text, encoding="utf-8")
        else:
            text = write(known[name], options, given.results)
        print(text, flush=True)


def write(suite: Suite, options: Options, folder: Path) -> str:
    """Run a suite and write its page and its figures."""
    arms = run_suite(suite, options)
    text = page(suite, arms, facts(suite, options))
    stem = f"finders_{suite.name}" + ("-small" if options.size == SMALL else "")
    (folder / f"{stem}.md").write_text(text, encoding="utf-8")
    record = {"suite": suite.name, "size": options.size, "commit": commit(),
              "arms": [arm_record(arm) for arm in arms]}  # fmt: skip
    (folder / f"{stem}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return text


def arm_record(arm: ArmResult) -> dict:
    """What a page says of an arm, for other programs."""
    rows = []
    for row in arm.rows:
        one = row.figures
        rows.append({
            "finder": row.entrant.name, "from": row.entrant.kind, "reason": row.entrant.reason,
            "n_parameters": row.entrant.n_parameters, "seconds": row.entrant.seconds,
            "passes": row.entrant.epochs,
            "auroc": {} if one is None else {k: asdict(v) for k, v in one.auroc.items()},
            "tpr": {} if one is None else {
                f"{kind}, FPR {rate:g}": asdict(v) for (kind, rate), v in one.tpr.items()
            },
            "tpr0": None if one is None else asdict(one.tpr0),
            "tpr10": None if one is None else asdict(one.tpr10),
            "n_failed": None if one is None else one.n_failed,
            "carried": [asdict(carried) for carried in row.carried],
            "ours_less_this": {k: asdict(v) for k, v in row.differences.items()},
        })  # fmt: skip
    lens = arm.truth["label"] == 1
    return {
        "arm": arm.name, "content_hash": arm.content_hash, "frozen": arm.frozen,
        "n_positive": int(lens.sum()), "n_negative": int((~lens).sum()), "rows": rows,
        "left_out": {family: asdict(one) for family, one in arm.left_out.items()},
    }  # fmt: skip


def facts(suite: Suite | None, options: Options) -> str:
    """Where and how a page was made."""
    where = f"{datetime.now(UTC):%Y-%m-%d}, commit {commit()}, {platform.machine()}"
    if suite is None:
        return f"{where}."
    trainings = {arm.training.name: arm.training for arm in suite.arms}
    learnt = "; ".join(
        f"{one.simulate.n:,} images, {options.minutes or one.minutes:g} minutes a row"
        for one in trainings.values()
    )
    small = (
        " This is the SMALL size: rows have hardly begun to learn, and their order may be another "
        "one in full." if options.size == SMALL else ""
    )  # fmt: skip
    return (
        f"{where}. Size {options.size}: {learnt} (train and validation), one thread each, "
        f"{options.workers} side by side; `all-hog` and `ring-finder` fit themselves and take the "
        "time they need. `minutes` is processor time of the one thread, which is wall-clock time "
        "on an idle machine, from the first to the last update; `passes` the training images "
        "seen over those there are. Intervals are 95 %: bootstrap for areas and rates read off "
        "these images, the range "
        "over ten tenths of the others for TPR0 and TPR10, Clopper-Pearson at thresholds fixed "
        "elsewhere. A rate stands here only where ten false positives support it. The oracle "
        "knows the noiseless picture with and without the arcs of each image and compares their "
        f"likelihoods: nobody can come higher.{small}"
    )


def command() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="of these, or all, or speed")
    parser.add_argument("--small", action="store_true", help="thousands of images, minutes a row")
    parser.add_argument("--finders", nargs="*", default=[], help="rows to run; all by default")
    parser.add_argument("--given", nargs="*", default=[], metavar="NAME=PATH",
                        help="finders trained elsewhere, for suites of their bands")  # fmt: skip
    parser.add_argument(
        "--minutes", type=float, help="time of each training instead of the suite's"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--freeze", action="store_true", help="write down hashes that are new")
    parser.add_argument("--root", type=Path, default=Path("runs/bench-finders"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    unknown = set(given.suites) - {*suites(FULL), SPEED, "all"}
    if unknown:
        known = ", ".join([*suites(FULL), SPEED, "all"])
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {known}")
    return given


if __name__ == "__main__":
    main()
