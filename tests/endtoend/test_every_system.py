"""Every published system on simulated images: train, evaluate, scan, each by one command."""

import json

import numpy as np
import pytest
from astropy.io import fits
from fits_toys import wcs_header, write_extensions
from lens_toys import write_toy_dataset

from stronglens.cli.main import main
from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.data.catalog import read_table
from stronglens.data.store import open_dataset
from stronglens.finders import load_finder, networks, own_fit
from stronglens.simulation.task import Simulate
from stronglens.training.batches import labelled_rows, usable_rows
from stronglens.training.task import Train

SYSTEMS = ("all-hog", "cmu-deeplens", "petrillo-2017", "petrillo-resnet18", "ring-finder")
N = 160


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Simulated images in g and i."""
    out = tmp_path_factory.mktemp("simulated") / "data"
    Simulate(survey="kids-dr4", bands=("kids-g", "kids-i"), n=N, size=48, planes=False, seed=4).run(
        out
    )
    return out


@pytest.fixture(scope="module")
def files(data, tmp_path_factory):
    """Two of the images as FITS files with a plane per band."""
    dataset = open_dataset(data)
    flux = dataset.images(slice(0, 2)).flux
    folder = tmp_path_factory.mktemp("files")
    for i, image in enumerate(flux):
        header = {"FILTER": "", "MAGZERO": dataset.zero_point}
        planes = [
            (band, plane, wcs_header(dataset.pixel_scale, **{**header, "FILTER": band[-1]}))
            for band, plane in zip(dataset.bands, image, strict=True)
        ]
        write_extensions(folder / f"object_{i}.fits", planes)
        assert len(fits.info(folder / f"object_{i}.fits", output=False)) == 3
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_system_trains_is_judged_and_scans_by_one_command_each(name, data, files, tmp_path):
    recipe = networks.facts(name)["recipe"]
    run, report, scan = (str(tmp_path / part) for part in ("run", "report", "scan"))
    train = ["train", "--data", str(data), "--network", name, "--seed", "2", "--out", run]
    assert main([*train, *([] if own_fit(name) else ["--epochs", "1"])]) == 0
    facts = load_finder(run).facts
    assert (facts.views, facts.training["normalisation"]) == (recipe.views, recipe.normalisation)
    judge = ["evaluate", "--finder", run, "--data", str(data), "--out", report]
    assert main([*judge, "--n-bootstrap", "100", "--views", "d4"]) == 0
    metrics = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert 0 <= metrics["auroc"]["value"] <= 1
    dataset = open_dataset(data)
    rows = labelled_rows(dataset, "test")
    needs_all = not facts.takes_missing_bands
    assert metrics["n_failed"] == len(rows) - len(
        usable_rows(dataset, rows, needs_all_bands=needs_all)
    )
    assert (tmp_path / "report" / "figures" / "feature_maps.png").is_file()
    paths = sorted(str(path) for path in files.glob("*.fits"))
    assert main(["scan", *paths, "--finder", run, "--out", scan, "--views", "flips"]) == 0
    scores = read_table(tmp_path / "scan" / "candidates.parquet")["score"]
    assert len(scores) == 2
    assert np.isfinite(scores).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_system_trains_with_our_scaling(name, data, tmp_path):
    settings = {} if own_fit(name) else {"epochs": 1}
    result = Train(data=data, network=name, normalisation="sky-asinh", **settings).run(
        tmp_path / "run"
    )
    assert np.isfinite(result.val_loss)
    assert load_finder(tmp_path / "run").facts.training["normalisation"] == "sky-asinh"


@pytest.mark.slow
def test_scores_of_evaluate_follow_the_views_asked_for(data, tmp_path):
    run, report = tmp_path / "run", tmp_path / "report"
    settings = {"network": "resnet-small-flat", "width": 8, "depth": 1, "epochs": 1}
    Train(data=data, batch_size=32, views="turns", **settings).run(run)
    judge = ["evaluate", "--finder", str(run), "--data", str(data), "--out", str(report)]
    assert main([*judge, "--n-bootstrap", "100", "--views", "flips"]) == 0
    table = read_table(report / "scores.parquet")
    images = open_dataset(data).images(table["row"])
    turns, flips = (
        load_finder(run, views=views).logits(images.flux, images.ivar, images.mask)
        for views in (None, "flips")
    )
    np.testing.assert_allclose(table["logit"], flips, atol=1e-4)
    assert not np.allclose(turns, flips, atol=1e-4, equal_nan=True)


def test_history_of_a_finder_that_fits_itself_has_one_row(data, tmp_path):
    result = Train(data=data, network="ring-finder").run(tmp_path / "run")
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert len(rows) == 2
    assert rows[0].startswith("epoch,loss,accuracy,val_loss,val_accuracy")
    facts = load_finder(tmp_path / "run").facts
    assert facts.training["fit"]["has_magnitudes"] is True
    assert "learning_rate" not in facts.training
    assert result.n_parameters == 7
    assert (tmp_path / "run" / "figures" / "training.png").is_file()


def test_settings_of_the_loop_do_not_apply_to_a_finder_that_fits_itself(data, tmp_path):
    for setting in ({"learning_rate": 0.1}, {"epochs": 3}, {"width": 4}, {"average": 0.9}):
        name = next(iter(setting))
        with pytest.raises(OutOfRangeError, match=f"{name}=.*does not apply to 'all-hog'"):
            Train(data=data, network="all-hog", **setting).run(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_ring_finder_says_that_it_needs_two_bands_before_anything_is_written(tmp_path):
    one_band = write_toy_dataset(tmp_path / "data", 40)
    with pytest.raises(WrongShapeError, match=r"1 band, but 'ring-finder' .* at least two bands"):
        Train(data=one_band, network="ring-finder").run(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_mean_of_weights_and_clipping_are_settings_of_train(data, tmp_path):
    settings = {"network": "resnet-small-flat", "width": 8, "depth": 1, "epochs": 1}
    result = Train(data=data, average=0.9, clip=1.0, batch_size=32, **settings).run(tmp_path / "a")
    assert np.isfinite(result.val_loss)
    training = load_finder(tmp_path / "a").facts.training
    assert (training["average"], training["clip"]) == (0.9, 1.0)
    with pytest.raises(OutOfRangeError, match=r"average=1.0 is outside"):
        Train(data=data, average=1.0, **settings).run(tmp_path / "b")
