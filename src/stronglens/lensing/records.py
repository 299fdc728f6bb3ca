"""Records of mass models: named profiles, any other deflection, and the SIE in an external shear.

What is done with them is in `raytrace` and `caustics`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.errors import WrongShapeError
from stronglens.lensing.profiles import profiles

Alphas = tuple[Float[Tensor, "batch y x"], Float[Tensor, "batch y x"]]
"""Reduced deflection alpha_x, alpha_y [arcsec]."""


@dataclass(frozen=True)
class MassProfile:
    """One registered mass profile with its parameters, each of shape (batch,)."""

    name: str
    """Name in the registry `profiles`."""
    parameters: Mapping[str, Tensor]
    """Parameter name to tensor, in the units that the profile states."""

    def __getitem__(self, index: slice | Tensor) -> "MassProfile":
        """Return the profile of some of the images."""
        return MassProfile(self.name, {key: v[index] for key, v in self.parameters.items()})

    def deflection(
        self, x: Float[Tensor, "#batch #y #x"], y: Float[Tensor, "#batch #y #x"]
    ) -> Alphas:
        """Return alpha_x, alpha_y at image-plane positions [arcsec]."""
        return profiles.get(self.name).deflection(x, y, **self.parameters)

    def detached(self) -> "MassProfile":
        """Return the same profile outside any automatic differentiation."""
        own = {name: value.detach().clone() for name, value in self.parameters.items()}
        return MassProfile(self.name, own)


@dataclass(frozen=True)
class CallableMass:
    """A deflection of the user's own, such as a lens of another package; one for all images."""

    alpha: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    """x, y to alpha_x, alpha_y [arcsec], all of one shape (batch, y, x)."""

    def __getitem__(self, index: slice | Tensor) -> "CallableMass":
        """Return itself: it serves every image alike."""
        return self

    def deflection(
        self, x: Float[Tensor, "#batch #y #x"], y: Float[Tensor, "#batch #y #x"]
    ) -> Alphas:
        """Return alpha_x, alpha_y at image-plane positions [arcsec].

        Raises:
            WrongShapeError: What the callable returned does not have the shape of the positions.
        """
        x, y = torch.broadcast_tensors(x, y)
        alpha_x, alpha_y = self.alpha(x, y)
        if not alpha_x.shape == alpha_y.shape == x.shape:
            raise WrongShapeError(
                f"the callable deflection returned shapes {tuple(alpha_x.shape)} and "
                f"{tuple(alpha_y.shape)} for positions of shape {tuple(x.shape)}. "
                "Return one deflection per position."
            )
        return alpha_x, alpha_y

    def detached(self) -> "CallableMass":
        """Return itself: what the callable holds is not ours to copy."""
        return self


LensModel = Sequence[MassProfile | CallableMass]
"""A lens model is a sum of masses in one plane."""


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
