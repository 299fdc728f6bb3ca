"""The mass models that are fitted: their parameters as a vector, priors, and the rays they bend."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int

from stronglens.core.errors import unknown_name
from stronglens.lensing.profiles import epl, shear, sie

VECTOR = ("log_theta_e", "e1", "e2", "x_center", "y_center", "gamma1", "gamma2", "slope")
"""Order of the parameters in a vector."""
N_PARAMETERS = len(VECTOR)
LENS_MODELS: dict[str, int] = {"sie": 5, "sie+shear": 7, "epl+shear": 8}
"""Mass models, and how many of the parameters each leaves free; shear else 0, slope else 2."""
MAX_ELLIPTICITY = 0.65
"""Largest (1 - q) / (1 + q): an axis ratio of 0.21 [-]."""
STEPS = np.array([0.15, 0.1, 0.1, 0.05, 0.05, 0.06, 0.06, 0.15])
"""Longest step of an iteration, by parameter."""
_ELLIPTICITY_SD, _CENTER_SD, _SHEAR_SD = 0.15, 0.05, 0.06
SLOPE_SD = 0.2
"""Standard deviation of the prior of the slope, whose mean is 2 [-]."""
_LOG_THETA_E_SD = 0.7
# slopes at which the power law is still one lens
_SLOPE_RANGE = (1.2, 2.8)


@dataclass(frozen=True)
class MassPrior:
    """Normal priors of a mass model's parameters, and the range of the Einstein radius."""

    mean: Float[np.ndarray, "8"]
    """Means."""
    sd: Float[np.ndarray, "8"]
    """Standard deviations."""
    theta_e_range: tuple[float, float]
    """Smallest and largest Einstein radius [arcsec]."""

    def sharpened(self, temperature: float) -> "MassPrior":
        """The prior beside a deviance that will be divided by a temperature, and it with it.

        Args:
            temperature: Number that the sum of deviance and penalty will be divided by [-].
        """
        return replace(self, sd=self.sd / np.sqrt(temperature))

    def penalty(self, vector: Float[np.ndarray, "8"]) -> float:
        """Minus twice the logarithm of the prior, up to a constant; infinite outside its range."""
        low, high = np.log(self.theta_e_range)
        is_inside = (
            low <= vector[0] <= high
            and np.hypot(vector[1], vector[2]) < MAX_ELLIPTICITY
            and np.hypot(vector[5], vector[6]) < 0.4
            and _SLOPE_RANGE[0] < vector[7] < _SLOPE_RANGE[1]
        )
        return float((((vector - self.mean) / self.sd) ** 2).sum()) if is_inside else np.inf


def mass_prior(
    center: tuple[float, float],
    ellipticity: tuple[float, float],
    theta_e_range: tuple[float, float],
) -> MassPrior:
    """Priors about the light of the deflector: mass is centred on it and roughly aligned with it.

    Args:
        center: Centre of the light, x and y [arcsec].
        ellipticity: e1 and e2 of the light [-].
        theta_e_range: Smallest and largest Einstein radius [arcsec].

    Reference:
        Widths cover the spread between light and mass of SLACS lenses (Bolton et al. 2008; Shajib
        et al. 2021) two to three times over.
    """
    middle = 0.5 * float(np.log(theta_e_range).sum())
    mean = [middle, *ellipticity, *center, 0.0, 0.0, 2.0]
    sd = [_LOG_THETA_E_SD, *[_ELLIPTICITY_SD] * 2, *[_CENTER_SD] * 2, *[_SHEAR_SD] * 2, SLOPE_SD]
    return MassPrior(np.array(mean), np.array(sd), theta_e_range)


def free_parameters(lens_model: str) -> Int[np.ndarray, "free"]:
    """Indices of the parameters that a mass model leaves free.

    Raises:
        UnknownNameError: No such model.
    """
    if lens_model not in LENS_MODELS:
        raise unknown_name("lens model", lens_model, LENS_MODELS)
    return np.arange(LENS_MODELS[lens_model])


def source_positions(
    vectors: Float[np.ndarray, "set 8"],
    x: Float[np.ndarray, "ray"],
    y: Float[np.ndarray, "ray"],
    lens_model: str,
) -> tuple[Float[np.ndarray, "set ray"], Float[np.ndarray, "set ray"]]:
    """Where rays meet the source plane, for several sets of parameters at once.

    The shear is taken about the centre of the mass.

    Args:
        vectors: Parameters in the order of `VECTOR`.
        x: Image-plane positions [arcsec].
        y: The same along y [arcsec].
        lens_model: Name of the mass model.

    Returns:
        beta_x, beta_y [arcsec].
    """
    columns = torch.from_numpy(np.ascontiguousarray(vectors.T))
    theta_e, (e1, e2), (x0, y0) = columns[0].exp(), columns[1:3], columns[3:5]
    e = torch.hypot(e1, e2).clamp(1e-9, MAX_ELLIPTICITY)
    q, phi = (1.0 - e) / (1.0 + e), 0.5 * torch.atan2(e2, e1)
    rays_x, rays_y = (torch.from_numpy(rays)[None, None, :] for rays in (x, y))
    if lens_model.startswith("epl"):
        slope = columns[7].clamp(*_SLOPE_RANGE)
        bent = epl.deflection(rays_x, rays_y, theta_e, slope, q, phi, x0, y0)
    else:
        bent = sie.deflection(rays_x, rays_y, theta_e, q, phi, x0, y0)
    sheared = shear.deflection(rays_x, rays_y, columns[5], columns[6], x0, y0)
    beta_x, beta_y = rays_x - bent[0] - sheared[0], rays_y - bent[1] - sheared[1]
    return beta_x[:, 0].numpy(), beta_y[:, 0].numpy()


def vector_from_values(values: dict[str, float]) -> Float[np.ndarray, "8"]:
    """Vector of named parameters; what is missing is at zero, the slope at 2.

    Args:
        values: theta_e [arcsec] and any other of `VECTOR`.
    """
    rest = [values.get(name, 2.0 if name == "slope" else 0.0) for name in VECTOR[1:]]
    return np.array([np.log(values["theta_e"]), *rest], dtype=float)


def effective_radius(vector: Float[np.ndarray, "8"], lens_model: str) -> float:
    """Radius of the circle with the area inside the tangential critical curve, shear off [arcsec].

    Args:
        vector: The mass model.
        lens_model: Its name.

    Reference:
        For an isothermal lens it is theta_e itself; else the outermost sign change of the Jacobian
        determinant is found along rays from the centre.
    """
    theta_e = float(np.exp(vector[0]))
    if not lens_model.startswith("epl"):
        return theta_e
    alone = vector.copy()
    alone[3:7] = 0.0
    radii = np.linspace(0.3, 2.2, 400) * theta_e
    angles = (np.arange(48) + 0.5) / 48 * 2.0 * np.pi
    x, y = np.outer(np.cos(angles), radii).ravel(), np.outer(np.sin(angles), radii).ravel()
    step = 1e-4 * theta_e
    moved = [
        source_positions(alone[None], x + dx, y + dy, lens_model)
        for dx, dy in ((step, 0.0), (-step, 0.0), (0.0, step), (0.0, -step))
    ]
    (xx, yx), (xy, yy) = (
        [(ahead - behind)[0] for ahead, behind in zip(*pair, strict=True)]
        for pair in (moved[:2], moved[2:])
    )
    is_inside = (xx * yy - xy * yx).reshape(len(angles), -1) < 0
    last = len(radii) - 1 - is_inside[:, ::-1].argmax(axis=1)
    return float(np.sqrt((radii[last] ** 2).mean()))
