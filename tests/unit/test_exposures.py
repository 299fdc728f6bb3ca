"""Coadds: the variance and PSF stated, outliers removed, shifts that move light and keep it.

Moments are compared at 5 standard errors of the estimate: a false alarm in about a million draws.
"""

from dataclasses import replace

import pytest
import torch

from stronglens.core.errors import WrongShapeError
from stronglens.simulation.convolution import convolve
from stronglens.simulation.correlated import noise_covariance
from stronglens.simulation.exposures import (
    Exposures,
    coadd,
    coadd_psf,
    shift_exposures,
)
from stronglens.simulation.psf import moffat_kernel, stack_kernel

COMBINATIONS = ["mean", "clipped", "median"]


def exposures(n=40, n_exposure=7, size=(24, 31), equal=False, seed=1, dtype=torch.float64):
    """Noise around zero, of one depth per exposure."""
    depth = torch.ones(n_exposure) if equal else torch.linspace(0.5, 2.0, n_exposure)
    ivar = depth.to(dtype)[None, :, None, None].expand(n, n_exposure, *size).contiguous()
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(ivar.shape, generator=generator, dtype=dtype)
    return Exposures(noise / ivar.sqrt(), ivar, torch.zeros_like(ivar, dtype=torch.bool))


def bound(n, kurtosis=3.0):
    return 5 * ((kurtosis - 1) / n) ** 0.5


@pytest.mark.parametrize("n_exposure", [1, 2, 7])
def test_a_mean_has_the_variance_it_states(n_exposure):
    result = coadd(exposures(n_exposure=n_exposure), "mean")
    pull = result.flux * result.ivar.sqrt()
    assert abs(float(pull.square().mean()) - 1) < bound(pull.numel())
    assert abs(float(pull.mean())) < 5 / pull.numel() ** 0.5
    assert not result.mask.any()


def test_clipping_costs_nothing_where_there_is_nothing_to_clip():
    given = exposures()
    mean, clipped = coadd(given, "mean"), coadd(given, "clipped")
    # 4 sigma from the median: few in 10,000, and those are tails
    assert float((clipped.ivar / mean.ivar).mean()) > 0.9995
    pull = clipped.flux * clipped.ivar.sqrt()
    assert abs(float(pull.square().mean()) - 1) < bound(pull.numel()) + 0.005


@pytest.mark.parametrize("n_exposure", [1, 2, 3, 4, 7, 10, 12, 13])
def test_a_median_has_the_variance_it_states(n_exposure):
    result = coadd(exposures(n=200, n_exposure=n_exposure, equal=True), "median")
    pull = result.flux * result.ivar.sqrt()
    # the law beyond ten exposures is good to 2 %
    assert abs(float(pull.square().mean()) - 1) < bound(pull.numel()) + 0.02 * (n_exposure > 10)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_a_hit_in_one_exposure_stays_in_a_mean_alone(combination):
    given = exposures()
    hit = given.flux.clone()
    hit[:, 2, 5, 8] += 500.0
    before, after = coadd(given, combination), coadd(replace(given, flux=hit), combination)
    change = (after.flux - before.flux)[:, 5, 8]
    sigma = float(before.ivar[0, 5, 8] ** -0.5)
    if combination == "mean":
        share = given.ivar[0, 2, 5, 8] / given.ivar[0, :, 5, 8].sum()
        torch.testing.assert_close(change, 500.0 * share.expand_as(change))
    else:
        assert float(change.abs().max()) < 3 * sigma
    if combination == "clipped":
        lost = given.ivar[0, 2, 5, 8]
        assert float((before.ivar - after.ivar)[:, 5, 8].median() / lost) == pytest.approx(1)
    elsewhere = (after.flux != before.flux).sum(dim=0)
    assert int((elsewhere > 0).sum()) == 1


def test_a_bright_star_whose_width_varies_is_not_clipped():
    fwhm = torch.tensor([[0.75, 0.8, 0.85, 0.8, 0.82]]).double()
    star = torch.stack(
        [moffat_kernel(w, torch.full_like(w, 3.0), 0.2, 21)[0] for w in fwhm.unbind(1)]
    )
    given = exposures(n=1, n_exposure=5, size=(21, 21), equal=True)
    given = replace(given, flux=given.flux + 1e5 * star)
    torch.testing.assert_close(coadd(given, "clipped").ivar, coadd(given, "mean").ivar)


def test_a_stack_has_more_signal_to_noise_than_any_exposure():
    given = exposures()
    signal = 3.0
    single = signal * given.ivar.sqrt().amax(dim=1)
    for combination in COMBINATIONS:
        assert (signal * coadd(given, combination).ivar.sqrt() > single).all()


