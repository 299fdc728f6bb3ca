"""The fast path against a 20-fold oversampled truth, and its parts against the exact path."""

from dataclasses import replace
from functools import lru_cache

import pytest
import torch
from lens_scenes import draw_lenses, draw_sersics, uniform

from stronglens.core.errors import MissingDataError, WrongShapeError
from stronglens.simulation import fast, kernels
from stronglens.simulation.fast import choose_plan, observe_fast, observe_light
from stronglens.simulation.fast_noise import observe_in_pieces
from stronglens.simulation.fast_source import fold, pixel_response
from stronglens.simulation.gaussian_psf import GaussianPsf, gaussian_psf, moffat_psf
from stronglens.simulation.noise import NoiseModel, noise_variance
from stronglens.simulation.psf import gaussian_kernel
from stronglens.simulation.render import (
    Grid,
    SieShear,
    observe_noiseless,
    render_lensed,
    render_light,
)

GROUND = Grid(45, 45, 0.18, oversample=3, padding=13)
ARC, GALAXY = 8.0, 22.0
"""Peak over noise of arcs and galaxies in the standard job."""

JOBS = {
    "standard": (GROUND, 0.9, {}),
    "space": (Grid(45, 45, 0.1, oversample=3, padding=5), 0.17, {"theta_e": (0.6, 1.5)}),
    "steep": (GROUND, 0.9, {"n_sersic": (5.5, 6.5)}),
    "large": (GROUND, 0.9, {"r_eff": (2.0, 4.0)}),
    "wide": (Grid(25, 52, 0.18, oversample=3, padding=13), 0.9, {}),
    "tall": (Grid(51, 24, 0.2, oversample=3, padding=10), 0.7, {}),
}
"""Frame, PSF width, and what replaces the ranges of deflectors or lenses."""

needs_compiler = pytest.mark.skipif(not kernels.has_compiler(), reason="no C++ compiler here")
compiled_or_not = pytest.mark.parametrize(
    "compiled", [False, pytest.param(True, marks=needs_compiler)]
)


def draw_job(name, n, seed=1):
    grid, fwhm, limits = JOBS[name]
    lens = draw_lenses(n, seed, torch.float32)
    theta_e = uniform((n,), *limits.get("theta_e", (0.6, 2.0)), seed).float()
    q = uniform((n,), 0.5, 0.95, seed + 1).float()
    lens = replace(lens, theta_e=theta_e, q=q)
    near = {"x_center": (-0.2, 0.2), "y_center": (-0.2, 0.2), "q": (0.4, 0.95)}
    source = {"r_eff": (0.1, 0.4), "n_sersic": (0.7, 2.0), "flux": (20.0, 80.0)}
    galaxy = {"r_eff": (0.6, 2.0), "n_sersic": (3.0, 5.0), "flux": (500.0, 1500.0)} | limits
    galaxy.pop("theta_e", None)
    return (
        grid,
        lens,
        draw_sersics(n, seed, dtype=torch.float32, **near | source),
        draw_sersics(n, seed + 1, dtype=torch.float32, **near | galaxy),
        gaussian_psf(torch.full((n,), fwhm)),
    )


@lru_cache
def truth(name, n):
    """Arcs and galaxies sampled 20 x 20 to a pixel."""
    grid, lens, source, light, psf = draw_job(name, n)
    fine = replace(grid, oversample=20, center_oversample=9)
    planes = []
    for k in range(len(lens)):
        one = slice(k, k + 1)
        for plane in (render_lensed(fine, lens[one], source[one]), render_light(fine, light[one])):
            y = pixel_response(psf[one], grid.height, plane.shape[1], 20, grid.pixel_scale)
            x = pixel_response(psf[one], grid.width, plane.shape[2], 20, grid.pixel_scale)
            planes.append(fold(plane, psf[one], y, x)[0])
    return torch.stack(planes[::2]), torch.stack(planes[1::2])


