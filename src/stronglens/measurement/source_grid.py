"""The source as brightness on a square grid: interpolation from it, and how smooth it should be."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

ENVELOPE_RADIUS = 0.4
"""Radius at which sources are expected to fade, in units of the half width of the grid [-]."""
ENVELOPE_POWER = 1.5
"""Brightness is expected to fall as (1 + r^2)^-power [-]."""


@dataclass(frozen=True)
class Window:
    """Square of the source plane that holds the source."""

    x: float
    """Middle along x [arcsec]."""
    y: float
    """Middle along y [arcsec]."""
    half_width: float
    """Half of its side [arcsec]."""

    def node_positions(
        self, n_side: int
    ) -> tuple[Float[np.ndarray, "node"], Float[np.ndarray, "node"]]:
        """Positions of the nodes [arcsec]."""
        line = np.linspace(-self.half_width, self.half_width, n_side)
        x, y = np.meshgrid(self.x + line, self.y + line)
        return x.ravel(), y.ravel()

    def step(self, n_side: int) -> float:
        """Distance between nodes [arcsec]."""
        return 2.0 * self.half_width / (n_side - 1)


@dataclass(frozen=True, eq=False)
class Places:
    """Where rays fall between the nodes."""

    nearest: Int[np.ndarray, "ray"]
    """Index of the nearest node."""
    u: Float[np.ndarray, "ray"]
    """Distance from it along x, in steps between -1/2 and 1/2 [-]."""
    v: Float[np.ndarray, "ray"]
    """The same along y [-]."""
    is_inside: Bool[np.ndarray, "ray"]
    """Whether the ray meets the grid."""


def places(
    beta_x: Float[np.ndarray, "ray"],
    beta_y: Float[np.ndarray, "ray"],
    window: Window,
    n_side: int,
) -> Places:
    """Find the node nearest to each ray.

    Args:
        beta_x: Positions in the source plane [arcsec].
        beta_y: The same along y [arcsec].
        window: The square.
        n_side: Nodes along its side.
    """
    step = window.step(n_side)
    u = (beta_x - window.x + window.half_width) / step
    v = (beta_y - window.y + window.half_width) / step
    is_inside = (np.abs(u - 0.5 * (n_side - 1)) < 0.5 * n_side - 1.0) & (
        np.abs(v - 0.5 * (n_side - 1)) < 0.5 * n_side - 1.0
    )
    u, v = np.where(is_inside, u, 1.0), np.where(is_inside, v, 1.0)
    i, j = np.rint(u).astype(np.int64), np.rint(v).astype(np.int64)
    return Places(j * n_side + i, u - i, v - j, is_inside)


def interpolation(place: Places, n_side: int, rays_per_pixel: int) -> sparse.csr_array:
    """Brightness of pixels from nodes: quadratic B-splines, the mean over the rays of a pixel.

    Their slope has no jumps, so that the evidence is smooth in the parameters of the mass.

    Args:
        place: Where the rays fall; those of one pixel together.
        n_side: Nodes along the side of the grid.
        rays_per_pixel: Rays in each pixel.
    """
    used = place.is_inside
    across, along = _spline(place.u[used]), _spline(place.v[used]) / rays_per_pixel
    nodes = place.nearest[used][:, None] + _neighbours(n_side)
    weights = (along.T[:, :, None] * across.T[:, None, :]).reshape(len(nodes), 9)
    per_pixel = 9 * used.reshape(-1, rays_per_pixel).sum(axis=1)
    bounds = np.concatenate([[0], np.cumsum(per_pixel)])
    entries = (weights.ravel(), nodes.ravel(), bounds)
    matrix = sparse.csr_array(entries, shape=(len(per_pixel), n_side * n_side))
    # rays of a pixel share nodes: with each named once, products of the matrix are quicker
    matrix.sum_duplicates()
    return matrix


def gradient(
    place: Places, source: Float[np.ndarray, "node"], window: Window
) -> tuple[Float[np.ndarray, "ray"], Float[np.ndarray, "ray"]]:
    """Gradient of the interpolated brightness where each ray falls; zero outside the grid.

    Args:
        place: Where the rays fall.
        source: Amplitudes of the nodes.
        window: The square.
    """
    n_side = round(len(source) ** 0.5)
    around = source[place.nearest[:, None] + _neighbours(n_side)].reshape(-1, 3, 3)
    scale = place.is_inside / window.step(n_side)
    along_x = np.einsum("rjk,jr,kr->r", around, _spline(place.v), _spline_slope(place.u))
    along_y = np.einsum("rjk,jr,kr->r", around, _spline_slope(place.v), _spline(place.u))
    return along_x * scale, along_y * scale


def _neighbours(n_side: int) -> Int[np.ndarray, "nine"]:
    """Offsets of the nine nodes around one, row by row."""
    return (np.arange(-1, 2)[:, None] * n_side + np.arange(-1, 2)).ravel()


def _spline(t: Float[np.ndarray, "ray"]) -> Float[np.ndarray, "three ray"]:
    """Quadratic B-splines of three neighbouring nodes; their sum is one."""
    return np.stack([0.5 * (0.5 - t) ** 2, 0.75 - t * t, 0.5 * (0.5 + t) ** 2])


def _spline_slope(t: Float[np.ndarray, "ray"]) -> Float[np.ndarray, "three ray"]:
    return np.stack([t - 0.5, -2.0 * t, t + 0.5])


@lru_cache(maxsize=16)
def smoothness(
    n_side: int, power: float = ENVELOPE_POWER
) -> tuple[Float[np.ndarray, "node node"], float]:
    """Quadratic form that is large for sources that are not smooth or not compact.

    Squared second differences, zero beyond the edge, of the brightness divided by an envelope that
    falls from the middle: compact sources are preferred to rings and to light at the edge.

    Args:
        n_side: Nodes along the side of the grid.
        power: Steepness of the envelope; 0 for none.

    Returns:
        Matrix, symmetric and positive; logarithm of its determinant.

    Reference:
        Curvature form: Suyu et al. 2006, appendix A; the envelope is our own.
    """
    diagonals = [np.ones(n_side - 1), np.full(n_side, -2.0), np.ones(n_side - 1)]
    second = sparse.diags_array(diagonals, offsets=np.array([-1, 0, 1]))  # type: ignore[arg-type]
    one = sparse.eye_array(n_side)
    differences = sparse.vstack([sparse.kron(one, second), sparse.kron(second, one)])
    line = np.linspace(-1.0, 1.0, n_side) / ENVELOPE_RADIUS
    weight = (1.0 + line[:, None] ** 2 + line[None, :] ** 2).ravel() ** power
    weight /= np.exp(np.log(weight).mean())
    form = (differences.T @ differences).toarray() * weight[:, None] * weight[None, :]
    return form, float(np.linalg.slogdet(form)[1])
