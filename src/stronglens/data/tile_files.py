"""Tiles written as plain FITS: one file per band in a folder, which any reader of tiles opens.

Reading them is in `stronglens.data.tiles` and `data.tile_sources`.
"""

import re
from pathlib import Path

import numpy as np
from astropy.io import fits

from stronglens.core.files import atomic_path
from stronglens.data.tiles import Tile


def write_tile(folder: Path, tile: Tile) -> Path:
    """Write a tile: a file per band with its pixels, and inverse variance, mask and PSF if known.

    Args:
        folder: Made when absent; it becomes one tile.
        tile: The tile.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    header = fits.Header() if tile.wcs is None else tile.wcs.to_header()
    header["PIXSCALE"] = (tile.pixel_scale, "arcsec/pixel")
    for k, band in enumerate(tile.bands):
        own = header.copy()
        own["FILTER"], own["MAGZERO"] = band, float(tile.zero_point[k])
        for key, value in (("GAIN", tile.gain[k]), ("SATURATE", tile.saturation[k])):
            if np.isfinite(value):
                own[key] = float(value)
        units = [fits.PrimaryHDU(), fits.ImageHDU(_marked(tile, k), own, name="SCI")]
        if tile.ivar is not None:
            units.append(fits.ImageHDU(tile.ivar[k], own, name="IVAR"))
        if tile.psf is not None and tile.psf[k].any():
            units.append(fits.ImageHDU(tile.psf[k], name="PSF"))
        name = re.sub(r"[^A-Za-z0-9]+", "-", band).strip("-") or f"band{k}"
        with atomic_path(folder / f"{name.split('-')[-1]}.fits") as temporary:
            fits.HDUList(units).writeto(temporary, overwrite=True)
    return folder


def _marked(tile: Tile, band: int) -> np.ndarray:
    """Pixels of a band, NaN where they are bad."""
    return np.where(tile.mask[band], np.float32(np.nan), tile.flux[band])
