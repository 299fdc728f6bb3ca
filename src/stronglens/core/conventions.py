"""The only place that turns one convention into another: angles, ellipticities, fluxes, labels.

Physics (deflections, light profiles, distances) lives in `lensing` and `light`.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.errors import UnknownNameError

Number = TypeVar("Number", float, np.float32, np.ndarray, Tensor)
Mask = TypeVar("Mask", np.ndarray, Tensor)

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
"""Full width at half maximum of a Gaussian of unit standard deviation [-]."""


def _cos(angle: Number) -> Number:
    return torch.cos(angle) if isinstance(angle, Tensor) else np.cos(angle)  # pyright: ignore[reportReturnType]


def _sin(angle: Number) -> Number:
    return torch.sin(angle) if isinstance(angle, Tensor) else np.sin(angle)  # pyright: ignore[reportReturnType]


def _arctan2(y: Number, x: Number) -> Number:
    if isinstance(x, Tensor):
        return torch.atan2(torch.as_tensor(y), x)
    return np.arctan2(y, x)  # pyright: ignore[reportReturnType]


def ellipticity_from_axis_ratio(q: Number, phi: Number) -> tuple[Number, Number]:
    """Ellipticity components e cos 2phi, e sin 2phi with e = (1 - q) / (1 + q).

    The same pair is called `e1, e2` in lenstronomy and caustics and `g1, g2` in GalSim.

    Args:
        q: Minor-to-major axis ratio in (0, 1] [-].
        phi: Angle of the major axis, counter-clockwise from +x [rad].

    Returns:
        e1, e2 [-].

    Reference:
        Bartelmann & Schneider 2001, eq. 4.10 (third flattening); checked against lenstronomy and
        GalSim in tests/unit/test_conventions.py.
    """
    e = (1.0 - q) / (1.0 + q)
    return e * _cos(2.0 * phi), e * _sin(2.0 * phi)


def axis_ratio_from_ellipticity(e1: Number, e2: Number) -> tuple[Number, Number]:
    """Axis ratio and angle of the major axis; the inverse of `ellipticity_from_axis_ratio`.

    Args:
        e1: Ellipticity e cos 2phi [-].
        e2: Ellipticity e sin 2phi [-]; e1 and e2 together must stay below 1.

    Returns:
        q in (0, 1] [-] and phi in (-pi/2, pi/2] [rad].

    Reference:
        Bartelmann & Schneider 2001, eq. 4.10; checked against lenstronomy.
    """
    e = (e1**2 + e2**2) ** 0.5
    return (1.0 - e) / (1.0 + e), 0.5 * _arctan2(e2, e1)  # pyright: ignore[reportReturnType]


def distortion_from_ellipticity(e1: Number, e2: Number) -> tuple[Number, Number]:
    """GalSim's `e1, e2`, which use (1 - q^2) / (1 + q^2) in place of (1 - q) / (1 + q).

    Args:
        e1: Our ellipticity e cos 2phi [-].
        e2: Our ellipticity e sin 2phi [-].

    Returns:
        Both components of the distortion [-].

    Reference:
        Bernstein & Jarvis 2002, section 2.2: delta = tanh(2 artanh e) = 2 e / (1 + e^2).
    """
    scale = 2.0 / (1.0 + e1**2 + e2**2)
    return e1 * scale, e2 * scale


def shear_to_polar(gamma1: Number, gamma2: Number) -> tuple[Number, Number]:
    """Magnitude and angle of a shear.

    Args:
        gamma1: Shear gamma_ext cos 2 phi_ext [-].
        gamma2: Shear gamma_ext sin 2 phi_ext [-].

    Returns:
        gamma_ext [-] and phi_ext in (-pi/2, pi/2] [rad]; lenstronomy calls the second `psi_ext`.

    Reference:
        Keeton 2001 (astro-ph/0102341), external shear; checked against lenstronomy.
    """
    return (gamma1**2 + gamma2**2) ** 0.5, 0.5 * _arctan2(gamma2, gamma1)  # pyright: ignore[reportReturnType]


def shear_from_polar(gamma_ext: Number, phi_ext: Number) -> tuple[Number, Number]:
    """Components of a shear; the inverse of `shear_to_polar`.

    Args:
        gamma_ext: Magnitude [-].
        phi_ext: Angle of the direction in which images are stretched [rad].

    Returns:
        gamma1, gamma2 [-].

    Reference:
        Keeton 2001 (astro-ph/0102341), external shear; checked against lenstronomy.
    """
    return gamma_ext * _cos(2.0 * phi_ext), gamma_ext * _sin(2.0 * phi_ext)


def position_angle_from_phi(phi: Number) -> Number:
    """Position angle on a picture with north up (+y) and east left (-x).

    Args:
        phi: Angle of the major axis, counter-clockwise from +x [rad].

    Returns:
        Position angle [deg east of north], in [-90, 90).
    """
    return phi * (180.0 / math.pi) % 180.0 - 90.0


def phi_from_position_angle(position_angle: Number) -> Number:
    """Angle from +x of a position angle; the inverse of `position_angle_from_phi`.

    Args:
        position_angle: Angle of the major axis, counter-clockwise from +y [deg].

    Returns:
        Angle of the major axis, counter-clockwise from +x [rad], in (-pi/2, pi/2].
    """
    return (90.0 - (90.0 - (position_angle + 90.0)) % 180.0) * (math.pi / 180.0)


def circularised_radius(r_eff: Number, q: Number) -> Number:
    """Half-light radius of the circle with the area of the half-light ellipse.

    lenstronomy calls it `R_sersic`.

    Args:
        r_eff: Half-light radius along the major axis [arcsec].
        q: Minor-to-major axis ratio [-].

    Returns:
        r_eff_circ [arcsec].
    """
    return r_eff * q**0.5  # pyright: ignore[reportReturnType]


def fwhm_to_sigma(fwhm: Number) -> Number:
    """Standard deviation of the Gaussian with this full width at half maximum.

    Args:
        fwhm: Full width at half maximum [arcsec, or any length].

    Returns:
        Standard deviation [the same length].
    """
    return fwhm * (1.0 / FWHM_PER_SIGMA)


def flux_from_magnitude(mag: Number, zero_point: float) -> Number:
    """Linear flux of an AB magnitude.

    Args:
        mag: Apparent magnitude [mag AB].
        zero_point: Magnitude of one pixel unit [mag AB].

    Returns:
        Flux [pixel units].
    """
    return 10.0 ** (-0.4 * (mag - zero_point))  # pyright: ignore[reportReturnType]


def magnitude_from_flux(flux: Number, zero_point: float) -> Number:
    """AB magnitude of a linear flux; the inverse of `flux_from_magnitude`.

    Args:
        flux: Flux above zero [pixel units].
        zero_point: Magnitude of one pixel unit [mag AB].

    Returns:
        Apparent magnitude [mag AB].
    """
    log10_flux = torch.log10(flux) if isinstance(flux, Tensor) else np.log10(flux)
    return zero_point - 2.5 * log10_flux  # pyright: ignore[reportReturnType]


def bad_mask_from_good_mask(mask: Mask) -> Mask:
    """Our mask (True where bad) of one that is True where good, and back.

    The HSC, Legacy Survey and JWST images of the Multimodal Universe are True where good.

    Args:
        mask: Boolean array or tensor.

    Returns:
        Its negation, of the same type.
    """
    return ~mask


def major_axis_frame(
    x: Float[Tensor, "#batch #y #x"],
    y: Float[Tensor, "#batch #y #x"],
    phi: Float[Tensor, "batch"],
    x_center: Float[Tensor, "batch"],
    y_center: Float[Tensor, "batch"],
) -> tuple[Float[Tensor, "batch y x"], Float[Tensor, "batch y x"]]:
    """Coordinates along the major and the minor axis of an ellipse.

    Args:
        x: Position along x [arcsec]; axes of length one broadcast.
        y: Position along y [arcsec].
        phi: Angle of the major axis [rad].
        x_center: Centre of the ellipse along x [arcsec].
        y_center: Centre of the ellipse along y [arcsec].

    Returns:
        Positions along the major and along the minor axis [arcsec].
    """
    cos, sin = torch.cos(phi)[:, None, None], torch.sin(phi)[:, None, None]
    dx, dy = x - x_center[:, None, None], y - y_center[:, None, None]
    return dx * cos + dy * sin, dy * cos - dx * sin


def _is_spin2(name: str) -> bool:
    return any(part in {"e1", "e2", "gamma1", "gamma2"} for part in name.split("_"))


def _changes_sign(name: str, axis: str) -> bool:
    parts = name.split("_")
    return axis in parts or "e2" in parts or "gamma2" in parts


def _partner(name: str) -> str | None:
    """`y_center` for `x_center` and the reverse; None for a label that is no position."""
    swapped = {"x": "y", "y": "x"}
    parts = [swapped.get(part, part) for part in name.split("_")]
    partner = "_".join(parts)
    return None if partner == name else partner


def flip_labels(labels: Mapping[str, Any], axis: Literal["x", "y"] = "x") -> dict[str, Any]:
    """Labels of an image whose x (or y) axis has been reversed.

    A flip changes the sign of every e2 and gamma2 and of the positions along its axis; angles are
    mirrored, everything else stays.

    Args:
        labels: Names to numbers, arrays or tensors. Parts of a name between underscores decide
            what it is: e1, e2, gamma1, gamma2 are components, x and y positions, phi an angle
            [rad], position_angle an angle [deg].
        axis: The axis that was reversed: "x" for `torch.flip(image, dims=(-1,))`, "y" for
            `torch.flip(image, dims=(-2,))`.

    Returns:
        The labels of the flipped image.
    """
    flipped = {}
    for name, value in labels.items():
        if name.endswith("position_angle"):
            flipped[name] = -value if axis == "x" else 180.0 - value
        elif "phi" in name.split("_"):
            flipped[name] = math.pi - value if axis == "x" else -value
        else:
            flipped[name] = -value if _changes_sign(name, axis) else value
    return flipped


def turn_labels(labels: Mapping[str, Any], n_quarter_turns: int) -> dict[str, Any]:
    """Labels of an image turned by quarter turns as `torch.rot90(image, n, dims=(-2, -1))` does.

    With y growing with the row, that is clockwise: (x, y) goes to (y, -x), and components e1, e2,
    gamma1, gamma2 change sign at every odd number of turns.

    Args:
        labels: Names to numbers, arrays or tensors, named as in `flip_labels`.
        n_quarter_turns: Number of quarter turns, negative for the other sense [-].

    Returns:
        The labels of the turned image.

    Raises:
        UnknownNameError: A position lacks its partner (`x_center` without `y_center`).
    """
    turns = n_quarter_turns % 4
    turned = {}
    for name, value in labels.items():
        partner = _partner(name)
        if name.endswith("position_angle"):
            turned[name] = value - 90.0 * turns
        elif "phi" in name.split("_"):
            turned[name] = value - 0.5 * math.pi * turns
        elif _is_spin2(name):
            turned[name] = -value if turns % 2 else value
        elif partner is not None:
            turned[name] = _turned_position(labels, name, partner, turns)
        else:
            turned[name] = value
    return turned


def _turned_position(labels: Mapping[str, Any], name: str, partner: str, turns: int) -> object:
    if partner not in labels:
        raise UnknownNameError(
            f"label {name!r} cannot be turned without {partner!r}. Pass both positions."
        )
    is_x = "x" in name.split("_")
    other = labels[partner] if is_x else -labels[partner]
    return (labels[name], other, -labels[name], -other)[turns]
