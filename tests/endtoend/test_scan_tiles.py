"""`scan` of survey tiles gives every target one row, whatever happens to tiles and processes."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from fits_toys import finder
from survey_toys import HEIGHT, WIDTH, write_survey, write_targets, write_tile

from stronglens.cli.main import main
from stronglens.core.errors import MissingDataError, StaleCheckpointError
from stronglens.data.catalog import read_table, write_table
from stronglens.data.store import open_dataset
from stronglens.data.targets import read_targets
from stronglens.finders.abstain import fit_abstention
from stronglens.finders.calibrate import Calibration
from stronglens.finders.finder import Finder
from stronglens.scanning import tile_work
from stronglens.scanning.dry_run import ScanEstimate
from stronglens.scanning.rank import COLUMNS
from stronglens.scanning.source_cut import SourceCut
from stronglens.scanning.survey import IncompleteScanError
from stronglens.scanning.task import Scan

pytestmark = pytest.mark.filterwarnings("ignore:.*FITSFixedWarning")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights file of a finder for 45x45 pixels of 0.18 arcsec in lsst-g."""
    path = tmp_path_factory.mktemp("finder") / "weights.safetensors"
    finder().save(path)
    return path


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Two tiles with sixty targets each."""
    return write_survey(tmp_path_factory.mktemp("survey"))


def _by_name(out):
    table = read_table(out / "candidates.parquet")
    return {name: k for k, name in enumerate(table["object_id"])}, table


def test_every_target_has_one_row_and_the_best_come_first(tmp_path, weights, survey):
    tiles, targets, names = survey
    result = Scan(files=tuple(tiles), finder=weights, targets=targets, block=25).run(tmp_path / "s")
    assert (result.n_rows, result.n_ok, result.exit_code) == (120, 120, 0)
    table = read_table(tmp_path / "s" / "candidates.parquet")
    assert tuple(table) == COLUMNS
    assert sorted(table["object_id"]) == sorted(names)
    assert (np.diff(table["score"]) <= 0).all()
    assert len(np.unique(table["score"])) > 100
    np.testing.assert_array_equal(table["is_candidate"], table["score"] > 0.5)
    assert set(table["input"]) == {str(tile) for tile in tiles}
    assert set(table["band"]) == {"g"}
    assert np.isnan(table["p_lens"]).all()
    assert not (tmp_path / "s" / "work").exists()


def test_score_of_a_target_is_that_of_its_cutout_file(tmp_path, weights, survey):
    tiles, targets, _ = survey
    Scan(files=(tiles[0],), finder=weights, targets=targets).run(tmp_path / "tile")
    rows, table = _by_name(tmp_path / "tile")
    dataset = open_dataset(tmp_path / "tile")
    names = dataset.column("object_id")
    flux = dataset.images(np.arange(dataset.n)).flux
    again = Finder.score(finder(), flux)
    expected = [table["score"][rows[name]] for name in names]
    np.testing.assert_allclose(again, expected, rtol=1e-5)


def test_products_open_in_other_tools_and_as_a_dataset(tmp_path, weights, survey):
    tiles, targets, names = survey
    out = tmp_path / "s"
    result = Scan(files=tuple(tiles), finder=weights, targets=targets, top=5).run(out)
    for name in ("candidates.fits", "candidates.vot"):
        assert sorted(map(str, Table.read(out / name)["object_id"])) == sorted(names)
    regions = (out / "candidates.reg").read_text().splitlines()
    assert sum(line.startswith("circle(") for line in regions) == result.n_candidates
    from_hats = np.concatenate([chunk.object_id for chunk in read_targets(out / "catalogue")])
    assert sorted(from_hats) == sorted(names)
    dataset = open_dataset(out)
    assert dataset.n == result.n_candidates
    assert dataset.size == (45, 45)
    table = read_table(out / "candidates.parquet")
    np.testing.assert_array_equal(
        dataset.column("object_id"), table["object_id"][: result.n_candidates]
    )
    assert (out / "contact_sheet.png").stat().st_size > 5000
    assert json.loads((out / "manifest.json").read_text())["rows"] == 120


def test_order_of_work_and_block_length_do_not_change_scores(tmp_path, weights, survey):
    tiles, targets, _ = survey
    tables = []
    for k, settings in enumerate(({"block": 23, "batch_size": 9}, {"block": 1000})):
        out = tmp_path / str(k)
        Scan(files=tuple(tiles), finder=weights, targets=targets, **settings).run(out)
        rows, table = _by_name(out)
        tables.append([table["score"][rows[name]] for name in sorted(rows)])
    np.testing.assert_allclose(*tables, atol=1e-6)


def test_targets_at_edges_off_the_tiles_and_without_position_are_said(tmp_path, weights):
    place = write_tile(tmp_path / "tile.fits", n=10)
    place[2:, 0] = 3.0, 100.0
    targets = tmp_path / "targets.csv"
    write_targets(targets, place, np.array([[10.0], [45.0]]), np.array([[np.nan], [np.nan]]))
    result = Scan(files=(tmp_path / "tile.fits",), finder=weights, targets=targets).run(
        tmp_path / "s"
    )
    assert (result.n_rows, result.n_ok, result.exit_code) == (12, 10, 3)
    rows, table = _by_name(tmp_path / "s")
    assert table["status"][rows["obj-10"]] == "outside"
    assert table["reason"][rows["obj-10"]] == "on none of the 1 tiles"
    assert table["status"][rows["obj-11"]] == "failed"
    assert np.isnan(table["score"][[rows["obj-10"], rows["obj-11"]]]).all()
    assert not table["is_candidate"][rows["obj-10"]]


def test_edges_are_those_of_the_finders_field_and_padding_allows_them(tmp_path, weights):
    write_tile(tmp_path / "tile.fits", n=4)
    middle = HEIGHT / 2
    with (tmp_path / "t.csv").open("w") as file:
        file.write("object_id,x,y\n")
        for x in (5.0, 12.0, 24.0, WIDTH - 25.0, WIDTH - 6.0):
            file.write(f"at-{x:g},{x},{middle}\n")
    statuses = []
    for pad in (0.0, 0.3):
        out = tmp_path / f"pad-{pad}"
        task = Scan(
            files=(tmp_path / "tile.fits",), finder=weights, targets=tmp_path / "t.csv", pad=pad
        )
        task.run(out)
        rows, table = _by_name(out)
        order = [rows[name] for name in ("at-5", "at-12", "at-24", "at-395", "at-414")]
        statuses.append(list(table["status"][order]))
    assert statuses[0] == ["edge", "edge", "ok", "ok", "edge"]
    assert statuses[1] == ["edge", "ok", "ok", "ok", "edge"]


def test_corrupt_tile_and_missing_band_mark_their_targets_and_the_rest_is_done(tmp_path):
    weights = tmp_path / "weights.safetensors"
    finder(bands=("lsst-g", "lsst-i")).save(weights)
    tiles, targets, _ = write_survey(tmp_path / "survey", n_tiles=3, n=12, bands=("g", "i"))
    content = tiles[0].read_bytes()
    tiles[0].write_bytes(content[: len(content) * 2 // 3])
    write_tile(tiles[1], seed=1, n=12, ra=150.1, bands=("g",))
    result = Scan(files=tuple(tiles), finder=weights, targets=targets).run(tmp_path / "s")
    assert (result.n_rows, result.n_ok, result.exit_code) == (36, 12, 3)
    table = read_table(tmp_path / "s" / "candidates.parquet")
    failed = table["status"] == "failed"
    reasons = {
        str(tile): set(table["reason"][failed & (table["input"] == str(tile))]) for tile in tiles
    }
    assert all("truncated" in reason for reason in reasons[str(tiles[0])])
    assert all("wrong number of bands" in reason for reason in reasons[str(tiles[1])])
    assert reasons[str(tiles[2])] == set()


def test_nothing_readable_ends_with_status_1(tmp_path, weights, survey, capsys):
    broken = tmp_path / "broken.fits"
    broken.write_bytes(b"nothing")
    words = ["scan", str(broken), "--finder", str(weights), "--targets", str(survey[1])]
    assert main([*words, "--out", str(tmp_path / "s")]) == 1
    assert "cannot be read" in capsys.readouterr().out


def test_sources_are_found_where_no_table_names_them(tmp_path, weights, survey):
    tiles, _, _ = survey
    # all of one size, they could as well be stars
    cut = SourceCut(stars=True)
    result = Scan(files=tuple(tiles), finder=weights, sources=cut).run(tmp_path / "s")
    assert 80 <= result.n_ok <= 120
    table = read_table(tmp_path / "s" / "candidates.parquet")
    assert all(name.startswith(("tile0-", "tile1-")) for name in table["object_id"])
    assert np.isfinite(table["ra"]).all()


def test_small_files_are_cutouts_and_the_kind_can_be_given(tmp_path, weights):
    write_tile(tmp_path / "small.fits", n=1, size=(80, 70))
    Scan(files=(tmp_path / "small.fits",), finder=weights).run(tmp_path / "auto")
    assert list(read_table(tmp_path / "auto" / "candidates.parquet")["object_id"]) == ["small"]
    cut = SourceCut(stars=True)
    task = Scan(files=(tmp_path / "small.fits",), finder=weights, kind="tiles", sources=cut)
    task.run(tmp_path / "tiles")
    names = read_table(tmp_path / "tiles" / "candidates.parquet")["object_id"]
    assert all(name.startswith("small-") for name in names)


def test_tiles_of_another_pixel_scale_are_resampled(tmp_path, weights):
    place = write_tile(tmp_path / "fine.fits", n=8, scale=0.09, size=(500, 520))
    write_targets(tmp_path / "t.csv", place)
    task = Scan(files=(tmp_path / "fine.fits",), finder=weights, targets=tmp_path / "t.csv")
    task.run(tmp_path / "s")
    table = read_table(tmp_path / "s" / "candidates.parquet")
    assert set(table["status"]) <= {"ok", "edge"}
    assert (table["status"] == "ok").sum() >= 4


def _calibrated(tmp_path):
    untrained = finder()
    record = Calibration("temperature", (1.0,), 0.5, 100, 100).to_record()
    facts = replace(untrained.facts, calibration=record)
    path = tmp_path / "calibrated.safetensors"
    Finder(untrained.network, untrained.normalisation, facts=facts).save(path)
    return path


def test_calibrated_finder_gives_probabilities_and_a_forecast(tmp_path, survey):
    tiles, targets, _ = survey
    weights = _calibrated(tmp_path)
    task = Scan(files=tuple(tiles), finder=weights, targets=targets, prevalence=0.01)
    result = task.run(tmp_path / "s")
    table = read_table(tmp_path / "s" / "candidates.parquet")
    odds = table["score"] / (1 - table["score"]) * 0.01 / 0.99
    np.testing.assert_allclose(table["p_lens"], odds / (1 + odds), rtol=1e-4)
    listed = table["p_lens"][table["is_candidate"]]
    assert result.expected_lenses == pytest.approx(listed.sum(), rel=1e-4)
    assert result.purity == pytest.approx(listed.mean(), rel=1e-4)
    assert result.completeness == pytest.approx(listed.sum() / table["p_lens"].sum(), rel=1e-4)
    expected = read_table(tmp_path / "s" / "expected.parquet")
    assert expected["n_candidates"].tolist() == [10, 30, 100, 120]
    assert expected["completeness"][-1] == pytest.approx(1)
    assert "expected at a prevalence of 0.01" in (tmp_path / "s" / "log.txt").read_text()


def test_targets_unlike_the_training_images_get_no_verdict_where_that_is_asked(tmp_path, survey):
    tiles, targets, _ = survey
    untrained = finder()
    noise = np.random.default_rng(0).normal(0, 300, (80, 1, 45, 45)).astype(np.float32)
    record = fit_abstention(untrained, noise, keep=0.95).to_record()
    facts = replace(untrained.facts, abstention=record)
    weights = tmp_path / "weights.safetensors"
    Finder(untrained.network, untrained.normalisation, facts=facts).save(weights)
    for abstain, status in ((False, "ok"), (True, "abstain")):
        out = tmp_path / status
        task = Scan(files=(tiles[0],), finder=weights, targets=targets, abstain=abstain)
        task.run(out)
        table = read_table(out / "candidates.parquet")
        here = table["input"] != ""
        assert set(table["status"][here]) == {status}
        assert np.isfinite(table["score"][here]).all()
        assert table["is_candidate"].any() != abstain
    assert "unlike the training images" in table["reason"][0]


def test_known_lenses_are_marked(tmp_path, weights, survey):
    tiles, targets, _ = survey
    table = Table.read(targets)
    known = Table(
        {
            "RA": [table["ra"][0], table["ra"][1] + 1 / 3600, table["ra"][2] + 30 / 3600],
            "DEC": table["dec"][:3],
            "grading": ["confident", "probable", "confident"],
        }
    )
    known.write(tmp_path / "known.csv")
    task = Scan(files=tuple(tiles), finder=weights, targets=targets, known=tmp_path / "known.csv")
    task.run(tmp_path / "s")
    rows, found = _by_name(tmp_path / "s")
    marks = [found["known"][rows[name]] for name in ("obj-0", "obj-1", "obj-2")]
    assert marks == ["known", "candidate", "new"]
    assert tuple(found) == (*COLUMNS, "known")


def test_an_interrupted_scan_does_only_what_is_left(tmp_path, weights, survey, monkeypatch):
    tiles, targets, names = survey
    task = Scan(files=tuple(tiles), finder=weights, targets=targets, block=20)
    done = []
    write = tile_work.write_table

    def stops_after_three(path, columns):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(path.name)
        return write(path, columns)

    monkeypatch.setattr(tile_work, "write_table", stops_after_three)
    with pytest.raises(KeyboardInterrupt):
        task.run(tmp_path / "s")
    monkeypatch.setattr(tile_work, "write_table", write)
    monkeypatch.setattr(tile_work, "write_table", lambda p, c: done.append(p.name) or write(p, c))
    # a part that was cut off counts as not done
    first = tmp_path / "s" / "work" / "parts" / done[0]
    first.write_bytes(first.read_bytes()[:100])
    result = task.run(tmp_path / "s", resume=True)
    assert result.n_rows == 120
    assert len(done) == 3 + 3 + 1
    table = read_table(tmp_path / "s" / "candidates.parquet")
    assert sorted(table["object_id"]) == sorted(names)


def test_a_full_disk_is_said_and_the_same_command_goes_on(tmp_path, weights, survey, monkeypatch):
    tiles, targets, _ = survey
    task = Scan(files=tuple(tiles), finder=weights, targets=targets, block=20)
    write = tile_work.write_table

    def has_no_room(path, columns):
        if path.name.startswith("t000001"):
            raise OSError(28, "No space left on device", str(path))
        return write(path, columns)

    monkeypatch.setattr(tile_work, "write_table", has_no_room)
    with pytest.raises(IncompleteScanError, match=r"3 of 6 blocks .* No space left") as error:
        task.run(tmp_path / "s")
    assert error.value.exit_code == 3
    monkeypatch.setattr(tile_work, "write_table", write)
    assert task.run(tmp_path / "s").n_ok == 120


def test_a_disk_that_fills_with_the_products_is_said_and_nothing_is_scored_twice(
    tmp_path, weights, survey, monkeypatch
):
    tiles, targets, _ = survey
    task = Scan(files=tuple(tiles), finder=weights, targets=targets, block=20)

    def has_no_room(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stronglens.scanning.products.write_hats", has_no_room)
    with pytest.raises(IncompleteScanError, match=r"all 6 blocks .* No space left") as error:
        task.run(tmp_path / "s")
    assert error.value.exit_code == 3
    monkeypatch.undo()
    assert task.run(tmp_path / "s").n_ok == 120
    journal = (tmp_path / "s" / "journal.jsonl").read_text().splitlines()
    assert len(journal) == 6


def test_other_tiles_in_an_interrupted_scan_are_refused(tmp_path, weights, survey):
    tiles, targets, _ = survey
    folder = tmp_path / "tiles"
    shutil.copytree(tiles[0].parent, folder)
    out = tmp_path / "s"
    task = Scan(files=(folder,), finder=weights, targets=targets)
    task.run(out)
    (out / "status.json").unlink()
    plan = {"tiles": ["tile0"], "counts": [0], "n_elsewhere": 0, "unreadable": []}
    (out / "work" / "plan").mkdir(parents=True)
    (out / "work" / "plan" / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(StaleCheckpointError, match="begun with 1 tiles and now there are 2"):
        task.run(out)


def test_dry_run_says_time_disk_and_memory_and_leaves_nothing(tmp_path, weights, survey, capsys):
    tiles, targets, _ = survey
    task = Scan(files=tuple(tiles), finder=weights, targets=targets, dry_run=True)
    estimate = task.run(tmp_path / "s")
    assert isinstance(estimate, ScanEstimate)
    assert (estimate.n_tiles, estimate.n_targets) == (2, 120)
    assert estimate.targets_per_second > 0
    assert 0 < estimate.disk_gigabytes < 0.1
    assert not (tmp_path / "s").exists()


def test_missing_table_of_targets_is_an_error(tmp_path, weights, survey):
    with pytest.raises(MissingDataError, match=r"targets='.*none.csv' does not exist"):
        Scan(files=tuple(survey[0]), finder=weights, targets=tmp_path / "none.csv").run(
            tmp_path / "s"
        )


def test_a_table_without_targets_is_a_scan_of_nothing(tmp_path, weights, survey):
    empty = {"object_id": np.array([], object), "ra": np.zeros(0), "dec": np.zeros(0)}
    write_table(tmp_path / "empty.parquet", empty)
    task = Scan(files=tuple(survey[0]), finder=weights, targets=tmp_path / "empty.parquet")
    with pytest.raises(MissingDataError, match="no target"):
        task.run(tmp_path / "s")
