"""Small lenses and look-alikes for the tests of measuring, made with our own profiles."""

import numpy as np
import torch

from stronglens.light.sersic import Sersics, surface_brightness
from stronglens.measurement.lens_image import LensImage
from stronglens.measurement.mass_model import source_positions, vector_from_values
from stronglens.simulation.psf import gaussian_kernel

SCALE, FWHM, SIDE = 0.1, 0.18, 48
TRUTH = {"theta_e": 1.1, "e1": 0.08, "e2": -0.05, "gamma1": 0.03, "gamma2": 0.02}


def sersic(x, y, flux, r_eff, n, q=1.0, phi=0.0):
    columns = {"flux": flux, "r_eff": r_eff, "n_sersic": n, "q": q, "phi": phi}
    columns |= {"x_center": 0.0, "y_center": 0.0}
    one = Sersics(**{k: torch.tensor([[v]], dtype=torch.float64) for k, v in columns.items()})
    return surface_brightness(torch.from_numpy(x)[None], torch.from_numpy(y)[None], one)[0].numpy()


def grid(n_sub=3):
    step = SCALE / n_sub
    line = (np.arange(SIDE * n_sub) - 0.5 * (SIDE * n_sub - 1)) * step
    return np.meshgrid(line, line)


def seen(light, sigma, seed, name):
    """Binned, blurred and noisy image of light on the fine grid."""
    n_sub = light.shape[0] // SIDE
    flux = light.reshape(SIDE, n_sub, SIDE, n_sub).mean(axis=(1, 3)) * SCALE**2
    kernel = gaussian_kernel(torch.tensor([FWHM], dtype=torch.float64), SCALE, 13)[0].numpy()
    from stronglens.measurement.deflector_light import convolved

    blurred = convolved(flux[None], kernel)[0]
    noise = np.random.default_rng(seed).standard_normal(blurred.shape) * sigma
    plane = np.full(blurred.shape, sigma)
    return LensImage(blurred + noise, plane, np.zeros(plane.shape, bool), kernel, SCALE, name)


def lens(sigma=0.004, seed=0, beta=(0.12, 0.06), source_flux=1.0, **changes):
    x, y = grid()
    vector = vector_from_values(TRUTH | changes)
    bx, by = source_positions(vector[None], x.ravel(), y.ravel(), "sie+shear")
    bx, by = bx[0].reshape(x.shape) - beta[0], by[0].reshape(x.shape) - beta[1]
    light = sersic(bx, by, source_flux, 0.12, 1.0) + sersic(x, y, 20.0, 0.9, 3.0, 0.85, -0.3)
    return seen(light, sigma, seed, "lens")


def galaxy_alone(sigma=0.004, seed=0):
    x, y = grid()
    return seen(sersic(x, y, 20.0, 0.9, 3.0, 0.85, -0.3), sigma, seed, "galaxy")


def star(sigma=0.004, seed=0):
    x, y = grid()
    return seen(20.0 * np.exp(-0.5 * (x**2 + y**2) / 0.02**2), sigma, seed, "star")


def empty_field(sigma=0.004, seed=0):
    return seen(np.zeros_like(grid()[0]), sigma, seed, "empty")


def spiral(sigma=0.004, seed=0):
    x, y = grid()
    r, angle = np.hypot(x, y), np.arctan2(y, x)
    arms = np.exp(-r / 0.8) * (1 + np.cos(2 * angle - 4.0 * np.log(r + 0.15))) ** 3
    return seen(sersic(x, y, 8.0, 0.4, 2.0) + 1.2 * arms, sigma, seed, "spiral")
