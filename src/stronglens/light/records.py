"""Records of light: named profiles with parameters; what is drawn of them is elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from stronglens.core.errors import UnknownNameError
from stronglens.light import lights


@dataclass(frozen=True)
class LightComponent:
    """One registered light profile of unit flux with its parameters, one row per image."""

    name: str
    """Name in the registry `lights`."""
    parameters: Mapping[str, Tensor]
    """Parameter name to tensor, (batch,) or (batch, y, x), in the units that the profile states."""

    def __post_init__(self) -> None:
        """Refuse parameters that the profile does not have, or lacks."""
        wanted, given = set(lights.get(self.name).parameters), set(self.parameters)
        if wanted != given:
            raise UnknownNameError(
                f"parameters of light profile {self.name!r} do not fit: missing "
                f"{sorted(wanted - given)}, unknown {sorted(given - wanted)}. "
                f"Pass exactly {', '.join(lights.get(self.name).parameters)}."
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return next(iter(self.parameters.values())).shape[0]

    def __getitem__(self, index: slice | Tensor) -> "LightComponent":
        """Return the component of some of the images."""
        return LightComponent(self.name, {k: v[index] for k, v in self.parameters.items()})

    def to(self, target: torch.device | torch.dtype | str) -> "LightComponent":
        """Return the same component on another device or in another precision."""
        return LightComponent(self.name, {k: v.to(target) for k, v in self.parameters.items()})

    def brightness(
        self, x: Float[Tensor, "#batch #y #x"], y: Float[Tensor, "#batch #y #x"]
    ) -> Float[Tensor, "batch y x"]:
        """Surface brightness for a total flux of one.

        Args:
            x: Position along x [arcsec]; axes of length one broadcast.
            y: Position along y [arcsec].

        Returns:
            Surface brightness [1 / arcsec^2].
        """
        return lights.get(self.name).brightness(x, y, **self.parameters)
