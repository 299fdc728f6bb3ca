"""Stamps of real galaxies as sources: read, cleaned, brought to one size and to unit flux.

The layout is that of GalSim's `RealGalaxyCatalog`. How a stamp is drawn on the sky is in
`stronglens.light.pixelated`.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from astropy.io import fits
from jaxtyping import Float32, Float64
from scipy.ndimage import center_of_mass, zoom

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.data.stamp_cleaning import clean, cut_out, noise_gain
from stronglens.lensing.cosmology import angular_diameter_distance

_NEEDED = ("IDENT", "MAG", "GAL_FILENAME", "GAL_HDU", "PIXEL_SCALE", "NOISE_MEAN", "NOISE_VARIANCE")
_FINER = 10
# pixels around the peak of a PSF that are looked at: half maximum lies well inside
_CORE = 12


@dataclass(frozen=True)
class StampRules:
    """Which stamps are good enough, and how they are cleaned."""

    min_snr: float = 50.0
    """Smallest sqrt(sum(flux^2 / variance)) over the pixels of the cleaned galaxy [-]."""
    n_sigma: float = 4.0
    """Details of the image below this many sigma are taken for noise [-]."""
    psf_fwhm: float = 0.11
    """Own PSF of stamps that come without an image of it; 0.106-0.113 in HST ACS F814W mosaics
    [arcsec]."""


@dataclass(frozen=True, eq=False)
class Stamps:
    """Images of galaxies without noise and neighbours, still blurred by the PSF of each."""

    image: Float32[np.ndarray, "n y x"]
    """Light per pixel, of sum one, its centroid on the middle pixel."""
    pixel_scale: Float64[np.ndarray, "n"]
    """Side of a pixel [arcsec/pixel]."""
    magnitude: Float64[np.ndarray, "n"]
    """Apparent magnitude as the catalogue has it [mag AB]."""
    psf_fwhm: Float64[np.ndarray, "n"]
    """Full width at half maximum of the PSF that is in the image [arcsec]."""
    snr: Float64[np.ndarray, "n"]
    """Signal-to-noise ratio before cleaning, single pixels taken as independent [-]."""
    redshift: Float64[np.ndarray, "n"]
    """Photometric redshift; NaN where the folder has none [-]."""
    name: tuple[str, ...]
    """Identifier in the catalogue."""

    def __len__(self) -> int:
        """Return the number of stamps."""
        return len(self.name)

    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> "Stamps":
        """Return some of the stamps."""
        chosen = np.arange(len(self))[index]
        arrays = {f.name: getattr(self, f.name)[chosen] for f in fields(self) if f.name != "name"}
        return Stamps(name=tuple(self.name[k] for k in chosen), **arrays)


def read_stamps(
    folder: Path | str, rules: StampRules | None = None, rows: Sequence[int] | None = None
) -> Stamps:
    """Read a folder in the layout of GalSim's `RealGalaxyCatalog` and clean its stamps.

    The catalogue's sky level is subtracted; neighbours are replaced by the opposite side of the
    galaxy; details that do not stand out of the (correlated) noise, measured on the sky of all the
    stamps, are removed; the light is tapered to zero around the galaxy and towards the edges.

    Args:
        folder: Folder with `real_galaxy_catalog*.fits` and the files it names. Images of PSFs and
            the table `*_fits.fits` with redshifts are used if there.
        rules: Which stamps to keep and how to clean them.
        rows: Rows of the catalogue to read; all of them if left out.

    Returns:
        The stamps that are good enough, in the order of the catalogue, on one odd square size.

    Raises:
        MissingDataError: No catalogue, a column or image that is missing, or too little sky.
        OutOfRangeError: No stamp passes the cut in signal-to-noise ratio.

    Reference:
        Layout: Mandelbaum et al. 2012 and the documentation of GalSim.
    """
    rules, folder = rules or StampRules(), Path(folder)
    catalog = _read_catalog(folder, rows)
    images = _planes(folder, catalog["GAL_FILENAME"], catalog["GAL_HDU"])
    sky = zip(catalog["NOISE_MEAN"], catalog["NOISE_VARIANCE"], strict=True)
    found = [cut_out(image, *noise) for image, noise in zip(images, sky, strict=True)]
    gain = noise_gain(found)
    cleaned = [clean(stamp, gain, rules.n_sigma) for stamp in found]
    snr = np.array([np.sqrt((c**2).sum()) / s.sigma for c, s in zip(cleaned, found, strict=True)])
    keep = np.flatnonzero((snr > 0) & (snr >= rules.min_snr))
    if not len(keep):
        raise OutOfRangeError(
            f"min_snr={rules.min_snr} is above every stamp in '{folder}', whose best has "
            f"{snr.max():.1f}. Lower min_snr, or use brighter galaxies."
        )
    chosen = {name: values[keep] for name, values in catalog.items()}
    return Stamps(
        image=_on_one_size([cleaned[k] for k in keep]),
        pixel_scale=chosen["PIXEL_SCALE"],
        magnitude=chosen["MAG"],
        psf_fwhm=_psf_widths(folder, chosen, rules),
        snr=snr[keep],
        redshift=_redshifts(folder, chosen),
        name=tuple(str(int(value)) for value in chosen["IDENT"]),
    )


def remaining_fwhm(
    psf_fwhm: Float64[np.ndarray, "n"],
    enlargement: Float64[np.ndarray, "n"],
    target_fwhm: Float64[np.ndarray, "n"],
) -> Float64[np.ndarray, "n"]:
    """Width of the kernel that brings stamps from their own PSF to that of a survey.

    Args:
        psf_fwhm: PSF that is in the stamp [arcsec].
        enlargement: Size on the sky over that in the stamp: the scale given to the stamp, and for a
            lensed one its stretch along the arc too, since lensing stretches the blur as well [-].
        target_fwhm: PSF of the survey [arcsec].

    Returns:
        Full width at half maximum of the kernel [arcsec].

    Raises:
        OutOfRangeError: The stamp is more blurred than the survey: it cannot be sharpened.

    Reference:
        Widths of Gaussians add in quadrature; other PSFs do so in their second moments.
    """
    own = psf_fwhm * enlargement
    if not bool((own <= target_fwhm).all()):
        worst = int(np.argmax(own - target_fwhm))
        raise OutOfRangeError(
            f"target_fwhm={target_fwhm[worst]:.3f} arcsec is sharper than the stamp, whose PSF of "
            f"{psf_fwhm[worst]:.3f} arcsec is {own[worst]:.3f} arcsec wide after enlargement by "
            f"{enlargement[worst]:.2f}; a stamp cannot be sharpened. Use a target PSF of at least "
            f"{own[worst]:.3f} arcsec, or enlarge by at most "
            f"{target_fwhm[worst] / psf_fwhm[worst]:.2f}."
        )
    return np.sqrt(target_fwhm**2 - own**2)


def size_scale(
    z_stamp: Float64[np.ndarray, "n"], z_source: Float64[np.ndarray, "n"]
) -> Float64[np.ndarray, "n"]:
    """Enlargement of galaxies of unchanged physical size that are moved to another redshift.

    Args:
        z_stamp: Redshift of the galaxy in the stamp [-].
        z_source: Redshift it is moved to [-].

    Returns:
        Angular size over that in the stamp [-].

    Reference:
        Hogg 1999, eq. 18: an angle is a length over the angular-diameter distance.
    """
    near, far = (
        angular_diameter_distance(torch.from_numpy(z)).numpy() for z in (z_stamp, z_source)
    )
    return near / far


_Columns = Mapping[str, np.ndarray]


def _read_columns(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns of the first table of a file: numbers as float64, words as str; absent ones left out.

    FITS keeps its numbers in the byte order of other machines, which few libraries take.
    """
    with fits.open(path) as units:
        table = units[1].data  # pyright: ignore[reportAttributeAccessIssue]
        chosen = {name: np.array(table[name]) for name in names if name in table.names}
    return {
        name: values.astype(np.float64 if values.dtype.kind in "iuf" else str)
        for name, values in chosen.items()
    }


