"""Light of whole galaxies as layers: their components, each with the colours of its stars.

Where the galaxies are and how bright is decided by the files of systems and classes.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from stronglens.core.seeds import numpy_generator, torch_generator
from stronglens.light.clumps import ClumpPriors, draw_clumps
from stronglens.light.sersic import Sersics
from stronglens.simulation.relations import Columns, distance_modulus, one_minus_rayleigh
from stronglens.simulation.scene import Deflectors, LightLayer, layer
from stronglens.simulation.stamp_sources import Shelf, stamp_layer
from stronglens.surveys.colours import magnitude_offset

REFERENCE = "lsst-i"
"""Band of the magnitudes that galaxies are drawn by."""
OLD = "passive"
BLUE = ("sbc", "scd", "irregular", "starburst")
_SCATTER = 0.1  # of each colour about its template [mag]
_CLUMPS = 4


@dataclass(frozen=True)
class Filters:
    """The bands images are made in, and the unit of their fluxes."""

    bands: tuple[str, ...]
    """Names of the bands."""
    zero_point: float
    """Magnitude of one pixel unit in every band [mag AB]."""
    least_size: float
    """Smallest scatter of light that the oversampled frame holds: half a sub-pixel [arcsec]."""
    sharpest: float
    """PSF width of the sharpest band [arcsec]."""
    stamps: Shelf | None = None
    """Real galaxies that sources can be."""

    def mag_i_of(
        self, absolute_r: Float[np.ndarray, " n"], z: Float[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """Magnitude of an old galaxy [mag AB in i].

        Args:
            absolute_r: Absolute magnitudes [mag AB, rest-frame r].
            z: Redshifts.
        """
        return absolute_r + distance_modulus(z) + magnitude_offset(OLD, REFERENCE, z)

    def flux(
        self, mag_i: Float[np.ndarray, " n"], z: Float[np.ndarray, " n"], template: str
    ) -> Float[np.ndarray, "n band"]:
        """Flux in every band of galaxies of a magnitude in i.

        Args:
            mag_i: Magnitudes [mag AB in i].
            z: Redshifts.
            template: Spectrum.
        """
        reference = magnitude_offset(template, REFERENCE, z)
        colours = [magnitude_offset(template, band, z) - reference for band in self.bands]
        magnitudes = mag_i[:, None] + np.stack(colours, axis=1)
        return 10.0 ** (-0.4 * (magnitudes - self.zero_point))


@dataclass(frozen=True)
class Blue:
    """What is drawn of star-forming galaxies, one value each."""

    rows: Int[np.ndarray, " n"]
    """Numbers of the images they are in, ascending."""
    flux: Float[np.ndarray, "n band"]
    """Total flux in every band, of which the components are shares [pixel units]."""
    red_flux: Float[np.ndarray, "n band"]
    """The same flux in i with the colours of old stars: that of the bulges [pixel units]."""
    shape: Columns
    """r_eff, n_sersic, q, phi, x_center, y_center of the discs."""

    def of(self, chosen: Bool[np.ndarray, " n"]) -> "Blue":
        """Return some of the galaxies."""
        shape = {name: values[chosen] for name, values in self.shape.items()}
        return Blue(self.rows[chosen], self.flux[chosen], self.red_flux[chosen], shape)


def red_deflectors(
    systems: Columns, center: Float[np.ndarray, "2 n"], filters: Filters, rng: np.random.Generator
) -> Deflectors:
    """Light of early-type deflectors as two components that differ in shape, angle and centre.

    An inner component of the drawn index and a wider, shallower one make the light twist and change
    its flattening with radius, as in real galaxies.

    Args:
        systems: absolute_r, z_lens, r_eff_deflector, n_sersic_deflector, q_light, phi_light.
        center: Positions of the galaxies [arcsec].
        filters: Bands.
        rng: Source of randomness.
    """
    n = len(systems["z_lens"])
    z = systems["z_lens"]
    flux = filters.flux(filters.mag_i_of(systems["absolute_r"], z), z, OLD)
    # a stream of its own: how many bands there are must not move the draws that follow
    flux *= 10.0 ** (-0.4 * 0.04 * rng.spawn(1)[0].standard_normal(flux.shape))
    share = rng.uniform(0.45, 0.9, n)
    radius, q, phi = (systems[k] for k in ("r_eff_deflector", "q_light", "phi_light"))
    offset = 0.02 * rng.standard_normal((2, n))
    columns = {
        "flux": np.ones((n, 2)),
        "r_eff": np.stack([0.7 * radius, rng.uniform(1.4, 2.2, n) * radius], axis=1),
        "n_sersic": np.stack([systems["n_sersic_deflector"], rng.uniform(0.8, 2.5, n)], axis=1),
        "q": np.stack([q, np.clip(q + 0.12 * rng.standard_normal(n), 0.25, 1.0)], axis=1),
        "phi": np.stack([phi, phi + 0.2 * rng.standard_normal(n)], axis=1),
        "x_center": np.stack([center[0], center[0] + offset[0]], axis=1),
        "y_center": np.stack([center[1], center[1] + offset[1]], axis=1),
    }
    return Deflectors(Sersics(**_floats(columns)), _float(flux[..., None] * _shares(share)))


def sources(
    systems: Columns, center: Float[np.ndarray, "2 n"], filters: Filters, key: tuple[int, int]
) -> tuple[LightLayer, ...]:
    """Light of sources of magnitude 25 in i, or their own where it is drawn already.

    Args:
        systems: Columns of `draw_lens_systems`, and red_source, clumpy_source and real_source as
            booleans.
        center: Positions of the deflectors [arcsec].
        filters: Bands, and the stamps of real sources.
        key: Seed of the dataset and number of the block.
    """
    rng = numpy_generator(key[0], "source light", key[1])
    mag = np.where(np.isnan(systems["mag_i_source"]), 25.0, systems["mag_i_source"])
    shape = {
        "r_eff": systems["r_eff_source"],
        "n_sersic": systems["n_sersic_source"],
        "q": systems["q_source"],
        "phi": systems["phi_source"],
        "x_center": systems["x_source"] + center[0],
        "y_center": systems["y_source"] + center[1],
    }
    red = systems["red_source"]
    flux = mixed_flux(mag, systems["z_source"], filters, rng, red=red)
    old = filters.flux(mag, systems["z_source"], OLD)
    rows = np.arange(len(mag))
    drawn = Blue(rows, flux, old, shape)
    real = systems["real_source"] & ~red
    layers = star_forming(
        drawn.of(~real), (systems["clumpy_source"] & ~red)[~real], rng, filters.least_size
    )
    if filters.stamps is None or not real.any():
        return layers
    own = drawn.of(real)
    draw = (filters.sharpest, rng)
    return (*layers, stamp_layer(filters.stamps, own.rows, own.flux, own.shape, draw))


def mixed_flux(
    mag_i: Float[np.ndarray, " n"],
    z: Float[np.ndarray, " n"],
    filters: Filters,
    rng: np.random.Generator,
    *,
    red: np.ndarray,
    shares: Float[np.ndarray, "n template"] | None = None,
) -> Float[np.ndarray, "n band"]:
    """Flux of galaxies whose spectra lie between the blue templates, or are old.

    Args:
        mag_i: Magnitudes [mag AB in i].
        z: Redshifts.
        filters: Bands.
        rng: Source of randomness.
        red: True where the stars are old.
        shares: Of the blue templates in i, in the order of `BLUE`; at random by default.
    """
    if shares is None:
        shares = rng.dirichlet(np.ones(len(BLUE)), len(mag_i))
    blue = sum(
        shares[:, k, None] * filters.flux(mag_i, z, template) for k, template in enumerate(BLUE)
    )
    flux = np.where(red[:, None], filters.flux(mag_i, z, OLD), blue)
    # a stream of its own: how many bands there are must not move the draws that follow
    return flux * 10.0 ** (-0.4 * _SCATTER * rng.spawn(1)[0].standard_normal(flux.shape))


def star_forming(
    galaxies: Blue, is_clumpy: np.ndarray, rng: np.random.Generator, least_size: float
) -> tuple[LightLayer, ...]:
    """Layers of star-forming galaxies: discs, bulges in a third of them, and clumps in some.

    Args:
        galaxies: What was drawn of them.
        is_clumpy: True where a galaxy has clumps.
        rng: Source of randomness.
        least_size: Smallest scatter of light that the frame holds [arcsec].
    """
    n = len(galaxies.rows)
    bulge = np.where(rng.random(n) < 1 / 3, rng.uniform(0.1, 0.5, n), 0.0)
    clumps = np.where(is_clumpy, rng.uniform(0.1, 0.5, n), 0.0) * (1 - bulge)
    disc = 1.0 - bulge - clumps
    has_bulge = np.flatnonzero(bulge > 0)
    bulge_shape = {name: values[has_bulge] for name, values in galaxies.shape.items()}
    bulge_shape["n_sersic"] = np.full(len(has_bulge), 3.0)
    bulge_shape["r_eff"] = np.maximum(0.3 * bulge_shape["r_eff"], least_size)
    bulge_shape["q"] = np.sqrt(bulge_shape["q"])
    layers = [
        layer("sersic", galaxies.shape, galaxies.flux * disc[:, None], galaxies.rows),
        layer(
            "sersic",
            bulge_shape,
            galaxies.red_flux[has_bulge] * bulge[has_bulge, None],
            galaxies.rows[has_bulge],
        ),
    ]
    has_clumps = np.flatnonzero(clumps > 0)
    if len(has_clumps):
        seed = int(rng.integers(2**62))
        layers += _clumps(galaxies, clumps, has_clumps, seed, least_size)
    return tuple(layers)


def _clumps(
    galaxies: Blue, share: np.ndarray, index: np.ndarray, seed: int, least_size: float
) -> list[LightLayer]:
    disc = {
        name: _float(galaxies.shape[name][index])
        for name in ("r_eff", "q", "phi", "x_center", "y_center")
    }
    generator = torch_generator(seed, "clumps")
    drawn = draw_clumps(generator, _CLUMPS, disc, ClumpPriors(relative_size=0.2))
    drawn = replace(drawn, sigma=drawn.sigma.clamp_min(least_size))
    flux = _float(galaxies.flux[index] * share[index, None])
    rows = torch.as_tensor(galaxies.rows[index])
    return [
        LightLayer(drawn.component(k), flux * drawn.flux_share[:, k, None], rows)
        for k in range(_CLUMPS)
    ]


def draw_shapes(
    r_eff: Float[np.ndarray, " n"],
    position: Float[np.ndarray, "2 n"],
    rng: np.random.Generator,
) -> Columns:
    """Shapes of disc galaxies at given places, at random angles and inclinations.

    Args:
        r_eff: Half-light radii [arcsec].
        position: Centres [arcsec].
        rng: Source of randomness.
    """
    n = len(r_eff)
    return {
        "r_eff": r_eff,
        "n_sersic": rng.uniform(0.7, 1.8, n),
        "q": one_minus_rayleigh(rng.random(n), 0.3),
        "phi": np.pi * rng.random(n),
        "x_center": position[0],
        "y_center": position[1],
    }


def _shares(first: np.ndarray) -> np.ndarray:
    """Shares of two components, (n, 1, 2)."""
    return np.stack([first, 1.0 - first], axis=1)[:, None, :]


def _floats(columns: Columns) -> dict[str, Tensor]:
    return {name: _float(values) for name, values in columns.items()}


def _float(values: np.ndarray) -> Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float32))
