"""Settings of colour pictures: how far the stretches of training pictures differ.

Drawing from them is in `picture_set`.
"""

from dataclasses import dataclass

from stronglens.core.errors import OutOfRangeError
from stronglens.core.task import settings


@settings
@dataclass(frozen=True)
class Pictures:
    """Colour pictures instead of flux, with ranges that hold the usual viewers' stretches."""

    make: bool = False
    """Whether to make 8-bit colour pictures of three bands instead of images in flux."""
    level_min: float = 0.02
    """Smallest brightness of the noise of the sky, white being 1."""
    level_max: float = 0.1
    """Largest brightness of the noise: 0.04 in the CFHTLS pictures of Space Warps (measured)."""
    softening_min: float = 2.0
    """Sigmas of the noise at which the hardest stretch turns logarithmic."""
    softening_max: float = 25.0
    """The same for the softest stretch."""
    pedestal_max: float = 0.05
    """Largest brightness of the empty sky."""
    colour_scatter: float = 0.15
    """Scatter of ln(weight) of each colour."""
    hue_share: float = 0.5
    """Share of pictures whose brightest pixels keep their hue instead of turning white."""
    joint_share: float = 0.8
    """Share of pictures stretched by the mean of their bands instead of each band for itself."""
    zoom: float = 1.6
    """Largest enlargement, the smallest being 1; the pixel scale that a set states is that of the
    middle one, on a logarithmic scale."""
    jpeg_share: float = 0.5
    """Share of pictures that went through a JPEG file."""
    jpeg_quality_min: int = 70
    """Lowest quality of those files."""

    def check(self) -> None:
        """Refuse ranges that are none.

        Raises:
            OutOfRangeError: A number outside its range, or a smallest above its largest.
        """
        for name, low, high in (
            ("level", self.level_min, self.level_max),
            ("softening", self.softening_min, self.softening_max),
        ):
            if not 0.0 < low <= high:
                raise OutOfRangeError(
                    f"{name}_min={low} and {name}_max={high} are no range. Allowed: 0 < min <= max."
                )
        for name in ("hue_share", "joint_share", "jpeg_share", "pedestal_max"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise OutOfRangeError(f"{name}={getattr(self, name)} is outside 0-1.")
        if not 1.0 <= self.zoom <= 4.0:
            raise OutOfRangeError(f"zoom={self.zoom} is outside 1-4.")
        if self.colour_scatter < 0.0 or not 1 <= self.jpeg_quality_min <= 95:
            raise OutOfRangeError(
                f"colour_scatter={self.colour_scatter} or jpeg_quality_min={self.jpeg_quality_min} "
                "is out of range. Allowed: 0 or more; 1 to 95."
            )
