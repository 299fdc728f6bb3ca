"""One band of one object, put together from an image and what goes with it: noise, mask, PSF.

Which files and extensions there are is found in `stronglens.data.parts`; bands become one cutout in
`stronglens.data.fits`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from stronglens.data.companions import (
    Companions,
    flagged,
    noise_ivar,
    plain_mask,
    plane_of,
    without_stand_in,
)
from stronglens.data.filters import band_name, family_in, filter_in
from stronglens.data.headers import (
    Astrometry,
    astrometry,
    cube_filters,
    family_words,
    filter_words,
    zero_point,
)
from stronglens.data.parts import Part

_MAX_BANDS = 6
# order of the planes in cubes of these surveys, where the header does not give it
_CUBE_ORDER = {("hsc", 5): "grizy", ("ps1", 5): "grizy", ("sdss", 5): "ugriz", ("legacy", 3): "grz"}


@dataclass(frozen=True)
class Hints:
    """What the user knows and files may not say; used only where they do not."""

    pixel_scale: float | None = None
    """Side of a pixel [arcsec]."""
    zero_point: float | None = None
    """Magnitude of one pixel unit [mag AB]."""
    bands: tuple[str, ...] = ()
    """Bands of the planes, in order, of images that do not name theirs."""
    use_mask: bool = False
    """Whether a plain mask marks bad pixels; if not, it may mark neighbours or arcs."""
    flags: int | None = None
    """Bits of a mask of bits that make a pixel bad, where nothing names them."""
    wanted: tuple[str, ...] = ()
    """Bands to keep first where an object has images on several pixel grids."""


@dataclass(frozen=True, eq=False)
class Plane:
    """One band of one object."""

    band: str
    """Name of the band, "" where nothing states it."""
    flux: Float32[np.ndarray, "y x"]
    """Linear [pixel units]."""
    ivar: Float32[np.ndarray, "y x"]
    """Inverse variance; 0 where nothing is known [1 / pixel units^2]."""
    mask: Bool[np.ndarray, "y x"]
    """True where a pixel is bad."""
    psf: np.ndarray | None
    """Kernel as stored."""
    zero_point: float
    """Magnitude of one pixel unit; NaN where not stated [mag AB]."""
    sky: Astrometry
    """Pixel scale and position."""
    remarks: tuple[str, ...] = ()
    """What had to be assumed."""

    @property
    def grid(self) -> tuple[int, int, float]:
        """Rows, columns and pixel scale, the last rounded so that equal ones compare equal."""
        scale = self.sky.pixel_scale
        return (*self.flux.shape, float(f"{scale:.3g}") if math.isfinite(scale) else -1.0)


@dataclass(frozen=True)
class Source:
    """An image and what belongs to it."""

    image: Part
    """The image."""
    companions: Companions
    """Its noise, mask and PSF."""


def cube_bands(image: Part, names: Sequence[str], hints: Hints) -> tuple[str, ...] | None:
    """Filters of a cube's planes, or None where the planes are different objects.

    Args:
        image: Part with three axes.
        names: Names of file and folder, for the survey.
        hints: Bands given by the user.

    Returns:
        One filter per plane, "" where it is a band that nothing names.
    """
    n = image.data.shape[0]
    listed = cube_filters(image.header, n) or cube_filters(image.primary, n)
    if listed:
        return listed
    if len(hints.bands) == n:
        return hints.bands
    if n > _MAX_BANDS or filter_in(filter_words(image.header)):
        return None
    family = family_in([*family_words(image.header), *family_words(image.primary), *names])
    return tuple(_CUBE_ORDER.get((family, n), "")) or ("",) * n


def name_band(image: Part, stated: str, names: Sequence[str]) -> str:
    """Band of an image: the filter stated, else header, extension, file and folder name.

    Args:
        image: The image.
        stated: Filter or band already known, or "".
        names: Names of extension, file and folder, the most telling first.
    """
    if "-" in stated:
        return stated
    stated_words = [stated, *filter_words(image.header), image.name, *filter_words(image.primary)]
    names = [image.file, *names]
    # in a file name J, H or K is more often an initial than a filter
    filter_name = filter_in(stated_words) or filter_in(names, letters="UGRIZY")
    headers = [*family_words(image.header), image.name, *family_words(image.primary)]
    return band_name(filter_name, family_in([*headers, *names]))


def build_plane(
    flux: np.ndarray, band: str, source: Source, index: int | None, hints: Hints
) -> Plane:
    """One band with its noise, mask, PSF, zero point and place.

    Args:
        flux: The pixels [pixel units].
        band: Name of the band.
        source: Image the pixels come from, and what belongs to it.
        index: Plane of a cube, None for a single image.
        hints: What the user knows.
    """
    image, companions = source.image, source.companions
    flux = flux.astype(np.float32)
    remarks: list[str] = []
    mask = flagged(flux.shape, companions, index)
    mask |= plain_mask(flux.shape, companions, index, use=hints.use_mask, remarks=remarks)
    flux, is_stand_in = without_stand_in(flux, remarks)
    ivar, is_worthless = noise_ivar(flux.shape, companions, index, remarks)
    mask |= is_stand_in | is_worthless
    sky = _astrometry(image, flux.shape, companions, remarks)
    psf = plane_of(companions.get("psf"), index)
    return Plane(
        band=band,
        flux=flux,
        ivar=np.where(mask, np.float32(0), ivar),
        mask=mask,
        psf=psf,
        zero_point=zero_point(image.header, image.primary, sky.pixel_scale),
        sky=sky,
        remarks=tuple(remarks),
    )


def _astrometry(
    image: Part, shape: tuple[int, ...], companions: Companions, remarks: list[str]
) -> Astrometry:
    """Astrometry of the image, or the pixel scale of what belongs to it."""
    for header in (image.header, image.primary):
        sky = astrometry(header, *shape)
        if math.isfinite(sky.pixel_scale):
            return sky
    same = [part for part in companions.parts if part.role != "psf" and part.data.shape == shape]
    for part in [*same, *(part for part in companions.parts if part.role == "psf")]:
        sky = astrometry(part.header, *shape)
        if math.isfinite(sky.pixel_scale):
            remarks.append(f"pixel scale {sky.pixel_scale:.4g} from the header of the {part.role}")
            return Astrometry(pixel_scale=sky.pixel_scale)
    return Astrometry()
