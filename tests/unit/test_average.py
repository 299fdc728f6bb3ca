"""The running mean of weights, gradient clipping, and that both go through a resumed training."""

import numpy as np
import pytest
import torch
from torch import nn

from stronglens.training.batches import StoredBatches
from stronglens.training.fit import Hooks, Plan, Problem, fit
from stronglens.training.journal import Journal, Limits
from stronglens.training.optim import LearningRate

EPOCHS = 3


class Straight(nn.Module):
    """A line through the pixels, with running means that are averaged too."""

    def __init__(self):
        super().__init__()
        self.normalisation = nn.BatchNorm2d(1)
        self.output = nn.Linear(4, 1)

    def forward(self, images):
        return self.output(self.normalisation(images).flatten(1))[:, 0]


def figures(network, batch):
    return {"loss": (network(batch["image"]) - batch["label"]).square().mean()}


def learn(folder, *, average=None, clip=None, rate=0.05):
    torch.manual_seed(1)
    images = torch.randn(64, 1, 2, 2)
    label = images.flatten(1).sum(1)
    training = StoredBatches(images, label, 8, seed=2, is_shuffled=True)
    problem = Problem(Straight(), figures, training, StoredBatches(images, label, 64))
    kept = {}

    def keep(epoch):
        kept[epoch] = {n: v.clone() for n, v in problem.network.state_dict().items()}

    plan = Plan(
        seed=1,
        optimiser="sgd",
        learning_rate=LearningRate(rate),
        weight_decay=0.0,
        precision="float32",
        limits=Limits(epochs=EPOCHS),
        device=torch.device("cpu"),
        average=average,
        clip=clip,
    )
    memory = fit(problem, plan, folder, Hooks(keep, lambda _row: None))
    return memory, problem.network.state_dict(), kept


def losses(memory):
    return [row["val_loss"] for row in memory.rows]


def test_a_mean_without_memory_is_the_last_weights(tmp_path):
    plain, weights, _ = learn(tmp_path / "plain")
    mean, averaged, _ = learn(tmp_path / "mean", average=0.0)
    assert losses(mean) == losses(plain)
    for name, value in weights.items():
        torch.testing.assert_close(averaged[name], value)


def test_the_mean_is_what_is_judged_kept_and_left_behind(tmp_path):
    plain, weights, _ = learn(tmp_path / "plain")
    mean, averaged, kept = learn(tmp_path / "mean", average=0.95)
    # it lags behind weights that go straight to their goal
    assert losses(mean)[0] > losses(plain)[0]
    assert not torch.equal(averaged["output.weight"], weights["output.weight"])
    for name, value in kept[EPOCHS].items():
        assert torch.equal(averaged[name], value)
    # learning itself is as it was
    assert [r["loss"] for r in mean.rows] == [r["loss"] for r in plain.rows]


class StoppedError(Exception):
    """Stands for a power cut."""


def test_interrupted_training_goes_on_to_the_same_mean(tmp_path, monkeypatch):
    whole, expected, _ = learn(tmp_path / "whole", average=0.9)
    unbroken = Journal.on_train_batch_end

    def breaking(self, trainer, *args, **kwargs):
        if trainer.global_step == 12:  # in the middle of the second epoch
            raise StoppedError
        unbroken(self, trainer, *args, **kwargs)

    monkeypatch.setattr(Journal, "on_train_batch_end", breaking)
    with pytest.raises(StoppedError):
        learn(tmp_path / "parts", average=0.9)
    monkeypatch.undo()
    parts, averaged, _ = learn(tmp_path / "parts", average=0.9)
    assert losses(parts) == losses(whole)
    for name, value in expected.items():
        assert torch.equal(averaged[name], value)


def test_clipping_bounds_the_step(tmp_path):
    _, weights, _ = learn(tmp_path / "clipped", clip=1e-6, rate=1.0)
    torch.manual_seed(1)
    torch.randn(64, 1, 2, 2)
    first = Straight().state_dict()["output.weight"]
    moved = (weights["output.weight"] - first).abs().max().item()
    assert 0 < moved <= 24 * 1e-6 * 1.01
    assert np.isfinite(moved)
