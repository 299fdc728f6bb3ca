"""Tables of light and mass of whole scenes, image after image, as compiled code reads them.

What is in the scenes is said in `scene`; drawing them is in `fast_scene`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stronglens.lensing.profiles.epl import harmonic_factors, strength
from stronglens.lensing.profiles.nfw import INNER
from stronglens.lensing.records import MassProfile
from stronglens.light.records import LightComponent
from stronglens.light.sersic import Sersics, coefficients
from stronglens.simulation.render import Grid
from stronglens.simulation.scene import Lensing, LightLayer

DRAWN = ("sersic", "gaussian")
"""Light profiles that the tables can hold."""

_PER_LOG = 1.0 / math.log(2.0)
# A galaxy ends where it is fainter than this part of what the PSF makes of its peak.
_FAINTEST = 1e-5
# Terms of the deflection of a power law below this are left out [relative].
_LEAST_TERM = 3e-8
_POWER_LAW, _SHEAR, _QUADRUPOLE, _HALO = range(4)


@dataclass(frozen=True)
class SceneFrame:
    """The oversampled frame, and how it is thinned out."""

    height: int
    """Rows, a multiple of `thinning` [sub-pixel]."""
    width: int
    """Columns, likewise [sub-pixel]."""
    thinning: int
    """Sub-pixels along a side of a sample that is kept: a power of two [-]."""
    scale: float
    """Side of a sub-pixel [arcsec]."""

    @property
    def kept_shape(self) -> tuple[int, int]:
        """Rows and columns that are kept."""
        return self.height // self.thinning, self.width // self.thinning


@dataclass(frozen=True)
class SceneCanvas:
    """Where scenes are drawn."""

    planes: Float[Tensor, "n band h w"]
    """Light, thinned out."""
    totals: Float[Tensor, "n band"]
    """Flux in the whole frame."""
    keep: Int[Tensor, " n"] | None = None
    """Row of `kept` for each image, or below zero."""
    keep_band: int = 0
    """Band of which those images are kept."""
    kept: Float[Tensor, "m y x"] | None = None
    """Frames before they are thinned out."""


@dataclass(frozen=True)
class PackedScenes:
    """Components and masses of images, one after the other."""

    components: Float[Tensor, "component 11"]
    """Centre, quadratic form of the radius, half the inverse index, -b_n in base 2, brightness at
    the centre, minor axis [arcsec], half of the sides of the box outside which there is nothing."""
    fluxes: Float[Tensor, "component band"]
    """Flux times the area of a sub-pixel [pixel units arcsec^2]."""
    starts: Int[Tensor, " n_images_and_one"]
    """First component of each image."""
    masses: Float[Tensor, "mass number"] | None = None
    """Kind, centre and constants of each mass."""
    mass_starts: Int[Tensor, " n_images_and_one"] | None = None
    """First mass of each image."""

    @property
    def n_bands(self) -> int:
        """Number of bands."""
        return self.fluxes.shape[1]

    def of(self, start: int, stop: int) -> "PackedScenes":
        """Return images [start, stop)."""
        own = slice(start, stop + 1)
        mass_starts = None if self.mass_starts is None else self.mass_starts[own]
        return PackedScenes(
            self.components, self.fluxes, self.starts[own], self.masses, mass_starts
        )


def pack_scenes(
    layers: Sequence[LightLayer],
    lenses: Sequence[Lensing] | None,
    n: int,
    grid: Grid,
    blur: float,
) -> PackedScenes | None:
    """Put light and masses into tables.

    Args:
        layers: Light of the profiles in `DRAWN`, its rows counted from the first image.
        lenses: Lens models, or none where nothing is lensed.
        n: Number of images.
        grid: Frame.
        blur: Standard deviation of the narrowest PSF, pixel included [arcsec].

    Returns:
        The tables; none where a mass is of a kind that they cannot hold.
    """
    masses = None if lenses is None else _masses(lenses, grid)
    if lenses is not None and masses is None:
        return None
    rows = torch.cat([one.rows for one in layers])
    order = torch.argsort(rows, stable=True)
    table = torch.cat([components(one.component, blur) for one in layers])
    fluxes = torch.cat([one.flux for one in layers]).float() * grid.fine_scale**2
    packed = table[order].contiguous(), fluxes[order].contiguous(), _starts(rows, n)
    if masses is None:
        return PackedScenes(*packed)
    mass_rows, mass_table = masses
    by_image = torch.argsort(mass_rows, stable=True)
    return PackedScenes(*packed, mass_table[by_image].contiguous(), _starts(mass_rows, n))


def _starts(rows: Tensor, n: int) -> Tensor:
    return torch.nn.functional.pad(torch.bincount(rows, minlength=n).cumsum(0), (1, 0))


def components(component: LightComponent, blur: float) -> Float[Tensor, "row 11"]:
    """Describe light as `PackedScenes.components` does.

    Args:
        component: Light of a profile in `DRAWN`.
        blur: Standard deviation of the narrowest PSF, pixel included [arcsec].
    """
    values = component.parameters
    if component.name == "sersic":
        sersics = Sersics(
            flux=torch.ones_like(values["r_eff"])[:, None],
            **{name: value[:, None] for name, value in values.items()},
        )
        x, y, xx, xy, yy, power, fall, center = coefficients(sersics)[..., 0, 0, 0].unbind(0)
        major, index = values["r_eff"], values["n_sersic"]
    else:
        x, y, major = values["x_center"], values["y_center"], values["sigma"]
        cos, sin = torch.cos(values["phi"]) / major, torch.sin(values["phi"]) / major
        flattening = 1.0 / values["q"].square()
        xx, yy = cos**2 + flattening * sin**2, sin**2 + flattening * cos**2
        xy = 2.0 * cos * sin * (1.0 - flattening)
        power, fall = torch.ones_like(x), torch.full_like(x, -0.5)
        center = 1.0 / (2.0 * math.pi * major.square() * values["q"])
        index = 0.5 * power
    minor = major * values["q"]
    # an arc of the light that the PSF spreads is at most this bright
    peak = 1.0 / (2.0 * math.pi * (blur**2 + 0.5 * major * minor))
    reach = ((center / (_FAINTEST * peak)).log().clamp_min(0.0) / -fall) ** index
    cos, sin = torch.cos(values["phi"]), torch.sin(values["phi"])
    half_x, half_y = torch.hypot(major * cos, minor * sin), torch.hypot(major * sin, minor * cos)
    own = (x, y, xx, xy, yy, power, fall * _PER_LOG, center, minor, half_x * reach, half_y * reach)
    return torch.stack(own, dim=1).float()


def _masses(lenses: Sequence[Lensing], grid: Grid) -> tuple[Tensor, Tensor] | None:
    """Images and constants of all masses, or none where one is of another kind."""
    rows, tables = [], []
    for one in lenses:
        for mass in one.lens_model if len(one.rows) else ():
            if not isinstance(mass, MassProfile) or not _is_held(mass, grid):
                return None
            rows.append(one.rows)
            tables.append(_constants(mass))
    if not tables:
        return None
    width = max(table.shape[1] for table in tables)
    tables = [torch.nn.functional.pad(table, (0, width - table.shape[1])) for table in tables]
    return torch.cat(rows), torch.cat(tables).float()


def _is_held(mass: MassProfile, grid: Grid) -> bool:
    """Whether the tables have this kind of mass, everywhere in the frame."""
    if mass.name != "nfw":
        return mass.name in {"epl", "sie", "shear", "multipole-4"}
    own = mass.parameters
    corner = 0.5 * grid.fine_scale * math.hypot(*grid.fine_shape)
    farthest = corner + torch.hypot(own["x_center"], own["y_center"])
    return bool((farthest.square() < INNER * own["r_scale"].square()).all())


def _constants(mass: MassProfile) -> Tensor:
    """Kind, centre and constants of one mass in each image."""
    own = mass.parameters
    place = own["x_center"], own["y_center"]
    kind = torch.ones_like(place[0])
    if mass.name == "shear":
        rows = (_SHEAR * kind, *place, own["gamma1"], own["gamma2"])
    elif mass.name == "multipole-4":
        angle = torch.cos(own["phi_m"]), torch.sin(own["phi_m"])
        rows = (_QUADRUPOLE * kind, *place, *angle, own["a_m"] / -15.0)
    elif mass.name == "nfw":
        inverse2 = own["r_scale"].square().reciprocal()
        scale = own["alpha_r_scale"] / (own["r_scale"] * (1.0 - math.log(2.0)))
        rows = (_HALO * kind, *place, inverse2, scale)
    else:
        slope = own.get("slope", 2.0 * kind)
        factors = harmonic_factors(slope, own["q"])
        n_terms = (factors.abs() > _LEAST_TERM).sum(dim=0).to(kind)
        angle = torch.cos(own["phi"]), torch.sin(own["phi"])
        size = strength(own["theta_e"], slope, own["q"])
        rows = (_POWER_LAW * kind, *place, *angle, own["q"], size, 0.5 - 0.5 * slope, n_terms)
        rows = (*rows, *factors.unbind(0))
    return torch.stack(rows, dim=1)
