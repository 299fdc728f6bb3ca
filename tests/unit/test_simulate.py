"""The simulator as a task: same seed same images, resumed after a kill, splits and truth."""

import numpy as np
import pytest

from stronglens.core.errors import OutOfRangeError, StaleCheckpointError, UnknownNameError
from stronglens.core.rundir import RunDirectory
from stronglens.data.store import open_dataset
from stronglens.data.writer import DatasetWriter
from stronglens.simulation.deck import split_of
from stronglens.simulation.priors import Population
from stronglens.simulation.task import Simulate

LENS_ONLY = ("theta_e", "e1", "e2", "gamma1", "gamma2", "z_source", "arc_snr", "mag_source")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("simulated") / "set"
    return Simulate(n=300, seed=3).run(path)


def test_half_of_the_images_are_lenses_and_none_has_nan(made):
    dataset = open_dataset(made.path)
    assert (made.n, made.n_lens) == (300, 150)
    images = dataset.images(slice(0, 300))
    assert np.isfinite(images.flux).all()
    assert (images.ivar > 0).all()
    np.testing.assert_allclose(images.psf.sum(axis=(2, 3)), 1.0, atol=1e-5)


def test_truth_of_a_lens_is_complete_and_null_where_there_is_none(made):
    dataset = open_dataset(made.path)
    is_lens = dataset.column("label") == 1
    for name in LENS_ONLY:
        values = dataset.column(name)
        assert np.isfinite(values[is_lens]).all(), name
        assert np.isnan(values[~is_lens]).all(), name
    assert (dataset.column("magnification")[~is_lens] == 1).all()
    assert (dataset.column("magnification")[is_lens] > 1.1).mean() > 0.98


def test_noisy_image_is_the_noiseless_one_plus_the_stated_noise(made):
    dataset = open_dataset(made.path)
    images = dataset.images(slice(0, 300))
    pull = (images.flux - dataset.plane("noiseless", slice(0, 300))) * np.sqrt(images.ivar)
    # 300 x 45 x 45 pixels: five standard errors are 0.0064 on the mean and 0.0045 on the scatter
    assert abs(pull.mean()) < 0.0064
    assert abs(pull.std() - 1) < 0.0045


def test_planes_add_up(made):
    dataset = open_dataset(made.path)
    rows = slice(0, 50)
    total = dataset.plane("source", rows) + dataset.plane("deflector_light", rows)
    np.testing.assert_allclose(total, dataset.plane("noiseless", rows), rtol=1e-5, atol=1e-5)


def test_single_exposures_show_the_same_scenes_with_less_signal(made):
    stack, single = open_dataset(made.path), open_dataset(made.path / "single")
    is_lens = stack.column("label") == 1
    np.testing.assert_array_equal(stack.column("theta_e"), single.column("theta_e"))
    ratio = stack.column("arc_snr")[is_lens] / single.column("arc_snr")[is_lens]
    # 120 exposures gain at most their square root where the sky rules
    assert 8 < np.median(ratio) < 12.5
    assert stack.column("psf_fwhm").std() < 0.2 * single.column("psf_fwhm").std()


def test_same_seed_gives_the_same_images_whatever_the_number(made, tmp_path):
    again = open_dataset(
        Simulate(n=260, seed=3, planes=False, single=False).run(tmp_path / "a").path
    )
    first = open_dataset(made.path)
    rows = slice(0, 260)
    np.testing.assert_array_equal(again.images(rows).flux, first.images(rows).flux)
    other = open_dataset(
        Simulate(n=20, seed=4, planes=False, single=False).run(tmp_path / "b").path
    )
    assert not np.array_equal(other.images(slice(0, 20)).flux, first.images(slice(0, 20)).flux)


def test_a_killed_run_goes_on_and_gives_what_an_uninterrupted_one_gives(tmp_path, monkeypatch):
    task = Simulate(n=1250, seed=5, planes=False)
    whole = task.run(tmp_path / "whole")
    write_shard = DatasetWriter.write_shard

    def killed(self, start, *args, **kwargs):
        if start > 0:
            raise KeyboardInterrupt
        write_shard(self, start, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(DatasetWriter, "write_shard", killed)
        with pytest.raises(KeyboardInterrupt):
            task.run(tmp_path / "killed")
    resumed = task.run(tmp_path / "killed")
    assert resumed.content_hash == whole.content_hash
    single = [open_dataset(tmp_path / name / "single") for name in ("whole", "killed")]
    assert single[0].content_hash() == single[1].content_hash()


def test_a_finished_directory_and_other_settings_are_refused(made):
    with pytest.raises(StaleCheckpointError, match="finished run already"):
        Simulate(n=300, seed=3).run(made.path)
    with pytest.raises(StaleCheckpointError, match="seed: 3 there, 4 now"):
        Simulate(n=300, seed=4).run(made.path)


def test_splits_hold_the_decks_counts():
    split = split_of(np.arange(20_000), 20_000)
    counts = {name: int((split == name).sum()) for name in ("train", "validation", "test")}
    assert counts == {"train": 12_800, "validation": 3_200, "test": 4_000}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n": 3}, "n=3 is outside"),
        ({"size": 5}, "size=5 is outside"),
        ({"oversample": 0}, "oversample=0 is outside"),
        ({"seed": -1}, "seed=-1 is outside"),
        (
            {"population": Population(theta_e_min=2.0, theta_e_max=1.0)},
            "theta_e_min=2.0 must be below",
        ),
    ],
)
def test_numbers_outside_their_range_are_refused_before_anything_is_written(
    tmp_path, settings, message
):
    with pytest.raises(OutOfRangeError, match=message):
        Simulate(**settings).run(tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_unknown_preset_and_survey_name_the_known_ones():
    with pytest.raises(UnknownNameError, match="Did you mean 'deck'"):
        Simulate(preset="dekc").run("never")
    with pytest.raises(UnknownNameError, match="lsst-deck"):
        Simulate(survey="lsst").resolved().plan()


def test_without_the_deflectors_light_only_arcs_are_left(tmp_path):
    dataset = open_dataset(
        Simulate(n=20, deflector_light=False, single=False).run(tmp_path / "x").path
    )
    assert np.abs(dataset.plane("deflector_light", slice(0, 20))).max() == 0


def test_run_directory_says_how_it_ended(tmp_path):
    task = Simulate(n=20)
    with pytest.raises(ZeroDivisionError), RunDirectory.open(tmp_path / "r", task, resume=False):
        _ = 1 / 0
    assert "failed" in (tmp_path / "r" / "status.json").read_text()
