"""Magnitudes of galaxies of stated types by redshift, in the bands of every survey.

A table made by tools/make_colours.py from published spectra and filter curves; how galaxies of a
type are distributed is the business of `simulation`.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stronglens.core.errors import OutOfRangeError, unknown_name
from stronglens.surveys.records import Band
from stronglens.surveys.survey import surveys

_FILE = Path(__file__).parent / "data" / "colours.npz"


@dataclass(frozen=True)
class ColourTable:
    """The table of magnitudes and where its ingredients come from."""

    templates: dict[str, str]
    """Types of galaxies, each with the file of its spectrum."""
    filters: dict[str, str]
    """Bands, each with the filter curve that stands for it."""
    redshifts: NDArray[np.float64]
    """Redshifts of the last axis."""
    offsets: NDArray[np.float64]
    """Apparent less absolute magnitude less distance modulus, (template, band, redshift) [mag]."""


def template_names() -> list[str]:
    """Return the types of galaxies, from red to blue."""
    return list(colour_table().templates)


def magnitude_offset(template: str, band: str, z: ArrayLike) -> NDArray[np.float64]:
    """Apparent magnitude less absolute magnitude in rest-frame r less distance modulus.

    The reference is SDSS r, AB, at rest. The spectrum does not evolve; neutral hydrogen between the
    galaxies absorbs as in Madau 1995. An offset near 30 stands for no light at all.

    Args:
        template: Type of galaxy, one of `template_names()`.
        band: Name of a band of any registered survey.
        z: Redshift, 0 to 6 [-].

    Returns:
        m_band - M_r - DM(z) [mag], of the shape of z.

    Reference:
        Hogg et al. 2002, eqs. 2 and 8; the factor 1 / (1 + z) of the bandwidth is inside.
    """
    table = colour_table()
    for kind, name, known in (
        ("galaxy template", template, table.templates),
        ("band with colours", band, table.filters),
    ):
        if name not in known:
            raise unknown_name(kind, name, known)
    z = np.asarray(z, dtype=np.float64)
    last = table.redshifts[-1]
    if not ((z >= 0.0) & (z <= last)).all():
        wrong = z[~((z >= 0.0) & (z <= last))].flat[0]
        raise OutOfRangeError(f"z={wrong} is outside 0-{last:g}, the redshifts of the colours.")
    row = list(table.templates).index(template), list(table.filters).index(band)
    return np.interp(z, table.redshifts, table.offsets[row])


def equivalent_band(band: Band) -> str:
    """Return the band of the table that stands for a band of a user's own survey.

    Args:
        band: The band; one that the table has stands for itself, another needs its wavelength.

    Raises:
        OutOfRangeError: The band is not in the table and states no wavelength.
    """
    known = colour_table().filters
    if band.name in known:
        return band.name
    if band.wavelength is None:
        raise OutOfRangeError(
            f"band {band.name!r} has no wavelength and is none of those with colours. State its "
            "effective wavelength [nm]."
        )
    wavelengths = {
        entry.name: entry.wavelength
        for name in surveys.names()
        for entry in surveys.get(name).bands
        if entry.name in known and entry.wavelength is not None
    }
    wanted = np.log(band.wavelength)
    return min(wavelengths, key=lambda name: abs(np.log(wavelengths[name]) - wanted))


@cache
def colour_table() -> ColourTable:
    """Read the table of colours, once."""
    with np.load(_FILE, allow_pickle=False) as file:
        offsets = file["offsets"].astype(np.float64)
        offsets.flags.writeable = False
        return ColourTable(
            templates=_named(file["templates"], file["template_sources"]),
            filters=_named(file["bands"], file["filter_sources"]),
            redshifts=file["redshifts"],
            offsets=offsets,
        )


def _named(names: NDArray[np.str_], sources: NDArray[np.str_]) -> dict[str, str]:
    return dict(zip(names.tolist(), sources.tolist(), strict=True))
