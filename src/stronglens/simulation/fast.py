"""The fast path from light and mass to noiseless pixels: less work for the same picture.

Galaxies are drawn as Gaussians blurred beforehand, lensed sources on a few rays where there is
light; `choose_plan` says how few keep the error below a tolerance. What it may not draw so takes
the exact path of `render`. Nothing here carries gradients.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from stronglens.core.errors import WrongShapeError
from stronglens.lensing.records import SieShear
from stronglens.light import mge
from stronglens.light.sersic import Sersics, central_brightness, sersic_b
from stronglens.simulation.fast_source import (
    RayFrame,
    fold,
    pixel_response,
    ray_constants,
    trace_source,
    trace_source_compiled,
)
from stronglens.simulation.gaussian_light import (
    BlurredGaussians,
    blurred_gaussians,
    draw_gaussians,
    quadratic_basis,
)
from stronglens.simulation.gaussian_psf import GaussianPsf
from stronglens.simulation.kernels import Kernels, build_kernels, fits_kernels
from stronglens.simulation.render import Grid, render_light
from stronglens.simulation.workspace import Workspace

TOLERANCE = 0.04
"""Error aimed at, as a fraction of the peak of the arc."""

# Rays along a pixel's side, and the narrowest PSF for which they do, its sigma in pixels.
_RAYS = ((2, 1.2), (3, 0.6), (4, 0.4), (6, 0.0))
# Share of the predicted error of a cusp that is seen in one image of twenty, for a wide PSF; a PSF
# of few pixels averages over fewer rays. Measured against a 20-fold oversampled truth.
_SEEN = 0.25
# Root mean square distance from the middle of a square cell of side one.
_CELL = 0.41
# Light of a source's outskirts below this fraction of the tolerance is left out.
_OUTSKIRTS = 0.5
# Sizes of ray frames are rounded up to multiples of this, so that images share frames [pixel].
_ROUNDING = 6
# The PSF brings light in from this many of its widest sigmas outside the frame.
_PADDING_SIGMAS = 3.0
# A PSF narrower than this fraction of r_eff shows what the Gaussians smooth out.
_NARROWEST_BLUR = 0.03
# Rays and values worked on at once by one thread: their buffers stay in a 2 MB cache.
_RAYS_IN_CACHE, _VALUES_IN_CACHE = 100_000, 200_000


@dataclass(frozen=True)
class FastPlan:
    """How each image of a batch is drawn; it depends on that image alone."""

    source_oversample: Int[Tensor, " batch"]
    """Rays along a pixel's side [-]."""
    has_fine_core: Bool[Tensor, " batch"]
    """Whether rays near the centre of the source are replaced by means over their cells."""
    source_half_size: Int[Tensor, " batch"]
    """Half the side of the square around the middle that the rays cover [pixel]."""
    light_oversample: Int[Tensor, " batch"]
    """Points along a pixel's side for blurred Gaussians; 0 where the exact path is taken [-]."""


def choose_plan(
    grid: Grid,
    lens: SieShear,
    source: Sersics,
    light: Sersics,
    psf: GaussianPsf,
    tolerance: float = TOLERANCE,
) -> FastPlan:
    """Say how finely to draw each image so that its error stays below a tolerance.

    Args:
        grid: Frame; of its sampling only the exact path makes use.
        lens: One lens per image.
        source: Components of each source.
        light: Components of each unlensed galaxy.
        psf: One PSF per image.
        tolerance: Error of 95 % of the images, as a fraction of the peak of the arc [-].

    Returns:
        The plan.

    Raises:
        WrongShapeError: The numbers of images differ.
    """
    _check_lengths(lens, source, light, psf)
    rays, has_fine_core, reach = _source_needs(grid, lens, source, psf, tolerance)
    needed, edge = reach / grid.pixel_scale, max(grid.height, grid.width) // 2
    half = (needed / _ROUNDING).ceil() * _ROUNDING
    # rounding alone does not lead outside the frame
    half = torch.where(needed <= edge, half.clamp_max(edge), half).to(torch.int64)
    return FastPlan(rays, has_fine_core, half, light_oversampling(grid, light, psf))


