"""Features are what they say, and two samples are told apart only where they differ."""

import numpy as np
import pytest

from stronglens.core.errors import WrongShapeError
from stronglens.evaluation.two_sample import (
    border_rms,
    features,
    magnitude_matched,
    percentile_ranks,
)
from stronglens.training.two_sample import two_sample_auroc

BANDS = ("r", "g")


def noise(n=200, height=24, width=31, seed=0):
    return np.random.default_rng(seed).standard_normal((n, 2, height, width))


def blob(height, width, sigma=2.0):
    y, x = (np.arange(n) - (n - 1) / 2 for n in (height, width))
    return np.exp(-0.5 * (y[:, None] ** 2 + x**2) / sigma**2)


def described(flux, rms=1.0, **settings):
    return features(flux, np.full(flux.shape[:2], rms), BANDS, **settings)


def test_white_noise_has_no_power_above_the_sky_and_no_correlation():
    found = described(noise() * 3.0, rms=3.0)
    for band in BANDS:
        for ring in range(1, 6):
            # five errors of 200 images with at least 50 waves each; the log of a mean is biased low
            assert found[f"power_{ring}_{band}"].mean() == pytest.approx(0.0, abs=0.03)
        for lag in (1, 2, 3):
            assert found[f"lag_{lag}_{band}"].mean() == pytest.approx(0.0, abs=0.012)


def test_lag_correlation_is_that_of_the_kernel():
    white = noise(height=50, width=40)
    smooth = (white[:, :, 1:] + white[:, :, :-1]) / np.sqrt(2)
    # 0.5 along rows, 0 along columns; the mean that is taken off costs 1 / pixels
    assert described(smooth)["lag_1_r"].mean() == pytest.approx(0.25, abs=0.006)


def test_a_round_object_is_symmetric_and_its_concentration_that_of_a_gaussian():
    flux = np.broadcast_to(1e6 * blob(41, 51), (1, 2, 41, 51)).copy()
    found = described(flux, radius=9.0)
    assert found["asymmetry_r"][0] == pytest.approx(0.0, abs=1e-9)
    # 1 - exp(-r^2 / 2 sigma^2) at 3 and 9 pixels; apertures of whole pixels are good to 4 %
    assert found["concentration_r"][0] == pytest.approx(1 - np.exp(-9 / 8), rel=0.04)
    flux[0, :, 20, 25] += 1e6
    assert described(flux, radius=9.0)["asymmetry_r"][0] == pytest.approx(0.0, abs=1e-9)
    flux[0, :, 20, 28] += 1e6
    assert described(flux, radius=9.0)["asymmetry_r"][0] > 0.01


