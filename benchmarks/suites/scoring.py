"""Scores of every row on the same test images, drawn once, scored by all, and dropped.

Blocks are drawn from their seeds and never stored; scores are kept block by block and finder by
finder, so that a run that was stopped, or a row that is new, only does what is missing.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from suites.drawing import Drawer, arcs_of, digest, truth_of
from suites.entrants import Entrant
from suites.looking import logits_of
from suites.oracle import oracle_scores
from tqdm import tqdm

from stronglens.core.files import atomic_path
from stronglens.data.catalog import read_metadata, read_table, write_table
from stronglens.finders.finder import Finder, load_finder
from stronglens.simulation.simulated_set import ObservedBlock

ORACLE = "oracle"


@dataclass(frozen=True)
class Job:
    """Scoring of one part by some rows."""

    drawer: Drawer
    """Draws the images."""
    lenses: Drawer
    """Draws lenses whose arcs the oracle proposes to images without any."""
    folder: Path
    """Where scores are kept."""
    entrants: tuple[Entrant, ...]
    """Rows with weights."""

    def truth_path(self, block: int) -> Path:
        """Return where the truth of a block is kept."""
        return self.folder / "truth" / f"{block:06d}.parquet"

    def score_path(self, key: str, block: int) -> Path:
        """Return where the scores of a block are kept."""
        return self.folder / key / f"{block:06d}.npy"

    def missing(self, block: int) -> list[Entrant]:
        """Return the rows that have not scored a block."""
        return [one for one in self.entrants if not self.score_path(one.key, block).is_file()]

    def is_done(self, block: int) -> bool:
        """Whether nothing is missing of a block."""
        has_truth = self.truth_path(block).is_file()
        return has_truth and self.score_path(ORACLE, block).is_file() and not self.missing(block)


@dataclass(frozen=True, eq=False)
class Scored:
    """What is known of the test images of a part, or of several."""

    truth: dict[str, np.ndarray]
    """Label and truth, row by row."""
    scores: dict[str, np.ndarray]
    """Logits by key of the row; NaN where it gave none."""
    digests: tuple[str, ...]
    """Hash of each block."""


@dataclass
class _Bench:
    """What one process keeps: finders once loaded, and the arcs the oracle proposes."""

    job: Job
    finders: dict[str, Finder] = field(default_factory=dict)
    arcs: np.ndarray | None = None

    def finder(self, one: Entrant) -> Finder:
        """Return a finder, loaded once."""
        if one.key not in self.finders:
            self.finders[one.key] = load_finder(one.weights or "")
        return self.finders[one.key]

    def proposed(self, drawn: ObservedBlock) -> np.ndarray:
        """Return the block's own arcs, or those of the first block of lenses where it has none."""
        own, _ = arcs_of(drawn)
        if len(own):
            return own
        if self.arcs is None:
            self.arcs, _ = arcs_of(self.job.lenses.draw(0))
        return self.arcs

    def work(self, block: int) -> int:
        """Draw a block and let every row score it that has not."""
        job = self.job
        drawn = job.drawer.draw(block)
        made = digest(drawn)
        for one in job.missing(block):
            logits = logits_of(self.finder(one), drawn.images, job.drawer.facts)
            _save(job.score_path(one.key, block), logits)
        if not job.score_path(ORACLE, block).is_file():
            scores = oracle_scores(drawn, self.proposed(drawn), made)
            _save(job.score_path(ORACLE, block), scores)
        write_table(job.truth_path(block), truth_of(drawn), {"digest": made})
        return block


def score(job: Job, workers: int) -> Scored:
    """Score what is missing of a part, and read all of it.

    Args:
        job: The part and its rows.
        workers: Processes of one thread each.
    """
    blocks = range(job.drawer.n_blocks)
    left = [block for block in blocks if not job.is_done(block)]
    with tqdm(total=len(left), desc=f"score {job.folder.name}", unit="block", disable=None) as bar:
        for _ in _worked(job, left, workers):
            bar.update()
    return read_scores(job, blocks)


def read_scores(job: Job, blocks: Sequence[int]) -> Scored:
    """Read the scores and the truth of some blocks."""
    tables = [read_table(job.truth_path(block)) for block in blocks]
    truth = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    keys = [one.key for one in job.entrants] + [ORACLE]
    scores = {
        key: np.concatenate([np.load(job.score_path(key, block)) for block in blocks])
        for key in keys
    }
    digests = tuple(str(read_metadata(job.truth_path(block))["digest"]) for block in blocks)
    return Scored(truth, scores, digests)


def join(parts: Sequence[Scored]) -> Scored:
    """Scores of several parts as one."""
    first = parts[0]
    return Scored(
        {name: np.concatenate([part.truth[name] for part in parts]) for name in first.truth},
        {key: np.concatenate([part.scores[key] for part in parts]) for key in first.scores},
        tuple(text for part in parts for text in part.digests),
    )


def _worked(job: Job, blocks: list[int], workers: int):  # noqa: ANN202 - yields done blocks
    """Do blocks in this process, or in several."""
    if workers <= 1 or len(blocks) < 2:
        bench = _Bench(job)
        yield from (bench.work(block) for block in blocks)
        return
    context = get_context("spawn")
    n = min(workers, len(blocks))
    with ProcessPoolExecutor(n, context, initializer=_start, initargs=(job,)) as pool:
        yield from pool.map(_work, blocks)


_here: list[_Bench] = []


def _start(job: Job) -> None:
    torch.set_num_threads(1)
    _here[:] = [_Bench(job)]


def _work(block: int) -> int:
    return _here[0].work(block)


def _save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, values)
