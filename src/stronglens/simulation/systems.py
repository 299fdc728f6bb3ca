"""Joint draws of lens systems for the survey presets, from the training prior or the sky's.

A block is always drawn whole, so scene i is the same whatever the batch, worker or start index.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float

from stronglens.core.seeds import numpy_generator
from stronglens.lensing.caustics import is_multiply_imaged
from stronglens.lensing.records import SieShear
from stronglens.simulation import counts
from stronglens.simulation.relations import (
    Columns,
    deflector_log_size,
    deflector_magnitude,
    distance_modulus,
    draw_by_density,
    kpc_per_arcsec,
    one_minus_rayleigh,
    theta_e_at_infinity,
    theta_e_of,
    velocity_dispersion_function,
    volume_density,
)
from stronglens.simulation.sky import Sky

SIZES_AT = 26.0
"""Magnitude whose sizes the sources of the training prior have [mag AB in i]."""
SIZES = (0.04, 1.2)
"""Smallest and largest half-light radius of a source [arcsec]."""
SIZE_SCATTER = 0.35
"""Scatter of the sources' sizes [dex] (Collett 2015)."""
_BOX = 1.5  # half-side of the box a source is placed in, in Einstein radii
_POOL = 8  # systems proposed at a time, per scene wanted
_SLOPES = (1.6, 2.5)
# weight of a 210 km/s lens of 1 arcsec in the training prior: makes typical weights about one
_TYPICAL = float(velocity_dispersion_function(np.array([210.0]))[0]) * 210.0


def draw_lens_systems(sky: Sky, seed: int, stream: str, block: int, n: int) -> Columns:
    """Draw deflectors with a source inside their caustic.

    Args:
        sky: What to draw from; its theta_e_min must be set.
        seed: Seed of the dataset.
        stream: Name of the random stream.
        block: Number of the block.
        n: Scenes in a block.

    Returns:
        One array of length n per column: masses, redshifts, shapes, magnitudes, positions relative
        to the deflector, and `weight`, the sky's density over that drawn from.

    Reference:
        Collett 2015, section 2, for the sky; mass slopes of Auger et al. 2010.
    """
    rng = numpy_generator(seed, "systems", stream, block)
    parts: list[Columns] = []
    while sum(len(part["theta_e"]) for part in parts) < n:
        parts.append(_draw_pool(sky, rng, _POOL * n))
    systems = {name: np.concatenate([p[name] for p in parts])[:n] for name in parts[0]}
    return systems | _deflector_light(systems, rng) | _source_light(systems, rng)


def _draw_pool(sky: Sky, rng: np.random.Generator, n: int) -> Columns:
    """Draw n deflectors and sources, and keep those that are lenses."""
    pairs = _training_pairs(sky, rng, n) if sky.prior == "training" else _sky_pairs(sky, rng, n)
    pool = pairs | _mass(sky, pairs, rng)
    position = rng.uniform(-_BOX, _BOX, (2, n)) * pool["theta_e"]
    pool |= {"x_source": position[0], "y_source": position[1]}
    keep = pool.pop("is_kept") & (pool["theta_e"] < sky.theta_e_max)
    keep &= pool["theta_e"] > float(sky.theta_e_min or 0.0)
    pool = {name: values[keep] for name, values in pool.items()}
    inside = _inside_caustic(pool)
    return {name: values[inside] for name, values in pool.items()}


def _training_pairs(sky: Sky, rng: np.random.Generator, n: int) -> Columns:
    """Einstein radii log-flat; the dispersion follows from radius and redshifts.

    The weight is phi(sigma) dsigma / dtheta_e times the box's area over the density 1 / theta_e;
    the source's magnitude and its own weight come once its arc's S/N is known.
    """
    z_lens = draw_by_density(volume_density, (sky.z_lens_min, sky.z_lens_max), rng.random(n))
    z_source = counts.Z_MEDIAN * np.exp(counts.Z_SCATTER * rng.standard_normal(n))
    behind = (z_source > z_lens + 0.1) & (z_source < sky.z_source_max)
    low, high = np.log(float(sky.theta_e_min or 0.0)), np.log(sky.theta_e_max)
    theta_e = np.exp(rng.uniform(low, high, n))
    at_100 = theta_e_of(np.full(n, 100.0), z_lens, np.where(behind, z_source, 9.0))
    sigma_v = 100.0 * np.sqrt(theta_e / at_100)
    weight = velocity_dispersion_function(sigma_v) * sigma_v * theta_e**2 / _TYPICAL
    return {
        "sigma_v": np.clip(sigma_v, sky.sigma_v_min, sky.sigma_v_max),
        "z_lens": z_lens,
        "z_source": z_source,
        "theta_e": theta_e,
        "mag_i_source": np.full(n, np.nan),
        "weight": weight,
        "is_kept": behind & (sigma_v > sky.sigma_v_min) & (sigma_v < sky.sigma_v_max),
    }


def _sky_pairs(sky: Sky, rng: np.random.Generator, n: int) -> Columns:
    """Pairs as often as the sky has them: the cross-section enters once, as in `population`."""
    limits = (sky.sigma_v_min, sky.sigma_v_max)
    sigma_v = draw_by_density(
        lambda s: velocity_dispersion_function(s) * s**4, limits, rng.random(n)
    )
    z_lens = draw_by_density(volume_density, (sky.z_lens_min, sky.z_lens_max), rng.random(n))
    mag = counts.draw_magnitudes(sky.source_mag_bright, sky.source_mag_faint, rng.random(n))
    z_source = counts.CATALOGUE.redshifts(mag, rng.standard_normal(n))
    behind = (z_source > z_lens + 0.1) & (z_source < sky.z_source_max)
    theta_e = theta_e_of(sigma_v, z_lens, np.where(behind, z_source, 9.0))
    return {
        "sigma_v": sigma_v,
        "z_lens": z_lens,
        "z_source": z_source,
        "theta_e": theta_e,
        "mag_i_source": mag,
        "weight": np.ones(n),
        "is_kept": behind & (rng.random(n) < (theta_e / theta_e_at_infinity(sigma_v)) ** 2),
    }


