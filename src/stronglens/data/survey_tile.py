"""A tile as it lies on disk: its bands, each with noise, flags and PSF, on one or more pixel grids.

Pixels are converted where they are cut, in `stronglens.data.cutting`; files are opened in
`data.tile_sources`. For tiles small enough to hold whole in memory there is `data.tiles`.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from astropy.io.fits import Header
from astropy.wcs import WCS
from jaxtyping import Float64, Shaped

from stronglens.data.psf_models import PsfModel


@dataclass(frozen=True, eq=False)
class Flags:
    """An image of bits, some of which make a pixel bad."""

    values: Shaped[np.ndarray, "y x"]
    """Integers as stored."""
    bits: int
    """Bits that make a pixel bad; -1 for any."""


@dataclass(frozen=True, eq=False)
class BandImage:
    """One band of a tile, arrays as stored (memory-mapped where the file allows it)."""

    band: str
    """Name of the band, such as "hsc-g"."""
    flux: Shaped[np.ndarray, "y x"]
    """Pixels as stored."""
    zero_point: float
    """Magnitude of one stored unit [mag AB]."""
    noise: Shaped[np.ndarray, "y x"] | None = None
    """Noise as stored; None where no file states it."""
    noise_power: float = 1.0
    """Power of the noise that is the inverse variance: 1, -1 of a variance, -2 of an rms."""
    smallest_ivar: float = 0.0
    """Inverse variance at and below which a pixel counts as masked [1 / stored units^2]."""
    weight: Shaped[np.ndarray, "y x"] | None = None
    """Relative weight, by which a pixel is bad where it is not positive."""
    flags: tuple[Flags, ...] = ()
    """Images of bits."""
    psf: PsfModel | None = None
    """PSF at each place; None where it is not known."""
    header: Header = field(default_factory=Header)
    """Header of the image, with what only the first header of its file states."""


@dataclass(frozen=True, eq=False)
class TileGrid:
    """Bands of a tile that share pixels, size and orientation."""

    tile_id: str
    """Name of the tile."""
    images: tuple[BandImage, ...]
    """One per band."""
    pixel_scale: float
    """Side of a pixel; NaN where nothing states it [arcsec]."""
    zero_point: float
    """Magnitude of one pixel unit that cutouts of all bands come to [mag AB]."""
    wcs: WCS | None = None
    """Celestial coordinates; None where no header has any."""
    remarks: tuple[str, ...] = ()
    """What had to be assumed while reading."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands."""
        return tuple(image.band for image in self.images)

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.images[0].flux.shape[0]

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.images[0].flux.shape[1]

    def with_bands(self, bands: tuple[str, ...]) -> "TileGrid":
        """Grid with some of its bands, in the order given.

        Raises:
            KeyError: It lacks one of them.
        """
        known = {image.band: image for image in self.images}
        return replace(self, images=tuple(known[band] for band in bands))


@dataclass(frozen=True, eq=False)
class SurveyTile:
    """A tile of a survey: one grid, or one per pixel scale."""

    tile_id: str
    """Name of the tile."""
    grids: tuple[TileGrid, ...]
    """The first is the reference, on which targets are placed."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands of all grids."""
        return tuple(band for grid in self.grids for band in grid.bands)

    def places_on(
        self, index: int, x: Float64[np.ndarray, "n"], y: Float64[np.ndarray, "n"]
    ) -> tuple[Float64[np.ndarray, "n"], Float64[np.ndarray, "n"]]:
        """Pixels of another grid at places of the reference grid.

        By their coordinates on the sky, or, where one has none, by the middle of both grids.

        Args:
            index: Number of the grid.
            x: Columns of the reference grid [pixel].
            y: Rows of the reference grid [pixel].
        """
        first, other = self.grids[0], self.grids[index]
        if index == 0:
            return x, y
        if first.wcs is not None and other.wcs is not None:
            ra, dec = first.wcs.all_pix2world(x, y, 0)
            found = other.wcs.all_world2pix(ra, dec, 0)
            return np.asarray(found[0], np.float64), np.asarray(found[1], np.float64)
        ratio = first.pixel_scale / other.pixel_scale
        return (
            (x - (first.width - 1) / 2) * ratio + (other.width - 1) / 2,
            (y - (first.height - 1) / 2) * ratio + (other.height - 1) / 2,
        )
