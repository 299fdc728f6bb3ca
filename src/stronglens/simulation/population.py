"""Joint draws of deflector and lensed source, each block of scenes from its own random stream.

A block is always drawn whole, so scene i is the same whatever the batch, worker or start index.
Rendering is in `render`, the classes made from these systems in `scenes`.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float

from stronglens.core.conventions import ellipticity_from_axis_ratio
from stronglens.core.seeds import numpy_generator
from stronglens.lensing import cosmology
from stronglens.lensing.caustics import is_multiply_imaged
from stronglens.lensing.records import SieShear
from stronglens.simulation.priors import Population
from stronglens.simulation.relations import (
    SIGMA_STAR,
    VDF_A,
    VDF_B,
    Columns,
    deflector_log_size,
    deflector_magnitude,
    distance_modulus,
    draw_by_density,
    kpc_per_arcsec,
    one_minus_rayleigh,
    theta_e_at_infinity,
    theta_e_of,
)

# cumulative galaxy counts per arcmin^2 in g: LSST mock catalogue summarised in Collett 2015's code,
# continued beyond 24-27 with the slopes at either end
_COUNT_MAGS = np.array([21.0, 22.0, 23.0, 24.0, 25.0, 26.0, 27.0, 28.0, 29.0])
_COUNTS = np.array([0.72, 1.73, 4.15, 9.95, 24.0, 53.9, 108.0, 192.0, 300.0])
# apparent minus absolute r magnitude minus distance modulus, for a 10 Gyr passive galaxy seen in g
_K_REDSHIFTS = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.5])
_K_G = np.array([0.75, 1.17, 1.84, 2.27, 2.66, 3.09, 3.60, 4.75, 5.76, 6.30, 6.27])
# half-side of the box a source is placed in, in Einstein radii: holds every caustic for q > 0.2
_BOX = 1.5
POOL = 24  # pairs proposed at a time, per scene wanted


def draw_systems(priors: Population, seed: int, stream: str, block: int, n: int) -> Columns:
    """Draw lens systems: deflectors with a source inside their caustic.

    Deflectors follow the velocity-dispersion function and the comoving volume, sources the
    number counts (Collett 2015, section 2). The cross-section, which grows as theta_e^2, enters
    once: dispersions are proposed with a weight sigma_v^4, pairs kept with (d_ls / d_source)^2,
    and the source placed uniformly in a box that grows with theta_e and kept if multiply imaged.

    Args:
        priors: What to draw from.
        seed: Seed of the dataset.
        stream: Name of the random stream.
        block: Number of the block.
        n: Scenes in a block.

    Returns:
        One array of length n per column: masses, redshifts, shapes, magnitudes, positions.
    """
    rng = numpy_generator(seed, stream, block)
    parts: list[Columns] = []
    while sum(len(part["theta_e"]) for part in parts) < n:
        parts.append(_draw_pool(priors, rng, POOL * n))
    systems = {name: np.concatenate([p[name] for p in parts])[:n] for name in parts[0]}
    return systems | _light_of_deflectors(systems, rng) | _light_of_sources(priors, systems, rng)


def _draw_pool(priors: Population, rng: np.random.Generator, n: int) -> Columns:
    """Draw n deflectors and sources, and keep the pairs that are lenses."""
    sigma_v = _draw_sigma_v(priors, rng, n)
    z_lens = draw_by_density(
        lambda z: cosmology.comoving_volume_density(torch.as_tensor(z)).numpy(),
        (priors.z_lens_min, priors.z_lens_max),
        rng.random(n),
    )
    z_source = priors.z_source_median * np.exp(priors.z_source_scatter * rng.standard_normal(n))
    behind = (z_source > z_lens + 0.1) & (z_source < priors.z_source_max)
    theta_e = np.where(behind, theta_e_of(sigma_v, z_lens, np.where(behind, z_source, 9.0)), 0.0)
    ratio = theta_e / theta_e_at_infinity(sigma_v)
    keep = (theta_e > priors.theta_e_min) & (theta_e < priors.theta_e_max)
    keep &= rng.random(n) < ratio**2
    position = rng.uniform(-_BOX, _BOX, (2, n)) * theta_e
    shear = priors.shear_scatter * rng.standard_normal((2, n))
    shape = rng.random((2, n))
    pool = {
        "sigma_v": sigma_v,
        "z_lens": z_lens,
        "z_source": z_source,
        "theta_e": theta_e,
        "q": _axis_ratio(shape[0], sigma_v),
        "phi": np.pi * shape[1],
        "gamma1": shear[0],
        "gamma2": shear[1],
        "x_source": position[0],
        "y_source": position[1],
    }
    pool = {name: values[keep] for name, values in pool.items()}
    inside = _inside_caustic(pool)
    return {name: values[inside] for name, values in pool.items()}


def _inside_caustic(pool: Columns) -> Bool[np.ndarray, " n"]:
    zeros = torch.zeros(len(pool["theta_e"]), dtype=torch.float64)
    names = ("theta_e", "q", "phi", "gamma1", "gamma2")
    lens = SieShear(
        **{name: torch.as_tensor(pool[name]) for name in names}, x_center=zeros, y_center=zeros
    )
    beta = torch.as_tensor(pool["x_source"]), torch.as_tensor(pool["y_source"])
    return is_multiply_imaged(lens, *beta).numpy()


def _draw_sigma_v(priors: Population, rng: np.random.Generator, n: int) -> Float[np.ndarray, " n"]:
    """Draw from sigma_v^4 times the dispersion function of Choi, Park & Vogeley 2007 [km/s]."""

    def density(sigma: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        scaled = sigma / SIGMA_STAR
        return scaled ** (VDF_A + 4.0) * np.exp(-(scaled**VDF_B)) / sigma

    return draw_by_density(density, (priors.sigma_v_min, priors.sigma_v_max), rng.random(n))


def _axis_ratio(uniform: Float[np.ndarray, " n"], sigma_v: Float[np.ndarray, " n"]) -> np.ndarray:
    """Axis ratio 1 - Rayleigh(0.378 - 0.000572 sigma_v), truncated to 0.2-1 (Collett 2015)."""
    return one_minus_rayleigh(uniform, 0.378 - 0.000572 * sigma_v)


def _light_of_deflectors(systems: Columns, rng: np.random.Generator) -> Columns:
    """Magnitude and size of the deflectors (Hyde & Bernardi 2009, as coded by Collett 2015)."""
    n = len(systems["theta_e"])
    log_sigma = np.log10(systems["sigma_v"])
    absolute = deflector_magnitude(log_sigma)
    absolute += 0.15 / 2.4 * rng.standard_normal(n)
    log_size = deflector_log_size(log_sigma) + 0.11 * rng.standard_normal(n)
    z_lens = systems["z_lens"]
    magnitude = absolute + distance_modulus(z_lens) + np.interp(z_lens, _K_REDSHIFTS, _K_G)
    circular = 10.0**log_size / kpc_per_arcsec(z_lens)
    return {
        "mag_deflector": magnitude,
        "r_eff_deflector": np.clip(circular / np.sqrt(systems["q"]), 0.1, 6.0),
        "n_sersic_deflector": np.full(n, 4.0),
    }


def _light_of_sources(priors: Population, systems: Columns, rng: np.random.Generator) -> Columns:
    """Magnitude, size and shape of the unlensed sources.

    The size is 10^(-(M + 18) / 4) [(1 + z) / 1.6]^-1.2 kpc with 0.35 dex scatter (Collett 2015);
    M is rest-frame g of a galaxy of flat f_nu, for which the K-correction is -2.5 log10(1 + z).
    """
    n = len(systems["theta_e"])
    z_source = systems["z_source"]
    magnitude = draw_source_magnitudes(priors, rng.random(n))
    absolute = magnitude - distance_modulus(z_source) + 2.5 * np.log10(1.0 + z_source)
    size = 10.0 ** (-(absolute + 18.0) / 4.0) * ((1.0 + z_source) / 1.6) ** -1.2
    size *= 10.0 ** (0.35 * rng.standard_normal(n))
    return {
        "mag_source": magnitude,
        "r_eff_source": np.clip(size / kpc_per_arcsec(z_source), 0.08, 0.8),
        "n_sersic_source": rng.uniform(0.7, 1.8, n),
        "q_source": one_minus_rayleigh(rng.random(n), 0.3),
        "phi_source": rng.uniform(0.0, np.pi, n),
    }


def draw_source_magnitudes(
    priors: Population, uniform: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Magnitudes [mag AB] that follow the g counts between the priors' limits.

    Args:
        priors: Its bright and faint limits are used.
        uniform: Uniform numbers in [0, 1).
    """
    fine = np.linspace(priors.source_mag_bright, priors.source_mag_faint, 512)
    counts = 10.0 ** np.interp(fine, _COUNT_MAGS, np.log10(_COUNTS))
    return np.interp(counts[0] + uniform * (counts[-1] - counts[0]), counts, fine)


def ellipticities(systems: Columns) -> Columns:
    """Return e1 and e2 of the systems' axis ratios and angles."""
    e1, e2 = ellipticity_from_axis_ratio(systems["q"], systems["phi"])
    return {"e1": e1, "e2": e2}
