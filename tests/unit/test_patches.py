"""Patches are parts of their tile, turned with all that belongs to them, and splits stay apart."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import maximum_filter
from tile_toys import Sky, build_tile

from stronglens.core.errors import MissingDataError, OutOfRangeError
from stronglens.data.detections import detect
from stronglens.data.patches import (
    GUARD,
    PatchPlan,
    draw_patches,
    host_places,
    oriented,
    sky_places,
)
from stronglens.data.selection import select_galaxies
from stronglens.data.splits import split_of_groups
from stronglens.data.store import SPLITS

PLAN = PatchPlan(size=32)


@pytest.fixture(scope="module")
def tile():
    """Tile with a lopsided PSF, known noise and a bad corner."""
    made, _, _ = build_tile(Sky(height=560, width=840))
    psf = np.random.default_rng(0).random((2, 5, 7)).astype(np.float32)
    mask = made.mask.copy()
    mask[1, 40:60, 700:720] = True
    ivar = np.random.default_rng(1).random(made.flux.shape).astype(np.float32)
    return replace(made, psf=psf, ivar=ivar, mask=mask, gain=np.array([5.0, 6.0]))


@pytest.fixture(scope="module")
def found(tile):
    """Sources of that tile."""
    return detect(tile)


@pytest.mark.parametrize("size", [31, 32])
def test_patch_is_the_tile_turned(tile, size):
    plan = PatchPlan(size=size)
    patches = draw_patches(tile, plan, sky_places(tile, plan), 3, range(40))
    assert patches.flux.shape == (40, 2, size, size)
    assert set(patches.orientation) == set(range(8))
    for k in range(40):
        rows = slice(patches.y[k] - size // 2, patches.y[k] - size // 2 + size)
        columns = slice(patches.x[k] - size // 2, patches.x[k] - size // 2 + size)
        turn = int(patches.orientation[k])
        for name in ("flux", "ivar", "mask"):
            part = getattr(tile, name)[:, rows, columns]
            np.testing.assert_array_equal(getattr(patches, name)[k], oriented(part, turn))
    np.testing.assert_array_equal(patches.gain, [5.0, 6.0])


def test_psf_turns_with_its_patch(tile):
    patches = draw_patches(tile, PLAN, sky_places(tile, PLAN), 3, range(30))
    assert patches.psf.shape == (30, 2, 7, 7)
    for k in range(30):
        square = np.pad(tile.psf, [(0, 0), (1, 1), (0, 0)])
        np.testing.assert_array_equal(patches.psf[k], oriented(square, int(patches.orientation[k])))


def test_eight_orientations_differ_and_flip_in_x():
    image = np.arange(9.0).reshape(3, 3)
    assert len({oriented(image, k).tobytes() for k in range(8)}) == 8
    np.testing.assert_array_equal(oriented(image, 4), image[:, ::-1])


def test_patch_does_not_depend_on_how_many_are_drawn(tile):
    places = sky_places(tile, PLAN)
    many = draw_patches(tile, PLAN, places, 3, range(20))
    one = draw_patches(tile, PLAN, places, 3, range(13, 14))
    np.testing.assert_array_equal(one.flux[0], many.flux[13])
    assert one.cell_id[0] == many.cell_id[13]
    other = draw_patches(tile, PLAN, places, 4, range(20))
    assert list(other.x) != list(many.x)
    assert len(draw_patches(tile, PLAN, places, 3, range(0))) == 0


@pytest.mark.parametrize("size", [31, 32, 67])
def test_splits_share_no_pixel_and_keep_their_distance(tile, size):
    covered = {}
    for split in SPLITS:
        plan = PatchPlan(size=size, splits=(split,), fractions=(0.4, 0.3, 0.3))
        places = sky_places(tile, plan)
        middle = np.zeros((tile.height, tile.width), bool)
        middle[places.y, places.x] = True
        # where any patch of the split may lie, as patches do: size // 2 before the middle
        origin = 0 if size % 2 else -1
        covered[split] = maximum_filter(middle, size, origin=origin)
        drawn = draw_patches(tile, plan, places, 1, range(30))
        assert set(drawn.split) == {split}
        assert set(split_of_groups(drawn.cell_id, plan.fractions)) == {split}
        for y, x in zip(drawn.y - size // 2, drawn.x - size // 2, strict=True):
            assert covered[split][y : y + size, x : x + size].all()
    assert all(area.any() for area in covered.values())
    for split in SPLITS:
        grown = maximum_filter(covered[split], 4 * GUARD - 1)
        for other in set(SPLITS) - {split}:
            assert not (grown & covered[other]).any()


def test_places_keep_off_bad_pixels_and_borders(tile):
    for share in (0.0, 0.1):
        plan = PatchPlan(size=32, max_bad=share)
        places = sky_places(tile, plan)
        bad = tile.is_bad.astype(int).cumsum(0).cumsum(1)
        total = np.pad(bad, ((1, 0), (1, 0)))
        y, x = places.y - 16, places.x - 16
        n = total[y + 32, x + 32] - total[y, x + 32] - total[y + 32, x] + total[y, x]
        assert n.max() <= share * 32**2
        assert (n.max() > 0) == (share > 0)
        assert y.min() == 0
        assert (y + 32).max() == tile.height


def test_middle_is_clear_where_asked(tile, found):
    plan = PatchPlan(size=40, clear=20)
    patches = draw_patches(tile, plan, sky_places(tile, plan, found), 1, range(100))
    for y, x in zip(patches.y, patches.x, strict=True):
        assert not found.segmentation[y - 10 : y + 10, x - 10 : x + 10].any()
    with pytest.raises(MissingDataError, match="clear=20"):
        sky_places(tile, plan)


def test_hosts_are_in_the_middle(tile, found):
    rows = select_galaxies(found, seed=1)
    plan = PatchPlan(size=33)
    places = host_places(tile, plan, found, rows)
    assert 3 < len(places.y) <= len(rows)
    patches = draw_patches(tile, plan, places, 1, range(50))
    assert set(patches.host) <= set(rows)
    # the brightest pixel of a smooth galaxy is its middle, to noise
    for image in patches.flux[:, 0]:
        y, x = np.unravel_index(image.argmax(), image.shape)
        assert np.hypot(y - 16, x - 16) < 3


def test_order_of_the_hosts_does_not_count(tile, found):
    rows = select_galaxies(found, seed=1)
    one = draw_patches(tile, PLAN, host_places(tile, PLAN, found, rows), 1, range(9))
    two = draw_patches(tile, PLAN, host_places(tile, PLAN, found, rows[::-1].copy()), 1, range(9))
    np.testing.assert_array_equal(one.host, two.host)


def test_each_host_is_in_one_split(tile, found):
    rows = select_galaxies(found, seed=1)
    patches = draw_patches(tile, PLAN, host_places(tile, PLAN, found, rows), 1, range(300))
    pairs = set(zip(patches.host.tolist(), patches.split, strict=True))
    assert max(Counter(host for host, _ in pairs).values()) == 1


def test_impossible_patches_are_refused(tile, found):
    with pytest.raises(OutOfRangeError, match="size=600"):
        sky_places(tile, PatchPlan(size=600))
    everything = replace(tile, mask=np.ones_like(tile.mask))
    with pytest.raises(MissingDataError, match="no place for a patch with size=32"):
        sky_places(everything, PLAN)
    with pytest.raises(MissingDataError, match="no place"):
        host_places(tile, PLAN, found, np.array([], np.int64))


def test_tile_without_psf_and_ivar_gives_patches_without(tile):
    bare = replace(tile, psf=None, ivar=None)
    patches = draw_patches(bare, PLAN, sky_places(bare, PLAN), 1, range(2))
    assert patches.psf is None
    assert patches.ivar is None
