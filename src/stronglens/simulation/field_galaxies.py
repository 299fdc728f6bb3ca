"""Galaxies of the field: type, redshift, size, flattening and colours that go with a magnitude.

What light they are made of is in `galaxy_structure`; where they stand is decided by `surroundings`.
"""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int

from stronglens.simulation.galaxies import BLUE, OLD, REFERENCE, Filters
from stronglens.simulation.relations import distance_modulus, kpc_per_arcsec, one_minus_rayleigh
from stronglens.surveys.colours import magnitude_offset

EARLY, SPIRAL, LATE = 0, 1, 2
"""Types: ellipticals and lenticulars, spirals, irregulars and starbursts."""
_TYPES_MAG = 20.0
_SHARES = ((0.35, 0.450), (0.50, 0.147))
"""Share of early types and of spirals at i = 20, and how fast it falls with the magnitude."""
_LATE_MAGS, _LATE_SHARES = (16.0, 20.0), (0.02, 0.15)
"""Share of irregulars among brighter galaxies; spirals have the rest."""
_REDSHIFTS = ((2.46, 0.431, 0.091), (1.81, 0.390, 0.0636), (0.91, 0.063, 0.123))
"""By type: power of the redshift, its scale at i = 20, and how fast that grows."""
_BRIGHT_MAGS, _BRIGHT_Z = (18.5, 19.5, 20.5), (0.091, 0.136, 0.197)
"""Scale of the redshifts of galaxies brighter than that [mag AB in i]."""
_TEMPLATES = ((1.0, 0, 0, 0, 0), (0.5, 1, 1, 0, 0), (0, 0, 1, 1, 0.5))
"""Weights of old stars and of the blue templates by type: spirals reach from Sa to Scd."""
_TYPICAL = (OLD, "scd", "irregular")
"""Spectra that absolute magnitudes are counted with, by type."""
_YOUNG = 0.25
"""Largest share of light in i of the stars of a spiral in early types."""
_MASS_TO_LIGHT = (2.3, 1.1, 0.75)
"""Stellar mass over light in r at redshift 0, by type [suns]."""
_EVOLUTION = 1.0
"""How much brighter galaxies of one mass were at redshift 1 [mag]."""
_SUN = 4.65
"""Absolute magnitude of the sun [mag AB in r]."""
_SIZE_LAWS = ((5.6, 0.75, -1.48, 0.13), (8.9, 0.22, -0.75, 0.18), (8.9, 0.22, -0.75, 0.18))
"""By type: size at 5e10 suns [kpc], its powers of mass and of 1 + z, its scatter [dex]."""
_LEAST_EARLY_MASS = 2e10
"""Early types of less mass are no smaller [suns]."""
_SIZES = (0.04, 8.0)
_SCATTER = 0.05
"""Scatter of each colour about its mixture of templates [mag]."""
_THICKNESS = 0.2
_FLATTENING = 0.25


@dataclass(frozen=True)
class FieldGalaxies:
    """What is drawn of galaxies of the field, one value each, images ascending."""

    rows: Int[np.ndarray, " n"]
    """Numbers of the images they are in."""
    place: Float[np.ndarray, "n 2"]
    """Centres, x and y [arcsec]."""
    mag_i: Float[np.ndarray, " n"]
    """Magnitudes [mag AB in i]."""
    z: Float[np.ndarray, " n"]
    """Redshifts."""
    kind: Int[np.ndarray, " n"]
    """Types."""
    r_eff: Float[np.ndarray, " n"]
    """Half-light radii along the major axis [arcsec]."""
    q: Float[np.ndarray, " n"]
    """Axis ratios."""
    phi: Float[np.ndarray, " n"]
    """Angles of the major axis [rad]."""
    flux: Float[np.ndarray, "n band"]
    """Flux in every band [pixel units]."""
    old_flux: Float[np.ndarray, "n band"]
    """Flux of old stars as bright in i [pixel units]."""

    def __len__(self) -> int:
        """Return the number of galaxies."""
        return len(self.rows)

    def __getitem__(self, index: np.ndarray) -> "FieldGalaxies":
        """Return some of the galaxies."""
        return FieldGalaxies(*(getattr(self, entry.name)[index] for entry in fields(self)))


