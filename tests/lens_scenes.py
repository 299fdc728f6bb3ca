"""Random lens scenes for tests of lensing, light and rendering, and the same for lenstronomy."""

from dataclasses import fields

import numpy as np
import torch
from hypothesis import strategies as st
from lenstronomy.Data.pixel_grid import PixelGrid
from lenstronomy.Data.psf import PSF
from lenstronomy.ImSim.image_model import ImageModel
from lenstronomy.ImSim.Numerics.convolution import PixelKernelConvolution
from lenstronomy.LensModel.lens_model import LensModel
from lenstronomy.LightModel.light_model import LightModel
from lenstronomy.Util import image_util

from stronglens.core.conventions import circularised_radius
from stronglens.core.lenstronomy import mass_to_lenstronomy, sersic_to_lenstronomy
from stronglens.lensing.records import SieShear
from stronglens.light.sersic import Sersics, central_brightness, sersic_b
from stronglens.simulation.render import Grid

SEEDS = st.integers(0, 2**31)
"""Seeds for hypothesis to choose from."""


def uniform(shape: tuple[int, ...], low: float, high: float, seed: int) -> torch.Tensor:
    """Uniform numbers in double precision."""
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)


def draw_lenses(n: int, seed: int, dtype: torch.dtype = torch.float64) -> SieShear:
    """Lenses off the centre of the frame, from nearly round to very flat."""
    rng = np.random.default_rng([seed, 1])
    ranges = {
        "theta_e": (0.4, 2.0),
        "q": (0.3, 0.999),
        "phi": (-np.pi, np.pi),
        "x_center": (-0.5, 0.5),
        "y_center": (-0.5, 0.5),
        "gamma1": (-0.1, 0.1),
        "gamma2": (-0.1, 0.1),
    }
    values = {name: torch.as_tensor(rng.uniform(*limits, n)) for name, limits in ranges.items()}
    return SieShear(**values).to(dtype)


def draw_sersics(
    n: int, seed: int, n_component: int = 1, dtype: torch.dtype = torch.float64, **limits
) -> Sersics:
    """Sersic components off the centre of the frame; `limits` replaces the ranges of parameters."""
    rng = np.random.default_rng([seed, 2])
    ranges = {
        "flux": (10.0, 1000.0),
        "r_eff": (0.15, 1.0),
        "n_sersic": (0.5, 4.0),
        "q": (0.3, 0.999),
        "phi": (-np.pi, np.pi),
        "x_center": (-0.5, 0.5),
        "y_center": (-0.5, 0.5),
    } | limits
    shape = (n, n_component)
    values = {name: torch.as_tensor(rng.uniform(*ends, shape)) for name, ends in ranges.items()}
    return Sersics(**values).to(dtype)


def lenstronomy_lens(lens: SieShear, k: int) -> tuple[LensModel, list[dict[str, float]]]:
    """Lens k of a batch as lenstronomy's."""
    values = {f.name: float(getattr(lens, f.name)[k]) for f in fields(lens)}
    entries = [mass_to_lenstronomy(name, values) for name in ("sie", "shear")]
    return LensModel([name for name, _ in entries]), [keywords for _, keywords in entries]


def lenstronomy_light(sersics: Sersics, k: int) -> tuple[LightModel, list[dict[str, float]]]:
    """Components of image k as lenstronomy's, with its linear b_n."""
    b_n = sersic_b(sersics.n_sersic, "linear")
    brightness = central_brightness(sersics, b_n) * torch.exp(-b_n)
    keywords = []
    for c in range(sersics.flux.shape[1]):
        values = {f.name: float(getattr(sersics, f.name)[k, c]) for f in fields(sersics)}
        values["brightness"] = float(brightness[k, c])
        values["r_eff_circ"] = circularised_radius(values["r_eff"], values["q"])
        keywords.append(sersic_to_lenstronomy(values))
    return LightModel(["SERSIC_ELLIPSE"] * len(keywords)), keywords


def lenstronomy_image(
    grid: Grid, lens: SieShear, source: Sersics, deflector: Sersics, kernel: np.ndarray, k: int
) -> np.ndarray:
    """Image k of a scene by lenstronomy, its PSF applied at the oversampled scale."""
    models = [lenstronomy_lens(lens, k), lenstronomy_light(source, k)]
    models += [lenstronomy_light(deflector, k)]
    draw = _by_image_model if grid.height == grid.width else _by_parts
    return draw(grid, models, kernel)


def _pixel_grid(height: int, width: int, pixel_scale: float) -> PixelGrid:
    return PixelGrid(
        nx=width,
        ny=height,
        transform_pix2angle=np.eye(2) * pixel_scale,
        ra_at_xy_0=-0.5 * (width - 1) * pixel_scale,
        dec_at_xy_0=-0.5 * (height - 1) * pixel_scale,
    )


def _by_image_model(grid: Grid, models: list, kernel: np.ndarray) -> np.ndarray:
    psf = PSF(
        psf_type="PIXEL",
        kernel_point_source=kernel,
        point_source_supersampling_factor=grid.oversample,
    )
    images = ImageModel(
        _pixel_grid(grid.height, grid.width, grid.pixel_scale),
        psf,
        *(model for model, _ in models),
        kwargs_numerics={
            "supersampling_factor": grid.oversample,
            "supersampling_convolution": True,
            # the default of 5 would convolve the wings at the pixel scale
            "supersampling_kernel_size": None,
        },
    )
    return images.image(*(keywords for _, keywords in models))


def _by_parts(grid: Grid, models: list, kernel: np.ndarray) -> np.ndarray:
    """The same steps one by one: ImageModel of lenstronomy 1.14.2 takes square frames only."""
    x, y = _pixel_grid(*grid.fine_shape, grid.fine_scale).pixel_coordinates
    (lens, lens_keywords), (source, source_keywords), (deflector, deflector_keywords) = models
    beta = lens.ray_shooting(x.ravel(), y.ravel(), lens_keywords)
    light = source.surface_brightness(*beta, source_keywords)
    light = light + deflector.surface_brightness(x.ravel(), y.ravel(), deflector_keywords)
    blurred = PixelKernelConvolution(kernel, "fft").convolution2d(light.reshape(x.shape))
    return image_util.re_size(blurred, grid.oversample) * grid.pixel_scale**2
