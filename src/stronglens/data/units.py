"""Images in FITS files, found by their headers; pixels are read, or memory-mapped, when asked for.

What an image is and what belongs to it is found in `stronglens.data.tile_assembly`.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from jaxtyping import Shaped

from stronglens.core.errors import UnreadableFileError
from stronglens.data.parts import BROKEN, COMPRESSED, check_file, truncated, unreadable

_UNNAMED = ("PRIMARY", "COMPRESSED_IMAGE")


@dataclass(frozen=True, eq=False)
class Unit:
    """One image of a FITS file, of two or three axes, whose pixels have not been read."""

    path: Path
    """The file."""
    index: int
    """Number of the header-data unit."""
    name: str
    """Name of the extension, "" where it has none."""
    header: fits.Header
    """Its header."""
    primary: fits.Header
    """First header of the file."""
    shape: tuple[int, ...]
    """Rows and columns, behind the number of planes if there are several."""
    offset: int | None
    """Byte at which the pixels begin; None where they must be decompressed or scaled."""

    def pixels(self) -> Shaped[np.ndarray, "..."]:
        """Pixels as stored: memory-mapped where the file allows it, else read.

        Raises:
            UnreadableFileError: The file is truncated or broken.
        """
        if self.offset is not None:
            mapped = np.memmap(self.path, _dtype(self.header), "r", self.offset, self.shape)
            # a plain array over the same pages, whose slices are made faster
            return np.asarray(mapped)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", AstropyWarning)
            try:
                with fits.open(self.path, memmap=False) as units:
                    data = np.asarray(units[self.index].data)  # type: ignore[attr-defined]
            except BROKEN as error:
                raise UnreadableFileError(unreadable(self.path, error)) from error
        if any("truncated" in str(warning.message) for warning in caught):
            raise UnreadableFileError(truncated(self.path, "its last part is missing"))
        return data.reshape(self.shape)


def image_units(path: Path) -> list[Unit]:
    """Images of a FITS file, from its headers alone.

    Args:
        path: The file, plain or compressed.

    Returns:
        Units with two or three axes longer than one; empty where the file has tables only.

    Raises:
        MissingDataError: There is no such file.
        UnreadableFileError: Empty, truncated, or not FITS.
    """
    check_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        try:
            with fits.open(path, memmap=True) as units:
                primary = units[0].header  # type: ignore[attr-defined]
                found = [_unit(path, k, units, primary) for k in range(len(units))]
        except BROKEN as error:
            raise UnreadableFileError(unreadable(path, error)) from error
    kept = [unit for unit in found if unit is not None]
    for unit in kept:
        _check_length(unit)
    return kept


def _unit(path: Path, index: int, units: fits.HDUList, primary: fits.Header) -> Unit | None:
    """Unit of one image; None for tables and what has no pixels."""
    hdu: Any = units[index]
    if not hdu.is_image:
        return None
    header = hdu.header
    shape = tuple(n for n in hdu.shape if n > 1) if hdu.shape else ()
    if len(shape) not in (2, 3):
        return None
    name = "" if hdu.name in _UNNAMED else hdu.name
    is_plain = path.suffix.lower() not in COMPRESSED and not isinstance(hdu, fits.CompImageHDU)
    is_raw = header.get("BSCALE", 1) == 1 and header.get("BZERO", 0) == 0 and "BLANK" not in header
    place = units.fileinfo(index) if is_plain and is_raw else None
    offset = None if place is None else int(place["datLoc"])
    return Unit(path, index, name, header, primary, shape, offset)


def _dtype(header: fits.Header) -> np.dtype:
    """Type of the numbers as FITS stores them, big-endian."""
    bits = int(header["BITPIX"])  # type: ignore[arg-type]
    return np.dtype(f">{'f' if bits < 0 else 'i'}{abs(bits) // 8}" if bits != 8 else "u1")


def _check_length(unit: Unit) -> None:
    """Refuse a file that ends before the pixels its header states."""
    if unit.offset is None:
        return
    end = unit.offset + int(np.prod(unit.shape)) * _dtype(unit.header).itemsize
    n_bytes = unit.path.stat().st_size
    if end > n_bytes:
        detail = f"its header states {end} bytes up to the end of the image, it has {n_bytes}"
        raise UnreadableFileError(truncated(unit.path, detail))
