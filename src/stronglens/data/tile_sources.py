"""Which tiles a list of files, folders and name patterns means, and how each is opened.

What is special about a survey's files is in `stronglens.data.layouts`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stronglens.core.errors import MissingDataError
from stronglens.data.fits import object_name
from stronglens.data.inputs import list_inputs, object_files
from stronglens.data.layouts import Layout, Named, find_layout, layout_of, layouts
from stronglens.data.parts import FITS_ENDINGS, distinct_labels, role_of, stem
from stronglens.data.psf_models import PsfModel, read_psfex
from stronglens.data.survey_tile import SurveyTile
from stronglens.data.targets import Footprint
from stronglens.data.tile_assembly import (
    Facts,
    Piece,
    assemble,
    check_known,
    pieces_of,
    reference_of,
)
from stronglens.data.tile_psf import with_star_psf
from stronglens.data.units import image_units

_PSFEX_ENDING = ".psf"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_GROUPS = {"band": r"(?P<band>[A-Za-z0-9]+)", "tile": r"(?P<tile>.+?)", "role": r"(?P<role>\w+)"}


@dataclass(frozen=True)
class TileHints:
    """What the user knows and files may not say."""

    layout: str = "auto"
    """Name of the layout; found from names of files by default."""
    bands: tuple[str, ...] = ()
    """Names of bands, in order, of images that do not name theirs."""
    pixel_scale: float | None = None
    """Side of a pixel, where no header says [arcsec]."""
    zero_point: float | None = None
    """Magnitude of one pixel unit, where no header says [mag AB]."""
    psf_fwhm: float | None = None
    """PSF width, where no file has a PSF; a Gaussian is taken [arcsec]."""
    psf_from_stars: bool = False
    """Whether the PSF is measured on the stars of the tile, where no file has one."""
    flags: int | None = None
    """Bits of the flag images that make a pixel bad; by default those of the layout, else any."""


_HINTS = TileHints()


@dataclass(frozen=True)
class TileSource:
    """A tile that has not been opened: picklable and small."""

    tile_id: str
    """Name of the tile."""
    files: tuple[Path, ...]
    """All its files."""
    layout: str = "plain"
    """Name of its layout."""
    hints: TileHints = _HINTS
    """What the user knows."""
    pattern: str = ""
    """Name pattern with {band}, {tile} or {role} that its files were found by, or ""."""


def list_tiles(paths: Iterable[Path | str], hints: TileHints = _HINTS) -> list[TileSource]:
    """Tiles that files, folders and patterns such as "tile_{band}.fits" stand for, each once.

    Args:
        paths: Files, folders, shell patterns, or names with {band}, {tile} and {role} in them.
        hints: What is known and may not stand in the files.

    Raises:
        MissingDataError: A pattern with braces matches nothing.
        UnknownNameError: There is no such layout.
    """
    if hints.layout != "auto":
        find_layout(hints.layout)
    grouped: dict[tuple[str, str, str], list[Path]] = {}
    sources: list[TileSource] = []
    for path in map(Path, paths):
        if _PLACEHOLDER.search(path.name):
            sources += _by_pattern(path, hints)
            continue
        plain: list[Path] = []
        for file in _files_below(path) or [path]:
            name, named = _named(file, hints)
            if named is None:
                plain.append(file)
            else:
                # sets of cutouts number their objects anew, with a folder per band at most
                set_name = str(file.parent.parent) if layouts.get(name).holds_cutouts else ""
                grouped.setdefault((name, set_name, named.tile_id), []).append(file)
        sources += _plain_tiles(path, plain, hints)
    made = [
        TileSource(tile_id, tuple(sorted(files)), name, hints)
        for (name, _, tile_id), files in grouped.items()
    ]
    return _unique(list({(s.layout, s.files): s for s in [*made, *sources]}.values()))


def _unique(sources: list[TileSource]) -> list[TileSource]:
    """Tiles with the folder in front of names that come twice."""
    count = Counter(source.tile_id for source in sources)
    return [
        source
        if count[source.tile_id] == 1 or find_layout(source.layout).holds_cutouts
        else replace(source, tile_id=f"{source.files[0].absolute().parent.name}_{source.tile_id}")
        for source in sources
    ]


def open_tile(source: TileSource, *, needs_zero_point: bool = True) -> SurveyTile:
    """Open a tile; uncompressed images are memory-mapped, so that only what is cut is read.

    Args:
        source: From `list_tiles`.
        needs_zero_point: Whether a tile without a zero point is refused.

    Raises:
        MissingDataError: A file has gone, or nothing tells pixel scale or zero point.
        UnreadableFileError: A file is truncated or not FITS.
        WrongShapeError: Images, noise and flags have different sizes.
    """
    layout = find_layout(source.layout)
    pieces, models = _pieces(source, layout)
    tile = assemble(source.tile_id, pieces, models, layout, _facts(source.hints))
    check_known(tile, needs_zero_point=needs_zero_point)
    return with_star_psf(tile) if source.hints.psf_from_stars else tile


def footprint_of(source: TileSource) -> Footprint:
    """Where a tile lies: the pixels of its finest images, from headers alone.

    Args:
        source: From `list_tiles`.

    Raises:
        MissingDataError: It has no image, or nothing tells its pixel scale.
    """
    layout = find_layout(source.layout)
    pieces, _ = _pieces(source, layout)
    shape, scale, wcs = reference_of(source.tile_id, pieces, layout, _facts(source.hints))
    return Footprint(source.tile_id, *shape, scale, wcs)


def _facts(hints: TileHints) -> Facts:
    return Facts(hints.bands, hints.pixel_scale, hints.zero_point, hints.psf_fwhm, hints.flags)


def _files_below(path: Path) -> list[Path]:
    """FITS and PSFEx files that a path or a shell pattern stands for."""
    if path.is_dir():
        endings = (*FITS_ENDINGS, _PSFEX_ENDING)
        return sorted(p for p in path.rglob("*") if p.is_file() and p.name.endswith(endings))
    return [file for file in list_inputs([path]) if file.is_file()]


def _named(file: Path, hints: TileHints) -> tuple[str, Named | None]:
    """Layout of a file and what its name says; None for plain files."""
    name = hints.layout if hints.layout != "auto" else layout_of(stem(file))
    return name, None if name == "plain" else layouts.get(name).named(stem(file))


def _plain_tiles(path: Path, files: Sequence[Path], hints: TileHints) -> list[TileSource]:
    """Tiles of files that no layout names: one per file, or one per folder of bands."""
    if not files:
        return []
    inputs = list_inputs([path]) if path.is_dir() else files
    chosen = [i for i in inputs if i.is_dir() or i in files or not i.exists()]
    return [
        TileSource(object_name(i), tuple(_with_psfex(i)) if i.is_dir() else (i,), "plain", hints)
        for i in chosen
    ]


def _with_psfex(folder: Path) -> list[Path]:
    """FITS files of a folder and the PSFEx models beside them."""
    return [*object_files(folder), *sorted(folder.glob(f"*{_PSFEX_ENDING}"))]


def _by_pattern(path: Path, hints: TileHints) -> list[TileSource]:
    """Tiles of the files that a name with braces matches."""
    expression = _expression(path.name)
    shell = _PLACEHOLDER.sub("*", path.name)
    groups: dict[str, list[Path]] = {}
    for file in sorted(path.parent.glob(shell)):
        found = re.fullmatch(expression, file.name)
        if found is not None:
            words = found.groupdict()
            default = _PLACEHOLDER.sub("", stem(path)).strip("_-. ") or path.parent.name
            groups.setdefault(words.get("tile") or default, []).append(file)
    if not groups:
        raise MissingDataError(
            f"no file matches '{path}'; {{band}} stands for letters and digits, {{tile}} for any "
            "text, {role} for sci, wht, mask and the like. Check the folder and the name."
        )
    layout = "plain" if hints.layout == "auto" else hints.layout
    return [
        TileSource(tile, tuple(files), layout, hints, path.name) for tile, files in groups.items()
    ]


def _expression(name: str) -> str:
    """Regular expression of a name with braces."""
    pieces = _PLACEHOLDER.split(name)
    texts = [re.escape(text) for text in pieces[::2]]
    groups = [_GROUPS.get(word, r".+?") for word in pieces[1::2]]
    joined = [text + group for text, group in zip(texts, [*groups, ""], strict=True)]
    return "".join(joined)


def _pieces(source: TileSource, layout: Layout) -> tuple[list[Piece], dict[str, PsfModel]]:
    """Planes of all files of a tile, and the PSFEx models by the key of their band."""
    pieces: list[Piece] = []
    models: dict[str, PsfModel] = {}
    for file, label in zip(source.files, distinct_labels(list(source.files)), strict=True):
        named = _name_in(source, layout, file, label)
        if file.suffix == _PSFEX_ENDING or (named.role == "psf" and not image_units(file)):
            words = [w for w in label.lower().split("_") if w not in ("psf", "psfcat", "psfex")]
            models[named.band or "_".join(words)] = read_psfex(file)
            continue
        for unit in image_units(file):
            pieces += pieces_of(unit, label, named.band, named.role, layout)
    return pieces, models


def _name_in(source: TileSource, layout: Layout, file: Path, label: str) -> Named:
    """What a file's name says, by the pattern of the user, of the layout, or by its words."""
    if source.pattern:
        found = re.fullmatch(_expression(source.pattern), file.name)
        words = {} if found is None else found.groupdict()
        word = words.get("role", "").lower()
        role = layout.roles.get(word) or role_of(word)
        return Named(source.tile_id, words.get("band", "").lower(), role)
    named = None if source.layout == "plain" else layout.named(stem(file))
    many = len(source.files) > 1
    role = role_of(label if many else stem(file), anywhere=False)
    return named or Named(source.tile_id, "", role)
