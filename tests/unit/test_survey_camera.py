"""A survey's camera makes the noise and the PSF that were measured."""

import dataclasses

import numpy as np
import pytest
import torch
from astropy.io import fits

from stronglens.core.errors import MissingDataError, UnreadableFileError
from stronglens.data.measure import read_centred
from stronglens.data.sky_noise import measure_sky_noise
from stronglens.simulation.measured_psf import psf_correction
from stronglens.simulation.psf import moffat_kernel
from stronglens.simulation.render import Grid, observe_noiseless
from stronglens.simulation.survey_camera import SurveyCamera
from stronglens.surveys import Band, Survey, read_survey, write_survey

BAND = Band(
    name="mine-r", pixel_scale=0.3, zero_point=27.0, exposure_time=100.0, n_exposures=1,
    sky_brightness=21.0, gain=3.0, read_noise=0.0, psf_fwhm=0.8, psf_fwhm_scatter=0.0,
    psf_beta=2.5, wavelength=620.0,
)  # fmt: skip
FIELD = (4, 1, 120, 150)


def camera(*bands):
    survey = Survey(name="mine", description="toy", bands=bands, citation="none")
    return SurveyCamera(survey, bands, 27.0, None)


def noise_of(own, shape=FIELD, factor=1.0):
    view = own.draw_view(1, 0, np.full(shape[0], "lens"))
    return own.noise(torch.zeros(shape[0], len(own.bands), *shape[2:]), view, (1, 0)) / factor


def test_noise_has_the_measured_covariance_and_the_ccd_equations_variance(tmp_path):
    line = np.array([0.03, -0.05, 1.0, -0.05, 0.03])
    covariance = 1e-8 * np.outer(line, line)
    np.save(tmp_path / "noise.npy", covariance)
    own = camera(dataclasses.replace(BAND, noise_covariance=str(tmp_path / "noise.npy")))
    noise = noise_of(own)[:, 0].numpy()
    view = own.draw_view(1, 0, np.full(4, "lens"))
    variance = float(own.variance(torch.zeros(4, 1, 2, 2), view)[0, 0, 0, 0])
    # 72,000 pixels: the variance is good to 0.5 %, a correlation to 0.004
    assert noise.var() == pytest.approx(variance, rel=0.02)
    for lag, wanted in ((1, -0.05), (2, 0.03), (4, 0.0)):
        along = (noise[:, :, lag:] * noise[:, :, :-lag]).mean() / noise.var()
        assert along == pytest.approx(wanted, abs=0.015)


def test_what_pixels_far_apart_share_is_a_level_of_the_image(tmp_path):
    line = np.array([0.0, 0.1, 1.0, 0.1, 0.0])
    np.save(tmp_path / "noise.npy", 0.9 * np.outer(line, line) + 0.1)
    own = camera(dataclasses.replace(BAND, noise_covariance=str(tmp_path / "noise.npy")))
    noise = noise_of(own, (1500, 1, 21, 30))[:, 0].numpy()
    noise /= noise.std()
    # five errors of 1,500 levels, whose variance is good to 0.004
    for lag in (3, 20):
        assert (noise[:, :, lag:] * noise[:, :, :-lag]).mean() == pytest.approx(0.1, abs=0.02)
    assert (noise[:, 1:] * noise[:, :-1]).mean() == pytest.approx(0.19, abs=0.02)


def test_neighbours_can_be_anticorrelated():
    noise = noise_of(camera(dataclasses.replace(BAND, noise_correlation=-0.07)))[:, 0]
    measured = (noise[:, 1:] * noise[:, :-1]).mean() / noise.var()
    assert float(measured) == pytest.approx(-0.07, abs=0.015)


def test_depth_varies_from_image_to_image_as_stated():
    scattered = dataclasses.replace(BAND, noise_scatter=0.12)
    own, n = camera(scattered, dataclasses.replace(scattered, name="mine-g")), 4000
    view = own.draw_view(1, 0, np.full(n, "lens"))
    depth = np.log(view.jitter.noise_factor)
    # five errors of 4,000 draws
    np.testing.assert_allclose(depth.std(axis=0), 0.12, rtol=0.06)
    assert np.corrcoef(depth.T)[0, 1] == pytest.approx(0.5, abs=0.06)
    # what was drawn before is still the same
    plain = camera(BAND, dataclasses.replace(BAND, name="mine-g"))
    without = plain.draw_view(1, 0, np.full(n, "lens"))
    np.testing.assert_array_equal(view.psf_fwhm, without.psf_fwhm)
    np.testing.assert_array_equal(without.jitter.noise_factor, 1.0)


