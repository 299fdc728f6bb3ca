"""Images, noise, flags and PSFs of a tile's files, put together band by band and grid by grid.

Which files belong to a tile is found in `stronglens.data.tile_sources`.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from astropy.io.fits import Header
from astropy.io.fits.verify import VerifyError
from astropy.wcs import WCS

from stronglens.core.errors import MissingDataError, UnreadableFileError, WrongShapeError
from stronglens.data.headers import Astrometry, astrometry, cube_filters, numbers, zero_point
from stronglens.data.layouts.layout import Layout
from stronglens.data.parts import ROLES, Part, Role, role_of, words_of
from stronglens.data.planes import name_band
from stronglens.data.psf_models import PsfModel, WidthPsf, gaussian_psf, kernel_psf
from stronglens.data.survey_tile import BandImage, Flags, SurveyTile, TileGrid
from stronglens.data.units import Unit

HARMFUL_PLANES = ("MP_BAD", "MP_SAT", "MP_NO_DATA", "MP_CR")
"""Names of mask planes, in the cards of Rubin and HSC files, that make a pixel bad."""
_POWERS: dict[Role, float] = {"ivar": 1.0, "variance": -1.0, "sigma": -2.0}
_WORTHLESS = 1e-8
_PSF_HEADROOM = 1.25


@dataclass(frozen=True, eq=False)
class Piece:
    """One plane of one unit, and what names and layout say about it."""

    unit: Unit
    """The image in its file."""
    plane: int | None
    """Plane of a cube; None for a single image."""
    role: Role
    """What it is."""
    key: str
    """What an image and its companions have in common: the words for the band."""
    band: str
    """Band of an image, "" where nothing tells."""

    def pixels(self) -> np.ndarray:
        """Pixels as stored, memory-mapped where possible."""
        data = self.unit.pixels()
        return data if self.plane is None else data[self.plane]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.unit.shape[-2], self.unit.shape[-1]


@dataclass(frozen=True)
class Facts:
    """What the user knows, for all bands of a tile."""

    bands: tuple[str, ...] = ()
    """Bands of planes that nothing names, in order."""
    pixel_scale: float | None = None
    """Side of a pixel where no header says [arcsec]."""
    zero_point: float | None = None
    """Magnitude of one pixel unit where no header says [mag AB]."""
    psf_fwhm: float | None = None
    """PSF width where no file has a PSF [arcsec]."""
    flags: int | None = None
    """Bits of flags that make a pixel bad, instead of those of the layout."""


def pieces_of(unit: Unit, label: str, band: str, role: Role | None, layout: Layout) -> list[Piece]:
    """Planes of a unit with their roles.

    Args:
        unit: The image in its file.
        label: What is special in the file's name.
        band: Band that the file's name states, or "".
        role: Role that the file's name states, or None.
        layout: Facts about the survey's files.
    """
    own = layout.roles.get(unit.name.lower()) or role_of(unit.name)
    chosen = own if own not in (None, "image") else role or own or "image"
    words = [*words_of(label), *words_of(unit.name)]
    key = "_".join(w for w in words if w not in ROLES and w not in layout.roles and w != "map")
    if band:
        key = band
    if len(unit.shape) == 2 or chosen == "psf":
        return [Piece(unit, None, chosen, key, band)]
    return [Piece(unit, k, chosen, key, band) for k in range(unit.shape[0])]


def assemble(
    tile_id: str,
    pieces: Sequence[Piece],
    psf_models: dict[str, PsfModel],
    layout: Layout,
    facts: Facts,
) -> SurveyTile:
    """Tile of all images among the pieces.

    Args:
        tile_id: Name of the tile.
        pieces: Planes of its files.
        psf_models: PSF models of files that are no images, by key.
        layout: Facts about the survey's files.
        facts: What the user knows.

    Raises:
        UnreadableFileError: There is no image.
        MissingDataError: Nothing tells a pixel scale or a zero point.
        WrongShapeError: Noise or flags have another size than their image.
    """
    images = _images(tile_id, pieces, layout, facts)
    built = []
    for image in images:
        companions = _companions(image, pieces, is_only=len({i.key for i in images}) == 1)
        sky = _astrometry(image, layout, facts, companions)
        made = _band_image(image, companions, sky, layout, facts)
        psf = made.psf or psf_models.get(image.key) or psf_models.get("")
        if psf is None and facts.psf_fwhm is not None:
            psf = gaussian_psf(facts.psf_fwhm, sky.pixel_scale)
        built.append((replace(made, psf=psf), sky))
    return SurveyTile(tile_id, tuple(_grids(tile_id, built, layout)))


def reference_of(
    tile_id: str, pieces: Sequence[Piece], layout: Layout, facts: Facts
) -> tuple[tuple[int, int], float, WCS | None]:
    """Size, pixel scale and coordinates of a tile's finest images, without reading pixels.

    Args:
        tile_id: Name of the tile.
        pieces: Planes of its files.
        layout: Facts about the survey's files.
        facts: What the user knows.

    Raises:
        UnreadableFileError: There is no image.
        MissingDataError: Nothing tells the pixel scale.
    """
    images = _images(tile_id, pieces, layout, facts)
    is_only = len({image.key for image in images}) == 1
    scales = [
        _astrometry(i, layout, facts, _companions(i, pieces, is_only=is_only)).pixel_scale
        for i in images
    ]
    finest = min(range(len(images)), key=lambda k: scales[k] if scales[k] > 0 else math.inf)
    if not scales[finest] > 0:
        raise _unknown_scale(tile_id, [image.band for image in images])
    same = [i for i in images if i.shape == images[finest].shape]
    found = (celestial(joined_header(image.unit)) for image in same)
    wcs = next((w for w in found if w is not None), None) if layout.has_sky else None
    return images[finest].shape, scales[finest], wcs


def _images(tile_id: str, pieces: Sequence[Piece], layout: Layout, facts: Facts) -> list[Piece]:
    """Images among the pieces, one per band."""
    images = _with_bands([piece for piece in pieces if piece.role == "image"], layout, facts)
    if not images:
        raise UnreadableFileError(
            f"tile {tile_id} holds no image, only: "
            f"{', '.join(sorted({piece.role for piece in pieces})) or 'tables'}. Add the images."
        )
    return images


def _with_bands(images: list[Piece], layout: Layout, facts: Facts) -> list[Piece]:
    """Images with the names of their bands; the first of each band."""
    named = [replace(image, band=image.band or _band_of(image, layout)) for image in images]
    if len(facts.bands) == len(named) and not any(image.band for image in named):
        named = [replace(i, band=band) for i, band in zip(named, facts.bands, strict=True)]
    kept: dict[str, Piece] = {}
    for k, image in enumerate(named):
        kept.setdefault(image.band or f"unnamed {k}", image)
    return list(kept.values())


def _band_of(image: Piece, layout: Layout) -> str:
    """Band that header, extension or file name state."""
    unit = image.unit
    if image.plane is not None:
        n = unit.shape[0]
        listed = cube_filters(unit.header, n) or cube_filters(unit.primary, n)
        return layout.band_name(listed[image.plane]) if listed else ""
    empty = np.empty((0, 0))
    file = unit.path.name.split(".")[0]
    part = Part(unit.name, "image", image.key, empty, unit.header, unit.primary, image.key)
    found = name_band(part, "", (file, unit.path.absolute().parent.name))
    return layout.band_name(found.rpartition("-")[2]) if found and layout.family else found


def _companions(image: Piece, pieces: Sequence[Piece], *, is_only: bool) -> list[Piece]:
    """Pieces that belong to an image: of its key, or of none, or all where it is the only key."""
    others = [piece for piece in pieces if piece.role not in ("image", "other")]
    same = [piece for piece in others if piece.key == image.key]
    common = [piece for piece in others if piece.key == ""]
    rest = [piece for piece in others if piece not in [*same, *common]] if is_only else []
    return [
        piece
        for piece in [*same, *common, *rest]
        if image.plane is None or piece.plane in (None, image.plane)
    ]


def joined_header(unit: Unit) -> Header:
    """Header of an image, with what only the first header of its file states."""
    header = unit.primary.copy(strip=True)
    header.update(unit.header)
    return header


def _astrometry(
    image: Piece, layout: Layout, facts: Facts, companions: Sequence[Piece]
) -> Astrometry:
    """Pixel scale and place of an image; the scale may stand with its noise, mask or PSF alone."""
    for header in (image.unit.header, image.unit.primary):
        sky = astrometry(header, *image.shape)
        if math.isfinite(sky.pixel_scale):
            return sky if layout.has_sky else Astrometry(sky.pixel_scale)
    for piece in companions:
        sky = astrometry(piece.unit.header, *piece.shape)
        if math.isfinite(sky.pixel_scale):
            return Astrometry(sky.pixel_scale)
    stated = facts.pixel_scale if facts.pixel_scale is not None else layout.pixel_scale
    return Astrometry(math.nan if stated is None else stated)


def _band_image(
    image: Piece, companions: Sequence[Piece], sky: Astrometry, layout: Layout, facts: Facts
) -> BandImage:
    """Band with its noise, weight, flags and PSF."""
    _check_shapes(image, companions)
    noise = next((p for p in companions if _power_of(p, layout) is not None), None)
    power = 1.0 if noise is None else _power_of(noise, layout)
    stored = None if noise is None else noise.pixels()
    weights = [] if layout.weight_is_ivar else [p for p in companions if p.role == "weight"]
    value = zero_point(image.unit.header, image.unit.primary, sky.pixel_scale)
    stated = [value, facts.zero_point, layout.zero_point]
    known = [v for v in stated if v is not None and math.isfinite(v)]
    return BandImage(
        band=image.band,
        flux=image.pixels(),
        zero_point=known[0] if known else math.nan,
        noise=stored,
        noise_power=power or 1.0,
        smallest_ivar=0.0 if stored is None else _WORTHLESS * _typical(stored, power or 1.0),
        weight=weights[0].pixels() if weights else None,
        flags=tuple(_flags(image, companions, layout, facts)),
        psf=_psf(companions, sky.pixel_scale),
        header=joined_header(image.unit),
    )


def _power_of(piece: Piece, layout: Layout) -> float | None:
    """Power of a noise image that is the inverse variance; None where it is no noise image."""
    if piece.role == "weight" and layout.weight_is_ivar:
        return 1.0
    return _POWERS.get(piece.role)


def _typical(noise: np.ndarray, power: float) -> float:
    """Median inverse variance on a few rows of a noise image."""
    values = np.asarray(noise[:: max(noise.shape[0] // 16, 1)], np.float64)
    values = values[np.isfinite(values) & (values > 0)]
    return float(np.median(values**power)) if values.size else 0.0


def _flags(image: Piece, companions: Sequence[Piece], layout: Layout, facts: Facts) -> list[Flags]:
    """Images of bits and the bits that count."""
    found = []
    for piece in companions:
        named = [int(bit) for bit in numbers(piece.unit.header, HARMFUL_PLANES)]
        if piece.role == "mask" or named:
            bits = sum(1 << bit for bit in named) if named else -1
        elif piece.role == "flags":
            bits = layout.bits(image.band)
        else:
            continue
        bits = bits if facts.flags is None else facts.flags
        if bits:
            found.append(Flags(piece.pixels(), bits))
    return found


def _psf(companions: Sequence[Piece], pixel_scale: float) -> PsfModel | None:
    """PSF of a companion: an image of it, or a map of its width."""
    for piece in companions:
        if piece.role == "psf" and piece.unit.shape[-1] > 1:
            data = piece.unit.pixels()
            image = data if data.ndim == 2 else data[piece.plane or 0]
            return kernel_psf(image)
        if piece.role == "fwhm" and pixel_scale > 0:
            values = piece.pixels()
            sample = np.asarray(values[:: max(values.shape[0] // 16, 1)], np.float64)
            known = sample[np.isfinite(sample) & (sample > 0)]
            widest = _PSF_HEADROOM * float(np.median(known)) if known.size else 1.0
            return WidthPsf(values, pixel_scale, widest)
    return None


def _check_shapes(image: Piece, companions: Sequence[Piece]) -> None:
    """Refuse noise, weight or flags of another size than the image."""
    for piece in companions:
        if piece.role not in ("psf", "other") and piece.shape != image.shape:
            raise WrongShapeError(
                f"'{piece.unit.path}' ({piece.role}) has {piece.shape[0]}x{piece.shape[1]} pixels "
                f"and its image {image.unit.path.name} {image.shape[0]}x{image.shape[1]}; both "
                "must be equal. Check that the files are of one tile."
            )


def _grids(
    tile_id: str, built: Sequence[tuple[BandImage, Astrometry]], layout: Layout
) -> list[TileGrid]:
    """Bands in groups of one size and pixel scale, the finest and largest first."""
    groups: dict[tuple[float, int, int], list[tuple[BandImage, Astrometry]]] = {}
    for image, sky in built:
        scale = float(f"{sky.pixel_scale:.3g}") if math.isfinite(sky.pixel_scale) else math.inf
        groups.setdefault((scale, *image.flux.shape), []).append((image, sky))
    grids = []
    for members in groups.values():
        headers = [image.header for image, _ in members]
        wcs = next((w for h in headers if (w := celestial(h)) is not None), None)
        grids.append(
            TileGrid(
                tile_id,
                tuple(image for image, _ in members),
                members[0][1].pixel_scale,
                next((i.zero_point for i, _ in members if math.isfinite(i.zero_point)), math.nan),
                wcs if layout.has_sky else None,
            )
        )
    return sorted(grids, key=lambda grid: grid.pixel_scale)


def celestial(header: Header) -> WCS | None:
    """Celestial WCS of a header, None where it has none that can be used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wcs = WCS(header)
            return wcs.celestial if wcs.has_celestial else None
        except (ValueError, LookupError, TypeError, OSError, AttributeError, VerifyError):
            # a WCS that astropy cannot use is as good as none
            return None


def check_known(tile: SurveyTile, *, needs_zero_point: bool) -> None:
    """Refuse a tile whose pixel scale or zero point nothing states.

    Args:
        tile: Opened tile.
        needs_zero_point: Whether magnitudes are asked of it.

    Raises:
        MissingDataError: One of them is not known.
    """
    for grid in tile.grids:
        if not grid.pixel_scale > 0:
            raise _unknown_scale(tile.tile_id, grid.bands)
        unknown = [i.band or "?" for i in grid.images if not math.isfinite(i.zero_point)]
        if needs_zero_point and unknown:
            raise MissingDataError(
                f"zero point of {', '.join(unknown)} in tile {tile.tile_id} not known: no MAGZERO, "
                "FLUXMAG0 or flux unit in its headers. Pass --zero-point [mag AB]."
            )


def _unknown_scale(tile_id: str, bands: Sequence[str]) -> MissingDataError:
    return MissingDataError(
        f"pixel scale of tile {tile_id} ({','.join(bands)}) not known: no WCS and no PIXSCALE in "
        "its headers. Pass --pixel-scale [arcsec/pixel]."
    )
