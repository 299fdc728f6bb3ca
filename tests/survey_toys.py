"""Small surveys on disk: tiles with galaxies and tables of targets on them."""

import csv

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from fits_toys import wcs_header

HEIGHT, WIDTH = 330, 420
SCALE = 0.18


def write_tile(path, *, seed=0, n=60, ra=150.0, bands=("g",), scale=SCALE, size=(HEIGHT, WIDTH)):
    """Tile with Gaussians on a jittered grid, in extensions by band; positions (ra, dec, x, y)."""
    rng = np.random.default_rng(seed)
    height, width = size
    header = wcs_header(scale, height, width, ra=ra, MAGZERO=30.0)
    x, y = rng.uniform(30, width - 31, n), rng.uniform(30, height - 31, n)
    units = []
    for k, band in enumerate(bands):
        image = rng.normal(0, 0.5, size).astype(np.float32)
        for x0, y0 in zip(x, y, strict=True):
            _add_galaxy(image, x0, y0, rng.uniform(500, 5000) * (1 + k), scale)
        units.append(fits.ImageHDU(image, _with(header, FILTER=band), name=band))
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList([fits.PrimaryHDU(), *units]).writeto(path, overwrite=True)
    place = WCS(header).pixel_to_world(x, y)
    return np.stack([place.ra.deg, place.dec.deg, x, y])


def write_targets(path, *places, first=0):
    """CSV table of targets with ra and dec, named obj-0, obj-1, ..."""
    ra, dec = np.concatenate([place[:2] for place in places], axis=1)
    names = [f"obj-{first + k}" for k in range(len(ra))]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["object_id", "ra", "dec"])
        writer.writerows(zip(names, ra.tolist(), dec.tolist(), strict=True))
    return names


def write_survey(folder, n_tiles=2, n=60, **facts):
    """Tiles side by side and one table of all targets; the tiles, the table and the names."""
    folder.mkdir(parents=True, exist_ok=True)
    tiles = [folder / "tiles" / f"tile{k}.fits" for k in range(n_tiles)]
    places = [
        write_tile(tile, seed=k, n=n, ra=150.0 + 0.1 * k, **facts) for k, tile in enumerate(tiles)
    ]
    names = write_targets(folder / "targets.csv", *places)
    return tiles, folder / "targets.csv", names


def _with(header, **cards):
    copy = header.copy()
    copy.update(cards)
    return copy


def _add_galaxy(image, x0, y0, total, scale):
    """Round Gaussian of 1.2 arcsec FWHM."""
    sigma = 1.2 / 2.3548 / scale
    half = int(5 * sigma)
    row, column = round(y0), round(x0)
    rows = np.arange(max(row - half, 0), min(row + half + 1, image.shape[0]))
    columns = np.arange(max(column - half, 0), min(column + half + 1, image.shape[1]))
    shape = np.exp(-((rows[:, None] - y0) ** 2 + (columns - x0) ** 2) / (2 * sigma**2))
    image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += (
        total * shape / (2 * np.pi * sigma**2)
    )
