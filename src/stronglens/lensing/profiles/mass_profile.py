"""What a mass profile is, and the registry of all of them; the formulae are in the other files."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from stronglens.core.registry import Registry


@dataclass(frozen=True)
class Profile:
    """A mass profile: three functions of positions and of its own named parameters.

    Each function takes x and y [arcsec] as (batch, y, x) and the parameters as (batch,), in the
    order of `parameters`.
    """

    deflection: Callable[..., tuple[Tensor, Tensor]]
    """Reduced deflection alpha_x, alpha_y [arcsec]."""
    potential: Callable[..., Tensor]
    """Lensing potential psi [arcsec^2]."""
    convergence: Callable[..., Tensor]
    """Convergence kappa [-]."""
    parameters: tuple[str, ...]
    """Names of the parameters, in the order of the functions' arguments."""


profiles: Registry[Profile] = Registry("mass profile")
