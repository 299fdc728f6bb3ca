"""Which finder scores what: the one the user names, or that of the package nearest each image.

The rule of the choice is in `stronglens.finders.shipped`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from stronglens.core.errors import MissingDataError, StronglensError
from stronglens.data.fits import object_name
from stronglens.data.objects import read_objects
from stronglens.data.planes import Hints
from stronglens.data.tile_sources import TileSource, open_tile
from stronglens.finders.finder import Finder, load_finder
from stronglens.finders.shipped import choose_finder
from stronglens.scanning.score import Entry


@dataclass(frozen=True, eq=False)
class Group:
    """Inputs that one finder scores."""

    name: str
    """Name of the finder, or where it is."""
    finder: Finder
    """The finder."""
    paths: list[Path] = field(default_factory=list)
    """Files and folders of cutouts."""


@dataclass(frozen=True)
class Named:
    """How finders are loaded."""

    device: torch.device
    """Where they work."""
    views: str | None = None
    """Views over which they average, instead of their own."""

    def load(self, path: Path) -> Finder:
        """Load a finder from a run directory, a file, or by the name it has in the package."""
        return load_finder(path, device=self.device, views=self.views)


def groups_of_cutouts(
    paths: Iterable[Path], hints: Hints, named: Named
) -> tuple[list[Group], list[Entry], list[str]]:
    """Give each cutout to the finder nearest its bands and pixels.

    Args:
        paths: Files and folders.
        hints: What the user knows of them.
        named: How finders are loaded.

    Returns:
        The groups, entries of inputs that cannot be read or that no finder suits, and a sentence on
        each finder that was chosen.
    """
    groups: dict[str, Group] = {}
    failed: list[Entry] = []
    reasons: list[str] = []
    for path in paths:
        try:
            first = next(iter(read_objects(path, hints)))
            scale = first.pixel_scale if first.pixel_scale > 0 else None
            chosen, reason = choose_finder(first.bands, scale)
        except StronglensError as error:
            failed.append(Entry(object_name(path), str(path), reason=str(error)))
            continue
        if chosen.name not in groups:
            groups[chosen.name] = Group(chosen.name, named.load(chosen.path))
            reasons.append(reason)
        groups[chosen.name].paths.append(path)
    return list(groups.values()), failed, reasons


def finder_of_tiles(sources: Sequence[TileSource]) -> tuple[Path, str]:
    """Choose the finder nearest the bands and pixels of the first tile that can be opened.

    Args:
        sources: Tiles.

    Returns:
        Where the finder is, and a sentence that says why it was chosen.

    Raises:
        MissingDataError: No tile can be opened.
        UnknownNameError: No finder suits.
    """
    fault = "there is none"
    for source in sources:
        try:
            tile = open_tile(source, needs_zero_point=False)
        except (StronglensError, OSError) as error:
            fault = str(error)
            continue
        finest = min(grid.pixel_scale for grid in tile.grids)
        chosen, reason = choose_finder(tile.bands, finest)
        return chosen.path, reason
    raise MissingDataError(f"no tile can be opened ({fault}). Pass --finder, or other files.")
