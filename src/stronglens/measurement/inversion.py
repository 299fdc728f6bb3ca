"""The exact likelihood of a mass model, every flux marginalised: source and deflector are linear.

Given a mass model, the image is a linear function of the source's brightness on a grid and of the
deflector's light. Both are solved for at once, and the evidence of the model follows in closed
form; choosing the mass model is for `optimise` and `sampling`.

Reference: Warren & Dye 2003; Suyu et al. 2006, section 2.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy import linalg, sparse

from stronglens.measurement.deflector_light import DeflectorLight, blurred_gaussians
from stronglens.measurement.frames import FitRegion, Frame
from stronglens.measurement.mass_model import N_PARAMETERS, MassPrior, source_positions
from stronglens.measurement.source_grid import (
    ENVELOPE_POWER,
    Places,
    Window,
    gradient,
    interpolation,
    places,
    smoothness,
)

_AMPLITUDE_SD = 0.3
_SKY_SD = 100.0
_SHAPE_SD = np.array([0.01, 0.01, 0.02, 0.02, 0.02, 0.02])
_RIPPLE_SD = 0.02
_RIPPLE_RADII, _RIPPLE_ORDERS, _RIPPLE_WIDTH = (0.3, 0.8, 1.8), (1, 2, 3, 4), 0.5
_DIFFERENCE = 1e-4


@dataclass(frozen=True, eq=False)
class Solution:
    """The best source and deflector for a mass model, and how well they do."""

    vector: Float[np.ndarray, "8"]
    """Parameters of the mass, in the order of `mass_model.VECTOR`."""
    window: Window
    """Where the source grid is."""
    strength: float
    """Weight of the smoothness of the source."""
    source: Float[np.ndarray, "node"]
    """Brightness of the source [pixel units]."""
    light: Float[np.ndarray, "column"]
    """Amplitudes of the columns of deflector light."""
    residual: Float[np.ndarray, "pixel"]
    """What is left in each fitted pixel [noise standard deviations]."""
    chi2: float
    """Sum of the squared residuals."""
    deviance: float
    """Minus twice the logarithm of the evidence, up to a constant of the pixels."""
    design: sparse.csr_array
    """Image of each node (pixel, node), empty in a `lighter` copy [noise standard deviations per
    pixel unit]."""
    factor: tuple[np.ndarray, bool]
    """Cholesky factor of the normal equations."""
    place: Places
    """Where the rays fall on the source grid."""
    interpolation: sparse.csr_array
    """Unblurred image of each node, in lit pixels."""

    @property
    def source_image(self) -> Float[np.ndarray, "pixel"]:
        """Image of the source in the fitted pixels [noise standard deviations]."""
        return self.design @ self.source


@dataclass(frozen=True, eq=False)
class LightColumns:
    """Images that the deflector's light may be mixed from, with normal priors."""

    images: Float[np.ndarray, "column pixel"]
    """Blurred images in the fitted pixels [pixel units]."""
    mean: Float[np.ndarray, "column"]
    """Prior means of their amplitudes."""
    precision: Float[np.ndarray, "column"]
    """Inverse prior variances of their amplitudes."""


@dataclass(frozen=True, eq=False)
class _Normal:
    """Normal equations of one mass model, before the weight of the smoothness is chosen."""

    vector: np.ndarray
    window: Window
    design: sparse.csr_array
    matrix: np.ndarray
    right: np.ndarray
    place: Places
    interpolation: sparse.csr_array


