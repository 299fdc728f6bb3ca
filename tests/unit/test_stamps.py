"""Stamps of galaxies: what is kept of them, what is taken away, and how sharp they may be used."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from stamp_toys import (
    EMPTY,
    NEIGHBOUR,
    PSF_PIXELS,
    SCALE,
    SIGMA,
    STAR,
    WITH_NEIGHBOUR,
    truths,
    write_catalog,
)

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.data.stamp_cleaning import clean, cut_out, noise_gain
from stronglens.data.stamps import StampRules, psf_width, read_stamps, remaining_fwhm, size_scale
from stronglens.data.starlet import robust_sigma, starlet

GOOD = (0, 1, WITH_NEIGHBOUR, STAR)


@pytest.fixture(scope="module")
def stamps(tmp_path_factory):
    return read_stamps(write_catalog(tmp_path_factory.mktemp("stamps")))


def on_the_same_pixels(truth, size):
    """A truth with its centroid's pixel in the middle of a square, of unit flux."""
    row, column = (
        round(float((truth * index).sum() / truth.sum())) for index in np.indices(truth.shape)
    )
    square = np.zeros((3 * size, 3 * size))
    top, left = 3 * size // 2 - row, 3 * size // 2 - column
    square[top : top + truth.shape[0], left : left + truth.shape[1]] = truth / truth.sum()
    return square[size : 2 * size, size : 2 * size]


def test_good_stamps_come_in_order_with_their_facts(stamps):
    assert stamps.name == tuple(str(100 + k) for k in GOOD)
    np.testing.assert_array_equal(stamps.magnitude, [22.0 + k for k in GOOD])
    np.testing.assert_allclose(stamps.redshift, [1.0 + 0.1 * k for k in GOOD])
    np.testing.assert_array_equal(stamps.pixel_scale, SCALE)
    # area above half of the peak on a grid of tenths of pixels
    np.testing.assert_allclose(stamps.psf_fwhm, PSF_PIXELS * SCALE, rtol=0.02)


def test_images_have_one_odd_size_unit_flux_and_a_dark_rim(stamps):
    n, height, width = stamps.image.shape
    assert (n, height) == (len(stamps), width)
    assert height % 2 == 1
    np.testing.assert_allclose(stamps.image.sum(axis=(1, 2)), 1.0, rtol=1e-5)
    assert (stamps.image >= 0).all()
    rim = np.concatenate([stamps.image[:, [0, -1]].ravel(), stamps.image[:, :, [0, -1]].ravel()])
    assert rim.max() < 1e-3 * stamps.image.max(axis=(1, 2)).min()


def test_the_centroid_is_on_the_middle_pixel(stamps):
    middle = stamps.image.shape[1] // 2
    for image in stamps.image:
        for index in np.indices(image.shape):
            assert abs(float((image * index).sum()) - middle) <= 0.5 + 1e-4


def test_a_cleaned_galaxy_is_closer_to_the_truth_than_the_noisy_one(stamps):
    size = stamps.image.shape[1]
    for k, image in zip(GOOD, stamps.image, strict=True):
        truth = truths()[k]
        expected = on_the_same_pixels(truth, size)
        inside = expected > 0.05 * expected.max()
        error = np.sqrt(np.mean((image - expected)[inside] ** 2))
        # galaxies: 0.32 to 0.79 of the noise on average over twenty draws, at most 0.86
        assert k == STAR or error < 0.9 * SIGMA / truth.sum()
        # a star, sharper than any galaxy, leaves a faint halo
        lost = 0.08 if k == STAR else 0.04
        assert image[inside].sum() == pytest.approx(expected[inside].sum(), rel=lost)


def test_signal_to_noise_is_that_of_the_truth(stamps):
    expected = [np.sqrt((truths()[k] ** 2).sum()) / SIGMA for k in GOOD]
    np.testing.assert_allclose(stamps.snr, expected, rtol=0.03)


def test_a_neighbour_is_gone(stamps):
    row = GOOD.index(WITH_NEIGHBOUR)
    middle = stamps.image.shape[1] // 2
    at_neighbour = stamps.image[row, middle + 22, middle + 14]
    assert at_neighbour < 0.02 * NEIGHBOUR.max() / truths()[WITH_NEIGHBOUR].sum()


def test_a_neighbour_on_the_galaxy_is_replaced_by_the_other_side():
    truth = truths()[1]
    star = np.zeros_like(truth)
    star[46:49, 40:43] = 0.2
    noise = np.random.default_rng(2).normal(0, SIGMA, truth.shape)
    found = cut_out(truth + star + noise, 0.0, SIGMA**2)
    assert found.is_other[47, 41]
    gain = np.array([0.89, 0.2, 0.09])
    cleaned = clean(found, gain, 4.0)
    # three sigma, of the pixel on the other side
    assert abs(cleaned[47, 41] - truth[47, 41]) < 3 * SIGMA


