"""Bring a cutout to another pixel scale, size and zero point with its flux and noise kept right.

Which band is used and whether the pixels are usable is asked in `stronglens.data.cutout` and by the
caller.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64
from scipy.interpolate import make_interp_spline

from stronglens.core.errors import MissingDataError, WrongShapeError
from stronglens.data.colour_pictures import are_display_values
from stronglens.data.cutout import Cutout
from stronglens.data.stretch import sky_sigma

_MARGIN = 10
LARGEST_BAD_SHARE = 0.1
"""Part of a new pixel that may have been bad."""
_LARGE_FIELD = 5
CORRELATED = 0.8
"""Scatter of the sky over its noise map below which the map is scaled to the scatter."""


@dataclass(frozen=True)
class Target:
    """Pixel grid and flux scale that a finder was trained on."""

    height: int
    """Number of rows."""
    width: int
    """Number of columns."""
    pixel_scale: float
    """Side of a pixel [arcsec]."""
    zero_point: float
    """Magnitude of one pixel unit; NaN leaves the flux scale [mag AB]."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """Pixels on the target grid."""

    flux: Float32[np.ndarray, "band y x"]
    """Linear [pixel units of the target]."""
    ivar: Float32[np.ndarray, "band y x"]
    """Inverse variance of single pixels; 0 where nothing is known [1 / pixel units^2]."""
    mask: Bool[np.ndarray, "band y x"]
    """True where a pixel is bad."""
    remarks: tuple[str, ...] = ()
    """What had to be assumed."""

    def among(self, n_bands: int, places: Sequence[int]) -> "Resampled":
        """The same planes among more bands, of which the others have no good pixel.

        Args:
            n_bands: Number of bands.
            places: Where those there are belong.
        """
        if list(places) == list(range(n_bands)):
            return self
        shape = (n_bands, *self.flux.shape[1:])
        flux, ivar, mask = np.zeros(shape, "f4"), np.zeros(shape, "f4"), np.ones(shape, bool)
        flux[places], ivar[places], mask[places] = self.flux, self.ivar, self.mask
        return Resampled(flux, ivar, mask, self.remarks)


def field_of(cutout: Cutout, target: Target, pad: float = 0.0) -> Cutout:
    """The part of a cutout that falls on the target's pixels, or an error where it is too small.

    The centres of the target's outermost pixels must lie on the image.

    Args:
        cutout: Image with a known pixel scale.
        target: Grid it shall come to.
        pad: Part of the target's field that may be missing on each axis.

    Raises:
        MissingDataError: The pixel scale is not known.
        WrongShapeError: The field is smaller than the target's.
    """
    scale = cutout.pixel_scale
    if not (math.isfinite(scale) and scale > 0):
        raise MissingDataError(
            "pixel scale not known: no WCS and no PIXSCALE in the header. Pass --pixel-scale "
            "[arcsec/pixel], or add a WCS."
        )
    for n, wanted in ((cutout.height, target.height), (cutout.width, target.width)):
        needed = (wanted - 1) * target.pixel_scale
        if n * scale < needed * (1 - pad) - 1e-6 * scale:
            raise WrongShapeError(
                f"field too small: {_size(cutout.height, cutout.width, scale)}, but the finder "
                f"looks at {_size(target.height, target.width, target.pixel_scale)}. Cut a larger "
                "field, or pass --pad to fill a missing border with sky."
            )
    ratio = target.pixel_scale / scale
    rows, columns = cutout.rows_and_columns(
        math.ceil(target.height * ratio), math.ceil(target.width * ratio)
    )
    return cutout.part(tuple(range(len(cutout.bands))), rows, columns)


def resample(cutout: Cutout, target: Target) -> Resampled:
    """Bring all bands of a cutout to the target's pixels, the object at their centre.

    Along each axis the running sum of the flux is interpolated by a cubic spline and differenced at
    the edges of the new pixels (a histospline): each new pixel holds exactly the flux between its
    edges, whatever the ratio of the scales and the parity of the sizes. The variance is carried
    with the squared weights, which is right for single pixels whose neighbours were independent;
    where the sky scatters less than that, the noise map is scaled to the scatter. A new pixel is
    bad where more than a tenth of its area was. Pixels outside the image are 0 and bad.

    Args:
        cutout: Image, `field_of` having accepted it; values that are not finite count as bad.
        target: Grid and flux scale.

    Reference:
        Boneva, Kendall & Stefanov 1971, J. R. Stat. Soc. B 33, 1, for the histospline.
    """
    ratio = target.pixel_scale / cutout.pixel_scale
    rows, columns = cutout.rows_and_columns(
        math.ceil(target.height * ratio) + 2 * _MARGIN,
        math.ceil(target.width * ratio) + 2 * _MARGIN,
    )
    near = cutout.part(tuple(range(len(cutout.bands))), rows, columns)
    scale = cutout.pixel_scale
    down = axis_weights(near.height, target.height, ratio, cutout.y_center / scale)
    across = axis_weights(near.width, target.width, ratio, cutout.x_center / scale)
    unusable = near.mask | ~np.isfinite(near.flux)
    flux = _both(np.where(np.isfinite(near.flux), near.flux, _middle(near)), down, across, 1)
    bad = _share(unusable, down, across) > LARGEST_BAD_SHARE
    outside = np.outer(down.covered, across.covered) < 0.5 - 1e-6
    ivar = _carried_ivar(near, down, across)
    factor, remarks = _flux_factor(cutout, target)
    flux = np.where(outside, 0, flux * factor[:, None, None]).astype(np.float32)
    ivar = np.where(bad | outside, 0, ivar / factor[:, None, None] ** 2).astype(np.float32)
    ivar, noise_remarks = _as_scattered(flux, ivar, bad | outside)
    remarks += noise_remarks + _field(cutout, target)
    return Resampled(flux, ivar, bad | outside, remarks)


@dataclass(frozen=True, eq=False)
class Axis:
    """Weights from old to new pixels along one axis."""

    spline: Float64[np.ndarray, "new old"]
    """Flux in each new pixel per flux in each old one."""
    area: Float64[np.ndarray, "new old"]
    """Length of each new pixel that each old one covers [old pixels]."""
    covered: Float64[np.ndarray, "new"]
    """Part of each new pixel that lies on the image."""


@lru_cache(maxsize=64)
def axis_weights(n_old: int, n_new: int, ratio: float, shift: float = 0.0) -> Axis:
    """Weights of one axis, both grids centred on each other.

    Args:
        n_old: Number of old pixels.
        n_new: Number of new pixels.
        ratio: Side of a new pixel over that of an old one.
        shift: Middle of the new pixels relative to that of the old ones [old pixels].
    """
    old = np.arange(n_old + 1) - n_old / 2
    new = (np.arange(n_new + 1) - n_new / 2) * ratio + shift
    inside = np.clip(new, old[0], old[-1])
    covered = np.diff(inside) / ratio
    running = np.vstack([np.zeros(n_old), np.tri(n_old)])
    smooth = n_old >= 3
    spline = make_interp_spline(
        old, running, k=3 if smooth else 1, bc_type="natural" if smooth else None
    )
    # a pixel that is partly outside gets the flux its covered part would give all of it
    scale = np.divide(1, covered, out=np.zeros_like(covered), where=covered > 0.25)
    area = np.diff(make_interp_spline(old, running, k=1)(inside), axis=0)
    return Axis(np.diff(spline(inside), axis=0) * scale[:, None], area, covered)


def _both(planes: np.ndarray, down: Axis, across: Axis, power: int) -> np.ndarray:
    """Planes (band, y, x) times the weights, or their squares, of both axes."""
    return (down.spline**power) @ planes.astype(np.float64) @ (across.spline**power).T


def _share(bad: np.ndarray, down: Axis, across: Axis) -> np.ndarray:
    """Part of each new pixel's covered area that was bad."""
    covered = np.outer(down.area.sum(1), across.area.sum(1))
    return (down.area @ bad.astype(np.float64) @ across.area.T) / np.maximum(covered, 1e-12)


