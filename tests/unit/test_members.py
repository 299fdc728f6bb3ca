"""Members of a committee combine as their definitions say, and errors they share are counted."""

import numpy as np
import pytest
import torch
from scipy import special

from stronglens.core.errors import OutOfRangeError, UnknownNameError, WrongShapeError
from stronglens.evaluation.metrics import roc_curve
from stronglens.evaluation.overlap import shared_false_positives
from stronglens.finders import (
    Finder,
    FinderFacts,
    InputShape,
    architecture_of,
    build_network,
    load_finder,
    networks,
)
from stronglens.finders.calibrate import Calibration, fit_calibration
from stronglens.finders.committee import committee_of
from stronglens.finders.members import BetaMap, Combination
from stronglens.finders.normalise import Flux, MinMax, SkyAsinh
from stronglens.training.combination import METHODS, combined, fit_combination, rare_area

BETA = Calibration("beta", (0.7, 1.3, -0.2), 0.5, 10, 10)
HALVED = Calibration("temperature", (0.5,), 0.5, 10, 10)


def member(network="resnet-small", scaling=None, *, size=45, views="none", bands=("g",), **facts):
    """Return an untrained finder."""
    shape = InputShape(len(bands), size, size, 0.2, 27.0, bands)
    small = {} if network == "all-hog" else {"width": 4, "depth": 1}
    architecture = architecture_of(network, **small)
    values = {"pixel_scale": 0.2, "zero_point": 27.0, "views": views} | facts
    return Finder(
        build_network(network, shape, architecture, seed=size + len(views)).eval(),
        scaling or SkyAsinh(),
        facts=FinderFacts(network, architecture, bands, size, size, **values),
    )


@pytest.fixture(scope="module")
def images():
    """Seven images of which the third is blank."""
    flux = np.random.default_rng(0).normal(size=(7, 1, 45, 45)).astype(np.float32)
    flux[2] = np.nan
    return flux, np.ones_like(flux), np.zeros(flux.shape, bool)


def mean_probability(log_odds):
    return special.logit((special.expit(log_odds[0]) + 3 * special.expit(log_odds[1])) / 4)


@pytest.mark.parametrize(
    ("combination", "expected"),
    [
        (Combination("sum", (0.5, 2.0), 0.3), lambda x: 0.5 * x[0] + 2 * x[1] + 0.3),
        (Combination("probability", (1.0, 3.0)), mean_probability),
        (Combination("median", (1.0, 1.0)), lambda x: np.median(x, axis=0)),
        (Combination("median", (0.0, 1.0)), lambda x: x[1]),
    ],
)
def test_a_committee_is_what_its_members_say_and_survives_a_file(
    combination, expected, images, tmp_path
):
    finders = [member(views="d4"), member("all-hog", Flux(), views="turns")]
    maps = [BETA, HALVED]
    committee = committee_of(finders, maps, combination, names=["a", "b"])
    alone = [m.log_odds(f.logits(*images)) for m, f in zip(maps, finders, strict=True)]
    found = committee.logits(*images)
    np.testing.assert_allclose(found, expected(np.stack(alone)), rtol=1e-4, atol=1e-5)
    assert np.flatnonzero(np.isnan(found)).tolist() == [2]
    committee.save(tmp_path / "weights.safetensors")
    again = load_finder(tmp_path / "weights.safetensors")
    np.testing.assert_array_equal(again.logits(*images), found)
    assert [m["name"] for m in again.facts.committee["members"]] == ["a", "b"]
    assert again.logits(np.zeros((0, 1, 45, 45), np.float32)).shape == (0,)


def test_a_committee_takes_the_sizes_that_all_members_take():
    free, fixed = member(), member("deck-cnn", MinMax())
    assert networks.facts("resnet-small")["any_size"]
    both = committee_of([free, fixed], [BETA, BETA], Combination("sum", (1.0, 1.0)))
    assert not both.facts.any_size
    with pytest.raises(WrongShapeError, match="takes 45x45"):
        both.logits(np.zeros((1, 1, 50, 50), np.float32))
    alike = committee_of([free, free], [BETA, BETA], Combination("sum", (1.0, 1.0)))
    assert alike.logits(np.ones((2, 1, 31, 50), np.float32)).shape == (2,)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"bands": ("r",)}, "bands r instead of g"),
        ({"pixel_scale": 0.3}, 'pixels of 0.3" instead of 0.2"'),
        ({"zero_point": 30.0}, "zero point 30 instead of 27"),
        ({"network": "deck-cnn", "size": 51}, "images of 51x51 pixels instead of 45x45"),
    ],
)
def test_members_of_other_images_are_refused(other, message):
    first = member("deck-cnn") if "size" in other else member()
    with pytest.raises(WrongShapeError, match=f"member b differs from a: {message}"):
        committee_of(
            [first, member(**other)], [BETA] * 2, Combination("sum", (1.0, 1.0)), names=["a", "b"]
        )


