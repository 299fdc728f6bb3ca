"""Survey numbers against the tables of surveycodex, where it is installed."""

import math

import pytest

from stronglens.surveys import survey

surveycodex = pytest.importorskip("surveycodex")

ENTRIES = {
    "des-dr2": "DES",
    "hsc-pdr3": "HSC",
    "cfhtls": "CFHTLS",
    "ps1": "PanSTARRS",
    "lsst-y10": "LSST",
    "euclid-vis": "Euclid_VIS",
    "euclid-nisp": "Euclid_NISP",
    "roman-hlwas": "Roman_WFI",
    "hst-acs-f814w": "COSMOS",
}
PER_EXPOSURE = ("Euclid_VIS", "Euclid_NISP")
"""Entries whose exposure time is that of one dither of four."""


def filter_of(entry, band):
    """The filter of an entry that a band of ours is."""
    ours = band.name.rpartition("-")[2]
    names = {"euclid-vis": "IE", "euclid-y": "YE", "euclid-j": "JE", "euclid-h": "HE"}
    names |= {"des-y": "Y", "roman-" + ours: ours.upper()}
    return entry.get_filter(names.get(band.name, ours))


@pytest.mark.parametrize("name", ENTRIES)
def test_numbers_are_those_of_surveycodex(name):
    entry = surveycodex.get_survey(ENTRIES[name])
    for band in survey(name).bands:
        theirs = filter_of(entry, band)
        rate = band.zero_point - 2.5 * math.log10(band.exposure_time / band.gain)
        whole = 1 if ENTRIES[name] in PER_EXPOSURE else band.n_exposures
        ours = {
            "pixel_scale": (band.pixel_scale, entry.pixel_scale),
            "gain": (band.gain, entry.gain),
            "psf_fwhm": (band.psf_fwhm, theirs.psf_fwhm),
            "sky_brightness": (band.sky_brightness, theirs.sky_brightness),
            "zero_point": (rate, theirs.zeropoint),
            "exposure_time": (band.exposure_time * whole, theirs.full_exposure_time),
            "wavelength": (band.wavelength, theirs.effective_wavelength),
        }
        for field, (value, quantity) in ours.items():
            assert value == pytest.approx(float(quantity.value), rel=1e-9), (band.name, field)
