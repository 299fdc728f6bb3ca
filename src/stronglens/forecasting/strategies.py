"""Which exposures are stacked: all, the single best, or those sharp enough to resolve a lens.

A strategy is a largest seeing per lens; exposures below it are kept, and the stack has the PSF of
the worst of them (Collett 2015).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from stronglens.core.errors import unknown_name
from stronglens.forecasting.observations import Observation

STRATEGIES = ("all", "best", "optimal")
"""Every exposure; the sharpest one; those that resolve the lens and its arcs."""


@dataclass(frozen=True)
class Exposures:
    """Conditions of every exposure of every lens."""

    seeing: Float[np.ndarray, "n band exposure"]
    """PSF FWHM [arcsec]."""
    sky: Float[np.ndarray, "n band exposure"]
    """Sky brightness [mag AB / arcsec^2]."""

    def __getitem__(self, rows: np.ndarray) -> "Exposures":
        """Return the exposures of some lenses."""
        return Exposures(self.seeing[rows], self.sky[rows])


@dataclass(frozen=True)
class Stack:
    """The stacked image of each lens in each band."""

    psf_fwhm: Float[np.ndarray, "n band"]
    """PSF FWHM of the worst exposure kept, 0 where none is kept [arcsec]."""
    sky: Float[np.ndarray, "n band"]
    """Mean sky of the exposures kept, averaged as flux [mag AB / arcsec^2]."""
    n_kept: Float[np.ndarray, "n band"]
    """Exposures kept."""


def draw_exposures(observation: Observation, rng: np.random.Generator, n: int) -> Exposures:
    """Draw the conditions of every exposure, each band by itself.

    Args:
        observation: What they are drawn from.
        rng: Source of randomness.
        n: Number of lenses.
    """
    shape = (n, observation.n_exposures)
    seeing = [np.exp(band.log_seeing.draw(rng, shape)) for band in observation.bands]
    sky = [band.sky_brightness.draw(rng, shape) for band in observation.bands]
    return Exposures(np.stack(seeing, axis=1), np.stack(sky, axis=1))


def largest_seeing(
    strategy: str,
    theta_e: Float[np.ndarray, " n"],
    r_eff: Float[np.ndarray, " n"],
    magnification: Float[np.ndarray, " n"] | float = np.inf,
) -> Float[np.ndarray, " n"]:
    """Largest seeing of an exposure that is kept.

    Args:
        strategy: One of `STRATEGIES`.
        theta_e: Einstein radius [arcsec].
        r_eff: Size of the source [arcsec].
        magnification: Total magnification; infinite before it is known [-].

    Returns:
        The limit, infinite for "all" and for "best", which is chosen in `stack` [arcsec].

    Reference:
        Collett 2015, section 3: the "optimal" stack keeps seeing below both
        sqrt(2 theta_e^2 - 2 r_eff^2) and magnification times r_eff.
    """
    if strategy not in STRATEGIES:
        raise unknown_name("strategy", strategy, STRATEGIES)
    if strategy != "optimal":
        return np.full_like(theta_e, np.inf)
    separable = np.sqrt(np.maximum(2.0 * theta_e**2 - 2.0 * r_eff**2, 0.0))
    return np.minimum(separable, magnification * r_eff)


def stack(exposures: Exposures, limit: Float[np.ndarray, " n"], strategy: str) -> Stack:
    """Stack the exposures below the largest seeing of each lens.

    Args:
        exposures: All exposures.
        limit: Largest seeing of each lens [arcsec].
        strategy: With "best" the sharpest of them alone.
    """
    seeing = exposures.seeing
    kept = seeing < limit[:, None, None]
    if strategy == "best":
        kept &= seeing == seeing.min(axis=2, keepdims=True)
    n_kept = kept.sum(axis=2).astype(float)
    flux = np.where(kept, 10.0 ** (-0.4 * exposures.sky), 0.0).sum(axis=2)
    mean_flux = np.where(n_kept > 0.0, flux / np.maximum(n_kept, 1.0), 1.0)
    return Stack(
        psf_fwhm=np.where(kept, seeing, 0.0).max(axis=2),
        sky=-2.5 * np.log10(mean_flux),
        n_kept=n_kept,
    )
