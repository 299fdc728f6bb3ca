"""Which injected lenses a scan found: completeness against Einstein radius, arc S/N, magnitude.

Painting them is in `scanning.injection`; the smooth surface is fitted by `training.selection`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64
from scipy.spatial import KDTree

from stronglens.core.errors import StronglensError
from stronglens.core.files import atomic_path
from stronglens.core.rundir import RunDirectory
from stronglens.data.catalog import read_table, write_table
from stronglens.data.table_stream import read_in_parts
from stronglens.evaluation.metrics import binomial_estimate
from stronglens.plots.recovery import RecoveryPanel, recovery_figure
from stronglens.training.selection import SELECTION, selection_of, write_selection

Columns = dict[str, np.ndarray]
MATCH = 1.0
"""Distance within which a row of the catalogue is an injected lens [arcsec]."""
_BINS = 6
_FEWEST = 5
_KNOWN = 0.8
"""Share of lenses for which a property must be known to be shown."""
_SHARES = (0.1, 0.01, 0.001)


def measure_recovery(run: RunDirectory, scan: Path, injected: Columns) -> Columns:
    """Match injected lenses with the candidates of a blind scan, and write what was found.

    Args:
        run: Run whose selection function it becomes.
        scan: Directory of the scan of the painted tiles.
        injected: Truth table of the lenses.

    Returns:
        The truth with is_detected (there is a row), is_recovered (it is a candidate), score.
    """
    rows = read_table(scan / "candidates.parquet")
    nearest = match(injected, rows, MATCH)
    here = nearest >= 0
    table = {name: values for name, values in injected.items() if values.ndim == 1}
    table["is_detected"] = here
    table["score"] = np.where(here, rows["score"][nearest], np.nan)
    table["is_recovered"] = here & rows["is_candidate"][nearest]
    write_table(run.path / "recovery.parquet", table)
    found = table["is_recovered"]
    share = binomial_estimate(int(found.sum()), len(found))
    run.log(f"{len(found)} lenses injected, {int(here.sum())} detected, recovered {share}")
    for line in _at_shares(run.path / "candidates.parquet", table):
        run.log(line)
    _write_figure(run.path / "recovery.png", table)
    _write_surface(run, table)
    return table


def _at_shares(catalogue: Path, table: Columns) -> Iterator[str]:
    """Lines on what is recovered where a stated share of the survey's own targets passes."""
    n_scored, n_passed = 0, 0
    for rows in read_in_parts(catalogue, columns=("score", "is_candidate")):
        n_scored += int(np.isfinite(rows["score"]).sum())
        n_passed += int(rows["is_candidate"].sum())
    if n_scored:
        yield f"at the same threshold {n_passed / n_scored:.2%} of {n_scored} other targets pass"
    ranks = {share: round(n_scored * share) for share in _SHARES if n_scored * share >= 1}
    scores = _scores_at(catalogue, sorted(ranks.values()))
    for share, rank in ranks.items():
        found = int((table["score"] >= scores[rank]).sum())
        kept = binomial_estimate(found, len(table["score"]))
        yield f"at {scores[rank]:.4f}, where {share:.1%} of other targets pass: recovered {kept}"


def _scores_at(catalogue: Path, ranks: Sequence[int]) -> dict[int, float]:
    """Score of the first, second, ... row of a catalogue, the best first, read as far as needed."""
    found, start = {}, 0
    for rows in read_in_parts(catalogue, columns=("score",)):
        stop = start + len(rows["score"])
        found |= {k: float(rows["score"][k - 1 - start]) for k in ranks if start < k <= stop}
        start = stop
        if len(found) == len(ranks):
            break
    return found


def match(lenses: Columns, rows: Columns, radius: float) -> np.ndarray:
    """Row of the catalogue at each lens: the best scored one within a radius, -1 for none.

    Args:
        lenses: Columns ra, dec [deg].
        rows: Columns ra, dec [deg], score.
        radius: Largest distance [arcsec].
    """
    known = np.flatnonzero(np.isfinite(rows["ra"]) & np.isfinite(rows["dec"]))
    if not len(known):
        return np.full(len(lenses["ra"]), -1)
    tree = KDTree(_unit_vectors(rows["ra"][known], rows["dec"][known]))
    chord = 2 * np.sin(np.radians(radius / 3600) / 2)
    near = tree.query_ball_point(_unit_vectors(lenses["ra"], lenses["dec"]), chord)
    score = np.nan_to_num(rows["score"], nan=-1.0)
    best = [max(known[places], key=lambda k: score[k]) if places else -1 for places in near]
    return np.array(best, np.int64)


def recovered_fraction(
    values: Float64[np.ndarray, "n"], found: Bool[np.ndarray, "n"], n_bins: int = _BINS
) -> Columns:
    """Recovered fraction in bins of equal numbers, with 95 % intervals.

    Args:
        values: A property of lenses; NaN is left out.
        found: Whether each was recovered.
        n_bins: Number of bins.

    Returns:
        Columns low, high, n, fraction, fraction_low, fraction_high.
    """
    good = np.isfinite(values)
    # an interval of fewer lenses says nothing
    n_bins = max(min(n_bins, int(good.sum()) // _FEWEST), 1)
    edges = np.quantile(values[good], np.linspace(0, 1, n_bins + 1))
    place = np.clip(np.searchsorted(edges, values[good], side="right") - 1, 0, len(edges) - 2)
    lines = []
    for k in range(len(edges) - 1):
        inside = found[good][place == k]
        if not len(inside):
            continue
        share = binomial_estimate(int(inside.sum()), len(inside))
        lines.append((edges[k], edges[k + 1], len(inside), share.value, share.low, share.high))
    names = ("low", "high", "n", "fraction", "fraction_low", "fraction_high")
    return {name: np.array(column) for name, column in zip(names, zip(*lines, strict=True),
            strict=True)}  # fmt: skip


def _write_figure(path: Path, table: Columns) -> None:
    """Draw the recovered fraction against what it depends on."""
    panels = []
    for name, label in _properties(table):
        bins = recovered_fraction(table[name].astype(np.float64), table["is_recovered"])
        panels.append(RecoveryPanel(label, bins, is_logarithmic=not name.startswith("mag_")))
    with atomic_path(path) as temporary:
        recovery_figure(panels).savefig(temporary, format="png")


def _write_surface(run: RunDirectory, table: Columns) -> None:
    """Fit and write the selection function, or say why there is none."""
    columns = {name: table[name].astype(np.float64) for name, _ in _properties(table)}
    try:
        surface, _ = selection_of(columns, table["is_recovered"], {"made_by": "stronglens scan"})
    except StronglensError as error:
        run.log(f"no selection function: {error}")
        return
    write_selection(run.path / SELECTION, surface, columns)


def _properties(table: Columns) -> Sequence[tuple[str, str]]:
    """Columns that completeness is shown against, with their labels."""
    magnitude = sorted(name for name in table if name.startswith("mag_deflector"))
    reddest = [name for name in magnitude if name.endswith(("-i", "-r"))] or magnitude
    wanted = [
        ("theta_e", "Einstein radius [arcsec]"),
        ("arc_snr", "arc S/N"),
        *(
            (name, f"deflector in {name.removeprefix('mag_deflector_')} [mag AB]")
            for name in reddest[:1]
        ),
    ]
    return [
        (name, label)
        for name, label in wanted
        if name in table and np.isfinite(table[name]).mean() > _KNOWN
    ]


def _unit_vectors(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Points on the unit sphere."""
    lon, lat = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
