"""How cutouts of many shapes become the images of one dataset: bands, size, pixel and flux scale.

Where the cutouts come from is in `stronglens.data.fetch_inputs`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from stronglens.core.errors import MissingDataError, WrongShapeError
from stronglens.data.colour_pictures import are_display_values
from stronglens.data.cutout import Cutout, fault
from stronglens.data.filters import is_same_filter, wavelength
from stronglens.data.layout import ImageFacts, Images
from stronglens.data.picture_files import UNIT
from stronglens.data.resample import Target, resample
from stronglens.data.stretch import sky_sigma

_SAME_SCALE = 0.01
_PSF_SIZE = 33


@dataclass(frozen=True)
class GridOptions:
    """What the user wants of the images of a dataset."""

    bands: tuple[str, ...] = ()
    """Bands to keep, in order; all by default."""
    size: int | None = None
    """Side of the images of the finest grid; that of the first object by default [pixel]."""
    resample: float | None = None
    """Pixel scale that all bands and objects are brought to; by default each stays on its own
    [arcsec]."""


def plan_grids(cutouts: Sequence[Cutout], options: GridOptions) -> tuple[ImageFacts, ...]:
    """Pixel grids of a dataset, as its first object has them: one per pixel scale.

    Args:
        cutouts: The first object, one cutout per grid.
        options: What the user wants.

    Raises:
        WrongShapeError: It lacks a band that is wanted.
        MissingDataError: Pixels shall be brought to a scale, and theirs is not known.
    """
    chosen = [c for c in (_chosen(cutout, options.bands) for cutout in cutouts) if c is not None]
    found = [band for cutout in chosen for band in cutout.bands]
    lacking = [b for b in options.bands if not any(is_same_filter(b, f) for f in found)]
    if lacking or not found:
        raise _lacking(lacking, cutouts)
    zero_point = next((z for c in chosen for z in c.zero_point if math.isfinite(z)), math.nan)
    if options.resample is not None:
        ordered = _in_order(tuple(found), options.bands)
        field = chosen[0].height * chosen[0].pixel_scale / options.resample
        if not field > 0:
            raise _no_scale()
        side = options.size or math.floor(field + 1e-6)
        return (_facts(ordered, options.resample, (side, side), zero_point),)
    finest = min((c.pixel_scale for c in chosen if c.pixel_scale > 0), default=math.nan)
    plans = []
    for cutout in chosen:
        size = (cutout.height, cutout.width)
        if options.size is not None:
            ratio = finest / cutout.pixel_scale if math.isfinite(finest) else 1.0
            side = round(options.size * ratio)
            size = (side, side)
        plans.append(_facts(cutout.bands, cutout.pixel_scale, size, zero_point))
    names = [plan.grid for plan in plans]
    return tuple(
        replace(p, grid=p.grid if names.count(p.grid) == 1 else f"{p.grid}-{k}")
        for k, p in enumerate(plans)
    )


def fit_to_grid(cutouts: Sequence[Cutout], facts: ImageFacts, options: GridOptions) -> Images:
    """Image of one object on one grid of a dataset.

    Pixels are kept as they are where scale and zero point allow it: cut around the middle, or
    surrounded by masked zeros where the image is smaller. A noise map that is missing is replaced
    by the scatter of the sky, except for pictures.

    Args:
        cutouts: The object, one cutout per grid.
        facts: The grid.
        options: What the user wants.

    Raises:
        WrongShapeError: A band is missing, the pixel scale is another, or the pixels are of no use.
        MissingDataError: The dataset has a zero point and the object has none.
    """
    parts = [_brought(cutout, band, facts, options) for cutout, band in _sources(cutouts, facts)]
    joined = Cutout(
        flux=np.concatenate([part.flux for part in parts]),
        ivar=np.concatenate([part.ivar for part in parts]),
        mask=np.concatenate([part.mask for part in parts]),
        bands=facts.bands,
        zero_point=np.full(len(parts), facts.zero_point),
        pixel_scale=facts.pixel_scale,
        object_id=cutouts[0].object_id,
        input=cutouts[0].input,
    )
    reason = fault(joined)
    if reason is not None:
        raise WrongShapeError(reason)
    is_flux = not _is_picture(facts)
    kernels = [np.zeros((1, 1, 1), np.float32) if p.psf is None else p.psf for p in parts]
    has_psf = any(part.psf is not None for part in parts)
    return Images(
        flux=joined.flux[None],
        ivar=_with_sky_noise(joined)[None] if is_flux else None,
        mask=joined.mask[None],
        psf=np.stack([_fixed(kernel[0]) for kernel in kernels])[None] if has_psf else None,
    )


def _facts(
    bands: tuple[str, ...], pixel_scale: float, size: tuple[int, int], zero_point: float
) -> ImageFacts:
    is_picture = are_display_values(bands)
    known = math.isfinite(zero_point)
    unit = f"AB flux with zero point {zero_point:g}" if known else "as in the files"
    grid = f"{pixel_scale:.4g}arcsec" if math.isfinite(pixel_scale) else "grid"
    return ImageFacts(
        bands, pixel_scale, zero_point, *size, grid=grid, unit=UNIT if is_picture else unit
    )


def _is_picture(facts: ImageFacts) -> bool:
    return facts.unit == UNIT


def _chosen(cutout: Cutout, bands: tuple[str, ...]) -> Cutout | None:
    """Cutout with the bands that are wanted of it, in that order; None where it has none.

    All of them, from blue to red, where no order is asked for.
    """
    if not bands:
        lengths = [wavelength(band) for band in cutout.bands]
        known = [length for length in lengths if length is not None]
        if len(known) < len(lengths):
            return cutout
        order = tuple(int(k) for k in np.argsort(known, kind="stable"))
        return cutout.part(order, slice(None), slice(None))
    index = [k for b in bands for k, own in enumerate(cutout.bands) if is_same_filter(b, own)]
    return cutout.part(tuple(index), slice(None), slice(None)) if index else None


def _in_order(found: tuple[str, ...], bands: tuple[str, ...]) -> tuple[str, ...]:
    if not bands:
        return found
    return tuple(next(f for f in found if is_same_filter(b, f)) for b in bands)


def _lacking(bands: Sequence[str], cutouts: Sequence[Cutout]) -> WrongShapeError:
    has = ",".join(band or "unnamed" for cutout in cutouts for band in cutout.bands)
    return WrongShapeError(
        f"band {','.join(bands) or 'any'} missing: the object has {has}. Add the band, or name "
        "those to keep with --bands."
    )


def _sources(cutouts: Sequence[Cutout], facts: ImageFacts) -> list[tuple[Cutout, int]]:
    """Cutout and index of each band of a grid."""
    found = []
    for position, band in enumerate(facts.bands):
        matches = [
            (cutout, k)
            for cutout in cutouts
            for k, own in enumerate(cutout.bands)
            if own == band or (band and own and is_same_filter(band, own))
        ]
        if not band:
            matches = [(c, position) for c in cutouts if len(c.bands) == len(facts.bands)]
        if not matches:
            raise _lacking([band], cutouts)
        found.append(matches[0])
    return found


def _brought(cutout: Cutout, band: int, facts: ImageFacts, options: GridOptions) -> Cutout:
    """One band on the pixels and flux scale of a grid."""
    part = cutout.part((band,), slice(None), slice(None))
    bad = part.mask | ~np.isfinite(part.flux)
    flux = np.where(bad & ~np.isfinite(part.flux), np.float32(0), part.flux)
    part = replace(part, flux=flux, mask=bad, ivar=np.where(bad, np.float32(0), part.ivar))
    zero_point = float(part.zero_point[0])
    if math.isfinite(facts.zero_point) and not math.isfinite(zero_point):
        raise MissingDataError(
            f"zero point of {part.bands[0] or 'the image'} not known: no MAGZERO, FLUXMAG0 or flux "
            "unit in its header. Pass --zero-point [mag AB]."
        )
    if math.isfinite(zero_point) and not math.isfinite(facts.zero_point):
        raise WrongShapeError(
            f"zero point {zero_point:g} is known here, but not for the first object, whose units "
            "the dataset has. Pass --zero-point for the others."
        )
    if options.resample is not None:
        return _resampled(part, facts)
    _check_scale(part, facts)
    if math.isfinite(facts.zero_point) and zero_point != facts.zero_point:
        factor = 10 ** (0.4 * (facts.zero_point - zero_point))
        part = replace(
            part,
            flux=(part.flux * factor).astype(np.float32),
            ivar=(part.ivar / factor**2).astype(np.float32),
        )
    return _of_size(part, facts.height, facts.width)


def _no_scale() -> MissingDataError:
    return MissingDataError(
        "pixel scale not known: no WCS and no PIXSCALE in the header. Pass --pixel-scale "
        "[arcsec/pixel]."
    )


def _resampled(part: Cutout, facts: ImageFacts) -> Cutout:
    """Band on another pixel scale, with its PSF."""
    if not part.pixel_scale > 0:
        raise _no_scale()
    target = Target(facts.height, facts.width, facts.pixel_scale, facts.zero_point)
    made = resample(part, target)
    psf = None if part.psf is None else _resampled_psf(part, facts.pixel_scale)
    return replace(part, flux=made.flux, ivar=made.ivar, mask=made.mask, psf=psf)


def _resampled_psf(part: Cutout, pixel_scale: float) -> np.ndarray:
    """Kernels on another pixel scale, of sum 1."""
    if part.psf is None or not part.psf.any():
        return np.zeros((1, 1, 1), np.float32)
    kernel = replace(
        part, flux=part.psf, ivar=np.zeros_like(part.psf), mask=np.zeros(part.psf.shape, bool),
        psf=None, x_center=0.0, y_center=0.0,
    )  # fmt: skip
    side = math.floor(min(part.psf.shape[1:]) * part.pixel_scale / pixel_scale)
    side = max(side - 1 + side % 2, 1)
    made = resample(kernel, Target(side, side, pixel_scale, math.nan)).flux
    return (made / made.sum()).astype(np.float32)


def _check_scale(part: Cutout, facts: ImageFacts) -> None:
    here, there = part.pixel_scale, facts.pixel_scale
    if math.isfinite(there) and not abs(here / there - 1) < _SAME_SCALE:
        raise WrongShapeError(
            f'pixel scale of {here:.4g}" differs from the {there:.4g}" of the first object; one '
            "dataset has one scale per band. Bring all to one with --resample ARCSEC."
        )


def _of_size(part: Cutout, height: int, width: int) -> Cutout:
    """Middle of a cutout, with masked zeros around it where it is smaller.

    Where the parity differs, the middle moves by half a pixel.
    """
    planes = {}
    for name, filler in (("flux", 0.0), ("ivar", 0.0), ("mask", True)):
        values = getattr(part, name)
        made = np.full((len(values), height, width), filler, values.dtype)
        target, source = zip(
            *(
                _overlap(n, wanted)
                for n, wanted in zip(values.shape[1:], (height, width), strict=True)
            ),
            strict=True,
        )
        made[:, target[0], target[1]] = values[:, source[0], source[1]]
        planes[name] = made
    return replace(part, **planes)


def _overlap(n: int, wanted: int) -> tuple[slice, slice]:
    """Slices of the new and of the old axis that hold the same pixels."""
    start = (n - wanted) // 2
    if start >= 0:
        return slice(0, wanted), slice(start, start + wanted)
    return slice(-start, n - start), slice(0, n)


def _fixed(kernel: np.ndarray) -> np.ndarray:
    """Kernel on the size that all kernels of a dataset have, of sum 1; zeros for none."""
    made = np.zeros((_PSF_SIZE, _PSF_SIZE), np.float32)
    rows, columns = (_overlap(n, _PSF_SIZE) for n in kernel.shape)
    made[rows[0], columns[0]] = kernel[rows[1], columns[1]]
    total = made.sum()
    return made / total if total > 0 else made


def _with_sky_noise(cutout: Cutout) -> np.ndarray:
    """Inverse variance; in bands that come without, that of the scatter of the sky."""
    without = np.flatnonzero(~cutout.ivar.any(axis=(1, 2)))
    if not len(without):
        return cutout.ivar
    ivar = cutout.ivar.copy()
    flux, mask = (torch.from_numpy(plane[None, without]) for plane in (cutout.flux, cutout.mask))
    for k, sigma in zip(without.tolist(), sky_sigma(flux, None, mask)[0].tolist(), strict=True):
        if sigma > 0:
            ivar[k] = np.where(cutout.mask[k], 0, sigma**-2)
    return ivar
