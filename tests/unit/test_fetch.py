"""Datasets of tiles, cutouts and stacks: pixels, truth, statuses, and going on after a kill."""

import math

import numpy as np
import pytest
import survey_files
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from PIL import Image
from survey_files import MAGNITUDE, STAR, sky_header, star_image

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.data.catalog import read_table
from stronglens.data.dataset_grid import GridOptions
from stronglens.data.fetch import Fetcher, FetchOptions
from stronglens.data.fetch_inputs import list_cutout_inputs
from stronglens.data.planes import Hints
from stronglens.data.store import open_dataset
from stronglens.data.task import Fetch
from stronglens.data.tile_sources import TileHints

HINTS = TileHints()


def magnitudes(dataset, row=0):
    flux = dataset.images(slice(row, row + 1)).flux[0]
    return dataset.zero_point - 2.5 * np.log10(flux.sum((1, 2)))


def target_table(path, x, y, header, **columns):
    ra, dec = WCS(header).all_pix2world(np.array(x, float), np.array(y, float), 0)
    names = [f"t{k}" for k in range(len(x))]
    Table({"object_id": names, "ra": ra, "dec": dec, **columns}).write(path)
    return path


def test_targets_of_a_tile_become_a_dataset_and_every_target_one_row(tmp_path):
    survey_files.legacy(tmp_path)
    header = sky_header(0.262)
    x, y = [STAR[0], 2.0, 20.0, 500.0], [STAR[1], 2.0, 60.0, 500.0]
    targets = target_table(tmp_path / "t.csv", x, y, header, mag=[19.0, 20.0, 21.0, 22.0])
    labels = tmp_path / "l.csv"
    Table({"object_id": ["t0", "t2"], "label": [1, 0]}).write(labels)
    task = Fetch((tmp_path,), targets=targets, labels=labels, size=31, keep=("mag",))
    result = task.run(tmp_path / "out")
    counts = (result.n_objects, result.n_ok, result.n_edge, result.n_outside, result.n_labelled)
    assert counts == (4, 2, 1, 1, 2)
    assert result.exit_code == 0
    dataset = open_dataset(tmp_path / "out")
    assert (dataset.n, dataset.size) == (2, (31, 31))
    assert dataset.bands == ("legacy-g", "legacy-r", "legacy-z")
    np.testing.assert_allclose(magnitudes(dataset), MAGNITUDE, atol=3e-3)
    assert list(dataset.column("label")) == [1, 0]
    assert list(dataset.column("mag")) == [19.0, 21.0]
    assert set(dataset.column("split")) <= {"train", "validation", "test"}
    assert all(group.startswith("healpix8:") for group in dataset.column("group_id"))
    images = dataset.images(slice(None))
    np.testing.assert_allclose(images.psf.sum((2, 3)), 1, atol=1e-5)
    objects = read_table(tmp_path / "out" / "objects.parquet")
    assert sorted(objects["object_id"]) == ["t0", "t1", "t2", "t3"]
    status = dict(zip(objects["object_id"], objects["status"], strict=True))
    assert status == {"t0": "ok", "t1": "edge", "t2": "ok", "t3": "outside"}
    assert all((objects["reason"] == "") == (objects["status"] == "ok"))


def test_sources_found_on_a_tile_can_be_the_targets(tmp_path):
    survey_files.kids(tmp_path)
    result = Fetch((tmp_path,), detect=True, size=21, cuts=("mag_r<20",)).run(tmp_path / "out")
    assert result.n_ok == 1
    dataset = open_dataset(tmp_path / "out")
    assert dataset.column("x")[0] == pytest.approx(STAR[0], abs=0.1)
    assert dataset.column("y")[0] == pytest.approx(STAR[1], abs=0.1)
    assert math.isfinite(dataset.column("ra")[0])


def test_bands_of_two_pixel_scales_stay_on_their_own_grids(tmp_path):
    survey_files.challenge_space(tmp_path)
    Fetch((tmp_path,), size=160).run(tmp_path / "out")
    fine, coarse = (open_dataset(tmp_path / "out", grid) for grid in ("0.1arcsec", "0.3arcsec"))
    assert (fine.bands, fine.size) == (("euclid-vis",), (160, 160))
    assert (coarse.bands, coarse.size) == (("euclid-y", "euclid-j", "euclid-h"), (53, 53))
    assert fine.n == coarse.n == 2
    np.testing.assert_allclose(magnitudes(fine), MAGNITUDE, atol=0.01)
    np.testing.assert_allclose(magnitudes(coarse), MAGNITUDE, atol=0.01)


