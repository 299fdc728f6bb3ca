"""The information floor: the smallest errors that any unbiased measurement can have (Fisher).

The noise includes the Poisson noise of deflector and arcs; the deflector's light and the source's
profile are free too, and are marginalised.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from stronglens.core.conventions import ellipticity_from_axis_ratio
from stronglens.core.rundir import RunDirectory
from stronglens.light.sersic import Sersics, surface_brightness
from stronglens.measurement.csv_tables import write_csv
from stronglens.measurement.deflector_light import convolved
from stronglens.measurement.mass_model import (
    VECTOR,
    free_parameters,
    source_positions,
    vector_from_values,
)
from stronglens.measurement.task import Floor, FloorResult
from stronglens.simulation.psf import gaussian_kernel

SOURCE = ("beta_x", "beta_y", "log_r_source", "n_source", "e1_source", "e2_source", "log_flux")
"""Free numbers of the source beside the mass: a Sersic profile."""
_N_SUB = 3
_STEP = 1e-4
_DEFLECTOR_RADIUS, _DEFLECTOR_INDEX, _SOURCE_INDEX = 1.5, 4.0, 1.0
_WEAK_PRIOR = 1e-4
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class FisherMatrix:
    """What the pixels of one image know about its parameters."""

    names: tuple[str, ...]
    """Names of the parameters."""
    matrix: Float[np.ndarray, "parameter parameter"]
    """Information, everything else that is free marginalised."""

    def errors(self) -> dict[str, float]:
        """Smallest standard deviations (Cramer-Rao)."""
        covariance = np.linalg.inv(self.matrix)
        return {n: float(e) for n, e in zip(self.names, np.sqrt(np.diag(covariance)), strict=True)}


def fisher_matrix(
    jacobian: Float[np.ndarray, "pixel parameter"],
    nuisance: Float[np.ndarray, "pixel other"],
    sigma: Float[np.ndarray, "pixel"],
    names: tuple[str, ...],
) -> FisherMatrix:
    """Information of an image with independent Gaussian noise.

    Args:
        jacobian: Derivatives of the image with respect to the parameters.
        nuisance: Derivatives with respect to what is free but not of interest.
        sigma: Noise [pixel units].
        names: Names of the parameters.

    Reference:
        Fisher 1935; marginalisation by the Schur complement.
    """
    wanted, other = jacobian / sigma[:, None], nuisance / sigma[:, None]
    matrix = wanted.T @ wanted
    if other.shape[1]:
        inner = other.T @ other
        scale = np.sqrt(np.maximum(np.diag(inner), np.finfo(float).tiny))
        even = inner / np.outer(scale, scale) + _ROUNDING * np.eye(len(scale))
        cross = (other.T @ wanted) / scale[:, None]
        matrix = matrix - cross.T @ np.linalg.solve(even, cross)
    return FisherMatrix(names, 0.5 * (matrix + matrix.T))


def floor_of(task: Floor, run: RunDirectory) -> FloorResult:
    """Fisher limit of a simulated lens, written as table and record.

    Args:
        task: The settings.
        run: The open run directory.
    """
    errors = floor_errors(task)
    errors["theta_e"] = errors.pop("log_theta_e") * task.theta_e
    names = np.array(list(errors), dtype=str)
    write_csv(
        run.path / "floor.csv", {"parameter": names, "error": np.array(list(errors.values()))}
    )
    relative = errors["theta_e"] / task.theta_e
    run.log(f"theta_e cannot be known better than {100 * relative:.2f} %")
    return FloorResult(run.path, task.arc_snr, task.theta_e, errors, relative)


def floor_errors(task: Floor) -> dict[str, float]:
    """Fisher limit of every free parameter of mass and source.

    Args:
        task: Lens, image and noise.
    """
    scene = _Scene(task)
    free = free_parameters(task.lens_model)
    names = tuple(VECTOR[k] for k in free) + SOURCE
    start = scene.start()
    arcs = scene.arcs(start)
    columns = []
    chosen = [*free, *range(len(VECTOR), len(VECTOR) + len(SOURCE))]
    for k in chosen:
        step = _STEP * (np.arange(len(start)) == k)
        columns.append((scene.arcs(start + step) - scene.arcs(start - step)) / (2.0 * _STEP))
    jacobian = np.array([column.ravel() for column in columns]).T
    deflector = scene.deflector(float(arcs.sum()))
    sigma = noise_of(arcs, deflector[0], task)
    fisher = fisher_matrix(jacobian, deflector.reshape(len(deflector), -1).T, sigma.ravel(), names)
    return fisher.errors()


def noise_of(
    arcs: Float[np.ndarray, "y x"], deflector: Float[np.ndarray, "y x"], task: Floor
) -> Float[np.ndarray, "y x"]:
    """Noise with the wanted signal to noise of the arcs and share of Poisson noise under them.

    Args:
        arcs: The arcs.
        deflector: The deflector.
        task: arc_snr and poisson_share.
    """
    light = arcs + deflector
    under = float((light * arcs).sum() / arcs.sum())
    shape = 1.0 - task.poisson_share + task.poisson_share * light / under
    scale = float(np.sqrt((arcs**2 / shape).sum())) / task.arc_snr
    return scale * np.sqrt(shape)


class _Scene:
    """A lens on a grid of pixels, as an image of a vector of parameters.

    Args:
        task: The settings.
    """

    def __init__(self, task: Floor) -> None:
        self.task = task
        n = max(round(task.field / task.pixel_scale), 8)
        fine = task.pixel_scale / _N_SUB
        line = (np.arange(n * _N_SUB) - 0.5 * (n * _N_SUB - 1)) * fine
        self.n, self.grid = n, np.meshgrid(line, line)
        size = 2 * int(np.ceil(2.0 * task.fwhm / task.pixel_scale)) + 3
        fwhm = torch.tensor([task.fwhm], dtype=torch.float64)
        self.psf = gaussian_kernel(fwhm, task.pixel_scale, size)[0].numpy()

    def start(self) -> np.ndarray:
        """Mass, then source."""
        task = self.task
        e1, e2 = ellipticity_from_axis_ratio(task.q, task.phi)
        mass = vector_from_values({
            "theta_e": task.theta_e, "e1": float(e1), "e2": float(e2), "gamma1": task.gamma1,
            "gamma2": task.gamma2, "slope": task.slope,
        })  # fmt: skip
        log_radius = float(np.log(task.r_source))
        source = [task.beta_x, task.beta_y, log_radius, _SOURCE_INDEX, 0.1, 0.05, 0.0]
        return np.concatenate([mass, source])

    def arcs(self, vector: np.ndarray) -> np.ndarray:
        """Blurred arcs."""
        x, y = (axis.ravel() for axis in self.grid)
        name = self.task.lens_model
        beta_x, beta_y = source_positions(vector[None, : len(VECTOR)], x, y, name)
        bx, by, log_radius, index, e1, e2, log_flux = vector[len(VECTOR) :]
        shape = self.grid[0].shape
        light = _sersic(
            (beta_x[0] - bx).reshape(shape), (beta_y[0] - by).reshape(shape),
            (float(np.exp(log_radius)), index, e1, e2),
        )  # fmt: skip
        return self._seen(light * np.exp(log_flux))

    def deflector(self, arc_flux: float) -> np.ndarray:
        """Blurred deflector, and its derivatives: brightness, sky, centre, shape, size, index."""
        e1, e2 = ellipticity_from_axis_ratio(self.task.q, self.task.phi)
        base = np.array([
            0.0, 0.0, np.log(_DEFLECTOR_RADIUS * self.task.theta_e), _DEFLECTOR_INDEX,
            float(e1), float(e2),
        ])  # fmt: skip
        image = self._deflector(base)
        flux = self.task.deflector_ratio * arc_flux / float(image.sum())
        if flux == 0.0:
            return np.stack([np.zeros_like(image), np.ones_like(image)])
        moved = [
            (self._deflector(base + _STEP * (np.arange(6) == k)) - image) / _STEP for k in range(6)
        ]
        return flux * np.stack([image, np.full_like(image, image.mean()), *moved])

    def _deflector(self, shape: np.ndarray) -> np.ndarray:
        x, y, log_radius, index, e1, e2 = shape
        radius = float(np.exp(log_radius))
        return self._seen(_sersic(self.grid[0] - x, self.grid[1] - y, (radius, index, e1, e2)))

    def _seen(self, light: np.ndarray) -> np.ndarray:
        binned = light.reshape(self.n, _N_SUB, self.n, _N_SUB).mean(axis=(1, 3))
        return convolved(binned[None], self.psf)[0]


def _sersic(x: np.ndarray, y: np.ndarray, shape: tuple[float, float, float, float]) -> np.ndarray:
    """Sersic brightness of unit flux."""
    radius, index, e1, e2 = shape
    e = float(np.hypot(e1, e2))
    columns = {
        "flux": 1.0, "r_eff": radius, "n_sersic": index, "q": (1.0 - e) / (1.0 + e),
        "phi": 0.5 * float(np.arctan2(e2, e1)), "x_center": 0.0, "y_center": 0.0,
    }  # fmt: skip
    one = Sersics(**{k: torch.tensor([[v]], dtype=torch.float64) for k, v in columns.items()})
    return surface_brightness(torch.from_numpy(x)[None], torch.from_numpy(y)[None], one)[0].numpy()
