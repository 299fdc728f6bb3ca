"""A network of posteriors: symmetric draws, temperature, domain, files."""

import numpy as np
import pytest
import torch

from stronglens.core.conventions import flip_labels, turn_labels
from stronglens.core.errors import MissingDataError, OutOfRangeError, UnreadableFileError
from stronglens.core.weights import load_weights, save_weights
from stronglens.measurement.domain import domain_of, feature_spread
from stronglens.measurement.encoder import EncoderShape
from stronglens.measurement.flows import LatentPosterior, PosteriorShape
from stronglens.measurement.mock_frames import MockFrame, PsfShape
from stronglens.measurement.mock_images import MockChoices, draw_images
from stronglens.measurement.network_input import prepare, prepare_mocks
from stronglens.measurement.parameters import PARAMETERS
from stronglens.measurement.posterior_network import (
    VIEWS,
    PosteriorNetwork,
    load_posterior,
    views_of,
)
from stronglens.measurement.posterior_training import posterior_figures

SHAPE = PosteriorShape(EncoderShape(8, 1, 16), transforms=3, hidden=16, bins=4)
FRAME = MockFrame(0.12, 45, PsfShape(0.3), PsfShape(0.3, e1=0.05, e2=-0.03))


@pytest.fixture(scope="module")
def network():
    """A small network with weights drawn large, so that its posteriors differ between images."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        made = LatentPosterior(SHAPE).eval()
        with torch.no_grad():
            made.encoder.mix.weight.mul_(3.0)
    return PosteriorNetwork(made, SHAPE)


@pytest.fixture(scope="module")
def images():
    """Two images of one frame."""
    return draw_images(3, 0, 2, MockChoices(frame=FRAME, arc_snr=100.0))


def _turned(image, n_turns, *, is_flipped):
    def seen(plane):
        plane = plane[:, ::-1] if is_flipped else plane
        return np.rot90(plane, n_turns).copy()

    parts = {name: seen(getattr(image, name)) for name in ("flux", "sigma", "mask", "psf")}
    return image.replaced(**parts)


def test_draws_have_every_parameter_and_stay_inside_the_prior(network, images):
    draws = network.draws(images.lens_image(0), 100)
    assert tuple(draws) == PARAMETERS
    low, high = images.limits[0].tolist()
    assert all(values.shape == (100,) for values in draws.values())
    assert low <= draws["theta_e"].min() < draws["theta_e"].max() <= high + 1e-6
    assert np.abs(draws["gamma1"]).max() <= 0.25


@pytest.mark.parametrize(("n_turns", "is_flipped"), [(1, False), (2, True), (3, True)])
def test_views_of_a_turned_image_are_the_views_of_the_image(network, images, n_turns, is_flipped):
    image = images.lens_image(0)
    turned = _turned(image, n_turns, is_flipped=is_flipped)
    first, second = (
        network.features(views_of(prepare(one), network.device)) for one in (image, turned)
    )
    # the same eight, in another order
    distance = (first[:, None] - second[None]).abs().amax(dim=2)
    assert float(distance.amin(dim=0).max()) < 1e-4
    assert float(distance.amin(dim=1).max()) < 1e-4


@pytest.mark.parametrize(("n_turns", "is_flipped"), VIEWS[1:])
def test_a_turned_image_has_the_turned_posterior(network, images, n_turns, is_flipped):
    image = images.lens_image(1)
    n = 4000
    draws = network.draws(image, n)
    turned = network.draws(_turned(image, n_turns, is_flipped=is_flipped), n, seed=1)
    expected = flip_labels(draws, "x") if is_flipped else draws
    expected = turn_labels(expected, n_turns)
    for name in PARAMETERS:
        error = np.sqrt(2.0 / n) * expected[name].std()
        assert abs(turned[name].mean() - expected[name].mean()) < 5.0 * error, name
        assert turned[name].std() == pytest.approx(expected[name].std(), rel=0.12)


def test_the_quick_way_from_the_base_is_the_inverse_of_the_flow(network, images):
    features = network.features(views_of(prepare(images.lens_image(0)), network.device))
    generator = torch.Generator().manual_seed(3)
    with torch.inference_mode():
        base = torch.randn(5, len(features), len(PARAMETERS), generator=generator)
        wanted = network.network.flow(features).transform.inv(base)
        found = network.network.from_base(features, base)
    assert not torch.allclose(found, base)
    torch.testing.assert_close(found, wanted)


def test_draws_depend_on_the_seed_alone(network, images):
    image = images.lens_image(0)
    torch.manual_seed(1)
    first = network.draws(image, 30, seed=5)
    torch.manual_seed(2)
    again, other = network.draws(image, 30, seed=5), network.draws(image, 30, seed=6)
    assert np.array_equal(first["e1"], again["e1"])
    assert not np.array_equal(first["e1"], other["e1"])


def test_positions_are_from_the_middle_of_the_whole_image(network):
    rng = np.random.default_rng(1)
    frame = MockFrame(0.05, 96, PsfShape(0.1), PsfShape(0.1))
    image = draw_images(5, 0, 1, MockChoices(frame=frame)).lens_image(0)
    wide = {
        "flux": rng.normal(size=(131, 131)),
        "sigma": np.ones((131, 131)),
        "mask": np.zeros((131, 131), dtype=bool),
    }
    wide["flux"][20:116, 20:116] = image.flux
    wide = image.replaced(**wide)
    prepared = prepare(wide)
    assert prepared.x_offset != 0.0
    u, _ = network.latent_draws(prepared, 50, 3)
    draws = network.draws(wide, 50, seed=3)
    shift = draws["x_center"] - prepared.x_offset
    assert np.abs(shift).max() <= 0.4 + 1e-9
    assert u.shape == (50, 1, len(PARAMETERS))


def test_temperature_stretches_draws_about_their_median(network, images):
    prepared = prepare_mocks(images)
    plain, _ = network.latent_draws(prepared, 201, 3)
    factors = [1.0] * len(PARAMETERS)
    factors[1] = 1.5
    warm = PosteriorNetwork(network.network, SHAPE, certificate={"temperature": factors})
    stretched, _ = warm.latent_draws(prepared, 201, 3)
    ratio = stretched.std(dim=0) / plain.std(dim=0)
    assert torch.allclose(ratio[:, 1], torch.tensor(1.5), atol=1e-3)
    assert torch.allclose(ratio[:, 0], torch.tensor(1.0), atol=1e-3)
    assert torch.allclose(stretched.median(dim=0).values, plain.median(dim=0).values, atol=1e-5)


def test_the_loss_of_a_posterior_that_is_the_prior_is_zero():
    made = LatentPosterior(SHAPE).eval()
    u = torch.randn(4000, len(PARAMETERS), generator=torch.Generator().manual_seed(1))
    made.gaussian.weight.data.zero_()
    made.gaussian.bias.data.zero_()
    with torch.no_grad():
        flow, gaussian = made.losses(torch.zeros(4000, 16), u)
    assert float(gaussian.abs().max()) < 1e-4
    # any other density is worse on draws from the prior
    assert float(flow.mean()) > 0.0


def test_figures_of_a_batch_are_loss_and_gain(network, images):
    seen = prepare_mocks(images).view()
    u = torch.zeros(2, len(PARAMETERS))
    batch = {"planes": seen.planes, "conditions": seen.conditions, "u": u}
    figures = posterior_figures(network.network, batch)
    assert set(figures) == {"loss", "gain"}
    assert torch.isfinite(figures["loss"])


def test_files_keep_network_and_certificate(network, images, tmp_path):
    certificate = {"temperature": [1.1] * len(PARAMETERS), "domain": {}, "coverage_error": 0.02}
    extra = {"feature_mean": torch.zeros(16)}
    made = PosteriorNetwork(network.network, SHAPE, certificate=certificate, extra=extra)
    made.save(tmp_path / "weights.safetensors")
    loaded = load_posterior(tmp_path)
    image = images.lens_image(0)
    first, again = made.draws(image, 20), loaded.draws(image, 20)
    assert all(np.allclose(first[name], again[name]) for name in PARAMETERS)
    assert loaded.certificate == certificate
    assert torch.equal(loaded.extra["feature_mean"], extra["feature_mean"])
    assert "calibrated" in repr(loaded)


def test_half_precision_is_half_as_large_and_nearly_the_same(network, images, tmp_path):
    network.save(tmp_path / "full.safetensors")
    network.save(tmp_path / "half.safetensors", in_half=True)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.7 * sizes[1]
    half = load_posterior(tmp_path / "half.safetensors")
    image = images.lens_image(0)
    first, again = network.draws(image, 400), half.draws(image, 400)
    assert first["theta_e"].mean() == pytest.approx(again["theta_e"].mean(), rel=0.02)


def test_an_assessment_knows_inside_from_outside(network, images):
    blocks = [draw_images(6, block, 40) for block in range(4)]
    seen = [prepare_mocks(block).view() for block in blocks]
    features = torch.cat([network.features(one) for one in seen])
    spread = feature_spread(features)
    conditions = torch.cat([one.conditions for one in seen])
    certificate = {
        "temperature": [1.0] * len(PARAMETERS),
        "domain": domain_of(conditions),
        "distances": torch.quantile(spread.distance(features), torch.linspace(0, 1, 21)).tolist(),
        "coverage_error": 0.03,
    }
    extra = {"feature_mean": spread.mean, "feature_whitening": spread.whitening}
    made = PosteriorNetwork(network.network, SHAPE, certificate=certificate, extra=extra)
    found = made.assess(blocks[0].lens_image(0))
    assert found.is_inside
    assert 0.0 <= found.ood_score <= 1.0
    assert "0.030 in coverage; image inside its domain" in found.sentence()
    wide = MockFrame(0.12, 45, PsfShape(1.3), PsfShape(1.3))
    outside = made.assess(draw_images(7, 0, 1, MockChoices(frame=wide)).lens_image(0))
    assert "psf_fwhm" in outside.outside
    assert "outside in" in outside.sentence()


def test_features_of_their_own_kind_are_at_unit_distance():
    features = torch.randn(5000, 6, generator=torch.Generator().manual_seed(1)) * 3.0 + 1.0
    spread = feature_spread(features)
    assert float(spread.distance(features).square().mean()) == pytest.approx(1.0, abs=0.01)
    assert float(spread.distance(features[:1] + 100.0)) > 10.0


def test_without_a_certificate_nothing_is_assessed(network, images):
    with pytest.raises(MissingDataError, match=r"no certificate.*calibrate-posterior"):
        network.assess(images.lens_image(0))


def test_what_is_not_a_posterior_is_refused(network, tmp_path):
    with pytest.raises(MissingDataError, match="no posterior at"):
        load_posterior(tmp_path / "nothing")
    with pytest.raises(MissingDataError, match=r"holds no weights\.safetensors"):
        load_posterior(tmp_path)
    save_weights(tmp_path / "other.safetensors", {"a": torch.zeros(1)}, {"kind": "finder"})
    with pytest.raises(UnreadableFileError, match="not those of a posterior but of a finder"):
        load_posterior(tmp_path / "other.safetensors")
    network.save(tmp_path / "good.safetensors")
    tensors, settings = load_weights(tmp_path / "good.safetensors")
    save_weights(tmp_path / "old.safetensors", tensors, settings | {"parameters": ["theta_e"]})
    with pytest.raises(UnreadableFileError, match="are for the parameters theta_e; this version"):
        load_posterior(tmp_path / "old.safetensors")
    tensors.pop(next(iter(tensors)))
    save_weights(tmp_path / "part.safetensors", tensors, settings)
    with pytest.raises(UnreadableFileError, match="do not fit the network they describe"):
        load_posterior(tmp_path / "part.safetensors")


def test_no_draws_are_refused(network, images):
    with pytest.raises(OutOfRangeError, match="n=0 draws are none"):
        network.draws(images.lens_image(0), 0)
