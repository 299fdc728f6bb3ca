"""Lensed sources traced on no more rays than needed and folded into pixels by matrix products.

How many rays an image needs is said in `fast`, which is the entry; the exact path is in `render`.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stronglens.lensing.records import SieShear
from stronglens.light.sersic import Sersics, coefficients
from stronglens.simulation.gaussian_psf import GaussianPsf
from stronglens.simulation.kernels import Kernels
from stronglens.simulation.workspace import Workspace

# Rounder lenses are drawn with this eccentricity squared, 1 - q^2: 1e-4 arcsec off at most.
_ECCENTRICITY2_FLOOR = 1e-4
# A ray is never closer to a singular centre than 1e-7 arcsec, nor to a cusp than 1e-7 r_eff.
_RADIUS2_FLOOR = 1e-14
# exp(-60) is nothing beside any centre; beyond, denormal numbers would slow the sums tenfold.
_EXPONENT_FLOOR = -60.0
# Distance from a source's centre, in rays, within which the light is integrated over cells.
_CORE = 2.0
# Parts along the side of such a cell.
_PARTS = 3


@dataclass(frozen=True)
class RayFrame:
    """A frame of rays around the middle of a picture, smaller or larger than it."""

    height: int
    """Rows of rays."""
    width: int
    """Columns of rays."""
    oversample: int
    """Rays along a pixel's side [-]."""
    pixel_scale: float
    """Pixel scale of the picture [arcsec/pixel]."""

    @property
    def ray_scale(self) -> float:
        """Distance between rays [arcsec]."""
        return self.pixel_scale / self.oversample

    def axes(self, like: Tensor) -> tuple[Float[Tensor, " x"], Float[Tensor, " y"]]:
        """Return the positions of columns and rows [arcsec]."""
        x, y = (
            (torch.arange(n, dtype=like.dtype, device=like.device) - 0.5 * (n - 1)) * self.ray_scale
            for n in (self.width, self.height)
        )
        return x, y

    def basis(self, like: Tensor) -> Float[Tensor, "3 ray"]:
        """Return x and y of every ray [arcsec], and one: what straight lines are made of."""
        return _basis(self, like.dtype, like.device)


@lru_cache(maxsize=64)
def _basis(frame: RayFrame, dtype: torch.dtype, device: torch.device) -> Tensor:
    x, y = frame.axes(torch.empty(0, dtype=dtype, device=device))
    planes = torch.broadcast_tensors(x[None, :], y[:, None], x.new_ones(1, 1))
    return torch.stack(planes).flatten(1)


