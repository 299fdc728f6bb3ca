"""Who is in the scenes of a block: classes, deflectors, masses, sources, neighbours and stars.

Nothing is rendered here; look-alikes come later, since they take after arcs.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stronglens.core.seeds import derived_seed, numpy_generator
from stronglens.lensing.records import LensModel, MassProfile
from stronglens.simulation.camera import View
from stronglens.simulation.classes import GROUP, LENS, REAL, scene_classes
from stronglens.simulation.galaxies import Filters, red_deflectors, sources
from stronglens.simulation.groups import Groups, draw_groups, member_layers
from stronglens.simulation.relations import Columns
from stronglens.simulation.scene import Deflectors, Lensing, LightLayer
from stronglens.simulation.simulated_set import BLOCK
from stronglens.simulation.sky import Sky
from stronglens.simulation.surroundings import draw_surroundings
from stronglens.simulation.systems import draw_lens_systems

GROUP_SHARE_OF_FRAME = 0.8  # largest Einstein radius of a group over half the frame


@dataclass(frozen=True)
class Cast:
    """What is drawn of every scene of a block before anything is seen of it."""

    scene_class: np.ndarray
    """Name of each scene's class."""
    label: Bool[np.ndarray, " n"]
    """True where the scene is a lens."""
    in_group: Bool[np.ndarray, " n"]
    """True where the deflector stands in a group, lens or not."""
    hosts: Columns
    """The deflectors' own columns."""
    lensed: Columns
    """Columns of the lensed systems: the hosts' own, or those that look-alikes take after."""
    center: Float[np.ndarray, "2 n"]
    """Positions of the deflectors [arcsec]."""
    deflectors: Deflectors
    """Light of the deflectors."""
    lenses: tuple[Lensing, ...]
    """Masses, of groups and of everything else."""
    sources: tuple[LightLayer, ...]
    """Light in the source plane."""
    members: tuple[LightLayer, ...]
    """Light of the members of groups."""
    surroundings: tuple[LightLayer, ...]
    """Neighbours and stars."""

    def source_flux(self) -> Float[Tensor, "n band"]:
        """Return the flux of each source without lensing [pixel units]."""
        total = torch.zeros((len(self.label), self.sources[0].flux.shape[1]))
        for one in self.sources:
            total.index_add_(0, one.rows, one.flux)
        return total


@dataclass(frozen=True)
class Frame:
    """What the draw must know of the pictures."""

    filters: Filters
    """Bands."""
    half_width: float
    """Half of the shorter side [arcsec]."""
    is_real: bool
    """Whether the pictures have neighbours and stars of their own."""


def draw_classes(shares: dict[str, float], key: tuple[int, int], *, is_real: bool) -> np.ndarray:
    """Draw the class of each scene: in proportion to the shares, in a random order.

    Args:
        shares: Share of every class.
        key: Seed of the dataset and number of the block.
        is_real: Whether real galaxies are there to be shown as they are.
    """
    rng = numpy_generator(key[0], "classes", key[1])
    names = np.array(sorted(name for name in shares if is_real or name != REAL))
    edges = np.cumsum([shares[name] for name in names])
    # the rest of a share is left to chance
    places = (np.arange(BLOCK) + rng.random()) / BLOCK * edges[-1]
    index = np.minimum(np.searchsorted(edges, places, side="right"), len(names) - 1)
    return names[index][rng.permutation(BLOCK)]


def draw_cast(
    sky: Sky, frame: Frame, scene_class: np.ndarray, view: View, key: tuple[int, int]
) -> Cast:
    """Draw the scenes of a block.

    Args:
        sky: Priors.
        frame: Bands and size of the pictures.
        scene_class: Class of each scene.
        view: How they are seen, and which deflectors are real.
        key: Seed of the dataset and number of the block.
    """
    seed, block = key
    rng = numpy_generator(seed, "cast", block)
    label = np.isin(scene_class, (LENS, GROUP))
    center = rng.uniform(-1, 1, (2, BLOCK)) * sky.center_scatter
    center[:, view.has_host] = 0.0
    hosts = draw_lens_systems(sky, seed, "host", block, BLOCK)
    hosts = _turned(hosts, view)
    donors = paired(draw_lens_systems(sky, seed, "donor", block, BLOCK), hosts, label)
    is_group = in_groups(scene_class, view.has_host, numpy_generator(seed, "in groups", block))
    rows = np.flatnonzero(is_group)
    groups = draw_groups(
        {name: values[rows] for name, values in hosts.items()},
        center[:, rows],
        GROUP_SHARE_OF_FRAME * frame.half_width,
        derived_seed(seed, "groups", block),
    )
    hosts = {name: _replaced(values, rows, groups, name) for name, values in hosts.items()}
    own = label | is_group
    lensed = {name: np.where(own, hosts[name], donors[name]) for name in hosts}
    lensed |= {
        "red_source": rng.random(BLOCK) < sky.red_source_share,
        "clumpy_source": rng.random(BLOCK) < sky.clumpy_source_share,
        "real_source": rng.random(BLOCK) < (sky.stamp_share if frame.filters.stamps else 0.0),
    }
    filters = frame.filters
    return Cast(
        scene_class=scene_class,
        label=label,
        in_group=is_group,
        hosts=hosts,
        lensed=lensed,
        center=center,
        deflectors=red_deflectors(hosts, center, filters, rng),
        lenses=_lenses(lensed, center, groups, is_group),
        sources=sources(lensed, center, filters, key),
        members=tuple(member_layers(groups, rows, center[:, rows], filters)),
        surroundings=(
            () if frame.is_real else draw_surroundings(sky, filters, frame.half_width, key)
        ),
    )