def test_the_value_by_which_the_challenge_marks_bad_pixels_is_masked(tmp_path):
    survey_files.challenge_ground(tmp_path)
    path = tmp_path / "Band4" / "imageSDSS_U-100002.fits"
    with fits.open(path, mode="update") as file:
        file[0].data *= 1e-12
        file[0].data[:, :30] = 100.0
    (entry, _) = (next(one.entries(0)) for one in list_cutout_inputs([tmp_path], Hints(), HINTS))
    (cutout,) = entry.cutouts
    u_band = cutout.bands.index("kids-u")
    bad = np.zeros((101, 101), bool)
    bad[:, :30] = True
    np.testing.assert_array_equal(cutout.mask[u_band], bad)
    assert not np.delete(cutout.mask, u_band, axis=0).any()
    assert (cutout.ivar[u_band][bad] == 0).all()
    assert np.abs(cutout.flux[u_band]).max() < 1e-6
    assert "value 100 taken as masked" in "; ".join(cutout.remarks)


@pytest.mark.parametrize("scale", [0.1, 0.15, 0.3, 0.37])
def test_a_magnitude_survives_on_one_common_grid(tmp_path, scale):
    survey_files.challenge_space(tmp_path)
    Fetch((tmp_path,), resample=scale, size=math.floor(18 / scale)).run(tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    assert dataset.bands == ("euclid-vis", "euclid-y", "euclid-j", "euclid-h")
    assert dataset.pixel_scale == scale
    np.testing.assert_allclose(magnitudes(dataset), MAGNITUDE, atol=0.02)


def cutouts(folder, n=7, **cards):
    """Files of one star each."""
    for k in range(n):
        image = star_image(27.0, x=20, y=20, shape=(41, 41), seed=k)
        header = sky_header(0.2, 41, 41, ra=150 + k, FILTER="r", MAGZERO=27.0, **cards)
        fits.writeto(folder / f"object{k}.fits", image, header)


class Killed(BaseException):
    """What a kill is to the code that it hits."""


def fetch(folder, out, shard=250, stop_after=None):
    seen = []

    def on_entry(name, status, reason):
        seen.append(name)
        if stop_after is not None and len(seen) > stop_after:
            raise Killed

    inputs = list_cutout_inputs([folder], Hints(), TileHints())
    fetcher = Fetcher(out, FetchOptions(GridOptions(), shard=shard), on_entry)
    return fetcher.fetch(inputs, {}), seen


def test_a_fetch_that_was_killed_goes_on_behind_its_last_whole_shard(tmp_path, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    cutouts(folder, 12)
    (folder / "object3.fits").write_bytes(b"broken")
    (folder / "object9.fits").write_bytes(b"")
    monkeypatch.setattr("stronglens.data.writer.CHUNK", 2)
    whole, _ = fetch(folder, tmp_path / "whole", shard=4)
    assert (whole["ok"], whole["failed"]) == (10, 2)
    for stop in (0, 3, 5, 9, 11):
        out = tmp_path / f"killed{stop}"
        with pytest.raises(Killed):
            fetch(folder, out, shard=4, stop_after=stop)
        counts, seen = fetch(folder, out, shard=4)
        assert counts == whole
        assert len(seen) >= 12 - stop - 1
        first, second = (read_table(p / "objects.parquet") for p in (tmp_path / "whole", out))
        for name, values in first.items():
            assert list(map(str, values)) == list(map(str, second[name])), name
        assert open_dataset(out).content_hash() == open_dataset(tmp_path / "whole").content_hash()


def test_a_file_that_cannot_be_used_is_a_row_with_a_reason_and_the_rest_is_fetched(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    cutouts(folder, 3)
    (folder / "object1.fits").write_bytes(b"broken")
    fits.writeto(folder / "zeros.fits", np.zeros((41, 41), np.float32),
                 sky_header(0.2, 41, 41, FILTER="r", MAGZERO=27.0))  # fmt: skip
    fits.writeto(folder / "other.fits", star_image(27.0, shape=(41, 41)),
                 sky_header(0.2, 41, 41, FILTER="g", MAGZERO=27.0))  # fmt: skip
    fits.writeto(folder / "scale.fits", star_image(27.0, shape=(41, 41)),
                 sky_header(0.5, 41, 41, FILTER="r", MAGZERO=27.0))  # fmt: skip
    result = Fetch((folder,)).run(tmp_path / "out")
    assert (result.n_ok, result.n_failed, result.exit_code) == (2, 4, 3)
    objects = read_table(tmp_path / "out" / "objects.parquet")
    reason = dict(zip(objects["object_id"], objects["reason"], strict=True))
    assert "not a FITS file" in reason["object1"]
    assert "zero" in reason["zeros"]
    assert "band r missing: the object has g" in reason["other"]
    assert "pixel scale of 0.5" in reason["scale"]


def test_nothing_that_can_be_used_is_exit_status_one(tmp_path):
    (tmp_path / "a.fits").write_bytes(b"broken")
    result = Fetch((tmp_path / "a.fits",)).run(tmp_path / "out")
    assert (result.n_ok, result.exit_code) == (0, 1)
    assert "not a FITS file" in result.first_failure


def test_pictures_are_stored_without_zero_point_and_say_so(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    values = np.random.default_rng(0).integers(0, 255, (24, 24, 3)).astype(np.uint8)
    for name in ("a", "b"):
        Image.fromarray(values).save(folder / f"{name}.png")
    Table({"file": ["a.png", "b.png"], "label": ["lens", "nolens"]}).write(tmp_path / "l.csv")
    Fetch((folder,), labels=tmp_path / "l.csv", pixel_scale=0.2).run(tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    assert dataset.bands == ("rgb-r", "rgb-g", "rgb-b")
    assert math.isnan(dataset.zero_point)
    assert "not flux" in dataset.facts.unit
    assert dataset.images(slice(0, 1)).ivar is None
    assert list(dataset.column("label")) == [1, 0]


def test_a_noise_map_that_is_missing_is_measured_on_the_sky(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    cutouts(folder, 1)
    Fetch((folder,)).run(tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    ivar = dataset.images(slice(0, 1)).ivar
    assert np.median(ivar) ** -0.5 == pytest.approx(survey_files.sigma_of(27.0), rel=0.15)
    assert not dataset.column("has_noise_map")[0]


def test_a_smaller_image_is_surrounded_by_masked_zeros(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    cutouts(folder, 1)
    Fetch((folder,), size=45).run(tmp_path / "out")
    images = open_dataset(tmp_path / "out").images(slice(0, 1))
    assert images.mask[0, 0].sum() == 45**2 - 41**2
    assert (images.flux[images.mask] == 0).all()
    assert (images.ivar[images.mask] == 0).all()


def test_an_unknown_zero_point_is_kept_unknown_or_taken_from_the_user(tmp_path):
    image = star_image(25.0, x=20, y=20, shape=(41, 41))
    fits.writeto(tmp_path / "a.fits", image, sky_header(0.2, 41, 41, FILTER="r"))
    Fetch((tmp_path / "a.fits",)).run(tmp_path / "one")
    assert math.isnan(open_dataset(tmp_path / "one").zero_point)
    Fetch((tmp_path / "a.fits",), zero_point=25.0).run(tmp_path / "two")
    np.testing.assert_allclose(magnitudes(open_dataset(tmp_path / "two")), MAGNITUDE, atol=0.01)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"files": ()}, MissingDataError, "files is empty"),
        ({"size": 1}, OutOfRangeError, "size=1 is outside 4 to 4096"),
        ({"pad": 0.7}, OutOfRangeError, "pad=0.7 is outside"),
        ({"targets": "none.csv"}, MissingDataError, "does not exist"),
        ({"targets": "x", "detect": True}, OutOfRangeError, "are both given"),
    ],
)
def test_wrong_settings_are_refused(settings, error, message):
    from pathlib import Path

    values = {k: Path(v) if k == "targets" else v for k, v in settings.items()}
    with pytest.raises(error, match=message):
        Fetch(**{"files": (Path("a.fits"),), **values}).check()


def test_bands_on_one_grid_are_centred_on_the_target_not_on_its_nearest_pixel(tmp_path):
    header = sky_header(0.1, 240, 240)
    coarse = sky_header(0.3, 80, 80)
    x, y = 101.3, 117.8
    ra, dec = WCS(header).all_pix2world([x], [y], 0)
    place = WCS(coarse).all_world2pix(ra, dec, 0)
    for name, head, at, shape, fwhm in (
        ("vis", header, (x, y), (240, 240), 9.0),
        ("h", coarse, (place[0][0], place[1][0]), (80, 80), 3.0),
    ):
        head.update(FILTER=name, MAGZERO=27.0)
        image = star_image(27.0, x=at[0], y=at[1], shape=shape, fwhm=fwhm)
        fits.writeto(tmp_path / f"tile_{name}.fits", image, head)
    Table({"object_id": ["t"], "ra": ra, "dec": dec}).write(tmp_path / "t.csv")
    task = Fetch(
        (tmp_path / "tile_{band}.fits",), targets=tmp_path / "t.csv", size=81, resample=0.1
    )
    task.run(tmp_path / "out")
    dataset = open_dataset(tmp_path / "out")
    flux = dataset.images(slice(0, 1)).flux[0]
    offsets = np.arange(81) - 40
    for plane in flux:
        assert abs((plane.sum(0) * offsets).sum() / plane.sum()) < 0.1
        assert abs((plane.sum(1) * offsets).sum() / plane.sum()) < 0.1
    np.testing.assert_allclose(magnitudes(dataset), MAGNITUDE, atol=0.01)
