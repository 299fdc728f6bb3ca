"""Images unlike the training set are noticed, and the stated share of the others is kept."""

import json

import numpy as np
import pytest
from lens_toys import toy_images

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.finders import Architecture, Finder, FinderFacts, build_network
from stronglens.finders.abstain import Abstention, fit_abstention, image_numbers
from stronglens.finders.normalise import SkyAsinh


@pytest.fixture(scope="module")
def finder():
    architecture = Architecture(8, 1, 0.0)
    facts = FinderFacts("resnet-small", architecture, ("lsst-g",), 45, 45, 0.18, 30.0)
    network = build_network(facts.network, facts.input_shape, architecture, seed=1)
    return Finder(network, SkyAsinh(), facts=facts)


@pytest.fixture(scope="module")
def measured(finder):
    flux, ivar, _, _ = toy_images(400, seed=1)
    return fit_abstention(finder, flux, ivar, keep=0.95)


def test_the_stated_share_of_like_images_is_kept(finder, measured):
    flux, ivar, _, _ = toy_images(1000, seed=2)
    unlike, _ = measured.unlikeness(finder, flux, ivar)
    # 200 images set the threshold: a standard deviation of 1.5 %, and three are allowed
    assert np.mean(unlike <= measured.threshold) == pytest.approx(0.95, abs=0.05)


def flipped_sign(flux):
    return -flux


def full_well(flux):
    return np.minimum(flux, 8.0)


def half_missing(flux):
    flux = flux.copy()
    flux[..., :22] = np.nan
    return flux


def noise_alone(flux):
    return np.random.default_rng(0).normal(size=flux.shape).astype(np.float32)


def on_a_pedestal(flux):
    return flux + 2.0


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (flipped_sign, None),
        (full_well, None),
        (half_missing, "bad_share_lsst-g"),
        (noise_alone, None),
        (on_a_pedestal, None),
    ],
)
def test_other_images_are_noticed(finder, measured, spoil, name):
    flux, ivar, _, _ = toy_images(60, seed=3)
    unlike, reason = measured.unlikeness(finder, spoil(flux), ivar)
    assert np.mean(unlike > measured.threshold) > 0.9
    if name is not None:
        assert (reason == name).mean() > 0.9


def test_features_alone_notice_what_no_simple_number_does(finder):
    # the same pixels in another order: every number of the image stays
    flux, ivar, _, _ = toy_images(400, seed=1)
    inner = flux[:, :, 8:-8, 8:-8].copy()
    shape = inner.shape
    order = np.random.default_rng(1).permutation(shape[2] * shape[3])
    shuffled = flux.copy()
    shuffled[:, :, 8:-8, 8:-8] = inner.reshape(*shape[:2], -1)[..., order].reshape(shape)
    measured = fit_abstention(finder, flux, ivar, keep=0.95)
    unlike, reason = measured.unlikeness(finder, shuffled[:50], ivar[:50])
    assert np.mean(unlike > measured.threshold) > 0.9
    assert (reason == "feature_distance").mean() > 0.9


def test_it_is_stored_with_the_finder(finder, measured, tmp_path):
    from dataclasses import replace

    from stronglens.finders import load_finder

    facts = replace(finder.facts, abstention=measured.to_record())
    Finder(finder.network, finder.normalisation, facts=facts).save(tmp_path / "w.safetensors")
    again = load_finder(tmp_path / "w.safetensors")
    assert again.facts.abstention is not None
    assert Abstention.from_record(again.facts.abstention) == measured
    flux, ivar, _, _ = toy_images(7, seed=5)
    plain = Abstention.from_record(json.loads(json.dumps(measured.to_record())))
    one, other = (m.unlikeness(finder, flux, ivar)[0] for m in (measured, plain))
    np.testing.assert_array_equal(one, other)


def test_numbers_of_an_image_by_hand():
    flux = np.zeros((1, 1, 16, 16), np.float32)
    flux[0, 0, ::2] = 2.0
    flux[0, 0, 8, 8] = 50.0
    flux[0, 0, 9, 8] = 50.0
    mask = np.zeros(flux.shape, bool)
    mask[0, 0, 0, :8] = True
    got = image_numbers(flux, mask, ("g",))
    assert got["bad_share_g"][0] == pytest.approx(8 / 256)
    assert got["level_share_g"][0] == pytest.approx(1 / 248)
    assert 10 ** got["log_peak_g"][0] * 10 ** got["log_rms_g"][0] == pytest.approx(50)


def test_blank_images_have_no_numbers_and_are_unlike(finder, measured):
    flux = np.full((2, 1, 45, 45), np.nan, np.float32)
    unlike, _ = measured.unlikeness(finder, flux)
    assert np.isinf(unlike).all()


def test_too_few_images_and_no_shares_are_refused(finder):
    flux, ivar, _, _ = toy_images(60)
    with pytest.raises(MissingDataError, match="at least 200"):
        fit_abstention(finder, flux, ivar, keep=0.99)
    with pytest.raises(OutOfRangeError, match="keep=1"):
        fit_abstention(finder, flux, ivar, keep=1.0)


def test_a_missing_band_is_usual_for_a_finder_that_does_without():
    architecture = Architecture(8, 1, 0.0)
    bands = ("lsst-g", "lsst-r")
    facts = FinderFacts(
        "resnet-small", architecture, bands, 45, 45, 0.18, 30.0, takes_missing_bands=True
    )
    network = build_network(facts.network, facts.input_shape, architecture, seed=1)
    finder = Finder(network, SkyAsinh(), facts=facts)
    flux, ivar, *_ = (np.repeat(plane, 2, axis=1) for plane in toy_images(300, seed=1)[:2])
    mask = np.zeros(flux.shape, bool)
    mask[::5, 1] = True
    found = fit_abstention(finder, flux, ivar, mask, keep=0.95)
    unlike, _ = found.unlikeness(finder, flux, ivar, mask)
    assert np.isfinite([found.threshold, *unlike]).all()
    mask[:] = True
    assert np.isinf(found.unlikeness(finder, flux, ivar, mask)[0]).all()
