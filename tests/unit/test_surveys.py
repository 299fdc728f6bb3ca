"""Depths by hand, and a survey of one's own as a file."""

import dataclasses
import math

import numpy as np
import pytest

from stronglens.core.errors import (
    MissingDataError,
    OutOfRangeError,
    UnknownNameError,
    UnreadableFileError,
)
from stronglens.surveys import (
    Band,
    PublishedDepth,
    Survey,
    limiting_magnitude,
    read_survey,
    survey,
    with_pixel_scale,
    write_survey,
)
from stronglens.surveys.depth import noise_pixels
from stronglens.surveys.survey import exposure_zero_point

BAND = Band(
    name="mine-r",
    pixel_scale=0.25,
    zero_point=30.0,
    exposure_time=300.0,
    n_exposures=4,
    sky_brightness=21.0,
    gain=2.0,
    read_noise=5.0,
    psf_fwhm=1.0,
    psf_fwhm_scatter=0.1,
)
MINE = Survey(name="mine", description="one of mine", bands=(BAND,), citation="me")


@pytest.fixture
def written(tmp_path):
    """A file of MINE, and a function that changes its text."""
    path = tmp_path / "mine.toml"
    write_survey(MINE, path)

    def change(old, new):
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return path

    return change


def test_a_well_sampled_gaussian_spreads_noise_over_four_pi_sigma_squared():
    fine = dataclasses.replace(BAND, pixel_scale=0.02)
    sigma = 1.0 / 2.3548 / 0.02
    assert noise_pixels(fine) == pytest.approx(4.0 * math.pi * sigma**2, rel=2e-3)


def test_moffat_wings_spread_noise_further():
    fine = dataclasses.replace(BAND, pixel_scale=0.05, psf_beta=3.0)
    core = 20.0 / (2.0 * math.sqrt(2.0 ** (1.0 / 3.0) - 1.0))
    # (2 beta - 1) / (beta - 1)^2 = 5 / 4; half a percent of the light lies outside the sum
    assert noise_pixels(fine) == pytest.approx(math.pi * core**2 * 1.25, rel=0.01)


def test_a_point_on_large_pixels_needs_little_more_than_one():
    sigma = 0.05 / 2.3548
    # phase-averaged sum of squares along one axis, for a Gaussian in a box
    line = math.erf(0.5 / (2 * sigma)) - 2 * sigma / (0.5 * math.sqrt(math.pi))
    coarse = dataclasses.replace(BAND, pixel_scale=0.5, psf_fwhm=0.05)
    assert noise_pixels(coarse) == pytest.approx(line**-2, rel=0.01)


def test_depth_in_an_aperture_is_the_ccd_equation():
    sky = 10.0 ** (0.4 * (30.0 - 21.0)) * 0.25**2 * 2.0
    noise = math.sqrt((sky + 25.0) / 4.0 * math.pi * 16.0) / 2.0
    limit = 30.0 - 2.5 * math.log10(10.0 * noise)
    assert limiting_magnitude(BAND, 10.0, aperture=2.0) == pytest.approx(limit, abs=1e-9)


def test_noise_scale_costs_its_magnitude_and_correlation_none():
    noisy = dataclasses.replace(BAND, noise_scale=2.0, noise_correlation=0.3)
    lost = limiting_magnitude(BAND) - limiting_magnitude(noisy)
    assert lost == pytest.approx(2.5 * math.log10(2.0), abs=1e-9)


def test_the_unit_of_an_image_does_not_change_its_depth():
    other = dataclasses.replace(BAND, zero_point=30.0 - 2.5 * math.log10(4.0), gain=8.0)
    assert limiting_magnitude(other) == pytest.approx(limiting_magnitude(BAND), abs=1e-9)


@pytest.mark.parametrize("wrong", [{"n_sigma": 0.0}, {"aperture": -1.0}])
def test_a_limit_of_nothing_is_refused(wrong):
    with pytest.raises(OutOfRangeError, match="is not above 0"):
        limiting_magnitude(BAND, **wrong)


def test_zero_point_of_an_exposure_counts_its_electrons():
    assert exposure_zero_point(25.0, 400.0, 4.0) == pytest.approx(30.0)


def test_a_written_survey_reads_back_the_same(tmp_path):
    depth = PublishedDepth(25.0, "guess", n_sigma=10.0, aperture=2.0)
    rich = dataclasses.replace(
        BAND, psf_beta=3.0, depth_published=depth, sources={"gain": "headers"}, saturation=1e5
    )
    other = dataclasses.replace(MINE, bands=(rich, dataclasses.replace(BAND, name="mine-i")))
    write_survey(other, tmp_path / "rich.toml")
    assert read_survey(tmp_path / "rich.toml") == other


