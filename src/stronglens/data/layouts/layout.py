"""The contract of a layout: how one survey names its files, and what their numbers mean.

Each survey's own facts are in the file of its name beside this one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from stronglens.core.errors import UnknownNameError
from stronglens.core.registry import Registry
from stronglens.data.parts import Role

ANY_BIT = -1
"""Every bit of a flag counts."""


@dataclass(frozen=True)
class Named:
    """What the name of a file says."""

    tile_id: str
    """Tile, or object where files are cutouts."""
    band: str
    """Band, "" where the file serves all or the name does not say."""
    role: Role | None
    """What the file holds, None where the name does not say."""


@dataclass(frozen=True)
class Layout:
    """Facts about the files of one survey."""

    pattern: str
    """Regular expression of a file's name without its ending, with the groups `tile`, `band` and
    `role`; the last two are optional."""
    source: str
    """Where the facts come from."""
    roles: Mapping[str, Role] = field(default_factory=dict)
    """Words in file names and extensions, in lower case, that state what an array is."""
    bands: Mapping[str, str] = field(default_factory=dict)
    """Words for bands in file names, in lower case; others are taken as they are."""
    family: str = ""
    """Survey in front of the filter, "hsc" in "hsc-g"."""
    weight_is_ivar: bool = True
    """Whether weights are inverse variances; if not, they only tell where a pixel is bad."""
    bad_bits: Mapping[str, int] = field(default_factory=dict)
    """Bits that make a pixel bad, by filter; "" is for all others; any bit where nothing stands."""
    zero_point: float | None = None
    """Magnitude of one pixel unit where the header has none [mag AB]."""
    pixel_scale: float | None = None
    """Side of a pixel where the header has none [arcsec]."""
    has_sky: bool = True
    """Whether coordinates in the headers are places on the sky."""
    holds_cutouts: bool = False
    """Whether each tile is one object in its middle."""

    def named(self, stem: str) -> Named | None:
        """What a file's name says, None where it is not named in this way.

        Args:
            stem: Name of the file without its ending.
        """
        found = re.fullmatch(self.pattern, stem, flags=re.IGNORECASE)
        if found is None:
            return None
        words = {name: value or "" for name, value in found.groupdict().items()}
        band = words.get("band", "").lower()
        role = self.roles.get(words.get("role", "").lower())
        return Named(words["tile"], self.band_name(band) if band else "", role)

    def band_name(self, word: str) -> str:
        """Name of a band from the word that files use for it."""
        name = self.bands.get(word.lower(), word.lower())
        return f"{self.family}-{name}" if self.family and "-" not in name else name

    def bits(self, band: str) -> int:
        """Bits of a flag that make a pixel of a band bad."""
        default = self.bad_bits.get("", ANY_BIT)
        return self.bad_bits.get(band.rpartition("-")[2], default)


layouts: Registry[Layout] = Registry("layout")
"""Every layout by name."""


def layout_of(stem: str) -> str:
    """Name of the first layout whose files are named so; "plain" where none is.

    Args:
        stem: Name of a file without its ending.
    """
    for name in layouts.names():
        if name != "plain" and layouts.get(name).named(stem) is not None:
            return name
    return "plain"


def find_layout(name: str) -> Layout:
    """Layout of a name.

    Raises:
        UnknownNameError: There is no such layout.
    """
    if name == "auto":
        raise UnknownNameError(
            f"layout 'auto' is for finding one by file names. Known: {', '.join(layouts.names())}."
        )
    return layouts.get(name)
