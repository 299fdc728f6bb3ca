"""A stage of a fit: an image at one resolution with its deflector, prior and likelihood."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import linalg
from scipy.ndimage import binary_dilation

from stronglens.core.errors import OutOfRangeError
from stronglens.measurement.deflector_light import DeflectorLight, fit_light
from stronglens.measurement.frames import Frame, binned, fit_region, frame_of
from stronglens.measurement.inversion import Inversion, Solution
from stronglens.measurement.lens_image import LensImage
from stronglens.measurement.mass_model import MassPrior, mass_prior, source_positions
from stronglens.measurement.noise_estimate import correlation_factor
from stronglens.measurement.optimise import Minimum, arc_light, descend
from stronglens.measurement.psf_numbers import psf_width
from stronglens.measurement.source_grid import ENVELOPE_POWER, Window

N_SIDE = 20
"""Nodes along the side of the source grid; how far the answer moves with it is in the errors."""
_FLOOR_RANGE = (0.005, 0.05)
_FLOOR_RADIUS = 0.4
_CORE_RADIUS = 0.2
_REACH = 1.35
_LARGEST, _LARGEST_PER_FIELD, _SMALLEST, _SMALLEST_PER_FWHM = 5.0, 0.38, 0.3, 0.7
_USUAL_LARGEST, _USUAL_PER_FIELD = 2.5, 0.25
_LEAST_BINNED = 6000
_PIXELS_PER_WIDTH = 1.0


@dataclass(frozen=True, eq=False)
class Stage:
    """One resolution of a fit."""

    frame: Frame
    """The image."""
    light: DeflectorLight
    """The deflector."""
    inversion: Inversion
    """The likelihood."""
    prior: MassPrior
    """Priors of the mass."""
    arcs: Float[np.ndarray, "pixel"]
    """Light of the arcs in the fitted pixels [pixel units]."""
    floor: float
    """Error of the deflector's profile as a fraction of its light [-]."""
    temperature: float = 1.0
    """Number that deviances are divided by: misfit, and noise that pixels share [-]."""

    @property
    def arc_snr(self) -> float:
        """Signal to noise of all light the deflector does not explain [-]."""
        return float(np.sqrt(((self.arcs * self.inversion.weight) ** 2).sum()))

    def with_light_without(self, solution: Solution) -> "Stage":
        """The stage with the deflector fitted again after the arcs of a solution are removed."""
        arcs = np.zeros(self.frame.x.shape)
        used = self.inversion.region.is_fitted
        arcs[used] = solution.source_image / self.inversion.weight
        light = fit_light(self.frame, _radius(self.frame), self.light, minus=arcs)
        inversion = self.inversion_with(light=light)
        return replace(self, light=light, inversion=inversion)

    def tempered_by(self, solution: Solution) -> "Stage":
        """The stage with the temperature that the residual of its best solution asks for.

        The prior, which is no part of the misfit, is made as much sharper.
        """
        correlation = correlation_factor(self.residual_snr(solution))
        temperature = max(1.0, self.reduced_chi2(solution), correlation)
        return replace(self, prior=self.prior.sharpened(temperature), temperature=temperature)

    def reduced_chi2(self, solution: Solution) -> float:
        """Sum of squared residuals over degrees of freedom [-]."""
        n_free = self.inversion.n_pixels - self.degrees_of_freedom(solution)
        return solution.chi2 / max(n_free, 1.0)

    def inversion_with(
        self,
        *,
        light: DeflectorLight | None = None,
        frame: Frame | None = None,
        n_side: int | None = None,
        envelope: float = ENVELOPE_POWER,
        core: float = _CORE_RADIUS,
        lens_model: str | None = None,
    ) -> Inversion:
        """The likelihood with some of its choices changed.

        Args:
            light: Another deflector.
            frame: The image with another PSF.
            n_side: Nodes along the side of the source grid.
            envelope: Steepness with which sources are expected to fade; 0 for none.
            core: Radius of the core that is left out [arcsec].
            lens_model: Another mass model.
        """
        light, frame = light or self.light, frame or self.frame
        is_new = core != _CORE_RADIUS or frame is not self.frame
        region = self.inversion.region
        if is_new:
            far = np.hypot(frame.x - light.center[0], frame.y - light.center[1]) > core
            region = fit_region(frame, self.inversion.region.is_fitted & far)
        return Inversion(
            frame, region, light, lens_model=lens_model or self.inversion.lens_model,
            n_side=n_side or self.inversion.n_side, floor=self.floor, envelope=envelope,
        )  # fmt: skip

    def degrees_of_freedom(self, solution: Solution) -> float:
        """Numbers of the source and deflector that the data, not the priors, decide.

        Reference:
            Suyu et al. 2006, eq. 21 (MacKay 1992).
        """
        n_nodes = len(solution.source)
        n_all = n_nodes + len(solution.light)
        inverse = linalg.cho_solve(solution.factor, np.eye(n_all), check_finite=False)
        form = self.inversion.smoothness_form
        held = solution.strength * float((inverse[:n_nodes, :n_nodes] * form).sum())
        held += float((np.diag(inverse)[n_nodes:] * self.inversion.columns.precision).sum())
        return n_all - held

    def residual_snr(self, solution: Solution) -> Float[np.ndarray, "y x"]:
        """What a solution leaves, in units of the noise; NaN where nothing was fitted."""
        residual = np.full(self.frame.x.shape, np.nan)
        residual[self.inversion.region.is_fitted] = solution.residual
        return residual


