"""Stars as points of light with their colours."""

import numpy as np
from jaxtyping import Float

from stronglens.simulation.galaxies import OLD, Filters


def point(filters: Filters) -> dict[str, float]:
    """Return the shape of a point: a round Gaussian as narrow as the frame can hold."""
    return {"sigma": filters.least_size, "q": 1.0, "phi": 0.0}


def star_flux(
    mag_i: Float[np.ndarray, " n"], filters: Filters, rng: np.random.Generator
) -> Float[np.ndarray, "n band"]:
    """Flux of stars in every band, from blue ones to red ones.

    The colours run between those of an old population at redshift 0 and flat ones: near enough to
    the stellar locus for what stands beside a galaxy (our choice).

    Args:
        mag_i: Magnitudes [mag AB in i].
        filters: Bands.
        rng: Source of randomness.
    """
    old = filters.flux(mag_i, np.full(len(mag_i), 1e-3), OLD)
    flat = 10.0 ** (-0.4 * (mag_i - filters.zero_point))[:, None]
    redness = rng.uniform(0.0, 1.6, len(mag_i))[:, None]
    return flat * (old / flat) ** redness
