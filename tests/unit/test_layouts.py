"""Files of every named layout are found, opened, and give back the star that is painted on them."""

import math

import numpy as np
import pytest
import survey_files
from survey_files import BAD, MAGNITUDE, STAR, sky_header, star_image

from stronglens.core.errors import (
    MissingDataError,
    UnknownNameError,
    UnreadableFileError,
    WrongShapeError,
)
from stronglens.data.cutting import cut_many
from stronglens.data.layouts import find_layout, layout_of, layouts
from stronglens.data.tile_sources import TileHints, footprint_of, list_tiles, open_tile

# zero point, noise known, filters
TILES = {
    "rubin": (31.4, "lsst-g lsst-r lsst-i", 0.2, "5063_14"),
    "hsc": (27.0, "hsc-g hsc-r hsc-i", 0.168, "9813-4,5"),
    "euclid": (23.9, "euclid-vis euclid-y euclid-h", 0.1, "102018665"),
    "legacy": (22.5, "legacy-g legacy-r legacy-z", 0.262, "0001m002"),
    "des": (30.0, "des-g des-r des-i", 0.263, "DES0102-4914"),
    "kids": (0.0, "kids-u kids-g kids-r kids-i", 0.2, "131.0_-1.5"),
}


def opened(folder, name):
    getattr(survey_files, name)(folder)
    sources = list_tiles([folder])
    assert len(sources) == 1
    assert sources[0].layout == name
    return sources[0], open_tile(sources[0])


def cut_at(grid, x, y, size=31):
    return cut_many(grid, np.array([float(x)]), np.array([float(y)]), size)


@pytest.mark.parametrize("name", TILES)
def test_tile_of_a_layout_gives_bands_scale_and_a_star_of_its_magnitude(tmp_path, name):
    zero_point, bands, scale, tile_id = TILES[name]
    source, tile = opened(tmp_path, name)
    assert source.tile_id == tile_id
    assert set(tile.bands) == set(bands.split())
    (grid,) = tile.grids
    assert grid.pixel_scale == pytest.approx(scale, rel=1e-6)
    cut = cut_at(grid, *STAR)
    assert list(cut.status) == ["ok"]
    magnitude = grid.zero_point - 2.5 * np.log10(cut.flux[0].sum((1, 2)))
    np.testing.assert_allclose(magnitude, MAGNITUDE, atol=2e-3)
    assert zero_point in [image.zero_point for image in grid.images]


@pytest.mark.parametrize("name", TILES)
def test_tile_of_a_layout_states_the_noise_that_is_in_it(tmp_path, name):
    _, tile = opened(tmp_path, name)
    cut = cut_at(tile.grids[0], 30, 70, 25)
    pull = cut.flux * np.sqrt(cut.ivar)
    assert (cut.ivar > 0).all()
    assert pull.std() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("name", TILES)
def test_tile_of_a_layout_marks_the_bad_pixel_and_no_other(tmp_path, name):
    _, tile = opened(tmp_path, name)
    cut = cut_at(tile.grids[0], *BAD, 11)
    expected = np.zeros((11, 11), bool)
    expected[5, 5] = True
    assert (cut.mask[0] == expected).all()
    assert (cut.ivar[0][:, 5, 5] == 0).all()


@pytest.mark.parametrize("name", TILES)
def test_footprint_is_that_of_the_opened_tile(tmp_path, name):
    source, tile = opened(tmp_path, name)
    footprint, grid = footprint_of(source), tile.grids[0]
    assert (footprint.height, footprint.width) == (grid.height, grid.width)
    assert footprint.pixel_scale == grid.pixel_scale
    assert footprint.wcs is not None


def test_legacy_psf_has_the_width_that_psfsize_states(tmp_path):
    _, tile = opened(tmp_path, "legacy")
    psf = cut_at(tile.grids[0], *STAR).psf
    profile = psf[0, 0].sum(0)
    offsets = np.arange(len(profile)) - len(profile) // 2
    variance = (profile * offsets**2).sum() - 1 / 12
    assert 2.3548 * math.sqrt(variance) * 0.262 == pytest.approx(1.2, rel=0.01)


def test_challenge_objects_are_grouped_by_number_and_have_no_place_on_the_sky(tmp_path):
    survey_files.challenge_ground(tmp_path)
    sources = list_tiles([tmp_path])
    assert [s.tile_id for s in sources] == ["100002", "100003"]
    tile = open_tile(sources[0])
    assert set(tile.bands) == {"kids-u", "kids-g", "kids-r", "kids-i"}
    assert tile.grids[0].wcs is None


