"""Light of a bright star: PSF, wings beyond the kernel's edge, halo, diffraction spikes."""

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.conventions import fwhm_to_sigma
from stronglens.simulation.artefacts.artefact import Parameters
from stronglens.simulation.artefacts.planes import column, coordinates, psf_width

SHALLOWEST, STEEPEST = 2.5, 8.0
"""Limits of the slope of the wings beyond the kernel: a Moffat of beta 1.25 to 4."""
SPIKE_SHARE = 0.01
"""Part of the light in the four spikes (our choice)."""
SPIKE_LENGTH = 8.0
"""Distance within which a spike holds half of its light [PSF widths] (our choice)."""


HALO_SCALE = 2.0
"""Radius within which a halo is flat [PSF widths] (fits stars of a KiDS field)."""
RAYS = (5, 8, 13, 21)
"""Numbers of faint rays around a halo (our choice)."""
RAY_CONTRAST = 0.12
"""Relative brightness of each set of rays (our choice)."""


def star_light(
    parameters: Parameters,
    psf: Float[Tensor, "event k l"],
    size: tuple[int, int],
    halo_share: float,
) -> Float[Tensor, "event y x"]:
    """Light of stars of unit flux, halo and spikes included, saturated nowhere.

    Args:
        parameters: Positions `x`, `y` from the centre [pixel], `spike_angle` and `ray_phase` [rad].
        psf: Kernel of each star.
        size: Rows and columns [pixel].
        halo_share: Part of the light in the halo [-].

    Returns:
        Flux of unit stars. What lies beyond the kernel is added to its flux.
    """
    x, y = coordinates(*size, psf)
    dx, dy = x - column(parameters["x"]), y - column(parameters["y"])
    fwhm = column(psf_width(psf)).clamp_min(1.0)
    spikes = _spikes(dx, dy, column(parameters["spike_angle"]), fwhm)
    halo = _halo(dx, dy, parameters["ray_phase"], fwhm)
    core = (1.0 - SPIKE_SHARE - halo_share) * _with_wings(psf, dx, dy)
    return core + SPIKE_SHARE * spikes + halo_share * halo


def _with_wings(psf: Tensor, dx: Tensor, dy: Tensor) -> Tensor:
    """Kernels at sub-pixel positions, going over into a power law towards their edge."""
    rows, columns = psf.shape[1:]
    dx, dy = torch.broadcast_tensors(dx, dy)
    grid = torch.stack([dx / max(columns / 2, 1), dy / max(rows / 2, 1)], dim=-1)
    near = torch.nn.functional.grid_sample(psf[:, None], grid, align_corners=False)[:, 0]
    edge = float(min(rows, columns) // 2)
    if edge < 3.0:
        return near
    radius = dx.hypot(dy)
    level, slope = _wing(psf, edge)
    far = level * (radius / edge).clamp_min(0.1) ** -slope
    # a star's kernel is cut off as a square: fade from it to the wings inside the square
    share = ((radius / edge - 0.75) / 0.2).clamp(0.0, 1.0)
    return near + (far - near) * share


def _wing(psf: Tensor, edge: float) -> tuple[Tensor, Tensor]:
    """Mean value at the largest circle in a kernel and the logarithmic slope towards it."""
    x, y = coordinates(psf.shape[1], psf.shape[2], psf)
    radius = x.hypot(y)
    inner, outer = (
        (psf * is_ring).sum(dim=(1, 2)) / is_ring.sum()
        for is_ring in ((radius - share * edge).abs() <= 0.8 for share in (0.6, 0.9))
    )
    ratio = inner.clamp_min(1e-20) / outer.clamp_min(1e-20)
    slope = (ratio.log() / torch.log(psf.new_tensor(0.9 / 0.6))).clamp(SHALLOWEST, STEEPEST)
    return column(outer * 0.9**slope), column(slope)


def _halo(dx: Tensor, dy: Tensor, phase: Tensor, fwhm: Tensor) -> Tensor:
    """Light of unit flux that falls with the cube of the radius, with faint rays."""
    scale = HALO_SCALE * fwhm
    angle = torch.atan2(dy, dx)
    rays = sum(torch.cos(n * angle + column(phase[:, k])) for k, n in enumerate(RAYS))
    falling = scale / (2.0 * torch.pi) * (dx**2 + dy**2 + scale**2) ** -1.5
    return falling * (1.0 + RAY_CONTRAST * rays)


def _spikes(dx: Tensor, dy: Tensor, angle: Tensor, fwhm: Tensor) -> Tensor:
    """Four arms as wide as the PSF of unit flux together, falling with the distance squared."""
    sigma, length = fwhm_to_sigma(fwhm), SPIKE_LENGTH * fwhm
    along, across = (
        dx * torch.cos(angle) + dy * torch.sin(angle),
        dy * torch.cos(angle) - dx * torch.sin(angle),
    )
    total = torch.zeros_like(along)
    for distance, offset in ((along, across), (across, along)):
        profile = torch.exp(-0.5 * (offset / sigma) ** 2) / (sigma * (2.0 * torch.pi) ** 0.5)
        # two arms of a quarter each: integral of 1 / (1 + s / l)^2 over s is l
        total = total + 0.25 * profile / length / (1.0 + distance.abs() / length) ** 2
    return total