def test_the_psf_of_a_coadd_is_the_weighted_mean_of_the_psfs():
    widths = torch.tensor([[0.6, 0.9, 1.3], [0.7, 0.7, 1.0]]).double()
    beta = torch.full_like(widths, 3.0)
    psf = torch.stack([moffat_kernel(widths[:, k], beta[:, k], 0.2, 15) for k in range(3)], dim=1)
    weight = torch.tensor([[1.0, 2.0, 0.5], [3.0, 1.0, 1.0]]).double()
    sky = torch.rand(2, 20, 33, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    flux = torch.stack([convolve(sky, psf[:, k]) for k in range(3)], dim=1)
    ivar = weight[:, :, None, None].expand_as(flux).contiguous()
    seen = coadd(Exposures(flux, ivar, torch.zeros_like(flux, dtype=torch.bool)), "mean")
    torch.testing.assert_close(seen.flux, convolve(sky, coadd_psf(psf, weight)))
    equal = coadd_psf(psf, torch.ones_like(weight))
    torch.testing.assert_close(equal, stack_kernel(widths, 0.2, 15, beta))


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_bad_pixels_do_not_count(combination):
    given = exposures(n_exposure=5)
    bad = torch.rand(given.mask.shape, generator=torch.Generator().manual_seed(3)) < 0.4
    spoilt = given.flux.masked_fill(bad, float("nan"))
    result = coadd(Exposures(spoilt, given.ivar.masked_fill(bad, 0.0), bad), combination)
    assert torch.equal(result.mask, bad.all(dim=1))
    assert result.mask.any()
    assert result.flux.isfinite().all()
    assert not result.flux[result.mask].any()
    assert not result.ivar[result.mask].any()
    assert (result.ivar[~result.mask] > 0).all()


def test_a_shift_by_whole_pixels_moves_them_untouched():
    given = exposures(n=2, n_exposure=2)
    x = torch.tensor([[2.0, 0.0], [-1.0, 3.0]]).double()
    y = torch.tensor([[-1.0, 0.0], [4.0, 0.0]]).double()
    moved = shift_exposures(given, x, y)
    torch.testing.assert_close(moved.flux[0, 0, :-1, 2:], given.flux[0, 0, 1:, :-2])
    torch.testing.assert_close(moved.flux[1, 0, 4:, :-1], given.flux[1, 0, :-4, 1:])
    torch.testing.assert_close(moved.ivar[0, 1], given.ivar[0, 1])
    assert moved.mask[0, 0, -1].all()
    assert moved.mask[0, 0, :, :2].all()
    assert int(moved.mask[0, 0].sum()) == 24 * 31 - 23 * 29


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_shift_by_part_of_a_pixel_moves_light_and_keeps_it(dtype):
    x = torch.arange(41, dtype=dtype) - 20
    y = torch.arange(37, dtype=dtype)[:, None] - 18

    def spot(dx, dy):
        return 50 * torch.exp(-((x - dx) ** 2 + (y - dy) ** 2) / (2 * 1.5**2))

    flux = spot(0.0, 0.0).expand(1, 2, 37, 41).contiguous()
    given = Exposures(flux, torch.ones_like(flux), torch.zeros_like(flux, dtype=torch.bool))
    shifts = torch.tensor([[0.5, -0.3]], dtype=dtype), torch.tensor([[0.25, 1.7]], dtype=dtype)
    moved = shift_exposures(given, *shifts)
    for k, (dx, dy) in enumerate([(0.5, 0.25), (-0.3, 1.7)]):
        # a Lanczos kernel of order 3 is good to 1 % of the peak for a PSF sampled like this
        assert float((moved.flux[0, k] - spot(dx, dy)).abs().max()) < 0.5
        assert abs(float(moved.flux[0, k].sum() / flux[0, k].sum()) - 1) < 2e-3
        inner = moved.mask[0, k, 6:-6, 6:-6]
        assert not inner.any()


def test_a_shift_correlates_the_noise_and_states_what_is_left_of_it():
    given = exposures(n=60, n_exposure=1, size=(60, 70), equal=True)
    shift = torch.full((60, 1), 0.5).double()
    moved = shift_exposures(given, shift, torch.zeros_like(shift))
    flux, mask = moved.flux[:, 0], moved.mask[:, 0]
    inner = flux[:, 5:-5, 5:-5]
    pull = inner * moved.ivar[:, 0, 5:-5, 5:-5].sqrt()
    # neighbours are correlated along x: half as many independent pixels at the least
    assert abs(float(pull.square().mean()) - 1) < bound(pull.numel() / 2)
    assert float(moved.ivar[0, 0, 20, 20]) > 1.1
    t = torch.arange(-2.5, 3.0).double()
    taps = torch.sinc(t) * torch.sinc(t / 3)
    taps = taps / taps.sum()
    covariance = noise_covariance(flux, mask, 2)
    for lag in (0, 1, 2):
        expected = float((taps[lag:] * taps[: len(taps) - lag]).sum())
        assert abs(float(covariance[2, 2 + lag]) - expected) < bound(flux.numel() / 2)
    assert abs(float(covariance[3, 2])) < bound(flux.numel() / 2)


def test_a_bad_pixel_spoils_those_it_has_weight_in():
    given = exposures(n=1, n_exposure=2)
    mask = given.mask.clone()
    mask[:, :, 10, 12] = True
    shift = torch.tensor([[0.0, 0.5]]).double()
    moved = shift_exposures(replace(given, mask=mask), shift, torch.zeros_like(shift))
    assert moved.mask[0, 0].nonzero().tolist() == [[10, 12]]
    # half a pixel away it has 40 % of the absolute weight, the next ones 9 %, below the limit
    inner = moved.mask[0, 1, :, 3:-3].nonzero()
    assert (inner + torch.tensor([0, 3])).tolist() == [[10, 12], [10, 13]]


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_shape_and_precision_is_kept(combination, shape_case):
    flux = shape_case.images()
    mask = ~flux.isfinite()
    given = Exposures(flux, torch.ones_like(flux).masked_fill(mask, 0.0), mask)
    shift = torch.full(flux.shape[:2], 0.3, dtype=flux.dtype, device=flux.device)
    for one in (given, shift_exposures(given, shift, shift)):
        result = coadd(one, combination)
        assert result.flux.shape == flux[:, 0].shape
        assert result.flux.dtype == result.ivar.dtype == flux.dtype
        assert result.flux.isfinite().all()
        assert result.ivar.isfinite().all()


def test_exposures_without_weight_are_refused():
    with pytest.raises(WrongShapeError, match="no exposure with a positive weight"):
        coadd_psf(torch.ones(1, 2, 3, 3), torch.zeros(1, 2))
