"""What is measured from synthetic tiles is what they were made with."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.io import fits
from tile_toys import PIXEL_SCALE, ZERO_POINT, Sky, build_tile

from stronglens.core.errors import MissingDataError, WrongShapeError
from stronglens.data.detections import detect, without_background
from stronglens.data.measure import completed, measure_survey
from stronglens.data.sky_noise import MAX_LAG, measure_sky_noise
from stronglens.data.star_psf import fit_moffat, measure_psf
from stronglens.simulation.noise import NoiseModel, noise_variance
from stronglens.surveys.custom import read_survey

SKIES = {
    "white": Sky(),
    "smoothed": Sky(fwhm=1.2, beta=2.5, g1=0.05, g2=-0.03, side=0.15),
    "sharpened": Sky(fwhm=0.7, beta=3.5, side=-0.05, height=450, width=340),
}


@pytest.fixture(scope="module", params=SKIES)
def case(request):
    """What a tile was made with and what was measured."""
    sky = SKIES[request.param]
    return sky, measure_survey(build_tile(sky)[0])


def test_psf_width_and_ellipticity_are_recovered(case):
    sky, measured = case
    for k, band in enumerate(measured.bands):
        assert band.psf.fwhm == pytest.approx(sky.fwhm * 1.1**k, rel=0.03)
        assert band.psf.beta == pytest.approx(sky.beta, rel=0.25)
        # GalSim's g is (1 - q) / (1 + q), as ours
        np.testing.assert_allclose((band.psf.e1, band.psf.e2), (sky.g1, sky.g2), atol=0.01)
        assert band.psf.n_stars > 15


def test_kernel_is_the_psf_as_the_pixels_see_it(case):
    sky, measured = case
    for k, band in enumerate(measured.bands):
        n = band.psf.kernel.shape[0]
        truth = sky.psf(k).drawImage(nx=n, ny=n, scale=PIXEL_SCALE).array
        assert n % 2 == 1
        assert band.psf.kernel.sum() == pytest.approx(1.0, abs=1e-5)
        # 1 % by stars of S/N in the hundreds, and 2 % at two pixels across by moving them
        assert np.abs(band.psf.kernel - truth / truth.sum()).sum() < 0.04


def test_noise_and_its_correlation_are_recovered(case):
    sky, measured = case
    for band in measured.bands:
        correlation = band.noise.correlation
        assert band.noise.rms == pytest.approx(sky.rms, rel=0.02)
        assert correlation[MAX_LAG, MAX_LAG] == 1.0
        for lag in (correlation[MAX_LAG, MAX_LAG + 1], correlation[MAX_LAG + 1, MAX_LAG]):
            assert lag == pytest.approx(sky.lag_one(), abs=0.02)
        np.testing.assert_allclose(correlation, correlation[::-1, ::-1], atol=1e-9)
        assert np.abs(correlation[0]).max() < 0.02


def test_blocks_scatter_as_the_sum_of_the_covariance_says(case):
    sky, measured = case
    expected = (1 + 2 * sky.side) ** 2 / (1 + 2 * sky.side**2)
    for band in measured.bands:
        # some 1000 blocks give 3 %, and blocks of ten pixels end before the noise does
        assert band.noise.block_ratio == pytest.approx(expected, rel=0.1)


def test_power_spectrum_has_the_variance_as_its_mean(case):
    _, measured = case
    noise = measured.bands[0].noise
    power = noise.power(40, 64)
    assert power.shape == (40, 64)
    assert power.min() >= 0
    assert power.mean() == pytest.approx(noise.rms**2)


def test_sky_and_gain_give_the_measured_rms(case):
    _, measured = case
    for band in measured.bands:
        facts = band.to_band_facts()
        names = ("gain", "read_noise", "sky_brightness", "zero_point", "pixel_scale")
        noise = NoiseModel(**{name: facts[name] for name in names})
        variance = noise_variance(torch.zeros(1, 2, 2), noise, facts["n_exposures"])
        assert float(variance[0, 0, 0]) ** 0.5 == pytest.approx(band.noise.rms, rel=1e-5)


def test_written_survey_is_read_again(case, tmp_path):
    _, measured = case
    survey = read_survey(measured.write(tmp_path / "new"))
    assert [band.name for band in survey.bands] == ["kids-r", "kids-g"]
    for band, facts in zip(survey.bands, measured.bands, strict=True):
        assert band.psf_fwhm == facts.psf.fwhm
        assert band.zero_point == ZERO_POINT
        np.testing.assert_array_equal(fits.getdata(band.psf_kernel), facts.psf.kernel)
        assert set(band.sources) >= {"gain", "psf_fwhm", "sky_brightness"}
    covariance = fits.getdata(tmp_path / "new" / "noise_kids-g.fits")
    np.testing.assert_array_equal(covariance, measured.bands[1].noise.covariance)


@pytest.mark.parametrize("gain", [20.0, 60.0])
def test_gain_is_estimated_from_bright_galaxies(gain):
    sky = Sky(gain=gain, galaxy_flux=20000.0, r_eff=2.0)
    band = measure_survey(build_tile(sky, bands=("r",))[0]).bands[0]
    assert band.gain_source.startswith("photon noise")
    # stated as good to a factor of 2; smooth galaxies do better than that
    assert band.gain == pytest.approx(gain, rel=0.4)


def test_gain_that_cannot_be_seen_is_said_to_be_assumed():
    band = measure_survey(build_tile(Sky(), bands=("r",))[0]).bands[0]
    assert band.gain_source.startswith("assumed")
    assert band.sky_brightness == pytest.approx(21.2)


def test_gain_of_the_header_wins():
    tile, _, _ = build_tile(Sky(gain=20.0), gain=np.array([7.0, 9.0]))
    measured = measure_survey(tile)
    assert [band.gain for band in measured.bands] == [7.0, 9.0]
    assert measured.bands[0].gain_source == "header of the tile"


def test_sky_level_is_measured_and_removed():
    tile, _, _ = build_tile(Sky(), bands=("r",))
    band = measure_survey(replace(tile, flux=tile.flux + np.float32(100))).bands[0]
    assert band.noise.level == pytest.approx(100.0, abs=0.05)
    assert band.noise.rms == pytest.approx(0.5, rel=0.02)


def test_kernel_of_the_tile_is_kept():
    sky = Sky(n_stars=0)
    kernel = sky.psf().drawImage(nx=25, ny=31, scale=PIXEL_SCALE).array[None]
    tile, _, _ = build_tile(sky, bands=("r",), psf=kernel / kernel.sum())
    band = measure_survey(tile).bands[0]
    assert band.psf.n_stars == 0
    assert band.psf.fwhm == pytest.approx(sky.fwhm, rel=0.01)
    assert band.psf.kernel.shape == (25, 25)


def test_completed_tile_has_psf_gain_and_ivar():
    tile, _, _ = build_tile(Sky())
    tile = replace(tile, mask=tile.mask | (np.arange(tile.width) < 9))
    measured = measure_survey(tile)
    full = completed(without_background(tile), measured)
    assert full.psf.shape[0] == 2
    np.testing.assert_allclose(full.psf.sum((1, 2)), 1, atol=1e-5)
    assert (full.ivar[:, :, :9] == 0).all()
    sky = np.median(full.ivar[:, :, 9:], axis=(1, 2))
    np.testing.assert_allclose(sky**-0.5, [b.noise.rms for b in measured.bands], rtol=0.05)


def test_too_few_stars_are_counted():
    tile, _, _ = build_tile(Sky(n_stars=2, n_galaxies=10), bands=("r",))
    with pytest.raises(MissingDataError, match=r"stars of tile toy .*at least 3 .*PSF file"):
        measure_survey(tile)


def test_kernel_size_can_be_chosen_and_is_odd():
    tile, _, _ = build_tile(Sky(), bands=("r",))
    found = detect(tile)
    assert measure_psf(without_background(tile), 0, found, size=17).kernel.shape == (17, 17)
    with pytest.raises(WrongShapeError, match="size=18"):
        measure_psf(tile, 0, found, size=18)


def test_neighbours_are_not_part_of_the_psf():
    tile, stars, _ = build_tile(Sky(n_galaxies=0), bands=("r",))
    plain = measure_psf(without_background(tile), 0, detect(tile))
    flux = tile.flux.copy()
    for k, (x, y) in enumerate(stars.round().astype(int)):
        across = x + 13 - 26 * (k % 2)
        flux[0, y - 3 : y + 4, max(across - 3, 0) : across + 4] += flux[0, y, x] / 12
    crowded = replace(tile, flux=flux)
    found = measure_psf(without_background(crowded), 0, detect(crowded))
    assert found.fwhm == pytest.approx(plain.fwhm, rel=0.02)
    # unmasked, the neighbours would hold a third of the light
    assert np.abs(found.kernel - plain.kernel).sum() < 0.05


def test_sky_without_free_pixels_is_refused():
    image = np.zeros((30, 40), np.float32)
    with pytest.raises(MissingDataError, match="0 pixels of the tile are free"):
        measure_sky_noise(image, image, np.zeros((30, 40), bool))


def test_moffat_fit_is_exact_for_a_moffat():
    sky = Sky(fwhm=0.75, beta=2.5, g1=-0.08, g2=0.1)
    kernel = sky.psf().drawImage(nx=35, ny=35, scale=PIXEL_SCALE).array.astype(np.float64)
    fwhm, beta, e1, e2 = fit_moffat(kernel)
    # five sub-pixels a side integrate this profile to about 1e-3
    assert fwhm * PIXEL_SCALE == pytest.approx(0.75, rel=5e-3)
    assert beta == pytest.approx(2.5, rel=0.02)
    np.testing.assert_allclose((e1, e2), (-0.08, 0.1), atol=2e-3)
