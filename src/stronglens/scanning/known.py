"""Known lenses: which targets of a scan are on a list of lenses or candidates.

The list is the user's own table, or the lenscat catalogue where that package is installed.
"""

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord, search_around_sky
from astropy.io.registry import IORegistryError
from astropy.table import Table
from jaxtyping import Bool, Float64, Shaped

from stronglens.core.errors import MissingDataError, OutOfRangeError, UnreadableFileError

LENSCAT = "lenscat"
"""Name that stands for the catalogue of the package lenscat."""
_UNIT = re.compile(r"[\[(].*[\])]")
_RA = ("ra", "ra_deg", "raj2000", "ra_j2000", "alpha_j2000", "radeg")
_DEC = ("dec", "dec_deg", "dej2000", "dec_j2000", "decj2000", "delta_j2000", "dedeg")
_GRADE = ("grading", "grade", "status", "final_grade", "lens_grade")
_NAME = ("name", "object_id", "id", "system", "sysname")
_CONFIRMED = ("confident", "confirmed", "known", "a", "1", "true", "lens")


@dataclass(frozen=True, eq=False)
class KnownLenses:
    """Positions of lenses and candidates that others have found."""

    place: SkyCoord
    """Where they are."""
    name: Shaped[np.ndarray, "n"]
    """Their names."""
    is_confirmed: Bool[np.ndarray, "n"]
    """Whether a lens is certain; others are candidates."""
    radius: float
    """Distance within which a target is the same object [arcsec]."""

    def marks(
        self, ra: Float64[np.ndarray, "m"], dec: Float64[np.ndarray, "m"]
    ) -> Shaped[np.ndarray, "m"]:
        """Return known, candidate or new for each position; "" where a target has none.

        Args:
            ra: Right ascension [deg].
            dec: Declination [deg].
        """
        placed = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
        marks = np.full(len(ra), "", object)
        marks[placed] = "new"
        if not len(placed) or not len(self.name):
            return marks
        targets = SkyCoord(ra[placed] * u.deg, dec[placed] * u.deg)
        target, lens, _, _ = search_around_sky(targets, self.place, self.radius * u.arcsec)
        marks[placed[target]] = "candidate"
        marks[placed[target[self.is_confirmed[lens]]]] = "known"
        return marks


def read_known(source: Path, radius: float) -> KnownLenses:
    """Known lenses from a table with ra and dec, or from lenscat.

    A column such as grade or grading tells lenses (A, confident, confirmed) from candidates;
    without one, all count as known.

    Args:
        source: Any table that astropy reads, plain or compressed, or the word "lenscat".
        radius: Distance within which a target is the same object [arcsec].

    Raises:
        MissingDataError: No such table or package, or no columns with positions.
        UnreadableFileError: It is no table.
        OutOfRangeError: The radius is not positive.
    """
    if not 0 < radius < 3600:
        raise OutOfRangeError(f"known_radius={radius:g} is outside 0 to 3600 arcsec.")
    table = _lenscat() if str(source) == LENSCAT else _table(source)
    names = {_UNIT.sub("", str(name)).strip().lower(): name for name in table.colnames}
    ra, dec = (_column(names, wanted) for wanted in (_RA, _DEC))
    if ra is None or dec is None:
        raise MissingDataError(
            f"'{source}' has columns {', '.join(map(str, table.colnames))}, and none that is "
            "called ra and dec. Rename two of them; positions are in degrees."
        )
    lon, lat = (_numbers(table[name]) for name in (ra, dec))
    usable = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90)
    grade, name = _column(names, _GRADE), _column(names, _NAME)
    confirmed = np.ones(len(table), bool)
    if grade is not None:
        words = [str(value).strip().lower() for value in table[grade]]
        confirmed = np.array([word in _CONFIRMED for word in words], bool)
    labels = np.array(["" if name is None else str(value) for value in table[name or ra]], object)
    return KnownLenses(
        SkyCoord(lon[usable] * u.deg, lat[usable] * u.deg),
        labels[usable],
        confirmed[usable],
        radius,
    )


def _table(source: Path) -> Table:
    if not source.exists():
        raise MissingDataError(
            f"known='{source}' does not exist. Give a table with ra and dec, or the word lenscat."
        )
    name = source.name.lower().removesuffix(".gz")
    form = {".csv": "ascii.csv", ".tsv": "ascii.tab", ".txt": "ascii"}.get(Path(name).suffix)
    try:
        found = Table.read(source, format=form) if form else Table.read(source)
    except (OSError, ValueError, IORegistryError) as error:
        raise UnreadableFileError(
            f"'{source}' is no table that astropy reads ({' '.join(str(error).split())[:200]})."
        ) from error
    if not isinstance(found, Table):
        raise UnreadableFileError(f"'{source}' holds several tables. Give a file with one.")
    return found


def _lenscat() -> Table:
    if importlib.util.find_spec("lenscat") is None:
        raise MissingDataError(
            "known='lenscat' needs the package lenscat. Install it with pip install "
            "'stronglens[known]', or give a table of your own."
        )
    lenscat = importlib.import_module("lenscat")
    return Table(lenscat.catalog)


def _column(names: dict[str, str], wanted: Sequence[str]) -> str | None:
    return next((names[name] for name in wanted if name in names), None)


def _numbers(column: object) -> Float64[np.ndarray, "n"]:
    """Degrees as floats, NaN where there is none."""
    values = np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)
    return np.asarray(values, np.float64)
