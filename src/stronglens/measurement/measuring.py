"""Measure many lenses: each input in turn, with its folder of figures, and one table of all.

The measurement itself is in `refine`, the verdict in `verdict`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from stronglens.core.errors import StronglensError
from stronglens.core.files import read_json, write_json
from stronglens.core.rundir import RunDirectory
from stronglens.data.catalog import write_fits_table, write_table
from stronglens.measurement.coolest_export import export_measured
from stronglens.measurement.csv_tables import write_csv
from stronglens.measurement.inputs import Given, LensInput, read_lenses
from stronglens.measurement.lens_record import (
    LensRecord,
    plain_record,
    record_from_plain,
    table_of,
)
from stronglens.measurement.pages import draw_lens, write_lens_page, write_table_page
from stronglens.measurement.refine import Refined, RefineOptions, refine
from stronglens.measurement.task import Measure, MeasureResult
from stronglens.measurement.verdict import judge

if TYPE_CHECKING:
    from stronglens.measurement.posterior_network import PosteriorNetwork

N_NETWORK = 1000
"""Draws of the network per lens."""
FAILURES = (ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, ValueError)
"""What one object may raise without an end to the run: it becomes its reason."""
_RECORD = "record.json"


@dataclass(frozen=True, eq=False)
class Measured:
    """One object after its measurement."""

    entry: LensInput
    """The input."""
    record: LensRecord
    """What goes into the table."""
    refined: Refined | None
    """The refined posterior; None where the input could not be read."""


def measure_all(task: Measure, run: RunDirectory) -> MeasureResult:
    """Measure every object of a task and write what the run leaves behind.

    Args:
        task: The settings.
        run: The open run directory.
    """
    given = Given(task.pixel_scale, task.noise, task.psf, task.band)
    options = options_of(task)
    network = _network(task)
    records: list[LensRecord] = []
    folders: dict[str, int] = {}
    bar = tqdm(read_lenses(task.files, given), desc="measure", unit="lens", disable=None)
    for entry in bar:
        folder = _folder_name(entry.name, folders)
        record = _done_before(run.path / folder, entry)
        if record is None:
            record = _measured_into(run, folder, entry, (task, options, network))
        records.append(record)
        bar.set_postfix_str(f"{record.name} {record.verdict}")
        run.progress(n_done=len(records))
    _write_tables(run, records, list(folders))
    return _result(run, records)


def measure_one(
    entry: LensInput, options: RefineOptions, network: "PosteriorNetwork | None", seed: int
) -> Measured:
    """Measure one object.

    Args:
        entry: The input.
        options: Choices of the refinement.
        network: A network for starts and for a posterior of its own, or None.
        seed: Seed of the network's draws.
    """
    begun = perf_counter()
    if entry.image is None:
        record = LensRecord.rejected(entry, (entry.failure,), 0.0, is_failed=True)
        return Measured(entry, record, None)
    try:
        draws, remarks = _network_draws(entry, network, seed)
        refined = refine(entry.image, draws, _options_for(entry, options))
        judgement = judge(refined, draws)
    except FAILURES as error:
        reason = f"the measurement failed: {type(error).__name__}: {error}"
        record = LensRecord.rejected(entry, (reason,), perf_counter() - begun, is_failed=True)
        return Measured(entry, record, None)
    seconds = perf_counter() - begun
    record = LensRecord.measured((entry, remarks), refined, judgement, draws, seconds)
    return Measured(entry, record, refined)


def _done_before(path: Path, entry: LensInput) -> LensRecord | None:
    """Record of an object that an interrupted run has finished; None where there is none."""
    file = path / _RECORD
    if not file.is_file():
        return None
    record = record_from_plain(read_json(file))
    return record if (record.name, record.path) == (entry.name, entry.path) else None


def _measured_into(
    run: RunDirectory,
    folder: str,
    entry: LensInput,
    how: "tuple[Measure, RefineOptions, PosteriorNetwork | None]",
) -> LensRecord:
    """Measure one object and write its folder; the record comes last and says that it is whole."""
    task, options, network = how
    measured = measure_one(entry, options, network, task.seed)
    path = run.path / folder
    path.mkdir(parents=True, exist_ok=True)
    try:
        _write_lens(path, measured, task)
    except FAILURES as error:
        run.log(f"{entry.name}: figures or files are missing: {type(error).__name__}: {error}")
    write_json(path / _RECORD, plain_record(measured.record))
    run.log(measured.record.sentence())
    return measured.record


def options_of(task: Measure) -> RefineOptions:
    """Choices of the refinement that a task makes."""
    radii = None
    if task.theta_e_min is not None and task.theta_e_max is not None:
        radii = (task.theta_e_min, task.theta_e_max)
    return RefineOptions(task.lens_model, task.n_draws, task.seed, radii)


def _options_for(entry: LensInput, options: RefineOptions) -> RefineOptions:
    return RefineOptions(
        options.lens_model, options.n_draws, options.seed, options.theta_e_range,
        entry.has_estimated_psf,
    )  # fmt: skip


def _network(task: Measure) -> "PosteriorNetwork | None":
    if not task.network:
        return None
    from stronglens.measurement.posterior_network import load_posterior  # noqa: PLC0415

    return load_posterior(task.posterior)


def _network_draws(
    entry: LensInput, network: "PosteriorNetwork | None", seed: int
) -> tuple[Mapping[str, np.ndarray] | None, tuple[str, ...]]:
    """Draws of the network, or a remark on why there are none."""
    if network is None or entry.image is None:
        return None, ()
    try:
        return network.draws(entry.image, N_NETWORK, seed=seed), ()
    except StronglensError as error:
        return None, (f"no network posterior: {error}",)


def _folder_name(name: str, taken: dict[str, int]) -> str:
    """Name of a folder for an object, free of other characters and not taken."""
    plain = re.sub(r"[^A-Za-z0-9+._-]+", "_", name) or "lens"
    taken[plain] = taken.get(plain, 0) + 1
    if taken[plain] == 1:
        return plain
    numbered = f"{plain}_{taken[plain]}"
    taken[numbered] = 1
    return numbered


def _write_lens(path: Path, measured: Measured, task: Measure) -> None:
    """Write one object's chain, files for other codes, figures and page."""
    refined = measured.refined
    figures: list[str] = []
    if refined is not None and refined.samples is not None:
        chain = dict(refined.samples.values)
        chain["probability_weights"] = refined.samples.draws.weights
        write_csv(path / "chain.csv", chain)
        export_measured(path, measured.entry, measured.record, refined, task)
        figures = draw_lens(path, measured.record, refined)
    write_lens_page(path / "page.html", measured.record, figures)


def _write_tables(run: RunDirectory, records: Sequence[LensRecord], folders: list[str]) -> None:
    columns = table_of(records)
    write_table(run.path / "measurements.parquet", columns, {"format_version": 1})
    write_fits_table(run.path / "measurements.fits", columns)
    write_csv(run.path / "measurements.csv", columns)
    write_table_page(run.path / "index.html", records, folders)


def _result(run: RunDirectory, records: Sequence[LensRecord]) -> MeasureResult:
    verdicts = [record.verdict for record in records]
    rejected = [record for record in records if record.verdict == "rejected"]
    return MeasureResult(
        path=run.path,
        n_rows=len(records),
        n_verified=verdicts.count("verified"),
        n_refined=verdicts.count("refined"),
        n_network_only=verdicts.count("network-only"),
        n_rejected=len(rejected),
        n_failed=sum(record.is_failed for record in records),
        median_seconds=float(np.median([r.seconds for r in records])) if records else 0.0,
        first_rejection=f"{rejected[0].name}: {'; '.join(rejected[0].reasons)}" if rejected else "",
    )
