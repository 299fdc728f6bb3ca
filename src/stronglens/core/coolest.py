"""Names, angles and parameters of COOLEST for one mass or light profile, and ours; plain numbers.

COOLEST measures x to the right and y up as we do, gives angles in degrees counter-clockwise from +y
and radii on the intermediate axis. Files are written and read in `measurement`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from stronglens.core.conventions import (
    Number,
    phi_from_position_angle,
    shear_from_polar,
    shear_to_polar,
)
from stronglens.core.errors import UnknownNameError, unknown_name

Values = Mapping[str, float]

_CENTER = {"x_center": "center_x", "y_center": "center_y"}


@dataclass(frozen=True)
class _Translation:
    """One of our profiles in COOLEST's words."""

    ours: str
    """Our name of the profile."""
    theirs: str
    """COOLEST's type."""
    copies: Mapping[str, str]
    """Our name of each parameter that is a plain copy, to COOLEST's."""


_MASSES = (
    _Translation("sie", "SIE", {"theta_e": "theta_E", "q": "q", **_CENTER}),
    _Translation("epl", "PEMD", {"slope": "gamma", "theta_e": "theta_E", "q": "q", **_CENTER}),
)
_SERSIC = _Translation(
    "sersic", "Sersic",
    {"brightness": "I_eff", "n_sersic": "n", "r_eff_circ": "theta_eff", "q": "q", **_CENTER},
)  # fmt: skip
SHEAR = "ExternalShear"
"""COOLEST's type of an external shear, whose fixed point is the origin."""


def position_angle(phi: Number) -> Number:
    """Angle of an axis as COOLEST has it.

    Args:
        phi: Angle of the major axis, counter-clockwise from +x [rad].

    Returns:
        Angle counter-clockwise from +y [deg], in (-90, 90].

    Reference:
        Galan et al. 2023 (JOSS 8, 5567) and the conventions page of COOLEST 0.1.11.
    """
    return 90.0 - (180.0 - phi * (180.0 / math.pi)) % 180.0


def mass_to_coolest(name: str, parameters: Values) -> tuple[str, dict[str, float]]:
    """One of our mass profiles in COOLEST's words.

    Args:
        name: sie, epl or shear. A shear is taken to leave the origin where it is.
        parameters: Its parameters, in the units that the profile states.

    Returns:
        The type and its parameters, angles in degrees.

    Raises:
        UnknownNameError: COOLEST's counterpart of the profile is not known here.
    """
    if name == "shear":
        gamma_ext, phi_ext = shear_to_polar(
            float(parameters["gamma1"]), float(parameters["gamma2"])
        )
        return SHEAR, {"gamma_ext": gamma_ext, "phi_ext": position_angle(float(phi_ext))}
    for translation in _MASSES:
        if translation.ours == name:
            return translation.theirs, _to_theirs(translation, parameters)
    raise unknown_name("mass profile", name, {"shear", *(t.ours for t in _MASSES)})


def mass_from_coolest(kind: str, parameters: Values) -> tuple[str, dict[str, float]]:
    """Our name and parameters of one of COOLEST's mass profiles.

    Args:
        kind: COOLEST's type.
        parameters: Its parameters, angles in degrees.

    Returns:
        Our name of the profile and its parameters.

    Raises:
        UnknownNameError: We have no such profile, or a parameter of it is missing.
    """
    if kind == SHEAR:
        _check(kind, parameters, ("gamma_ext", "phi_ext"))
        phi = phi_from_position_angle(float(parameters["phi_ext"]))
        gamma1, gamma2 = shear_from_polar(float(parameters["gamma_ext"]), phi)
        shear = {"gamma1": float(gamma1), "gamma2": float(gamma2)}
        return "shear", shear | {"x_center": 0.0, "y_center": 0.0}
    for translation in _MASSES:
        if translation.theirs == kind:
            return translation.ours, _from_theirs(translation, parameters)
    raise unknown_name("COOLEST mass profile", kind, {SHEAR, *(t.theirs for t in _MASSES)})


def sersic_to_coolest(parameters: Values) -> dict[str, float]:
    """Parameters of COOLEST's `Sersic`, whose constant is b = 1.9992 n - 0.3271 as lenstronomy's.

    Args:
        parameters: brightness at r_eff [flux per arcsec^2], r_eff_circ [arcsec], n_sersic [-],
            q [-], phi [rad], x_center, y_center [arcsec].

    Returns:
        COOLEST's parameters.
    """
    return _to_theirs(_SERSIC, parameters)


def sersic_from_coolest(kind: str, parameters: Values) -> dict[str, float]:
    """Parameters of COOLEST's `Sersic` in our words.

    Args:
        kind: COOLEST's type.
        parameters: Its parameters, angles in degrees.

    Returns:
        The parameters that `sersic_to_coolest` takes.

    Raises:
        UnknownNameError: A profile of another kind, or a parameter of it is missing.
    """
    if kind != _SERSIC.theirs:
        raise unknown_name("COOLEST light profile", kind, {_SERSIC.theirs})
    return _from_theirs(_SERSIC, parameters)


def _to_theirs(translation: _Translation, parameters: Values) -> dict[str, float]:
    copied = {theirs: float(parameters[ours]) for ours, theirs in translation.copies.items()}
    return copied | {"phi": position_angle(float(parameters["phi"]))}


def _from_theirs(translation: _Translation, parameters: Values) -> dict[str, float]:
    _check(translation.theirs, parameters, (*translation.copies.values(), "phi"))
    copied = {ours: float(parameters[theirs]) for ours, theirs in translation.copies.items()}
    return copied | {"phi": phi_from_position_angle(float(parameters["phi"]))}


def _check(kind: str, given: Values, wanted: tuple[str, ...]) -> None:
    missing = [name for name in wanted if name not in given]
    if missing:
        raise UnknownNameError(
            f"COOLEST profile {kind!r} lacks a value for {', '.join(missing)}. It needs a point "
            f"estimate of each of {', '.join(wanted)}."
        )
