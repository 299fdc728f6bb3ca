"""Names and keywords of lenstronomy for one mass or light profile, and ours; plain numbers only.

The package itself is not needed. Whole scenes are converted in `simulation.exchange`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stronglens.core.conventions import (
    axis_ratio_from_ellipticity,
    ellipticity_from_axis_ratio,
    shear_from_polar,
)
from stronglens.core.errors import UnknownNameError, unknown_name

Values = Mapping[str, float]

_CENTER = {"x_center": "center_x", "y_center": "center_y"}
_SHEAR = {"gamma1": "gamma1", "gamma2": "gamma2", "x_center": "ra_0", "y_center": "dec_0"}


@dataclass(frozen=True)
class _Translation:
    """One of our profiles in lenstronomy's words."""

    ours: str
    """Our name of the profile."""
    theirs: str
    """lenstronomy's name of it."""
    keywords: Mapping[str, str]
    """Our name of each parameter that is a plain copy, to lenstronomy's."""
    is_elliptical: bool = False
    """Whether q and phi become e1 and e2."""
    fixed: Values = field(default_factory=dict)
    """Keywords that choose this profile among those of lenstronomy's name."""
    optional: Values = field(default_factory=lambda: {"center_x": 0.0, "center_y": 0.0})
    """Keywords that need not be given, with lenstronomy's defaults."""


_POWER_LAW = {"theta_e": "theta_E", "slope": "gamma", **_CENTER}
_MULTIPOLE = {"a_m": "a_m", "phi_m": "phi_m", **_CENTER}
# r_E means something for dipoles only
_CIRCULAR = {"center_x": 0.0, "center_y": 0.0, "r_E": 1.0}
_MASSES = (
    _Translation("sis", "SIS", {"theta_e": "theta_E", **_CENTER}),
    _Translation("sie", "SIE", {"theta_e": "theta_E", **_CENTER}, is_elliptical=True),
    _Translation("epl", "EPL", _POWER_LAW, is_elliptical=True),
    _Translation("epl", "EPL_NUMBA", _POWER_LAW, is_elliptical=True),
    _Translation("nfw", "NFW", {"r_scale": "Rs", "alpha_r_scale": "alpha_Rs", **_CENTER}),
    _Translation("point", "POINT_MASS", {"theta_e": "theta_E", **_CENTER}),
    _Translation("shear", "SHEAR", _SHEAR, optional={"ra_0": 0.0, "dec_0": 0.0}),
    _Translation("multipole-3", "MULTIPOLE", _MULTIPOLE, fixed={"m": 3}, optional=_CIRCULAR),
    _Translation("multipole-4", "MULTIPOLE", _MULTIPOLE, fixed={"m": 4}, optional=_CIRCULAR),
)
_SERSIC = {"brightness": "amp", "r_eff_circ": "R_sersic", "n_sersic": "n_sersic", **_CENTER}
_LIGHTS = (
    _Translation("sersic", "SERSIC_ELLIPSE", _SERSIC, is_elliptical=True),
    _Translation("sersic", "SERSIC", _SERSIC),
)


def mass_to_lenstronomy(name: str, parameters: Values) -> tuple[str, dict[str, float]]:
    """One of our mass profiles in lenstronomy's words.

    Args:
        name: Our name of the profile.
        parameters: Its parameters, in the units that the profile states.

    Returns:
        An entry of `lens_model_list` and its keyword arguments.

    Raises:
        UnknownNameError: lenstronomy's counterpart of the profile is not known here.
    """
    for translation in _MASSES:
        if translation.ours == name:
            return translation.theirs, _to_theirs(translation, parameters)
    raise unknown_name("mass profile", name, {translation.ours for translation in _MASSES})


def mass_from_lenstronomy(name: str, keywords: Values) -> tuple[str, dict[str, float]]:
    """Our name and parameters of one of lenstronomy's mass profiles.

    Args:
        name: An entry of `lens_model_list`.
        keywords: Its keyword arguments; a centre that is not given is the origin.

    Returns:
        Our name of the profile and its parameters.

    Raises:
        UnknownNameError: We have no such profile, or its keywords are others.
    """
    if name == "SHEAR_GAMMA_PSI":
        name, keywords = "SHEAR", _shear_components(keywords)
    return _from_theirs(_MASSES, name, keywords)