@compiled_or_not
@pytest.mark.parametrize("name", JOBS)
def test_the_worst_pixel_is_off_by_less_than_a_third_of_its_noise(name, compiled):
    job = draw_job(name, 12)
    arcs, light = truth(name, 12)
    peak = arcs.amax(dim=(1, 2))
    # noise that makes the arcs of a job what they are in the standard job
    noise = float(peak.median()) / ARC
    fast_arcs, fast_light = observe_fast(*job, compiled=compiled)
    error = (fast_arcs - arcs + fast_light - light).abs().amax(dim=(1, 2)) / noise
    assert float(error.median()) < 0.15
    # of 12 images the worst but one is above the 90th percentile
    assert float(error.sort().values[-2]) < 0.3
    # galaxies alone are drawn far better, whatever their index and size
    off = (fast_light - light).abs().amax(dim=(1, 2)) / light.amax(dim=(1, 2))
    assert float(off.max()) * GALAXY < 0.1


@compiled_or_not
def test_each_image_is_drawn_as_if_alone(compiled):
    job = draw_job("wide", 7)
    grid, *parts = job
    together = observe_fast(*job, compiled=compiled)
    for k in range(7):
        alone = observe_fast(grid, *(part[k : k + 1] for part in parts), compiled=compiled)
        for which in range(2):
            # matrix products of other sizes round differently
            torch.testing.assert_close(together[which][k], alone[which][0], rtol=1e-4, atol=1e-5)


@needs_compiler
@pytest.mark.parametrize("n_component", [1, 3])
def test_compiled_code_draws_the_same_pictures(n_component):
    grid, fwhm = Grid(19, 40, 0.18, oversample=3, padding=4), torch.full((6,), 0.7)
    limits = {"q": (0.4, 0.95), "dtype": torch.float32, "n_component": n_component}
    source, light = draw_sersics(6, 3, r_eff=(0.1, 0.4), **limits), draw_sersics(6, 4, **limits)
    for psf in (gaussian_psf(fwhm), moffat_psf(fwhm, torch.full((6,), 2.6))):
        job = grid, draw_lenses(6, 2, torch.float32), source, light, psf
        plain, quick = observe_fast(*job), observe_fast(*job, compiled=True)
        for one, other in zip(plain, quick, strict=True):
            difference = (one - other).abs().amax(dim=(1, 2)) / one.amax(dim=(1, 2))
            assert float(difference.max()) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_batches_of_any_size_and_precision_are_drawn(n, dtype):
    psf = gaussian_psf(torch.full((n,), 0.8, dtype=dtype))
    light = draw_sersics(n, 3, n_component=2, dtype=dtype)
    arcs, other = observe_fast(Grid(9, 14, 0.2), draw_lenses(n, 1, dtype), light, light, psf)
    assert arcs.shape == other.shape == (n, 9, 14)
    assert arcs.dtype == other.dtype == dtype
    assert bool(arcs.isfinite().all())


def test_a_moffat_is_applied_as_its_sum_of_gaussians():
    grid, *parts, _ = draw_job("wide", 3)
    psf = moffat_psf(torch.full((3,), 0.9), torch.tensor([2.0, 2.6, 3.5]))
    together = observe_fast(grid, *parts, psf)
    alone = []
    for k in range(psf.weight.shape[1]):
        one = GaussianPsf(torch.ones(3, 1), psf.sigma[:, k : k + 1])
        planes = observe_fast(grid, *parts, one)
        alone.append([plane * psf.weight[:, k, None, None] for plane in planes])
    for parts_of_plane, plane in zip(zip(*alone, strict=True), together, strict=True):
        total = sum(parts_of_plane)
        # each PSF alone is given rays of its own
        off = (plane - total).abs().amax(dim=(1, 2)) / total.amax(dim=(1, 2))
        assert float(off.max()) < 0.02


