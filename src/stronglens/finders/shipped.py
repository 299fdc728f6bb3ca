"""The trained finders that come with the package, and which of them suits an image.

Each is three files in `weights/`: NAME.safetensors, its recipe NAME.toml and its card NAME.json
with what it reached on images it had not seen. `tools/train_finder.py` makes them.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stronglens.core.errors import UnknownNameError, unknown_name
from stronglens.core.files import read_json
from stronglens.core.weights import load_settings
from stronglens.data.colour_pictures import are_display_values
from stronglens.data.filters import SAME, band_distance, lacking_bands
from stronglens.finders.finder import FOLDER, FinderFacts, finder_facts

_FAR_ALONE = 0.7  # difference of ln(wavelength) above which even a finder of one band refuses
_OTHER_PIXELS = math.log(1.7)  # difference of ln(pixel scale) that counts more than wavelengths
_COARSEST, _FINEST = math.log(2.0), math.log(2.5)  # that of coarser and of finer pixels at most


@dataclass(frozen=True)
class ShippedFinder:
    """A finder that comes with the package."""

    name: str
    """Its name."""
    path: Path
    """Its weights."""
    facts: FinderFacts
    """What it was made for."""
    card: dict[str, Any]
    """What it was trained on and what it reached; empty while it has none."""


def shipped_finders() -> list[ShippedFinder]:
    """Every finder that comes with the package, by name."""
    return [_read(file) for file in sorted(FOLDER.glob("*.safetensors"))]


def shipped_finder(name: str) -> ShippedFinder:
    """Return one finder by its name.

    Raises:
        UnknownNameError: No finder of that name comes with the package.
    """
    file = FOLDER / f"{name}.safetensors"
    if not file.is_file():
        raise unknown_name("shipped finder", name, [f.stem for f in FOLDER.glob("*.safetensors")])
    return _read(file)


def choose_finder(
    bands: Sequence[str],
    pixel_scale: float | None,
    finders: Iterable[ShippedFinder] | None = None,
) -> tuple[ShippedFinder, str]:
    """Choose the finder whose bands and pixels are nearest to those of an image.

    Every band of the finder must be in the image, or one within 20 % of its wavelength; a finder
    that was trained on images that lack a band does without one of several, and a finder of one
    band takes any within a factor of two. Pixels may be coarser by a factor of two, or finer by
    2.5. Pictures stretched for eyes only suit finders of pictures. Among those that suit, one of
    several bands is better than one of one; then one that lacks no band, then more bands, then a
    pixel scale within a factor of 1.7, then the nearer wavelengths, then the nearer pixel scale.

    Args:
        bands: Bands of the image.
        pixel_scale: Side of its pixels [arcsec]; None where it is not known.
        finders: Finders to choose from; by default those that come with the package.

    Returns:
        The finder, and a sentence that says why.

    Raises:
        UnknownNameError: None suits.
    """
    known = list(shipped_finders() if finders is None else finders)
    ranked = sorted(
        (misfit, k)
        for k, finder in enumerate(known)
        if (misfit := _misfit(finder.facts, bands, pixel_scale)) is not None
    )
    scale = "pixels of unknown size" if pixel_scale is None else f'{pixel_scale:.3g}" pixels'
    seen = f"bands {','.join(band or 'unknown' for band in bands)} and {scale}"
    if not ranked:
        listed = "; ".join(f"{finder.name} ({_wants(finder.facts)})" for finder in known)
        raise UnknownNameError(
            f"no finder that comes with stronglens suits an image with {seen}. There are: "
            f"{listed or 'none'}. Pass --finder with one trained on such images (stronglens "
            "simulate and train make one)."
        )
    chosen = known[ranked[0][1]]
    reason = f"{chosen.name} ({_wants(chosen.facts)}) is the nearest to {seen}"
    return chosen, reason


def _read(file: Path) -> ShippedFinder:
    card = file.with_suffix(".json")
    facts = finder_facts(load_settings(file))
    return ShippedFinder(file.stem, file, facts, read_json(card) if card.is_file() else {})


def _wants(facts: FinderFacts) -> str:
    return f'{",".join(facts.bands)}, {facts.pixel_scale:.3g}" pixels'


def _misfit(
    facts: FinderFacts, bands: Sequence[str], pixel_scale: float | None
) -> tuple[bool, int, int, bool, float, float] | None:
    """Order of preference, smallest first; None where the finder cannot be used."""
    if are_display_values(facts.bands) != are_display_values(bands):
        return None
    coarser = 0.0 if pixel_scale is None else math.log(pixel_scale / facts.pixel_scale)
    if len(facts.bands) == 1:
        is_far = band_distance(facts.bands[0], bands) > _FAR_ALONE
        lacking = facts.bands if is_far else ()
    else:
        lacking = lacking_bands(facts.bands, bands)
    near = [band_distance(band, bands) for band in facts.bands if band not in lacking]
    n_lacking = len(lacking)
    may_lack = 1 if facts.takes_missing_bands and len(facts.bands) > 1 else 0
    if n_lacking > may_lack or not -_FINEST <= coarser <= _COARSEST:
        return None
    colours = round(math.fsum(d for d in near if d > SAME), 3)
    scale = abs(coarser)
    sees_no_colour = len(facts.bands) == 1
    return sees_no_colour, n_lacking, -len(near), scale > _OTHER_PIXELS, colours, scale
