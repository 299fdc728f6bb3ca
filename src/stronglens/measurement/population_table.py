"""Tables of lenses for `population`: columns, errors, and what cannot be used.

Columns: name, z_lens, z_source, theta_e [arcsec], sigma_v [km/s], slope; errors as `<name>_error`
or `<name>_16` and `<name>_84`; r_eff and aperture [arcsec] where known.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.core.rundir import check_finished
from stronglens.data.target_tables import open_table, read_chunks
from stronglens.lensing.cosmology import ARCSEC_PER_RADIAN, SPEED_OF_LIGHT
from stronglens.measurement.mass_model import SLOPE_SD
from stronglens.measurement.population_task import Population

_TABLE = "measurements.parquet"
_VALUES = ("theta_e", "sigma_v", "slope")
_OTHERS = ("name", "z_lens", "z_source", "r_eff", "aperture", "verdict")
_SUFFIXES = ("_error", "_16", "_84")
_CHUNK = 100_000
# gradient of the dispersion with aperture (Jorgensen, Franx & Kjaergaard 1995)
_APERTURE_POWER = 0.04
_NO_NEWS = 0.999


@dataclass(frozen=True, eq=False)
class LensSample:
    """Lenses with all that the likelihood needs; NaN where a lens lacks something."""

    name: list[str]
    """What they are called."""
    z_lens: Float[np.ndarray, "n"]
    """Redshifts of the deflectors [-]."""
    z_source: Float[np.ndarray, "n"]
    """Redshifts of the sources [-]."""
    slope: Float[np.ndarray, "n"]
    """Slope that is likeliest, the interim prior divided out [-]."""
    slope_error: Float[np.ndarray, "n"]
    """Its standard error [-]."""
    log_ratio: Float[np.ndarray, "n"]
    """ln(c^2 theta_e / (4 pi sigma_v^2)): an isothermal sphere's ln(d_ls/d_source) [-]."""
    log_ratio_error: Float[np.ndarray, "n"]
    """Its standard error [-]."""
    log_aperture: Float[np.ndarray, "n"]
    """ln of the aperture of sigma_v over theta_e; 0 where there is no dispersion [-]."""

    @property
    def has_slopes(self) -> bool:
        """Whether any lens has a slope."""
        return bool(np.isfinite(self.slope).any())

    @property
    def has_ratios(self) -> bool:
        """Whether any lens has a distance ratio."""
        return bool(np.isfinite(self.log_ratio).any())


def read_sample(task: Population) -> LensSample:
    """Read the lenses of a task.

    Args:
        task: The settings.

    Returns:
        Lenses whose verdict is wanted.

    Raises:
        UnknownNameError: A column is missing.
        OutOfRangeError: A redshift, radius, dispersion or error cannot be; the lens is named.
        MissingDataError: No lens is left, or none has a slope or a dispersion.
    """
    table = Path() if task.table is None else task.table
    is_run = (table / _TABLE).is_file()
    if is_run:
        check_finished(table)
    columns = _columns(table / _TABLE if is_run else table)
    if task.redshifts is not None:
        columns = _joined(columns, _columns(task.redshifts), task)
    columns = _wanted(columns, task.verdicts)
    names = _names(columns)
    redshifts = _redshifts(columns, names, task)
    interim = SLOPE_SD if is_run and task.interim_sd is None else task.interim_sd
    slope = _without_prior(*_measured(columns, "slope", names), (task.interim_mean, interim))
    ratio = _log_ratio(columns, names, task)
    sample = LensSample(names, *redshifts, *slope, *ratio)
    if not (sample.has_slopes or sample.has_ratios):
        raise MissingDataError(
            f"no lens of '{task.table}' has a slope that says more than its prior, or both theta_e "
            "and sigma_v. Give columns slope and slope_error, or theta_e, theta_e_error, sigma_v "
            "and sigma_v_error."
        )
    return sample


def _columns(path: Path) -> dict[str, np.ndarray]:
    """Columns that are known here; those of numbers as float64, "" and null as NaN."""
    table = open_table(path)
    known = {*_OTHERS, *_VALUES, *(v + s for v in _VALUES for s in _SUFFIXES)}
    names = [name for name in table.names if name in known]
    if not names:
        raise MissingDataError(
            f"table '{path}' has none of the columns {', '.join(sorted(known))}. Its columns are "
            f"{', '.join(table.names[:12])}. Rename them."
        )
    chunks = list(read_chunks(table, names, _CHUNK))
    joined = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in names}
    words = ("name", "verdict")
    return {
        name: np.array([str(v) for v in values], object) if name in words else _floats(name, values)
        for name, values in joined.items()
    }