@pytest.mark.parametrize(("n_sersic", "r_eff"), [(0.3, 0.5), (9.0, 0.5), (3.0, 20.0)])
def test_galaxies_no_gaussians_can_stand_for_take_the_exact_path(n_sersic, r_eff):
    grid = Grid(16, 21, 0.2, oversample=4, padding=12)
    ends = {"n_sersic": (n_sersic, n_sersic), "r_eff": (r_eff, r_eff), "q": (0.5, 0.9)}
    light = draw_sersics(2, 5, dtype=torch.float32, **ends)
    psf = gaussian_psf(torch.full((2,), 0.8))
    assert fast.light_oversampling(grid, light, psf).tolist() == [0, 0]
    kernel = gaussian_kernel(torch.tensor([0.8]), grid.fine_scale, 2 * 45 + 1)
    expected = observe_noiseless(render_light(grid, light), kernel, grid)
    # a kernel samples the Gaussian that the response integrates, and ends at 5 sigma
    torch.testing.assert_close(observe_light(grid, light, psf), expected, rtol=5e-3, atol=1e-3)


def test_harder_pictures_are_given_more_rays():
    grid, lens, source, light, psf = draw_job("standard", 2)
    plain = choose_plan(grid, lens, source, light, psf)
    narrow = choose_plan(grid, lens, source, light, replace(psf, sigma=psf.sigma / 5))
    assert bool((narrow.source_oversample > plain.source_oversample).all())
    assert bool((narrow.light_oversample > plain.light_oversample).all())
    cusp = replace(source, n_sersic=4.0 + 0 * source.n_sersic)
    assert bool(choose_plan(grid, lens, cusp, light, psf).has_fine_core.all())
    smooth = replace(source, n_sersic=0.6 + 0 * source.n_sersic, r_eff=0.5 + 0 * source.r_eff)
    assert choose_plan(grid, lens, smooth, light, psf).source_oversample.tolist() == [1, 1]
    far = replace(lens, theta_e=3 * lens.theta_e)
    reach = choose_plan(grid, far, source, light, psf).source_half_size
    assert bool((reach > plain.source_half_size).all())


def test_nearly_round_lenses_and_rays_through_the_centre_are_drawn():
    zero, one = torch.zeros(2), torch.ones(2)
    q = torch.tensor([1.0, 0.99999])
    lens = SieShear(one, q, zero, zero, zero, zero, zero)
    source = draw_sersics(2, 4, r_eff=(0.2, 0.3), n_sersic=(1.0, 1.5), dtype=torch.float32)
    psf, grid = gaussian_psf(0.8 * one), Grid(25, 25, 0.2, oversample=8, padding=10)
    arcs, _ = observe_fast(grid, lens, source, source, psf)
    plane = render_lensed(grid, lens, source)
    response = pixel_response(psf, 25, plane.shape[1], 8, 0.2)
    expected = fold(plane, psf, response, response)
    assert float((arcs - expected).abs().max() / expected.max()) < 0.03


def test_parts_of_different_length_are_refused():
    grid, lens, source, light, psf = draw_job("standard", 3)
    with pytest.raises(WrongShapeError, match="GaussianPsf of 2 images do not fit SieShear of 3"):
        observe_fast(grid, lens, source, light, psf[:2])


def test_a_missing_compiler_is_named(monkeypatch):
    monkeypatch.setattr(kernels.shutil, "which", lambda name: None)
    kernels.build_kernels.cache_clear()
    assert not kernels.has_compiler()
    with pytest.raises(MissingDataError, match=r"needs a C\+\+ compiler.*compiled=False"):
        observe_fast(*draw_job("standard", 1), compiled=True)
    kernels.build_kernels.cache_clear()


@pytest.mark.parametrize("sky", [19.0, 27.5])
def test_noise_in_pieces_follows_the_law(sky):
    noise_model = NoiseModel(4.5, 10.0, sky, 30.0, 0.2)
    noiseless = uniform((60, 50, 41), -1.0, 50.0, 1).float()
    generator = torch.Generator().manual_seed(1)
    flux, ivar = observe_in_pieces(noiseless, noise_model, 3, generator)
    torch.testing.assert_close(ivar, noise_variance(noiseless, noise_model, 3).reciprocal())
    normal = (flux - noiseless) * ivar.sqrt()
    # 123,000 numbers: five standard errors of mean and of deviation
    assert abs(float(normal.mean())) < 5 / 123_000**0.5
    assert abs(float(normal.std()) - 1) < 5 / 246_000**0.5
    assert len(torch.unique(flux[:2] - noiseless[:2])) > 4000
