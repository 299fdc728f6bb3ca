"""Sources of synthetic tiles are found, measured and sorted into stars and galaxies."""

from dataclasses import replace

import numpy as np
import pytest
from tile_toys import Sky, build_tile

from stronglens.core.errors import MissingDataError
from stronglens.data.detections import detect, sky_rms, star_locus, without_background
from stronglens.data.selection import (
    DeflectorCut,
    select_deflectors,
    select_galaxies,
    select_stars,
)


@pytest.fixture(scope="module")
def toy():
    """Tile, its sources, and the rows of its stars and galaxies."""
    tile, stars, galaxies = build_tile(Sky())
    found = detect(tile)
    return tile, found, _rows(found, stars), _rows(found, galaxies)


def _rows(found, places):
    distance = np.hypot(found.x - places[:, :1], found.y - places[:, 1:])
    assert distance.min(axis=1).max() < 0.5
    return distance.argmin(axis=1)


def test_every_source_is_found_once(toy):
    _, found, stars, galaxies = toy
    assert len({*stars, *galaxies}) == len(stars) + len(galaxies) == len(found)


def test_stars_and_galaxies_are_told_apart(toy):
    _, found, stars, galaxies = toy
    assert found.is_star_like[stars].mean() > 0.95
    assert not found.is_star_like[galaxies].any()
    assert set(select_stars(found, seed=1)) <= set(stars)
    assert set(select_galaxies(found, seed=1)) == set(galaxies)


def test_flux_and_colour_are_those_drawn(toy):
    _, found, _, galaxies = toy
    # 2.5 Kron radii hold 94 to 98 % of an exponential galaxy; noise adds 2 %
    np.testing.assert_allclose(found.flux[galaxies, 0], 2000.0, rtol=0.12)
    colour = found.magnitude(1)[galaxies] - found.magnitude(0)[galaxies]
    np.testing.assert_allclose(colour, 2.5 * np.log10(1 / 0.4), atol=0.12)


def test_segmentation_belongs_to_its_source(toy):
    _, found, stars, _ = toy
    for row in stars[:5]:
        y, x = round(found.y[row]), round(found.x[row])
        assert found.segmentation[y, x] == row + 1


def test_deflectors_are_red_extended_and_bright(toy):
    _, found, _, galaxies = toy
    # 2000 units at zero point 27.5 are magnitude 19.25
    assert set(select_deflectors(found, seed=1)) == set(galaxies)
    assert len(select_deflectors(found, 1, cut=DeflectorCut(faintest=19.0))) == 0
    assert len(select_deflectors(found, 1, cut=DeflectorCut(bluest=1.3))) == 0


def test_one_band_has_no_colour_and_no_name_is_refused(toy):
    _, found, _, galaxies = toy
    planes = {"flux": found.flux[:, :1], "peak": found.peak[:, :1]}
    one = replace(found, bands=("r",), zero_point=found.zero_point[:1], **planes)
    assert set(select_deflectors(one, 1, cut=DeflectorCut(bluest=9.0))) == set(galaxies)
    with pytest.raises(MissingDataError, match="Pass hints"):
        select_deflectors(replace(found, bands=("a", "b")), 1)


def test_selection_is_keyed_by_its_seed(toy):
    _, found, _, _ = toy
    first = select_galaxies(found, seed=4)
    np.testing.assert_array_equal(select_galaxies(found, seed=4, n=5), first[:5])
    assert list(select_galaxies(found, seed=5)) != list(first)


@pytest.mark.parametrize("is_stated", [True, False])
def test_saturated_stars_are_no_stars(is_stated):
    level = 300.0
    stated = {"saturation": np.full(2, level)} if is_stated else {}
    tile, stars, _ = build_tile(Sky(), **stated)
    tile = replace(tile, flux=np.minimum(tile.flux, np.float32(1.001 * level)))
    found = detect(tile)
    rows = _rows(found, stars)
    is_cut = found.peak[rows, 0] >= level
    assert is_cut.sum() >= 5
    chosen = np.isin(rows, select_stars(found, seed=1))
    assert not chosen[is_cut].any() if is_stated else chosen[is_cut].mean() < 0.3
    assert chosen[~is_cut].mean() > 0.9


def test_sources_at_bad_pixels_and_borders_are_at_the_edge(toy):
    tile, found, stars, _ = toy
    row = stars[0]
    y, x = round(found.y[row]), round(found.x[row])
    mask = tile.mask.copy()
    mask[1, y + 5, x] = True
    again = detect(replace(tile, mask=mask))
    near = np.hypot(again.x - found.x[row], again.y - found.y[row]).argmin()
    assert again.is_edge[near]
    assert not found.is_edge[row]


def test_background_is_removed_and_sources_stay():
    tile, _, galaxies = build_tile(Sky(), bands=("r",))
    slope = np.linspace(0, 30, tile.width, dtype=np.float32)
    flat = without_background(replace(tile, flux=tile.flux + 1000 + slope))
    sky = ~detect(tile).sky_mask(8)
    # the noise is 0.5; a mesh of 128 pixels leaves less than a third of it
    assert abs(flat.flux[0][sky].mean()) < 0.15
    x, y = galaxies[0].round().astype(int)
    assert flat.flux[0, y, x] == pytest.approx(tile.flux[0, y, x], rel=0.05)


def test_empty_sky_has_no_sources_and_no_stars():
    tile, _, _ = build_tile(Sky(n_stars=0, n_galaxies=0, height=90, width=130))
    found = detect(tile)
    assert len(found) < 5
    assert np.isnan(found.star_diameter)
    assert len(select_stars(found, 1)) == 0
    assert not found.sky_mask(5).all()


def test_star_locus_is_the_smallest_crowd():
    rng = np.random.default_rng(3)
    stars, galaxies = rng.normal(3.0, 0.03, 20), rng.uniform(3.5, 12, 60)
    size, scatter = star_locus(np.concatenate([galaxies, stars, [np.nan, 0.4]]))
    assert size == pytest.approx(3.0, rel=0.01)
    assert scatter < 0.03
    assert np.isnan(star_locus(np.array([3.0, 3.0]))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clipped_rms_ignores_a_few_bright_pixels(dtype):
    values = np.random.default_rng(0).normal(0, 2, (200, 150)).astype(dtype)
    values[::20, ::20] = 500
    # 30,000 pixels give 0.4 %, and the clipping costs 0.1 %
    good = np.ones(values.shape, bool)
    assert sky_rms(values.astype(np.float32), good) == pytest.approx(2.0, rel=0.02)
    assert sky_rms(values.astype(np.float32), ~good) == 0.0
