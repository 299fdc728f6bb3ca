"""A small catalogue of galaxy stamps in the layout of GalSim's RealGalaxyCatalog."""

import numpy as np
from astropy.io import fits
from astropy.table import Table

SCALE = 0.03
SIGMA = 0.003
SKY = 0.0005
PSF_PIXELS = 3.6
"""Full width at half maximum of the PSF [pixel]."""


def gaussian(height, width, row, column, fwhm, flux, q=1.0):
    """Gaussian of a total flux, its minor axis along the columns; (y, x) float64."""
    y, x = np.indices((height, width))
    sigma = fwhm / 2.3548
    r2 = ((y - row) / q) ** 2 + (x - column) ** 2
    return flux * np.exp(-0.5 * r2 / sigma**2) / (2 * np.pi * sigma**2 * q)


def truths():
    """Noiseless galaxies of different shapes: wide, tall, faint, with a neighbour, none, a star."""
    wide, tall = (50, 71), (80, 61)
    return [
        gaussian(*wide, 26.0, 33.0, 11.0, 9.0, q=0.6),
        gaussian(*tall, 39.5, 30.0, 12.0, 7.0),
        gaussian(*tall, 39.5, 30.0, 9.0, 0.6),
        gaussian(*tall, 39.5, 30.0, 10.0, 7.0),
        np.zeros(wide),
        gaussian(*wide, 24.0, 35.0, PSF_PIXELS, 5.0),
    ]


NEIGHBOUR = gaussian(80, 61, 62.0, 44.0, 6.0, 2.0)
WITH_NEIGHBOUR = 3
EMPTY = 4
STAR = 5


def write_catalog(folder, with_psf=True, with_redshift=True, leave_out=()):
    """Write the files of a catalogue; returns the folder."""
    rng = np.random.default_rng(7)
    images = [truth + (NEIGHBOUR if k == WITH_NEIGHBOUR else 0) for k, truth in enumerate(truths())]
    noisy = [image + SKY + rng.normal(0, SIGMA, image.shape) for image in images]
    _write(folder / "images.fits", noisy)
    n = len(noisy)
    columns = {
        "IDENT": np.arange(100, 100 + n),
        "MAG": 22.0 + np.arange(n),
        "GAL_FILENAME": ["images.fits"] * n,
        "GAL_HDU": np.arange(n),
        "PSF_FILENAME": ["psfs.fits"] * n,
        "PSF_HDU": np.arange(n),
        "PIXEL_SCALE": np.full(n, SCALE),
        "NOISE_MEAN": np.full(n, SKY),
        "NOISE_VARIANCE": np.full(n, SIGMA**2),
    }
    kept = {name: values for name, values in columns.items() if name not in leave_out}
    Table(kept).write(folder / "real_galaxy_catalog_toy.fits")
    if with_psf:
        _write(folder / "psfs.fits", [gaussian(41, 33, 20.3, 15.8, PSF_PIXELS, 1.0)] * n)
    if with_redshift:
        redshifts = {"IDENT": columns["IDENT"][::-1], "zphot": 1.0 + 0.1 * np.arange(n)[::-1]}
        Table(redshifts).write(folder / "real_galaxy_catalog_toy_fits.fits")
    return folder


def _write(path, images):
    units = [fits.PrimaryHDU(images[0]), *(fits.ImageHDU(image) for image in images[1:])]
    fits.HDUList(units).writeto(path)