def test_a_path_stands_for_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_survey(MINE, "mine.toml")
    assert survey("mine.toml") == MINE
    with pytest.raises(UnknownNameError, match=r"unknown survey 'lsst-y11'\. Did you mean"):
        survey("lsst-y11")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gain = 2.0", "gian = 2.0", r"bands\.0\.gian: .*Keys of bands: name, pixel_scale"),
        ("gain = 2.0\n", "", r"bands\.0\.gain: Field required.*Keys of bands"),
        ("gain = 2.0", "gain = 0.0", r"bands\.0\.gain: .*greater than 0 \(got 0\.0\)"),
        ("gain = 2.0", "gain = nan", r"bands\.0\.gain: .*finite number"),
        ("gain = 2.0", 'gain = "high"', r"bands\.0\.gain: .*valid number.*'high'"),
        ("n_exposures = 4", "n_exposures = 0", r"bands\.0\.n_exposures: .*equal to 1"),
        ('kind = "ground"', 'kind = "moon"', r"kind: .*'ground' or 'space' \(got 'moon'\)"),
        ('citation = "me"\n', "", r"citation: Field required\. Keys of survey: name, desc"),
        ("noise_correlation = 0.0", "noise_correlation = 0.5", r"less than 0\.5"),
        ("psf_fwhm = 1.0", "psf_fwhm = 1.0\npsf_beta = 1.0", r"psf_beta: .*greater than 1"),
    ],
)
def test_a_fault_is_named_with_file_key_and_what_is_allowed(written, old, new, message):
    path = written(old, new)
    with pytest.raises(OutOfRangeError, match=message) as caught:
        read_survey(path)
    assert str(caught.value).startswith(f"{path} does not describe a survey: ")


def test_every_fault_is_named_at_once(written):
    written("gain = 2.0", "gain = -1.0")
    path = written("pixel_scale = 0.25", "pixel_scale = -1.0")
    with pytest.raises(OutOfRangeError, match=r"pixel_scale.*gain"):
        read_survey(path)


def test_two_bands_of_one_name_are_refused(tmp_path):
    write_survey(dataclasses.replace(MINE, bands=(BAND, BAND)), tmp_path / "twice.toml")
    with pytest.raises(OutOfRangeError, match="more than one band named mine-r"):
        read_survey(tmp_path / "twice.toml")


def test_a_survey_without_bands_is_refused(tmp_path):
    (tmp_path / "none.toml").write_text('name="a"\ndescription=""\ncitation=""\nbands=[]\n')
    with pytest.raises(OutOfRangeError, match=r"bands: .*at least 1"):
        read_survey(tmp_path / "none.toml")


def test_a_file_that_is_missing_or_no_toml_is_refused(tmp_path):
    with pytest.raises(MissingDataError, match=r"away\.toml is not a file"):
        survey(str(tmp_path / "away.toml"))
    (tmp_path / "broken.toml").write_text("bands = [")
    with pytest.raises(UnreadableFileError, match=r"broken\.toml is not valid TOML"):
        read_survey(tmp_path / "broken.toml")


def test_a_kernel_is_looked_for_beside_the_file(written, tmp_path):
    path = written("psf_fwhm = 1.0", 'psf_fwhm = 1.0\npsf_kernel = "psf.npy"')
    with pytest.raises(MissingDataError, match=r"psf_kernel='psf\.npy' of mine-r is not there"):
        read_survey(path)
    np.save(tmp_path / "psf.npy", np.ones((3, 3)) / 9.0)
    assert read_survey(path).bands[0].psf_kernel == str(tmp_path / "psf.npy")
    path = written("psf.npy", "psf.pickle")
    with pytest.raises(OutOfRangeError, match=r"ends in none of \.fits"):
        read_survey(path)


@pytest.mark.parametrize("name", ["hst-acs-f814w", "kids-dr4", "euclid-nisp"])
@pytest.mark.parametrize("factor", [0.7, 1.0, 1.4])
def test_other_pixels_leave_the_depth(name: str, factor: float) -> None:
    seen = survey(name)
    other = with_pixel_scale(seen, factor * seen.bands[0].pixel_scale)
    for band, resampled in zip(seen.bands, other.bands, strict=True):
        assert resampled.pixel_scale == pytest.approx(factor * seen.bands[0].pixel_scale)
        limits = limiting_magnitude(band, aperture=2.0), limiting_magnitude(resampled, aperture=2.0)
        assert limits[1] == pytest.approx(limits[0], abs=0.02)


def test_pixels_wider_than_the_psf_are_refused() -> None:
    with pytest.raises(OutOfRangeError, match="does not suit hst-f814w"):
        with_pixel_scale(survey("hst-acs-f814w"), 0.5)
