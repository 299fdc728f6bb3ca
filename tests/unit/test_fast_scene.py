"""Light of whole scenes: compiled against torch, thinned against full, both against the truth."""

import math
from dataclasses import replace

import pytest
import torch

from stronglens.lensing.records import MassProfile
from stronglens.light.records import LightComponent
from stronglens.simulation.cells import average_cells
from stronglens.simulation.compose import compose_lensed, compose_light, observe_bands
from stronglens.simulation.fast_scene import Scenes, thinned
from stronglens.simulation.kernels import build_kernels, has_compiler
from stronglens.simulation.psf import gaussian_kernel, moffat_kernel
from stronglens.simulation.render import Grid, pixel_coordinates
from stronglens.simulation.scene import Lensing, LightLayer
from stronglens.simulation.scene_fold import SceneFold, samples_per_pixel

needs_compiler = pytest.mark.skipif(not has_compiler(), reason="no C++ compiler here")
N = 6
GROUND = Grid(33, 33, 0.2, oversample=2, padding=8)
SPACE = Grid(40, 40, 0.1, oversample=4, padding=5)


def uniform(low, high, n=N, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(n, generator=generator)


def sersic(rows, seed=0, n_sersic=(0.7, 1.8), r_eff=(0.1, 0.4), place=0.2):
    n = len(rows)
    values = {
        "r_eff": uniform(r_eff[0], r_eff[1], n, seed),
        "n_sersic": uniform(n_sersic[0], n_sersic[1], n, seed + 1),
        "q": uniform(0.4, 1.0, n, seed + 2),
        "phi": uniform(0.0, math.pi, n, seed + 3),
        "x_center": uniform(-place, place, n, seed + 4),
        "y_center": uniform(-place, place, n, seed + 5),
    }
    return LightLayer(LightComponent("sersic", values), uniform(5, 9, 2 * n, seed).view(n, 2), rows)


def gaussian(rows, seed=20):
    n = len(rows)
    values = {
        "sigma": uniform(0.05, 0.1, n, seed),
        "q": torch.ones(n),
        "phi": torch.zeros(n),
        "x_center": uniform(-0.3, 0.3, n, seed + 1),
        "y_center": uniform(-0.3, 0.3, n, seed + 2),
    }
    return LightLayer(LightComponent("gaussian", values), torch.full((n, 2), 2.0), rows)


def ring(rows):
    n = len(rows)
    names = ("radius", "width", "asymmetry", "asymmetry_phase", "q", "phi", "x_center", "y_center")
    numbers = (0.8, 0.15, 0.3, 0.5, 0.7, 0.4, 0.1, -0.2)
    values = {name: torch.full((n,), number) for name, number in zip(names, numbers, strict=True)}
    return LightLayer(LightComponent("ring", values), torch.full((n, 2), 4.0), rows)


def lenses():
    """Galaxies in the first images, groups in the others."""
    first, last = torch.arange(4), torch.arange(4, N)
    zero = torch.zeros(4)
    shear = {"gamma1": zero + 0.05, "gamma2": zero - 0.03, "x_center": zero, "y_center": zero}
    place = {"x_center": zero + 0.05, "y_center": zero}
    epl = {"theta_e": zero + 1.0, "slope": uniform(1.8, 2.2, 4), "q": uniform(0.4, 1.0, 4)}
    boxy = {"a_m": zero + 0.02, "phi_m": zero + 0.5} | place
    two = torch.zeros(2)
    halo = {"r_scale": two + 40.0, "alpha_r_scale": two + 8.0, "x_center": two, "y_center": two}
    sie = {"theta_e": two + 0.8, "q": two + 0.7, "phi": two + 0.3, "x_center": two, "y_center": two}
    return (
        Lensing(
            (
                MassProfile("epl", epl | {"phi": zero + 0.7} | place),
                MassProfile("shear", shear),
                MassProfile("multipole-4", boxy),
            ),
            first,
        ),
        Lensing((MassProfile("nfw", halo), MassProfile("sie", sie)), last),
    )


def scenes(grid, layers, thinning=1, lensed=None, *, compiled=False):
    kernels = build_kernels() if compiled else None
    return Scenes(grid, thinning, N, 2, layers, lensed, 0.4 * 0.6, kernels)


ALL = torch.arange(N)
SOURCES = (sersic(ALL), sersic(torch.tensor([1, 4]), 7, (3.0, 3.01), (0.06, 0.1)), gaussian(ALL))
FIELD = (
    sersic(ALL, 3, (3.0, 5.5), (0.3, 1.0), 1.0),
    gaussian(torch.tensor([0, 5])),
    ring(torch.tensor([2])),
)


@needs_compiler
@pytest.mark.parametrize(
    ("grid", "thinning"),
    [
        (GROUND, 2),
        (SPACE, 2),
        (replace(SPACE, height=23, width=31), 4),
        (Grid(20, 37, 0.2, oversample=3, padding=4), 1),
        (Grid(21, 11, 0.3, oversample=1, padding=0), 1),
    ],
)
@pytest.mark.parametrize("is_lensed", [True, False])
def test_compiled_code_draws_what_torch_draws(grid, thinning, is_lensed):
    layers, lensed = (SOURCES, lenses()) if is_lensed else (FIELD, None)
    both = [
        scenes(grid, layers, thinning, lensed, compiled=compiled).draw(1, N)
        for compiled in (True, False)
    ]
    peak = both[1].planes.amax(dim=(2, 3), keepdim=True)
    assert float(((both[0].planes - both[1].planes) / peak).abs().max()) < 1e-3
    assert torch.allclose(both[0].flux, both[1].flux, rtol=3e-4)


@needs_compiler
@pytest.mark.parametrize("compiled", [True, False])
def test_parts_of_a_block_are_what_the_whole_is(compiled):
    own = scenes(GROUND, SOURCES, 2, lenses(), compiled=compiled)
    whole, part = own.draw(0, N), own.draw(2, 5)
    assert torch.equal(whole.planes[2:5], part.planes)


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=needs_compiler), False])
def test_frames_that_are_kept_hold_the_flux_of_their_band(compiled):
    drawn = scenes(GROUND, SOURCES, 2, lenses(), compiled=compiled).draw(0, N, [4, 1], 1)
    assert drawn.kept.shape == (2, *GROUND.fine_shape)
    assert torch.allclose(drawn.kept.sum(dim=(1, 2)), drawn.flux[[4, 1], 1], rtol=1e-5)


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=needs_compiler), False])
def test_images_without_light_are_dark(compiled):
    one = sersic(torch.tensor([3]))
    drawn = scenes(GROUND, (one,), 2, compiled=compiled).draw(0, N)
    assert (drawn.flux[:3] == 0.0).all()
    assert (drawn.planes[4:] == 0.0).all()
    empty = scenes(GROUND, (), 2, compiled=compiled).draw(0, N)
    assert empty.planes.shape == (N, 2, 49, 49)
    assert not empty.planes.any()