def theta_e_range(
    image: LensImage, wanted: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Einstein radii that the PSF resolves and the image holds.

    Args:
        image: The image.
        wanted: What the user asked for.

    Returns:
        Smallest and largest [arcsec].

    Raises:
        OutOfRangeError: The image is too small for any.
    """
    if wanted is not None:
        return wanted
    field = min(image.flux.shape) * image.pixel_scale
    width = psf_width(torch.from_numpy(np.ascontiguousarray(image.psf)), image.pixel_scale)
    low = max(_SMALLEST_PER_FWHM * width, _SMALLEST)
    high = min(_LARGEST_PER_FIELD * field, max(_USUAL_LARGEST, _USUAL_PER_FIELD * field), _LARGEST)
    if high < 1.3 * low:
        raise OutOfRangeError(
            f"a field of {field:.2f} arcsec with a PSF of {width:.2f} arcsec leaves theta_e no "
            f"room ({low:.2f} to {high:.2f} arcsec). Pass a larger cutout."
        )
    return low, high


def coarse_stage(image: LensImage, radii: tuple[float, float], lens_model: str) -> Stage:
    """The stage of the search: all of the field where arcs may be, in pixels two by two if many.

    Args:
        image: The image.
        radii: Smallest and largest Einstein radius [arcsec].
        lens_model: Name of the mass model.
    """
    reach = _REACH * radii[1] + 0.5 * max(image.psf.shape) * image.pixel_scale
    frame = frame_of(image, max(reach, 0.7 * radii[1] + 2.0))
    if is_finely_sampled(frame):
        frame = binned(frame)
    light = fit_light(frame, _radius(frame))
    return stage_of(frame, light, radii, lens_model)


def stage_of(
    frame: Frame, light: DeflectorLight, radii: tuple[float, float], lens_model: str
) -> Stage:
    """Stage of a frame whose deflector is known."""
    distance = np.hypot(frame.x - light.center[0], frame.y - light.center[1])
    edge = min(float(np.abs(frame.x).max()), float(np.abs(frame.y).max()))
    area = (distance > _CORE_RADIUS) & (distance < min(_REACH * radii[1], edge))
    floor = profile_error(frame, light)
    region = fit_region(frame, area)
    if not region.is_fitted.any():
        raise OutOfRangeError("no pixel of the field can be used. Check mask and noise map.")
    inversion = Inversion(frame, region, light, lens_model=lens_model, n_side=N_SIDE, floor=floor)
    prior = mass_prior(light.center, light.ellipticity, radii)
    return Stage(frame, light, inversion, prior, arc_light(inversion), floor)


def best_stage(stage: Stage, minima: Sequence[Minimum]) -> tuple[Stage, list[Minimum]]:
    """The stage of the posterior: only pixels that minima light, and one window for all.

    Pixels that were joined for the search stay joined: where they sample the PSF they hold all but
    a few per cent of what can be known (`stronglens floor` with both pixel scales).

    Args:
        stage: The stage of the search.
        minima: What it found.

    Returns:
        The stage, and the minima carried over to it.
    """
    window = _common_window([minimum.solution.window for minimum in minima])
    frame, light = stage.frame, stage.light
    vectors = np.array([minimum.solution.vector for minimum in minima])
    area = _lit_area(frame, vectors, window, stage.inversion.lens_model)
    distance = np.hypot(frame.x - light.center[0], frame.y - light.center[1])
    region = fit_region(frame, area & (distance > _CORE_RADIUS))
    inversion = Inversion(
        frame, region, light, lens_model=stage.inversion.lens_model, n_side=N_SIDE,
        floor=stage.floor,
    )  # fmt: skip
    fine = replace(stage, inversion=inversion, arcs=arc_light(inversion))
    sharp = []
    for minimum in minima:
        start = inversion.solve_best(minimum.solution.vector, window, minimum.solution.strength)
        sharp.append(descend(inversion, start, fine.prior, None))
    sharp.sort(key=lambda minimum: minimum.objective)
    strength = sharp[0].solution.strength
    return fine, [_at_strength(fine, minimum, strength) for minimum in sharp]


def profile_error(frame: Frame, light: DeflectorLight) -> float:
    """Error of the deflector's profile near its centre beyond noise, as a fraction of it."""
    image = light.image(frame)
    distance = np.hypot(frame.x - light.center[0], frame.y - light.center[1])
    used = frame.image.is_good & (distance < max(_FLOOR_RADIUS, 3.0 * frame.image.pixel_scale))
    used &= image > 0
    if not used.any():
        return _FLOOR_RANGE[0]
    ratio = ((frame.image.flux - light.sky - image)[used] / image[used]) ** 2
    noise = (frame.image.sigma[used] / image[used]) ** 2
    excess = 1.4826**2 * float(np.median(ratio)) - float(np.median(noise))
    return float(np.clip(np.sqrt(max(excess, 0.0)), *_FLOOR_RANGE))


def is_finely_sampled(frame: Frame) -> bool:
    """Whether pixels two by two still sample the PSF, and there are many pixels."""
    scale = frame.image.pixel_scale
    width = psf_width(torch.from_numpy(np.ascontiguousarray(frame.image.psf)), scale)
    return frame.image.flux.size > _LEAST_BINNED and 2.0 * scale <= _PIXELS_PER_WIDTH * width


def _at_strength(stage: Stage, minimum: Minimum, strength: float) -> Minimum:
    """A minimum with the common weight of the smoothness."""
    solution = stage.inversion.solve(minimum.solution.vector, minimum.solution.window, strength)
    value = solution.deviance + stage.prior.penalty(solution.vector)
    return replace(minimum, solution=solution, objective=value)


def _common_window(windows: Sequence[Window]) -> Window:
    """Smallest square around several."""
    low_x, high_x = (
        min(w.x - w.half_width for w in windows), max(w.x + w.half_width for w in windows)
    )  # fmt: skip
    low_y, high_y = (
        min(w.y - w.half_width for w in windows), max(w.y + w.half_width for w in windows)
    )  # fmt: skip
    half_width = 0.5 * max(high_x - low_x, high_y - low_y)
    return Window(0.5 * (low_x + high_x), 0.5 * (low_y + high_y), half_width)


def _lit_area(
    frame: Frame, vectors: np.ndarray, window: Window, lens_model: str
) -> Bool[np.ndarray, "y x"]:
    """Pixels that see the window in any of several mass models, and a few around them."""
    beta_x, beta_y = source_positions(vectors, frame.x.ravel(), frame.y.ravel(), lens_model)
    near_x = np.abs(beta_x - window.x) < window.half_width
    near_y = np.abs(beta_y - window.y) < window.half_width
    lit = (near_x & near_y).any(axis=0).reshape(frame.x.shape)
    return binary_dilation(lit, iterations=4)


def _radius(frame: Frame) -> float:
    """Radius out to which the deflector is fitted [arcsec]."""
    return float(max(np.abs(frame.x).max(), np.abs(frame.y).max()))
