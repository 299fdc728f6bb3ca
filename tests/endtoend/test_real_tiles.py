"""The real KiDS field is measured and cut; CFHTLS cutouts serve as hosts."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stronglens.data.detections import detect, without_background
from stronglens.data.measure import completed, measure_survey
from stronglens.data.patches import PatchPlan, draw_patches, host_places, sky_places
from stronglens.data.planes import Hints
from stronglens.data.selection import select_deflectors, select_galaxies, select_stars
from stronglens.data.sky_noise import MAX_LAG
from stronglens.data.tiles import read_tile, within_columns

REAL = Path(__file__).parents[3] / "shared" / "data" / "real"
KIDS = REAL / "kids_viking_field"
CFHTLS = REAL / "cfhtls_lenses"
TRAINING = (0, 1100)

needs_kids = pytest.mark.skipif(not KIDS.is_dir(), reason=f"no real tile at {KIDS}")
needs_cfhtls = pytest.mark.skipif(not CFHTLS.is_dir(), reason=f"no real cutouts at {CFHTLS}")


@pytest.fixture(scope="module")
def kids():
    """Columns for training of the KiDS field in g and r, their sources, and what was measured."""
    whole = read_tile(KIDS)
    tile = within_columns(_part(whole, ("g", "r")), *TRAINING)
    found = detect(tile)
    return tile, found, measure_survey(tile, found)


def _part(tile, bands):
    """Tile of some bands and of its first rows and columns, which takes less time."""
    index = [tile.index(band) for band in bands]
    facts = ("zero_point", "gain", "saturation", "exposure_time")
    parts = {name: getattr(tile, name)[index] for name in facts}
    pixels = {name: getattr(tile, name)[index, :1600, :1200] for name in ("flux", "mask")}
    return replace(tile, bands=tuple(tile.bands[k] for k in index), **parts, **pixels)


@needs_kids
def test_kids_field_has_one_zero_point_and_scale(kids):
    tile, _, _ = kids
    assert tile.flux.shape == (2, 1600, 1200)
    assert tile.pixel_scale == pytest.approx(0.3)
    np.testing.assert_array_equal(tile.zero_point, 27.5)
    assert tile.mask[:, :, : TRAINING[1]].mean() < 0.01
    assert tile.mask[:, :, TRAINING[1] :].all()


@needs_kids
def test_kids_psf_is_that_of_its_stars(kids):
    _, found, measured = kids
    assert 25 < len(select_stars(found, seed=1)) < 120
    for band, (low, high) in zip(measured.bands, ((2.8, 3.1), (2.3, 2.7)), strict=True):
        # Moffat fits by others in the README of the field: 3.0 px in g, 2.4 to 2.7 in r
        assert low < band.psf.fwhm / 0.3 < high
        assert band.psf.n_stars > 20
        assert np.hypot(band.psf.e1, band.psf.e2) < 0.06


@needs_kids
def test_kids_noise_is_correlated_as_a_resampled_coadd_is(kids):
    _, _, measured = kids
    for band in measured.bands:
        correlation = band.noise.correlation[MAX_LAG, MAX_LAG:]
        # measured before by other means: lag 1 -0.05, lag 2 +0.07, blocks 1.5 to 1.7; stripes in r
        # add to the last, the more the larger the mesh of the background
        assert correlation[1] == pytest.approx(-0.05, abs=0.03)
        assert correlation[2] == pytest.approx(0.07, abs=0.03)
        assert 1.4 < band.noise.block_ratio < 1.9
        assert abs(band.noise.level) < 0.1 * band.noise.rms
        # dark sites have 22.3 and 21.2 mag/arcsec^2; a gain is good to a factor of 2, or 0.75 mag
        assert 21.0 < band.sky_brightness < 23.0


@needs_kids
def test_kids_patches_are_sky_and_hosts_of_the_training_columns(kids):
    tile, found, measured = kids
    full = completed(without_background(tile), measured)
    plan = PatchPlan(size=67, clear=25)
    places = sky_places(full, plan, found)
    # the reference counts 10,000 placements; any pixel of clear sky is one here
    assert len(places.y) > 10_000
    patches = draw_patches(full, plan, places, 1, range(300))
    assert patches.x.max() + 34 <= TRAINING[1]
    assert np.isfinite(patches.flux).all()
    assert Counter(patches.split).keys() == {"train", "validation", "test"}
    # clear middles have the noise that was measured
    scatter = patches.flux[:, :, 24:43, 24:43].std(axis=(0, 2, 3))
    np.testing.assert_allclose(scatter, [b.noise.rms for b in measured.bands], rtol=0.1)
    hosts = host_places(full, PatchPlan(size=67), found, select_deflectors(found, seed=1))
    assert len(hosts.y) > 10
    assert len(select_galaxies(found, seed=1)) > 80


@needs_cfhtls
@pytest.mark.parametrize(
    ("name", "size", "n_bands"),
    [("HumVI_CFHTLS-test", 67, 3), ("SL2SJ021411-040502", 41, 5), ("W3+3-2_12907_13034", 67, 6)],
)
def test_cfhtls_cutouts_are_hosts(name, size, n_bands):
    tile = read_tile(CFHTLS / name, Hints(zero_point=30.0))
    assert tile.flux.shape[0] == n_bands
    assert tile.wcs is not None
    plan = PatchPlan(size=size)
    patches = draw_patches(tile, plan, sky_places(tile, plan), 1, range(8))
    assert patches.flux.shape == (8, n_bands, size, size)
    assert {cell.partition(":")[0] for cell in patches.cell_id} == {tile.tile_id}
    if tile.psf is not None:
        assert patches.psf.shape[2] == patches.psf.shape[3]
        assert np.isfinite(patches.gain).all()


@needs_cfhtls
def test_cfhtls_mini_tile_is_measured():
    tile = read_tile(CFHTLS / "HumVI_CFHTLS-test")
    measured = measure_survey(tile)
    for band in measured.bands:
        # MegaCam seeing of CFHTLS Wide: 0.5 to 1.0 arcsec
        assert 0.4 < band.psf.fwhm < 1.0
        assert band.gain_source == "header of the tile"
