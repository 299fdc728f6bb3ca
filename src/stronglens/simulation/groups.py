"""Groups of galaxies as lenses: a halo, a central galaxy and members of the red sequence."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.lensing.images import count_images
from stronglens.lensing.profiles import nfw
from stronglens.lensing.records import LensModel, MassProfile
from stronglens.simulation.galaxies import OLD, Filters
from stronglens.simulation.relations import (
    Columns,
    deflector_log_size,
    deflector_magnitude,
    draw_by_density,
    kpc_per_arcsec,
    one_minus_rayleigh,
    theta_e_of,
    volume_density,
)
from stronglens.simulation.scene import LightLayer, layer

THETA_E = (2.5, 9.0)
"""Einstein radii of groups [arcsec]."""
_MEMBERS = 5
_Z_LENS = (0.2, 0.8)
_CANDIDATES = 32  # source positions drawn for each group
_AT_ONCE = 4  # of those tried at a time: half of them are imaged several times


@dataclass(frozen=True)
class Groups:
    """Groups drawn for some images of a block."""

    systems: Columns
    """Columns of lens systems, as for galaxies: the deflector is the central galaxy."""
    lens_model: LensModel
    """Halo, central galaxy, members and shear, one row each."""
    members: Columns
    """Positions, magnitudes and shapes of the members, (n, member); flux only where they exist."""


def draw_groups(
    systems: Columns, center: Float[np.ndarray, "2 n"], largest: float, seed: int
) -> Groups:
    """Turn galaxy-scale systems into groups: new masses, the same sources and angles.

    The halo makes up what central galaxy and members lack of the mass inside the Einstein radius.

    Args:
        systems: Lens systems, whose source light, shear and angles stay.
        center: Positions of the central galaxies [arcsec].
        largest: Largest Einstein radius that fits the frame [arcsec].
        seed: Seed of the groups of this block.

    Reference:
        Navarro, Frenk & White 1997 for the halo; members follow Faber & Jackson 1976,
        sigma ~ L^(1/4). Number and radii of members are our choice.
    """
    rng = np.random.default_rng(seed)
    n = len(systems["z_lens"])
    z_lens = draw_by_density(volume_density, _Z_LENS, rng.random(n))
    z_source = np.maximum(systems["z_source"], z_lens + 0.4)
    low, high = THETA_E[0], max(min(THETA_E[1], largest), 1.1 * THETA_E[0])
    theta_e = np.exp(rng.uniform(np.log(low), np.log(high), n))
    sigma_v = rng.uniform(230.0, 350.0, n)
    own = np.minimum(theta_e_of(sigma_v, z_lens, z_source), 0.6 * theta_e)
    members = _draw_members(theta_e, sigma_v, z_lens, z_source, rng)
    log_sigma = np.log10(sigma_v)
    circular = 10.0 ** (deflector_log_size(log_sigma) + 0.15) / kpc_per_arcsec(z_lens)
    changed = systems | {
        "z_lens": z_lens,
        "z_source": z_source,
        "theta_e": theta_e,
        "sigma_v": sigma_v,
        "absolute_r": deflector_magnitude(log_sigma) - 0.3,
        "r_eff_deflector": np.clip(circular / np.sqrt(systems["q_light"]), 0.3, 8.0),
        "weight": np.full(n, np.nan),
    }
    lens_model = _lens_model(changed, own, members, center)
    changed |= _place_sources(changed, lens_model, center, rng)
    return Groups(changed, lens_model, members)


def member_layers(
    groups: Groups, rows: np.ndarray, center: Float[np.ndarray, "2 n"], filters: Filters
) -> list[LightLayer]:
    """Light of the members, in the colours of the central galaxy.

    Args:
        groups: Groups.
        rows: Numbers of their images.
        center: Positions of the central galaxies [arcsec].
        filters: Bands.
    """
    layers = []
    for k in range(_MEMBERS):
        has = np.flatnonzero(groups.members["exists"][:, k])
        own = {name: values[has, k] for name, values in groups.members.items()}
        z = groups.systems["z_lens"][has]
        flux = filters.flux(filters.mag_i_of(own["absolute_r"], z), z, OLD)
        shape = {name: own[name] for name in ("r_eff", "n_sersic", "q", "phi")}
        shape["x_center"] = own["x_center"] + center[0, has]
        shape["y_center"] = own["y_center"] + center[1, has]
        layers.append(layer("sersic", shape, flux, rows[has]))
    return layers


def _draw_members(
    theta_e: np.ndarray,
    sigma_v: np.ndarray,
    z_lens: np.ndarray,
    z_source: np.ndarray,
    rng: np.random.Generator,
) -> Columns:
    """Two to five galaxies fainter than the central one, between 0.3 and 1.8 Einstein radii."""
    shape = (len(theta_e), _MEMBERS)
    fainter = rng.uniform(0.7, 2.5, shape)
    sigma = sigma_v[:, None] * 10.0 ** (-0.1 * fainter)
    redshifts = (np.repeat(z, _MEMBERS) for z in (z_lens, z_source))
    radius, angle = rng.uniform(0.3, 1.8, shape), rng.uniform(0, 2 * np.pi, shape)
    q = one_minus_rayleigh(rng.random(shape), 0.25)
    circular = 10.0 ** deflector_log_size(np.log10(sigma)) / kpc_per_arcsec(z_lens)[:, None]
    number = rng.integers(2, _MEMBERS + 1, shape[0])
    return {
        "exists": np.arange(_MEMBERS) < number[:, None],
        "theta_e": theta_e_of(sigma.ravel(), *redshifts).reshape(shape),
        "absolute_r": deflector_magnitude(np.log10(sigma_v))[:, None] - 0.3 + fainter,
        "x_center": theta_e[:, None] * radius * np.cos(angle),
        "y_center": theta_e[:, None] * radius * np.sin(angle),
        "r_eff": np.clip(circular / np.sqrt(q), 0.1, 3.0),
        "n_sersic": np.full(shape, 4.0),
        "q": q,
        "phi": np.pi * rng.random(shape),
    }


def _lens_model(
    systems: Columns, own: np.ndarray, members: Columns, center: Float[np.ndarray, "2 n"]
) -> LensModel:
    x, y = _float(center[0]), _float(center[1])
    theta_e = _float(systems["theta_e"])
    r_scale = _float(250.0 / kpc_per_arcsec(systems["z_lens"]))
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    unit, _ = nfw.deflection(theta_e[:, None, None], zero[:, None, None], r_scale, one, zero, zero)
    missing = (theta_e - _float(own)).clamp_min(0.05)
    masses = [
        MassProfile(
            "nfw",
            {
                "r_scale": r_scale,
                "alpha_r_scale": missing / unit[:, 0, 0],
                "x_center": x,
                "y_center": y,
            },
        ),
        _sie(own, systems["q"], systems["phi"], center),
        MassProfile(
            "shear",
            {
                "gamma1": _float(systems["gamma1"]),
                "gamma2": _float(systems["gamma2"]),
                "x_center": x,
                "y_center": y,
            },
        ),
    ]
    for k in range(_MEMBERS):
        theta = np.where(members["exists"][:, k], members["theta_e"][:, k], 0.0)
        place = center + np.stack([members["x_center"][:, k], members["y_center"][:, k]])
        masses.append(_sie(theta, members["q"][:, k], members["phi"][:, k], place))
    return tuple(masses)


def _sie(
    theta_e: np.ndarray, q: np.ndarray, phi: np.ndarray, place: Float[np.ndarray, "2 n"]
) -> MassProfile:
    columns = {"theta_e": theta_e, "q": q, "phi": phi, "x_center": place[0], "y_center": place[1]}
    return MassProfile("sie", {name: _float(values) for name, values in columns.items()})


def _place_sources(
    systems: Columns,
    lens_model: LensModel,
    center: Float[np.ndarray, "2 n"],
    rng: np.random.Generator,
) -> Columns:
    """Give each source the first of several places where it has more than one image."""
    n = len(systems["theta_e"])
    place = rng.uniform(-0.7, 0.7, (2, n, _CANDIDATES)) * systems["theta_e"][:, None]
    # the last one is the centre, which any of these lenses images several times
    chosen, left = 0.01 * place[:, :, -1], np.arange(n)
    for start in range(0, _CANDIDATES - 1, _AT_ONCE):
        if not len(left):
            break
        few = place[:, left, start : start + _AT_ONCE]
        beta = (_float(few[axis] + center[axis, left, None]) for axis in (0, 1))
        own = tuple(mass[torch.as_tensor(left)] for mass in lens_model)
        several = count_images(own, *beta, half_width=2.0 * THETA_E[1]).numpy() > 1
        found = several.any(axis=1)
        chosen[:, left[found]] = few[:, found, several.argmax(axis=1)[found]]
        left = left[~found]
    return {"x_source": chosen[0], "y_source": chosen[1]}


def _float(values: np.ndarray) -> Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float32))