def _read_catalog(folder: Path, rows: Sequence[int] | None) -> dict[str, np.ndarray]:
    found = sorted(folder.glob("real_galaxy_catalog*.fits"))
    found = [path for path in found if not path.stem.endswith(("_fits", "_selection"))]
    if not found:
        raise MissingDataError(
            f"'{folder}' holds no real_galaxy_catalog*.fits. Give the folder of a catalogue in the "
            "layout of GalSim's RealGalaxyCatalog."
        )
    catalog = _read_columns(found[0], (*_NEEDED, "PSF_FILENAME", "PSF_HDU"))
    missing = sorted(set(_NEEDED) - set(catalog))
    if missing:
        raise MissingDataError(
            f"'{found[0]}' lacks the columns {', '.join(missing)}. Add them, or use the catalogue "
            "as GalSim distributes it."
        )
    chosen = slice(None) if rows is None else list(rows)
    return {name: values[chosen] for name, values in catalog.items()}


def _planes(folder: Path, names: np.ndarray, units: np.ndarray) -> list[np.ndarray]:
    """One image per name of a file and number of a unit in it; every file is opened once."""
    with ExitStack() as stack:
        files = {}
        for name in dict.fromkeys(names):
            if not (folder / name).is_file():
                raise MissingDataError(
                    f"'{folder / name}' is named in the catalogue and not there. Put it beside it."
                )
            files[name] = stack.enter_context(fits.open(folder / name))
        pairs = zip(names, units, strict=True)
        return [np.array(files[name][int(unit)].data, np.float64) for name, unit in pairs]


