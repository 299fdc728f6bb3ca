"""Colours of galaxy types by redshift: known colours, laws, and what is refused."""

import dataclasses

import numpy as np
import pytest

from stronglens.core.errors import OutOfRangeError, UnknownNameError
from stronglens.surveys import survey, surveys
from stronglens.surveys.colours import (
    colour_table,
    equivalent_band,
    magnitude_offset,
    template_names,
)

REDSHIFTS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0])
PASSIVE = {
    "g": (1.17, 1.84, 2.27, 2.66, 3.09, 3.60, 4.75, 5.76),
    "r": (0.26, 0.24, 0.47, 0.84, 1.24, 1.63, 2.34, 3.02),
    "i": (-0.27, -0.18, -0.12, -0.02, 0.14, 0.36, 0.95, 1.62),
}
"""m - M_r - DM of a 10 Gyr solar burst, fitted to the lenses that Collett 2015 published."""


def colour(template, blue, red, z=0.0):
    return magnitude_offset(template, blue, z) - magnitude_offset(template, red, z)


@pytest.mark.parametrize("name", [name for name in surveys.names() if name != "lsst-deck"])
def test_every_band_of_every_survey_has_colours(name):
    for band in survey(name).bands:
        offset = magnitude_offset("sbc", band.name, 0.5)
        assert np.isfinite(offset)
        assert equivalent_band(band) == band.name


@pytest.mark.parametrize(
    # g is the rest-frame ultraviolet, where editions of the model differ
    ("band", "tolerance"),
    [("g", 0.45), ("r", 0.3), ("i", 0.12)],
)
def test_a_passive_galaxy_is_that_of_the_published_lenses(band, tolerance):
    offsets = magnitude_offset("passive", f"kids-{band}", REDSHIFTS)
    np.testing.assert_allclose(offsets, PASSIVE[band], atol=tolerance)


@pytest.mark.parametrize("template", ["passive", "elliptical"])
def test_nearby_ellipticals_have_their_known_colour(template):
    # g - r = 0.77 for an E at rest (Fukugita et al. 1995); two other spectra, hence 0.1
    assert colour(template, "kids-g", "kids-r") == pytest.approx(0.77, abs=0.1)


def test_the_reference_is_rest_frame_r():
    for template in template_names():
        assert magnitude_offset(template, "kids-r", 0.0) == pytest.approx(0.0, abs=1e-3)


def test_types_go_from_red_to_blue():
    names = template_names()
    assert names[0] == "passive"
    for z in (0.0, 0.5, 1.0):
        colours = [colour(name, "lsst-g", "lsst-i", z) for name in names]
        assert (np.diff(colours) < 0.05).all()
    assert colour("starburst", "lsst-g", "lsst-r", 1.5) < 0.2


def test_filters_of_one_kind_agree_between_surveys():
    for template in template_names():
        for name in "gri":
            one = magnitude_offset(template, f"lsst-{name}", REDSHIFTS)
            for other in ("des", "hsc", "ps1"):
                two = magnitude_offset(template, f"{other}-{name}", REDSHIFTS)
                np.testing.assert_allclose(one, two, atol=0.35)


@pytest.mark.parametrize(("hst", "near"), [("hst-f814w", "lsst-i"), ("hst-f160w", "euclid-h")])
def test_filters_of_hubble_agree_with_their_neighbours(hst, near):
    for template in template_names():
        one, two = (magnitude_offset(template, band, REDSHIFTS) for band in (hst, near))
        # F814W reaches into z and F160W is bluer than H: old galaxies differ by a few tenths
        np.testing.assert_allclose(one, two, atol=0.6)


def test_light_beyond_the_lyman_limit_is_gone():
    for template in ("irregular", "starburst"):
        seen = magnitude_offset(template, "lsst-g", [2.0, 5.5])
        assert seen[1] - seen[0] > 4.0
        assert abs(np.diff(magnitude_offset(template, "lsst-z", [2.0, 5.5]))[0]) < 3.0


def test_the_table_is_fine_enough_to_interpolate():
    offsets = colour_table().offsets
    seen = offsets < 8.0
    bend = np.abs(np.diff(offsets, n=2, axis=-1)) / 8.0  # error of a chord half-way
    assert np.quantile(bend[seen[..., 2:] & seen[..., :-2]], 0.99) < 0.01
    # where the Lyman limit enters a filter
    assert bend[seen[..., 2:] & seen[..., :-2]].max() < 0.25


@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (0,)])
def test_offsets_have_the_shape_of_the_redshifts(shape):
    assert magnitude_offset("scd", "euclid-vis", np.full(shape, 0.7, np.float32)).shape == shape


@pytest.mark.parametrize("z", [-0.1, 6.01, float("nan"), [0.5, 7.0]])
def test_a_redshift_outside_the_table_is_refused(z):
    with pytest.raises(OutOfRangeError, match="is outside 0-6"):
        magnitude_offset("scd", "lsst-g", z)


def test_an_unknown_type_or_band_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"galaxy template 'sbd'\. Did you mean 's"):
        magnitude_offset("sbd", "lsst-g", 0.1)
    with pytest.raises(UnknownNameError, match=r"band with colours 'lsst-h'\. Did you"):
        magnitude_offset("sbc", "lsst-h", 0.1)


def test_a_band_of_ones_own_takes_the_colours_of_the_nearest():
    own = dataclasses.replace(survey("des-dr2").bands[0], name="mine-b", wavelength=1600.0)
    assert equivalent_band(own) == "roman-f158"
    with pytest.raises(OutOfRangeError, match="band 'mine-b' has no wavelength"):
        equivalent_band(dataclasses.replace(own, wavelength=None))
