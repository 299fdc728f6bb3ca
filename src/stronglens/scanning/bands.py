"""Which bands of an image a finder is shown.

Names and wavelengths of filters are in `stronglens.data.filters`.
"""

from collections.abc import Sequence

from stronglens.core.errors import UnknownNameError, WrongShapeError
from stronglens.data.filters import is_same_filter, lacking_band, nearest_band, wavelength

UNNAMED = "unknown"
"""What a band without a name is called in tables."""
_FAR = 1.15


def choose_bands(
    available: Sequence[str],
    wanted: Sequence[str],
    asked: Sequence[str] = (),
    *,
    may_lack: bool = False,
) -> tuple[tuple[int | None, ...], tuple[str, ...]]:
    """For each band of a finder the same band of the image, or the nearest in wavelength.

    Args:
        available: Bands of the image; "" where one is not named.
        wanted: Bands of the finder.
        asked: Bands of the image that the user wants instead, one per band of the finder.
        may_lack: Whether the finder does without one of several bands where the image has none
            that could stand for it.

    Returns:
        Indices into `available`, None for a band that is lacking, and remarks on what had to be
        assumed.

    Raises:
        UnknownNameError: A band asked for is not in the image, or no band can be told.
        WrongShapeError: Fewer bands than the finder needs.
    """
    if asked and len(asked) != len(wanted):
        raise WrongShapeError(
            f"--band names {len(asked)} bands ({','.join(asked)}) but the finder has "
            f"{len(wanted)}: {','.join(wanted)}. Name one per band of the finder."
        )
    lacking = None if asked or not may_lack else lacking_band(wanted, available)
    indices = tuple(
        _index_of(asked[k], available)
        if asked
        else (None if band == lacking else _nearest(band, available))
        for k, band in enumerate(wanted)
    )
    if len(set(indices)) < len(wanted):
        raise WrongShapeError(
            f"wrong number of bands: the image has {_listed(available)}, but the finder needs "
            f"{len(wanted)}: {','.join(wanted)}. Add the missing bands, or pass a finder of fewer."
        )
    remarks = (
        f"the image has no band like the finder's {band}, which does without"
        if k is None
        else _remark(available[k], band)
        for k, band in zip(indices, wanted, strict=True)
    )
    return indices, tuple(text for text in remarks if text)


def _index_of(asked: str, available: Sequence[str]) -> int:
    """Index of a band that the user named."""
    same = [k for k, band in enumerate(available) if band and is_same_filter(asked, band)]
    if not same and len(available) == 1 and not available[0]:
        return 0
    if not same:
        raise UnknownNameError(
            f"no band '{asked}' in the image, which has {_listed(available)}. Pass --band with one "
            "of these, or leave it out."
        )
    return same[0]


def _nearest(wanted: str, available: Sequence[str]) -> int:
    index = nearest_band(wanted, available)
    if index is None:
        raise UnknownNameError(
            f"cannot tell which of the {len(available)} bands ({_listed(available)}) is nearest to "
            f"the finder's {wanted}. Pass --band, or --plane-bands to name the planes in order."
        )
    return index


def _remark(band: str, wanted: str) -> str:
    """Words on a band that is not named or far from the finder's."""
    if not band:
        return f"band not named in the file; taken for {wanted}"
    here, there = wavelength(band), wavelength(wanted)
    if here is None or there is None or max(here / there, there / here) < _FAR:
        return ""
    return f"band {band} ({here:.0f} nm) is far from the finder's {wanted} ({there:.0f} nm)"


def _listed(bands: Sequence[str]) -> str:
    return ",".join(band or UNNAMED for band in bands)