@pytest.mark.parametrize("step", [1, 3, 5])
def test_a_measured_psf_is_what_stars_look_like(tmp_path, step):
    wide, narrow = (
        moffat_kernel(torch.tensor([fwhm]), torch.tensor([2.5]), 0.06, 155)[0].numpy()
        for fwhm in (1.1, 0.75)
    )
    # pixels of five sub-pixels: a coadd of two nights that no Moffat profile fits
    kernel = (0.3 * wide + 0.7 * narrow).reshape(31, 5, 31, 5).sum(axis=(1, 3))
    fits.writeto(tmp_path / "psf.fits", kernel)
    middle = kernel[10:21, 10:21] / kernel.sum()
    measured = star(dataclasses.replace(BAND, psf_kernel=str(tmp_path / "psf.fits")), step)
    error, before = (np.abs(seen - middle).max() for seen in (measured, star(BAND, step)))
    # light cut off at four widths, and the pixels' second widening of the correction
    assert error < 0.025 * middle.max()
    assert error < 0.4 * before


def star(band, step):
    """A point of light in the middle of a pixel, as the camera sees it."""
    own = camera(band)
    view = own.draw_view(1, 0, np.full(1, "lens"))
    fine = own.kernels(view, slice(None), 0.3 / step)[0]
    grid = Grid(11, 11, 0.3, step, padding=4)
    light = torch.zeros(1, *grid.fine_shape)
    light[0, grid.fine_shape[0] // 2, grid.fine_shape[1] // 2] = 1.0
    return observe_noiseless(light, fine, grid)[0].numpy()


def test_a_kernel_that_is_the_formula_needs_no_correction():
    formula = moffat_kernel(torch.tensor([0.8]), torch.tensor([2.5]), 0.3, 25)[0].numpy()
    correction = psf_correction(formula, (0.8, 2.5), (0.3, 0.3), 25)
    assert float(correction.abs().max()) < 1e-6
    # and neither side of the kernel need be that of the formula
    cut = psf_correction(formula[2:-2], (0.8, 2.5), (0.3, 0.15), 51)
    assert cut.shape == (51, 51)
    assert float(cut.sum()) == pytest.approx(0.0, abs=1e-5)


def test_files_of_a_survey_are_looked_for_beside_it(tmp_path):
    band = dataclasses.replace(BAND, noise_covariance="noise.npy")
    survey = Survey(name="mine", description="toy", bands=(band,), citation="none")
    write_survey(survey, tmp_path / "mine.toml")
    with pytest.raises(MissingDataError, match=r"noise_covariance='noise\.npy' of mine-r is not"):
        read_survey(tmp_path / "mine.toml")
    np.save(tmp_path / "noise.npy", np.ones((3, 3)))
    (read,) = read_survey(tmp_path / "mine.toml").bands
    assert read.noise_covariance == str(tmp_path / "noise.npy")


@pytest.mark.parametrize(
    "values", [np.ones((4, 3)), np.zeros((3, 3)), np.ones(3), np.full((3, 3), np.nan)]
)
def test_what_is_no_kernel_is_refused(tmp_path, values):
    np.save(tmp_path / "bad.npy", values)
    with pytest.raises(UnreadableFileError, match="neither a PSF nor a noise covariance"):
        read_centred(tmp_path / "bad.npy")
    (tmp_path / "bad.fits").write_bytes(b"no FITS")
    with pytest.raises(UnreadableFileError, match="no FITS or npy file"):
        read_centred(tmp_path / "bad.fits")


@pytest.mark.parametrize("scatter", [0.0, 0.15])
def test_scatter_of_the_depth_is_measured(scatter):
    rng = np.random.default_rng(2)
    depth = np.exp(scatter * rng.standard_normal((12, 14)))
    noise = rng.standard_normal((12 * 48, 14 * 48)) * np.kron(depth, np.ones((48, 48)))
    flux = noise.astype(np.float32)
    measured = measure_sky_noise(flux, flux, np.ones(flux.shape, bool))
    # 168 squares give the scatter to 6 %; clipped tails make it a little smaller
    assert measured.scatter == pytest.approx(scatter, rel=0.25, abs=0.006)