def test_one_finder_or_a_committee_is_no_member():
    weights = Combination("sum", (1.0, 1.0))
    with pytest.raises(OutOfRangeError, match="1 finder is no committee"):
        committee_of([member()], [BETA], weights)
    inner = committee_of([member(), member()], [BETA, BETA], weights)
    with pytest.raises(OutOfRangeError, match="is a committee itself"):
        committee_of([member(), inner], [BETA, BETA], weights)


def test_combinations_of_nothing_are_refused():
    with pytest.raises(OutOfRangeError, match="all members count nothing"):
        Combination("sum", (0.0, 0.0))
    with pytest.raises(OutOfRangeError, match="weights of 0 or more"):
        Combination("probability", (1.0, -1.0))
    with pytest.raises(UnknownNameError, match="rule of combination"):
        Combination("product", (1.0,))


@pytest.mark.parametrize("method", ["temperature", "beta"])
def test_torch_calibrates_as_numpy_does(method):
    generator = np.random.default_rng(3)
    labels = np.arange(400) % 2
    logits = generator.normal(3.0 * labels - 1.5, 2.0) * 3
    calibration = fit_calibration(logits, labels, method)
    grid = np.linspace(-200, 200, 401)
    np.testing.assert_allclose(
        BetaMap.of(calibration)(torch.from_numpy(grid)).numpy(),
        calibration.log_odds(grid),
        atol=1e-9,
    )
    with pytest.raises(OutOfRangeError, match="Allowed: beta, temperature"):
        BetaMap.of(fit_calibration(logits, labels, "isotonic"))


def draw(seed, n=4000):
    """Log-odds of three members: two good ones that err apart, and one that knows nothing."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    noise = generator.normal(size=(3, n))
    signal = np.array([[2.0], [2.0], [0.0]]) * (labels - 0.5)
    return np.stack([*(2.0 * (signal + noise)[:2]), 0.1 * noise[2]]), labels


@pytest.mark.parametrize("method", list(METHODS))
def test_members_that_err_apart_gain_together(method):
    fitted, test = draw(0), draw(1)
    found = combined(fit_combination(method, *fitted), test[0])
    metric = rare_area(2000)
    alone = [metric(roc_curve(row, test[1])) for row in test[0]]
    assert metric(roc_curve(found, test[1])) > max(alone) + (0.0 if method == "median" else 0.05)


@pytest.mark.parametrize("method", ["stacking", "greedy"])
def test_a_member_that_knows_nothing_gets_little_weight(method):
    weights = np.abs(fit_combination(method, *draw(0)).weights)
    log_odds, _ = draw(0)
    pull = weights * log_odds.std(axis=1)
    assert pull[2] < 0.2 * pull[:2].min()


def test_stacking_of_calibrated_independent_members_adds_their_evidence():
    found = fit_combination("stacking", *draw(2, 20_000))
    # both members' true log-odds are their values, so the best sum has weights of one
    assert found.weights[:2] == pytest.approx((1.0, 1.0), abs=0.08)
    assert abs(found.offset) < 0.1


def test_an_unknown_method_is_refused():
    with pytest.raises(UnknownNameError, match="unknown method 'voting'"):
        fit_combination("voting", *draw(0, 100))


def test_shared_false_positives_are_counted():
    labels = np.repeat([1, 0], [50, 200])
    generator = np.random.default_rng(0)
    first = generator.normal(size=250)
    apart = -first
    overlap = shared_false_positives(np.stack([first, first, apart]), labels, 0.1)
    np.testing.assert_array_equal(overlap.n_false, [20, 20, 20])
    np.testing.assert_array_equal(overlap.share, [[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    # a finder of one score for all has no false positive at a small rate
    constant = shared_false_positives(np.stack([first, np.zeros(250)]), labels, 0.1)
    assert np.isnan(constant.share[1]).all()
    assert constant.share[0, 1] == 0
    with pytest.raises(OutOfRangeError, match="use at least 1000 negatives"):
        shared_false_positives(first[None], labels, 0.01)