def light_oversampling(grid: Grid, light: Sersics, psf: GaussianPsf) -> Int[Tensor, " batch"]:
    """Say at how many points of a pixel's side blurred Gaussians are evaluated.

    Args:
        grid: Frame.
        light: Components of each galaxy.
        psf: One PSF per image.

    Returns:
        1, 2 or 4, wider PSFs needing fewer; 0 where the exact path is needed, because of an index
        outside 0.5 to 8, or of a PSF too narrow for the pixels or beside the galaxy.
    """
    narrowest = psf.sigma.amin(dim=1)
    in_pixels = narrowest / grid.pixel_scale
    steps = 1 + (in_pixels < 1.0).to(torch.int64) + 2 * (in_pixels < 0.5).to(torch.int64)
    n = light.n_sersic
    is_expanded = ((n >= mge.N_SERSIC_MIN) & (n <= mge.N_SERSIC_MAX)).all(dim=1)
    is_expanded &= (narrowest[:, None] >= _NARROWEST_BLUR * light.r_eff).all(dim=1)
    return steps * (is_expanded & (in_pixels >= 0.25))


def _source_needs(
    grid: Grid, lens: SieShear, source: Sersics, psf: GaussianPsf, tolerance: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Rays along a pixel's side, whether cores are finer, how far out there is light [arcsec]."""
    b_n = sersic_b(source.n_sersic)
    share = source.flux.abs() / source.flux.abs().sum(dim=1, keepdim=True).clamp_min(1e-30)
    center = central_brightness(replace(source, flux=share), b_n)
    # an arc is about as bright as the source would be if the PSF alone spread it
    blur2 = (psf.weight / psf.sigma**2).sum(dim=1, keepdim=True).reciprocal()
    blur2 = blur2 + grid.pixel_scale**2 / 12.0
    peak = (share / (2.0 * math.pi * (blur2 + 0.5 * source.r_eff**2 * source.q))).sum(dim=1)
    radius = source.r_eff * source.q.sqrt()

    seen = _SEEN * (1.0 + 0.5 * (grid.pixel_scale / psf.sigma.amin(dim=1)).square())

    def is_seen(rays: Tensor) -> Tensor:
        """Whether the cusp, where a ray is too bright for its cell, spoils the picture."""
        scale = grid.pixel_scale / rays[:, None]
        fall = -torch.expm1(-b_n * (_CELL * scale / radius) ** (1.0 / source.n_sersic))
        error = (center * fall * scale**2 / (2.0 * math.pi * blur2)).sum(dim=1)
        return seen * error > tolerance * peak

    rays = _rays(psf, grid)
    rays = torch.where(is_seen(torch.ones_like(rays)), rays, 1)
    has_fine_core = is_seen(rays)
    faint = (_OUTSKIRTS * tolerance * peak)[:, None]
    extent = (center / faint).log().clamp_min(0.0) / b_n
    extent = source.r_eff * extent**source.n_sersic
    offset = torch.hypot(
        source.x_center - lens.x_center[:, None], source.y_center - lens.y_center[:, None]
    )
    return rays, has_fine_core, _reach(lens, (offset + extent).amax(dim=1))


def _rays(psf: GaussianPsf, grid: Grid) -> Tensor:
    in_pixels = psf.sigma.amin(dim=1) / grid.pixel_scale
    rays = torch.empty_like(in_pixels, dtype=torch.int64)
    for n, narrowest in reversed(_RAYS):
        rays[in_pixels >= narrowest] = n
    return rays


def _reach(lens: SieShear, beta: Tensor) -> Tensor:
    """Distance from the frame's middle within which all images of a disc of radius beta lie."""
    f = (1.0 - lens.q.square()).clamp_min(1e-4).sqrt()
    # the deflection is largest on the minor axis
    alpha = lens.theta_e * lens.q.sqrt() / f * torch.atanh(f)
    shear = torch.hypot(lens.gamma1, lens.gamma2).clamp_max(0.9)
    center = torch.maximum(lens.x_center.abs(), lens.y_center.abs())
    return (beta + alpha) / (1.0 - shear) + center


@torch.no_grad()
def observe_fast(
    grid: Grid,
    lens: SieShear,
    source: Sersics,
    light: Sersics,
    psf: GaussianPsf,
    plan: FastPlan | None = None,
    *,
    compiled: bool = False,
) -> tuple[Float[Tensor, "batch h w"], Float[Tensor, "batch h w"]]:
    """Lensed source and unlensed light, blurred and in pixels, noiseless.

    Args:
        grid: Frame; its sampling and padding are those of the exact path, where that is taken.
        lens: One lens per image.
        source: Components of each source.
        light: Components of each unlensed galaxy.
        psf: One PSF per image.
        plan: How to draw; by default what `choose_plan` says.
        compiled: Whether the inner loops run as compiled code, twice as fast on a CPU; it
            needs a C++ compiler and float32. The pictures differ by 1e-5 of their peak.

    Returns:
        Flux per pixel of the arcs and of the unlensed light [pixel units].

    Raises:
        WrongShapeError: The numbers of images differ.
        MissingDataError: There is no compiler for the compiled code.
    """
    plan = plan or choose_plan(grid, lens, source, light, psf)
    tools = _tools(source.flux, compiled=compiled)
    arcs = _draw_lensed(grid, lens, source, psf, plan, tools)
    return arcs, _draw_light(grid, light, psf, plan.light_oversample, tools)


@torch.no_grad()
def observe_light(
    grid: Grid, light: Sersics, psf: GaussianPsf, *, compiled: bool = False
) -> Float[Tensor, "batch h w"]:
    """Unlensed light alone, blurred and in pixels, noiseless.

    Args:
        grid: Frame, as for `observe_fast`.
        light: Components, summed for each image.
        psf: One PSF per image.
        compiled: As for `observe_fast`.

    Returns:
        Flux per pixel [pixel units].
    """
    _check_lengths(light, psf)
    tools = _tools(light.flux, compiled=compiled)
    return _draw_light(grid, light, psf, light_oversampling(grid, light, psf), tools)


@dataclass(frozen=True)
class _Tools:
    """What the loops work with."""

    kernels: Kernels | None
    work: Workspace


def _tools(like: Tensor, *, compiled: bool) -> _Tools:
    return _Tools(build_kernels() if compiled and fits_kernels(like) else None, Workspace())


def _draw_lensed(
    grid: Grid, lens: SieShear, source: Sersics, psf: GaussianPsf, plan: FastPlan, tools: _Tools
) -> Tensor:
    arcs = source.flux.new_zeros((len(source), grid.height, grid.width))
    if len(source) == 0:
        return arcs
    constants = ray_constants(lens, source)
    scales = grid.pixel_scale / plan.source_oversample.to(source.flux)
    core = constants.core_brightness(scales, plan.has_fine_core)
    table = constants.table().contiguous()
    padding = math.ceil(_PADDING_SIGMAS * float(psf.sigma.max()) / grid.pixel_scale)
    half = plan.source_half_size.clamp_max(max(grid.height, grid.width) // 2 + 1 + padding)
    in_cache = _RAYS_IN_CACHE * (3 if tools.kernels else 1)
    for (oversample, size), index in _groups(plan.source_oversample, half):
        frame = _ray_frame(grid, oversample, size, padding)
        for part in _parts(index, frame.height * frame.width, in_cache):
            own = psf[part]
            y = pixel_response(own, grid.height, frame.height, oversample, grid.pixel_scale)
            x = y
            if (grid.height, frame.height) != (grid.width, frame.width):
                x = pixel_response(own, grid.width, frame.width, oversample, grid.pixel_scale)
            if tools.kernels:
                what = table[part], core[part], tools.kernels, tools.work
                light = trace_source_compiled(frame, *what)
            else:
                light = trace_source(frame, constants[part], core[part], tools.work)
            arcs[part] = fold(light, own, y, x).mul_((grid.pixel_scale / oversample) ** 2)
    return arcs


def _ray_frame(grid: Grid, oversample: int, half_size: int, padding: int) -> RayFrame:
    """Rays over a square around the middle, as far as the frame and its padding go."""
    rows, columns = (n + 2 * min(half_size - n // 2, padding) for n in (grid.height, grid.width))
    return RayFrame(rows * oversample, columns * oversample, oversample, grid.pixel_scale)


def _draw_light(
    grid: Grid, light: Sersics, psf: GaussianPsf, oversample: Tensor, tools: _Tools
) -> Tensor:
    image = light.flux.new_zeros((len(light), grid.height, grid.width))
    if len(light) == 0:
        return image
    for (steps, _), index in _groups(oversample, torch.zeros_like(oversample)):
        if steps == 0:
            image[index] = _draw_exactly(grid, light[index], psf[index])
            continue
        gaussians = blurred_gaussians(light[index], psf[index], grid.pixel_scale, steps).drawn()
        frame = RayFrame(grid.height * steps, grid.width * steps, steps, grid.pixel_scale)
        drawn = _draw_points(frame, gaussians, tools)
        if steps > 1:
            drawn = drawn.unflatten(2, (-1, steps)).unflatten(1, (-1, steps)).mean(dim=(2, 4))
        image[index] = drawn
    return image


def _draw_points(frame: RayFrame, gaussians: BlurredGaussians, tools: _Tools) -> Tensor:
    n, n_gaussians = gaussians.peak.shape
    drawn = gaussians.peak.new_empty((n, frame.height, frame.width))
    axes = frame.axes(drawn)
    if tools.kernels:
        exponent, peak = gaussians.exponent.contiguous(), gaussians.peak.contiguous()
        tools.kernels.draw_gaussians(exponent, peak, axes, drawn)
        return drawn
    basis = quadratic_basis(*axes)
    place = torch.arange(n, device=drawn.device)
    for part in _parts(place, basis.shape[1] * n_gaussians, _VALUES_IN_CACHE):
        drawn[part] = draw_gaussians(gaussians[part], basis, tools.work).view_as(drawn[part])
    return drawn


def _draw_exactly(grid: Grid, light: Sersics, psf: GaussianPsf) -> Tensor:
    rows, columns = grid.fine_shape
    y = pixel_response(psf, grid.height, rows, grid.oversample, grid.pixel_scale)
    x = pixel_response(psf, grid.width, columns, grid.oversample, grid.pixel_scale)
    return fold(render_light(grid, light), psf, y, x)


def _groups(
    first: Int[Tensor, " batch"], second: Int[Tensor, " batch"]
) -> Iterator[tuple[tuple[int, int], Tensor]]:
    """Return each pair of numbers that occurs, with the places where it does."""
    step = int(second.max()) + 1
    found, which = torch.unique(first * step + second, return_inverse=True)
    for k, key in enumerate(found.tolist()):
        yield divmod(key, step), (which == k).nonzero()[:, 0]


def _parts(index: Tensor, size: int, in_cache: int) -> tuple[Tensor, ...]:
    """Cut places into parts that fit the cache; on a GPU they stay together."""
    if index.is_cuda:
        return (index,)
    return index.split(max(1, in_cache * torch.get_num_threads() // size))


def _check_lengths(first: SieShear | Sersics, *others: Sersics | GaussianPsf) -> None:
    for other in others:
        if len(other) != len(first):
            raise WrongShapeError(
                f"{type(other).__name__} of {len(other)} images do not fit {type(first).__name__} "
                f"of {len(first)}. Pass one of each per image."
            )