def _carried_ivar(cutout: Cutout, down: Axis, across: Axis) -> np.ndarray:
    """Inverse variance of the new pixels in old units; 0 where the old ones were not known."""
    known = cutout.ivar > 0
    with np.errstate(divide="ignore"):
        variance = np.where(known, 1 / cutout.ivar.astype(np.float64), 0)
    for plane, is_known in zip(variance, known, strict=True):
        plane[~is_known] = np.median(plane[is_known]) if is_known.any() else 0
    carried = _both(variance, down, across, 2)
    is_known = (_share(~known, down, across) <= LARGEST_BAD_SHARE) & (carried > 0)
    return np.divide(1, carried, out=np.zeros_like(carried), where=is_known)


def _as_scattered(
    flux: np.ndarray, ivar: np.ndarray, bad: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Inverse variance no smaller than the scatter of the sky allows.

    Images that were resampled before they were published have correlated neighbours, and noise maps
    that state what each pixel had before.
    """
    images, noise, mask = (torch.from_numpy(planes)[None] for planes in (flux, ivar, bad))
    seen = sky_sigma(images, None, mask)[0].numpy()
    stated = sky_sigma(images, noise, mask)[0].numpy()
    ratio = np.where((seen > 0) & (stated > 0), seen / stated, 1.0)
    is_correlated = ratio < CORRELATED
    scale = np.where(is_correlated, ratio, 1.0).astype(np.float32)
    words = ", ".join(f"{value:.2f}" for value in ratio[is_correlated])
    note = f"sky scatters by {words} of its noise map (correlated noise): map scaled to the scatter"
    return ivar / scale[:, None, None] ** 2, (note,) if is_correlated.any() else ()


def _flux_factor(cutout: Cutout, target: Target) -> tuple[np.ndarray, tuple[str, ...]]:
    """Factor per band between the zero points, 1 where one is not known.

    Pogson's ratio: 10^(0.4 (zero point of the target - zero point of the image)). The brightness
    of a picture is a mean over a pixel and no sum.
    """
    if are_display_values(cutout.bands):
        share = (cutout.pixel_scale / target.pixel_scale) ** 2
        return np.full(len(cutout.bands), share), ()
    if not math.isfinite(target.zero_point):
        return np.ones(len(cutout.bands)), ("flux scale kept: the finder has no zero point",)
    shift = target.zero_point - cutout.zero_point
    unknown = [band or "?" for band, s in zip(cutout.bands, shift, strict=True) if np.isnan(s)]
    note = f"flux scale kept: no zero point in the header for {', '.join(unknown)}"
    return 10 ** (0.4 * np.nan_to_num(shift)), (note,) if unknown else ()


def _middle(cutout: Cutout) -> np.ndarray:
    """Median of each band's finite pixels, (band, 1, 1)."""
    middle = [np.median(plane[np.isfinite(plane)]) if np.isfinite(plane).any() else 0
              for plane in cutout.flux]  # fmt: skip
    return np.array(middle)[:, None, None]


def _field(cutout: Cutout, target: Target) -> tuple[str, ...]:
    """Remark where far more sky is on the image than the finder sees, or less."""
    scale = cutout.pixel_scale
    shares = (
        cutout.height * scale / (target.height * target.pixel_scale),
        cutout.width * scale / (target.width * target.pixel_scale),
    )
    image = _size(cutout.height, cutout.width, scale)
    field = _size(target.height, target.width, target.pixel_scale)
    if min(shares) > _LARGE_FIELD:
        return (f"only the central {field} of {image} scored",)
    missing = 1 - min(shares)
    return (
        (f"image of {image} is smaller than {field}: border filled with 0",)
        if missing > 0.02
        else ()
    )


def _size(height: int, width: int, pixel_scale: float) -> str:
    """Size in words, width first as on the sky."""
    return f'{width * pixel_scale:.1f}" x {height * pixel_scale:.1f}" ({width}x{height} pixels)'
