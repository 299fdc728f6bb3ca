"""Names of bands as they stand in files, their wavelengths, and which of two is nearer to a third.

Depths, seeing and zero points of surveys are in `stronglens.surveys`.
"""

import math
import re
from collections.abc import Iterable, Sequence

# Effective (mean or pivot) wavelengths, good to 2 %: enough to order filters. Sources by row:
# sdss, cfhtls, des: tables of sedpy's filter curves (Johnson 2021), Vega-weighted;
# cfhtls-i2: MP9702, bluer than MP9701 and close to SDSS i (CADC MegaPipe filter page);
# cfis: MegaCam filters of 2015, MP9302 and MP9602 (Ibata et al. 2017, ApJ 848, 128);
# hsc: Kawanomoto et al. 2018, PASJ 70, 66; ps1: Tonry et al. 2012, ApJ 750, 99;
# kids: de Jong et al. 2015, A&A 582, A62 (OmegaCAM's SDSS-like filters);
# lsst: pivots of the LSST curves in GalSim; euclid: Cropper et al. 2025 and Schirmer et al. 2022,
# A&A 662, A92; hst: pivots of the ACS and WFC3 curves in GalSim and STScI's handbooks;
# jwst: NIRCam, sedpy; roman: WFI reference information, Goddard.
_FILTERS: dict[str, str] = {
    "sdss": "u 355 g 467 r 616 i 747 z 892",
    "cfhtls": "u 381 g 483 r 622 i 765 i2 755 z 885",
    "cfis": "u 368 r 640",
    "des": "u 381 g 477 r 639 i 779 z 915 y 988",
    "legacy": "g 477 r 639 i 779 z 915",
    "hsc": "g 480 r 622 i 770 z 891 y 978",
    "ps1": "g 481 r 617 i 752 z 866 y 962",
    "kids": "u 355 g 475 r 625 i 770",
    "lsst": "u 367 g 481 r 621 i 754 z 869 y 970",
    "euclid": "vis 715 y 1081 j 1367 h 1771",
    "hst": (
        "f275w 271 f336w 336 f435w 433 f475w 475 f555w 536 f606w 592 f625w 631 f775w 769 "
        "f814w 806 f850lp 904 f105w 1055 f110w 1153 f125w 1249 f140w 1392 f160w 1537"
    ),
    "jwst": "f070w 701 f090w 898 f115w 1149 f150w 1494 f200w 1979 f277w 2747 f356w 3552 f444w 4381",
    "roman": "f062 620 f087 870 f106 1060 f129 1290 f146 1460 f158 1580 f184 1840 f213 2130",
    "": "u 365 g 478 r 622 i 760 i2 755 z 890 y 980 j 1250 h 1640 k 2200 ks 2150",
}

WAVELENGTHS: dict[str, float] = {
    f"{family}-{name}" if family else name: float(value)
    for family, row in _FILTERS.items()
    for name, value in zip(row.split()[::2], row.split()[1::2], strict=True)
}
"""Effective wavelength by band name [nm]; a bare letter stands for that filter of any survey."""

SAME = 0.07
"""Difference of ln(wavelength) below which two bands are one filter of two surveys."""
FAR = 0.2
"""Difference of ln(wavelength) above which one band cannot stand for another: z can for i, which
it is 13-17 % from; neighbours in ugri cannot."""

# first match wins; a name followed by J and digits is an object's, not a survey's
_FAMILY_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"MP9[3-8]0[1]\b|MP9702|CFHTLS(?!J)|MEGAPRIME", "cfhtls"),
    (r"MP\d{4}|CFIS|MEGACAM|CFHT(?!LSJ)", "cfis"),
    (r"DECALS|LEGACY", "legacy"),
    (r"DECAM|(?<![A-Z])DES(?![A-Z])", "des"),
    (r"HSC(?!J)", "hsc"),
    (r"PAN-?STARRS|(?<![A-Z])PS1(?!J)|GPC1", "ps1"),
    (r"OCAM|OMEGACAM|(?<![A-Z])KIDS(?!J)", "kids"),
    (r"LSST|RUBIN", "lsst"),
    (r"EUC(?!LJ)|NISP|(?<![A-Z])NIR(?![A-Z])|(?<![A-Z])VIS(?![A-Z])", "euclid"),
    (r"JWST|NIRCAM", "jwst"),
    (r"(?<![A-Z])(HST|ACS|WFC3|WFPC2)", "hst"),
    (r"ROMAN|WFIRST", "roman"),
    (r"SDSS(?!J)", "sdss"),
)
_SPACE_FILTER = re.compile(r"F\d{3,4}(W|M|N|LP|X)")
_TWO_LETTERS = ("KS", "I2")