def test_a_stamp_blurred_by_the_remaining_kernel_has_the_width_of_the_target(stamps):
    """Of a star, whose stamp is its PSF: 0.108 arcsec, and then 0.2 arcsec."""
    star = GOOD.index(STAR)
    assert psf_width(stamps.image[star].astype(float)) == pytest.approx(PSF_PIXELS, rel=0.05)
    rest = remaining_fwhm(stamps.psf_fwhm[[star]], np.ones(1), np.array([0.2]))
    blurred = gaussian_filter(stamps.image[star].astype(float), rest[0] / SCALE / 2.3548)
    # the tails of the star are cut by cleaning
    assert psf_width(blurred) * SCALE == pytest.approx(0.2, rel=0.03)


def test_a_stamp_cannot_be_sharpened():
    fwhm, ones = np.full(3, 0.11), np.ones(3)
    enlargement = np.array([1.0, 2.0, 0.5])
    with pytest.raises(OutOfRangeError, match=r"cannot be sharpened.*at least 0\.220 .*most 1\.36"):
        remaining_fwhm(fwhm, enlargement, 0.15 * ones)
    rest = remaining_fwhm(fwhm, enlargement, 0.7 * ones)
    np.testing.assert_allclose(rest**2 + (fwhm * enlargement) ** 2, 0.49)
    with pytest.raises(OutOfRangeError, match="cannot be sharpened"):
        remaining_fwhm(fwhm, enlargement * np.nan, ones)


def test_sizes_follow_the_angular_diameter_distance():
    from astropy.cosmology import FlatLambdaCDM

    z_stamp, z_source = np.array([0.5, 1.0, 2.0]), np.array([0.5, 2.5, 1.0])
    cosmology = FlatLambdaCDM(H0=70.0, Om0=0.3)
    distances = [cosmology.angular_diameter_distance(z).value for z in (z_stamp, z_source)]
    # radiation and the table of distances
    np.testing.assert_allclose(
        size_scale(z_stamp, z_source), distances[0] / distances[1], rtol=1e-3
    )


def test_rows_choose_stamps_and_a_part_of_a_record_is_one(tmp_path):
    some = read_stamps(write_catalog(tmp_path), rows=[STAR, 1])
    assert some.name == ("105", "101")
    assert some[1:].name == ("101",)
    assert some[[1, 0]].image.shape == some.image.shape
    assert len(some[np.array([True, False])]) == 1


def test_without_images_of_the_psf_the_width_is_that_of_the_rules(tmp_path):
    folder = write_catalog(tmp_path, with_psf=False, with_redshift=False)
    stamps = read_stamps(folder, StampRules(psf_fwhm=0.12))
    np.testing.assert_array_equal(stamps.psf_fwhm, 0.12)
    assert np.isnan(stamps.redshift).all()


def test_an_empty_stamp_is_never_kept(tmp_path):
    stamps = read_stamps(write_catalog(tmp_path), StampRules(min_snr=0.0))
    assert str(100 + EMPTY) not in stamps.name
    assert "102" in stamps.name


def test_a_cut_that_nothing_passes_names_the_best(tmp_path):
    with pytest.raises(OutOfRangeError, match=r"min_snr=5000.*whose best has \d+"):
        read_stamps(write_catalog(tmp_path), StampRules(min_snr=5000.0))


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(MissingDataError, match="holds no real_galaxy_catalog"):
        read_stamps(tmp_path)
    lacking = tmp_path / "column"
    lacking.mkdir()
    with pytest.raises(MissingDataError, match="lacks the columns NOISE_VARIANCE"):
        read_stamps(write_catalog(lacking, leave_out=("NOISE_VARIANCE",)))
    broken = tmp_path / "file"
    broken.mkdir()
    (write_catalog(broken) / "images.fits").unlink()
    with pytest.raises(MissingDataError, match=r"images\.fits' is named in the catalogue"):
        read_stamps(broken)


def test_noise_of_independent_pixels_has_the_gains_of_the_starlet():
    """0.889, 0.200, 0.086: Starck & Murtagh 2006; five standard errors of 60,000 pixels."""
    noise = np.random.default_rng(3).normal(0, SIGMA, (4, 120, 125))
    found = [cut_out(image, 0.0, SIGMA**2) for image in noise]
    np.testing.assert_allclose(noise_gain(found), [0.889, 0.200, 0.086], rtol=0.06)


def test_noise_needs_enough_sky():
    found = [cut_out(np.zeros((20, 20)), 0.0, SIGMA**2)]
    with pytest.raises(MissingDataError, match="only 400 pixels of sky"):
        noise_gain(found)


def test_the_planes_of_a_starlet_add_up_to_the_image():
    image = np.random.default_rng(1).normal(size=(33, 18))
    planes = starlet(image, 2)
    assert planes.shape == (3, 33, 18)
    np.testing.assert_allclose(planes.sum(axis=0), image, atol=1e-14)


def test_a_robust_sigma_ignores_outliers():
    values = np.random.default_rng(1).normal(0, 2.0, 20_000)
    values[:200] = 1000.0
    assert robust_sigma(values) == pytest.approx(2.0, rel=0.03)
    assert np.isnan(robust_sigma(np.zeros(0)))
