"""Many cutouts from one tile at once, and whether each can be used.

Opening tiles is in `stronglens.data.tile_sources`, where targets lie in `data.targets`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, Shaped
from scipy.ndimage import binary_opening

from stronglens.core.errors import OutOfRangeError
from stronglens.data.survey_tile import BandImage, TileGrid


@dataclass(frozen=True)
class CutRules:
    """When a cutout is no longer ok."""

    max_outside: float = 0.0
    """Largest part of a cutout that may lie outside its tile; more is `edge` [-]."""
    max_bad: float = 0.5
    """Largest part that may be bad in any band, and in the central box; more is `masked` [-]."""
    centre: float = 2.0
    """Side of the central box [arcsec]."""


@dataclass(frozen=True, eq=False)
class Cuts:
    """Cutouts of one tile, on its pixels, all bands in units of one zero point."""

    flux: Float32[np.ndarray, "n band k l"]
    """Linear; 0 outside the tile and where a pixel is not finite [pixel units]."""
    ivar: Float32[np.ndarray, "n band k l"]
    """Inverse variance; 0 where nothing is known [1 / pixel units^2]."""
    mask: Bool[np.ndarray, "n band k l"]
    """True where a pixel is bad or outside the tile."""
    psf: Float32[np.ndarray, "n band p q"] | None
    """Kernel of each band at the target, sum 1, 0 where a band has none; None where all have
    none."""
    x: Float64[np.ndarray, "n"]
    """Column of the target minus that of the cutout's middle, (size - 1) / 2 [pixel]."""
    y: Float64[np.ndarray, "n"]
    """Row of the target minus that of the cutout's middle [pixel]."""
    status: Shaped[np.ndarray, "n"]
    """`ok`, `edge`, `masked` or `outside`, as in `data.targets.TargetStatus`."""
    reason: Shaped[np.ndarray, "n"]
    """Why a cutout is not ok; "" where it is."""

    def __len__(self) -> int:
        """Return the number of cutouts."""
        return len(self.flux)


@dataclass(frozen=True, eq=False)
class _Boxes:
    """Where cutouts lie on a tile: first row and column, and the part that is on it."""

    row: Int64[np.ndarray, "n"]
    column: Int64[np.ndarray, "n"]
    size: int
    height: int
    width: int

    def order(self) -> Int64[np.ndarray, "n"]:
        """Order in which a file is read from front to back."""
        return np.lexsort((self.column, self.row))

    def outside(self) -> Float64[np.ndarray, "n"]:
        """Part of each box that is outside the tile."""
        rows = self._inside(self.row, self.height)
        return 1 - rows * self._inside(self.column, self.width) / self.size**2

    def _inside(self, first: Int64[np.ndarray, "n"], n: int) -> Float64[np.ndarray, "n"]:
        inside = np.minimum(first + self.size, n) - np.maximum(first, 0)
        return np.clip(inside, 0, self.size).astype(np.float64)


_RULES = CutRules()


def cut_many(
    tile: TileGrid,
    x: Float64[np.ndarray, "n"],
    y: Float64[np.ndarray, "n"],
    size: int,
    rules: CutRules = _RULES,
) -> Cuts:
    """Square cutouts around many positions of one tile.

    Pixels are not interpolated: the middle of a cutout is within half a pixel of the target.

    Args:
        tile: Bands of a tile on one pixel grid; in memory or memory-mapped.
        x: Columns of the targets, from 0 at the centre of the first pixel [pixel].
        y: Rows of the targets [pixel].
        size: Side of a cutout [pixel].
        rules: When a cutout is no longer ok.

    Returns:
        One cutout per target, in the order given; also for those that are not ok.

    Raises:
        OutOfRangeError: The size is not positive, or a position is not finite.
    """
    if size < 1 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise OutOfRangeError(
            f"cutouts of size={size} pixels at positions of which "
            f"{int((~np.isfinite(x) | ~np.isfinite(y)).sum())} are not finite; a size from 1 and "
            "finite positions are allowed. Leave targets without a position out."
        )
    # targets far off the tile must not overflow an integer
    column, row = (
        np.floor(np.clip(place, -1e9, 1e9) - (size - 1) / 2 + 0.5).astype(np.int64)
        for place in (x, y)
    )
    boxes = _Boxes(row, column, size, tile.height, tile.width)
    shape = (len(x), len(tile.images), size, size)
    flux, ivar = np.empty(shape, np.float32), np.zeros(shape, np.float32)
    mask = np.empty(shape, bool)
    for k, image in enumerate(tile.images):
        planes = flux[:, k], ivar[:, k], mask[:, k]
        _cut_band(image, boxes, tile.zero_point, planes)
    status, reason = _judged(mask, boxes, tile, rules)
    middle = (size - 1) / 2
    return Cuts(
        flux=flux,
        ivar=ivar,
        mask=mask,
        psf=psf_at(tile, x, y),
        x=x - (column + middle),
        y=y - (row + middle),
        status=status,
        reason=reason,
    )


