"""Galaxies of the field as layers of light: bulges, discs, arms, clumps and envelopes.

Structure costs time to draw and is kept for galaxies bright and large enough to show it; all others
are one Sersic profile.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from stronglens.core.seeds import torch_generator
from stronglens.light.clumps import ClumpPriors, draw_clumps
from stronglens.simulation.field_galaxies import EARLY, LATE, SPIRAL, FieldGalaxies
from stronglens.simulation.galaxies import Filters
from stronglens.simulation.relations import Columns
from stronglens.simulation.scene import LightLayer, layer

_BRIGHT = 22.0
"""Faintest galaxy with structure [mag AB in i]."""
_ARMS_Q = 0.35
"""Smallest axis ratio of a disc whose arms are drawn."""
_LOPSIDED = 0.06
"""Scatter of a disc's centre about its bulge, in its half-light radii: a tenth to a fifth more of
the light on one side, as in Rix & Zaritsky 1995, ApJ 447, 82."""
_ARM_CONTRAST = (0.1, 0.5)
"""Share of a disc's light that is in its arms (our choice, after Rix & Zaritsky 1995)."""
_CLUMPS = 4
_CLUMP_SHARE = (0.02, 0.25)
"""Share of a galaxy's light in clumps (our choice, after Guo et al. 2015, ApJ 800, 39)."""
_LEAST_SHARE = 0.1
"""Of a disc's mean colour in a band: less is not left after its bulge is taken off."""


@dataclass(frozen=True)
class Parts:
    """Components of one light profile, any number in an image."""

    name: str
    """Light profile."""
    rows: Int[np.ndarray, " n"]
    """Numbers of the images."""
    shape: Columns
    """Parameters."""
    flux: Float[np.ndarray, "n band"]
    """Flux in every band [pixel units]."""


def galaxy_layers(
    galaxies: FieldGalaxies, filters: Filters, rng: np.random.Generator
) -> list[LightLayer]:
    """Draw the light of galaxies.

    Args:
        galaxies: The galaxies.
        filters: Bands; what is smaller than their sharpest PSF has no structure.
        rng: Source of randomness.
    """
    is_large = (galaxies.mag_i < _BRIGHT) & (galaxies.r_eff > 0.5 * filters.sharpest)
    parts = [_plain(galaxies[np.flatnonzero(~is_large)], rng)]
    for kind, draw in ((EARLY, _early), (SPIRAL, _spirals), (LATE, _irregulars)):
        chosen = np.flatnonzero(is_large & (galaxies.kind == kind))
        parts += draw(galaxies[chosen], filters, rng)
    return layers_of(parts)


def layers_of(parts: list[Parts]) -> list[LightLayer]:
    """Sort components into layers of one profile, each with one component an image at most.

    Args:
        parts: Components.
    """
    layers = []
    for name in dict.fromkeys(part.name for part in parts):
        own = [part for part in parts if part.name == name]
        rows = np.concatenate([part.rows for part in own])
        shape = {key: np.concatenate([part.shape[key] for part in own]) for key in own[0].shape}
        flux = np.concatenate([part.flux for part in own])
        order = np.argsort(rows, kind="stable")
        starts = np.searchsorted(rows[order], rows[order])
        number = np.arange(len(rows)) - starts
        for k in range(int(number.max(initial=-1)) + 1):
            index = order[number == k]
            columns = {key: values[index] for key, values in shape.items()}
            layers.append(layer(name, columns, flux[index], rows[index]))
    return layers


def _plain(galaxies: FieldGalaxies, rng: np.random.Generator) -> Parts:
    """Galaxies of one component."""
    n = len(galaxies)
    n_sersic = np.where(galaxies.kind == EARLY, rng.uniform(2.5, 5.5, n), rng.uniform(0.7, 1.8, n))
    return Parts("sersic", galaxies.rows, _shape(galaxies, n_sersic=n_sersic), galaxies.flux)


def _early(galaxies: FieldGalaxies, filters: Filters, rng: np.random.Generator) -> list[Parts]:
    """Early types of two components, which make the isophotes twist and change their flattening."""
    n, r_eff = len(galaxies), galaxies.r_eff
    share = rng.uniform(0.45, 0.9, n)[:, None]
    inner = _shape(galaxies, n_sersic=rng.uniform(2.5, 5.0, n), r_eff=0.7 * r_eff)
    outer = _shape(
        galaxies,
        n_sersic=rng.uniform(0.8, 2.5, n),
        r_eff=rng.uniform(1.4, 2.2, n) * r_eff,
        q=np.clip(galaxies.q + 0.12 * rng.standard_normal(n), 0.25, 1.0),
        phi=galaxies.phi + 0.2 * rng.standard_normal(n),
    )
    both = ((inner, share), (outer, 1.0 - share))
    return [Parts("sersic", galaxies.rows, shape, galaxies.flux * part) for shape, part in both]


