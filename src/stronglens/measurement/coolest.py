"""A lens model as a COOLEST file holds it: image, mass, light, posterior and what is said of them.

Files are written in `coolest_writing` and read in `coolest_reading`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from stronglens.core.conventions import ellipticity_from_axis_ratio
from stronglens.lensing.records import CallableMass, MassProfile
from stronglens.measurement.lens_image import LensImage
from stronglens.simulation.exchange import LensScenes

PLACEHOLDER_REDSHIFTS = (0.5, 1.0)
"""Redshifts of lens and source that stand for unknown ones; readers tell the planes apart by
them."""


@dataclass(frozen=True, eq=False)
class SourceGrid:
    """A source as brightness on a regular grid."""

    flux: Float[np.ndarray, "v u"]
    """Brightness at the centres of the cells [flux per image pixel]."""
    extent: tuple[float, float, float, float]
    """Left, right, bottom and top edge of the grid [arcsec]."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """Weighted draws of the parameters of a lens."""

    draws: dict[str, Float[np.ndarray, "n"]]
    """Draws by name: theta_e [arcsec], e1, e2, x_center, y_center [arcsec], gamma1, gamma2, slope,
    beta_x, beta_y [arcsec]."""
    weights: Float[np.ndarray, "n"]
    """Their weights; their sum is one."""
    even: dict[str, Float[np.ndarray, "m"]] = field(default_factory=dict)
    """Draws of equal weight that summaries are taken from; where empty, the weighted ones are."""


@dataclass(frozen=True, eq=False)
class CoolestLens:
    """One lens model; positions are measured from the middle of the image."""

    scene: LensScenes
    """Mass, source and deflector light, a batch of one; the source has no component where it is
    a grid."""
    image: LensImage | None = None
    """The image; None where the file states none."""
    source_grid: SourceGrid | None = None
    """The source on a grid, where it is one."""
    z_lens: float = PLACEHOLDER_REDSHIFTS[0]
    """Redshift of the deflector [-]."""
    z_source: float = PLACEHOLDER_REDSHIFTS[1]
    """Redshift of the source [-]."""
    posterior: Posterior | None = None
    """Draws of the parameters, where there are any."""
    fixed: frozenset[str] = frozenset()
    """Parameters that were not free, by our names."""
    meta: dict[str, Any] = field(default_factory=dict)
    """What else is said of the model."""

    def parameters(self) -> dict[str, float]:
        """Point estimates by our names: those of the mass, and of the source's first component.

        Returns:
            theta_e [arcsec], e1, e2, q, phi [rad], x_center, y_center [arcsec], slope, gamma1,
            gamma2, and beta_x, beta_y [arcsec] where the source has a centre. The source is where
            a shear about the centre of the image puts it.
        """
        found: dict[str, float] = {"slope": 2.0, "gamma1": 0.0, "gamma2": 0.0}
        for mass in self.scene.lens_model:
            found |= _of_mass(mass)
        if self.scene.source.flux.shape[1]:
            found["beta_x"] = float(self.scene.source.x_center[0, 0])
            found["beta_y"] = float(self.scene.source.y_center[0, 0])
        return found


def shear_offset(values: Mapping[str, Any]) -> tuple[Any, Any]:
    """How far a source moves when its shear is taken about the origin, not the centre of the mass.

    COOLEST and lenstronomy's reader of it leave the origin where it is; we leave the centre of the
    mass. The images are the same when the source is moved by minus Gamma times that centre.

    Args:
        values: gamma1, gamma2, x_center, y_center by name, numbers or arrays.

    Returns:
        Changes of beta_x and beta_y [arcsec].
    """
    x, y = values["x_center"], values["y_center"]
    gamma1, gamma2 = values["gamma1"], values["gamma2"]
    return -(gamma1 * x + gamma2 * y), -(gamma2 * x - gamma1 * y)


def _of_mass(mass: MassProfile | CallableMass) -> dict[str, float]:
    if isinstance(mass, CallableMass):
        return {}
    own = {name: float(value[0]) for name, value in mass.parameters.items()}
    if mass.name == "shear":
        return {name: own[name] for name in ("gamma1", "gamma2")}
    e1, e2 = ellipticity_from_axis_ratio(own["q"], own["phi"])
    return own | {"e1": float(e1), "e2": float(e2)}
