"""How bright each lensed source is made: the training prior draws its arc's S/N, not its flux."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import ndtr
from torch import Tensor

from stronglens.core.seeds import numpy_generator
from stronglens.simulation import counts
from stronglens.simulation.relations import Columns
from stronglens.simulation.sky import Sky
from stronglens.simulation.systems import SIZE_SCATTER, SIZES, SIZES_AT, source_log_size

_DRAWN_AT = 25.0  # magnitude in i that sources of the training prior are rendered with
# density of the sky at a typical source of the training prior: makes typical weights about one
_TYPICAL = float(counts.count_density(np.array([25.0]))[0]) / (0.4 * np.log(10.0))


@dataclass(frozen=True)
class Brightness:
    """How bright the arcs of a block are."""

    factor: Float[Tensor, " n"]
    """Factor on the flux of each source as drawn."""
    mag_i: Float[np.ndarray, " n"]
    """Magnitude of each source without lensing [mag AB in i]."""
    weight: Float[np.ndarray, " n"]
    """Density of the sky over that drawn from, theta_e and S/N together."""


def tune_brightness(
    sky: Sky,
    systems: Columns,
    arcs: Float[Tensor, "n band y x"],
    variances: tuple[Float[Tensor, "n band y x"], Float[Tensor, "n band y x"]],
    key: tuple[int, int],
) -> Brightness:
    """Draw the arc S/N of each scene evenly and find the brightness that gives it.

    Args:
        sky: Priors; with its sky's prior nothing is changed.
        systems: Columns of the lensed systems.
        arcs: Noiseless arcs of the sources as drawn [pixel units].
        variances: Of every pixel without and with the photon noise of the arc [pixel units^2].
        key: Seed of the dataset and number of the block.

    Reference:
        The S/N of an arc scaled by s is close to s sqrt(a) / sqrt(1 + r s): a from the noise
        without the arc, r from what its own photons add.
    """
    n = len(arcs)
    if sky.prior == "sky":
        return Brightness(torch.ones(n), systems["mag_i_source"], systems["weight"])
    rng = numpy_generator(key[0], "arc S/N", key[1])
    target = rng.uniform(sky.arc_snr_min, sky.arc_snr_max, n)
    factor, steepness = _factor(arcs, *variances, torch.as_tensor(target))
    mag_i = _DRAWN_AT - 2.5 * np.log10(factor.numpy())
    z = systems["z_source"]
    of_sky = counts.count_density(mag_i) * counts.CATALOGUE.redshift_density(z, mag_i)
    # S/N per magnitude: the density drawn from, which is even in S/N
    per_magnitude = 0.4 * np.log(10.0) * target * steepness.numpy() / sky.arc_snr_max
    of_draw = per_magnitude * counts.training_redshift_density(z)
    weight = systems["weight"] * of_sky / of_draw / _TYPICAL * _size_weight(systems, mag_i)
    return Brightness(factor.float(), mag_i, weight)


def _size_weight(systems: Columns, mag_i: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Density of a source's size at its magnitude over that at the one it was drawn for.

    Sizes at the limits stand for all beyond them, so there the shares beyond are compared.
    """
    size, z = systems["r_eff_source"], systems["z_source"]
    at = (source_log_size(m, z) for m in (mag_i, np.full_like(mag_i, SIZES_AT)))
    own, drawn = ((np.log10(size) - mean) / SIZE_SCATTER for mean in at)
    smallest, largest = SIZES
    inside = np.exp(-0.5 * (own**2 - drawn**2))
    below, above = ndtr(own) / ndtr(drawn), ndtr(-own) / ndtr(-drawn)
    return np.where(size <= smallest, below, np.where(size >= largest, above, inside))


def _factor(
    arcs: Tensor, without: Tensor, with_arc: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """Factor of the flux that gives the S/N, and d ln(S/N) / d ln(flux) there."""
    squares = arcs.square()
    background, own = (
        (squares / v).sum(dim=(2, 3), dtype=torch.float64) for v in (without, with_arc)
    )
    best = own.argmax(dim=1, keepdim=True)
    a, b = (values.gather(1, best)[:, 0].clamp_min(1e-12) for values in (background, own))
    r, t2 = (a / b - 1.0).clamp_min(0.0), target.square()
    factor = (t2 * r + (t2.square() * r.square() + 4.0 * a * t2).sqrt()) / (2.0 * a)
    return factor, 1.0 - 0.5 * r * factor / (1.0 + r * factor)