def test_challenge_of_two_pixel_scales_has_two_grids(tmp_path):
    survey_files.challenge_space(tmp_path)
    tile = open_tile(list_tiles([tmp_path])[0])
    fine, coarse = tile.grids
    assert (fine.bands, fine.height) == (("euclid-vis",), 200)
    assert set(coarse.bands) == {"euclid-y", "euclid-j", "euclid-h"}
    x, y = tile.places_on(1, np.array([99.5, 0.0]), np.array([99.5, 99.5]))
    np.testing.assert_allclose(x, [32.5, 32.5 - 99.5 / 3])
    np.testing.assert_allclose(y, 32.5)


def test_every_layout_says_where_its_facts_come_from():
    for name in layouts.names():
        assert layouts.facts(name)["summary"]
        assert layouts.get(name).source


@pytest.mark.parametrize("stem", ["mosaic_g", "image", "legacysurvey-image-g"])
def test_a_file_of_no_layout_is_plain(stem):
    assert layout_of(stem) == "plain"


def test_an_unknown_layout_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(UnknownNameError, match=r"unknown layout 'kid'.*Did you mean 'kids'"):
        list_tiles([tmp_path], TileHints(layout="kid"))
    with pytest.raises(UnknownNameError, match="'auto' is for finding one"):
        find_layout("auto")


def test_a_pattern_with_braces_groups_bands_and_companions_into_tiles(tmp_path):
    for tile in ("a", "b"):
        for band in "gr":
            header = sky_header(0.2, MAGZERO=27.0)
            survey_files.put(tmp_path / f"{tile}_{band}_sci.fits", star_image(27.0), header)
            noise = survey_files.constant(survey_files.sigma_of(27.0))
            survey_files.put(tmp_path / f"{tile}_{band}_rms.fits", noise, header)
    sources = list_tiles([tmp_path / "{tile}_{band}_{role}.fits"])
    assert [s.tile_id for s in sources] == ["a", "b"]
    tile = open_tile(sources[1])
    assert tile.bands == ("g", "r")
    cut = cut_at(tile.grids[0], 30, 70, 25)
    assert (cut.flux * np.sqrt(cut.ivar)).std() == pytest.approx(1, rel=0.05)
    with pytest.raises(MissingDataError, match="no file matches"):
        list_tiles([tmp_path / "c_{band}.fits"])


def test_a_flag_of_the_user_goes_before_that_of_the_layout(tmp_path):
    survey_files.kids(tmp_path)
    tile = open_tile(list_tiles([tmp_path], TileHints(flags=8))[0])
    assert cut_at(tile.grids[0], *STAR).mask.all()


def test_a_tile_without_a_zero_point_or_pixel_scale_is_refused_until_the_user_gives_them(tmp_path):
    survey_files.put(tmp_path / "r.fits", star_image(27.0))
    with pytest.raises(MissingDataError, match=r"pixel scale of tile .* not known"):
        open_tile(list_tiles([tmp_path / "r.fits"])[0])
    hints = TileHints(pixel_scale=0.2)
    with pytest.raises(MissingDataError, match=r"zero point of r in tile .* not known"):
        open_tile(list_tiles([tmp_path / "r.fits"], hints)[0])
    hints = TileHints(pixel_scale=0.2, zero_point=27.0, psf_fwhm=0.8)
    grid = open_tile(list_tiles([tmp_path / "r.fits"], hints)[0]).grids[0]
    assert grid.images[0].psf is not None
    assert grid.zero_point == 27.0


def test_noise_of_another_size_than_its_image_is_refused(tmp_path):
    header = sky_header(0.2, MAGZERO=27.0)
    survey_files.put(tmp_path / "r_sci.fits", star_image(27.0), header)
    survey_files.put(tmp_path / "r_rms.fits", np.ones((50, 60), np.float32), header)
    with pytest.raises(WrongShapeError, match=r"50x60 pixels.*90x120; both must be equal"):
        open_tile(list_tiles([tmp_path])[0])


def test_a_truncated_tile_is_refused_when_it_is_listed_by_its_footprint(tmp_path):
    path = tmp_path / "r.fits"
    survey_files.put(path, star_image(27.0), sky_header(0.2, MAGZERO=27.0))
    path.write_bytes(path.read_bytes()[: 2880 * 6])
    with pytest.raises(UnreadableFileError, match="truncated"):
        footprint_of(list_tiles([path])[0])


def test_pixels_of_a_plain_file_are_memory_mapped_and_of_a_compressed_one_are_not(tmp_path):
    header = sky_header(0.2, MAGZERO=27.0)
    survey_files.put(tmp_path / "r.fits", star_image(27.0), header)
    survey_files.put(tmp_path / "r.fits.fz", star_image(27.0), header)
    plain, packed = (
        open_tile(list_tiles([tmp_path / name])[0]).grids[0].images[0].flux
        for name in ("r.fits", "r.fits.fz")
    )
    assert not plain.flags.owndata
    assert plain.dtype.byteorder == ">"
    np.testing.assert_array_equal(plain, packed)
