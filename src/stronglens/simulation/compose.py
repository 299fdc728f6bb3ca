"""Pictures of scenes: every layer rendered once, coloured for each band, lensed where it is.

What the scenes hold is in `scene`; the PSF and the noise come afterwards.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.lensing.raytrace import trace
from stronglens.light.sersic import Sersics
from stronglens.simulation.cells import (
    MOST_CURVED,
    average_cells,
    is_near,
    split_rays,
)
from stronglens.simulation.convolution import convolve
from stronglens.simulation.cores import refine_cores
from stronglens.simulation.render import Grid, observe_planes, pixel_coordinates, render_light
from stronglens.simulation.scene import Deflectors, Lensing, LightLayer, joined
from stronglens.simulation.scene_tables import DRAWN


def compose_light(
    grid: Grid, layers: Sequence[LightLayer], n: int, n_bands: int
) -> Float[Tensor, "n band y x"]:
    """Unlensed light of several layers on the oversampled frame, without PSF.

    Args:
        grid: Frame.
        layers: Light, its rows counted from the first image.
        n: Number of images.
        n_bands: Number of bands.

    Returns:
        Flux per sub-pixel [pixel units].
    """
    return add_light(torch.zeros((n, n_bands, *grid.fine_shape)), grid, layers)


def add_light(
    total: Float[Tensor, "n band y x"], grid: Grid, layers: Sequence[LightLayer]
) -> Float[Tensor, "n band y x"]:
    """Add unlensed light of several layers to a frame, in place.

    Args:
        total: Flux per sub-pixel on the oversampled frame [pixel units].
        grid: Frame.
        layers: Light, its rows counted from the first image.

    Returns:
        The same tensor.
    """
    x, y = pixel_coordinates(grid)
    light = torch.zeros_like(total)
    for one in layers:
        if len(one.rows):
            _add(light, one, one.component.brightness(x, y), grid)
    average_cells(light)
    for name in DRAWN:
        alike = [one for one in layers if one.component.name == name and len(one.rows)]
        if alike:
            refine_cores(light, joined(alike), grid)
    return total.add_(light)


def compose_lensed(
    grid: Grid, layers: Sequence[LightLayer], lenses: Sequence[Lensing], n: int
) -> Float[Tensor, "n band y x"]:
    """Lensed light of several layers on the oversampled frame, without PSF.

    Args:
        grid: Frame.
        layers: Light in the source plane, its rows counted from the first image.
        lenses: Lens models; an image without one shows its sources as they are.
        n: Number of images.

    Returns:
        Flux per sub-pixel [pixel units].

    Reference:
        Schneider, Ehlers & Falco 1992, section 5.2: surface brightness is conserved.
    """
    x, y = pixel_coordinates(grid)
    beta_x, beta_y = (axis.expand(n, -1, -1).clone() for axis in (x, y))
    for lens in lenses:
        if len(lens.rows):
            beta_x[lens.rows], beta_y[lens.rows] = trace(x, y, lens.lens_model)
    total = x.new_zeros((n, layers[0].flux.shape[1], *grid.fine_shape))
    near = torch.zeros((n, *grid.fine_shape), dtype=torch.bool)
    for one in layers:
        if len(one.rows):
            brightness = one.component.brightness(beta_x[one.rows], beta_y[one.rows])
            _add(total, one, brightness, grid)
            near[one.rows] |= is_near(one.component, brightness, grid.fine_scale)
    average_cells(total, MOST_CURVED)
    split_rays(total, near, grid, layers, lenses)
    return total


def compose_deflectors(grid: Grid, deflectors: Deflectors) -> Float[Tensor, "n band y x"]:
    """Light of the deflectors on the oversampled frame, without PSF.

    Args:
        grid: Frame.
        deflectors: Their components.

    Returns:
        Flux per sub-pixel [pixel units].
    """
    n, n_components = deflectors.shapes.flux.shape
    flat = {
        name: values.reshape(n * n_components, 1)
        for name, values in vars(deflectors.shapes).items()
    }
    unit = render_light(grid, Sersics(**flat)).reshape(n, n_components, -1)
    return torch.bmm(deflectors.flux, unit).unflatten(2, grid.fine_shape)


def observe_bands(
    planes: Sequence[Float[Tensor, "n band y x"]], kernels: Float[Tensor, "n band k k"], grid: Grid
) -> list[Float[Tensor, "n band h w"]]:
    """Convolve planes of several bands, each with its own PSF, and sum them to pixels.

    Args:
        planes: Flux per sub-pixel on the padded oversampled frame [pixel units].
        kernels: PSF of every image and band at the oversampled scale [-].
        grid: Frame.

    Returns:
        The planes in the same order, as noiseless flux per pixel [pixel units].
    """
    flat = [plane.flatten(0, 1) for plane in planes]
    seen = observe_planes(flat, kernels.flatten(0, 1), grid)
    return [plane.unflatten(0, kernels.shape[:2]) for plane in seen]


def sample_bands(
    planes: Sequence[Float[Tensor, "n band y x"]], kernels: Float[Tensor, "n band k k"], grid: Grid
) -> list[Float[Tensor, "n band h w"]]:
    """Convolve planes with PSFs that hold the pixel already, and read them in the pixels' middles.

    Args:
        planes: Flux per sub-pixel on the padded oversampled frame [pixel units].
        kernels: PSF of every image and band at the oversampled scale, of odd oversampling [-].
        grid: Frame.

    Returns:
        The planes in the same order, as noiseless flux per pixel [pixel units].
    """
    step, cut = grid.oversample, grid.padding * grid.oversample
    rows = slice(cut + step // 2, cut + grid.height * step, step)
    columns = slice(cut + step // 2, cut + grid.width * step, step)
    seen = []
    for plane in planes:
        blurred = convolve(plane.flatten(0, 1), kernels.flatten(0, 1))
        seen.append(blurred.unflatten(0, kernels.shape[:2])[:, :, rows, columns] * step**2)
    return seen


def _add(total: Tensor, one: LightLayer, brightness: Tensor, grid: Grid) -> None:
    """Add a layer's light, coloured, to the images that have it."""
    flux = (one.flux.to(brightness) * grid.fine_scale**2)[:, :, None, None]
    if len(one.rows) == len(total):
        total.addcmul_(brightness[:, None], flux)
        return
    for k, row in enumerate(one.rows.tolist()):
        total[row].addcmul_(brightness[k], flux[k])
