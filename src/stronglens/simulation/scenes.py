"""Scenes of both classes from the drawn systems, and their rendering as single and as stack.

A lens is a deflector with its lensed source. A scene that is not one holds the same kind of
deflector with companions that have the fluxes and radii of the images of an independently drawn
lensed scene. What is drawn is decided in `population` and `companions`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stronglens.core.conventions import flux_from_magnitude
from stronglens.core.seeds import numpy_generator
from stronglens.simulation.companions import draw_companions, separate_images
from stronglens.simulation.population import draw_systems, ellipticities
from stronglens.simulation.priors import Population
from stronglens.simulation.relations import Columns
from stronglens.simulation.render import (
    Grid,
    Sersics,
    SieShear,
    render_lensed,
    render_light,
)
from stronglens.simulation.simulated_set import BLOCK


@dataclass(frozen=True)
class SceneBlock:
    """A block of scenes: what is in them, and the light planes before any PSF."""

    label: Bool[np.ndarray, " n"]
    """True where the scene is a lens."""
    truth: Columns
    """Truth columns, NaN where they do not apply."""
    features: Float[Tensor, "n y x"]
    """Lensed source or companions, per oversampled pixel [flux]."""
    deflector: Float[Tensor, "n y x"]
    """Light of the deflector, per oversampled pixel [flux]."""


def draw_block(
    priors: Population,
    grid: Grid,
    zero_point: float,
    key: tuple[int, int],
    device: torch.device | None = None,
) -> SceneBlock:
    """Draw and render one block of scenes, half of them lenses.

    Args:
        priors: What to draw from.
        grid: The frame; its oversampling is that of the planes returned.
        zero_point: Magnitude of one pixel unit [mag AB].
        key: Seed of the dataset and number of the block; scene i of the dataset is scene i mod 250
            of block i // 250.
        device: Where to render; the CPU by default.

    Returns:
        The block.
    """
    seed, block = key
    device = device or torch.device("cpu")
    label = np.arange(BLOCK) % 2 == 0
    hosts = draw_systems(priors, seed, "host", block, BLOCK)
    donors = _paired(draw_systems(priors, seed, "donor", block, BLOCK), hosts, label)
    rng = numpy_generator(seed, "frame", block)
    center = rng.uniform(-1, 1, (2, BLOCK)) * priors.center_scatter
    # a lens is its host's own system; otherwise another system gives flux and radii of companions
    lensed = {name: np.where(label, hosts[name], donors[name]) for name in hosts}
    source = _source(lensed, center, zero_point)
    arcs = render_lensed(grid, _lens(lensed, center).to(device), source.to(device))
    magnification = arcs.sum(dim=(1, 2)).cpu() / source.flux[:, 0]
    rows = torch.as_tensor(np.flatnonzero(~label))
    images = separate_images(arcs[rows].cpu(), grid)
    companions = draw_companions(images, source.n_sersic[rows, 0], seed, block)
    features = arcs.clone()
    features[rows] = render_light(grid, companions.to(device))
    deflector = render_light(grid, _deflector(hosts, center, zero_point).to(device))
    truth = _truth(label, hosts, center, magnification.numpy())
    return SceneBlock(label=label, truth=truth, features=features, deflector=deflector)


def _paired(donors: Columns, hosts: Columns, label: Bool[np.ndarray, " n"]) -> Columns:
    """Give each unlensed deflector, by rank, the donor whose Einstein radius its own mass has.

    Companions then lie as far from a bright deflector as arcs do, and that does not tell the class.
    """
    rows = np.flatnonzero(~label)
    order = np.arange(len(label))
    by_host = rows[np.argsort(hosts["theta_e"][rows])]
    order[by_host] = rows[np.argsort(donors["theta_e"][rows])]
    return {name: values[order] for name, values in donors.items()}


def _lens(systems: Columns, center: Float[np.ndarray, "2 n"]) -> SieShear:
    names = ("theta_e", "q", "phi", "gamma1", "gamma2")
    values = {name: _tensor(systems[name]) for name in names}
    return SieShear(**values, x_center=_tensor(center[0]), y_center=_tensor(center[1]))


def _source(systems: Columns, center: Float[np.ndarray, "2 n"], zero_point: float) -> Sersics:
    columns = {
        "flux": flux_from_magnitude(systems["mag_source"], zero_point),
        "r_eff": systems["r_eff_source"],
        "n_sersic": systems["n_sersic_source"],
        "q": systems["q_source"],
        "phi": systems["phi_source"],
        "x_center": systems["x_source"] + center[0],
        "y_center": systems["y_source"] + center[1],
    }
    return Sersics(**{name: _tensor(values)[:, None] for name, values in columns.items()})


def _deflector(hosts: Columns, center: Float[np.ndarray, "2 n"], zero_point: float) -> Sersics:
    columns = {
        "flux": flux_from_magnitude(hosts["mag_deflector"], zero_point),
        "r_eff": hosts["r_eff_deflector"],
        "n_sersic": hosts["n_sersic_deflector"],
        "q": hosts["q"],
        "phi": hosts["phi"],
        "x_center": center[0],
        "y_center": center[1],
    }
    return Sersics(**{name: _tensor(values)[:, None] for name, values in columns.items()})


def _truth(
    label: Bool[np.ndarray, " n"],
    hosts: Columns,
    center: Float[np.ndarray, "2 n"],
    magnification: Float[np.ndarray, " n"],
) -> Columns:
    lens_only = {name: hosts[name] for name in ("theta_e", "gamma1", "gamma2", "z_source")}
    lens_only |= ellipticities(hosts)
    lens_only |= {"x_source": hosts["x_source"] + center[0]}
    lens_only |= {"y_source": hosts["y_source"] + center[1]}
    lens_only |= {"mag_source": hosts["mag_source"], "r_eff_source": hosts["r_eff_source"]}
    return {
        "label": label.astype(np.int64),
        "scene_class": np.where(label, "lens", "companions"),
        "sigma_v": hosts["sigma_v"],
        "z_lens": hosts["z_lens"],
        "x_center": center[0],
        "y_center": center[1],
        "mag_deflector": hosts["mag_deflector"],
        "r_eff_deflector": hosts["r_eff_deflector"],
        "magnification": np.where(label, magnification, 1.0),
    } | {name: np.where(label, values, np.nan) for name, values in lens_only.items()}


def _tensor(values: np.ndarray) -> Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float32))
