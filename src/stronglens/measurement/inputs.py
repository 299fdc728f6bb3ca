"""From files, folders and datasets to images of lenses; what is missing is estimated and said so.

Which pieces of a file are what is found in `stronglens.data`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from stronglens.core.errors import MissingDataError, StronglensError, WrongShapeError
from stronglens.data.cutout import MAX_MASKED, SMALLEST_SIDE, Cutout, stack_kernels
from stronglens.data.fits import object_name, read_cutouts
from stronglens.data.inputs import list_inputs
from stronglens.data.layout import IMAGES
from stronglens.data.planes import Hints
from stronglens.data.store import open_dataset
from stronglens.measurement.coolest_reading import read_coolest
from stronglens.measurement.lens_image import LensImage
from stronglens.measurement.noise_estimate import estimate_sigma, usual_psf

MASKED_SIGMA = 1e4
"""Noise above this many medians means that a pixel is masked."""


@dataclass(frozen=True, eq=False)
class LensInput:
    """One object to be measured, or the reason why it cannot be."""

    name: str
    """What it is called."""
    path: str
    """File, folder or dataset it comes from."""
    image: LensImage | None = None
    """The image; None where it cannot be used."""
    failure: str = ""
    """Why there is no image."""
    remarks: tuple[str, ...] = ()
    """What had to be assumed."""
    has_estimated_noise: bool = False
    """Whether the noise was estimated from the image."""
    has_estimated_psf: bool = False
    """Whether the PSF was assumed."""


@dataclass(frozen=True)
class Given:
    """What the user says about all inputs."""

    pixel_scale: float | None = None
    """Pixel scale where files do not state it [arcsec/pixel]."""
    noise: Path | None = None
    """Noise map of inputs that have none."""
    psf: Path | None = None
    """PSF of inputs that have none."""
    band: str | None = None
    """Band to measure; by default the first."""


def read_lenses(paths: Sequence[Path], given: Given) -> Iterator[LensInput]:
    """Images of lenses from files, folders and datasets, each with what is known about it.

    Args:
        paths: FITS files, folders, patterns, dataset directories or COOLEST files.
        given: What the user says.

    Yields:
        One record per object; one without an image where something is wrong with it.
    """
    for path in paths:
        if (path / IMAGES).is_dir():
            yield from _dataset_lenses(path, given)
            continue
        if path.suffix.lower() == ".json":
            yield _coolest_lens(path)
            continue
        for one in list_inputs([path]):
            try:
                for cutout in read_cutouts(one, _hints(given)):
                    yield lens_of(cutout, given)
            except (StronglensError, OSError, ValueError) as error:
                yield LensInput(object_name(one), str(one), failure=str(error))


def lens_of(cutout: Cutout, given: Given) -> LensInput:
    """The image of one band of a cutout, ready to be measured.

    Args:
        cutout: The object.
        given: What the user says.
    """
    try:
        return _lens_of(cutout, given)
    except StronglensError as error:
        return LensInput(cutout.object_id, cutout.input, failure=str(error))


def _lens_of(cutout: Cutout, given: Given) -> LensInput:
    remarks = list(cutout.remarks)
    band = _band_index(cutout, given.band, remarks)
    flux = cutout.flux[band].astype(float)
    if not np.isfinite(flux).all():
        remarks.append(f"{int((~np.isfinite(flux)).sum())} pixels that are no number are masked")
    mask = cutout.mask[band] | ~np.isfinite(flux)
    scale = _pixel_scale(cutout, given)
    sigma, mask, is_estimated = _noise(cutout, band, mask, given)
    if (fault := pixel_fault(flux, mask)) is not None:
        return LensInput(cutout.object_id, cutout.input, failure=fault, remarks=tuple(remarks))
    psf = _psf(cutout, band, given)
    if is_estimated:
        remarks.append("no noise map: noise estimated from the image")
    if psf is None:
        remarks.append("no PSF: a Gaussian of 2.5 pixels assumed, and its width varied by 20 %")
    image = LensImage(
        flux=np.where(mask, 0.0, flux), sigma=sigma, mask=mask,
        psf=usual_psf() if psf is None else psf, pixel_scale=scale, name=cutout.object_id,
    )  # fmt: skip
    return LensInput(
        cutout.object_id, cutout.input, image, remarks=tuple(remarks),
        has_estimated_noise=is_estimated, has_estimated_psf=psf is None,
    )  # fmt: skip


def pixel_fault(flux: np.ndarray, mask: np.ndarray) -> str | None:
    """Why pixels cannot be measured, None where they can.

    Args:
        flux: The image.
        mask: True where a pixel is bad.
    """
    if min(flux.shape) < SMALLEST_SIDE:
        return f"too small: {flux.shape[0]}x{flux.shape[1]} pixels. Cut a larger field."
    if not np.isfinite(flux).any():
        return "no pixel is a number: the image is all NaN or infinite. Take another image."
    share = float(mask.mean())
    if share > MAX_MASKED:
        return (
            f"{100 * share:.0f} % of the pixels are masked or no number; at most "
            f"{100 * MAX_MASKED:.0f} % may be. Check mask and noise map, or take another image."
        )
    good = flux[~mask]
    if np.ptp(good) == 0:
        return f"all pixels have the constant value {good[0]:g}; an image has noise."
    return None


def _dataset_lenses(path: Path, given: Given) -> Iterator[LensInput]:
    """Rows of a dataset, one after the other."""
    dataset = open_dataset(path)
    names = dataset.column("object_id") if "object_id" in dataset.columns() else None
    for row in range(dataset.n):
        images = dataset.images(slice(row, row + 1))
        n_bands = images.flux.shape[1]
        flux = images.flux[0]
        ivar = np.zeros_like(flux) if images.ivar is None else images.ivar[0]
        mask = np.zeros(flux.shape, bool) if images.mask is None else images.mask[0]
        psf = None if images.psf is None else images.psf[-1 if len(images.psf) == 1 else 0]
        cutout = Cutout(
            flux=flux, ivar=ivar, mask=mask, bands=tuple(dataset.bands),
            zero_point=np.full(n_bands, float(np.mean(dataset.zero_point))),
            pixel_scale=float(dataset.pixel_scale),
            object_id=str(row if names is None else names[row]), input=f"{path}#{row}", psf=psf,
        )  # fmt: skip
        yield lens_of(cutout, given)


def _coolest_lens(path: Path) -> LensInput:
    """The image of a COOLEST file of any code; its model plays no part."""
    try:
        image = read_coolest(path).image
    except StronglensError as error:
        return LensInput(path.stem, str(path), failure=str(error))
    if image is None:
        return LensInput(path.stem, str(path), failure="the COOLEST file names no image.")
    if (fault := pixel_fault(image.flux, image.mask)) is not None:
        return LensInput(image.name, str(path), failure=fault)
    return LensInput(image.name, str(path), image)


def _hints(given: Given) -> Hints:
    wanted = () if given.band is None else (given.band,)
    return Hints(pixel_scale=given.pixel_scale, wanted=wanted)


def _band_index(cutout: Cutout, wanted: str | None, remarks: list[str]) -> int:
    if wanted is None:
        if len(cutout.bands) > 1:
            remarks.append(f"band {cutout.bands[0] or 0} of {len(cutout.bands)} is measured")
        return 0
    if wanted not in cutout.bands:
        if cutout.bands == ("",):
            return 0
        raise MissingDataError(
            f"band {wanted!r} is not in '{cutout.input}', which has "
            f"{', '.join(name or '?' for name in cutout.bands)}. Choose one of these."
        )
    return cutout.bands.index(wanted)


def _pixel_scale(cutout: Cutout, given: Given) -> float:
    scale = cutout.pixel_scale if np.isfinite(cutout.pixel_scale) else given.pixel_scale
    if scale is None:
        raise MissingDataError(
            f"'{cutout.input}' does not state its pixel scale. Pass --pixel-scale in arcsec/pixel."
        )
    return float(scale)


def _noise(
    cutout: Cutout, band: int, mask: np.ndarray, given: Given
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Noise, mask, and whether the noise is an estimate."""
    ivar = cutout.ivar[band].astype(float)
    flux = cutout.flux[band].astype(float)
    if (ivar > 0).any():
        sigma = np.where(ivar > 0, 1.0 / np.sqrt(np.where(ivar > 0, ivar, 1.0)), 1.0)
        return sigma, mask | ~(ivar > 0), False
    if given.noise is not None:
        sigma = _read_plane(given.noise)
        if sigma.shape != flux.shape:
            raise WrongShapeError(
                f"noise map '{given.noise}' is {sigma.shape[0]}x{sigma.shape[1]} pixels, the image "
                f"{flux.shape[0]}x{flux.shape[1]}. Pass one on the same pixels."
            )
        is_known = np.isfinite(sigma) & (sigma > 0)
        is_known &= sigma < MASKED_SIGMA * np.median(sigma[is_known]) if is_known.any() else False
        return np.where(is_known, sigma, 1.0), mask | ~is_known, False
    if mask.all():
        return np.ones_like(flux), mask, True
    return estimate_sigma(np.where(mask, 0.0, flux), ~mask), mask, True


def _psf(cutout: Cutout, band: int, given: Given) -> np.ndarray | None:
    """PSF of the object, or the one given, or None."""
    kernel = None if cutout.psf is None else cutout.psf[band]
    if kernel is None or not kernel.sum() > 0:
        if given.psf is None:
            return None
        stacked = stack_kernels([_read_plane(given.psf)])
        kernel = None if stacked is None else stacked[0]
    return None if kernel is None else kernel.astype(float) / float(kernel.sum())


def _read_plane(path: Path) -> np.ndarray:
    """First two-dimensional image of a FITS file."""
    if not path.is_file():
        raise MissingDataError(f"'{path}' does not exist. Give a FITS file with an image.")
    with fits.open(path) as file:
        for hdu in file:
            data = getattr(hdu, "data", None)
            if isinstance(data, np.ndarray) and data.ndim == 2:
                return data.astype(float)
    raise WrongShapeError(f"'{path}' holds no two-dimensional image. Give one with an image.")
