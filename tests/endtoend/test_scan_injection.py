"""Lenses painted into a tile are where the truth says, and a blind scan of them is measured."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.wcs import WCS
from fits_toys import finder, wcs_header
from tile_toys import build_tile

from stronglens.core.errors import MissingDataError, WrongShapeError
from stronglens.data.catalog import read_table
from stronglens.data.layout import ImageFacts, Images
from stronglens.data.tile_files import write_tile
from stronglens.data.tile_sources import list_tiles, open_tile
from stronglens.data.tiles import read_tile, with_zero_point
from stronglens.data.writer import DatasetWriter
from stronglens.scanning.fitness import features
from stronglens.scanning.injection import Injection, deflector_magnitudes, paint_tile
from stronglens.scanning.source_cut import SourceCut
from stronglens.scanning.sources import whole_tile
from stronglens.scanning.task import Scan


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    """Folder of a tile in two bands, with stars and galaxies."""
    made, _, _ = build_tile(seed=3, wcs=WCS(wcs_header(0.3, 340, 450)))
    return write_tile(tmp_path_factory.mktemp("tile") / "toy", made)


def test_a_tile_written_is_the_tile_read(tile):
    made, _, _ = build_tile(seed=3)
    read = read_tile(tile)
    order = [read.bands.index(band) for band in made.bands]
    np.testing.assert_array_equal(read.flux[order], made.flux)
    assert read.pixel_scale == pytest.approx(made.pixel_scale)
    whole = whole_tile(open_tile(list_tiles([tile])[0]).grids[0])
    order = [whole.bands.index(band) for band in made.bands]
    np.testing.assert_allclose(whole.flux[order], made.flux, rtol=1e-6)


def test_a_tile_without_coordinates_cannot_be_painted_on(tmp_path):
    bare = write_tile(tmp_path / "bare", build_tile(seed=3)[0])
    with pytest.raises(MissingDataError, match="tile bare has no WCS"):
        paint_tile(list_tiles([bare])[0], tmp_path / "out", Injection(rate=1.0))


@pytest.mark.slow
def test_painted_light_is_at_the_places_of_the_truth_and_nowhere_else(tile, tmp_path):
    truth = paint_tile(list_tiles([tile])[0], tmp_path, Injection(rate=2.0))
    before = with_zero_point(read_tile(tile), 30.0)
    after = read_tile(tmp_path / "tiles" / "toy")
    order = [after.bands.index(band) for band in before.bands]
    added = after.flux[order] - before.flux
    assert 1 <= len(truth["theta_e"]) <= round(2.0 * 340 * 450 * (0.3 / 60) ** 2)
    inside = np.zeros(added.shape[1:], bool)
    for x, y, theta_e in zip(truth["x_tile"], truth["y_tile"], truth["theta_e"], strict=True):
        inside[y - 21 : y + 22, x - 21 : x + 22] = True
        rows, columns = np.indices(added.shape[1:])
        near = np.hypot(rows - y, columns - x) * 0.3 < theta_e + 2.0
        stamp = np.hypot(rows - y, columns - x) < 21
        assert added[:, near & stamp].sum() > 0.5 * added[:, stamp].sum()
    assert np.abs(added[:, ~inside]).max() < 1e-3 * np.abs(added).max()


def test_a_real_deflector_has_the_magnitude_of_its_light_and_a_simulated_one_keeps_its_own():
    made, _, _ = build_tile(seed=3)
    rows, columns = np.indices(made.flux.shape[1:])
    light = np.exp(-0.5 * ((rows - 100) ** 2 + (columns - 200) ** 2) / 1.5**2)
    flux = np.float32(1000 * light / light.sum()) + np.float32(7)
    tile = replace(made, flux=np.stack([flux] * len(made.bands)))
    name = f"mag_deflector_{made.bands[0]}"
    truth = {
        name: np.array([np.nan, 19.5, np.nan]),
        "x_tile": np.array([200, 200, 2]),
        "y_tile": np.array([100, 100, 2]),
    }
    found = deflector_magnitudes(truth, tile)[name]
    # all but a few per cent of the light is within 1.5 arcsec, 5 pixels
    assert found[0] == pytest.approx(made.zero_point[0] - 7.5, abs=0.02)
    assert found[1] == 19.5
    assert np.isnan(found[2])


@pytest.mark.slow
def test_blind_scan_says_what_was_recovered(tile, tmp_path):
    weights = tmp_path / "weights.safetensors"
    finder(bands=("kids-g",)).save(weights)
    task = Scan(
        files=(tile,),
        finder=weights,
        kind="tiles",
        threshold=0.0,
        inject=2.0,
        sources=SourceCut(stars=True, min_snr=5.0, faintest=27.0),
    )
    result = task.run(tmp_path / "scan")
    table = read_table(tmp_path / "scan" / "recovery.parquet")
    # the finder takes everything, so only what is not detected is missed
    np.testing.assert_array_equal(
        table["is_recovered"], table["is_detected"] & (table["score"] > 0)
    )
    assert table["is_detected"].mean() > 0.5
    assert result.recovered == pytest.approx(table["is_recovered"].mean())
    assert (tmp_path / "scan" / "recovery.png").stat().st_size > 5000
    magnitudes = [table[name] for name in table if name.startswith("mag_deflector_")]
    assert np.isfinite(magnitudes).all()
    lines = (tmp_path / "scan" / "log.txt").read_text()
    assert "at the same threshold 100.00% of" in lines
    assert "where 10.0% of other targets pass: recovered" in lines
    assert not (tmp_path / "scan" / "work").exists()


def _training_set(path, noise, bands=("kids-g",)):
    rng = np.random.default_rng(0)
    flux = rng.normal(0, noise, (120, len(bands), 45, 45)).astype(np.float32)
    facts = ImageFacts(bands, pixel_scale=0.18, zero_point=30.0, height=45, width=45)
    writer = DatasetWriter(path, facts, len(flux))
    writer.write_shard(0, Images(flux), {"object_id": np.arange(len(flux)).astype(str)})
    writer.finish({})
    return path


def test_a_survey_with_other_noise_is_told_before_it_is_scanned(tile, tmp_path):
    weights = tmp_path / "weights.safetensors"
    finder(bands=("kids-g",)).save(weights)
    training = _training_set(tmp_path / "training", noise=500.0)
    cut = SourceCut(stars=True)
    task = Scan(files=(tile,), finder=weights, kind="tiles", compare=training, sources=cut)
    task.run(tmp_path / "scan")
    table = read_table(tmp_path / "scan" / "fitness.parquet")
    row = list(table["name"]).index("log10 noise, kids-g")
    assert table["ks"][row] == 1
    assert table["share_outside"][row] == 1
    assert table["there"][row] == pytest.approx(np.log10(500), abs=0.05)
    assert "fit for use" in (tmp_path / "scan" / "log.txt").read_text()
    assert (tmp_path / "scan" / "fitness.png").stat().st_size > 5000


def test_a_training_set_of_other_bands_is_refused(tile, tmp_path):
    weights = tmp_path / "weights.safetensors"
    finder(bands=("kids-g",)).save(weights)
    training = _training_set(tmp_path / "training", 1.0, bands=("kids-r",))
    with pytest.raises(WrongShapeError, match="images have bands kids-r"):
        Scan(files=(tile,), finder=weights, kind="tiles", compare=training).run(tmp_path / "s")


def test_features_are_those_of_the_noise_and_the_object():
    rng = np.random.default_rng(1)
    noise = rng.normal(5.0, 2.0, (400, 2, 40, 47)).astype(np.float32)
    noise[:, 1] += np.roll(noise[:, 1], 1, axis=2)
    mask = np.zeros(noise.shape, bool)
    mask[0] = True
    found = features(noise, mask, ("a", "b"), 0.2)
    assert np.isnan(found["log10 noise, a"][0])
    assert np.nanmedian(found["log10 noise, a"]) == pytest.approx(np.log10(2), abs=0.01)
    assert np.nanmedian(found["background / noise, a"]) == pytest.approx(2.5, abs=0.1)
    # neighbours of a sum of two neighbours are correlated by a half
    assert np.nanmedian(found["noise correlation, a"]) == pytest.approx(0, abs=0.02)
    assert np.nanmedian(found["noise correlation, b"]) == pytest.approx(0.5, abs=0.03)
