"""`scan` gives every input one row, whatever the input is."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from fits_toys import RMS, finder, galaxy, wcs_header, write, write_extensions
from PIL import Image

from stronglens.cli.main import main
from stronglens.core.errors import MissingDataError, OutOfRangeError, StaleCheckpointError
from stronglens.data.catalog import read_metadata, read_table
from stronglens.finders import Finder
from stronglens.finders.calibrate import Calibration
from stronglens.scanning.rank import COLUMNS
from stronglens.scanning.task import Scan


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights file of a finder for 45x45 pixels of 0.18 arcsec in lsst-g."""
    path = tmp_path_factory.mktemp("finder") / "weights.safetensors"
    finder().save(path)
    return path


@pytest.fixture
def good(tmp_path):
    """A file, a multi-extension file and a folder, each one good object."""
    one = write(tmp_path / "one.fits", galaxy(seed=1), wcs_header(FILTER="g", MAGZERO=30.0))
    bands = [(b, galaxy(seed=k), wcs_header(0.25, FILTER=b)) for k, b in enumerate("rg")]
    many = write_extensions(tmp_path / "many.fits", bands)
    folder = tmp_path / "folder"
    for name, data in (("image", galaxy(seed=4)), ("noise", RMS)):
        write(folder / f"{name}.fits", data, wcs_header(0.15, FILTER="HSC-G"))
    return [one, many, folder]


def _bad_files(folder):
    image = galaxy(seed=2)
    header = wcs_header(FILTER="g")
    nan, infinite = image.copy(), image.copy()
    nan[32, 30] = np.nan
    infinite[32, 30] = np.inf
    arrays = {
        "NaN in 1 of": nan,
        "infinite values in 1 of": infinite,
        "all pixels are zero": np.zeros_like(image),
        "constant value 3": np.full_like(image, 3),
        "field too small": image[20:42, 20:42],
    }
    made = {text: write(folder / f"bad_{k}.fits", data, header)
            for k, (text, data) in enumerate(arrays.items())}  # fmt: skip
    made["pixel scale not known"] = write(folder / "bare.fits", image)
    made["cannot tell which of the 3 bands"] = write(
        folder / "cube.fits", np.stack([image] * 3), wcs_header()
    )
    for name, text, content in (
        ("cut.fits", "truncated", made["NaN in 1 of"].read_bytes()[:9000]),
        ("text.fits", "is not a FITS file", b"no image"),
        ("empty.fits", "is empty", b""),
    ):
        made[text] = folder / name
        made[text].write_bytes(content)
    made["does not exist"] = folder / "none.fits"
    return made


def test_good_and_bad_inputs_each_get_one_row(tmp_path, weights, good):
    bad = _bad_files(tmp_path / "bad")
    out = tmp_path / "scan"
    inputs = (*list(bad.values())[:4], *good, *list(bad.values())[4:])
    result = Scan(files=inputs, finder=weights).run(out)
    assert (result.n_rows, result.n_ok, result.n_failed) == (len(inputs), 3, len(bad))
    assert result.exit_code == 3
    table = read_table(out / "candidates.parquet")
    assert tuple(table) == COLUMNS
    assert sorted(table["input"]) == sorted(str(path) for path in inputs)
    assert list(table["status"]) == ["ok"] * 3 + ["failed"] * len(bad)
    scores = table["score"][:3]
    assert np.all(np.diff(scores) <= 0)
    assert np.all((scores > 0) & (scores < 1))
    assert len(set(scores)) == 3
    assert np.isnan(table["score"][3:]).all()
    assert np.isnan(table["p_lens"]).all()
    assert not table["is_candidate"][3:].any()
    np.testing.assert_array_equal(table["is_candidate"][:3], scores > 0.5)
    reasons = dict(zip(table["input"], table["reason"], strict=True))
    for text, path in bad.items():
        assert text in reasons[str(path)]
    bands = dict(zip(table["input"], table["band"], strict=True))
    assert [bands[str(path)] for path in good] == ["g", "g", "hsc-g"]


def test_an_image_of_most_of_the_field_is_scored_as_it_is_with_a_remark(tmp_path, weights):
    image = write(tmp_path / "small.fits", galaxy(seed=2)[14:51, 12:53], wcs_header(FILTER="g"))
    result = Scan(files=(image,), finder=weights).run(tmp_path / "scan")
    assert result.n_ok == 1
    table = read_table(tmp_path / "scan" / "candidates.parquet")
    assert 0 < table["score"][0] < 1
    assert "that the finder was trained to look at" in table["reason"][0]


