"""Settings of the search for sources on tiles; the search itself is in `scanning.sources`."""

from dataclasses import dataclass

from stronglens.core.errors import OutOfRangeError
from stronglens.core.task import settings


@settings
@dataclass(frozen=True)
class SourceCut:
    """Which sources of a tile are targets."""

    min_snr: float = 10.0
    """Smallest signal to noise in the sum of all bands [-]."""
    brightest: float = 14.0
    """Brightest magnitude in the reference band [mag AB]."""
    faintest: float = 23.5
    """Faintest magnitude in the reference band [mag AB]."""
    band: str = "r"
    """Reference band; the nearest one is taken."""
    colour: str | None = None
    """Two bands whose difference must lie within the limits, such as g-r; by default none."""
    bluest: float = -10.0
    """Smallest colour [mag]."""
    reddest: float = 10.0
    """Largest colour [mag]."""
    min_size: float = 0.0
    """Smallest half-light diameter over that of the stars [-]."""
    stars: bool = False
    """Whether sources of a star's size are targets too."""

    def check(self) -> None:
        """Raise if limits are the wrong way round."""
        for low, high in (("brightest", "faintest"), ("bluest", "reddest")):
            if getattr(self, low) >= getattr(self, high):
                raise OutOfRangeError(
                    f"sources: {low}={getattr(self, low):g} is not below "
                    f"{high}={getattr(self, high):g}. Nothing would be left; change one of them."
                )
        if self.min_snr < 0 or self.min_size < 0:
            raise OutOfRangeError(
                f"sources: min_snr={self.min_snr:g} and min_size={self.min_size:g} must be 0 or "
                "more."
            )