class Inversion:
    """Solves for source and deflector light, for any mass model, in one region of an image.

    Args:
        frame: The image.
        region: Pixels that are fitted.
        light: Deflector that was fitted before; it may change a little.
        lens_model: Name of the mass model.
        n_side: Nodes along the side of the source grid.
        floor: Error of the deflector's profile, as a fraction of its light.
        envelope: Steepness with which sources are expected to fade; 0 for none.
    """

    def __init__(
        self, frame: Frame, region: FitRegion, light: DeflectorLight, *,
        lens_model: str, n_side: int, floor: float = 0.01, envelope: float = ENVELOPE_POWER,
    ) -> None:  # fmt: skip
        self.frame, self.region, self.lens_model = frame, region, lens_model
        self.n_side, self.light = n_side, light
        used = region.is_fitted
        self.light_image = light.image(frame)
        sigma = np.sqrt(frame.image.sigma**2 + (floor * self.light_image) ** 2)[used]
        self.weight = 1.0 / sigma
        self.data = frame.image.flux[used] * self.weight
        self.columns = light_columns(frame, region, light, self.light_image)
        self._light_design = np.ascontiguousarray((self.columns.images * self.weight).T)
        self._light_normal = self._light_design.T @ self._light_design
        prior = self.columns.precision
        self._light_right = self._light_design.T @ self.data + prior * self.columns.mean
        self._blur = sparse.csr_array(sparse.diags_array(self.weight) @ region.blur)
        self._form, self._log_form = smoothness(n_side, envelope)

    @property
    def n_pixels(self) -> int:
        """Pixels that are fitted."""
        return len(self.data)

    @property
    def smoothness_form(self) -> Float[np.ndarray, "node node"]:
        """Quadratic form of the source that the weight of the smoothness multiplies."""
        return self._form

    def without_light(self, solution: Solution) -> Float[np.ndarray, "pixel"]:
        """Data less the deflector [noise standard deviations]."""
        return self.data - self._light_design @ solution.light

    def solve(self, vector: Float[np.ndarray, "8"], window: Window, strength: float) -> Solution:
        """Source and deflector light of a mass model at a given weight of the smoothness."""
        return self._finished(self._normal(vector, window), strength)

    def solve_best(
        self, vector: Float[np.ndarray, "8"], window: Window, strength: float, n_moves: int = 4
    ) -> Solution:
        """The same with the weight of the smoothness that maximises the evidence.

        Args:
            vector: Parameters of the mass.
            window: Where the source grid is.
            strength: Weight to start from.
            n_moves: Most steps of a factor e^2 away from it.
        """
        normal = self._normal(vector, window)
        logs = [float(np.log(strength)) + d for d in (-1.0, 0.0, 1.0)]
        values = [self._finished(normal, float(np.exp(v))).deviance for v in logs]
        for _ in range(n_moves):
            k = int(np.argmin(values))
            if k == 1:
                break
            new = logs[k] + (2.0 if k == 2 else -2.0)
            value = self._finished(normal, float(np.exp(new))).deviance
            logs = [*logs[1:], new] if k == 2 else [new, *logs[:2]]
            values = [*values[1:], value] if k == 2 else [value, *values[:2]]
        curve = np.polyfit(logs, values, 2)
        best = -0.5 * curve[1] / curve[0] if curve[0] > 0 else logs[int(np.argmin(values))]
        best = float(np.clip(best, min(logs), max(logs)))
        return self._finished(normal, float(np.exp(np.clip(best, -25.0, 25.0))))

    def step_equations(
        self, solution: Solution, free: Int[np.ndarray, "free"], prior: MassPrior
    ) -> tuple[Float[np.ndarray, "free free"], Float[np.ndarray, "free"]]:
        """Gauss-Newton equations of the free parameters, all fluxes answering to each step.

        Args:
            solution: Where to step from.
            free: Indices of the parameters that may change.
            prior: Their priors.

        Reference:
            Kaufman 1975: the projected Jacobian of variable projection.
        """
        jacobian = self._jacobian(solution, free)
        columns = np.concatenate([solution.design.T @ jacobian, self._light_design.T @ jacobian])
        answered = columns.T @ linalg.cho_solve(solution.factor, columns, check_finite=False)
        precision = prior.sd[free] ** -2
        pull = precision * (solution.vector[free] - prior.mean[free])
        hessian = jacobian.T @ jacobian - answered + np.diag(precision)
        return hessian, jacobian.T @ solution.residual - pull

    def _jacobian(
        self, solution: Solution, free: Int[np.ndarray, "free"]
    ) -> Float[np.ndarray, "pixel free"]:
        """Change of the model image with each parameter, source and light held."""
        moves = _DIFFERENCE * np.eye(N_PARAMETERS)[free]
        vectors = np.concatenate([solution.vector[None], solution.vector + moves])
        beta_x, beta_y = self._traced(vectors)
        along_x, along_y = gradient(solution.place, solution.source, solution.window)
        change = along_x * (beta_x[1:] - beta_x[0]) + along_y * (beta_y[1:] - beta_y[0])
        n_rays = self.region.rays_per_pixel
        pixels = change.reshape(len(free), -1, n_rays).mean(axis=2) / _DIFFERENCE
        return self._blur @ pixels.T

    def _traced(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rays = self.region.rays_x, self.region.rays_y
        return source_positions(vectors, *rays, self.lens_model)

    def _normal(self, vector: np.ndarray, window: Window) -> _Normal:
        beta_x, beta_y = self._traced(vector[None])
        place = places(beta_x[0], beta_y[0], window, self.n_side)
        unblurred = interpolation(place, self.n_side, self.region.rays_per_pixel)
        design = sparse.csr_array(self._blur @ unblurred)
        n_nodes, n_light = len(self._form), len(self._light_right)
        # pixels that see none of the source are left out of the dense products
        seen = np.flatnonzero(np.diff(design.indptr))
        dense = design[seen].toarray()
        matrix = np.empty((n_nodes + n_light, n_nodes + n_light))
        matrix[:n_nodes, :n_nodes] = dense.T @ dense
        matrix[n_nodes:, :n_nodes] = self._light_design[seen].T @ dense
        matrix[:n_nodes, n_nodes:] = matrix[n_nodes:, :n_nodes].T
        matrix[n_nodes:, n_nodes:] = self._light_normal
        right = np.concatenate([design.T @ self.data, self._light_right])
        return _Normal(vector, window, design, matrix, right, place, unblurred)

    def _finished(self, normal: _Normal, strength: float) -> Solution:
        n_nodes = len(self._form)
        matrix = normal.matrix.copy()
        matrix[:n_nodes, :n_nodes] += strength * self._form
        diagonal = np.arange(n_nodes, len(matrix))
        matrix[diagonal, diagonal] += self.columns.precision
        factor = linalg.cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
        answer = linalg.cho_solve(factor, normal.right, check_finite=False)
        source, light = answer[:n_nodes], answer[n_nodes:]
        residual = self.data - normal.design @ source - self._light_design @ light
        chi2 = float(residual @ residual)
        pull = (light - self.columns.mean) ** 2 @ self.columns.precision
        log_prior = n_nodes * np.log(strength) + self._log_form
        log_prior += np.log(self.columns.precision).sum()
        log_det = 2.0 * np.log(np.diag(factor[0])).sum()
        roughness = strength * (source @ (self._form @ source))
        return Solution(
            vector=normal.vector, window=normal.window, strength=strength, source=source,
            light=light, residual=residual, chi2=chi2,
            deviance=float(chi2 + roughness + pull + log_det - log_prior),
            design=normal.design, factor=factor, place=normal.place,
            interpolation=normal.interpolation,
        )  # fmt: skip


def light_columns(
    frame: Frame, region: FitRegion, light: DeflectorLight, image: Float[np.ndarray, "y x"]
) -> LightColumns:
    """Images the deflector may be mixed from: its Gaussians, moves and turns, ripples, and the sky.

    Args:
        frame: The image.
        region: Pixels that are fitted.
        light: The deflector.
        image: Its blurred image, without the sky.
    """
    used = region.is_fitted
    is_active = light.amplitudes > 0
    gaussians = blurred_gaussians(frame, light.shape, light.widths)[is_active][:, used]
    gaussians = gaussians * light.amplitudes[is_active][:, None]
    noise = float(np.median(frame.image.sigma[used]))
    flat = np.full((1, int(used.sum())), noise)
    moves = light.shape_derivatives(frame)[:, used] * _SHAPE_SD[:, None]
    ripples = _ripples(frame.x[used] - light.shape[0], frame.y[used] - light.shape[1], image[used])
    n_active, n_rest = len(gaussians), len(moves) + len(ripples)
    mean = np.concatenate([np.ones(n_active), [light.sky / noise], np.zeros(n_rest)])
    sd = np.concatenate([np.full(n_active, _AMPLITUDE_SD), [_SKY_SD], np.ones(n_rest)])
    return LightColumns(np.concatenate([gaussians, flat, moves, ripples]), mean, sd**-2.0)


def _ripples(dx: np.ndarray, dy: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Changes of the light by some per cent that are waves in angle, at several radii."""
    radius, angle = np.hypot(dx, dy) + 1e-9, np.arctan2(dy, dx)
    return np.array([
        _RIPPLE_SD * image * np.exp(-0.5 * (np.log(radius / middle) / _RIPPLE_WIDTH) ** 2)
        * wave(order * angle)
        for middle in _RIPPLE_RADII for order in _RIPPLE_ORDERS for wave in (np.cos, np.sin)
    ])  # fmt: skip


def lighter(solution: Solution) -> Solution:
    """The same solution without its large matrices, for keeping many."""
    return replace(solution, design=sparse.csr_array((0, 0)), factor=(np.zeros((0, 0)), True))