def _spirals(galaxies: FieldGalaxies, filters: Filters, rng: np.random.Generator) -> list[Parts]:
    """Old bulges in discs; arms where the disc is large and not seen from its side."""
    n = len(galaxies)
    share = rng.beta(1.2, 3.0, n)
    shape = _shape(
        galaxies,
        n_sersic=rng.uniform(1.5, 4.0, n),
        r_eff=np.maximum(rng.uniform(0.12, 0.35, n) * galaxies.r_eff, filters.least_size),
        # bulges are thicker than discs
        q=np.clip(np.sqrt(galaxies.q), 0.3, 1.0),
    )
    bulge = galaxies.old_flux * share[:, None]
    disc = np.maximum(galaxies.flux - bulge, _LEAST_SHARE * galaxies.flux * (1.0 - share)[:, None])
    drawn = _shape(galaxies, n_sersic=np.ones(n), r_eff=galaxies.r_eff * (1.0 + 0.5 * share))
    for axis in ("x_center", "y_center"):
        drawn[axis] = drawn[axis] + _LOPSIDED * drawn["r_eff"] * rng.standard_normal(n)
    has_arms = (galaxies.r_eff > filters.sharpest) & (galaxies.q > _ARMS_Q)
    plain = np.flatnonzero(~has_arms)
    smooth = Parts("sersic", galaxies.rows[plain], _some(drawn, plain), disc[plain])
    armed = np.flatnonzero(has_arms)
    arms = _arms(galaxies.rows[armed], _some(drawn, armed), disc[armed], rng)
    return [Parts("sersic", galaxies.rows, shape, bulge), smooth, arms]


def _arms(
    rows: Int[np.ndarray, " n"],
    shape: Columns,
    flux: Float[np.ndarray, "n band"],
    rng: np.random.Generator,
) -> Parts:
    """Discs with two to four arms."""
    n = len(rows)
    disc = {name: values for name, values in shape.items() if name != "n_sersic"}
    disc |= {
        "n_arms": rng.integers(2, 5, n).astype(float),
        "pitch": np.deg2rad(rng.uniform(10, 35, n)) * rng.choice([-1.0, 1.0], n),
        "arm_contrast": rng.uniform(*_ARM_CONTRAST, n),
        "arm_phase": rng.uniform(0, 2 * np.pi, n),
        "arm_onset": 0.3 * shape["r_eff"],
    }
    return Parts("spiral", rows, disc, flux)


def _irregulars(galaxies: FieldGalaxies, filters: Filters, rng: np.random.Generator) -> list[Parts]:
    """Discs with clumps of star formation."""
    n = len(galaxies)
    share = rng.uniform(*_CLUMP_SHARE, n)
    disc = _shape(galaxies, n_sersic=rng.uniform(0.7, 1.8, n))
    parts = [Parts("sersic", galaxies.rows, disc, galaxies.flux * (1.0 - share)[:, None])]
    seed = int(rng.integers(2**62))
    names = ("r_eff", "q", "phi", "x_center", "y_center")
    own = {name: torch.as_tensor(disc[name]) for name in names}
    drawn = draw_clumps(torch_generator(seed, "clumps"), _CLUMPS, own, ClumpPriors())
    sigma = drawn.sigma.clamp_min(filters.least_size)
    for k in range(_CLUMPS):
        shape = {
            "sigma": sigma[:, k].numpy(),
            "q": np.ones(n),
            "phi": np.zeros(n),
            "x_center": drawn.x_center[:, k].numpy(),
            "y_center": drawn.y_center[:, k].numpy(),
        }
        flux = galaxies.flux * (share * drawn.flux_share[:, k].numpy())[:, None]
        parts.append(Parts("gaussian", galaxies.rows, shape, flux))
    return parts


def _shape(galaxies: FieldGalaxies, **changed: np.ndarray) -> Columns:
    """Parameters of a Sersic profile: the galaxy's own but for some."""
    return {
        "r_eff": galaxies.r_eff,
        "q": galaxies.q,
        "phi": galaxies.phi,
        "x_center": galaxies.place[:, 0],
        "y_center": galaxies.place[:, 1],
    } | changed


def _some(shape: Mapping[str, np.ndarray], index: np.ndarray) -> Columns:
    return {name: values[index] for name, values in shape.items()}
