"""Draws of what a simulated image shows: lens, structured lens light, clumpy source, neighbours.

How it is drawn into pixels is in `mock_images`; the parameters that are measured have their priors
in `parameters`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from stronglens.core.conventions import axis_ratio_from_ellipticity
from stronglens.lensing.records import LensModel, MassProfile
from stronglens.light.clumps import Clumps, draw_clumps
from stronglens.light.sersic import Sersics
from stronglens.light.texture import draw_texture
from stronglens.measurement.parameters import draw_parameters

MAX_CLUMPS = 6
"""Largest number of clumps in a source."""
N_NEIGHBOURS = 2
"""Largest number of neighbours in an image."""
_NEIGHBOUR_SHARE = 0.3
_LIGHT_CENTER_SCATTER = 0.05


@dataclass(frozen=True)
class Source:
    """Lensed galaxies: a Sersic profile with clumps and a texture on it."""

    smooth: Sersics
    """One component per image, of unit flux."""
    clumps: Clumps | None
    """Clumps, if the images of this batch have any."""
    clump_share: Tensor
    """Share of the light in clumps (batch,) [-]."""
    texture: Tensor | None
    """Factors that multiply the smooth light (batch, 48, 48), if there are any."""


@dataclass(frozen=True)
class Scenes:
    """What a batch of images shows."""

    truth: dict[str, Tensor]
    """Parameters of the lenses, each (batch,)."""
    source: Source
    """Lensed galaxies."""
    light: Sersics
    """Two components of each deflector, of unit flux together."""
    boxiness: Tensor
    """Boxiness of the deflectors' isophotes, a4/a of the m = 4 term (batch,) [-]."""
    neighbours: Sersics
    """Neighbours; fluxes in units of the deflector's, 0 where there is none."""

    @property
    def lens_model(self) -> LensModel:
        """Return the masses: elliptical power laws, each in a shear about its centre."""
        truth = self.truth
        q, phi = axis_ratio_from_ellipticity(truth["e1"], truth["e2"])
        center = {name: truth[name] for name in ("x_center", "y_center")}
        epl = {"theta_e": truth["theta_e"], "slope": truth["slope"], "q": q, "phi": phi}
        shear = {name: truth[name] for name in ("gamma1", "gamma2")}
        return (MassProfile("epl", {**epl, **center}), MassProfile("shear", {**shear, **center}))


def draw_scenes(generator: Generator, limits: Tensor, field: float) -> Scenes:
    """Draw scenes for a batch of images of one field.

    Args:
        generator: Source of randomness, on the device of the limits.
        limits: Limits of the prior of theta_e (batch, 2) [arcsec].
        field: Side of the images [arcsec].

    Returns:
        The scenes.
    """
    truth = draw_parameters(generator, limits)
    draw = _Draw(generator, len(limits))
    return Scenes(
        truth=truth,
        source=_draw_source(draw, truth),
        light=_draw_light(draw, truth),
        boxiness=draw.normal(0.0, 0.015),
        neighbours=_draw_neighbours(draw, truth["theta_e"], field),
    )


class _Draw:
    """Random numbers, one per image."""

    def __init__(self, generator: Generator, n: int) -> None:
        self.generator = generator
        self._n = n

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        size = (self._n, *shape)
        random = torch.rand(size, generator=self.generator, device=self.generator.device)
        return low + (high - low) * random

    def normal(self, mean: float, sd: float, *shape: int) -> Tensor:
        size = (self._n, *shape)
        random = torch.randn(size, generator=self.generator, device=self.generator.device)
        return mean + sd * random

    def coin(self) -> bool:
        """One toss for the whole batch."""
        place = self.generator.device
        return bool(torch.rand((), generator=self.generator, device=place) < 0.5)


