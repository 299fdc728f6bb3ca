"""Critical curves and caustics of the SIE in an external shear, and what lies inside them.

Both follow in closed form from the potential's homogeneity; nothing is searched on a grid.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stronglens.lensing.profiles import sie
from stronglens.lensing.records import SieShear

_N_VERTICES = 720
_BLOCK = 4096


def tangential_critical_curve(
    lens: SieShear, n_vertices: int = _N_VERTICES
) -> tuple[Float[Tensor, "batch vertex"], Float[Tensor, "batch vertex"]]:
    """Closed curve in the image plane on which the magnification diverges.

    With A = M - 2 kappa t t^T (M the shear matrix, t the unit vector across the radius) the
    determinant vanishes at one radius in each direction.

    Args:
        lens: Lenses; their shear must stay below 1.
        n_vertices: Number of points, evenly spread over the position angle.

    Returns:
        x, y [arcsec].

    Reference:
        Kormann, Schneider & Bartelmann 1994, section 4, without shear; with it, the matrix
        determinant lemma: det A = det M - 2 kappa t^T adj(M) t. Keeton, Mao & Witt 2000 discuss
        the curves.
    """
    cos, sin = _directions(lens, n_vertices)
    u = cos * torch.cos(lens.phi)[:, None] + sin * torch.sin(lens.phi)[:, None]
    v = sin * torch.cos(lens.phi)[:, None] - cos * torch.sin(lens.phi)[:, None]
    q, gamma1, gamma2 = lens.q[:, None], lens.gamma1[:, None], lens.gamma2[:, None]
    two_kappa_radius = lens.theta_e[:, None] / torch.sqrt(q * u * u + v * v / q)
    # t^T adj(M) t and det M, with t = (-sin, cos)
    across = 1.0 - gamma1 * (cos * cos - sin * sin) - 2.0 * gamma2 * sin * cos
    radius = two_kappa_radius * across / (1.0 - gamma1**2 - gamma2**2)
    return lens.x_center[:, None] + radius * cos, lens.y_center[:, None] + radius * sin


def tangential_caustic(
    lens: SieShear, n_vertices: int = _N_VERTICES
) -> tuple[Float[Tensor, "batch vertex"], Float[Tensor, "batch vertex"]]:
    """Closed curve in the source plane, with cusps, inside which two more images appear.

    Args:
        lens: Lenses; their shear must stay below 1.
        n_vertices: Number of points.

    Returns:
        beta_x, beta_y [arcsec].

    Reference:
        Keeton, Mao & Witt 2000, section 2: the critical curve seen through the lens equation.
    """
    x, y = tangential_critical_curve(lens, n_vertices)
    dx, dy = x - lens.x_center[:, None], y - lens.y_center[:, None]
    cut_x, cut_y = cut(lens, n_vertices)
    gamma1, gamma2 = lens.gamma1[:, None], lens.gamma2[:, None]
    sheared_x = dx - gamma1 * dx - gamma2 * dy
    sheared_y = dy - gamma2 * dx + gamma1 * dy
    return sheared_x + cut_x, sheared_y + cut_y


def cut(
    lens: SieShear, n_vertices: int = _N_VERTICES
) -> tuple[Float[Tensor, "batch vertex"], Float[Tensor, "batch vertex"]]:
    """Closed curve in the source plane inside which a second image appears at the centre.

    It takes the place of the radial caustic, since a singular isothermal core has none.

    Args:
        lens: Lenses; the shear, which vanishes at the centre, plays no part.
        n_vertices: Number of points.

    Returns:
        beta_x, beta_y [arcsec].

    Reference:
        Kormann, Schneider & Bartelmann 1994, section 4: minus the deflection at the centre, which
        depends on the direction of approach alone.
    """
    cos, sin = _directions(lens, n_vertices)
    x = (lens.x_center[:, None] + cos)[:, None]
    y = (lens.y_center[:, None] + sin)[:, None]
    shape = (lens.theta_e, lens.q, lens.phi, lens.x_center, lens.y_center)
    alpha_x, alpha_y = sie.deflection(x, y, *shape)
    return lens.x_center[:, None] - alpha_x[:, 0], lens.y_center[:, None] - alpha_y[:, 0]


def is_multiply_imaged(
    lens: SieShear, beta_x: Float[Tensor, "batch"], beta_y: Float[Tensor, "batch"]
) -> Bool[Tensor, "batch"]:
    """Whether a point source has more than one image: inside the cut or the tangential caustic.

    The cut is tested in closed form. The caustic is a polygon of 720 points: a source nearer to it
    than 2e-5 theta_e may be put on its wrong side, which matters outside the cut alone.

    Args:
        lens: One lens per source.
        beta_x: Source position along x [arcsec].
        beta_y: Source position along y [arcsec].

    Returns:
        True where two or more images exist (two, three at a naked cusp, or four).

    Reference:
        Kormann, Schneider & Bartelmann 1994, section 4; checked against images counted by brute
        force in tests/properties.
    """
    found = _is_inside_cut(lens, beta_x, beta_y)
    for rows in (~found).nonzero()[:, 0].split(_BLOCK):
        near = rows[_is_near_caustic(lens[rows], beta_x[rows], beta_y[rows])]
        curve = tangential_caustic(lens[near])
        found[near] = _is_inside(*curve, beta_x[near], beta_y[near])
    return found


def _is_near_caustic(lens: SieShear, beta_x: Tensor, beta_y: Tensor) -> Tensor:
    """Whether sources lie within the caustic's reach, known to 1 % from a coarse polygon."""
    x, y = tangential_caustic(lens, 64)
    reach = torch.hypot(x - lens.x_center[:, None], y - lens.y_center[:, None]).amax(dim=1)
    return torch.hypot(beta_x - lens.x_center, beta_y - lens.y_center) < 1.05 * reach


def _is_inside_cut(lens: SieShear, beta_x: Tensor, beta_y: Tensor) -> Tensor:
    """Whether sources lie inside the cut q^2 tan^2 + tanh^2 = f^2, the direction eliminated."""
    dx, dy = beta_x - lens.x_center, beta_y - lens.y_center
    cos, sin = torch.cos(lens.phi), torch.sin(lens.phi)
    f2 = ((1.0 - lens.q) * (1.0 + lens.q)).clamp_min(1e-10)
    scale = f2.sqrt() / (lens.theta_e * lens.q.sqrt())
    u, v = (dx * cos + dy * sin) * scale, (dy * cos - dx * sin) * scale
    inside = (lens.q * torch.tan(u)) ** 2 + torch.tanh(v) ** 2 < f2
    return inside & (u.abs() < 0.5 * math.pi)


def _directions(lens: SieShear, n_vertices: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine of evenly spread position angles, starting on each lens's major axis."""
    step = 2.0 * math.pi / n_vertices
    angle = torch.arange(n_vertices, dtype=lens.q.dtype, device=lens.q.device) * step
    angle = angle + lens.phi[:, None]
    return torch.cos(angle), torch.sin(angle)


def _is_inside(curve_x: Tensor, curve_y: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Whether points lie inside closed polygons: an odd number of crossings to their right."""
    dx, dy = curve_x - x[:, None], curve_y - y[:, None]
    next_dx, next_dy = dx.roll(-1, dims=1), dy.roll(-1, dims=1)
    crosses = (dy > 0.0) != (next_dy > 0.0)
    is_right = (dx * next_dy - next_dx * dy > 0.0) == (next_dy > dy)
    return (crosses & is_right).sum(dim=1) % 2 == 1
