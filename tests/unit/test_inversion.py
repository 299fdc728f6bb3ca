"""The exact likelihood of a lens: blur, source grid, evidence, derivatives, deflector light."""

import numpy as np
import pytest
from measured_toys import SCALE, TRUTH, galaxy_alone, lens

from stronglens.core.errors import OutOfRangeError, UnknownNameError
from stronglens.measurement.deflector_light import convolved, fit_light
from stronglens.measurement.frames import binned, fit_region, frame_of
from stronglens.measurement.mass_model import (
    effective_radius,
    free_parameters,
    mass_prior,
    vector_from_values,
)
from stronglens.measurement.source_grid import (
    Window,
    gradient,
    interpolation,
    places,
    smoothness,
)
from stronglens.measurement.stage import coarse_stage, theta_e_range


@pytest.fixture(scope="module")
def stage():
    return coarse_stage(lens(), (0.5, 1.6), "sie+shear")


def test_the_blur_of_a_region_is_the_convolution():
    image = galaxy_alone()
    psf = np.random.default_rng(0).random((5, 7))
    frame = frame_of(image.replaced(psf=psf / psf.sum()))
    area = np.hypot(frame.x, frame.y) < 1.0
    region = fit_region(frame, area)
    plane = np.random.default_rng(1).random(frame.x.shape)
    wanted = convolved(np.where(region.is_lit, plane, 0.0)[None], frame.image.psf)[0][area]
    np.testing.assert_allclose(region.blur @ plane[region.is_lit], wanted, atol=1e-12)


@pytest.mark.parametrize("shape", [(20, 20), (21, 19)])
def test_binning_keeps_the_mean_and_the_positions(shape):
    image = galaxy_alone()
    cut = {name: getattr(image, name)[: shape[0], : shape[1]] for name in ("flux", "sigma", "mask")}
    frame = frame_of(image.replaced(**cut))
    half = binned(frame)
    even = frame.image.flux[: 2 * half.x.shape[0], : 2 * half.x.shape[1]]
    assert half.image.flux.mean() == pytest.approx(even.mean())
    assert half.image.pixel_scale == pytest.approx(2 * SCALE)
    assert half.x[0, 0] == pytest.approx(frame.x[0, :2].mean())
    assert half.image.sigma[0, 0] == pytest.approx(frame.image.sigma[0, 0] / 2)


def test_splines_reproduce_a_constant_and_a_slope_inside():
    window, n_side = Window(0.2, -0.1, 0.5), 12
    rng = np.random.default_rng(0)
    bx, by = 0.2 + 0.35 * rng.uniform(-1, 1, 40), -0.1 + 0.35 * rng.uniform(-1, 1, 40)
    place = places(bx, by, window, n_side)
    assert place.is_inside.all()
    x, y = window.node_positions(n_side)
    plane = 1.0 + 2.0 * x - 3.0 * y
    np.testing.assert_allclose(interpolation(place, n_side, 1) @ plane, 1 + 2 * bx - 3 * by)
    along_x, along_y = gradient(place, plane, window)
    np.testing.assert_allclose(along_x, 2.0)
    np.testing.assert_allclose(along_y, -3.0)


def test_rays_outside_the_grid_are_dark():
    window = Window(0.0, 0.0, 0.3)
    place = places(np.array([5.0, np.nan]), np.array([0.0, 0.0]), window, 8)
    assert not place.is_inside.any()
    assert abs(interpolation(place, 8, 1)).sum() == 0


def test_the_smoothness_prefers_light_in_the_middle():
    form, log_det = smoothness(15)
    x, y = Window(0.0, 0.0, 1.0).node_positions(15)
    blob = np.exp(-((x - 0.0) ** 2 + y**2) / 0.1)
    aside = np.exp(-((x - 0.7) ** 2 + y**2) / 0.1)
    assert blob @ form @ blob < 0.2 * (aside @ form @ aside)
    assert log_det == pytest.approx(np.linalg.slogdet(form)[1])


