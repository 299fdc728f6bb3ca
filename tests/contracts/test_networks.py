"""Every registered network keeps the contract of networks; a new one joins by being registered."""

import pytest
import torch

from stronglens.core.errors import OutOfRangeError, UnknownNameError
from stronglens.data.augment import AUGMENTATIONS
from stronglens.finders import InputShape, architecture_of, build_network, n_parameters, networks
from stronglens.finders.features import feature_maps
from stronglens.finders.normalise import normalisations
from stronglens.training.optim import LOSSES, OPTIMISERS

NAMES = networks.names()

N_PARAMETERS = {"deck-cnn": 327_330, "deck-cnn-17": 360_034, "deck-cnn-deeper": 103_938}
SIZES = {
    "deck-cnn": {
        "convolution 1": (32, 45, 45),
        "convolution 2": (32, 43, 43),
        "pooling 1": (32, 21, 21),
        "convolution 3": (64, 19, 19),
        "convolution 4": (64, 17, 17),
        "dropout 2": (64, 8, 8),
    },
    "deck-cnn-17": {"convolution 3": (64, 19, 19), "pooling 2": (64, 9, 9)},
    "deck-cnn-deeper": {
        "pooling 1": (32, 21, 21),
        "pooling 2": (64, 10, 10),
        "pooling 3": (32, 5, 5),
        "pooling 4": (16, 2, 2),
    },
}


def small(name: str, shape: InputShape | None = None) -> torch.nn.Module:
    return build_network(name, shape, architecture_of(name, width=8))


@pytest.mark.parametrize("name", NAMES)
def test_every_fact_is_stated(name):
    facts = networks.facts(name)
    assert set(facts) == {
        *("summary", "citation", "input_shape", "architecture", "recipe", "any_size")
    }
    assert facts["citation"].startswith("@")
    recipe = facts["recipe"]
    assert recipe.loss in LOSSES
    assert recipe.optimiser in OPTIMISERS
    assert recipe.augmentation in AUGMENTATIONS
    assert recipe.normalisation in normalisations.names()


@pytest.mark.parametrize(("name", "n"), N_PARAMETERS.items())
def test_networks_of_the_study_have_its_number_of_parameters(name, n):
    assert n_parameters(build_network(name)) == n


def test_small_resnet_is_small():
    assert 300_000 <= n_parameters(build_network("resnet-small")) <= 700_000


@pytest.mark.parametrize("name", SIZES)
def test_feature_maps_of_the_study_have_its_sizes(name):
    maps = feature_maps(build_network(name), torch.zeros(1, 1, 45, 45))
    assert {layer: tuple(maps[layer].shape[1:]) for layer in SIZES[name]} == SIZES[name]


@pytest.mark.parametrize("name", NAMES)
def test_feature_maps_cover_convolutions_and_activations(name):
    network = small(name)
    maps = feature_maps(network, torch.zeros(2, 1, 45, 45))
    assert network.training
    n_convolutions = sum(isinstance(layer, torch.nn.Conv2d) for layer in network.modules())
    assert sum("convolution" in layer or "shortcut" in layer for layer in maps) == n_convolutions
    assert any("activation" in layer for layer in maps)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_bands", [1, 3])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_logits_have_one_number_per_image(name, n_bands, n):
    network = small(name, InputShape(n_bands, 45, 45)).eval()
    assert network(torch.zeros(n, n_bands, 45, 45)).shape == (n,)


@pytest.mark.parametrize("name", NAMES)
def test_images_need_not_be_square(name):
    network = small(name, InputShape(2, 41, 52)).eval()
    assert network(torch.zeros(3, 2, 41, 52)).shape == (3,)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_every_weight_learns(name, precision):
    network = small(name)
    for weight in network.parameters():
        # resnets start with zeros on purpose, behind which nothing would move at once
        torch.nn.init.normal_(weight, std=0.1)
    images = torch.randn(4, 1, 45, 45).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", precision, enabled=precision is torch.bfloat16):
        logits = network(images)
    logits.float().square().sum().backward()
    gradients = {n: w.grad for n, w in network.named_parameters()}
    assert all(g is not None and torch.isfinite(g).all() for g in gradients.values())
    assert any(g.abs().sum() > 0 for g in gradients.values())


@pytest.mark.parametrize("name", NAMES)
def test_score_of_an_image_does_not_depend_on_its_batch(name):
    network = small(name).eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    images = torch.randn(6, 1, 45, 45)
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(network(images), alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_initial_weights_depend_on_the_seed_alone(name):
    state = torch.random.get_rng_state()
    one, same, other = (small_with_seed(name, seed) for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def small_with_seed(name: str, seed: int) -> list[torch.Tensor]:
    network = build_network(name, None, architecture_of(name, width=8), seed=seed)
    return list(network.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_width_depth_and_dropout_are_settings(name):
    default = networks.facts(name)["architecture"]
    shape = InputShape(1, 101, 101)

    def count(**settings):
        return n_parameters(build_network(name, shape, architecture_of(name, **settings)))

    assert count(width=default.width * 2) > count()
    assert count(depth=default.depth + 1) != count()
    network = build_network(name, None, architecture_of(name, dropout=0.3))
    rates = [layer.p for layer in network.modules() if isinstance(layer, torch.nn.Dropout)]
    assert max(rates) == 0.3


@pytest.mark.parametrize("name", [n for n in NAMES if networks.facts(n)["any_size"]])
@pytest.mark.parametrize("size", [16, 45, 101])
def test_networks_of_any_size_take_any_size(name, size):
    assert small(name).eval()(torch.zeros(2, 1, size, size + 3)).shape == (2,)


def test_unknown_network_is_named():
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet-small'"):
        build_network("resnet-smal")


def test_too_small_image_is_refused():
    with pytest.raises(OutOfRangeError, match="too small"):
        build_network("deck-cnn", InputShape(1, 12, 45))


@pytest.mark.parametrize("settings", [{"width": 0}, {"depth": 0}, {"dropout": 1.0}])
def test_impossible_architecture_is_refused(settings):
    with pytest.raises(OutOfRangeError, match="makes no network"):
        build_network("deck-cnn", None, architecture_of("deck-cnn", **settings))
