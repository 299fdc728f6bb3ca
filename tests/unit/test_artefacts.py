"""What single kinds of artefacts add: charge, light and masks where the physics puts them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stronglens.simulation.artefacts import (
    BandFacts,
    Canvas,
    Images,
    apply_artefacts,
    artefacts,
    background_residuals,
    bad_columns,
    cosmic_rays,
    masked_regions,
    oversubtraction,
    saturated_stars,
)
from stronglens.simulation.artefacts.one_exposure import MEDIAN_INFLUENCE, add_to_one_exposure
from stronglens.simulation.artefacts.satellite_trails import trails
from stronglens.simulation.artefacts.star_light import star_light
from stronglens.simulation.exposures import Exposures, coadd
from stronglens.simulation.imperfections import Artefacts
from stronglens.simulation.psf import gaussian_kernel, moffat_kernel

SIGMA = 2.0
FACTS = BandFacts(gain=4.0, n_exposures=8, full_well=40_000.0)
SETTINGS = Artefacts(missed=0.0, residual=0.0)
YES, NO = torch.tensor([True]), torch.tensor([False])


def rng(seed=1):
    return np.random.default_rng(seed)


def blank(n=1, size=(30, 44), n_band=1):
    """Empty images with a stated noise."""
    flux = torch.zeros(n, n_band, *size)
    psf = gaussian_kernel(torch.full((n * n_band,), 0.7), 0.2, 15).unflatten(0, (n, n_band))
    return Images(flux, torch.full_like(flux, SIGMA**-2), flux > 1, psf)


def canvas(images, facts=FACTS, settings=SETTINGS):
    _, n_band, height, width = images.flux.shape
    return Canvas(height, width, (facts,) * n_band, settings)


def event(**values):
    """Parameters of one event in the first image and band."""
    tensors = {name: torch.as_tensor([value]) for name, value in values.items()}
    return {"image": torch.tensor([0]), "band": torch.tensor([0])} | tensors


FOUND = {"is_missed": False, "is_residual": False}
TRACK = {"x": 10.0, "y": 12.0, "angle": 0.4, "bend": 0.05, "length": 9.0, "electrons": 12_000.0}


@pytest.mark.parametrize("n_exposures", [1, 8])
def test_a_cosmic_ray_adds_its_charge_once_and_only_along_its_track(n_exposures):
    images = blank()
    facts = replace(FACTS, n_exposures=n_exposures)
    settings = replace(SETTINGS, combination="mean")
    parameters = event(**TRACK, **FOUND)
    result = cosmic_rays.apply(images, parameters, canvas(images, facts, settings))
    assert abs(float(result.flux.sum()) * 4.0 * n_exposures / 12_000 - 1) < 1e-5
    y, x = result.flux[0, 0].nonzero().T
    along = (x - 10) * np.cos(0.4) + (y - 12) * np.sin(0.4)
    assert float(along.min()) > -1.5
    assert float(along.max()) < 10.5
    assert result.mask.any()
    assert not (result.mask & (result.flux == 0)).any()


def test_a_track_that_leaves_the_frame_takes_its_charge_with_it():
    parameters = event(**TRACK) | {"x": torch.tensor([42.0]), "angle": torch.tensor([0.0])}
    parameters["bend"] = torch.tensor([0.0])
    charge = cosmic_rays.tracks(parameters, 30, 44)
    # the last pixel's centre is 1 pixel away; half of the next step is shared with it
    assert abs(float(charge.sum()) / 12_000 - 1.5 / 9.0) < 0.01


def test_muons_come_from_above():
    draws = cosmic_rays.draw(20_000, canvas(blank()), rng())
    # median zenith angle: cosine 0.5^(1/4), so 0.643 of the thickness; 5 standard errors are 3 %
    assert abs(np.median(draws["length"]) / (0.6436 * cosmic_rays.THICKNESS) - 1) < 0.03
    assert (draws["electrons"] > 0).all()


def spot(height):
    added = torch.zeros(1, 30, 44)
    added[0, 7, 9] = height
    return added


@pytest.mark.parametrize(
    ("combination", "n_exposures", "is_residual", "kept", "lost"),
    [
        ("mean", 8, False, 1 / 8, 0),
        ("clipped", 8, False, 0, 1 / 8),
        ("clipped", 8, True, 1 / 8, 0),
        ("clipped", 2, False, 1 / 2, 0),
        ("clipped", 1, False, 1, 0),
        ("median", 1, False, 1, 0),
    ],
)
def test_a_coadd_keeps_of_one_exposure_what_its_combination_lets_through(
    combination, n_exposures, is_residual, kept, lost
):
    images = blank()
    facts = replace(FACTS, n_exposures=n_exposures)
    settings = replace(SETTINGS, combination=combination)
    parameters = event(is_missed=False, is_residual=is_residual)
    result = add_to_one_exposure(images, spot(4e3), parameters, canvas(images, facts, settings))
    assert abs(float(result.flux[0, 0, 7, 9]) - 4e3 * kept) < 1e-2
    assert abs(float(result.ivar[0, 0, 7, 9]) * SIGMA**2 - (1 - lost)) < 1e-5
    assert int((result.flux != 0).sum()) == int(kept > 0)
    assert int(result.mask.sum()) == int(kept > 0)


def test_a_pixel_below_the_clip_stays_in_the_coadd_and_unmasked():
    images = blank()
    sigma_one = SIGMA * 8**0.5
    added = spot(3.9 * sigma_one) + spot(0.1 * sigma_one).roll(1, 1) + spot(50.0).roll(5, 2)
    result = add_to_one_exposure(images, added, event(**FOUND), canvas(images))
    assert abs(float(result.flux[0, 0, 7, 9]) - 3.9 * sigma_one / 8) < 1e-4
    assert float(result.flux[0, 0, 7, 14]) == 0
    assert not result.mask.any()


@pytest.mark.parametrize("combination", ["mean", "clipped", "median"])
def test_the_short_way_agrees_with_a_coadd_made_from_its_exposures(combination):
    """On average over 4,000 coadds of eight exposures, one of them hit, at 5 standard errors."""
    n, height = 4_000, 25.0 * SIGMA * 8**0.5
    flux = torch.randn(n, 8, 2, 3, generator=torch.Generator().manual_seed(1)) * SIGMA * 8**0.5
    ivar = torch.full_like(flux, SIGMA**-2 / 8)
    hit = flux.clone()
    hit[:, 3, 1, 2] += height
    no = torch.zeros_like(flux, dtype=torch.bool)
    after, before = (coadd(Exposures(f, ivar, no), combination) for f in (hit, flux))
    change = (after.flux - before.flux).mean(dim=0)
    images = blank(size=(2, 3))
    added = torch.zeros(1, 2, 3)
    added[0, 1, 2] = height
    settings = replace(SETTINGS, combination=combination)
    short = add_to_one_exposure(images, added, event(**FOUND), canvas(images, FACTS, settings))
    # the influence function of a median holds for many values: 10 % for eight
    tolerance = 5 * SIGMA * 8**0.5 / 8 / n**0.5 + 0.1 * MEDIAN_INFLUENCE * SIGMA / 8**0.5
    assert float((change - short.flux[0, 0]).abs().max()) < tolerance
    if combination == "clipped":
        share = after.ivar.mean(dim=0) / before.ivar.mean(dim=0)
        assert abs(float(share[1, 2] - short.ivar[0, 0, 1, 2] * SIGMA**2)) < 1e-3


@pytest.mark.parametrize("angle", [0.0, 0.5, np.pi / 2])
def test_a_trail_crosses_the_whole_frame_with_the_same_light_everywhere(angle):
    psf = gaussian_kernel(torch.tensor([0.8]), 0.2, 21)
    parameters = event(angle=angle, distance=2.3, thickness=2.0)
    line = trails(parameters, psf, 60, 90)[0]
    if angle == 0.5:
        along = line.sum(dim=0)[25:65] * np.cos(0.5)
    else:
        along = line.sum(dim=0 if angle == 0.0 else 1)
    # a line at an angle is sampled at pixel centres: 2 %
    torch.testing.assert_close(along, torch.ones_like(along), rtol=0.02, atol=0)
    if angle == 0.0:
        rows = torch.arange(60) - 29.5
        assert abs(float((line[:, 45] * rows).sum()) - 2.3) < 0.02


def star(**changes):
    values = {"x": 3.2, "y": -2.6, "spike_angle": 0.3, "is_missed": False} | changes
    phase = torch.zeros(1, 4)
    return event(**values) | {"ray_phase": phase}


@pytest.mark.parametrize("kernel", ["gaussian", "moffat"])
def test_a_star_has_its_flux_and_its_centre(kernel):
    fwhm = torch.tensor([0.8])
    psf = gaussian_kernel(fwhm, 0.2, 25)
    if kernel == "moffat":
        psf = moffat_kernel(fwhm, torch.tensor([3.0]), 0.2, 25)
    light = star_light(star(), psf, (301, 301), 0.0)[0]
    # wings go on beyond the kernel, and a spike's are longer than the frame
    assert 0.97 < float(light.sum()) < 1.06
    rows = torch.arange(301) - 150.0
    near = light[140:161, 140:161]
    x = float((near.sum(0) * rows[140:161]).sum() / near.sum())
    y = float((near.sum(1) * rows[140:161]).sum() / near.sum())
    assert abs(x - 3.2) < 0.15
    assert abs(y + 2.6) < 0.15


def test_a_halo_holds_its_share_and_falls_with_the_cube_of_the_radius():
    psf = gaussian_kernel(torch.tensor([0.8]), 0.2, 25)
    centred = star(x=0.0, y=0.0)
    light, without = (star_light(centred, psf, (801, 801), share)[0] for share in (0.2, 0.0))
    halo = light - without
    # the core gives what the halo takes; 3 % of a halo lies beyond 400 pixels
    assert abs(float(halo.sum())) < 0.02
    y, x = np.indices((801, 801)) - 400
    radius = torch.tensor(np.hypot(x, y))
    at = [float(halo[(radius - r).abs() < 2].mean()) for r in (80, 160)]
    assert abs(at[0] / at[1] / 8 - 1) < 0.05


def test_charge_above_saturation_fills_as_many_pixels_as_it_is_worth():
    light = torch.zeros(1, 61, 5)
    light[0, 30, 2], light[0, 30, 3], light[0, 31, 2] = 1000.0, 350.0, 300.0
    is_full = saturated_stars.bleeding(light, torch.tensor([100.0]), torch.tensor([0.0]))
    n_full = is_full[0].sum(dim=0)
    # 900 + 200 above a level of 100, and two pixels already full: 13; 250 and one: 3.5
    assert n_full.tolist() == [0, 0, 13, 3, 0]
    assert is_full[0, 24:37, 2].all()


def bright_stars(images, seed=3, **changes):
    settings = replace(SETTINGS, **changes)
    facts = (FACTS,) * images.flux.shape[1]
    only = replace(settings, **dict.fromkeys(artefacts.names(), 0.0))
    return apply_artefacts(images, replace(only, saturated_stars=1.0), facts, rng(seed))


@pytest.mark.parametrize("n_band", [1, 3])
def test_saturated_pixels_are_at_the_full_well_and_masked(n_band):
    images = blank(n=60, n_band=n_band, size=(48, 40))
    result, truth = bright_stars(images, largest_star_excess=3.0)
    level = FACTS.full_well / FACTS.gain
    is_full = result.flux >= level * (1 - 1e-6)
    assert is_full.any()
    assert float(result.flux.max()) <= level * (1 + 1e-6)
    assert result.mask[is_full].all()
    # masks are those of full pixels and their neighbours, of images with a star
    grown = torch.nn.functional.max_pool2d(is_full.float(), 3, stride=1, padding=1) > 0
    border = torch.ones_like(grown)
    border[:, :, 1:-1, 1:-1] = False
    assert not (result.mask & ~grown & ~border).any()
    assert not result.mask[truth["n_saturated_stars"] == 0].any()
    # photons of the star make its pixels less certain
    near = (result.flux > 100 * SIGMA) & ~result.mask
    assert (result.ivar[near] < images.ivar[near]).all()


def test_missed_saturation_keeps_its_pixels_and_a_detector_without_bleeding_has_none():
    images = blank(n=60, size=(48, 40))
    missed, _ = bright_stars(images, missed=1.0)
    assert not missed.mask.any()
    columns, spots = (
        (bright_stars(images, bleeds=bleeds)[0].flux >= 1e4 - 0.1).sum() for bleeds in (True, False)
    )
    assert int(columns) > 1.3 * int(spots) > 0


def test_only_the_bands_of_a_ccd_bleed():
    images = blank(n=60, n_band=2, size=(48, 40))
    only = replace(SETTINGS, **dict.fromkeys(artefacts.names(), 0.0))
    full = []
    for bleeds in (True, False):
        facts = (FACTS, replace(FACTS, bleeds=bleeds))
        result, _ = apply_artefacts(images, replace(only, saturated_stars=1.0), facts, rng(3))
        full.append((result.flux >= 1e4 - 0.1).sum(dim=(0, 2, 3)).tolist())
    assert full[0][0] == full[1][0]
    assert full[0][1] > 1.3 * full[1][1] > 0


def test_a_filled_column_continues_what_is_beside_it():
    images = blank()
    ramp = torch.arange(44.0) * 3 + torch.arange(30.0)[:, None]
    images = replace(images, flux=ramp.expand(1, 1, 30, 44).clone())
    column = {"is_missed": False, "is_filled": True, "n_columns": 3, "start": -5.0, "offset": 9.0}
    result = bad_columns.apply(images, event(first=20, **column), canvas(images))
    torch.testing.assert_close(result.flux, images.flux)
    assert int(result.mask.sum()) == 3 * 30
    at_the_edge = bad_columns.apply(images, event(first=0, **column), canvas(images))
    torch.testing.assert_close(at_the_edge.flux[0, 0, :, 0], images.flux[0, 0, :, 3])


def test_a_hot_column_has_its_offset_from_its_first_row_on():
    images = blank()
    column = {"is_missed": True, "is_filled": False, "n_columns": 2, "start": 10.0, "offset": 5.0}
    result = bad_columns.apply(images, event(first=20, **column), canvas(images))
    expected = torch.zeros(30, 44)
    expected[10:, 20:22] = 5.0 * SIGMA
    torch.testing.assert_close(result.flux[0, 0], expected)
    assert not result.mask.any()


def test_regions_never_hide_the_centre_and_discs_are_in_all_bands():
    images = blank(n=400, n_band=3)
    images = replace(images, flux=images.flux + 7.0)
    view = canvas(images)
    draws = masked_regions.draw(400, view, rng())
    parameters = {"image": torch.arange(400)} | {
        name: torch.as_tensor(values) for name, values in draws.items()
    }
    result = masked_regions.apply(images, parameters, view)
    assert not result.mask[:, :, 13:17, 20:24].any()
    is_disc = parameters["is_disc"]
    n_bands = result.mask.flatten(2).any(dim=2).sum(dim=1)
    assert set(n_bands[is_disc].tolist()) <= {0, 3}
    assert set(n_bands[~is_disc].tolist()) <= {0, 1}
    assert (result.flux[is_disc] == 7).all()
    assert torch.equal(result.flux[~is_disc] == 0, result.mask[~is_disc])
    assert float(result.mask.flatten(2).float().mean(2).max()) < 0.45


def test_an_error_of_the_background_has_the_scatter_stated():
    images = blank(n=3000, size=(12, 20))
    view = canvas(images)
    draws = background_residuals.draw(3000, view, rng())
    parameters = {
        "image": torch.arange(3000),
        "terms": torch.as_tensor(draws["terms"]).float(),
    }
    flux = background_residuals.apply(images, parameters, view).flux[:, 0] / SIGMA
    level = flux.mean(dim=(1, 2))
    # the mean of the squares over pixels is a third, less a little for the border
    assert abs(float(level.std()) / background_residuals.SCATTER[0] - 1) < 5 * (0.5 / 3000) ** 0.5
    assert abs(float(flux.mean())) < 5 * 0.3 / 3000**0.5
    curvature = flux - flux.flip(2)
    assert curvature.abs().max() > 0


def test_a_bowl_takes_its_share_of_the_light_of_the_brightest_object():
    images = blank(size=(121, 141))
    y, x = torch.meshgrid(torch.arange(121.0) - 50, torch.arange(141.0) - 80, indexing="ij")
    galaxy = 100 * torch.exp(-(x**2 + y**2) / 50)
    images = replace(images, flux=galaxy[None, None])
    result = oversubtraction.apply(images, event(scale=9.0, share=0.1), canvas(images))
    lost = images.flux - result.flux
    light = float(galaxy[galaxy > 3 * SIGMA].sum())
    assert abs(float(lost.sum()) / light / 0.1 - 1) < 0.01
    peak = int(lost.flatten().argmax())
    assert abs(peak // 141 - 50) <= 1
    assert abs(peak % 141 - 80) <= 1
    dark = result.flux[0, 0, 50, 80 + 20]
    assert float(dark) < 0
    deep = oversubtraction.apply(images, event(scale=3.0, share=1.0), canvas(images))
    assert float((images.flux - deep.flux).max()) <= oversubtraction.DEEPEST * SIGMA * (1 + 1e-6)