def test_colours_are_those_of_bright_objects():
    flux = np.broadcast_to(1e5 * blob(41, 41), (1, 2, 41, 41)).copy()
    flux[:, 1] *= 10 ** (-0.4 * 0.7)
    found = described(flux)
    for where in ("center", "annulus"):
        assert found[f"colour_{where}_g"][0] == pytest.approx(0.7, abs=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bad_pixels_count_nowhere(dtype):
    flux = noise(n=3, height=21, width=34).astype(dtype)
    mask = np.zeros(flux.shape, bool)
    mask[:, :, 3:6, 4:9] = True
    clean = described(flux, mask=mask)
    spoilt = flux.copy()
    spoilt[mask] = 1e9
    nan = flux.copy()
    nan[mask] = np.nan
    for name, values in clean.items():
        np.testing.assert_allclose(described(spoilt, mask=mask)[name], values)
        np.testing.assert_allclose(described(nan)[name], values)


def test_an_image_without_a_good_pixel_has_no_features():
    flux = noise(n=2)
    flux[1, 0] = np.nan
    found = described(flux)
    assert np.isnan([values[1] for name, values in found.items() if name.endswith("_r")]).all()
    assert np.isfinite([values[0] for values in found.values()]).all()
    # every colour is against r
    assert np.isnan(found["colour_center_g"][1])
    assert np.isfinite(found["lag_1_g"][1])


def test_border_rms_ignores_what_is_in_the_middle():
    flux = 2.5 * noise(n=4, height=60, width=44) + 1e4 * blob(60, 44)
    # a median of about 1,000 pixels is good to 4 %
    np.testing.assert_allclose(border_rms(flux), 2.5, rtol=0.15)
    assert np.isnan(border_rms(np.full((1, 2, 20, 20), np.nan))).all()


def test_features_that_do_not_fit_are_refused():
    with pytest.raises(WrongShapeError, match="one rms for each image and band"):
        features(noise(n=2), np.ones((2, 1)), BANDS)


def test_pairs_have_one_magnitude_and_no_object_twice():
    rng = np.random.default_rng(1)
    first, second = rng.uniform(18, 22, 80), rng.uniform(19, 24, 150)
    first[3] = np.nan
    a, b = magnitude_matched(first, second, seed=1)
    assert len(a) > 30
    assert len(set(a)) == len(set(b)) == len(a)
    assert np.abs(first[a] - second[b]).max() <= 0.1
    empty, _ = magnitude_matched(first, second + 10.0, seed=1)
    assert len(empty) == 0


def test_ranks_are_shares_below():
    many = {"x": np.array([1.0, 2.0, 3.0, np.nan, 4.0])}
    ranks = percentile_ranks({"x": np.array([0.0, 2.5, 3.0, 9.0, np.nan])}, many)["x"]
    np.testing.assert_allclose(ranks, [0.0, 0.5, 0.625, 1.0, np.nan])


def drawn(n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    table = {f"f{k}": rng.standard_normal(n) for k in range(4)}
    table["f2"] = table["f2"] + shift
    table["f3"][::7] = np.nan
    return table, np.arange(n) % 3


def test_two_draws_of_one_population_are_not_told_apart():
    (first, folds_a), (second, folds_b) = drawn(240, 1), drawn(160, 2)
    result = two_sample_auroc(first, second, (folds_a, folds_b), seed=1)
    # the error of an AUROC at 0.5 with these numbers is 0.03
    assert result.auroc.value == pytest.approx(0.5, abs=0.09)
    assert result.auroc.low < result.auroc.value < result.auroc.high
    assert (result.n_first, result.n_second) == (240, 160)


def test_a_shifted_feature_is_seen_and_named():
    (first, folds_a), (second, folds_b) = drawn(200, 1), drawn(200, 2, shift=2.0)
    result = two_sample_auroc(first, second, (folds_a, folds_b), seed=1)
    # Phi(2 / sqrt 2) = 0.921 is the best that can be done
    assert 0.87 < result.auroc.value < 0.96
    assert next(iter(result.importance)) == next(iter(result.single)) == "f2"
    assert result.single["f2"] == pytest.approx(0.921, abs=0.05)


def test_what_differs_in_one_fold_alone_is_not_learned_from_itself():
    (first, folds_a), (second, folds_b) = drawn(200, 1), drawn(200, 2)
    # a field in which the second sample is shifted one way, and one the other way
    second["f2"] += np.where(folds_b == 0, 3.0, np.where(folds_b == 1, -3.0, 0.0))
    honest = two_sample_auroc(first, second, (folds_a, folds_b), seed=1)
    rng = np.random.default_rng(3)
    mixed = (rng.permutation(folds_a), rng.permutation(folds_b))
    leaking = two_sample_auroc(first, second, mixed, seed=1)
    assert honest.auroc.value < leaking.auroc.value - 0.05


def test_folds_without_both_samples_are_left_out_or_refused():
    (first, folds_a), (second, folds_b) = drawn(100, 1), drawn(100, 2)
    result = two_sample_auroc(first, second, (folds_a, np.minimum(folds_b, 1)), seed=1)
    assert (result.n_first, result.n_second) == (67, 100)
    with pytest.raises(WrongShapeError, match="0 folds hold images of both"):
        two_sample_auroc(first, second, (folds_a, folds_b + 10), seed=1)
    with pytest.raises(WrongShapeError, match="do not fit"):
        two_sample_auroc(first, {"f0": second["f0"]}, (folds_a, folds_b), seed=1)
