"""Records of mass models: named profiles with parameters, and the SIE in an external shear.

What is done with them is in `raytrace` and `caustics`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.lensing.profiles import profiles


@dataclass(frozen=True)
class MassProfile:
    """One registered mass profile with its parameters, each of shape (batch,)."""

    name: str
    """Name in the registry `profiles`."""
    parameters: Mapping[str, Tensor]
    """Parameter name to tensor, in the units that the profile states."""


LensModel = Sequence[MassProfile]
"""A lens model is a sum of mass profiles."""


@dataclass(frozen=True)
class SieShear:
    """Singular isothermal ellipsoids, one per image, each in an external shear.

    The shear is taken about the centre of the ellipsoid, so that moving lens and source together
    moves the image and changes nothing else.
    """

    theta_e: Float[Tensor, "batch"]
    """Einstein radius, intermediate-axis normalisation [arcsec]."""
    q: Float[Tensor, "batch"]
    """Axis ratio of the convergence in (0, 1] [-]."""
    phi: Float[Tensor, "batch"]
    """Angle of the major axis [rad]."""
    x_center: Float[Tensor, "batch"]
    """Centre of ellipsoid and shear along x [arcsec]."""
    y_center: Float[Tensor, "batch"]
    """Centre of ellipsoid and shear along y [arcsec]."""
    gamma1: Float[Tensor, "batch"]
    """External shear, first component [-]."""
    gamma2: Float[Tensor, "batch"]
    """External shear, second component [-]."""

    def __getitem__(self, index: slice | Tensor) -> "SieShear":
        """Return some of the lenses."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def __len__(self) -> int:
        """Return the number of lenses."""
        return self.theta_e.shape[0]

    def to(self, target: torch.device | torch.dtype | str) -> "SieShear":
        """Return the same lenses on another device or in another precision."""
        return type(self)(**{f.name: getattr(self, f.name).to(target) for f in fields(self)})

    def lens_model(self) -> LensModel:
        """Return the lenses as a sum of registered profiles."""
        return tuple(
            MassProfile(name, {key: getattr(self, key) for key in profiles.get(name).parameters})
            for name in ("sie", "shear")
        )
