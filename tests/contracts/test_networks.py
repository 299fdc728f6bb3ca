"""Every registered network keeps the contract of networks; a new one joins by being registered."""

import numpy as np
import pytest
import torch
from lens_toys import toy_images

from stronglens.core.errors import OutOfRangeError, UnknownNameError
from stronglens.data.augment import AUGMENTATIONS
from stronglens.finders import (
    Architecture,
    FinderFacts,
    InputShape,
    architecture_of,
    build_network,
    check_network,
    n_parameters,
    networks,
    own_fit,
)
from stronglens.finders.features import feature_maps
from stronglens.finders.finder import Finder, load_finder
from stronglens.finders.networks import Recipe
from stronglens.finders.normalise import PixelImages, normalisations
from stronglens.finders.views import VIEWS
from stronglens.training.optim import LOSSES, OPTIMISERS, LearningRate

NAMES = networks.names()
TRAINED = [name for name in NAMES if own_fit(name) is None]
"""Networks; the others fit themselves."""
FACTS = {"summary", "citation", "input_shape", "architecture", "recipe", "any_size"}

N_PARAMETERS = {
    ("deck-cnn", InputShape(1, 45, 45)): 327_330,
    ("deck-cnn-17", InputShape(1, 45, 45)): 360_034,
    ("deck-cnn-deeper", InputShape(1, 45, 45)): 103_938,
    ("cmu-deeplens", InputShape(1, 45, 45)): 3_508_545,
    ("cmu-deeplens", InputShape(3, 45, 45)): 3_511_681,
    ("cmu-deeplens", InputShape(4, 101, 101)): 3_513_249,
    ("petrillo-resnet18", InputShape(3, 101, 101)): 11_180_033,
    ("petrillo-resnet18", InputShape(1, 101, 101)): 11_180_033,
    ("petrillo-2017", InputShape(1, 60, 60)): 30_786_785,
    ("all-hog", InputShape(1, 101, 101)): 865,
}
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
    "cmu-deeplens": {
        "activation": (32, 45, 45),
        "unit 1 3 convolution 3": (32, 45, 45),
        "unit 2 1 convolution 1": (32, 23, 23),
        "unit 2 3 convolution 3": (64, 23, 23),
        "unit 3 3 convolution 3": (128, 12, 12),
        "unit 4 3 convolution 3": (256, 6, 6),
        "unit 5 3 convolution 3": (512, 3, 3),
    },
    "petrillo-2017": {
        "pooling 1": (32, 30, 30),
        "pooling 2": (64, 15, 15),
        "activation 4": (128, 15, 15),
    },
}
SIZES_AT_101 = {
    "cmu-deeplens": {
        "unit 1 3 convolution 3": (32, 101, 101),
        "unit 2 3 convolution 3": (64, 51, 51),
        "unit 3 3 convolution 3": (128, 26, 26),
        "unit 4 3 convolution 3": (256, 13, 13),
        "unit 5 3 convolution 3": (512, 7, 7),
    },
    "petrillo-resnet18": {
        "convolution": (64, 51, 51),
        "pooling": (64, 26, 26),
        "unit 1 2 convolution 2": (64, 26, 26),
        "unit 2 2 convolution 2": (128, 13, 13),
        "unit 3 2 convolution 2": (256, 7, 7),
        "activation last": (512, 4, 4),
    },
    "all-hog": {"cells of band 0": (6, 6, 6)},
}


def n_bands_of(name: str) -> int:
    return 2 if name == "ring-finder" else 1


def small(name: str, shape: InputShape | None = None) -> torch.nn.Module:
    shape = shape or InputShape(n_bands_of(name), 45, 45)
    return build_network(name, shape, architecture_of(name, width=8))


@pytest.mark.parametrize("name", NAMES)
def test_every_fact_is_stated(name):
    facts = networks.facts(name)
    assert set(facts) - {"fit"} == FACTS
    assert facts["citation"].startswith("@")
    assert facts["recipe"].normalisation in normalisations.names()
    assert facts["recipe"].views in VIEWS


@pytest.mark.parametrize("name", TRAINED)
def test_recipe_of_a_network_says_how_it_is_trained(name):
    recipe = networks.facts(name)["recipe"]
    assert recipe.loss in LOSSES
    assert recipe.optimiser in OPTIMISERS
    assert recipe.augmentation in AUGMENTATIONS
    assert min(recipe.epochs, recipe.batch_size) > 0
    assert LearningRate(recipe.learning_rate, recipe.decay, recipe.schedule).at(0, 0.0) > 0


@pytest.mark.parametrize("name", [name for name in NAMES if name not in TRAINED])
def test_recipe_of_a_finder_that_fits_itself_says_nothing_else(name):
    recipe = networks.facts(name)["recipe"]
    assert recipe == Recipe(recipe.normalisation, views=recipe.views)


def test_recipe_of_cmu_deeplens_is_the_published_one():
    recipe = networks.facts("cmu-deeplens")["recipe"]
    assert (recipe.optimiser, recipe.batch_size, recipe.epochs) == ("adam", 128, 120)
    rate = LearningRate(recipe.learning_rate, recipe.decay, recipe.schedule)
    rates = [rate.at(0, epoch / recipe.epochs) for epoch in (0, 39.99, 40, 79.99, 80, 119)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])


@pytest.mark.parametrize(("name", "shape"), N_PARAMETERS)
def test_published_systems_have_their_number_of_parameters(name, shape):
    with torch.device("meta"):
        assert n_parameters(build_network(name, shape)) == N_PARAMETERS[name, shape]


def test_cmu_deeplens_has_46_convolutions_without_its_shortcuts():
    layers = build_network("cmu-deeplens").named_modules()
    convolutions = [name for name, layer in layers if isinstance(layer, torch.nn.Conv2d)]
    assert sum("shortcut" not in name for name in convolutions) == 46