def test_run_directory_holds_table_copy_log_and_contact_sheet(tmp_path, weights, good):
    out = tmp_path / "scan"
    Scan(files=(*good, tmp_path / "none.fits"), finder=weights).run(out)
    table = read_table(out / "candidates.parquet")
    assert read_metadata(out / "candidates.parquet")["thresholds"] == {str(weights): 0.5}
    copy = Table.read(out / "candidates.fits")
    assert copy.colnames == list(COLUMNS)
    assert list(copy["object_id"]) == list(table["object_id"])
    log = (out / "log.txt").read_text().splitlines()
    assert sum(" failed " in line for line in log) == 1
    assert sum(" ok " in line for line in log) == 3
    assert any("p_lens stays empty" in line for line in log)
    assert (out / "contact_sheet.png").stat().st_size > 10_000
    result = json.loads((out / "result.json").read_text())
    assert (result["n_ok"], result["n_failed"]) == (3, 1)
    assert "does not exist" in result["first_failure"]


def test_score_is_that_of_the_image_on_the_finders_grid(tmp_path, weights):
    image = galaxy(61, 64, seed=5)
    path = write(tmp_path / "a.fits", image, wcs_header(FILTER="g", MAGZERO=25.0))
    result = Scan(files=(path,), finder=weights).run(tmp_path / "scan")
    assert result.exit_code == 0
    table = read_table(tmp_path / "scan" / "candidates.parquet")
    network = finder()
    plain = image[8:53, :] * np.float32(100)
    by_hand = (
        network.score(plain[None, None, :, 9:54])[0],
        network.score(plain[None, None, :, 10:55])[0],
    )
    # 64 columns have their centre between two pixels: the crop lies half a pixel from either
    assert min(by_hand) - 0.05 <= table["score"][0] <= max(by_hand) + 0.05
    assert table["ra"][0] == pytest.approx(150.0)