def test_the_evidence_is_the_integral_over_all_fluxes(stage):
    """Two strengths: the difference of the closed form against a direct determinant."""
    inversion = stage.inversion
    vector = vector_from_values(TRUTH)
    window = Window(0.12, 0.06, 0.4)
    solution = inversion.solve(vector, window, 30.0)
    light = (inversion.columns.images * inversion.weight).T
    design = np.hstack([solution.design.toarray(), light])
    form, _ = smoothness(inversion.n_side)
    n = form.shape[0]
    covariance = np.zeros((design.shape[1],) * 2)
    covariance[:n, :n] = np.linalg.inv(30.0 * form)
    covariance[n:, n:] = np.diag(1.0 / inversion.columns.precision)
    rest = inversion.data - light @ inversion.columns.mean
    total = np.eye(len(rest)) + design @ covariance @ design.T
    wanted = rest @ np.linalg.solve(total, rest) + np.linalg.slogdet(total)[1]
    assert solution.deviance == pytest.approx(wanted, rel=1e-6)


def test_the_step_equations_are_the_slope_of_the_misfit(stage):
    """With the source answering, half the slope of the deviance without its determinant."""
    inversion, prior = stage.inversion, stage.prior
    free = free_parameters("sie+shear")
    vector = vector_from_values(TRUTH | {"theta_e": 1.12})
    window = Window(0.12, 0.06, 0.4)
    here = inversion.solve(vector, window, 30.0)
    _, slope = inversion.step_equations(here, free, prior)

    def misfit(v):
        s = inversion.solve(v, window, 30.0)
        form, _ = smoothness(inversion.n_side)
        pull = ((s.light - inversion.columns.mean) ** 2) @ inversion.columns.precision
        return s.chi2 + 30.0 * s.source @ form @ s.source + pull + prior.penalty(v)

    for k in (0, 1, 5):
        step = 1e-4 * (np.arange(8) == k)
        numeric = (misfit(vector + step) - misfit(vector - step)) / 2e-4
        assert slope[k] == pytest.approx(-0.5 * numeric, rel=2e-3, abs=0.5)


def test_the_best_strength_beats_its_neighbours(stage):
    vector, window = vector_from_values(TRUTH), Window(0.12, 0.06, 0.4)
    best = stage.inversion.solve_best(vector, window, 1.0, 8)
    for factor in (0.3, 3.0):
        other = stage.inversion.solve(vector, window, best.strength * factor)
        assert best.deviance <= other.deviance + 0.1


def test_the_light_of_a_galaxy_alone_is_fitted_to_the_noise():
    frame = frame_of(galaxy_alone())
    light = fit_light(frame, 2.4)
    residual = (frame.image.flux - light.image(frame) - light.sky) / frame.image.sigma
    assert np.all(light.amplitudes >= 0)
    assert (residual[np.hypot(frame.x, frame.y) > 0.3] ** 2).mean() < 1.2
    assert np.hypot(*light.center) < 0.01


def test_an_unknown_lens_model_is_refused_with_those_that_exist():
    with pytest.raises(UnknownNameError, match=r"unknown lens model 'nfw'.*sie\+shear"):
        free_parameters("nfw")


def test_the_prior_ends_where_a_lens_does():
    prior = mass_prior((0.0, 0.0), (0.0, 0.0), (0.5, 2.0))
    assert np.isfinite(prior.penalty(vector_from_values({"theta_e": 1.0})))
    assert prior.penalty(vector_from_values({"theta_e": 3.0})) == np.inf
    assert prior.penalty(vector_from_values({"theta_e": 1.0, "e1": 0.9})) == np.inf


@pytest.mark.parametrize("slope", [1.8, 2.0, 2.2])
def test_the_effective_radius_of_a_round_lens_is_theta_e(slope):
    vector = vector_from_values({"theta_e": 1.3, "slope": slope})
    assert effective_radius(vector, "epl+shear") == pytest.approx(1.3, rel=0.01)


def test_a_field_without_room_for_a_lens_is_refused():
    image = galaxy_alone()
    cut = {name: getattr(image, name)[20:28, 20:28] for name in ("flux", "sigma", "mask")}
    with pytest.raises(OutOfRangeError, match="leaves theta_e no room"):
        theta_e_range(image.replaced(**cut))
