"""Names of bands as files write them, and the nearest band."""

import pytest

from stronglens.data.filters import (
    WAVELENGTHS,
    band_name,
    family_in,
    filter_in,
    is_same_filter,
    nearest_band,
    wavelength,
)


@pytest.mark.parametrize(
    ("word", "band"),
    [
        ("g.MP9401", "cfhtls-g"),
        ("i.MP9702", "cfhtls-i2"),
        ("u.MP9302", "cfis-u"),
        ("DECAM_g", "des-g"),
        ("HSC-G", "hsc-g"),
        ("NIR_Y", "euclid-y"),
        ("VIS", "euclid-vis"),
        ("MEGACAM_u", "cfis-u"),
        ("OCAM_r_SDSS", "kids-r"),
        ("imageSDSS_R-100002", "sdss-r"),
        ("imageEUC_VIS-100003", "euclid-vis"),
        ("F814W", "hst-f814w"),
        ("F444W", "jwst-f444w"),
        ("lsst-g", "lsst-g"),
        ("i.00000", "i"),
        ("CLEAR1L", ""),
        ("SDSSJ0143-1006", ""),
    ],
)
def test_band_is_read_from_what_files_write(word, band):
    name = band_name(filter_in([word]), family_in([word]))
    assert name == band
    assert not band or wavelength(name) is not None


def test_first_telling_word_wins():
    assert filter_in(["CLEAR1L", "F814W", "r"]) == "f814w"
    assert filter_in(["candidate_H_12"], letters="UGRIZY") == ""


def test_space_filter_belongs_to_the_telescope_that_has_it():
    assert band_name("f814w", "jwst") == "hst-f814w"
    assert band_name("f150w", "hst") == "jwst-f150w"


@pytest.mark.parametrize("wanted", sorted(WAVELENGTHS))
def test_own_band_is_nearest(wanted):
    available = [*sorted(WAVELENGTHS, reverse=True)]
    assert available[nearest_band(wanted, available)] == wanted


def test_nearest_band_is_nearest_in_wavelength():
    assert nearest_band("lsst-g", ["cfhtls-i", "cfhtls-r", "cfhtls-g"]) == 2
    assert nearest_band("lsst-g", ["euclid-h", "euclid-vis", "euclid-y"]) == 1
    assert nearest_band("lsst-g", [""]) == 0
    assert nearest_band("lsst-g", ["", ""]) is None
    assert nearest_band("odd-filter", ["a", "b"]) is None


def test_bare_filter_means_that_of_any_survey():
    assert is_same_filter("g", "hsc-g")
    assert not is_same_filter("lsst-g", "hsc-g")
    assert not is_same_filter("g", "hsc-r")