def test_same_image_at_another_scale_scores_alike(tmp_path, weights):
    scores = []
    for k, scale in enumerate((0.18, 0.06)):
        n = round(45 * 0.18 / scale)
        header = wcs_header(scale, n, n, FILTER="g")
        fine = np.kron(galaxy(45, 45, seed=6), np.ones((n // 45, n // 45))) / (n // 45) ** 2
        path = write(tmp_path / f"{k}.fits", fine.astype(np.float32), header)
        Scan(files=(path,), finder=weights).run(tmp_path / f"scan{k}")
        scores.append(read_table(tmp_path / f"scan{k}" / "candidates.parquet")["score"][0])
    assert scores[0] == pytest.approx(scores[1], abs=2e-3)


def test_stack_gives_a_row_per_object_and_names_are_unique(tmp_path, weights):
    stack = np.stack([galaxy(50, 50, seed=k) for k in range(9)])
    a = write(tmp_path / "x" / "s.fits", stack, wcs_header(height=50, width=50, FILTER="g"))
    b = write(tmp_path / "y" / "s.fits", stack[::-1], wcs_header(height=50, width=50, FILTER="g"))
    result = Scan(files=(a, b), finder=weights, batch_size=4, top=3).run(tmp_path / "scan")
    assert result.n_ok == 18
    table = read_table(tmp_path / "scan" / "candidates.parquet")
    assert len(set(table["object_id"])) == 18
    assert "x_s_0" in table["object_id"]
    assert "read as a stack of 9 objects" in table["reason"][0]
    scores = table["score"].reshape(9, 2)
    # the order within a batch does not matter
    np.testing.assert_allclose(scores[:, 0], scores[:, 1], atol=1e-5)


def test_flags_fill_in_what_files_do_not_say(tmp_path, weights):
    path = write(tmp_path / "bare.fits", np.stack([galaxy(), galaxy(seed=1)]))
    task = Scan(
        files=(path,),
        finder=weights,
        pixel_scale=0.2,
        zero_point=27,
        plane_bands="r,g",
        threshold=0.0,
    )
    assert task.run(tmp_path / "scan").n_candidates == 1
    table = read_table(tmp_path / "scan" / "candidates.parquet")
    assert table["band"][0] == "g"
    assert table["reason"][0] == ""
    asked = Scan(files=(path,), finder=weights, pixel_scale=0.2, plane_bands="r,g", band="r")
    asked.run(tmp_path / "asked")
    assert read_table(tmp_path / "asked" / "candidates.parquet")["band"][0] == "r"


def test_finder_of_two_bands_needs_two(tmp_path):
    weights = tmp_path / "weights.safetensors"
    finder(bands=("lsst-g", "lsst-i")).save(weights)
    planes = [(b, galaxy(seed=k), wcs_header(FILTER=b)) for k, b in enumerate("irg")]
    three = write_extensions(tmp_path / "three.fits", planes)
    one = write(tmp_path / "one.fits", galaxy(), wcs_header(FILTER="g"))
    Scan(files=(one, three), finder=weights).run(tmp_path / "scan")
    table = read_table(tmp_path / "scan" / "candidates.parquet")
    assert list(table["band"]) == ["g,i", ""]
    assert "wrong number of bands" in table["reason"][1]


def test_command_says_how_it_went(tmp_path, weights, good, capsys):
    out = tmp_path / "scan"
    words = [str(path) for path in good] + ["--finder", str(weights), "--out", str(out)]
    assert main(["scan", *words]) == 0
    assert "n_ok" in capsys.readouterr().out
    other = ["--out", str(tmp_path / "other")]
    assert main(["scan", str(tmp_path / "no.fits"), *words[3:5], *other]) == 1
    mixed = ["--out", str(tmp_path / "mixed")]
    assert main(["scan", str(good[0]), str(tmp_path / "no.fits"), *words[3:5], *mixed]) == 3
    assert main(["scan", *words]) == 2
    assert "finished run already" in capsys.readouterr().err


def test_nothing_to_scan_and_no_finder_are_errors(tmp_path, weights, good):
    with pytest.raises(MissingDataError, match="files is empty"):
        Scan(files=(), finder=weights).run(tmp_path / "scan")
    with pytest.raises(MissingDataError, match=r"finder='.*' does not exist"):
        Scan(files=(good[0],), finder=tmp_path / "none").run(tmp_path / "scan")
    with pytest.raises(OutOfRangeError, match="threshold=2 is outside 0 to 1"):
        Scan(files=(good[0],), finder=weights, threshold=2.0).run(tmp_path / "scan")
    with pytest.raises(OutOfRangeError, match="pixel_scale=nan is outside"):
        Scan(files=(good[0],), finder=weights, pixel_scale=math.nan).run(tmp_path / "scan")
    assert not (tmp_path / "scan").exists()


def test_directory_of_another_run_is_left_alone(tmp_path, weights, good):
    Scan(files=(good[0],), finder=weights).run(tmp_path / "scan")
    with pytest.raises(StaleCheckpointError, match="other settings"):
        Scan(files=(good[1],), finder=weights).run(tmp_path / "scan")


def test_a_picture_of_unknown_scale_is_taken_for_the_finders_and_an_image_is_not(tmp_path):
    finder(bands=("rgb-r", "rgb-g", "rgb-b")).save(tmp_path / "weights.safetensors")
    grey = np.clip(40 * galaxy(seed=1), 0, 255).astype(np.uint8)
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(tmp_path / "picture.png")
    scan = Scan(files=(tmp_path / "picture.png",), finder=tmp_path / "weights.safetensors")
    assert scan.run(tmp_path / "scan").n_ok == 1
    table = read_table(tmp_path / "scan" / "candidates.parquet")
    assert 'pixel scale not known; taken for 0.18"' in table["reason"][0]


def test_probabilities_come_with_a_calibrated_finder(tmp_path, good):
    plain = finder()
    calibration = Calibration("beta", (1.0, 1.0, 0.0), 0.5, 100, 100)
    facts = replace(plain.facts, calibration=calibration.to_record())
    Finder(plain.network, plain.normalisation, facts=facts).save(tmp_path / "weights.safetensors")
    Scan(files=tuple(good), finder=tmp_path / "weights.safetensors", prevalence=0.01).run(
        tmp_path / "scan"
    )
    table = read_table(tmp_path / "scan" / "candidates.parquet")
    odds = table["score"] / (1 - table["score"]) * 0.01 / 0.99
    np.testing.assert_allclose(table["p_lens"], odds / (1 + odds), rtol=1e-4)
