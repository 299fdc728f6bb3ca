"""Point-spread functions as sums of round Gaussians, for the fast path of `fast`.

Kernels on a pixel grid are in `psf`.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.conventions import fwhm_to_sigma
from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.light.mge import non_negative_weights

BETA_MIN = 1.8
"""Smallest slope of Moffat wings in the table [-]."""
BETA_MAX = 8.0
"""Largest slope of Moffat wings in the table [-]."""

_BETA_STEP = 0.05
_N_MOFFAT = 5


@dataclass(frozen=True)
class GaussianPsf:
    """Sums of round, concentric Gaussians, one sum per image."""

    weight: Float[Tensor, "batch gaussian"]
    """Share of the flux in each Gaussian; adds up to one, or to what arrives near by [-]."""
    sigma: Float[Tensor, "batch gaussian"]
    """Standard deviation of each Gaussian [arcsec]."""

    def __getitem__(self, index: slice | Tensor) -> "GaussianPsf":
        """Return the PSFs of some of the images."""
        return type(self)(self.weight[index], self.sigma[index])

    def __len__(self) -> int:
        """Return the number of images."""
        return self.weight.shape[0]

    def to(self, target: torch.device | torch.dtype | str) -> "GaussianPsf":
        """Return the same PSFs on another device or in another precision."""
        return type(self)(self.weight.to(target), self.sigma.to(target))


def gaussian_psf(fwhm: Float[Tensor, "batch"]) -> GaussianPsf:
    """Gaussian PSFs.

    Args:
        fwhm: Full width at half maximum of each [arcsec].

    Returns:
        Sums of one Gaussian.

    Reference:
        FWHM = 2 sqrt(2 ln 2) sigma.
    """
    _check_widths(fwhm)
    sigma = fwhm_to_sigma(fwhm)[:, None]
    return GaussianPsf(torch.ones_like(sigma), sigma)


def moffat_psf(fwhm: Float[Tensor, "batch"], beta: Float[Tensor, "batch"]) -> GaussianPsf:
    """Moffat PSFs as sums of five Gaussians, within 0.4 % of the peak.

    Nothing is renormalised at the edge of a kernel: light scattered farther than about eight
    widths is lost, 0.4 % of it at beta = 2.5 and 2 % at 1.8.

    Args:
        fwhm: Full width at half maximum of each [arcsec].
        beta: Slope of the wings, from 1.8 to 8 [-].

    Returns:
        Sums of Gaussians.

    Raises:
        OutOfRangeError: A slope lies outside the table, or a width is not above 0.

    Reference:
        Moffat 1969; a Moffat profile is a Gaussian whose inverse variance is drawn from a gamma
        distribution, so that it is a sum of Gaussians with weights above 0.
    """
    _check_widths(fwhm)
    if not bool(((beta >= BETA_MIN) & (beta <= BETA_MAX)).all()):
        raise OutOfRangeError(
            f"beta from {float(beta.min())} to {float(beta.max())} is outside {BETA_MIN}-"
            f"{BETA_MAX}. Use such wings as a kernel, with `observe_planes`."
        )
    table = _moffat_table().to(fwhm)
    place = (beta - BETA_MIN) / _BETA_STEP
    below = place.floor().clamp_max(len(table) - 2)
    index = below.to(torch.int64)
    weight = torch.lerp(table[index], table[index + 1], (place - below)[:, None])
    return GaussianPsf(weight, _moffat_widths(beta) * fwhm[:, None])


def stack_psf(fwhm: Float[Tensor, "batch exposure"]) -> GaussianPsf:
    """PSFs of the mean of exposures with Gaussian PSFs, as sums of at most two Gaussians.

    Args:
        fwhm: Full width at half maximum in each exposure [arcsec].

    Returns:
        Sums of two Gaussians whose log widths have the mean, variance and skewness of those of the
        exposures; for widths that scatter by 15 %, 0.2 % of the peak from the mean of the kernels.

    Reference:
        Gaussian quadrature with two nodes from the first three moments, Press et al. 2007,
        section 4.6.
    """
    if fwhm.shape[1] == 0:
        raise WrongShapeError("fwhm has no exposures. Pass at least one column of widths.")
    _check_widths(fwhm)
    if fwhm.shape[1] == 1:
        return gaussian_psf(fwhm[:, 0])
    log_sigma = fwhm_to_sigma(fwhm).log()
    mean = log_sigma.mean(dim=1, keepdim=True)
    offset = log_sigma - mean
    spread = offset.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-4)
    half_skewness = 0.5 * offset.pow(3).mean(dim=1, keepdim=True) / spread**3
    root = (half_skewness**2 + 1.0).sqrt()
    nodes = torch.cat([half_skewness - root, half_skewness + root], dim=1)
    share = 0.5 * (1.0 + half_skewness / root)
    weight = torch.cat([share, 1.0 - share], dim=1)
    return GaussianPsf(weight, torch.exp(mean + spread * nodes))


def _moffat_widths(beta: Tensor) -> Tensor:
    """Widths of the Gaussians of a Moffat profile [FWHM]."""
    widest = 0.75 + 3.2 * torch.exp(-(beta[..., None] - 1.5) / 1.1)
    place = torch.linspace(0.0, 1.0, _N_MOFFAT, dtype=beta.dtype, device=beta.device)
    return torch.exp(math.log(0.31) + (widest / 0.31).log() * place)


@lru_cache(maxsize=1)
def _moffat_table() -> Tensor:
    """Weights of the Gaussians for slopes from BETA_MIN in steps."""
    count = round((BETA_MAX - BETA_MIN) / _BETA_STEP) + 1
    r = torch.linspace(0.0, 8.0, 600, dtype=torch.float64)
    rows = []
    for beta in BETA_MIN + _BETA_STEP * torch.arange(count, dtype=torch.float64):
        core2 = 0.25 / (2.0 ** (1.0 / beta) - 1.0)
        wanted = (beta - 1.0) / (math.pi * core2) * (1.0 + r**2 / core2) ** -beta
        widths = _moffat_widths(beta)
        gaussians = torch.exp(-0.5 * (r[:, None] / widths) ** 2) / (2.0 * math.pi * widths**2)
        scale = 1.0 / (wanted + 3e-3 * wanted[0])
        rows.append(non_negative_weights(gaussians * scale[:, None], wanted * scale))
    return torch.stack(rows)


def _check_widths(fwhm: Tensor) -> None:
    if not bool((fwhm > 0.0).all()):
        raise OutOfRangeError(
            f"fwhm={float(fwhm.min())} arcsec is not above 0. Pass the width of a real PSF."
        )
