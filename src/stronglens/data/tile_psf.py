"""PSFs of a tile measured on its own stars, band by band, where no file states them.

The measurement itself is in `stronglens.data.star_psf`.
"""

from dataclasses import replace

from stronglens.core.errors import MissingDataError
from stronglens.data.detected_targets import in_memory
from stronglens.data.detections import Detections, detect, without_background
from stronglens.data.psf_models import KernelPsf
from stronglens.data.star_psf import measure_psf
from stronglens.data.survey_tile import BandImage, SurveyTile, TileGrid
from stronglens.data.tiles import Tile


def with_star_psf(tile: SurveyTile) -> SurveyTile:
    """The same tile with a PSF for each band that has enough stars and had none.

    The tile is read whole. A band with too few stars stays without, with a remark.

    Args:
        tile: Opened tile.
    """
    return replace(tile, grids=tuple(_with_psf(grid) for grid in tile.grids))


def _with_psf(grid: TileGrid) -> TileGrid:
    """Grid with the PSFs measured on it."""
    if all(image.psf is not None for image in grid.images):
        return grid
    whole = in_memory(grid)
    found, flat = detect(whole), without_background(whole)
    remarks = list(grid.remarks)
    images = [_measured(i, k, flat, found, remarks) for k, i in enumerate(grid.images)]
    return replace(grid, images=tuple(images), remarks=tuple(remarks))


def _measured(
    image: BandImage, band: int, tile: Tile, found: Detections, remarks: list[str]
) -> BandImage:
    """Band with a PSF, if its stars give one."""
    if image.psf is not None:
        return image
    try:
        measured = measure_psf(tile, band, found)
    except MissingDataError as error:
        remarks.append(f"no PSF for {image.band or band}: {error}")
        return image
    remarks.append(
        f"PSF of {image.band or band} from {measured.n_stars} stars, {measured.fwhm:.2f} arcsec"
    )
    return replace(image, psf=KernelPsf(measured.kernel))