@needs_compiler
def test_masses_the_tables_lack_are_drawn_by_torch():
    zero = torch.zeros(N)
    sis = MassProfile("sis", {"theta_e": zero + 1.0, "x_center": zero, "y_center": zero})
    both = [
        scenes(GROUND, SOURCES, 2, (Lensing((sis,), ALL),), compiled=compiled).draw(0, N)
        for compiled in (True, False)
    ]
    assert torch.equal(both[0].planes, both[1].planes)


@pytest.mark.parametrize("thinning", [1, 2, 4])
def test_thinning_keeps_sums_and_flat_light(thinning):
    frames = torch.zeros(2, 24, 40)
    frames[:, 8:16, 10:28] = torch.rand(2, 8, 18)
    few = thinned(frames, thinning)
    assert few.shape == (2, 24 // thinning, 40 // thinning)
    assert torch.allclose(few.sum(dim=(1, 2)), frames.sum(dim=(1, 2)), rtol=1e-5)
    middle = thinned(torch.ones(24, 40), thinning)[24 // thinning // 2, 40 // thinning // 2]
    assert float(middle) == pytest.approx(thinning**2)


@pytest.mark.parametrize(
    ("grid", "fwhm"),
    [
        (GROUND, 0.7),
        (Grid(28, 45, 0.2, oversample=4, padding=9), 0.8),
        (SPACE, 0.17),
        (Grid(31, 24, 0.1, oversample=4, padding=4), 0.09),
    ],
)
def test_thinned_frames_give_the_pixels_of_full_ones(grid, fwhm):
    samples = samples_per_pixel(grid, fwhm)
    frames = compose_light(grid, FIELD, N, 2)

    def kernels(scale, size):
        return gaussian_kernel(torch.full((N * 2,), fwhm), scale, size).unflatten(0, (N, 2))

    size = 2 * round(4.0 * fwhm * samples / grid.pixel_scale) + 1
    fold = SceneFold(grid, samples, size, has_pixels=False)
    transfer = fold.transfer(kernels(grid.pixel_scale / samples, size))
    seen = fold.apply(thinned(frames, grid.oversample // samples), transfer)
    fine = 2 * round(4.0 * fwhm / grid.fine_scale) + 1
    full = observe_bands([frames], kernels(grid.fine_scale, fine), grid)[0]
    inside = (slice(None), slice(None), slice(3, -3), slice(3, -3))
    peak = full.amax(dim=(2, 3), keepdim=True)
    assert float(((seen - full) / peak)[inside].abs().max()) < 1e-3


@pytest.mark.parametrize(
    ("width", "oversample", "samples"),
    [(0.9, 2, 1), (0.9, 4, 1), (0.4, 2, 2), (0.4, 4, 2), (0.15, 4, 4), (0.9, 3, 3), (0.9, 6, 3)],
)
def test_frames_are_as_fine_as_the_psf_asks_for(width, oversample, samples):
    assert samples_per_pixel(Grid(20, 20, 0.2, oversample=oversample), width) == samples


def test_means_over_cells_of_a_parabola_are_exact():
    line = torch.arange(9, dtype=torch.float64)
    frame = line[:, None] ** 2 + 3.0 * line**2
    average_cells(frame)
    mean = line[:, None] ** 2 + 3.0 * line**2 + 4.0 / 12.0
    assert torch.allclose(frame[1:-1, 1:-1], mean[1:-1, 1:-1])
    small = torch.ones(2, 5)
    average_cells(small)
    assert (small == 1.0).all()


def test_steep_centres_hold_their_light():
    """Wherever the centre is in its cell, the flux inside the frame is the same."""
    one = sersic(ALL, 3, place=0.05)
    alike = {"n_sersic": 6.0, "r_eff": 0.3, "q": 1.0}
    values = {name: torch.full((N,), value) for name, value in alike.items()}
    one = replace(one, component=LightComponent("sersic", {**one.component.parameters, **values}))
    share = compose_light(GROUND, (one,), N, 2).sum(dim=(2, 3)) / one.flux
    assert float(share.std(dim=0).max()) < 1e-3
    plain = one.component.brightness(*pixel_coordinates(GROUND)) * GROUND.fine_scale**2
    assert float(plain.sum(dim=(1, 2)).std()) > 0.01


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=needs_compiler), False])
def test_light_of_steep_centres_is_where_it_is_in_its_cell(compiled):
    """Errors of a pixel, of the peak; 0.1-0.7 % where a cell has its light in its middle."""
    one = sersic(ALL, 3, (4.0, 6.0), (0.4, 0.9), 0.1)
    fine = replace(GROUND, oversample=20)
    seen = []
    for grid, planes in (
        (GROUND, scenes(GROUND, (one,), compiled=compiled).draw(0, N).planes),
        (fine, compose_light(fine, (one,), N, 2)),
    ):
        width = torch.full((N * 2,), 0.75)
        side = 2 * round(2.0 / grid.fine_scale) + 1
        kernels = gaussian_kernel(width, grid.fine_scale, side).unflatten(0, (N, 2))
        seen.append(observe_bands([planes], kernels, grid)[0])
    worst = (seen[0] - seen[1]).abs().amax(dim=(2, 3)) / seen[1].amax(dim=(2, 3))
    assert float(worst.max()) < 1e-3


JOBS = {
    "ground": (GROUND, 0.7, {}),
    "space": (SPACE, 0.17, {}),
    "small": (GROUND, 0.7, {"r_eff": (0.04, 0.05)}),
    "steep": (GROUND, 0.7, {"n_sersic": (3.9, 4.0)}),
    "large": (GROUND, 0.7, {"r_eff": (0.8, 1.5)}),
    "tall": (Grid(41, 24, 0.2, oversample=2, padding=8), 0.7, {}),
}


@needs_compiler
@pytest.mark.parametrize("job", JOBS)
def test_arcs_are_close_to_a_truth_oversampled_20_times(job):
    """Errors of a pixel for arcs whose peak is ten times its noise."""
    grid, fwhm, ranges = JOBS[job]
    layers = (sersic(ALL, **ranges), gaussian(torch.tensor([0, 3])))
    samples = samples_per_pixel(grid, fwhm)
    size = 2 * round(3.0 * fwhm * samples / grid.pixel_scale) + 1

    def kernels(scale, side):
        beta = torch.full((N * 2,), 4.0)
        return moffat_kernel(torch.full((N * 2,), fwhm), beta, scale, side).unflatten(0, (N, 2))

    fold = SceneFold(grid, samples, size, has_pixels=False)
    drawn = scenes(grid, layers, grid.oversample // samples, lenses(), compiled=True).draw(0, N)
    seen = fold.apply(drawn.planes, fold.transfer(kernels(grid.pixel_scale / samples, size)))
    fine = replace(grid, oversample=20)
    # both kernels end at the same distance
    side = size * 20 // samples - 1 + (size * 20 // samples) % 2
    planes = [
        compose_lensed(
            fine, [one.of(k, k + 1) for one in layers], [one.of(k, k + 1) for one in lenses()], 1
        )
        for k in range(N)
    ]
    truth = observe_bands([torch.cat(planes)], kernels(fine.fine_scale, side), fine)[0]
    noise = 0.1 * truth.amax(dim=(2, 3))
    worst = (seen - truth).abs().amax(dim=(2, 3)) / noise
    assert float(worst.quantile(0.95)) < 0.3