def _on_one_size(images: Sequence[np.ndarray]) -> Float32[np.ndarray, "n y x"]:
    """Unit flux, centroid on the middle pixel of one odd square."""
    middles = [np.rint(center_of_mass(image)).astype(int) for image in images]
    half = max(
        max(*middle, *(np.array(image.shape) - 1 - middle))
        for image, middle in zip(images, middles, strict=True)
    )
    square = np.zeros((len(images), 2 * half + 1, 2 * half + 1), np.float32)
    for target, image, middle in zip(square, images, middles, strict=True):
        top, left = half - middle
        target[top : top + image.shape[0], left : left + image.shape[1]] = image / image.sum()
    return square


def _psf_widths(folder: Path, catalog: _Columns, rules: StampRules) -> Float64[np.ndarray, "n"]:
    """Width of each stamp's PSF; that of the rules where the folder has no image of it."""
    widths = np.full(len(catalog["IDENT"]), rules.psf_fwhm)
    if not {"PSF_FILENAME", "PSF_HDU"} <= set(catalog):
        return widths
    names = catalog["PSF_FILENAME"]
    known = np.array([(folder / name).is_file() for name in names])
    kernels = _planes(folder, names[known], catalog["PSF_HDU"][known])
    pixels = np.array([psf_width(kernel) for kernel in kernels])
    widths[known] = pixels * catalog["PIXEL_SCALE"][known]
    return widths


def psf_width(kernel: Float64[np.ndarray, "y x"]) -> float:
    """Full width at half maximum of a kernel: of the circle with the area above half of its peak.

    Args:
        kernel: Image of a PSF, its background at zero.

    Returns:
        Width [pixel].

    Reference:
        Definition; between pixels the kernel is a cubic spline.
    """
    row, column = np.unravel_index(np.argmax(kernel), kernel.shape)
    core = kernel[
        max(row - _CORE, 0) : row + _CORE + 1, max(column - _CORE, 0) : column + _CORE + 1
    ]
    fine = np.asarray(zoom(core, _FINER, order=3, mode="grid-constant", grid_mode=True))
    return float(2.0 * np.sqrt((fine > 0.5 * fine.max()).sum() / np.pi) / _FINER)


def _redshifts(folder: Path, catalog: _Columns) -> Float64[np.ndarray, "n"]:
    """Photometric redshift by identifier; NaN where the folder states none."""
    known: dict[float, float] = {}
    for path in folder.glob("real_galaxy_catalog*_fits.fits"):
        table = _read_columns(path, ("IDENT", "ZPHOT", "zphot"))
        redshift = table.get("ZPHOT", table.get("zphot"))
        if redshift is not None:
            known |= dict(zip(table["IDENT"].tolist(), redshift.tolist(), strict=True))
    return np.array([known.get(name, math.nan) for name in catalog["IDENT"].tolist()])
