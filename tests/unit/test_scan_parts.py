"""Pieces of a scan by themselves: resampling of many, sorting, expectations, known lenses."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from fits_toys import cutout, galaxy

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.data.catalog import read_metadata, read_table, write_table
from stronglens.data.patches import oriented
from stronglens.data.resample import Target, resample
from stronglens.data.resample_many import native_size, resample_many
from stronglens.scanning import catalogue
from stronglens.scanning.catalogue import write_catalogue
from stronglens.scanning.expected import Expectation
from stronglens.scanning.injection import _ORIENTATIONS
from stronglens.scanning.known import read_known
from stronglens.scanning.rank import COLUMNS
from stronglens.scanning.recovery import match, recovered_fraction
from stronglens.scanning.source_cut import SourceCut
from stronglens.scanning.tile_pixels import _Best


@pytest.mark.parametrize("scale", [0.18, 0.1, 0.25])
@pytest.mark.parametrize(("height", "width"), [(45, 45), (32, 41)])
def test_many_cutouts_are_resampled_as_one_is(scale, height, width):
    target = Target(height, width, 0.18, 27.0)
    side = native_size(target, scale)
    images = np.stack([galaxy(side, side, scale, seed=k) for k in range(3)])[:, None]
    mask = np.zeros(images.shape, bool)
    mask[1, 0, side // 2 + 3, side // 2] = True
    ivar = np.where(mask, 0, np.float32(4)).astype(np.float32)
    factor = 10 ** (0.4 * (27.0 - 30.0))
    many = resample_many(images, ivar, mask, scale, factor, target)
    for k in range(3):
        one = resample(cutout(images[k, 0], scale, ivar=ivar[k, 0], mask=mask[k, 0]), target)
        # an even number of pixels has no pixel in the middle to share with an odd one
        if (side - height) % 2 == 0 and (side - width) % 2 == 0:
            np.testing.assert_allclose(many[0][k], one.flux, atol=2e-3 * np.abs(one.flux).max())
            np.testing.assert_array_equal(many[2][k], one.mask)
            carried, good = many[1][k], one.ivar > 0
            assert carried[carried > 0].mean() == pytest.approx(one.ivar[good].mean(), rel=0.05)


def test_flux_is_conserved_by_resampling_many():
    target = Target(61, 61, 0.18, 30.0)
    side = native_size(target, 0.11)
    y, x = np.indices((side, side)) - (side - 1) / 2
    image = np.exp(-0.5 * (x**2 + y**2) / 8.0**2).astype(np.float32)[None, None]
    nothing = np.zeros(image.shape, np.float32)
    flux, ivar, bad = resample_many(image, nothing, nothing > 0, 0.11, 1.0, target)
    assert flux.sum() == pytest.approx(image.sum(), rel=1e-4)
    assert not ivar.any()
    assert not bad.any()


def test_nothing_to_resample_is_fine():
    target = Target(45, 45, 0.18, 30.0)
    none = np.zeros((0, 2, 45, 45), np.float32)
    flux, _, _ = resample_many(none, none, none > 0, 0.18, 1.0, target)
    assert flux.shape == (0, 2, 45, 45)


def _part(path, logit, first, calibrated=False):
    n = len(logit)
    score = 1 / (1 + np.exp(-logit))
    rows = {
        "object_id": np.array([f"o{first + k}" for k in range(n)], object),
        "input": np.full(n, "tile", object),
        **{name: np.zeros(n) for name in ("ra", "dec", "x", "y")},
        "score": score,
        "logit": logit,
        "log_odds": logit - 3 if calibrated else np.full(n, np.nan),
        "p_lens": 1 / (1 + np.exp(3 - logit)) if calibrated else np.full(n, np.nan),
        "status": np.where(np.isfinite(logit), "ok", "failed").astype(object),
        "reason": np.where(np.isfinite(logit), "", "broken").astype(object),
        "band": np.full(n, "g", object),
        "row": np.arange(first, first + n),
        "pixel_file": np.full(n, -1),
        "pixel_row": np.full(n, -1),
        "is_candidate": score > 0.5,
    }
    write_table(path, rows)
    return path


@pytest.mark.parametrize("most_rows", [10, 100_000])
@pytest.mark.parametrize("calibrated", [False, True])
def test_catalogue_is_sorted_whatever_the_size_of_its_piles(
    tmp_path, monkeypatch, most_rows, calibrated
):
    monkeypatch.setattr(catalogue, "_MOST_ROWS", most_rows)
    rng = np.random.default_rng(1)
    parts = []
    for k in range(4):
        logit = rng.normal(0, 4, 50)
        logit[::10] = np.nan
        logit[1::10] = 2.5
        parts.append(_part(tmp_path / f"{k}.parquet", logit, 50 * k, calibrated))
    path = tmp_path / "c.parquet"
    summary = write_catalogue(path, parts, {"finder": "f"})
    table = read_table(path)
    assert tuple(table) == COLUMNS
    assert read_metadata(path) == {"finder": "f"}
    assert summary.statuses == {"ok": 180, "failed": 20}
    assert sorted(table["object_id"]) == sorted(f"o{k}" for k in range(200))
    assert (np.diff(table["score"][:180]) <= 1e-12).all()
    assert (table["status"][180:] == "failed").all()
    # equal ones and failed ones in the order of the plan
    equal = [int(name[1:]) for name in table["object_id"][table["score"] == table["score"].max()]]
    failed = [int(name[1:]) for name in table["object_id"][180:]]
    assert equal == sorted(equal)
    assert failed == sorted(failed)
    assert summary.n_candidates == table["is_candidate"].sum()
    assert summary.first_fault == "broken"
    assert not (tmp_path / "sorting.tmp").exists()


def test_expectation_adds_up_probabilities_in_any_parts():
    p = np.sort(np.random.default_rng(0).beta(0.2, 2, 500))[::-1]
    is_candidate = p > 0.3
    whole, parts = Expectation(), Expectation()
    whole.add(p, p, is_candidate)
    for s in (slice(0, 3), slice(3, 250), slice(250, 500)):
        parts.add(p[s], p[s], is_candidate[s])
    for expected in (whole, parts):
        table = expected.table()
        assert table["n_candidates"].tolist() == [10, 30, 100, 300, 500]
        assert table["n_lenses"][1] == pytest.approx(p[:30].sum())
        assert table["purity"][1] == pytest.approx(p[:30].mean())
        assert table["completeness"][-1] == pytest.approx(1)
        assert expected.purity() == pytest.approx(p[is_candidate].mean())
    empty = Expectation()
    empty.add(np.full(3, np.nan), p[:3], is_candidate[:3])
    assert not empty.is_calibrated
    assert "not calibrated" in empty.to_lines(1e-3)[0]


def test_best_values_are_taken_and_what_is_left_out_is_not_among_them():
    values = np.random.default_rng(3).normal(size=300)
    best = _Best(20)
    taken = np.concatenate([best.accept(values[k : k + 7]) for k in range(0, 300, 7)])
    assert set(np.argsort(-values)[:20]) <= set(np.flatnonzero(taken))
    assert taken.sum() < 150
    assert not _Best(0).accept(values).any()


def test_known_lenses_without_grades_are_known_and_tables_are_checked(tmp_path):
    Table({"RAJ2000": [10.0, 350.0], "DEJ2000": [-5.0, 60.0]}).write(tmp_path / "k.fits")
    known = read_known(tmp_path / "k.fits", 2.0)
    ra = np.array([10.0, 10.0 + 3 / 3600, 350.0 + 1.5 / 3600 / np.cos(np.pi / 3), np.nan])
    marks = known.marks(ra, np.array([-5.0, -5.0, 60.0, 1.0]))
    assert marks.tolist() == ["known", "new", "known", ""]
    Table({"a": [1]}).write(tmp_path / "no.csv")
    with pytest.raises(MissingDataError, match="none that is called ra and dec"):
        read_known(tmp_path / "no.csv", 2.0)
    with pytest.raises(MissingDataError, match="does not exist"):
        read_known(tmp_path / "gone.csv", 2.0)
    with pytest.raises(OutOfRangeError, match="known_radius=0 is outside"):
        read_known(tmp_path / "k.fits", 0.0)


def test_source_cut_refuses_limits_that_leave_nothing():
    with pytest.raises(OutOfRangeError, match=r"brightest=25 is not below faintest=23.5"):
        SourceCut(brightest=25.0).check()
    with pytest.raises(OutOfRangeError, match="min_snr=-1"):
        replace(SourceCut(), min_snr=-1.0).check()


@pytest.mark.parametrize("orientation", range(8))
def test_stamps_are_turned_back_before_they_are_added(orientation):
    image = np.arange(35.0).reshape(1, 5, 7)[:, :, :5]
    there = oriented(image, orientation)
    np.testing.assert_array_equal(oriented(there, _ORIENTATIONS[orientation]), image)


def test_injected_lenses_match_the_best_row_nearby_also_across_zero():
    lenses = {"ra": np.array([359.99995, 10.0, 20.0]), "dec": np.array([0.0, 45.0, 80.0])}
    rows = {
        "ra": np.array([0.00005, 10.0, 10.0001, np.nan, 20.0]),
        "dec": np.array([0.0, 45.0, 45.0, 80.0, 80.01]),
        "score": np.array([0.2, 0.1, 0.9, 0.5, 0.4]),
    }
    assert match(lenses, rows, 1.0).tolist() == [0, 2, -1]
    nothing = {name: values[:0] for name, values in rows.items()}
    assert match(lenses, nothing, 1.0).tolist() == [-1, -1, -1]


def test_recovered_fraction_has_equal_bins_and_leaves_nan_out():
    values = np.append(np.linspace(0.5, 3, 60), np.nan)
    found = values > 1.7
    bins = recovered_fraction(values, found, 4)
    assert bins["n"].tolist() == [15, 15, 15, 15]
    assert bins["fraction"][[0, 3]].tolist() == [0, 1]
    assert (bins["fraction_low"] <= bins["fraction"]).all()
    assert (bins["fraction"] <= bins["fraction_high"]).all()