@dataclass(frozen=True)
class RayConstants:
    """All that is constant over an image: worked out once for a batch."""

    lines: Float[Tensor, "line batch 3"]
    """Coefficients of x, y and one: lens frame q u and v, then source-frame X and Y of each
    component, in units of its semi-axes, before deflection."""
    lens: Float[Tensor, "2 batch"]
    """f / q and 1 / f, f^2 = 1 - q^2 [-]."""
    pull: Float[Tensor, "component 4 batch"]
    """What atan and log take from X and Y."""
    shape: Float[Tensor, "component 3 batch"]
    """Half the inverse index, minus b_n [-] and the central brightness [pixel units/arcsec^2]."""
    axes: Float[Tensor, "component batch 2"]
    """Semi-axes of the components [arcsec]."""

    def core_brightness(
        self, ray_scale: Float[Tensor, " batch"], has_fine_core: Bool[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Return the brightness two rays from a source's centre; infinite where cores are plain."""
        semi_axes2 = self.axes.prod(dim=-1)
        half_inverse_n, minus_b, center = self.shape.unbind(1)
        radius2 = (_CORE * ray_scale) ** 2 / semi_axes2
        edge = (center * torch.exp(minus_b * radius2**half_inverse_n)).amax(dim=0)
        return edge.clamp_min(0.0).masked_fill(~has_fine_core, math.inf)

    def table(self) -> Float[Tensor, "batch constant"]:
        """Return all lines, lens, pull and shape of an image in one row."""
        rows = (self.lines.permute(2, 0, 1).flatten(0, 1), self.lens)
        return torch.cat([*rows, self.pull.flatten(0, 1), self.shape.flatten(0, 1)]).mT

    def __getitem__(self, index: slice | Tensor) -> "RayConstants":
        """Return the constants of some of the images."""
        return RayConstants(
            self.lines[:, index],
            self.lens[:, index],
            self.pull[:, :, index],
            self.shape[:, :, index],
            self.axes[:, index],
        )


def ray_constants(lens: SieShear, source: Sersics) -> RayConstants:
    """Fold rotations, centres, shear and scales into coefficients of straight lines.

    Args:
        lens: One lens per image.
        source: Components of each source.

    Returns:
        What `trace_source` needs of each image.

    Reference:
        Keeton 2001 (astro-ph/0102341) as in `lensing.profiles.sie`: atan(f u / r) and
        artanh(f v / r), r^2 = q^2 u^2 + v^2; the lens equation with shear, Schneider, Ehlers &
        Falco 1992, section 5.1.
    """
    q = lens.q.clamp_max((1.0 - _ECCENTRICITY2_FLOOR) ** 0.5)
    f = ((1.0 - q) * (1.0 + q)).sqrt()
    cos, sin = torch.cos(lens.phi), torch.sin(lens.phi)
    place = lens.x_center, lens.y_center
    lens_lines = torch.stack([_line(q * cos, q * sin, *place), _line(-sin, cos, *place)])
    along_x, along_y = _along_axes(source)
    source_lines = _source_lines(along_x, along_y, lens, source)
    # deflection: strength (major cos - minor sin, major sin + minor cos), minor is half a log
    strength = (lens.theta_e * q.sqrt() / f)[:, None]
    alpha_x = torch.stack([cos, -0.5 * sin], dim=1) * strength
    alpha_y = torch.stack([sin, 0.5 * cos], dim=1) * strength
    pull = along_x[..., None] * alpha_x[:, None, None] + along_y[..., None] * alpha_y[:, None, None]
    return RayConstants(
        lines=torch.cat([lens_lines, source_lines]),
        lens=torch.stack([f / q, 1.0 / f]),
        pull=-pull.flatten(2).permute(1, 2, 0),
        shape=coefficients(source)[5:, ..., 0, 0].permute(2, 0, 1),
        axes=torch.stack([source.r_eff, source.r_eff * source.q], dim=-1).transpose(0, 1),
    )


def _line(along_x: Tensor, along_y: Tensor, x_center: Tensor, y_center: Tensor) -> Tensor:
    return torch.stack([along_x, along_y, -(along_x * x_center + along_y * y_center)], dim=-1)


def _along_axes(source: Sersics) -> tuple[Tensor, Tensor]:
    """Components along x and y of unit vectors over semi-axes: (batch, component, axis)."""
    major, minor = source.r_eff, source.r_eff * source.q
    cos, sin = torch.cos(source.phi), torch.sin(source.phi)
    along_x = torch.stack([cos / major, -sin / minor], dim=-1)
    return along_x, torch.stack([sin / major, cos / minor], dim=-1)


def _source_lines(along_x: Tensor, along_y: Tensor, lens: SieShear, source: Sersics) -> Tensor:
    """Source-frame positions once the shear, but not yet the ellipsoid, has deflected."""
    gamma1, gamma2, x_lens, y_lens = (
        values[:, None, None] for values in (lens.gamma1, lens.gamma2, lens.x_center, lens.y_center)
    )
    free = _line(along_x, along_y, source.x_center[..., None], source.y_center[..., None])
    # the shear's deflection about the lens: (g1 dx + g2 dy, g2 dx - g1 dy)
    shear_x, shear_y = along_x * gamma1 + along_y * gamma2, along_x * gamma2 - along_y * gamma1
    return (free - _line(shear_x, shear_y, x_lens, y_lens)).flatten(1, 2).transpose(0, 1)


def trace_source(
    frame: RayFrame,
    constants: RayConstants,
    core: Float[Tensor, " batch"],
    work: Workspace,
) -> Float[Tensor, "batch y x"]:
    """Brightness of the lensed source at every ray; near its centre the mean over a ray's cell.

    Works in place on a few buffers: keep the chunk in the cache. It carries no gradients.

    Args:
        frame: Where the rays are.
        constants: What `ray_constants` returned, or a part of it.
        core: Brightness from which on a ray stands for the mean over its cell; see
            `RayConstants.core_brightness`.
        work: Buffers; the result is one of them.

    Returns:
        Surface brightness [pixel units / arcsec^2].

    Reference:
        See `ray_constants`; Graham & Driver 2005, eq. 1; midpoint rule.
    """
    basis = frame.basis(constants.lines)
    n_lines, n = constants.lines.shape[:2]
    lines = work.take("lines", (n_lines * n, basis.shape[1]), basis)
    torch.mm(constants.lines.flatten(0, 1), basis, out=lines)
    parts = constants.lens[..., None], constants.pull[..., None], constants.shape[..., None]
    light = _brightness(lines.unflatten(0, (n_lines, n)), *parts, work)
    if bool(core.isfinite().any()):
        _refine_core(light, core, frame, constants, work)
    return light.unflatten(1, (frame.height, frame.width))


def trace_source_compiled(
    frame: RayFrame,
    table: Float[Tensor, "batch constant"],
    core: Float[Tensor, " batch"],
    kernels: Kernels,
    work: Workspace,
) -> Float[Tensor, "batch y x"]:
    """Brightness as `trace_source` gives it, to 1e-5 of the brightest ray's, by compiled code.

    Args:
        frame: Where the rays are.
        table: Rows of `RayConstants.table`; float32, on the CPU.
        core: What `RayConstants.core_brightness` returned; infinite for plain rays.
        kernels: What `build_kernels` returned.
        work: Buffers; the result is one of them.

    Returns:
        Surface brightness [pixel units / arcsec^2].
    """
    light = work.take("light", (len(table), frame.height, frame.width), table)
    kernels.trace_sources(table, frame.axes(table), core, _PARTS, light)
    return light


def _brightness(
    lines: Tensor, lens: Tensor, pull: Tensor, shape: Tensor, work: Workspace
) -> Tensor:
    """Brightness where the lines have these values, which are lost."""
    u, v, *components = lines.unbind(0)
    angle, ratio = _deflection_terms(u, v, lens, work.take("scratch", (2, *u.shape), u))
    floor, total = u.new_tensor(_RADIUS2_FLOOR), angle
    for k in range(len(shape)):
        major, minor = components[2 * k : 2 * k + 2]
        major.addcmul_(angle, pull[k, 0]).addcmul_(ratio, pull[k, 1])
        minor.addcmul_(angle, pull[k, 2]).addcmul_(ratio, pull[k, 3])
        radius2 = torch.addcmul(floor, major, major, out=major).addcmul_(minor, minor)
        exponent = radius2.log_().mul_(shape[k, 0]).exp_().mul_(shape[k, 1])
        light = exponent.clamp_min_(_EXPONENT_FLOOR).exp_().mul_(shape[k, 2])
        total = light if k == 0 else total.add_(light)
    return total


def _deflection_terms(u: Tensor, v: Tensor, lens: Tensor, scratch: Tensor) -> tuple[Tensor, Tensor]:
    """Atan and 2 artanh of `ray_constants`; u and v are lost, one of them holds the latter."""
    scale, below = scratch
    torch.addcmul(u.new_tensor(_RADIUS2_FLOOR), u, u, out=scale).addcmul_(v, v).rsqrt_()
    angle = u.mul_(scale).mul_(lens[0]).atan_()
    v.mul_(scale)
    torch.sub(lens[1], v, out=below)
    return angle, v.add_(lens[1]).div_(below).log_()


def _refine_core(
    light: Tensor, core: Tensor, frame: RayFrame, constants: RayConstants, work: Workspace
) -> None:
    """Replace what is brighter than the core's edge by means over the cells of the rays."""
    flat = light.view(-1)
    place = (light > core[:, None]).view(-1).nonzero()[:, 0]
    if len(place) == 0:
        return
    image = place // light.shape[1]
    # side by side in one row, the constants of each ray's own image
    n_lines, n_components = len(constants.lines), len(constants.shape)
    own = constants.table()[image].mT.contiguous()
    slope_x, slope_y, offset, rest = own.split([n_lines, n_lines, n_lines, 2 + 7 * n_components])
    x, y = frame.basis(light)[:2, place - image * light.shape[1]]
    part = torch.arange(_PARTS, dtype=light.dtype, device=light.device)
    part = ((part + 0.5) / _PARTS - 0.5) * frame.ray_scale
    shift_y, shift_x = torch.meshgrid(part, part, indexing="ij")
    shift_y, shift_x = shift_y.flatten()[:, None], shift_x.flatten()[:, None]
    lines = torch.addcmul(offset, slope_x, x).addcmul_(slope_y, y)[:, None]
    lines = torch.addcmul(lines, slope_x[:, None], shift_x).addcmul_(slope_y[:, None], shift_y)
    lens, pull, shape = rest.split([2, 4 * n_components, 3 * n_components])
    fine = _brightness(lines, lens, pull.unflatten(0, (-1, 4)), shape.unflatten(0, (-1, 3)), work)
    flat[place] = fine.mean(dim=0)


def pixel_response(
    psf: GaussianPsf, n_pixels: int, n_rays: int, oversample: int, pixel_scale: float
) -> Float[Tensor, "batch gaussian pixel ray"]:
    """Share of a ray's light that each pixel of an axis gets: Gaussian PSF and pixel in one.

    Args:
        psf: Sums of Gaussians.
        n_pixels: Pixels of the axis.
        n_rays: Rays along it, around the same middle.
        oversample: Rays along a pixel's side [-].
        pixel_scale: Pixel scale [arcsec/pixel].

    Returns:
        One matrix per Gaussian, without its weight [-].

    Reference:
        Integral of a Gaussian over a pixel: a difference of error functions.
    """
    scale = pixel_scale / oversample
    like = psf.sigma
    count = n_rays + oversample * (n_pixels - 1)
    # distances from a ray to the lower edges of pixels: all pairs have one of these few
    offset = torch.arange(count + oversample, dtype=like.dtype, device=like.device)
    offset = (offset - 0.5 * (count + oversample - 1)) * scale
    below = torch.special.erf(offset * (math.sqrt(0.5) / like[..., None]))
    shares = 0.5 * (below[..., oversample:] - below[..., :-oversample])
    # the shares are symmetric, so that windows in rising order, flipped, are the matrix
    return shares.unfold(-1, n_rays, oversample).flip(-2)


def fold(
    light: Float[Tensor, "batch y x"],
    psf: GaussianPsf,
    response_y: Float[Tensor, "batch gaussian h y"],
    response_x: Float[Tensor, "batch gaussian w x"],
) -> Float[Tensor, "batch h w"]:
    """Convolve rays with the PSF and sum them to pixels: a matrix product from each side.

    Args:
        light: Light of each ray [pixel units].
        psf: Sums of Gaussians.
        response_y: What `pixel_response` gives along y.
        response_x: The same along x.

    Returns:
        Flux per pixel [pixel units].
    """
    n_gaussians, height = response_y.shape[1:3]
    half = torch.bmm(response_y.flatten(1, 2), light)
    if n_gaussians == 1:
        return torch.bmm(half, response_x[:, 0].mT)
    half = half.unflatten(1, (n_gaussians, height)).mul_(psf.weight[..., None, None])
    # the sum over Gaussians is part of the product
    return torch.bmm(half.transpose(1, 2).flatten(2), response_x.transpose(2, 3).flatten(1, 2))
