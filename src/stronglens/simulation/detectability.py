"""How well the lensed source of an image can be seen: arc S/N and the flags made from it.

The definitions are those of the project's conventions; nothing is drawn or rendered here.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

MIN_PIXELS = 20
MIN_MAGNIFICATION = 1.6


@dataclass(frozen=True)
class LensFacts:
    """What Collett's cuts need to know of each lens besides its arc."""

    theta_e: Float[Tensor, " n"]
    """Einstein radius [arcsec]."""
    source_offset: Float[Tensor, " n"]
    """Distance of the source from the deflector's axis [arcsec]."""
    r_eff_source: Float[Tensor, " n"]
    """Size of the source [arcsec]."""
    magnification: Float[Tensor, " n"]
    """Total magnification."""
    psf_fwhm: Float[Tensor, " n"]
    """PSF width [arcsec]."""


def arc_snr(arc: Float[Tensor, "n y x"], ivar: Float[Tensor, "n y x"]) -> Float[Tensor, " n"]:
    """Signal-to-noise of the lensed source: sqrt(sum(arc^2 ivar)).

    Args:
        arc: Noiseless, PSF-convolved lensed source [pixel units].
        ivar: Inverse variance from sky, read noise, deflector and arc [1 / pixel units^2].
    """
    return (arc**2 * ivar).sum(dim=(1, 2)).sqrt()


def arc_snr_collett(
    arc: Float[Tensor, "n y x"], ivar: Float[Tensor, "n y x"]
) -> Float[Tensor, " n"]:
    """Largest cumulative S/N over flux-sorted pixels (Collett 2015, section 3).

    Args:
        arc: Noiseless, PSF-convolved lensed source [pixel units].
        ivar: Inverse variance [1 / pixel units^2].
    """
    flat, variance = arc.flatten(1), 1.0 / ivar.flatten(1).clamp(min=1e-30)
    order = (flat * variance.rsqrt()).argsort(dim=1, descending=True)
    signal = flat.gather(1, order).cumsum(dim=1)
    noise = variance.gather(1, order).cumsum(dim=1).sqrt()
    return (signal / noise).amax(dim=1)


def is_detectable(
    arc: Float[Tensor, "n y x"],
    deflector_ivar: Float[Tensor, "n y x"],
    magnification: Float[Tensor, " n"],
) -> Bool[Tensor, " n"]:
    """At least 20 pixels of the arc above 1 sigma, and magnification above 1.6.

    Args:
        arc: Noiseless, PSF-convolved lensed source [pixel units].
        deflector_ivar: Inverse variance from sky, read noise and deflector [1 / pixel units^2].
        magnification: Total magnification.
    """
    n_pixels = (arc * deflector_ivar.sqrt() > 1.0).sum(dim=(1, 2))
    return (n_pixels >= MIN_PIXELS) & (magnification > MIN_MAGNIFICATION)


def is_discoverable(snr: Float[Tensor, " n"], facts: LensFacts) -> Bool[Tensor, " n"]:
    """Collett's five cuts (Collett 2015, section 3, as his code applies them).

    Args:
        snr: `arc_snr_collett` of each image.
        facts: The lenses.
    """
    squared = facts.theta_e**2
    resolved = squared >= 2 * facts.r_eff_source**2 + 0.5 * facts.psf_fwhm**2
    stretched = facts.magnification * facts.r_eff_source > facts.psf_fwhm
    inside = squared > facts.source_offset**2
    return inside & resolved & stretched & (snr > 20) & (facts.magnification > 3)
