"""The row that a measurement becomes: medians and intervals, diagnostics, verdict and reasons."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from stronglens.measurement.inputs import LensInput
from stronglens.measurement.refine import Refined
from stronglens.measurement.verdict import Judgement, Verdict

REPORTED = (
    "theta_e", "theta_e_effective", "e1", "e2", "x_center", "y_center", "gamma1", "gamma2", "slope",
    "beta_x", "beta_y", "log_r_source", "magnification",
)  # fmt: skip
"""Quantities in the table, each with its median and the 16 and 84 % quantiles."""
_QUANTILES = (50.0, 16.0, 84.0)
_SUFFIXES = ("", "_16", "_84")
_NAN3 = (math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class LensRecord:
    """All that a table says of one object."""

    name: str
    """Name of the object."""
    path: str
    """Input it comes from."""
    verdict: Verdict
    """The word on it."""
    reasons: tuple[str, ...]
    """Why not verified."""
    remarks: tuple[str, ...]
    """What was assumed while reading."""
    is_failed: bool
    """Whether it could not be read."""
    seconds: float
    """Time taken [s]."""
    refined: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """Median, 16 and 84 % of each quantity under the exact likelihood."""
    network: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """The same from the network, where there is one."""
    diagnostics: dict[str, float] = field(default_factory=dict)
    """k-hat, effective sample size, chi-square and what the verdict rests on."""

    @classmethod
    def rejected(
        cls, entry: LensInput, reasons: tuple[str, ...], seconds: float, *, is_failed: bool
    ) -> "LensRecord":
        """Record of an object without a measurement."""
        return cls(entry.name, entry.path, "rejected", reasons, entry.remarks, is_failed, seconds)

    @classmethod
    def measured(
        cls,
        entry_and_remarks: tuple[LensInput, tuple[str, ...]],
        refined: Refined,
        judgement: Judgement,
        network: Mapping[str, np.ndarray] | None,
        seconds: float,
    ) -> "LensRecord":
        """Record of a measurement; the numbers of a rejected one are not reported.

        Args:
            entry_and_remarks: The input, and what else was noticed.
            refined: The posterior.
            judgement: The verdict.
            network: Draws of the network, if any.
            seconds: Time taken [s].
        """
        entry, remarks = entry_and_remarks
        is_rejected = judgement.verdict == "rejected"
        return cls(
            name=entry.name,
            path=entry.path,
            verdict=judgement.verdict,
            reasons=judgement.reasons,
            remarks=(*entry.remarks, *remarks),
            is_failed=False,
            seconds=seconds,
            refined={} if is_rejected else quantiles_of(refined.draws),
            network=quantiles_of(network) if network else {},
            diagnostics=_diagnostics(refined),
        )

    def sentence(self) -> str:
        """One line for the log."""
        theta_e, low, high = self.refined.get("theta_e", _NAN3)
        value = "" if math.isnan(theta_e) else f" theta_e {theta_e:.3f} ({low:.3f} to {high:.3f}),"
        why = f": {'; '.join(self.reasons)}" if self.reasons else ""
        return f"{self.name}:{value} {self.verdict}{why} ({self.seconds:.1f} s)"


def quantiles_of(draws: Mapping[str, np.ndarray]) -> dict[str, tuple[float, float, float]]:
    """Median, 16 and 84 % of every reported quantity that there are draws of."""
    found = {}
    for name in REPORTED:
        if name in draws:
            middle, low, high = (float(v) for v in np.percentile(draws[name], _QUANTILES))
            found[name] = (middle, low, high)
    return found


def table_of(records: Sequence[LensRecord]) -> dict[str, np.ndarray]:
    """Columns of the table of measurements; what is not known is NaN.

    Args:
        records: One per row.
    """
    columns: dict[str, np.ndarray] = {
        "name": np.array([r.name for r in records], object).astype(str),
        "input": np.array([r.path for r in records], object).astype(str),
        "verdict": np.array([r.verdict for r in records], object).astype(str),
        "reasons": np.array(["; ".join(r.reasons) for r in records], object).astype(str),
        "remarks": np.array(["; ".join(r.remarks) for r in records], object).astype(str),
    }
    for kind in ("refined", "network"):
        for name in REPORTED:
            values = np.array([getattr(r, kind).get(name, _NAN3) for r in records], float)
            values = values.reshape(len(records), 3)
            for k, suffix in enumerate(_SUFFIXES):
                prefix = "" if kind == "refined" else "network_"
                columns[f"{prefix}{name}{suffix}"] = values[:, k]
    keys = list(_diagnostics(Refined({}, None, None, (), None)))
    for key in keys:
        columns[key] = np.array([r.diagnostics.get(key, math.nan) for r in records], float)
    columns["seconds"] = np.array([r.seconds for r in records], float)
    return columns


def plain_record(record: LensRecord) -> dict[str, Any]:
    """The record as JSON can hold it; a number that is none becomes null."""
    return _without_nan(asdict(record))


def record_from_plain(values: Mapping[str, Any]) -> LensRecord:
    """The record that `plain_record` wrote.

    Args:
        values: What the JSON file holds.
    """

    def number(value: float | None) -> float:
        return math.nan if value is None else float(value)

    def triple(value: Sequence[float | None]) -> tuple[float, float, float]:
        middle, low, high = (number(one) for one in value)
        return middle, low, high

    kept = dict(values)
    for name in ("reasons", "remarks"):
        kept[name] = tuple(values[name])
    for name in ("refined", "network"):
        kept[name] = {key: triple(value) for key, value in values[name].items()}
    kept["diagnostics"] = {key: number(value) for key, value in values["diagnostics"].items()}
    return LensRecord(**kept)


def _diagnostics(refined: Refined) -> dict[str, float]:
    samples, evidence = refined.samples, refined.evidence
    nan = math.nan
    return {
        "k_hat": nan if samples is None else samples.draws.k_hat,
        "effective_sample_size": nan if samples is None else samples.draws.effective_size,
        "n_draws": nan if samples is None else float(len(samples.draws.weights)),
        "log_evidence": nan if samples is None else samples.draws.log_evidence,
        "chi2": refined.chi2,
        "temperature": refined.temperature,
        "n_minima": float(len(refined.minima)),
        "theta_e_model_spread": refined.spread.get("theta_e", nan),
        "arc_snr": nan if evidence is None else evidence.arc_snr,
        "counter_snr": nan if evidence is None else evidence.counter_snr,
        "multiple_share": nan if evidence is None else evidence.multiple_share,
        "lens_gain": nan if evidence is None else evidence.lens_gain,
    }


def _without_nan(value: Any) -> Any:  # noqa: ANN401 - plain values
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