def psf_at(
    tile: TileGrid, x: Float64[np.ndarray, "n"], y: Float64[np.ndarray, "n"]
) -> Float32[np.ndarray, "n band p q"] | None:
    """Kernels of all bands at places of a tile, on one size; None where no band has a PSF.

    Args:
        tile: Bands of a tile on one pixel grid.
        x: Columns [pixel].
        y: Rows [pixel].
    """
    psfs = [image.psf for image in tile.images]
    side = max((psf.size for psf in psfs if psf is not None), default=0)
    if side == 0:
        return None
    kernels = np.zeros((len(x), len(psfs), side, side), np.float32)
    for k, psf in enumerate(psfs):
        if psf is not None:
            margin = (side - psf.size) // 2
            inner = slice(margin, side - margin)
            kernels[:, k, inner, inner] = psf.kernels(x, y)
    return kernels


def _cut_band(
    image: BandImage,
    boxes: _Boxes,
    zero_point: float,
    planes: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Fill flux, inverse variance (zeros so far) and mask of one band."""
    flux, ivar, bad = planes
    scale = 10 ** (0.4 * (zero_point - image.zero_point))
    scale = scale if np.isfinite(scale) else 1.0
    _cut_plane(image.flux, boxes, np.nan, flux)
    np.isfinite(flux, out=bad)
    np.logical_not(bad, out=bad)
    if bad.any():
        flux[bad] = 0
    if image.noise is not None:
        values, is_worthless = _ivar(image, _cut(image.noise, boxes, np.dtype(np.float32)))
        ivar[:] = values / scale**2 if scale != 1 else values
        bad |= is_worthless
    if image.weight is not None:
        bad |= ~(_cut(image.weight, boxes, np.dtype(np.float32)) > 0)
    for flags in image.flags:
        values = _cut(flags.values, boxes, flags.values.dtype.newbyteorder("="))
        bad |= (values.astype(np.int64) & flags.bits) != 0
    if image.noise is None and image.weight is None and not image.flags:
        _mark_unobserved(flux, bad)
    if image.noise is not None:
        ivar[bad] = 0
    if scale != 1:
        flux *= np.float32(scale)


def _mark_unobserved(flux: np.ndarray, bad: np.ndarray) -> None:
    """Mark areas of exact zeros as bad; single ones are sky in an image stored in steps."""
    is_zero = (flux == 0) & ~bad
    some = np.flatnonzero(is_zero.any(axis=(1, 2)))
    if len(some):
        bad[some] |= binary_opening(is_zero[some], np.ones((1, 3, 3), bool))


def _ivar(image: BandImage, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse variance, and where the noise says that a pixel is worthless."""
    with np.errstate(invalid="ignore"):
        good = (noise > 0) & (noise < np.inf)
    ivar = noise
    if image.noise_power != 1:
        # in double precision, since the square of 1e-20 is no single-precision number
        ivar = np.where(good, noise, 1).astype(np.float64) ** image.noise_power
    good &= ivar > image.smallest_ivar
    return ivar, ~good


def _cut(plane: np.ndarray, boxes: _Boxes, dtype: np.dtype) -> np.ndarray:
    """Boxes of one plane (n, size, size), 0 where they are outside."""
    cuts = np.empty((len(boxes.row), boxes.size, boxes.size), dtype)
    _cut_plane(plane, boxes, 0.0, cuts)
    return cuts


def _cut_plane(plane: np.ndarray, boxes: _Boxes, outside: float, cuts: np.ndarray) -> None:
    """Fill cuts with the boxes of one plane, and with a value where they are outside."""
    size = boxes.size
    rows, columns = boxes.row.tolist(), boxes.column.tolist()
    last_row, last_column = boxes.height - size, boxes.width - size
    for k in boxes.order().tolist():
        row, column = rows[k], columns[k]
        if 0 <= row <= last_row and 0 <= column <= last_column:
            cuts[k] = plane[row : row + size, column : column + size]
            continue
        cuts[k] = outside
        top, left = max(row, 0), max(column, 0)
        part = plane[top : max(row + size, 0), left : max(column + size, 0)]
        if part.size:
            height, width = part.shape
            cuts[k, top - row : top - row + height, left - column : left - column + width] = part


def _judged(
    mask: np.ndarray, boxes: _Boxes, tile: TileGrid, rules: CutRules
) -> tuple[np.ndarray, np.ndarray]:
    """Status of each cutout and, where it is not ok, the reason."""
    size, n = boxes.size, len(mask)
    status, reason = np.full(n, "ok", object), np.full(n, "", object)
    if n == 0:
        return status, reason
    side = rules.centre / tile.pixel_scale if tile.pixel_scale > 0 else 1.0
    margin = max((size - max(round(side), 1)) // 2, 0)
    inner = slice(margin, size - margin)
    centre = mask[:, :, inner, inner]
    bad = np.count_nonzero(mask, axis=(2, 3)).max(1) / size**2
    central = np.count_nonzero(centre, axis=(2, 3)).max(1) / max(centre[0, 0].size, 1)
    outside = boxes.outside()
    for k in np.flatnonzero((bad > rules.max_bad) | (central > rules.max_bad)):
        status[k] = "masked"
        reason[k] = (
            f"{100 * bad[k]:.0f} % of the pixels and {100 * central[k]:.0f} % of the centre are "
            f"masked; at most {100 * rules.max_bad:.0f} % may be"
        )
    for k in np.flatnonzero(outside > rules.max_outside):
        status[k] = "outside" if outside[k] == 1 else "edge"
        reason[k] = f"{100 * outside[k]:.0f} % of the cutout is outside tile {tile.tile_id}"
    return status, reason
