"""The light of the deflector as a sum of Gaussians, none negative, fitted around the arcs.

Its part in the fit of the lens is in `inversion`.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.fft import next_fast_len
from scipy.linalg import solve_triangular
from scipy.ndimage import binary_dilation, gaussian_filter
from scipy.optimize import nnls

from stronglens.measurement.frames import Frame

N_GAUSSIANS = 18
"""Gaussians in the expansion."""
N_SHAPE = 6
"""Numbers of the shape: centre, ellipticity of the narrowest and of the widest Gaussian."""
_SHAPE_STEP = 1e-3
_LARGEST_STEP = 0.1
_MAX_ELLIPTICITY = 0.8
_CORE = 0.5
_ARC_SNR, _ARC_SOFTENING = 4.0, 0.03
_ROUNDS, _ITERATIONS = 3, 6
_INNERMOST = 3.0


@dataclass(frozen=True, eq=False)
class DeflectorLight:
    """Shape and brightness of the deflector."""

    shape: Float[np.ndarray, "6"]
    """Centre x, y [arcsec]; e1, e2 of the narrowest, then of the widest Gaussian [-]."""
    widths: Float[np.ndarray, "gaussian"]
    """Standard deviations of the Gaussians on the intermediate axis [arcsec]."""
    amplitudes: Float[np.ndarray, "gaussian"]
    """Their fluxes per pixel area; 0 or more [pixel units arcsec^2]."""
    sky: float
    """Constant beneath everything [pixel units]."""

    @property
    def center(self) -> tuple[float, float]:
        """Centre x, y [arcsec]."""
        return float(self.shape[0]), float(self.shape[1])

    @property
    def ellipticity(self) -> tuple[float, float]:
        """Mean of the inner and the outer e1, e2 [-]."""
        return float(self.shape[[2, 4]].mean()), float(self.shape[[3, 5]].mean())

    def image(self, frame: Frame) -> Float[np.ndarray, "y x"]:
        """Blurred light without the sky [pixel units]."""
        return self._images_of(frame, self.shape[None])[0]

    def shape_derivatives(self, frame: Frame) -> Float[np.ndarray, "6 y x"]:
        """Derivatives of `image` with respect to the shape [pixel units per unit]."""
        moves = _SHAPE_STEP * np.concatenate([np.zeros((1, N_SHAPE)), np.eye(N_SHAPE)])
        images = self._images_of(frame, self.shape + moves)
        return (images[1:] - images[0]) / _SHAPE_STEP

    def _images_of(
        self, frame: Frame, shapes: Float[np.ndarray, "shape 6"]
    ) -> Float[np.ndarray, "shape y x"]:
        """Blurred light with other shapes; the PSF is applied to sums of Gaussians."""
        is_active = self.amplitudes > 0
        active = self.amplitudes[is_active]
        lights = [
            np.tensordot(active, sharp_gaussians(frame, shape, self.widths, is_active), 1)
            for shape in shapes
        ]
        return convolved(np.array(lights), frame.image.psf)


def blurred_gaussians(
    frame: Frame, shape: Float[np.ndarray, "6"], widths: Float[np.ndarray, "gaussian"]
) -> Float[np.ndarray, "gaussian y x"]:
    """Elliptical Gaussians of unit flux after the PSF.

    Args:
        frame: Where.
        shape: As in `DeflectorLight`.
        widths: Standard deviations [arcsec].
    """
    every = np.ones(len(widths), bool)
    return convolved(sharp_gaussians(frame, shape, widths, every), frame.image.psf)


def sharp_gaussians(
    frame: Frame,
    shape: Float[np.ndarray, "6"],
    widths: Float[np.ndarray, "gaussian"],
    chosen: Bool[np.ndarray, "gaussian"],
) -> Float[np.ndarray, "some y x"]:
    """Elliptical Gaussians of unit flux before the PSF; their ellipticity changes with width.

    Args:
        frame: Where.
        shape: As in `DeflectorLight`.
        widths: Standard deviations of the whole expansion [arcsec].
        chosen: Those that are wanted.
    """
    dx, dy = frame.x - shape[0], frame.y - shape[1]
    first, span = widths[0], np.log(widths[-1] / widths[0])
    widths = widths[chosen]
    place = (np.log(widths / first) / span)[:, None]
    e1, e2 = (shape[2:4] * (1.0 - place) + shape[4:6] * place).T
    e = np.minimum(np.hypot(e1, e2), _MAX_ELLIPTICITY)
    q, phi = ((1.0 - e) / (1.0 + e))[:, None, None], (0.5 * np.arctan2(e2, e1))[:, None, None]
    cos, sin = np.cos(phi), np.sin(phi)
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    # the pixel widens the narrowest ones
    variance = (widths**2 + (0.3 * frame.image.pixel_scale) ** 2)[:, None, None]
    return np.exp(-0.5 * (q * u * u + v * v / q) / variance) / (2.0 * np.pi * variance)


def convolved(images: Float[np.ndarray, "n y x"], psf: np.ndarray) -> Float[np.ndarray, "n y x"]:
    """Images after a PSF, by Fourier transforms; dark beyond the edge."""
    pairs = zip(images.shape[1:], psf.shape, strict=True)
    size: list[int] = [next_fast_len(a + b - 1, real=True) for a, b in pairs]  # type: ignore[misc]
    product = np.fft.rfft2(images, s=size) * np.fft.rfft2(psf, s=size)
    top, left = (n // 2 for n in psf.shape)
    height, width = images.shape[1:]
    return np.fft.irfft2(product, s=size)[:, top : top + height, left : left + width]


def fit_light(
    frame: Frame,
    radius: float,
    start: DeflectorLight | None = None,
    minus: Float[np.ndarray, "y x"] | None = None,
) -> DeflectorLight:
    """Fit the deflector, leaving out what is brighter than it explains: arcs and neighbours.

    Args:
        frame: The image.
        radius: Farthest pixels used [arcsec].
        start: Light whose shape is a good guess.
        minus: Image of arcs to take away first; then nothing is left out [pixel units].

    Returns:
        The light.

    Reference:
        Multi-Gaussian expansion: Emsellem et al. 1994; Cappellari 2002. Widths are held on a
        logarithmic grid and the shape is fitted by variable projection (Golub & Pereyra 1973).
    """
    target = frame.image.flux if minus is None else frame.image.flux - minus
    distance = np.hypot(frame.x, frame.y)
    is_used = frame.image.is_good & (distance < radius)
    weight = np.where(is_used, 1.0 / np.where(is_used, frame.image.sigma, 1.0), 0.0)
    narrowest = 0.4 * frame.image.pixel_scale
    widths = np.geomspace(narrowest, 1.5 * radius, N_GAUSSIANS)
    shape = _core_shape(frame, target) if start is None else start.shape
    fit = _Fit(frame, target, widths)
    used = weight
    for k in range(_ROUNDS if minus is None else 1):
        shape = fit.best_shape(shape, used)
        if minus is None and k < _ROUNDS - 1:
            used = np.where(_is_arc(frame, target - fit.solve(shape, used)[1]), 0.0, weight)
    return fit.light(shape, used)


class _Fit:
    """Least squares over the shape, the amplitudes solved for at every step.

    Args:
        frame: The image.
        target: Flux to explain [pixel units].
        widths: Widths of the Gaussians [arcsec].
    """

    def __init__(self, frame: Frame, target: np.ndarray, widths: np.ndarray) -> None:
        self.frame, self.target, self.widths = frame, target, widths

    def solve(self, shape: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Non-negative amplitudes, the sky in two parts, and the image they make."""
        gaussians = blurred_gaussians(self.frame, shape, self.widths)
        return self._solve(gaussians, weight)

    def light(self, shape: np.ndarray, weight: np.ndarray) -> DeflectorLight:
        """The light of that shape."""
        amplitudes, _ = self.solve(shape, weight)
        sky = float(amplitudes[-2] - amplitudes[-1])
        return DeflectorLight(shape, self.widths, amplitudes[:-2], sky)

    def best_shape(self, shape: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Levenberg-Marquardt on the shape."""
        amplitudes, image = self.solve(shape, weight)
        chi2, damping = self._chi2(image, weight), 1e-3
        for _ in range(_ITERATIONS):
            hessian, slope = self._normal(shape, weight, amplitudes, image)
            before = chi2
            for _ in range(3):
                raised = hessian + np.diag(damping * np.diag(hessian) + 1e-6)
                step = np.clip(np.linalg.solve(raised, slope), -_LARGEST_STEP, _LARGEST_STEP)
                trial, trial_image = self.solve(shape + step, weight)
                if (trial_chi2 := self._chi2(trial_image, weight)) < chi2:
                    shape, amplitudes, image, chi2 = shape + step, trial, trial_image, trial_chi2
                    damping /= 5.0
                    break
                damping *= 10.0
            if before - chi2 < 1.0 + 1e-4 * np.count_nonzero(weight):
                break
        return shape

    def _solve(self, gaussians: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        used = weight > 0
        flat = np.ones((1, int(used.sum())))
        design = np.concatenate([gaussians[:, used], flat, -flat]) * weight[used]
        normal, right = design @ design.T, design @ (self.target[used] * weight[used])
        scale = np.sqrt(np.maximum(np.diag(normal), np.finfo(float).tiny))
        lower = np.linalg.cholesky(normal / np.outer(scale, scale) + 1e-9 * np.eye(len(scale)))
        answer, _ = nnls(lower.T, solve_triangular(lower, right / scale, lower=True), maxiter=2000)
        amplitudes = answer / scale
        sky = amplitudes[-2] - amplitudes[-1]
        return amplitudes, np.tensordot(amplitudes[:-2], gaussians, 1) + sky

    def _normal(
        self, shape: np.ndarray, weight: np.ndarray, amplitudes: np.ndarray, image: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Normal equations of the shape after the amplitudes have answered."""
        used, w = weight > 0, weight[weight > 0]
        light = DeflectorLight(shape, self.widths, amplitudes[:-2], 0.0)
        jacobian = light.shape_derivatives(self.frame)[:, used].T * w[:, None]
        gaussians = blurred_gaussians(self.frame, shape, self.widths)[amplitudes[:-2] > 0][:, used]
        columns = np.concatenate([gaussians, np.ones((1, len(w)))]).T * w[:, None]
        basis, _ = np.linalg.qr(columns)
        jacobian -= basis @ (basis.T @ jacobian)
        return jacobian.T @ jacobian, jacobian.T @ ((self.target - image)[used] * w)

    def _chi2(self, image: np.ndarray, weight: np.ndarray) -> float:
        return float((((self.target - image) * weight) ** 2).sum())


def _core_shape(frame: Frame, target: np.ndarray) -> np.ndarray:
    """Round light centred on the barycentre of the core."""
    radius = max(_CORE, 2.0 * frame.image.pixel_scale)
    is_core = frame.image.is_good & (np.hypot(frame.x, frame.y) < radius)
    light = np.where(is_core, np.clip(target, 0.0, None), 0.0)
    total = float(light.sum())
    if total <= 0:
        return np.zeros(N_SHAPE)
    center = [(light * frame.x).sum() / total, (light * frame.y).sum() / total]
    return np.array([*center, 0.0, 0.0, 0.0, 0.0])


def _is_arc(frame: Frame, residual: np.ndarray) -> Bool[np.ndarray, "y x"]:
    """Pixels near significant light that is left over, the very centre apart."""
    image = frame.image
    light = np.abs(image.flux - residual)
    noise = np.sqrt(image.sigma**2 + (_ARC_SOFTENING * light) ** 2)
    significance = smoothed_snr(np.where(image.is_good, residual / noise, 0.0))
    is_arc = np.asarray(binary_dilation(significance > _ARC_SNR, iterations=2), bool)
    return is_arc & (np.hypot(frame.x, frame.y) > _INNERMOST * image.pixel_scale)


def smoothed_snr(snr: Float[np.ndarray, "y x"]) -> Float[np.ndarray, "y x"]:
    """Significance of light on the scale of a pixel or two: smoothed, in units of its noise."""
    return np.asarray(gaussian_filter(snr, 1.0)) * math.sqrt(4.0 * math.pi)