def _floats(name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype != object:
        return values.astype(float)
    try:
        return np.array([float(v) if str(v) not in ("", "-", "None") else np.nan for v in values])
    except ValueError as error:
        raise OutOfRangeError(f"column {name!r} holds words: {error}. Give numbers.") from error


def _joined(
    columns: dict[str, np.ndarray], more: dict[str, np.ndarray], task: Population
) -> dict[str, np.ndarray]:
    """Rows of both tables by name; a column that both have is that of the second."""
    for path, table in ((task.table, columns), (task.redshifts, more)):
        if "name" not in table:
            raise MissingDataError(f"table '{path}' has no column 'name' to join by. Add one.")
    place = {name: k for k, name in enumerate(more["name"])}
    rows = np.array([k for k, name in enumerate(columns["name"]) if name in place], int)
    if not len(rows):
        raise MissingDataError(
            f"no name of '{task.table}' ({', '.join(columns['name'][:3])}, ...) is in "
            f"'{task.redshifts}' ({', '.join(more['name'][:3])}, ...). Use the same names."
        )
    there = np.array([place[name] for name in columns["name"][rows]], int)
    return {k: v[rows] for k, v in columns.items()} | {k: v[there] for k, v in more.items()}


def _wanted(columns: dict[str, np.ndarray], verdicts: tuple[str, ...]) -> dict[str, np.ndarray]:
    if "verdict" not in columns:
        return columns
    keep = np.isin(columns["verdict"].astype(str), verdicts)
    if not keep.any():
        raise MissingDataError(
            f"no lens has a verdict among {', '.join(verdicts)}. Name others with --verdicts."
        )
    return {name: values[keep] for name, values in columns.items()}


def _names(columns: Mapping[str, np.ndarray]) -> list[str]:
    n = len(next(iter(columns.values())))
    return [str(v) for v in columns.get("name", [f"row {k}" for k in range(n)])]


def _redshifts(
    columns: Mapping[str, np.ndarray], names: list[str], task: Population
) -> tuple[np.ndarray, np.ndarray]:
    for name in ("z_lens", "z_source"):
        if name not in columns:
            raise MissingDataError(
                f"column {name!r} is missing from '{task.table}'. Add it, or join a table that has "
                "it: --redshifts TABLE, with a column 'name'."
            )
    z_lens, z_source = columns["z_lens"], columns["z_source"]
    for name, values in (("z_lens", z_lens), ("z_source", z_source)):
        _refuse(~(np.isfinite(values) & (values > 0) & (values < 20)), names, name, values,
                "above 0 and below 20")  # fmt: skip
    _refuse(~(z_source > z_lens), names, "z_source", z_source, "above z_lens")
    return z_lens, z_source


def _refuse(
    is_wrong: np.ndarray, names: list[str], column: str, values: np.ndarray, allowed: str
) -> None:
    """Raise for the first lens whose value cannot be."""
    if is_wrong.any():
        k = int(np.flatnonzero(is_wrong)[0])
        raise OutOfRangeError(
            f"{column}={values[k]:g} of lens {names[k]!r} (row {k}; {int(is_wrong.sum())} such "
            f"rows) is not {allowed}. Correct or remove it."
        )


def _measured(
    columns: Mapping[str, np.ndarray], name: str, names: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """A value and its standard error; both NaN where the value is missing."""
    nothing = np.full(len(names), np.nan)
    if name not in columns:
        return nothing, nothing
    value = columns[name]
    if f"{name}_error" in columns:
        error = columns[f"{name}_error"]
    elif {f"{name}_16", f"{name}_84"} <= set(columns):
        error = 0.5 * (columns[f"{name}_84"] - columns[f"{name}_16"])
    else:
        raise MissingDataError(
            f"column {name!r} has no errors. Add '{name}_error', or '{name}_16' and '{name}_84'."
        )
    has_value = np.isfinite(value)
    _refuse(has_value & ~(value > 0), names, name, value, "above 0")
    _refuse(has_value & ~(np.isfinite(error) & (error >= 0)), names, f"{name}_error", error,
            "0 or more")  # fmt: skip
    return value, np.where(has_value, error, np.nan)


def _without_prior(
    slope: np.ndarray, error: np.ndarray, interim: tuple[float, float | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and width of the normal likelihood behind a normal posterior; NaN where it says nothing.

    A slope with an error of zero was held fixed, and says nothing either.
    """
    error = np.where(error > 0, error, np.nan)
    mean, sd = interim
    if sd is None:
        return np.where(np.isfinite(error), slope, np.nan), error
    tells = error < _NO_NEWS * sd
    precision = np.where(tells, 1.0 / np.where(tells, error, 1.0) ** 2 - 1.0 / sd**2, np.nan)
    pull = slope / np.where(tells, error, np.nan) ** 2 - mean / sd**2
    return pull / precision, 1.0 / np.sqrt(precision)


def _log_ratio(
    columns: Mapping[str, np.ndarray], names: list[str], task: Population
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ln(c^2 theta_e / (4 pi sigma_v^2)), its error, and ln(aperture / theta_e)."""
    theta_e, theta_e_error = _measured(columns, "theta_e", names)
    sigma_v, sigma_v_error = _measured(columns, "sigma_v", names)
    aperture = columns.get("aperture", np.full(len(names), task.aperture))
    aperture = np.where(np.isfinite(aperture) & (aperture > 0), aperture, task.aperture)
    if task.relation == "sis" and "r_eff" in columns:
        # to an aperture of half the effective radius, as for nearby galaxies
        r_eff = np.where(columns["r_eff"] > 0, columns["r_eff"], 2.0 * aperture)
        sigma_v = sigma_v * (0.5 * r_eff / aperture) ** -_APERTURE_POWER
    log_ratio = np.log(theta_e / ARCSEC_PER_RADIAN) + 2.0 * np.log(SPEED_OF_LIGHT / sigma_v)
    error = np.hypot(theta_e_error / theta_e, 2.0 * sigma_v_error / sigma_v)
    log_aperture = np.log(aperture / np.where(np.isfinite(theta_e), theta_e, 1.0))
    return log_ratio - math.log(4.0 * math.pi), error, log_aperture