def test_small_resnet_is_small():
    assert 300_000 <= n_parameters(build_network("resnet-small")) <= 700_000


@pytest.mark.parametrize("name", SIZES)
def test_feature_maps_of_published_systems_have_their_sizes(name):
    shape = networks.facts(name)["input_shape"]
    maps = feature_maps(build_network(name), torch.zeros(1, 1, shape.height, shape.width))
    assert {layer: tuple(maps[layer].shape[1:]) for layer in SIZES[name]} == SIZES[name]


@pytest.mark.parametrize("name", SIZES_AT_101)
def test_feature_maps_of_published_systems_have_their_sizes_at_101(name):
    shape = InputShape(1, 101, 101)
    maps = feature_maps(build_network(name, shape), torch.zeros(1, 1, 101, 101))
    sizes = SIZES_AT_101[name]
    assert {layer: tuple(maps[layer].shape[1:]) for layer in sizes} == sizes


@pytest.mark.parametrize("name", TRAINED)
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
    n_bands = max(n_bands, n_bands_of(name))
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
    images = torch.randn(4, n_bands_of(name), 45, 45).to(memory_format=torch.channels_last)
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
    images = torch.randn(6, n_bands_of(name), 45, 45)
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
    shape = InputShape(n_bands_of(name), 45, 45)
    network = build_network(name, shape, architecture_of(name, width=8), seed=seed)
    return list(network.parameters())


@pytest.mark.parametrize("name", TRAINED)
def test_width_depth_and_dropout_are_settings(name):
    default = networks.facts(name)["architecture"]
    shape = InputShape(1, 101, 101)

    def count(**settings):
        with torch.device("meta"):
            return n_parameters(build_network(name, shape, architecture_of(name, **settings)))

    assert count(width=default.width * 2) > count()
    assert count(depth=default.depth + 1) != count()
    network = build_network(name, None, architecture_of(name, width=8, dropout=0.3))
    rates = [layer.p for layer in network.modules() if isinstance(layer, torch.nn.Dropout)]
    assert max(rates) == 0.3


@pytest.mark.parametrize("name", [n for n in NAMES if networks.facts(n)["any_size"]])
@pytest.mark.parametrize("size", [16, 45, 101])
def test_networks_of_any_size_take_any_size(name, size):
    n_bands = n_bands_of(name)
    shape = InputShape(n_bands, size, size + 3)
    assert small(name, shape).eval()(torch.zeros(2, n_bands, size, size + 3)).shape == (2,)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scaling", ["own", "sky-asinh"])
def test_finder_runs_with_its_own_scaling_and_with_ours_and_is_saved(name, scaling, tmp_path):
    bands = ("lsst-g", "lsst-i")[: n_bands_of(name)]
    facts = FinderFacts(name, architecture_of(name, width=8), bands, 45, 45, 0.18, 30.0, views="d4")
    generator = torch.Generator().manual_seed(1)
    flux = 5 * torch.randn(6, len(bands), 45, 45, generator=generator)
    images = PixelImages(flux, torch.full_like(flux, 0.04))
    own = networks.facts(name)["recipe"].normalisation
    scaling = normalisations.get(own if scaling == "own" else scaling).fit([images])
    network = build_network(name, facts.input_shape, facts.architecture)
    finder = Finder(network, scaling, facts=facts)
    logits = finder(images)
    assert np.isfinite(logits).all()
    finder.save(tmp_path / "weights.safetensors")
    loaded = load_finder(tmp_path / "weights.safetensors")
    assert loaded.normalisation == scaling
    np.testing.assert_allclose(loaded(images), logits, rtol=1e-4, atol=1e-5)
    if hasattr(scaling, "mean"):
        return  # a mean image of six is not the same from all sides
    turned = PixelImages(*(p.rot90(1, (-2, -1)).contiguous() for p in (flux, images.ivar)))
    np.testing.assert_allclose(loaded(turned), logits, rtol=1e-3, atol=1e-4)


def test_unknown_network_is_named():
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet-small'"):
        build_network("resnet-smal")


@pytest.mark.parametrize(
    ("name", "height"), [("deck-cnn", 12), ("petrillo-2017", 3), ("all-hog", 11)]
)
def test_too_small_image_is_refused(name, height):
    with pytest.raises(OutOfRangeError, match="too small"):
        build_network(name, InputShape(1, height, 45))


def test_network_is_checked_without_the_memory_of_its_weights():
    huge = Architecture(width=4096, depth=2, dropout=0.0)
    check_network("petrillo-2017", InputShape(1, 2000, 2000), huge)
    with pytest.raises(OutOfRangeError, match="too small"):
        check_network("petrillo-2017", InputShape(1, 2000, 2), huge)


@pytest.mark.parametrize("settings", [{"width": 0}, {"depth": 0}, {"dropout": 1.0}])
def test_impossible_architecture_is_refused(settings):
    with pytest.raises(OutOfRangeError, match="makes no network"):
        build_network("deck-cnn", None, architecture_of("deck-cnn", **settings))


@pytest.mark.parametrize("name", TRAINED)
def test_every_network_learns_what_it_is_shown(name):
    flux, ivar, label, _ = toy_images(24, ring=8.0)
    images = PixelImages(torch.from_numpy(flux), torch.from_numpy(ivar))
    scaling = normalisations.get(networks.facts(name)["recipe"].normalisation).fit([images])
    architecture = architecture_of(name, width=8, dropout=0.0)
    network = build_network(name, InputShape(1, 45, 45), architecture, seed=1)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(25):
        optimiser.zero_grad()
        loss = LOSSES["cross-entropy"](network(scaling(images)), torch.from_numpy(label).float())
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
