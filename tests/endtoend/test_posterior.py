"""Training and calibrating a network of posteriors: resumed, refused, and what is left behind."""

import json

import pytest

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.measurement.parameters import PARAMETERS
from stronglens.measurement.posterior_network import load_posterior
from stronglens.measurement.posterior_task import CalibratePosterior, TrainPosterior
from stronglens.training.journal import Journal

TINY = {
    "epochs": 2,
    "images_per_epoch": 1024,
    "n_validation": 512,
    "width": 8,
    "n_features": 16,
    "transforms": 2,
    "hidden": 16,
    "bins": 4,
    "device": "cpu",
}


class StoppedError(Exception):
    """What stops a training in these tests."""


@pytest.mark.slow
def test_an_interrupted_training_goes_on_to_the_same_numbers(tmp_path, monkeypatch):
    whole = TrainPosterior(**TINY).run(tmp_path / "whole")
    unbroken = Journal.on_train_batch_end

    def breaking(self, trainer, *args, **kwargs):
        if trainer.global_step == 6:  # in the second epoch
            raise StoppedError
        unbroken(self, trainer, *args, **kwargs)

    monkeypatch.setattr(Journal, "on_train_batch_end", breaking)
    with pytest.raises(StoppedError):
        TrainPosterior(**TINY).run(tmp_path / "parts")
    monkeypatch.undo()
    resumed = TrainPosterior(**TINY).run(tmp_path / "parts")
    assert resumed.gain == pytest.approx(whole.gain, abs=1e-5)
    assert whole.images_seen == resumed.images_seen == 2048


@pytest.mark.slow
def test_a_certificate_of_one_instrument_is_written_into_the_weights(tmp_path):
    TrainPosterior(**(TINY | {"epochs": 1})).run(tmp_path / "posterior")
    task = CalibratePosterior(
        tmp_path / "posterior",
        n=100,
        n_fit=100,
        draws=32,
        pixel_scale=0.168,
        psf_fwhm=0.6,
        in_half=True,
        device="cpu",
    )
    result = task.run(tmp_path / "certified")
    network = load_posterior(tmp_path / "certified")
    certificate = json.loads((tmp_path / "certified" / "certificate.json").read_text())
    assert network.certificate == certificate
    assert certificate["coverage_error"] == result.coverage_error
    assert set(certificate["coverage"]) == set(PARAMETERS)
    low, high = certificate["domain"]["image_scale"]
    assert low == pytest.approx(high, rel=1e-5) == pytest.approx(0.168, rel=1e-5)
    assert (tmp_path / "certified" / "figures" / "certificate.png").is_file()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 100}, "batch_size=100 does not divide a pool of 1024"),
        ({"epochs": 0}, r"epochs=0 cannot work\. Allowed: 1 or more"),
        ({"max_minutes": 0.0}, r"max_minutes=0\.0 cannot work\. Allowed: above 0"),
        ({"seed": -1}, r"seed=-1 cannot work"),
    ],
)
def test_settings_that_make_no_training_are_refused(tmp_path, changed, message):
    with pytest.raises(OutOfRangeError, match=message):
        TrainPosterior(**(TINY | changed)).run(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_calibrations_that_cannot_work_are_refused(tmp_path):
    with pytest.raises(OutOfRangeError, match="belong together"):
        CalibratePosterior(pixel_scale=0.1).run(tmp_path / "run")
    with pytest.raises(OutOfRangeError, match="n=5 cannot work"):
        CalibratePosterior(n=5).run(tmp_path / "run")
    with pytest.raises(MissingDataError, match="no posterior at"):
        CalibratePosterior(tmp_path / "nothing").run(tmp_path / "run")


def test_a_training_without_an_end_gets_one():
    assert TrainPosterior().resolved().epochs == 40
    assert TrainPosterior(max_minutes=1.0).resolved().epochs is None