def in_groups(
    scene_class: np.ndarray, has_host: Bool[np.ndarray, " n"], rng: np.random.Generator
) -> Bool[np.ndarray, " n"]:
    """Choose the deflectors that stand in groups: those of the class, and as many without a lens.

    Many bright galaxies around the deflector then do not tell the class.

    Args:
        scene_class: Class of each scene.
        has_host: Whether the deflector is a real galaxy, which stands where it stands.
        rng: Source of randomness.
    """
    facts = [scene_classes.get(name) for name in scene_class]
    is_lens = np.array([fact.label == 1 for fact in facts])
    keeps = np.array([fact.keeps_deflector for fact in facts])
    is_group = scene_class == GROUP
    free = np.flatnonzero(keeps & ~is_lens & ~has_host)
    share = is_group.sum() / max(is_lens.sum(), 1)
    # look-alikes that replace the deflector have none, so the others take at most twice the share
    wanted = min(share * (~is_lens).sum(), min(2.0 * share, 1.0) * len(free))
    is_group[rng.permutation(free)[: int(wanted + rng.random())]] = True
    return is_group


def paired(donors: Columns, hosts: Columns, label: Bool[np.ndarray, " n"]) -> Columns:
    """Give each unlensed deflector, by rank, the donor whose Einstein radius its own mass has.

    Companions then lie as far from a bright deflector as arcs do, and that does not tell the class.

    Args:
        donors: Systems drawn for the scenes that are no lenses.
        hosts: Systems of the deflectors.
        label: True where a scene is a lens.
    """
    rows = np.flatnonzero(~label)
    order = np.arange(len(label))
    by_host = rows[np.argsort(hosts["theta_e"][rows])]
    order[by_host] = rows[np.argsort(donors["theta_e"][rows])]
    return {name: values[order] for name, values in donors.items()}


def _turned(systems: Columns, view: View) -> Columns:
    """Turn whole systems so that their light lies as the real galaxy in the image does."""
    turn = np.where(view.has_host, view.host_shape[1] - systems["phi_light"], 0.0)
    cos, sin = np.cos(turn), np.sin(turn)
    cos2, sin2 = np.cos(2 * turn), np.sin(2 * turn)
    x, y, g1, g2 = (systems[name] for name in ("x_source", "y_source", "gamma1", "gamma2"))
    return systems | {
        "phi_light": systems["phi_light"] + turn,
        "phi": systems["phi"] + turn,
        "phi_source": systems["phi_source"] + turn,
        "x_source": x * cos - y * sin,
        "y_source": x * sin + y * cos,
        "gamma1": g1 * cos2 - g2 * sin2,
        "gamma2": g1 * sin2 + g2 * cos2,
    }


def _replaced(values: np.ndarray, rows: np.ndarray, groups: Groups, name: str) -> np.ndarray:
    changed = values.copy()
    changed[rows] = groups.systems[name]
    return changed


def _lenses(
    lensed: Columns,
    center: Float[np.ndarray, "2 n"],
    groups: Groups,
    is_group: Bool[np.ndarray, " n"],
) -> tuple[Lensing, ...]:
    galaxies = torch.as_tensor(np.flatnonzero(~is_group))
    both = [Lensing(_galaxy_model(lensed, center, ~is_group), galaxies)]
    if is_group.any():
        both.append(Lensing(groups.lens_model, torch.as_tensor(np.flatnonzero(is_group))))
    return tuple(both)


def _galaxy_model(
    lensed: Columns, center: Float[np.ndarray, "2 n"], rows: Bool[np.ndarray, " n"]
) -> LensModel:
    """Elliptical power laws with boxiness, in an external shear."""
    columns = lensed | {
        "x_center": center[0],
        "y_center": center[1],
        "a_m": lensed["a_m"] * lensed["theta_e"],
        "phi_m": lensed["phi"],
    }
    names = {
        "epl": ("theta_e", "q", "phi", "slope", "x_center", "y_center"),
        "shear": ("gamma1", "gamma2", "x_center", "y_center"),
        "multipole-4": ("a_m", "phi_m", "x_center", "y_center"),
    }
    return tuple(
        MassProfile(name, {k: torch.as_tensor(columns[k][rows].astype(np.float32)) for k in own})
        for name, own in names.items()
    )