def draw_field_galaxies(
    mag_i: Float[np.ndarray, " n"],
    rows: Int[np.ndarray, " n"],
    place: Float[np.ndarray, "n 2"],
    filters: Filters,
    rng: np.random.Generator,
) -> FieldGalaxies:
    """Draw galaxies of given magnitudes at given places.

    Args:
        mag_i: Magnitudes [mag AB in i].
        rows: Numbers of the images they are in, ascending.
        place: Centres [arcsec].
        filters: Bands.
        rng: Source of randomness.
    """
    n = len(mag_i)
    kind = draw_types(mag_i, rng)
    z = draw_redshifts(mag_i, kind, rng)
    q = draw_axis_ratios(kind, rng)
    size = half_light_radii(absolute_magnitudes(mag_i, z, kind), z, kind)
    size *= 10.0 ** (np.array(_SIZE_LAWS)[kind, 3] * rng.standard_normal(n))
    flux, old_flux = _draw_flux(mag_i, z, kind, filters, rng)
    return FieldGalaxies(
        rows=rows,
        place=place,
        mag_i=mag_i,
        z=z,
        kind=kind,
        r_eff=np.clip(size / kpc_per_arcsec(z), *_SIZES),
        q=q,
        phi=np.pi * rng.random(n),
        flux=flux,
        old_flux=old_flux,
    )


