"""Painting on real images: the tile's PSF and noise, its own groups, nothing shared by splits."""

import dataclasses

import numpy as np
import pytest
import torch
from astropy.io import fits

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.simulation.canvas import Canvas
from stronglens.simulation.psf import moffat_kernel
from stronglens.simulation.render import Grid, Sersics, observe_noiseless, render_light
from stronglens.simulation.simulated_set import STACK
from stronglens.simulation.task import Simulate
from stronglens.simulation.tile_camera import resampled_kernel

SIZE, SCALE, FWHM, RMS = 1100, 0.3, 0.9, 3.0


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    """A tile in g, r and i with stars, red galaxies and white noise, zero point 27."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("field")
    n_stars, n_galaxies = 150, 60
    place = rng.uniform(40, SIZE - 40, (2, n_stars + n_galaxies))
    flux = np.concatenate(
        [10 ** rng.uniform(3.3, 4.5, n_stars), 10 ** rng.uniform(3.8, 4.6, n_galaxies)]
    )
    size = np.concatenate([np.full(n_stars, 0.02), rng.uniform(1.0, 1.8, n_galaxies)])
    kernel = moffat_kernel(torch.tensor([FWHM]), torch.tensor([3.0]), SCALE / 3, 81)
    image = np.zeros((SIZE, SIZE), np.float32)
    half = 30
    grid = Grid(2 * half + 1, 2 * half + 1, SCALE, oversample=3, padding=4)
    for k in range(len(flux)):
        middle = np.rint(place[:, k]).astype(int)
        at = (place[:, k] - middle) * SCALE
        galaxy = Sersics(
            *(
                torch.tensor([[v]], dtype=torch.float32)
                for v in (flux[k], size[k], 1.0, 0.8, 0.3, *at)
            )
        )
        stamp = observe_noiseless(render_light(grid, galaxy), kernel, grid)[0].numpy()
        x0, y0 = middle - half
        x1, y1 = max(x0, 0), max(y0, 0)
        cut = stamp[y1 - y0 : SIZE - y0, x1 - x0 : SIZE - x0]
        image[y1 : y1 + cut.shape[0], x1 : x1 + cut.shape[1]] += cut
    for band, colour in (("g", 0.35), ("r", 1.0), ("i", 1.4)):
        noisy = colour * image + RMS * rng.standard_normal(image.shape)
        header = fits.Header({"FILTER": band, "MAGZERO": 27.0, "PIXSCALE": SCALE, "GAIN": 50.0})
        fits.ImageHDU(noisy.astype(np.float32), header).writeto(folder / f"{band}.fits")
    return folder


@pytest.fixture(scope="module")
def painted(tile):
    task = Simulate(survey="kids-dr4", seed=2, size=41, canvas=Canvas(tile=tile)).resolved()
    plan = task.plan()
    return plan, plan.draw(0, (STACK,))[STACK]


def test_patches_have_the_bands_scale_and_psf_of_the_tile(painted):
    plan, block = painted
    assert sorted(plan.facts(STACK).bands) == ["kids-g", "kids-i", "kids-r"]
    assert plan.facts(STACK).pixel_scale == SCALE
    for band in plan.camera.bands:
        assert band.psf_fwhm == pytest.approx(FWHM, rel=0.06)
    assert np.isfinite(block.images.flux).all()


def test_noise_of_empty_patches_is_that_of_the_tile(painted):
    _, block = painted
    sky = block.planes["noise"][block.truth["scene_class"] == "ring"]
    # zero point 27 became 30; the corners of a patch are mostly sky
    rms = 1.4826 * np.median(np.abs(sky - np.median(sky)))
    # real sources in the patches widen the middle of the distribution by some per cent
    assert rms == pytest.approx(RMS * 10 ** (0.4 * 3.0), rel=0.1)
    ivar = block.images.ivar[block.truth["scene_class"] == "alone"]
    assert np.median(ivar) ** -0.5 == pytest.approx(rms, rel=0.1)


def test_half_of_the_deflectors_are_real_and_lie_as_the_masses_do(painted):
    _, block = painted
    is_lens = block.truth["scene_class"] == "lens"
    real = block.truth["has_real_deflector"]
    assert 0.3 < real[is_lens].mean() < 0.7
    assert (np.abs(block.planes["deflector_light"][real]).max(axis=(1, 2, 3)) == 0).all()
    # all toy galaxies lie at 0.3 rad in the tile; patches are turned and flipped, mass scatters
    phi = np.mod(block.truth["phi"][is_lens & real], np.pi)
    allowed = np.mod([0.3, -0.3, 0.3 + np.pi / 2, -0.3 + np.pi / 2], np.pi)
    apart = np.abs(phi[:, None] - allowed)
    nearest = np.minimum(apart, np.pi - apart).min(axis=1)
    assert np.median(nearest) < 0.25


def test_splits_are_those_of_the_sky_cells_and_share_none(painted):
    _, block = painted
    by_cell = {}
    for cell, split in zip(block.truth["group_id"], block.truth["split"], strict=True):
        by_cell.setdefault(cell, set()).add(split)
    assert all(len(splits) == 1 for splits in by_cell.values())


def test_columns_left_out_are_never_cut(tile):
    canvas = Canvas(tile=tile, first_column=300)
    task = Simulate(survey="kids-dr4", seed=2, size=41, canvas=canvas)
    block = task.plan().draw(0, (STACK,))[STACK]
    assert block.truth["x_tile"].min() >= 300 + 41 // 2


def test_a_kernel_keeps_its_sum_and_width_at_a_finer_scale():
    kernel = moffat_kernel(torch.tensor([3.0]), torch.tensor([3.0]), 1.0, 25)[0].numpy()
    fine = resampled_kernel(kernel, 3)
    exact = moffat_kernel(torch.tensor([3.0]), torch.tensor([3.0]), 1 / 3, 75)[0].numpy()
    assert fine.sum() == pytest.approx(1.0, abs=1e-5)
    assert np.abs(fine - exact).max() < 0.02 * exact.max()
    with pytest.raises(WrongShapeError, match="even"):
        resampled_kernel(kernel, 2)


@pytest.mark.parametrize(
    "canvas", [Canvas(host_share=1.5), Canvas(first_column=5, stop_column=5), Canvas(clear=0.0)]
)
def test_canvases_that_cannot_be_are_refused(canvas):
    with pytest.raises(OutOfRangeError, match="canvas"):
        dataclasses.replace(Simulate(survey="kids-dr4", n=20), canvas=canvas).run("unused")


def test_bands_are_those_asked_for_in_their_order(tile):
    task = Simulate(
        survey="kids-dr4", bands=("kids-i", "kids-g"), n=20, size=41, canvas=Canvas(tile=tile)
    )
    plan = task.plan()
    assert plan.facts(STACK).bands == ("kids-i", "kids-g")
    all_bands = dataclasses.replace(task, bands=()).plan().camera
    chosen = plan.camera
    index = [all_bands.tile.bands.index(band) for band in chosen.tile.bands]
    np.testing.assert_array_equal(chosen.tile.flux, all_bands.tile.flux[index])