def _mass(sky: Sky, pairs: Columns, rng: np.random.Generator) -> Columns:
    """Shapes of light and mass, slope, shear and boxiness."""
    n = len(pairs["theta_e"])
    q_light = one_minus_rayleigh(rng.random(n), 0.378 - 0.000572 * pairs["sigma_v"])
    phi_light = np.pi * rng.random(n)
    shear = sky.shear_median * np.exp(sky.shear_scatter * rng.standard_normal(n))
    shear_angle = 2 * np.pi * rng.random(n)
    return {
        "q_light": q_light,
        "phi_light": phi_light,
        "q": np.clip(q_light * (1 + sky.mass_q_scatter * rng.standard_normal(n)), 0.3, 0.99),
        "phi": phi_light + sky.mass_phi_scatter * rng.standard_normal(n),
        "slope": np.clip(sky.slope_mean + sky.slope_scatter * rng.standard_normal(n), *_SLOPES),
        "gamma1": np.minimum(shear, 0.25) * np.cos(shear_angle),
        "gamma2": np.minimum(shear, 0.25) * np.sin(shear_angle),
        "a_m": sky.multipole_scatter * rng.standard_normal(n),
    }


def _inside_caustic(pool: Columns) -> Bool[np.ndarray, " n"]:
    """Sources that are multiply imaged, by the caustic of the isothermal lens.

    A lens shallower than isothermal images a smaller area twice: by the radial caustic of the
    round power law. For a steeper one the area has no edge, and the isothermal one is taken.
    """
    zeros = torch.zeros(len(pool["theta_e"]), dtype=torch.float64)
    names = ("theta_e", "q", "phi", "gamma1", "gamma2")
    lens = SieShear(
        **{name: torch.as_tensor(pool[name]) for name in names}, x_center=zeros, y_center=zeros
    )
    shrink = radial_caustic(pool["slope"])
    beta = (torch.as_tensor(pool[name] / shrink) for name in ("x_source", "y_source"))
    return is_multiply_imaged(lens, *beta).numpy()


def radial_caustic(slope: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Radius of the radial caustic of a round power law in Einstein radii, 1 from isothermal on.

    Args:
        slope: Slope of the density, above 1; isothermal is 2 [-].

    Reference:
        Tessore & Metcalf 2015, section 2, for the round lens: alpha = theta^(2 - slope).
    """
    power = np.clip(2.0 - slope, 1e-6, 1.0 - 1e-6)
    theta = power ** (1.0 / (1.0 - power))
    return np.where(slope < 2.0, theta**power - theta, 1.0)


def _deflector_light(systems: Columns, rng: np.random.Generator) -> Columns:
    """Absolute r magnitude, size along the major axis and Sersic index of the deflectors."""
    n = len(systems["theta_e"])
    log_sigma = np.log10(systems["sigma_v"])
    log_size = deflector_log_size(log_sigma) + 0.11 * rng.standard_normal(n)
    circular = 10.0**log_size / kpc_per_arcsec(systems["z_lens"])
    return {
        "absolute_r": deflector_magnitude(log_sigma) + 0.15 / 2.4 * rng.standard_normal(n),
        "r_eff_deflector": np.clip(circular / np.sqrt(systems["q_light"]), 0.1, 8.0),
        "n_sersic_deflector": np.clip(4.0 + 0.8 * rng.standard_normal(n), 2.0, 6.0),
    }


def _source_light(systems: Columns, rng: np.random.Generator) -> Columns:
    """Shapes of the sources; the training prior takes sizes at one magnitude."""
    n = len(systems["theta_e"])
    mag = np.where(np.isnan(systems["mag_i_source"]), SIZES_AT, systems["mag_i_source"])
    return {
        "r_eff_source": draw_source_sizes(mag, systems["z_source"], rng),
        "n_sersic_source": rng.uniform(0.7, 1.8, n),
        "q_source": one_minus_rayleigh(rng.random(n), 0.3),
        "phi_source": np.pi * rng.random(n),
    }


def source_log_size(
    mag_i: Float[np.ndarray, "*n"], z: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    """Mean log10 of the half-light radius of blue galaxies along the major axis [arcsec].

    Args:
        mag_i: Magnitudes [mag AB in i].
        z: Redshifts.

    Reference:
        Collett 2015: 10^(-(M + 18) / 4) ((1 + z) / 1.6)^-1.2 kpc; M of a galaxy of flat f_nu, whose
        K-correction is -2.5 log10(1 + z).
    """
    absolute = mag_i - distance_modulus(z) + 2.5 * np.log10(1.0 + z)
    in_kpc = -(absolute + 18.0) / 4.0 - 1.2 * np.log10((1.0 + z) / 1.6)
    return in_kpc - np.log10(kpc_per_arcsec(z))


def draw_source_sizes(
    mag_i: Float[np.ndarray, " n"], z: Float[np.ndarray, " n"], rng: np.random.Generator
) -> Float[np.ndarray, " n"]:
    """Half-light radii of blue galaxies along the major axis [arcsec].

    Args:
        mag_i: Magnitudes [mag AB in i].
        z: Redshifts.
        rng: Source of randomness.

    Reference:
        Collett 2015: a scatter of 0.35 dex about `source_log_size`.
    """
    log_size = source_log_size(mag_i, z) + SIZE_SCATTER * rng.standard_normal(len(z))
    return np.clip(10.0**log_size, *SIZES)
