"""A toy dataset, a training, a test: what is written, and that a killed training goes on."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from lens_toys import write_toy_dataset

from stronglens.core.errors import (
    InterruptedRunError,
    MissingDataError,
    OutOfRangeError,
    StaleCheckpointError,
    UnknownNameError,
    WrongShapeError,
)
from stronglens.core.task import load_result
from stronglens.data.catalog import read_table
from stronglens.data.store import open_dataset
from stronglens.evaluation.estimate import Estimate
from stronglens.finders import load_finder
from stronglens.training.journal import Journal
from stronglens.training.task import Evaluate, EvaluateResult, Train, TrainResult

FIGURES = {"confusion", "roc", "scores", "feature_maps"}
RUN = """
import sys
from pathlib import Path
from stronglens.training.task import Train
Train(data=Path(sys.argv[1]), width=8, depth=1, epochs=int(sys.argv[3]), batch_size=16).run(
    sys.argv[2]
)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_toy_dataset(tmp_path_factory.mktemp("toy") / "data", 160, ring=8.0)


def small(data, **settings):
    defaults = {"width": 8, "depth": 1, "epochs": 2, "batch_size": 16}
    return Train(data=data, **{**defaults, **settings})


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "finder"
    small(data, epochs=20, learning_rate=0.01).run(out)
    return out