def sersic_to_lenstronomy(parameters: Values) -> dict[str, float]:
    """Keywords of lenstronomy's `SERSIC_ELLIPSE`.

    Args:
        parameters: brightness at r_eff [flux per arcsec^2], r_eff_circ [arcsec], n_sersic [-],
            q [-], phi [rad], x_center, y_center [arcsec].

    Returns:
        The keyword arguments.
    """
    return _to_theirs(_LIGHTS[0], parameters)


def sersic_from_lenstronomy(name: str, keywords: Values) -> dict[str, float]:
    """Parameters of lenstronomy's `SERSIC_ELLIPSE` or `SERSIC` in our words.

    Args:
        name: An entry of a light list.
        keywords: Its keyword arguments.

    Returns:
        The parameters that `sersic_to_lenstronomy` takes.

    Raises:
        UnknownNameError: A profile of another kind, or other keywords.
    """
    _, parameters = _from_theirs(_LIGHTS, name, keywords)
    return {"q": 1.0, "phi": 0.0} | parameters


def _to_theirs(translation: _Translation, parameters: Values) -> dict[str, float]:
    keywords = {theirs: parameters[ours] for ours, theirs in translation.keywords.items()}
    if translation.is_elliptical:
        e1, e2 = ellipticity_from_axis_ratio(parameters["q"], parameters["phi"])
        keywords |= {"e1": float(e1), "e2": float(e2)}
    return keywords | dict(translation.fixed)


def _from_theirs(
    translations: tuple[_Translation, ...], name: str, keywords: Values
) -> tuple[str, dict[str, float]]:
    translation = _chosen(translations, name, keywords)
    wanted = {*translation.keywords.values(), *translation.fixed} - set(translation.optional)
    wanted |= {"e1", "e2"} if translation.is_elliptical else set()
    _check(name, set(keywords) - set(translation.optional), wanted)
    given = dict(translation.optional) | dict(keywords)
    parameters = {ours: given[theirs] for ours, theirs in translation.keywords.items()}
    if translation.is_elliptical:
        q, phi = axis_ratio_from_ellipticity(keywords["e1"], keywords["e2"])
        parameters |= {"q": float(q), "phi": float(phi)}
    return translation.ours, parameters


def _chosen(translations: tuple[_Translation, ...], name: str, keywords: Values) -> _Translation:
    """The translation of lenstronomy's name whose fixed keywords agree."""
    named = [translation for translation in translations if translation.theirs == name]
    if not named:
        raise unknown_name("lenstronomy profile", name, {t.theirs for t in translations})
    for translation in named:
        if all(keywords.get(key) == value for key, value in translation.fixed.items()):
            return translation
    known = " or ".join(str(dict(translation.fixed)) for translation in named)
    raise UnknownNameError(
        f"lenstronomy profile {name!r} with {dict(keywords)} has no counterpart. It needs {known}."
    )


def _check(name: str, given: set[str], wanted: set[str]) -> None:
    """Raise unless the keywords are those wanted."""
    if given != wanted:
        raise UnknownNameError(
            f"keywords of lenstronomy profile {name!r} do not fit: missing "
            f"{sorted(wanted - given)}, unknown {sorted(given - wanted)}. "
            f"Pass exactly {', '.join(sorted(wanted))}, and a centre if it is not the origin."
        )


def _shear_components(keywords: Values) -> dict[str, float]:
    """`SHEAR_GAMMA_PSI` as `SHEAR`."""
    polar = {"gamma_ext", "psi_ext"}
    _check("SHEAR_GAMMA_PSI", polar & set(keywords), polar)
    others = {key: value for key, value in keywords.items() if key not in polar}
    gamma1, gamma2 = shear_from_polar(keywords["gamma_ext"], keywords["psi_ext"])
    return others | {"gamma1": float(gamma1), "gamma2": float(gamma2)}
