"""The finder: its scaling, its file, what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lens_toys import toy_images

from stronglens.core.errors import (
    InterruptedRunError,
    MissingDataError,
    UnknownNameError,
    UnreadableFileError,
    WrongShapeError,
)
from stronglens.core.files import write_json
from stronglens.core.weights import save_weights
from stronglens.data.layout import Images
from stronglens.finders import (
    Finder,
    FinderFacts,
    architecture_of,
    build_network,
    load_finder,
    sigmoid,
)
from stronglens.finders.normalise import (
    MinMax,
    PixelImages,
    SkyAsinh,
    normalisation_from_settings,
    normalisation_settings,
    normalisations,
)


def make_finder(name="resnet-small", normalisation=None, bands=("lsst-g",)):
    architecture = architecture_of(name, width=8)
    facts = FinderFacts(name, architecture, bands, 45, 45, 0.18, 30.0, threshold=0.4)
    network = build_network(name, facts.input_shape, architecture)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return Finder(network, normalisation or SkyAsinh(), facts=facts)


def tensors(n=6, **options):
    flux, ivar, *_ = toy_images(n, **options)
    return PixelImages(torch.from_numpy(flux), torch.from_numpy(ivar))


@pytest.mark.parametrize("name", ["resnet-small", "deck-cnn"])
@pytest.mark.parametrize("normalisation", [SkyAsinh(2.5), MinMax(0.2, 0.3)])
def test_saved_finder_gives_the_same_logits(tmp_path, name, normalisation):
    finder = make_finder(name, normalisation)
    flux, ivar, *_ = toy_images(5)
    finder.save(tmp_path / "weights.safetensors")
    for path in (tmp_path, tmp_path / "weights.safetensors"):
        loaded = load_finder(path)
        assert loaded.facts == finder.facts
        assert loaded.normalisation == normalisation
        np.testing.assert_array_equal(loaded.logits(flux, ivar), finder.logits(flux, ivar))


def test_logits_do_not_depend_on_the_batch_size():
    finder = make_finder()
    flux, ivar, *_ = toy_images(7)
    alone = finder.logits(flux, ivar, batch_size=1)
    np.testing.assert_allclose(finder.logits(flux, ivar, batch_size=4), alone, atol=1e-5)


def test_calls_with_a_record_an_array_and_a_tensor_agree():
    finder = make_finder()
    flux, ivar, *_ = toy_images(3)
    np.testing.assert_array_equal(finder(Images(flux, ivar)), finder.logits(flux, ivar))
    np.testing.assert_array_equal(finder(flux), finder.logits(flux))
    np.testing.assert_array_equal(finder(torch.from_numpy(flux)), finder.logits(flux))


def test_score_is_the_sigmoid_of_the_logit():
    finder = make_finder()
    flux, *_ = toy_images(3)
    expected = 1 / (1 + np.exp(-finder.logits(flux).astype(float)))
    np.testing.assert_allclose(finder.score(flux), expected, atol=1e-6)
    assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]


def test_no_images_give_no_logits():
    assert make_finder().logits(np.zeros((0, 1, 45, 45), np.float32)).shape == (0,)


def test_image_without_good_pixel_has_no_score():
    flux, *_ = toy_images(3)
    flux[1] = np.nan
    mask = np.zeros(flux.shape, bool)
    mask[2] = True
    assert np.isnan(make_finder().score(flux, None, mask)).tolist() == [False, True, True]


def test_masked_and_nan_pixels_do_not_reach_the_network():
    flux, ivar, *_ = toy_images(2)
    spoilt, mask = flux.copy(), np.zeros(flux.shape, bool)
    spoilt[:, :, 3, 4], mask[:, :, 3, 4] = 1e9, True
    spoilt[:, :, 7, 7] = np.nan
    finder = make_finder()
    filled = finder.logits(spoilt, ivar, mask)
    assert np.isfinite(filled).all()
    np.testing.assert_allclose(filled, finder.logits(flux, ivar), atol=0.2)


@pytest.mark.parametrize("name", ["min-max", "sky-asinh"])
def test_scaling_does_not_depend_on_the_unit_of_flux(name):
    images = tensors()
    normalisation = normalisations.get(name).fit([images])
    scaled = PixelImages(images.flux * 1e3, images.ivar / 1e6)
    torch.testing.assert_close(normalisation(scaled), normalisation(images), rtol=1e-4, atol=1e-4)


def test_min_max_of_training_images_has_mean_zero_and_deviation_one():
    parts = [tensors(6), tensors(4, seed=3)]
    normalisation = MinMax.fit(parts)
    pixels = torch.cat([normalisation(part) for part in parts])
    assert pixels.mean().item() == pytest.approx(0, abs=1e-5)
    assert pixels.std().item() == pytest.approx(1, rel=1e-3)


def test_sky_asinh_brings_noise_to_a_third():
    flux = torch.randn(3, 1, 45, 45) * 7
    scaled = SkyAsinh()(PixelImages(flux, torch.full_like(flux, 1 / 49)))
    assert scaled.std().item() == pytest.approx(1 / 3, rel=0.1)


def test_scaling_without_ivar_is_nearly_the_same():
    images = tensors()
    without = SkyAsinh()(PixelImages(images.flux))
    torch.testing.assert_close(without, SkyAsinh()(images), rtol=0.2, atol=0.15)


@pytest.mark.parametrize("normalisation", [MinMax(0.1, 2.0), SkyAsinh(5.0)])
def test_scaling_survives_its_settings(normalisation):
    settings = normalisation_settings(normalisation)
    assert normalisation_from_settings(settings) == normalisation


def test_constant_images_are_scaled_to_finite_values():
    flat = PixelImages(torch.full((2, 1, 9, 9), 4.0))
    for name in normalisations.names():
        assert torch.isfinite(normalisations.get(name).fit([flat])(flat)).all()


def test_wrong_bands_are_refused():
    for bands in (("hsc-r",), ("lsst-g", "lsst-r"), ("",)):
        with pytest.raises(WrongShapeError, match=r"but finder 'resnet-small'.*lsst-g"):
            make_finder().check(bands, 0.18, height=45, width=45)
    make_finder().check(("hsc-g",), 0.18, height=45, width=45)


def test_wrong_pixel_scale_is_refused():
    with pytest.raises(WrongShapeError, match=r'pixels of 0.2".*0.18"'):
        make_finder().check(("lsst-g",), 0.2, height=45, width=45)


def test_wrong_size_is_refused_only_where_it_matters():
    with pytest.raises(WrongShapeError, match=r"45x44 pixels .* takes 45x45"):
        make_finder("deck-cnn").check(("lsst-g",), 0.18, height=45, width=44)
    make_finder().check(("lsst-g",), 0.18, height=60, width=44)
    with pytest.raises(WrongShapeError, match="at least 16x16"):
        make_finder().check(("lsst-g",), 0.18, height=60, width=15)


@pytest.mark.parametrize("shape", [(2, 2, 45, 45), (45, 45), (2, 1, 45, 9)])
def test_wrong_array_is_refused(shape):
    with pytest.raises(WrongShapeError, match=r"images (have shape|are)"):
        make_finder()(np.zeros(shape, np.float32))


def test_missing_finder_is_named(tmp_path):
    with pytest.raises(MissingDataError, match="nothing' does not exist"):
        load_finder(tmp_path / "nothing")
    with pytest.raises(MissingDataError, match="holds no weights"):
        load_finder(tmp_path)


def test_unfinished_training_is_refused(tmp_path):
    make_finder().save(tmp_path / "weights.safetensors")
    write_json(tmp_path / "status.json", {"state": "interrupted"})
    with pytest.raises(InterruptedRunError, match="interrupted, not finished"):
        load_finder(tmp_path)


def test_weights_of_another_kind_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, {"a": torch.zeros(1)}, {"kind": "restorer"})
    with pytest.raises(UnreadableFileError, match="of a restorer"):
        load_finder(path)


def test_weights_that_do_not_fit_their_network_are_refused(tmp_path):
    finder = make_finder()
    other = architecture_of("resnet-small", width=16)
    finder.facts = replace(finder.facts, architecture=other)
    finder.save(tmp_path / "weights.safetensors")
    with pytest.raises(UnreadableFileError, match="do not fit the network"):
        load_finder(tmp_path)


def test_finder_says_what_it_is():
    assert repr(make_finder()) == (
        'Finder(resnet-small, bands=lsst-g, 45x45 pixels of 0.18", threshold=0.400)'
    )
    assert make_finder().with_threshold(0.7).facts.threshold == 0.7


def test_unknown_normalisation_is_named():
    with pytest.raises(UnknownNameError, match="unknown normalisation 'asinh'"):
        normalisation_from_settings({"name": "asinh"})


def test_image_without_a_band_has_a_score_only_where_the_finder_has_learnt_it():
    plain = make_finder(bands=("lsst-g", "lsst-r"))
    facts = replace(plain.facts, takes_missing_bands=True)
    taught = Finder(plain.network, plain.normalisation, facts=facts)
    flux, ivar, *_ = toy_images(3)
    flux, ivar = np.repeat(flux, 2, axis=1), np.repeat(ivar, 2, axis=1)
    mask = np.zeros(flux.shape, bool)
    mask[0, 1] = mask[1] = True
    assert np.isnan(plain.logits(flux, ivar, mask)).tolist() == [True, True, False]
    assert np.isnan(taught.logits(flux, ivar, mask)).tolist() == [False, True, False]