@pytest.fixture(scope="module")
def report(run, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "report"
    Evaluate(finder=run, data=data, n_bootstrap=100).run(out)
    return out


def history(path):
    with (path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def test_training_writes_what_it_promises(run):
    for name in ("weights.safetensors", "last.safetensors", "checkpoints/last.ckpt"):
        assert (run / name).is_file()
    assert (run / "figures" / "training.png").stat().st_size > 5000
    assert not (run / "lightning_logs").exists()
    assert list(history(run)[0]) == [
        *("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "updates")
    ]
    result = load_result(run, TrainResult)
    assert isinstance(result, TrainResult)
    assert result.epochs == 20
    assert result.val_loss == min(float(row["val_loss"]) for row in history(run))
    assert result.val_accuracy > 0.8
    assert result.seconds > 0


def test_trained_finder_knows_its_data_and_recipe(run, data):
    facts = load_finder(run).facts
    assert facts.bands == ("lsst-g",)
    assert (facts.pixel_scale, facts.zero_point, facts.height) == (0.18, 30.0, 45)
    assert facts.training["optimiser"] == "adamw"
    assert facts.training["data"] == str(data)
    assert facts.threshold == load_result(run, TrainResult).threshold  # type: ignore[attr-defined]


def test_test_writes_what_it_promises(report):
    metrics = json.loads((report / "metrics.json").read_text())
    for name in ("accuracy", "auroc", "tpr_at_fpr_0.1", "tpr0", "tpr10", "p_wrong_lens"):
        if name not in metrics["refused"]:
            assert set(metrics[name]) == {"value", "low", "high"}
            assert metrics[name]["low"] <= metrics[name]["value"] <= metrics[name]["high"]
    assert (metrics["n_positive"], metrics["n_negative"], metrics["n_failed"]) == (20, 20, 0)
    assert sum(v for k, v in metrics["confusion"].items() if k != "threshold") == 40
    assert metrics["ms_per_image"] > 0
    assert metrics["called_lens"] == {}  # the toys are of no class
    assert "tpr_at_fpr_0.01" in metrics["refused"]
    assert "tpr_at_fpr_0.01" not in metrics
    names = {path.stem for path in (report / "figures").iterdir()}
    assert names >= FIGURES
    assert any(name.startswith("gallery_true_positives") for name in names)
    result = load_result(report, EvaluateResult)
    assert isinstance(result, EvaluateResult)
    assert result.auroc == Estimate(**metrics["auroc"])
    assert result.auroc.value > 0.85


def test_scores_are_those_of_the_finder(run, data, report):
    table = read_table(report / "scores.parquet")
    dataset = open_dataset(data)
    images = dataset.images(table["row"])
    expected = load_finder(run).logits(images.flux, images.ivar)
    np.testing.assert_allclose(table["logit"], expected, atol=1e-5)
    assert (table["label"] == dataset.column("label")[table["row"]]).all()
    assert np.isin(table["row"], dataset.index("test")).all()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_same_seed_gives_the_same_numbers(data, tmp_path, precision):
    settings = {"precision": precision, "epochs": 1, "network": "deck-cnn", "augmentation": "d4"}
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        small(data, seed=seed, **settings).run(tmp_path / name)
    a, b, c = (history(tmp_path / name) for name in "abc")
    assert a == b
    assert a != c


class StoppedError(Exception):
    """Stands for a power cut."""


def test_interrupted_training_goes_on_to_the_same_numbers(data, tmp_path, monkeypatch):
    settings = {"epochs": 3, "dropout": 0.5, "network": "deck-cnn"}
    small(data, **settings).run(tmp_path / "whole")

    unbroken = Journal.on_train_batch_end

    def breaking(self, trainer, *args, **kwargs):
        if trainer.global_step == 8:  # in the middle of the second epoch
            raise StoppedError
        unbroken(self, trainer, *args, **kwargs)

    monkeypatch.setattr(Journal, "on_train_batch_end", breaking)
    with pytest.raises(StoppedError):
        small(data, **settings).run(tmp_path / "parts")
    assert len(history(tmp_path / "parts")) == 1
    monkeypatch.undo()
    small(data, **settings).run(tmp_path / "parts")
    assert history(tmp_path / "parts") == history(tmp_path / "whole")
    one, other = (load_finder(tmp_path / name) for name in ("parts", "whole"))
    for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_ctrl_c_ends_in_an_interrupt_that_can_be_resumed(data, tmp_path, monkeypatch):
    handler = signal.getsignal(signal.SIGINT)

    def pressed(self, trainer, *args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "on_train_batch_end", pressed)
    with pytest.raises(KeyboardInterrupt):
        small(data).run(tmp_path / "run")
    assert signal.getsignal(signal.SIGINT) is handler
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "interrupted"
    with pytest.raises(InterruptedRunError, match="not finished"):
        load_finder(tmp_path / "run")
    monkeypatch.undo()
    small(data).run(tmp_path / "run")
    assert len(history(tmp_path / "run")) == 2


@pytest.mark.slow
def test_killed_training_goes_on_to_the_same_numbers(data, tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

    def start(name):
        command = [sys.executable, "-c", RUN, str(data), str(tmp_path / name), "15"]
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    process = start("killed")
    while not _has_rows(tmp_path / "killed" / "history.csv", 3):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "result.json").exists()
    assert start("killed").wait() == 0
    assert start("whole").wait() == 0
    assert len(history(tmp_path / "whole")) == 15
    assert history(tmp_path / "killed") == history(tmp_path / "whole")


def _has_rows(path: Path, n: int) -> bool:
    return path.is_file() and len(path.read_text().splitlines()) > n


def test_training_stops_in_time_and_ends_its_schedule(data, tmp_path):
    settings = {"epochs": None, "max_minutes": 0.03, "n_train": 40}
    result = small(data, **settings).run(tmp_path / "run")
    assert isinstance(result, TrainResult)
    assert 1.7 <= result.seconds < 4
    assert result.n_train == 40
    assert float(history(tmp_path / "run")[-1]["learning_rate"]) < 1e-3


def test_training_stops_early_when_nothing_is_gained(data, tmp_path):
    # a learning rate of almost nothing: no epoch is better than the first by much
    settings = {"learning_rate": 1e-9, "optimiser": "sgd", "loss": "hinge", "epochs": 50}
    result = small(data, early_stop_patience=2, **settings).run(tmp_path / "run")
    assert isinstance(result, TrainResult)
    assert result.epochs < 50
    assert result.best_epoch == result.epochs - 2


@pytest.mark.parametrize("loss", ["focal", "mse", "hinge"])
def test_every_loss_trains(data, tmp_path, loss):
    small(data, loss=loss, epochs=1).run(tmp_path / "run")


def test_recipe_fills_what_is_not_set(data):
    task = Train(data=data, network="deck-cnn", batch_size=8).resolved()
    assert (task.batch_size, task.epochs, task.normalisation) == (8, 200, "min-max")
    assert (task.width, task.depth, task.dropout) == (32, 2, 0.5)
    assert Train(data=data, max_minutes=1.0).resolved().epochs is None
    assert Train.from_toml(task.to_toml()) == task


def test_diverging_training_says_so(data, tmp_path):
    settings = {"learning_rate": 1e30, "optimiser": "sgd", "schedule": "constant"}
    with pytest.raises(OutOfRangeError, match=r"diverged\. Use a smaller learning_rate"):
        small(data, **settings).run(tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"network": "deck-cn"}, UnknownNameError, "Did you mean 'deck-cnn'"),
        ({"epochs": 0}, OutOfRangeError, "epochs=0"),
        ({"learning_rate": -1.0}, OutOfRangeError, "learning_rate=-1.0"),
        ({"dropout": 1.0}, OutOfRangeError, "dropout=1.0"),
        ({"n_train": 1}, OutOfRangeError, "n_train=1"),
        ({"max_minutes": 0.0}, OutOfRangeError, "max_minutes=0.0"),
        ({"data": Path("nothing-here")}, MissingDataError, "no dataset at"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(
    data, tmp_path, settings, error, message
):
    with pytest.raises(error, match=message):
        small(settings.pop("data", data), **settings).run(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_settings_in_the_same_directory_are_refused(data, run):
    with pytest.raises(StaleCheckpointError, match="epochs"):
        small(data, epochs=3).run(run)


def test_finder_is_refused_for_data_it_was_not_made_for(data, tmp_path):
    small(data, network="deck-cnn", epochs=1).run(tmp_path / "run")
    other = write_toy_dataset(tmp_path / "other", 40, size=33)
    with pytest.raises(WrongShapeError, match="33x33 pixels but finder 'deck-cnn' takes 45x45"):
        Evaluate(finder=tmp_path / "run", data=other).run(tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_finder_of_any_size_is_judged_on_other_sizes(run, tmp_path):
    other = write_toy_dataset(tmp_path / "other", 160, size=39)
    Evaluate(finder=run, data=other, n_bootstrap=100).run(tmp_path / "report")
    assert (tmp_path / "report" / "metrics.json").is_file()
