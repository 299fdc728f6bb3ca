"""Settings of painting on real images; cutting them up is in `stronglens.data.patches`."""

from dataclasses import dataclass
from pathlib import Path

from stronglens.core.errors import OutOfRangeError
from stronglens.core.task import settings


@settings
@dataclass(frozen=True)
class Canvas:
    """Real images that simulated light is added to."""

    tile: Path | None = None
    """FITS file, or folder with the bands of one tile; without it everything is simulated."""
    first_column: int = 0
    """First column of the tile that is used [pixel]."""
    stop_column: int | None = None
    """Column after the last one used; by default the tile's last [pixel]."""
    host_share: float = 0.5
    """Share of lenses and twins whose deflector is a real red galaxy of the tile."""
    host_mag_faint: float = 21.0
    """Faintest real deflector [mag AB in r]."""
    clear: float = 2.4
    """Side of the square that holds no real source where a galaxy is put [arcsec]."""

    def check(self) -> None:
        """Raise if a number is outside its range.

        Raises:
            OutOfRangeError: Which field is wrong, and what is allowed.
        """
        if not 0 <= self.host_share <= 1:
            raise OutOfRangeError(f"canvas: host_share={self.host_share} is outside 0-1.")
        if self.first_column < 0 or (
            self.stop_column is not None and self.stop_column <= self.first_column
        ):
            raise OutOfRangeError(
                f"canvas: columns {self.first_column} to {self.stop_column} hold nothing. The "
                "first one starts at 0, the other lies behind it."
            )
        if not 0 < self.clear < 60:
            raise OutOfRangeError(f"canvas: clear={self.clear} is outside 0-60 arcsec.")
