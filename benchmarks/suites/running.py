"""A suite from its settings to its figures: train, draw, score, compare.

Everything that takes time is kept below a root, so that the same command goes on where it stopped.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from suites.drawing import Drawer, digest
from suites.entrants import TRAINED, Entrant, existing, left_out, trained
from suites.figures import Carried, apart, carried_to, figures_of, thresholds_of
from suites.pages import ArmResult, Row
from suites.scoring import ORACLE, Job, Scored, join, score
from suites.settings import OURS, Arm, Part, Suite

from stronglens.core.errors import StaleCheckpointError
from stronglens.data.catalog import read_metadata

FROZEN = Path(__file__).parent / "frozen.json"
CEILING = Entrant(ORACLE, "ceiling")


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    root: Path
    """Where sets, trainings and scores are kept."""
    size: str
    """full or small."""
    workers: int
    """Processes of one thread each."""
    only: tuple[str, ...] = ()
    """Names of rows; all where empty."""
    given: tuple[str, ...] = ()
    """NAME=PATH of finders trained elsewhere."""
    minutes: float | None = None
    """Time of each training instead of the suite's [min]."""
    freezes: bool = False
    """Whether hashes that are new are written down."""


def run_suite(suite: Suite, options: Options) -> list[ArmResult]:
    """Run what is missing of a suite, arm by arm."""
    return [_run_arm(suite, arm, options) for arm in suite.arms]


def _run_arm(suite: Suite, arm: Arm, options: Options) -> ArmResult:
    """Train and score all rows of an arm, and compute their figures."""
    if options.minutes is not None:
        arm = replace(arm, training=replace(arm.training, minutes=options.minutes))
    entrants = trained(arm.training, options.root, options.only, options.workers)
    entrants += existing(Drawer(arm.parts[0]).facts, options.given, options.only)
    without: dict[str, Entrant] = {}
    if suite.name == "rare" and (not options.only or OURS in options.only):
        without = left_out(arm.training, options.root, options.workers)
    able = tuple(one for one in [*entrants, *without.values()] if one.weights is not None)
    scored = _scored(arm.parts, able, options)
    calibration = _scored(arm.calibration, able, options) if arm.calibration else None
    content = hashlib.sha256("".join(scored.digests).encode()).hexdigest()
    name = f"{suite.name}, {arm.name}, {options.size}"
    return ArmResult(
        arm.name,
        _ranked([_row(one, scored, calibration, arm) for one in [CEILING, *entrants]], scored),
        scored.truth,
        content,
        compared_with_frozen(name, content, freezes=options.freezes),
        {
            family: _carried(one.key, scored, calibration)[0]
            for family, one in without.items()
            if calibration is not None and one.weights is not None
        },
    )


def _scored(parts: Sequence[Part], able: tuple[Entrant, ...], options: Options) -> Scored:
    """Scores of all rows on some parts, lenses first."""
    lenses = Drawer(parts[0])
    done = []
    for part in parts:
        folder = options.root / "scores" / f"{part.name}-{identity(part)}"
        job = Job(Drawer(part), lenses, folder, able)
        check_unchanged(job)
        done.append(score(job, options.workers))
    return join(done)


def identity(part: Part) -> str:
    """Short hash of what a part draws, whatever its number of images."""
    simulate = part.simulate
    # the deck's number decides which of its scenes nobody trains on; elsewhere it decides nothing
    if simulate is not None and simulate.preset != "deck":
        simulate = replace(simulate, n=None)
    drawn = repr(replace(part, n=0, name="", simulate=simulate))
    return hashlib.sha256(drawn.encode()).hexdigest()[:10]


def check_unchanged(job: Job) -> None:
    """Refuse scores of images that the code draws otherwise by now.

    Raises:
        StaleCheckpointError: The first block is not the one that was scored.
    """
    path = job.truth_path(0)
    if path.is_file() and read_metadata(path)["digest"] != digest(job.drawer.draw(0)):
        raise StaleCheckpointError(
            f"the images scored in {job.folder} are drawn otherwise by this code. Delete the "
            "folder, or use the commit that made it."
        )


def _row(one: Entrant, scored: Scored, calibration: Scored | None, arm: Arm) -> Row:
    """Return what one row reached."""
    if one.weights is None and one is not CEILING:
        return Row(one)
    figures = figures_of(scored.scores[one.key], scored.truth, arm.subsets)
    if calibration is None or one is CEILING:
        return Row(one, figures)
    return Row(one, figures, _carried(one.key, scored, calibration))


def _carried(key: str, scored: Scored, calibration: Scored) -> tuple[Carried, ...]:
    """Return rates at the thresholds that a row's scores of other images gave."""
    limits = thresholds_of(calibration.scores[key], calibration.truth)
    return tuple(
        carried_to(scored.scores[key], scored.truth, rate, limit) for rate, limit in limits.items()
    )


def _ranked(rows: list[Row], scored: Scored) -> tuple[Row, ...]:
    """Rows by AUROC, the oracle first, with what ours is better by."""
    ours = next((row for row in rows if row.entrant.name == OURS and row.figures), None)

    def order(row: Row) -> float:
        return -np.inf if row.figures is None else row.figures.auroc["all"].value

    ranked = sorted(rows, key=lambda row: (row.entrant is not CEILING, -order(row)))
    if ours is None:
        return tuple(ranked)
    return tuple(
        row
        if row.figures is None or row is ours or row.entrant.kind != TRAINED
        else replace(
            row,
            differences=apart(
                scored.scores[ours.entrant.key], scored.scores[row.entrant.key], scored.truth
            ),
        )
        for row in ranked
    )


def compared_with_frozen(name: str, content: str, *, freezes: bool, file: Path = FROZEN) -> str:
    """Say whether images are those that were frozen, and write down those that are new.

    Args:
        name: Suite, arm and size.
        content: Hash of the images.
        freezes: Whether a new hash is written down.
        file: Where the hashes are.
    """
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if name in known:
        same = known[name] == content
        return "as frozen" if same else f"NOT the frozen images, which have {known[name][:16]}"
    if freezes:
        known[name] = content
        text = json.dumps(dict(sorted(known.items())), indent=1)
        file.write_text(text + "\n", encoding="utf-8")
        return "frozen with this page"
    return "not frozen yet"
