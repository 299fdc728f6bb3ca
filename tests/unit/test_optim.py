"""Losses, optimisers and the learning rate over a training."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from stronglens.core.errors import UnknownNameError
from stronglens.training.optim import (
    LOSSES,
    OPTIMISERS,
    LearningRate,
    build_optimiser,
    cross_entropy,
    focal,
    hinge,
    mean_squared_error,
)

LABELS = torch.tensor([1.0, 0.0, 1.0, 0.0])
LOGITS = torch.tensor([2.0, -1.0, -0.5, 3.0])


def test_decay_of_the_study_ends_at_an_801st():
    rate = LearningRate(0.001, decay=0.01)
    assert rate.at(0, 0.0) == 0.001
    assert rate.at(200 * 400, 1.0) == pytest.approx(0.001 / 801)


def test_rates_of_the_slides_sum_to_two_thirds():
    rate = LearningRate(0.001, decay=0.01)
    total = sum(rate.at(update, 0.0) for update in range(200 * 400))
    assert total == pytest.approx(0.67, abs=0.005)


def test_one_cycle_rises_and_falls_to_nothing():
    rate = LearningRate(0.1, schedule="one-cycle")
    values = [rate.at(0, done / 100) for done in range(101)]
    assert values[0] == pytest.approx(0.004)
    assert max(values) == values[25] == pytest.approx(0.1)
    assert values[-1] == pytest.approx(0.0)
    assert all(b >= a for a, b in pairwise(values[:26]))
    assert all(b <= a for a, b in pairwise(values[25:]))


def test_step_drops_tenfold_after_each_third():
    rate = LearningRate(0.1, schedule="step")
    assert [rate.at(0, n / 120) for n in (0, 39, 40, 79, 80, 120)] == pytest.approx(
        [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    )


def test_cosine_is_half_at_half_time_and_stays_in_range_beyond_the_end():
    rate = LearningRate(0.1, schedule="cosine")
    assert rate.at(0, 0.5) == pytest.approx(0.05)
    assert rate.at(0, 1.7) == pytest.approx(0.0)


def test_cross_entropy_is_that_of_a_softmax_of_two_units():
    units = torch.stack([LOGITS * 0.7, -LOGITS * 0.3], dim=1)
    expected = nn.functional.cross_entropy(units, (1 - LABELS).long())
    torch.testing.assert_close(cross_entropy(LOGITS, LABELS), expected)


def test_focal_loss_by_hand():
    p = torch.sigmoid(LOGITS)
    p_true = torch.where(LABELS == 1, p, 1 - p)
    expected = (-((1 - p_true) ** 2) * torch.log(p_true)).mean()
    torch.testing.assert_close(focal(LOGITS, LABELS), expected)


def test_mean_squared_error_by_hand():
    expected = ((torch.sigmoid(LOGITS) - LABELS) ** 2).mean()
    torch.testing.assert_close(mean_squared_error(LOGITS, LABELS), expected)


def test_hinge_by_hand():
    assert hinge(LOGITS, LABELS).item() == pytest.approx((0 + 0 + 1.5 + 4) / 4)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_smaller_for_better_answers_and_finite_far_out(name):
    loss = LOSSES[name]
    right = torch.where(LABELS == 1, 4.0, -4.0)
    assert loss(right, LABELS) < loss(0 * right, LABELS) < loss(-right, LABELS)
    far = (100 * right).requires_grad_()
    value = loss(far, LABELS)
    value.backward()
    assert math.isfinite(value.item())
    assert torch.isfinite(far.grad).all()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_optimisers_go_downhill(name):
    torch.manual_seed(0)
    network = nn.Linear(3, 1)
    optimiser = build_optimiser(name, network.parameters(), learning_rate=0.05, weight_decay=0.0)
    x = torch.randn(64, 3)
    target = x.sum(1, keepdim=True)

    def loss():
        return (network(x) - target).square().mean()

    before = loss().item()
    for _ in range(50):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert loss().item() < before


def test_weight_decay_spares_biases_and_normalisations():
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(1, 4))
    optimiser = build_optimiser("adamw", network.parameters(), learning_rate=0.1, weight_decay=0.5)
    decayed, spared = optimiser.param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.5, 0.0)
    assert [w.ndim for w in decayed["params"]] == [4]
    assert len(spared["params"]) == 3


def test_unknown_optimiser_is_named():
    with pytest.raises(UnknownNameError, match="Did you mean 'adam'"):
        build_optimiser("adan", [], learning_rate=0.1, weight_decay=0.0)
