"""Coadds made from exposures one by one: shifts, weights, rejection, and the PSF that results.

The quick way, one image with the noise and the PSF of a mean, is in `observing`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stronglens.core.errors import WrongShapeError
from stronglens.simulation.imperfections import Combination

LANCZOS_ORDER = 3
"""Zero crossings on each side of the interpolating kernel [pixel]."""
LARGEST_BAD_WEIGHT = 0.1
"""A shifted pixel is bad where bad ones had more than this weight in it [-]."""
CLIP_SIGMA = 4.0
"""Deviation from the median above which a pixel is rejected [standard deviations] (SWarp)."""
CLIP_SHARE = 0.3
"""Deviation allowed beyond that, as part of the median: seeing moves the cores of stars (SWarp)."""
MEDIAN_VARIANCE = (1.0, 1.0, 1.346, 1.193, 1.434, 1.288, 1.473, 1.346, 1.495, 1.383)
"""Variance of the median of 1, 2, ... normal values in units of that of their mean, by numerical
integration over order statistics; pi / 2 for many."""


@dataclass(frozen=True, eq=False)
class Exposures:
    """Exposures of the same field, sky-subtracted and on one flux scale."""

    flux: Float[Tensor, "n exposure y x"]
    """Flux [pixel units]."""
    ivar: Float[Tensor, "n exposure y x"]
    """Inverse variance; 0 where nothing is known [1 / pixel units^2]."""
    mask: Bool[Tensor, "n exposure y x"]
    """True where a pixel is bad."""


@dataclass(frozen=True, eq=False)
class Coadd:
    """A coadd of exposures."""

    flux: Float[Tensor, "n y x"]
    """Flux, 0 where no exposure is left [pixel units]."""
    ivar: Float[Tensor, "n y x"]
    """Inverse variance of single pixels; 0 where no exposure is left [1 / pixel units^2]."""
    mask: Bool[Tensor, "n y x"]
    """True where no exposure is left."""


def coadd(exposures: Exposures, combination: Combination) -> Coadd:
    """Combine exposures pixel by pixel.

    Args:
        exposures: Exposures of one pixel grid.
        combination: "mean", weighted by the inverse variance; "clipped", the same without pixels
            that deviate from the median by more than 4 sigma and 30 % of it, where three or more
            are good; or "median", unweighted, with a variance that holds for equal exposures.

    Returns:
        The coadd and its inverse variance.

    Reference:
        Gruen, Seitz & Bernstein 2014, PASP 126, 158, section 2, for clipping about the median with
        a share of the flux allowed.
    """
    is_good = ~exposures.mask & (exposures.ivar > 0.0)
    if combination == "median":
        return _median_coadd(exposures, is_good)
    if combination == "clipped":
        is_good = is_good & ~_outliers(exposures, is_good)
    weight = torch.where(is_good, exposures.ivar, 0.0)
    ivar = weight.sum(dim=1)
    flux = (weight * torch.where(is_good, exposures.flux, 0.0)).sum(dim=1)
    return Coadd(torch.where(ivar > 0.0, flux / ivar, 0.0), ivar, ivar <= 0.0)


def coadd_psf(
    psf: Float[Tensor, "n exposure k l"], weight: Float[Tensor, "n exposure"]
) -> Float[Tensor, "n k l"]:
    """PSF of a weighted mean of exposures on one flux scale.

    A clipped coadd has the same where nothing is clipped; a median has no PSF of its own.

    Args:
        psf: Kernels of the exposures.
        weight: Their weights, such as the inverse variance of each; at least one is positive [-].

    Reference:
        Convolution is linear: the mean of the kernels with the weights of the pixels.
    """
    total = weight.sum(dim=1)
    if not bool((total > 0.0).all()):
        raise WrongShapeError("an image has no exposure with a positive weight. Leave it out.")
    return torch.einsum("ne,nekl->nkl", weight / total[:, None], psf)


def shift_exposures(
    exposures: Exposures, x_shift: Float[Tensor, "n exposure"], y_shift: Float[Tensor, "n exposure"]
) -> Exposures:
    """Move exposures by any part of a pixel onto a common grid, by Lanczos interpolation.

    Whole pixels are moved as they are. Otherwise neighbours share noise afterwards; the variance is
    that of single pixels. Pixels that come in from outside are bad.

    Args:
        exposures: Exposures.
        x_shift: Where the content moves along x [pixel].
        y_shift: Where the content moves along y [pixel].

    Returns:
        The exposures on the new grid, 0 where they are bad.

    Reference:
        Duchon 1979, J. Appl. Meteorol. 18, 1016: sinc(t) sinc(t / 3), weights scaled to sum one.
    """
    height, width = exposures.flux.shape[-2:]
    down = _lanczos_weights(y_shift, height)
    across = _lanczos_weights(x_shift, width).transpose(-2, -1)
    is_bad = exposures.mask | (exposures.ivar <= 0.0)
    variance = torch.where(is_bad, 0.0, exposures.ivar.clamp_min(1e-30).reciprocal())
    flux = down @ torch.where(is_bad, 0.0, exposures.flux) @ across
    variance = down.square() @ variance @ across.square()
    # outside the frame there is no weight, and so too little of it is good
    good_weight = down.abs() @ (~is_bad).to(flux) @ across.abs()
    whole = (_full_weight(y_shift) * _full_weight(x_shift))[..., None, None]
    mask = (good_weight < (1.0 - LARGEST_BAD_WEIGHT) * whole) | (variance <= 0.0)
    return Exposures(
        flux=torch.where(mask, 0.0, flux),
        ivar=torch.where(mask, 0.0, variance.clamp_min(1e-30).reciprocal()),
        mask=mask,
    )


def _lanczos(distance: Tensor) -> Tensor:
    inside = torch.sinc(distance) * torch.sinc(distance / LANCZOS_ORDER)
    return torch.where(distance.abs() < LANCZOS_ORDER, inside, 0.0)


def _taps(shift: Tensor) -> Tensor:
    """Weights of the pixels around the place a pixel comes from, before they are scaled."""
    reach = torch.arange(-LANCZOS_ORDER, LANCZOS_ORDER + 1, dtype=shift.dtype, device=shift.device)
    return _lanczos(reach - (shift - shift.round())[..., None])


def _full_weight(shift: Tensor) -> Tensor:
    """Sum of the absolute weights of a pixel far from the border."""
    taps = _taps(shift)
    return taps.abs().sum(dim=-1) / taps.sum(dim=-1)


def _lanczos_weights(shift: Tensor, size: int) -> Tensor:
    """Matrices (..., new, old) that shift one axis."""
    pixel = torch.arange(size, dtype=shift.dtype, device=shift.device)
    weights = _lanczos(pixel[:, None] - pixel - shift[..., None, None])
    return weights / _taps(shift).sum(dim=-1)[..., None, None]


def _masked_median(flux: Tensor, is_good: Tensor) -> tuple[Tensor, Tensor]:
    """Median of the good exposures of each pixel, 0 where there is none, and their number."""
    n_good = is_good.sum(dim=1, keepdim=True)
    ordered = torch.where(is_good, flux, torch.inf).sort(dim=1).values
    low, high = ((n_good - 1).clamp_min(0) // 2, (n_good // 2).clamp_max(flux.shape[1] - 1))
    median = (ordered.gather(1, low) + ordered.gather(1, high)) / 2.0
    return torch.where(n_good > 0, median, 0.0), n_good


def _outliers(exposures: Exposures, is_good: Tensor) -> Tensor:
    """Pixels that deviate too far from the median of at least three."""
    median, n_good = _masked_median(exposures.flux, is_good)
    sigma = exposures.ivar.clamp_min(1e-30).rsqrt()
    allowed = CLIP_SIGMA * sigma + CLIP_SHARE * median.abs()
    return ((exposures.flux - median).abs() > allowed) & (n_good >= 3)


def _median_coadd(exposures: Exposures, is_good: Tensor) -> Coadd:
    median, n_good = _masked_median(exposures.flux, is_good)
    n_good = n_good[:, 0]
    table = exposures.flux.new_tensor((torch.inf, *MEDIAN_VARIANCE))
    # beyond the table, to 2 %: an even number does as well as the next odd one
    n_odd = n_good + (n_good % 2 == 0)
    many = torch.pi / 2.0 * n_good / (n_odd + torch.pi / 2.0 - 1.0)
    loss = torch.where(n_good < len(table), table[n_good.clamp_max(len(table) - 1)], many)
    ivar = torch.where(is_good, exposures.ivar, 0.0).sum(dim=1) / loss
    return Coadd(median[:, 0], ivar, n_good == 0)
