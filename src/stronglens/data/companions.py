"""What comes beside an image: noise, flags, mask, PSF; and what they say about its pixels.

The band they make together with the image is put together in `stronglens.data.planes`.
"""

from dataclasses import dataclass

import numpy as np

from stronglens.data.headers import numbers
from stronglens.data.parts import Part, Role

_HARMFUL_BITS = ("MP_BAD", "MP_SAT", "MP_NO_DATA", "MP_CR")
_NOISE_POWERS: dict[Role, float] = {"sigma": -2.0, "variance": -1.0, "ivar": 1.0}
_WORTHLESS_SIGMA = 1e4
_STAND_IN_RATIO = 1e6


@dataclass(frozen=True)
class Companions:
    """Parts that belong to one image."""

    parts: tuple[Part, ...]

    def get(self, role: Role) -> Part | None:
        """Return the part of a role, if there is one."""
        return next((part for part in self.parts if part.role == role), None)


def plane_of(part: Part | None, index: int | None) -> np.ndarray | None:
    """Two-dimensional data of a companion, None where it has none that fits.

    Args:
        part: The companion, if there is one.
        index: Plane of a cube that is asked for, None for a single image.
    """
    if part is None:
        return None
    if part.data.ndim == 2:
        return part.data
    if part.data.ndim == 3 and index is not None and index < len(part.data):
        return part.data[index]
    return None


def noise_ivar(
    shape: tuple[int, ...], companions: Companions, index: int | None, remarks: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Inverse variance, and where the noise map says that a pixel is worthless.

    A pixel is worthless without a positive finite noise, or with 10,000 times the median noise,
    which stands for masked pixels in many noise maps.

    Args:
        shape: Rows and columns of the image.
        companions: What belongs to the image.
        index: Plane of a cube, None for a single image.
        remarks: Takes a remark on a noise map that cannot be used.
    """
    for role, power in _NOISE_POWERS.items():
        noise = plane_of(companions.get(role), index)
        if noise is None or noise.shape != shape:
            continue
        values = noise.astype(np.float64)
        good = np.isfinite(values) & (values > 0)
        if not good.any():
            remarks.append(f"noise map without a positive value ({role}) left out")
            continue
        ivar = np.where(good, values, np.nan) ** power
        with np.errstate(over="ignore"):
            good &= ivar > np.nanmedian(ivar) / _WORTHLESS_SIGMA**2
            good &= np.isfinite(ivar.astype(np.float32))
        return np.where(good, ivar, 0).astype(np.float32), ~good
    return np.zeros(shape, np.float32), np.zeros(shape, bool)


def flagged(shape: tuple[int, ...], companions: Companions, index: int | None) -> np.ndarray:
    """Bad pixels: flags not 0, harmful bits of a mask with named bits, or weight 0.

    Args:
        shape: Rows and columns of the image.
        companions: What belongs to the image.
        index: Plane of a cube, None for a single image.

    Reference:
        Bosch et al. 2018, PASJ 70, S5, for the bits of HSC and LSST masks (MP_ keys).
    """
    bad = np.zeros(shape, bool)
    flags = plane_of(companions.get("flags"), index)
    if flags is not None and flags.shape == shape:
        bad |= flags != 0
    mask = companions.get("mask")
    values = plane_of(mask, index)
    bits = numbers(mask.header, _HARMFUL_BITS) if mask is not None else []
    if bits and values is not None and values.shape == shape:
        bad |= values.astype(np.int64) & sum(1 << int(bit) for bit in bits) != 0
    weight = plane_of(companions.get("weight"), index)
    if weight is not None and weight.shape == shape:
        bad |= ~(weight > 0)
    return bad


def plain_mask(
    shape: tuple[int, ...],
    companions: Companions,
    index: int | None,
    *,
    use: bool,
    remarks: list[str],
) -> np.ndarray:
    """Pixels that a mask without named bits marks, if it is to be used.

    Args:
        shape: Rows and columns of the image.
        companions: What belongs to the image.
        index: Plane of a cube, None for a single image.
        use: Whether what it marks is bad.
        remarks: Takes a remark on a mask that is not used.
    """
    mask = companions.get("mask")
    values = plane_of(mask, index)
    if (
        mask is None
        or values is None
        or values.shape != shape
        or numbers(mask.header, _HARMFUL_BITS)
    ):
        return np.zeros(shape, bool)
    marked = values != 0
    # masks made for fitting a deflector cover the very arcs that a finder looks for
    if not use and marked.any():
        remarks.append(
            f"mask of {100 * marked.mean():.0f} % of the pixels not applied, since it may mark "
            "neighbours or arcs (--use-mask applies it)"
        )
    return marked if use else np.zeros(shape, bool)


def without_stand_in(flux: np.ndarray, remarks: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Flux with one value that stands for bad pixels, such as 100 among 1e-12, replaced.

    Args:
        flux: Image; the largest value is a stand-in if it is a million times the next.
        remarks: Takes a remark on what was found.

    Returns:
        The flux with the median in those places, and the places.
    """
    size = np.where(np.isfinite(flux), np.abs(flux), 0)
    is_stand_in = size == size.max(initial=0)
    rest = size[~is_stand_in]
    if not rest.size or not 0 < rest.max() * _STAND_IN_RATIO < size.max():
        return flux, np.zeros(flux.shape, bool)
    value = flux[is_stand_in][0]
    remarks.append(f"{is_stand_in.sum()} pixels of value {value:g} taken as masked")
    return np.where(is_stand_in, np.nanmedian(flux[~is_stand_in]), flux), is_stand_in
