"""The picture that a lens model of a COOLEST file makes: rays, light, PSF, pixels."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import map_coordinates
from torch import Tensor

from stronglens.core.errors import MissingDataError
from stronglens.lensing.raytrace import trace
from stronglens.light.sersic import surface_brightness
from stronglens.measurement.coolest import CoolestLens, SourceGrid
from stronglens.measurement.deflector_light import convolved


def model_image(lens: CoolestLens, oversample: int = 2) -> Float[np.ndarray, "y x"]:
    """Image of a lens model as its PSF blurs it, without sky and noise.

    Args:
        lens: The model, with an image whose pixels and PSF are used.
        oversample: Rays along the side of a pixel.

    Returns:
        Flux per pixel [pixel units]; light from beyond the edge is missing.

    Raises:
        MissingDataError: The model has no image.
    """
    if lens.image is None:
        raise MissingDataError(
            "the lens model has no image, so its pixels and PSF are unknown. Name an image in the "
            "COOLEST file."
        )
    (height, width), scale = lens.image.flux.shape, lens.image.pixel_scale
    x, y = (_line(n, scale, oversample) for n in (width, height))
    x, y = x[None, None, :], y[None, :, None]
    light = torch.zeros(1, len(y[0]), x.shape[-1], dtype=torch.float64)
    if lens.scene.deflector.flux.shape[1]:
        light = light + surface_brightness(x, y, lens.scene.deflector)
    beta_x, beta_y = trace(x, y, lens.scene.lens_model)
    if lens.scene.source.flux.shape[1]:
        light = light + surface_brightness(beta_x, beta_y, lens.scene.source)
    flux = light[0].numpy() * scale**2
    if lens.source_grid is not None:
        flux = flux + _interpolated(lens.source_grid, beta_x[0].numpy(), beta_y[0].numpy())
    pixels = flux.reshape(height, oversample, width, oversample).mean(axis=(1, 3))
    return convolved(pixels[None], lens.image.psf)[0]


def _line(n: int, scale: float, oversample: int) -> Tensor:
    """Positions of the rays along one axis, measured from the middle [arcsec]."""
    count = torch.arange(n * oversample, dtype=torch.float64)
    return (count - 0.5 * (n * oversample - 1)) * scale / oversample


def _interpolated(grid: SourceGrid, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Brightness between the cells of a grid, none outside [flux per image pixel]."""
    height, width = grid.flux.shape
    left, right, bottom, top = grid.extent
    column = (x - left) / (right - left) * width - 0.5
    row = (y - bottom) / (top - bottom) * height - 0.5
    return map_coordinates(grid.flux, [row, column], order=1, mode="grid-constant", cval=0.0)
