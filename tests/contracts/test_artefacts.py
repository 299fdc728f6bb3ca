"""What every registered artefact must do; a new one is tested by existing."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.simulation.artefacts import BandFacts, Canvas, Images, apply_artefacts, artefacts
from stronglens.simulation.artefacts.apply import as_parameters, kinds_in_order
from stronglens.simulation.imperfections import Artefacts
from stronglens.simulation.psf import moffat_kernel

NONE = Artefacts(**dict.fromkeys(artefacts.names(), 0.0))
FACTS = BandFacts(gain=4.0, n_exposures=5, full_well=40_000.0)


@pytest.fixture(params=artefacts.names())
def name(request):
    return request.param


def stamps(n=24, n_band=3, size=(40, 56), dtype=torch.float32, seed=1):
    """Noisy images of a galaxy, of unequal noise by band."""
    height, width = size
    generator = torch.Generator().manual_seed(seed)
    x = torch.arange(width, dtype=dtype) - (width - 1) / 2
    y = torch.arange(height, dtype=dtype)[:, None] - (height - 1) / 2
    galaxy = 200.0 * torch.exp(-(x**2 + 2 * y**2).sqrt() / 3)
    sigma = torch.linspace(1.0, 2.0, n_band, dtype=dtype)[None, :, None, None]
    noise = torch.randn(n, n_band, height, width, generator=generator, dtype=dtype)
    fwhm = torch.full((n * n_band,), 0.7, dtype=dtype)
    psf = moffat_kernel(fwhm, fwhm + 2.3, 0.2, 17).unflatten(0, (n, n_band))
    ivar = (1 / sigma**2).expand_as(noise).contiguous()
    return Images(galaxy + sigma * noise, ivar, torch.zeros_like(noise, dtype=torch.bool), psf)


def bands(n_band, n_exposures=5):
    return (replace(FACTS, n_exposures=n_exposures),) * n_band


def only(name, rate, **changes):
    return replace(NONE, **{name: rate}, **changes)


def planes(images):
    return images.flux, images.ivar, images.mask


def test_every_kind_has_a_rate_of_its_name_and_every_rate_a_kind(name):
    assert getattr(Artefacts(), name) > 0.0
    kinds = artefacts.names()
    before = [field.name for field in fields(Artefacts)][: len(kinds)]
    assert sorted(before) == kinds


def test_draws_are_finite_and_have_a_row_per_event(name):
    for n_band, n_events in ((1, 0), (1, 3), (3, 500)):
        canvas = Canvas(17, 30, bands(n_band), NONE)
        draws = artefacts.get(name).draw(n_events, canvas, np.random.default_rng(1))
        for values in draws.values():
            assert len(values) == n_events
            assert np.isfinite(values).all()
        if artefacts.get(name).is_of_one_band and n_events == 500:
            assert sorted(set(draws["band"])) == list(range(n_band))


def test_images_without_any_stay_as_they_were_and_others_change(name):
    images = stamps()
    result, truth = apply_artefacts(images, only(name, 0.7), bands(3), np.random.default_rng(2))
    counts = truth[f"n_{name}"]
    assert 0 < int((counts == 0).sum()) < 24
    for now, before in zip(planes(result), planes(images), strict=True):
        assert torch.equal(now[counts == 0], before[counts == 0])
    is_changed = torch.stack(
        [
            (now != before).flatten(1).any(dim=1)
            for now, before in zip(planes(result), planes(images), strict=True)
        ]
    ).any(dim=0)
    # a hit may leave the frame at once, but not often
    assert float(is_changed[counts > 0].float().mean()) > 0.6


def test_what_is_given_is_not_changed(name):
    images = stamps()
    before = [plane.clone() for plane in planes(images)]
    apply_artefacts(images, only(name, 3.0), bands(3), np.random.default_rng(2))
    for now, then in zip(planes(images), before, strict=True):
        assert torch.equal(now, then)


@pytest.mark.parametrize("combination", ["mean", "clipped", "median"])
@pytest.mark.parametrize("n_exposures", [1, 2, 9])
def test_masked_pixels_have_no_inverse_variance_and_nothing_is_lost(name, combination, n_exposures):
    images = stamps()
    settings = only(name, 2.0, combination=combination, residual=0.5)
    facts = bands(3, n_exposures)
    result, _ = apply_artefacts(images, settings, facts, np.random.default_rng(4))
    assert not result.ivar[result.mask].any()
    assert (result.ivar >= 0).all()
    assert (result.ivar <= images.ivar * (1 + 1e-6)).all()
    assert all(plane.isfinite().all() for plane in planes(result))


def test_nothing_is_masked_where_the_pipeline_misses_all(name):
    images = stamps()
    settings = only(name, 3.0, missed=1.0, combination="mean")
    result, _ = apply_artefacts(images, settings, bands(3), np.random.default_rng(4))
    # a region without data is known to everyone
    assert result.mask.any() == (name == "masked_regions")


def test_an_event_of_one_band_leaves_the_others(name):
    images = stamps()
    canvas = Canvas(40, 56, bands(3), replace(NONE, residual=1.0))
    draws = artefacts.get(name).draw(24, canvas, np.random.default_rng(3))
    parameters = as_parameters(draws, torch.arange(24), images.flux)
    result = artefacts.get(name).apply(images, parameters, canvas)
    is_changed = ((result.flux != images.flux) | (result.mask != images.mask)).flatten(2).any(2)
    n_changed = is_changed.sum(dim=1)
    if artefacts.get(name).is_of_one_band:
        assert int(n_changed.max()) == 1
        touched = torch.zeros(24, 3, dtype=torch.bool)
        touched[torch.arange(24), parameters["band"]] = True
        assert not (is_changed & ~touched).any()
    else:
        assert int(n_changed.max()) == 3


def test_an_image_does_not_depend_on_its_neighbours(name):
    images = stamps(n=4)
    canvas = Canvas(40, 56, bands(3), NONE)
    draws = artefacts.get(name).draw(6, canvas, np.random.default_rng(7))
    image = torch.tensor([0, 0, 1, 2, 2, 2])
    together = artefacts.get(name).apply(images, as_parameters(draws, image, images.flux), canvas)
    for k in range(3):
        own = Images(*(plane[k : k + 1] for plane in (*planes(images), images.psf)))
        mine = (image == k).numpy()
        some = {key: values[mine] for key, values in draws.items()}
        parameters = as_parameters(some, torch.zeros(int(mine.sum())).long(), images.flux)
        alone = artefacts.get(name).apply(own, parameters, canvas)
        for one, all_of_them in zip(planes(alone), planes(together), strict=True):
            torch.testing.assert_close(one[0], all_of_them[k], rtol=1e-5, atol=1e-3)


def test_the_same_seed_gives_the_same_image_and_another_does_not(name):
    images = stamps()
    one, other, third = (
        apply_artefacts(images, only(name, 2.0), bands(3), np.random.default_rng(seed))[0]
        for seed in (5, 5, 6)
    )
    assert all(torch.equal(a, b) for a, b in zip(planes(one), planes(other), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(planes(one), planes(third), strict=True))


def test_a_kind_is_drawn_alike_whatever_the_others_do(name):
    images = stamps()
    alone = apply_artefacts(images, only(name, 1.0), bands(3), np.random.default_rng(5))[1]
    others = replace(Artefacts(), **{name: 1.0})
    together = apply_artefacts(images, others, bands(3), np.random.default_rng(5))[1]
    assert torch.equal(alone[f"n_{name}"], together[f"n_{name}"])


def test_pixels_that_were_not_observed_stay_empty(name):
    images = stamps()
    gone = torch.zeros_like(images.mask)
    gone[:, 1] = True
    gone[:, :, :7] = True
    flux = images.flux.masked_fill(gone, 0.0)
    psf = images.psf.clone()
    psf[:, 1] = 0.0
    images = Images(flux, images.ivar.masked_fill(gone, 0.0), gone, psf)
    result, _ = apply_artefacts(images, only(name, 3.0), bands(3), np.random.default_rng(8))
    assert not result.flux[gone].any()
    assert not result.ivar[gone].any()
    assert result.mask[gone].all()
    assert result.flux.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(8, 8), (9, 31), (33, 12)])
@pytest.mark.parametrize("n_band", [1, 3])
def test_shapes_and_precision_are_kept(name, dtype, size, n_band):
    images = stamps(n=5, n_band=n_band, size=size, dtype=dtype)
    facts = bands(n_band)
    result, truth = apply_artefacts(images, only(name, 2.0), facts, np.random.default_rng(1))
    for now, before in zip(planes(result), planes(images), strict=True):
        assert now.shape == before.shape
        assert now.dtype == before.dtype
    assert truth[f"n_{name}"].shape == (5,)


def test_an_empty_batch_stays_empty(name):
    images = stamps(n=0)
    result, truth = apply_artefacts(images, only(name, 2.0), bands(3), np.random.default_rng(1))
    assert result.flux.shape == (0, 3, 40, 56)
    assert truth[f"n_{name}"].shape == (0,)


@pytest.mark.parametrize("n_band", [1, 3])
def test_two_thousand_small_images_of_everything_hold_no_nan(n_band):
    rates = dict.fromkeys(artefacts.names(), 1.0)
    images = stamps(n=500, n_band=n_band, size=(24, 32))
    for n_exposures in (1, 20):
        result, truth = apply_artefacts(
            images, Artefacts(**rates), bands(n_band, n_exposures), np.random.default_rng(1)
        )
        assert all(plane.isfinite().all() for plane in planes(result))
        assert not result.ivar[result.mask].any()
        assert not result.mask.flatten(2).all(dim=2).any()
        # Poisson counts of mean 1 in 500 images, at 5 standard errors
        for counts in truth.values():
            assert abs(float(counts.float().mean()) - 1) < 5 / 500**0.5


def test_what_lies_before_the_detector_comes_first_and_masks_last():
    order = kinds_in_order()
    assert order[-1] == "masked_regions"
    for early, late in (
        ("saturated_stars", "cosmic_rays"),
        ("cosmic_rays", "bad_columns"),
        ("satellite_trails", "oversubtraction"),
    ):
        assert order.index(early) < order.index(late)


def test_facts_for_other_bands_are_refused():
    with pytest.raises(WrongShapeError, match="3 bands and bands=2"):
        apply_artefacts(stamps(), NONE, bands(2), np.random.default_rng(1))


@pytest.mark.parametrize(
    "fault",
    [{"cosmic_rays": -1.0}, {"missed": 1.5}, {"clip_sigma": 0.5}, {"ghosts": float("nan")}],
    ids=str,
)
def test_impossible_settings_are_refused(fault):
    with pytest.raises(OutOfRangeError, match=next(iter(fault))):
        Artefacts(**fault).check()