def wavelength(band: str) -> float | None:
    """Effective wavelength of a band [nm], by its filter alone if the survey is not known.

    Args:
        band: Name such as "hsc-g", "euclid-vis" or "r".

    Returns:
        The wavelength, or None for a filter that is not in the table.
    """
    return WAVELENGTHS.get(band, WAVELENGTHS.get(band.rpartition("-")[2]))


def is_same_filter(band: str, other: str) -> bool:
    """Whether two names mean one band: equal, or one of them a bare filter of the other's name."""
    if "-" in band and "-" in other:
        return band == other
    return band.rpartition("-")[2] == other.rpartition("-")[2]


def family_in(words: Iterable[str]) -> str:
    """Survey or telescope that the first telling word names, or "" where none does."""
    for word in words:
        for pattern, family in _FAMILY_PATTERNS:
            if re.search(pattern, word.upper()):
                return family
    return ""


def filter_in(words: Iterable[str], *, letters: str = "UGRIZYJHK") -> str:
    """Filter that the first telling word names, in lower case, or "" where none does.

    Args:
        words: Header values, names of extensions or of files, the most reliable first.
        letters: Single letters that count as filters.
    """
    for word in words:
        tokens = [token for token in re.split(r"[^A-Z0-9]+", word.upper()) if token]
        if "MP9702" in tokens:
            return "i2"
        for token in reversed(tokens):
            if _SPACE_FILTER.fullmatch(token) or token == "VIS":
                return token.lower()
        short = [token for token in tokens if token in letters or token in _TWO_LETTERS]
        if short:
            return short[-1].lower()
    return ""


def band_name(filter_name: str, family: str) -> str:
    """Band from its two parts: "hsc-g", "euclid-vis", or the bare filter if no survey is known."""
    if (
        _SPACE_FILTER.fullmatch(filter_name.upper())
        and f"{family}-{filter_name}" not in WAVELENGTHS
    ):
        family = "jwst" if f"jwst-{filter_name}" in WAVELENGTHS else "hst"
    return f"{family}-{filter_name}" if family and filter_name else filter_name


def band_distance(wanted: str, available: Sequence[str]) -> float:
    """Difference of ln(wavelength) to the nearest band; infinite where none is known."""
    if wanted in available:
        return 0.0
    target = wavelength(wanted)
    known = [wavelength(band) for band in available]
    return min(
        (abs(math.log(w / target)) for w in known if w is not None and target is not None),
        default=math.inf,
    )


def lacking_bands(wanted: Sequence[str], available: Sequence[str]) -> tuple[str, ...]:
    """Bands for which none of an image can stand; no band stands for two.

    Args:
        wanted: Bands of a finder.
        available: Bands of the image.
    """
    nearest: dict[str, tuple[float, str]] = {}
    lacking = []
    for band in wanted:
        distance, there = min((band_distance(band, (one,)), one) for one in available)
        if distance > FAR:
            lacking.append(band)
        elif there not in nearest:
            nearest[there] = (distance, band)
        else:
            nearer, farther = sorted([nearest[there], (distance, band)])
            nearest[there] = nearer
            lacking.append(farther[1])
    return tuple(lacking)


def lacking_band(wanted: Sequence[str], available: Sequence[str]) -> str | None:
    """The one band of several that an image lacks; None where it lacks none, or more."""
    lacking = lacking_bands(wanted, available)
    return lacking[0] if len(lacking) == 1 < len(wanted) else None


def nearest_band(wanted: str, available: Sequence[str]) -> int | None:
    """Index of the band that is the wanted one or has the nearest effective wavelength.

    Args:
        wanted: Band that a finder was trained on.
        available: Bands there are; "" is a band that nobody names.

    Returns:
        The index. A single band without a known wavelength counts as nearest; None where several
        bands are there and no wavelength is known.
    """
    if wanted in available:
        return available.index(wanted)
    target = wavelength(wanted)
    known = {index: wavelength(band) for index, band in enumerate(available)}
    distances = {
        index: abs(math.log(value / target))
        for index, value in known.items()
        if value is not None and target is not None
    }
    if distances:
        return min(distances, key=distances.__getitem__)
    same = [index for index, band in enumerate(available) if band and is_same_filter(band, wanted)]
    if len(same) == 1:
        return same[0]
    return 0 if len(available) == 1 else None
