"""Plain regression: the layouts of 2017 and 2019, labels that follow the image, honest errors."""

import numpy as np
import pytest
import torch

from stronglens.core.errors import MissingDataError
from stronglens.data.store import open_dataset
from stronglens.finders import n_parameters
from stronglens.measurement.regression import (
    LabelledBatches,
    LabelledSet,
    Limits01,
    Schooling,
    in_views,
    parameter_errors,
    read_labelled,
    train_regressor,
)
from stronglens.measurement.regression_networks import (
    BOTTLENECK_TARGETS,
    DECK_TARGETS,
    REGRESSORS,
    BottleneckRegressor,
    fitted_to_bottleneck,
)
from stronglens.simulation.task import Simulate

SIDE = 45


def _ellipses(n=12, *, seed=1):
    """Elliptical Gaussians off the centre, with the labels they were drawn from."""
    rng = np.random.default_rng(seed)
    e1, e2 = rng.uniform(-0.4, 0.4, (2, n))
    x, y = rng.uniform(-1.0, 1.0, (2, n))
    offset = (np.arange(SIDE) - 0.5 * (SIDE - 1)) * 0.18
    dx = offset[None, None, :] - x[:, None, None]
    dy = offset[None, :, None] - y[:, None, None]
    a, b = e1[:, None, None], e2[:, None, None]
    # (1 - e)^2 along the major and (1 + e)^2 along the minor axis
    form = (1 + a**2 + b**2) * (dx**2 + dy**2) - 2 * a * (dx**2 - dy**2) - 4 * b * dx * dy
    images = torch.from_numpy(np.exp(-2.0 * form)).float()[:, None]
    values = {"e1": e1, "e2": e2, "x_center": x, "y_center": y, "sigma_v": np.full(n, 250.0)}
    return images, {name: torch.from_numpy(value).float() for name, value in values.items()}


def _measured(images):
    """Ellipticity directions and centres from moments of the pixels."""
    offset = (torch.arange(SIDE) - 0.5 * (SIDE - 1)) * 0.18
    light = images[:, 0] / images.sum(dim=(1, 2, 3))[:, None, None]
    x = (light * offset).sum(dim=(1, 2))
    y = (light * offset[:, None]).sum(dim=(1, 2))
    dx, dy = offset - x[:, None, None], offset[:, None] - y[:, None, None]
    return {
        "e1": (light * (dx**2 - dy**2)).sum(dim=(1, 2)),
        "e2": (light * 2 * dx * dy).sum(dim=(1, 2)),
        "x_center": x,
        "y_center": y,
    }


@pytest.mark.parametrize(
    ("name", "count"), [("deck-regression", 327_525), ("deck-regression-deeper", 104_133)]
)
def test_the_networks_of_2017_have_their_number_of_parameters(name, count):
    network = REGRESSORS[name].build(len(DECK_TARGETS))
    assert n_parameters(network) == count
    assert network(torch.zeros(2, 1, SIDE, SIDE)).shape == (2, 5)


def test_the_encoder_of_2019_has_its_number_of_parameters():
    network = BottleneckRegressor(len(BOTTLENECK_TARGETS))
    assert n_parameters(network.encoder) == 763_796
    assert network.eval()(torch.zeros(1, 3, 111, 111)).shape == (1, 3)


@pytest.mark.parametrize("shape", [(1, 45, 45), (3, 64, 50), (5, 111, 111)])
def test_images_of_other_sizes_and_bands_are_fitted_to_the_encoder(shape):
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(1))
    fitted = fitted_to_bottleneck(images)
    assert fitted.shape == (2, 3, 111, 111)
    if shape[0] == 1:
        assert torch.equal(fitted[:, 0], fitted[:, 2])


def test_the_bottleneck_is_noisy_in_training_only():
    network = BottleneckRegressor(3)
    images = torch.rand(4, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


def test_labels_follow_the_image_and_those_of_2017_did_not():
    images, labels = _ellipses(64)
    seen, turned = in_views(images, labels, torch.Generator().manual_seed(3), 0.18)
    measured = _measured(seen)
    for name in ("e1", "e2"):
        # moments fall short of e by the same factor in every view
        right = np.corrcoef(measured[name], turned[name])[0, 1]
        as_in_2017 = np.corrcoef(measured[name], labels[name])[0, 1]
        assert right > 0.97
        assert abs(as_in_2017) < 0.6
    for name in ("x_center", "y_center"):
        assert torch.allclose(measured[name], turned[name], atol=0.05)
        assert not torch.allclose(measured[name], labels[name], atol=0.5)
    assert torch.equal(turned["sigma_v"], labels["sigma_v"])


def test_batches_carry_scaled_labels_and_come_again():
    images, labels = _ellipses(10)
    labels = {name: labels[name] for name in ("e1", "e2")}
    limits = Limits01(torch.tensor([-0.4, -0.4]), torch.tensor([0.8, 0.8]))
    batches = LabelledBatches(LabelledSet(images, labels, 0.18), limits, 4, seed=1)
    assert len(batches) == 3
    first, again = (list(batches.epoch(2)) for _ in range(2))
    assert [len(batch["labels"]) for batch in first] == [4, 4, 2]
    assert all(torch.equal(a["images"], b["images"]) for a, b in zip(first, again, strict=True))
    assert float(first[0]["labels"].min()) >= 0.0
    assert not torch.equal(first[0]["images"], next(batches.epoch(3))["images"])


def test_errors_stand_beside_those_of_the_mean():
    truth = {"e1": torch.tensor([0.0, 1.0, 2.0])}
    errors = parameter_errors(
        {"e1": np.array([0.0, 1.0, 5.0])}, truth, {"e1": torch.tensor([1.0, 1.0])}
    )["e1"]
    assert errors.rms == pytest.approx(3**0.5)
    assert errors.mae == pytest.approx(1.0)
    assert errors.rms_of_mean == pytest.approx((2 / 3) ** 0.5)


@pytest.mark.slow
def test_a_regressor_learns_what_can_be_seen(tmp_path):
    training, test = (LabelledSet(*_part(n, seed), 0.18) for n, seed in ((512, 2), (100, 3)))
    settings = Schooling(seed=1, epochs=14)
    predict = train_regressor("deck-regression", training, test, tmp_path, settings)
    errors = parameter_errors(predict(test.images), test.labels, training.labels)
    for name in ("x_center", "y_center"):
        assert errors[name].rms < 0.7 * errors[name].rms_of_mean


def _part(n, seed):
    images, labels = _ellipses(n, seed=seed)
    return images, {name: labels[name] for name in ("x_center", "y_center")}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A small simulated set with truth."""
    path = Simulate(n=60, seed=3).run(tmp_path_factory.mktemp("sims") / "run").path
    return open_dataset(path)


@pytest.mark.slow
def test_only_lenses_are_read_with_their_labels(dataset):
    data = read_labelled(dataset, DECK_TARGETS, "train")
    label = np.asarray(dataset.column("label"), dtype=float)[dataset.index("train")]
    assert len(data) == int(label.sum()) > 0
    assert list(data.labels) == list(DECK_TARGETS)
    assert all(bool(torch.isfinite(values).all()) for values in data.labels.values())


@pytest.mark.slow
def test_a_set_without_the_columns_is_refused(dataset):
    with pytest.raises(MissingDataError, match=r"has no truth columns mood"):
        read_labelled(dataset, ("e1", "mood"), "train")