def draw_types(mag_i: Float[np.ndarray, " n"], rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Draw types: the brighter galaxies are, the more are early types and spirals.

    Args:
        mag_i: Magnitudes [mag AB in i].
        rng: Source of randomness.

    Reference:
        Benitez 2000, ApJ 536, 571, table 1: shares f exp(-k (mag - 20)) from the Hubble Deep Field,
        with k of the two types as in his code BPZ. Irregulars are rare among the bright galaxies
        of Fukugita et al. 2007, AJ 134, 579.
    """
    fainter = np.maximum(mag_i - _TYPES_MAG, 0.0)
    early, spiral = (share * np.exp(-slope * fainter) for share, slope in _SHARES)
    spiral += _LATE_SHARES[1] - np.interp(mag_i, _LATE_MAGS, _LATE_SHARES)
    uniform = rng.random(len(mag_i))
    return np.where(uniform < early, EARLY, np.where(uniform < early + spiral, SPIRAL, LATE))


def draw_redshifts(
    mag_i: Float[np.ndarray, " n"], kind: Int[np.ndarray, " n"], rng: np.random.Generator
) -> Float[np.ndarray, " n"]:
    """Draw redshifts by magnitude and type: z^a exp(-(z / z_m)^a).

    Args:
        mag_i: Magnitudes [mag AB in i].
        kind: Types.
        rng: Source of randomness.

    Reference:
        Benitez 2000, ApJ 536, 571, table 1, from i = 20 on; what is brighter is nearer as the
        scales z0 of Coil et al. 2004, ApJ 617, 765, table 3, are smaller.
    """
    power, scale, slope = np.array(_REDSHIFTS)[kind].T
    scale = scale + slope * np.maximum(mag_i - _TYPES_MAG, 0.0)
    scale *= _bright_scale(np.minimum(mag_i, _TYPES_MAG)) / _bright_scale(np.array([_TYPES_MAG]))
    # (z / z_m)^a has a gamma distribution
    return np.clip(scale * rng.gamma((power + 1.0) / power) ** (1.0 / power), 0.02, 6.0)


def draw_axis_ratios(
    kind: Int[np.ndarray, " n"], rng: np.random.Generator
) -> Float[np.ndarray, " n"]:
    """Draw axis ratios: discs of one thickness at random inclinations, rounder early types.

    Args:
        kind: Types.
        rng: Source of randomness.

    Reference:
        Hubble 1926, ApJ 64, 321, for inclined spheroids; thickness as in Padilla & Strauss 2008,
        MNRAS 388, 1321. The flattening of early types is that of Collett 2015 at 220 km/s.
    """
    uniform = rng.random(len(kind))
    disc = np.sqrt(uniform**2 * (1.0 - _THICKNESS**2) + _THICKNESS**2)
    return np.where(kind == EARLY, one_minus_rayleigh(uniform, _FLATTENING), disc)


def absolute_magnitudes(
    mag_i: Float[np.ndarray, " n"], z: Float[np.ndarray, " n"], kind: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Absolute magnitudes in rest-frame r with the spectra of the types [mag AB].

    Args:
        mag_i: Magnitudes [mag AB in i].
        z: Redshifts.
        kind: Types.
    """
    offsets = np.stack([magnitude_offset(template, REFERENCE, z) for template in _TYPICAL])
    return mag_i - distance_modulus(z) - offsets[kind, np.arange(len(z))]


def half_light_radii(
    absolute_r: Float[np.ndarray, " n"], z: Float[np.ndarray, " n"], kind: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Median half-light radii along the major axis [kpc].

    Args:
        absolute_r: Absolute magnitudes [mag AB in r].
        z: Redshifts.
        kind: Types.

    Reference:
        van der Wel et al. 2014, ApJ 788, 28, sections 3.1-3.3; masses from Bell et al. 2003, ApJS
        149, 289, for colours g - r of 0.75, 0.45 and 0.3, lower by 0.15 dex for fewer faint stars.
    """
    size, power, evolution, _ = np.array(_SIZE_LAWS)[kind].T
    mass = 10.0 ** (-0.4 * (absolute_r + _EVOLUTION * z - _SUN)) * np.array(_MASS_TO_LIGHT)[kind]
    mass = np.where(kind == EARLY, np.maximum(mass, _LEAST_EARLY_MASS), mass)
    return size * (mass / 5e10) ** power * (1.0 + z) ** evolution


def _draw_flux(
    mag_i: np.ndarray,
    z: np.ndarray,
    kind: np.ndarray,
    filters: Filters,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "n band"], Float[np.ndarray, "n band"]]:
    """Flux from mixtures of templates, and that of old stars.

    A little of a spiral's light in early types makes them as blue as they are.

    Reference:
        Maraston et al. 2009, MNRAS 394, L107, section 1: red galaxies are bluer in g - r than old
        stars of solar metallicity.
    """
    weights = rng.exponential(size=(len(mag_i), 1 + len(BLUE))) * np.array(_TEMPLATES)[kind]
    weights /= weights.sum(axis=1, keepdims=True)
    young = np.where(kind == EARLY, _YOUNG * rng.random(len(mag_i)), 0.0)
    weights[:, 0] -= young
    weights[:, 1] += young
    fluxes = [filters.flux(mag_i, z, template) for template in (OLD, *BLUE)]
    flux = sum(weights[:, k, None] * own for k, own in enumerate(fluxes))
    # a stream of its own: how many bands there are must not move the draws that follow
    scatter = _SCATTER * rng.spawn(1)[0].standard_normal(fluxes[0].shape)
    return flux * 10.0 ** (-0.4 * scatter), fluxes[0]


def _bright_scale(mag_i: np.ndarray) -> Float[np.ndarray, " n"]:
    """Scale of the redshifts of bright galaxies, continued with its slope."""
    log_scale = np.log(np.array(_BRIGHT_Z))
    inside = np.interp(mag_i, _BRIGHT_MAGS, log_scale)
    slope = log_scale[1] - log_scale[0]
    return np.exp(inside + slope * np.minimum(mag_i - _BRIGHT_MAGS[0], 0.0))
