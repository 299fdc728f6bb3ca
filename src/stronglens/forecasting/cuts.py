"""What makes a lens discoverable: Collett's cuts one after the other.

The same cuts for a single image are `simulation.detectability.is_discoverable`.
"""

import numpy as np
from jaxtyping import Bool, Float

MIN_SNR = 20.0
MIN_MAGNIFICATION = 3.0

CUTS = (
    "source inside theta_e",
    "theta_e^2 > 2 r_s^2 + psf^2 / 2",
    "S/N > 20",
    "mu r_s > psf in that band",
    "mu > 3",
    "same cuts on g-i",
)
"""The cuts in sequence; the last one for the g-i finder alone."""


def is_separable(
    theta_e: Float[np.ndarray, " n"],
    r_eff: Float[np.ndarray, " n"],
    psf_fwhm: Float[np.ndarray, "n *band"],
) -> Bool[np.ndarray, "n *band"]:
    """Whether images and deflector come apart: 2 theta_e^2 >= 4 r_eff^2 + psf_fwhm^2.

    Args:
        theta_e: Einstein radius [arcsec].
        r_eff: Size of the source [arcsec].
        psf_fwhm: PSF width, 0 where there is no image [arcsec].
    """
    room = 2.0 * theta_e**2 - 4.0 * r_eff**2
    room = room.reshape(room.shape + (1,) * (psf_fwhm.ndim - 1))
    return (room >= psf_fwhm**2) & (psf_fwhm > 0.0)


def is_stretched(
    magnification: Float[np.ndarray, " n"],
    r_eff: Float[np.ndarray, " n"],
    psf_fwhm: Float[np.ndarray, "n *band"],
) -> Bool[np.ndarray, "n *band"]:
    """Whether the arcs are seen to be arcs: magnification times r_eff above the PSF width.

    Args:
        magnification: Total magnification [-].
        r_eff: Size of the source [arcsec].
        psf_fwhm: PSF width, 0 where there is no image [arcsec].
    """
    length = magnification * r_eff
    length = length.reshape(length.shape + (1,) * (psf_fwhm.ndim - 1))
    return (length > psf_fwhm) & (psf_fwhm > 0.0)


def cuts_passed(
    lenses: dict[str, np.ndarray],
    psf_fwhm: Float[np.ndarray, "n band"],
    snr: Float[np.ndarray, "n band"],
) -> tuple[np.ndarray, np.ndarray]:
    """Count the cuts that lenses pass in sequence, and name their best band.

    The best band is the one of highest S/N among those in which the arcs are stretched, and the
    cuts count there (code of Collett 2015).

    Args:
        lenses: Einstein radius, size of the source and magnification of each.
        psf_fwhm: PSF width of the stack in each band, 0 where there is none [arcsec].
        snr: S/N in each band.

    Returns:
        Number of entries of `CUTS` passed, from 2 to 5 for lenses that have passed the second
        already; and the number of the best band.
    """
    magnification, r_eff = lenses["magnification"], lenses["r_eff_source"]
    stretched = is_stretched(magnification, r_eff, psf_fwhm)
    best = np.where(stretched, snr, -1.0).argmax(axis=1)
    row = np.arange(len(best))
    in_best = stretched & is_separable(lenses["theta_e"], r_eff, psf_fwhm) & (snr > MIN_SNR)
    stages = [
        (snr > MIN_SNR).any(axis=1),
        in_best[row, best],
        magnification > MIN_MAGNIFICATION,
    ]
    return 2 + np.logical_and.accumulate(stages).sum(axis=0), best


def difference_passes(
    lenses: dict[str, np.ndarray], psf_fwhm: Float[np.ndarray, " n"], snr: Float[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Whether lenses pass the cuts in the g-i difference image.

    Args:
        lenses: Einstein radius, size of the source and magnification of each.
        psf_fwhm: PSF width of the difference, 0 where there is none [arcsec].
        snr: S/N in it.
    """
    magnification, r_eff = lenses["magnification"], lenses["r_eff_source"]
    passes = is_separable(lenses["theta_e"], r_eff, psf_fwhm)
    passes &= is_stretched(magnification, r_eff, psf_fwhm)
    return passes & (snr > MIN_SNR) & (magnification > MIN_MAGNIFICATION)