def _draw_source(draw: _Draw, truth: dict[str, Tensor]) -> Source:
    r_eff = torch.exp(truth["log_r_source"])
    e1, e2 = _shape(draw.normal(0.0, 0.2), draw.normal(0.0, 0.2))
    q, phi = axis_ratio_from_ellipticity(e1, e2)
    n_sersic = torch.exp(draw.normal(math.log(1.2), 0.45)).clamp(0.4, 5.0)
    parts = {"r_eff": r_eff, "q": q, "phi": phi}
    parts |= {"x_center": truth["beta_x"], "y_center": truth["beta_y"]}
    columns = {name: value[:, None] for name, value in parts.items()}
    smooth = Sersics(flux=torch.ones_like(r_eff)[:, None], n_sersic=n_sersic[:, None], **columns)
    clumps, share = None, torch.zeros_like(r_eff)
    if draw.coin():
        clumps = draw_clumps(draw.generator, MAX_CLUMPS, parts)
        n_clumps = draw.uniform(0.0, MAX_CLUMPS + 1.0).floor()
        order = torch.arange(MAX_CLUMPS, device=r_eff.device)
        kept = clumps.flux_share * (order < n_clumps[:, None])
        total = kept.sum(dim=1, keepdim=True).clamp_min(1e-6)
        clumps = Clumps(clumps.x_center, clumps.y_center, clumps.sigma, kept / total)
        share = draw.uniform(0.0, 0.6) * (n_clumps > 0)
    texture = None
    if draw.coin():
        amplitude, slope = draw.uniform(0.0, 0.8), draw.uniform(2.0, 3.5)
        texture = draw_texture(draw.generator, amplitude, slope, 48, 48)
    return Source(smooth, clumps, share, texture)


def _draw_light(draw: _Draw, truth: dict[str, Tensor]) -> Sersics:
    """Two components that follow the mass loosely in shape, centre and size."""
    r_inner = truth["theta_e"] * torch.exp(draw.normal(math.log(0.6), 0.5))
    ratio = draw.uniform(1.0, 2.5)
    r_eff = torch.stack([r_inner, r_inner * ratio], dim=1).clamp(0.08, 4.0)
    n_sersic = torch.stack([draw.uniform(2.0, 6.0), draw.uniform(0.7, 2.5)], dim=1)
    outer = draw.uniform(0.0, 0.7)
    follows = draw.uniform(0.2, 1.2, 2)
    e1, e2 = _shape(
        truth["e1"][:, None] * follows + draw.normal(0.0, 0.08, 2),
        truth["e2"][:, None] * follows + draw.normal(0.0, 0.08, 2),
    )
    q, phi = axis_ratio_from_ellipticity(e1, e2)
    x, y = (truth[name] + draw.normal(0.0, _LIGHT_CENTER_SCATTER) for name in _CENTER)
    return Sersics(
        flux=torch.stack([1.0 - outer, outer], dim=1),
        r_eff=r_eff,
        n_sersic=n_sersic,
        q=q,
        phi=phi,
        x_center=x[:, None].expand(-1, 2),
        y_center=y[:, None].expand(-1, 2),
    )


def _draw_neighbours(draw: _Draw, theta_e: Tensor, field: float) -> Sersics:
    """Galaxies and stars outside the Einstein radius, in three images of ten."""
    count = (draw.uniform(0.0, 1.0) < _NEIGHBOUR_SHARE) * draw.uniform(1.0, N_NEIGHBOURS + 1.0)
    exists = torch.arange(N_NEIGHBOURS, device=theta_e.device) < count.floor()[:, None]
    inner = (1.3 * theta_e)[:, None]
    radius = inner + (0.7 * field - inner).clamp_min(0.1) * draw.uniform(0.0, 1.0, N_NEIGHBOURS)
    azimuth = draw.uniform(-math.pi, math.pi, N_NEIGHBOURS)
    is_star = draw.uniform(0.0, 1.0, N_NEIGHBOURS) < 0.3
    size = torch.exp(draw.normal(math.log(0.3), 0.5, N_NEIGHBOURS)).clamp(0.08, 1.0)
    flux = 10.0 ** draw.uniform(-1.7, -0.2, N_NEIGHBOURS)
    return Sersics(
        flux=flux * exists,
        r_eff=torch.where(is_star, 0.03, size),
        n_sersic=torch.where(is_star, 0.5, draw.uniform(0.8, 4.0, N_NEIGHBOURS)),
        q=torch.where(is_star, 1.0, draw.uniform(0.3, 1.0, N_NEIGHBOURS)),
        phi=draw.uniform(0.0, math.pi, N_NEIGHBOURS),
        x_center=radius * torch.cos(azimuth),
        y_center=radius * torch.sin(azimuth),
    )


_CENTER = ("x_center", "y_center")


def _shape(e1: Tensor, e2: Tensor) -> tuple[Tensor, Tensor]:
    """Ellipticities brought inside 0.6, where axis ratios stay above a quarter."""
    size = torch.hypot(e1, e2)
    factor = (0.6 / size.clamp_min(0.6)).clamp_max(1.0)
    return e1 * factor, e2 * factor
