"""The network of posteriors that comes with the package: small, certified, and of some use."""

import json

import numpy as np
import pytest

from stronglens.core.conventions import turn_labels
from stronglens.measurement.calibration import sample_posteriors
from stronglens.measurement.frozen_sets import frozen_set
from stronglens.measurement.parameters import PARAMETERS
from stronglens.measurement.posterior_network import SHIPPED, load_posterior

MOST_BYTES = 4_000_000
FILES = sorted(SHIPPED.glob("*.safetensors"))


@pytest.fixture(scope="module")
def network():
    """The network that is used unless another is asked for."""
    return load_posterior()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_weights_are_small_and_have_their_recipe_beside_them(file):
    assert file.stat().st_size < MOST_BYTES
    recipe = json.loads(file.with_suffix(".json").read_text())
    shipped = load_posterior(file)
    assert recipe["training"] == shipped.training
    assert shipped.certificate is not None
    certificate = recipe["certificate"]
    assert certificate["coverage_error"] == shipped.certificate["coverage_error"]
    assert certificate["settings"] == shipped.certificate["settings"]


def test_einstein_radii_of_bright_arcs_are_found(network):
    sample = sample_posteriors(network, frozen_set("sim-euclid", 300.0, 24), 64, seed=1)
    error = np.median(sample.draws[:, :, 0], axis=0) / sample.truth[:, 0] - 1.0
    # predicting the middle of the set's range would be off by 20 %
    assert np.median(np.abs(error)) < 0.06


def test_more_signal_gives_narrower_posteriors(network):
    widths = []
    for snr in (30.0, 300.0):
        sample = sample_posteriors(network, frozen_set("sim-ground", snr, 30), 64, seed=1)
        widths.append(np.median(sample.latent.std(axis=0), axis=0))
    assert widths[1][0] < widths[0][0]
    # a standard normal is what is known without an image
    assert widths[1].max() < 1.1


def test_a_turned_lens_has_the_turned_posterior(network):
    images = next(frozen_set("sim-euclid", 100.0, 3))
    for index in range(3):
        draws = network.draws(images.lens_image(index), 3000)
        turned = network.draws(images.turned(1).lens_image(index), 3000, seed=1)
        expected = turn_labels(draws, 1)
        for name in PARAMETERS:
            error = np.sqrt(2.0 / 3000) * expected[name].std()
            assert abs(turned[name].mean() - expected[name].mean()) < 5.0 * error, name


def test_the_certificate_knows_its_own_images(network):
    found = network.assess(next(frozen_set("sim-euclid", 100.0, 1)).lens_image(0))
    assert found.is_inside
    assert found.ood_score < 0.99
