"""Multipoles of order 3 and 4: lopsided, boxy and disky additions to an ellipsoid."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.lensing.profiles.mass_profile import Profile, profiles

# A ray is never closer to the singular centre than 1e-7 arcsec: keeps values and gradients finite.
_RADIUS2_FLOOR = 1e-14


def _directions(
    x: Tensor, y: Tensor, x_center: Tensor, y_center: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Cosine and sine of the position angle, both zero at the centre, and the inverse radius."""
    dx, dy = x - x_center[:, None, None], y - y_center[:, None, None]
    inverse = (dx * dx + dy * dy).clamp_min(_RADIUS2_FLOOR).rsqrt()
    return dx * inverse, dy * inverse, inverse


def _harmonics(order: int, cos: Tensor, sin: Tensor, phi_m: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of `order` times the angle from phi_m, by the addition theorem."""
    angle = phi_m[:, None, None]
    from_phi_m = torch.addcmul(cos * torch.cos(angle), sin, torch.sin(angle))
    across = torch.addcmul(sin * torch.cos(angle), cos, torch.sin(angle), value=-1.0)
    even, odd = from_phi_m, across
    for _ in range(order - 1):
        even, odd = even * from_phi_m - odd * across, odd * from_phi_m + even * across
    return even, odd


def deflection(
    order: int,
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    a_m: Float[Tensor, "batch"],
    phi_m: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> tuple[Float[Tensor, "batch y x"], Float[Tensor, "batch y x"]]:
    """Reduced deflection angle of a multipole.

    It depends on the direction alone; at the centre, where that is undefined, it is zero.

    Args:
        order: Number of periods around the centre, at least 2 [-].
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        a_m: Strength; divided by theta_e it is the relative depth of the ripple of the critical
            curve of an isothermal lens [arcsec].
        phi_m: Direction in which mass is added [rad].
        x_center: Centre along x [arcsec].
        y_center: Centre along y [arcsec].

    Returns:
        alpha_x, alpha_y [arcsec].

    Reference:
        Gradient of the potential below; checked against lenstronomy `MULTIPOLE` in
        tests/reference.
    """
    cos, sin, _ = _directions(x, y, x_center, y_center)
    even, odd = _harmonics(order, cos, sin, phi_m)
    strength = (a_m / (1.0 - order**2))[:, None, None]
    outward, around = even * strength, odd * (-order * strength)
    return cos * outward - sin * around, sin * outward + cos * around


def potential(
    order: int,
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    a_m: Float[Tensor, "batch"],
    phi_m: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Lensing potential of a multipole, zero at its centre.

    Args:
        order: Number of periods around the centre, at least 2 [-].
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        a_m: Strength [arcsec].
        phi_m: Direction in which mass is added [rad].
        x_center: Centre along x [arcsec].
        y_center: Centre along y [arcsec].

    Returns:
        psi [arcsec^2].

    Reference:
        Xu et al. 2015 (arXiv:1307.4220), eq. B12:
        psi = r a_m / (1 - m^2) cos(m (angle - phi_m)) with m the order.
    """
    cos, sin, inverse = _directions(x, y, x_center, y_center)
    even, _ = _harmonics(order, cos, sin, phi_m)
    return even * (a_m / (1.0 - order**2))[:, None, None] / inverse


def convergence(
    order: int,
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    a_m: Float[Tensor, "batch"],
    phi_m: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> Float[Tensor, "batch y x"]:
    """Convergence of a multipole; its mean over every circle is zero, so it is half negative.

    Args:
        order: Number of periods around the centre, at least 2 [-].
        x: Image-plane position along x [arcsec].
        y: Image-plane position along y [arcsec].
        a_m: Strength [arcsec].
        phi_m: Direction in which mass is added [rad].
        x_center: Centre along x [arcsec].
        y_center: Centre along y [arcsec].

    Returns:
        kappa [-].

    Reference:
        Half the Laplacian of the potential: kappa = a_m / (2 r) cos(m (angle - phi_m)).
    """
    cos, sin, inverse = _directions(x, y, x_center, y_center)
    even, _ = _harmonics(order, cos, sin, phi_m)
    return even * (0.5 * a_m)[:, None, None] * inverse


def _profile(order: int) -> Profile:
    return Profile(
        partial(deflection, order),
        partial(potential, order),
        partial(convergence, order),
        ("a_m", "phi_m", "x_center", "y_center"),
    )


profiles.register("multipole-3")(_profile(3))
profiles.register("multipole-4")(_profile(4))
