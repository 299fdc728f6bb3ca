"""Laws that mass profiles, caustics and magnifications obey whatever the numbers."""

import math
from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lens_scenes import SEEDS, draw_lenses, uniform

from stronglens.lensing.caustics import (
    cut,
    is_multiply_imaged,
    tangential_caustic,
    tangential_critical_curve,
)
from stronglens.lensing.profiles import profiles, sie
from stronglens.lensing.raytrace import deflection, magnification, trace
from stronglens.lensing.records import MassProfile, SieShear
from stronglens.light.sersic import Sersics
from stronglens.simulation.render import (
    Grid,
    render_lensed,
)

RANGES = {
    "theta_e": (0.3, 3.0),
    "slope": (1.3, 2.8),
    "r_scale": (0.3, 6.0),
    "alpha_r_scale": (0.1, 3.0),
    "a_m": (-0.2, 0.2),
    "phi_m": (-math.pi, math.pi),
    "q": (0.15, 1.0),
    "phi": (-math.pi, math.pi),
    "x_center": (-0.7, 0.7),
    "y_center": (-0.7, 0.7),
    "gamma1": (-0.2, 0.2),
    "gamma2": (-0.2, 0.2),
}
"""Where each parameter of each registered mass profile is drawn from."""


def drawn_profile(name, seed, n=3):
    """A registered profile with random parameters, and positions away from its centre."""
    names = profiles.get(name).parameters
    values = {key: uniform((n,), *RANGES[key], seed + i) for i, key in enumerate(names)}
    radius = uniform((n, 5, 7), 0.05, 4.0, seed + 50)
    angle = uniform((n, 5, 7), 0.0, 2 * math.pi, seed + 51)
    x = values["x_center"][:, None, None] + radius * torch.cos(angle)
    y = values["y_center"][:, None, None] + radius * torch.sin(angle)
    return profiles.get(name), values, x, y


# one law per profile


@pytest.mark.parametrize("name", profiles.names())
@given(seed=SEEDS)
def test_deflection_is_the_gradient_of_the_potential(name, seed):
    profile, values, x, y = drawn_profile(name, seed)
    x, y = x.requires_grad_(), y.requires_grad_()
    psi = profile.potential(x, y, **values)
    expected = torch.autograd.grad(psi.sum(), (x, y))
    alpha = profile.deflection(x, y, **values)
    for ours, gradient in zip(alpha, expected, strict=True):
        torch.testing.assert_close(ours, gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", profiles.names())
@given(seed=SEEDS)
def test_divergence_of_the_deflection_is_twice_the_convergence(name, seed):
    profile, values, x, y = drawn_profile(name, seed)
    x, y = x.requires_grad_(), y.requires_grad_()
    alpha_x, alpha_y = profile.deflection(x, y, **values)
    (along_x,) = torch.autograd.grad(alpha_x.sum(), x, retain_graph=True)
    (along_y,) = torch.autograd.grad(alpha_y.sum(), y)
    kappa = profile.convergence(x, y, **values)
    torch.testing.assert_close(along_x + along_y, 2 * kappa, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", profiles.names())
@given(seed=SEEDS)
def test_deflection_has_no_curl(name, seed):
    profile, values, x, y = drawn_profile(name, seed)
    x, y = x.requires_grad_(), y.requires_grad_()
    alpha_x, alpha_y = profile.deflection(x, y, **values)
    (one,) = torch.autograd.grad(alpha_x.sum(), y, retain_graph=True)
    (other,) = torch.autograd.grad(alpha_y.sum(), x)
    torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", profiles.names())
@given(seed=SEEDS, angle=st.floats(-math.pi, math.pi))
def test_a_turned_lens_deflects_turned_rays_by_turned_angles(name, seed, angle):
    profile, values, x, y = drawn_profile(name, seed)
    alpha = profile.deflection(x, y, **values)
    turned = profile.deflection(*rotated(x, y, angle), **rotated_parameters(values, angle))
    for ours, expected in zip(turned, rotated(*alpha, angle), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", profiles.names())
@given(seed=SEEDS, shift=st.tuples(st.floats(-3, 3), st.floats(-3, 3)))
def test_a_moved_lens_deflects_moved_rays_as_before(name, seed, shift):
    profile, values, x, y = drawn_profile(name, seed)
    alpha = profile.deflection(x, y, **values)
    moved_values = values | {
        "x_center": values["x_center"] + shift[0],
        "y_center": values["y_center"] + shift[1],
    }
    moved = profile.deflection(x + shift[0], y + shift[1], **moved_values)
    for ours, expected in zip(moved, alpha, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


def rotated(x, y, angle):
    cos, sin = math.cos(angle), math.sin(angle)
    return cos * x - sin * y, sin * x + cos * y


def rotated_parameters(values, angle):
    """Parameters of the same lens turned counter-clockwise about the origin."""
    x_center, y_center = rotated(values["x_center"], values["y_center"], angle)
    turned = values | {"x_center": x_center, "y_center": y_center}
    turned |= {name: values[name] + angle for name in ("phi", "phi_m") if name in values}
    if "gamma1" in values:
        gamma = rotated(values["gamma1"], values["gamma2"], 2 * angle)
        turned["gamma1"], turned["gamma2"] = gamma
    return turned


# what the parameters mean


@settings(max_examples=15)
@given(seed=SEEDS)
def test_a_power_law_of_slope_2_is_the_isothermal_ellipsoid(seed):
    ellipsoid, values, x, y = drawn_profile("sie", seed)
    slope = torch.full((3,), 2.0, dtype=torch.float64)
    for law in ("deflection", "potential", "convergence"):
        expected = getattr(ellipsoid, law)(x, y, **values)
        found = getattr(profiles.get("epl"), law)(x, y, slope=slope, **values)
        # the ellipsoid's own formula loses digits of 1 - q^2 where it is nearly round
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


@given(seed=SEEDS)
def test_a_round_power_law_deflects_by_theta_e_at_theta_e(seed):
    profile, values, _, _ = drawn_profile("epl", seed)
    values |= {"q": torch.ones(3).double()}
    angle = uniform((3, 1, 9), -3.2, 3.2, seed + 7)
    x, y = (values["theta_e"][:, None, None] * part for part in (angle.cos(), angle.sin()))
    center = [values[name][:, None, None] for name in ("x_center", "y_center")]
    alpha = profile.deflection(x + center[0], y + center[1], **values)
    torch.testing.assert_close(torch.stack(alpha), torch.stack([x, y]), rtol=1e-12, atol=1e-12)


@settings(max_examples=15)
@given(seed=SEEDS)
def test_the_mean_convergence_of_a_power_law_inside_its_einstein_ellipse_is_one(seed):
    """By Gauss: the flux of the deflection through the ellipse, over twice its area."""
    profile, values, _, _ = drawn_profile("epl", seed)
    q, theta_e = values["q"][:, None, None], values["theta_e"][:, None, None]
    at = torch.arange(400, dtype=torch.float64)[None, None] * (2 * math.pi / 400)
    u, v = theta_e / q.sqrt() * torch.cos(at), theta_e * q.sqrt() * torch.sin(at)
    here = {name: torch.zeros(3).double() for name in ("phi", "x_center", "y_center")}
    alpha_u, alpha_v = profile.deflection(u, v, **(values | here))
    normal_u, normal_v = theta_e * q.sqrt() * torch.cos(at), theta_e / q.sqrt() * torch.sin(at)
    flux = (alpha_u * normal_u + alpha_v * normal_v).mean(dim=2) * 2 * math.pi
    area = math.pi * values["theta_e"][:, None] ** 2
    torch.testing.assert_close(flux / (2 * area), torch.ones(3, 1).double(), rtol=1e-9, atol=0)


@given(seed=SEEDS, power=st.floats(-4.0, 2.0))
def test_a_halo_loses_no_digits_in_single_precision(seed, power):
    profile, values, _, _ = drawn_profile("nfw", seed)
    x = (values["r_scale"] * 10.0**power)[:, None, None]
    values |= {"x_center": torch.zeros(3).double(), "y_center": torch.zeros(3).double()}
    single = {name: value.float() for name, value in values.items()}
    for law in ("deflection", "potential", "convergence"):
        expected = getattr(profile, law)(x, torch.zeros_like(x), **values)
        found = getattr(profile, law)(x.float(), torch.zeros_like(x).float(), **single)
        for ours, truth in zip(tensors(found), tensors(expected), strict=True):
            torch.testing.assert_close(ours.double(), truth, rtol=2e-5, atol=0)


@settings(max_examples=15)
@given(seed=SEEDS)
def test_a_halo_is_smooth_where_its_formulae_change(seed):
    """Steps of 1e-7 across radii of r_scale, 0.5 r_scale and the ends of the power series."""
    profile, values, _, _ = drawn_profile("nfw", seed)
    edges = torch.tensor([0.5, math.sqrt(0.96), 1.0, math.sqrt(1.04)]).double()
    x = edges * values["r_scale"][:, None, None] + values["x_center"][:, None, None]
    y = values["y_center"][:, None, None].expand_as(x)
    for law in ("deflection", "potential", "convergence"):
        sides = []
        for step in (-1e-7, 0.0, 1e-7):
            moved = (x + step).requires_grad_()
            value = tensors(getattr(profile, law)(moved, y, **values))[0]
            (rise,) = torch.autograd.grad(value.sum(), moved)
            sides.append(torch.stack([value.detach(), rise]))
        low, middle, high = sides
        assert middle.isfinite().all()
        # steps of 1e-7 times derivatives below some 100 at the smallest halo
        torch.testing.assert_close(low, middle, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(high, middle, rtol=1e-4, atol=1e-5)


@given(seed=SEEDS)
def test_a_halo_deflects_by_what_its_parameter_says_at_its_scale_radius(seed):
    profile, values, _, _ = drawn_profile("nfw", seed)
    x = (values["x_center"] + values["r_scale"])[:, None, None]
    alpha_x, alpha_y = profile.deflection(x, values["y_center"][:, None, None], **values)
    torch.testing.assert_close(alpha_x[:, 0, 0], values["alpha_r_scale"])
    torch.testing.assert_close(alpha_y, torch.zeros_like(alpha_y), rtol=0, atol=1e-12)


@pytest.mark.parametrize("order", [3, 4])
@given(seed=SEEDS)
def test_a_multipole_ripples_the_critical_curve_of_a_sphere_by_its_strength(order, seed):
    _, values, _, _ = drawn_profile("sis", seed)
    a_m, phi_m = uniform((3,), -0.1, 0.1, seed), uniform((3,), -3.0, 3.0, seed + 1)
    angle = torch.linspace(0.0, 6.0, 9, dtype=torch.float64)[None, None]
    ripple = a_m[:, None, None] * torch.cos(order * (angle - phi_m[:, None, None]))
    radius = values["theta_e"][:, None, None] + ripple
    x = values["x_center"][:, None, None] + radius * torch.cos(angle)
    y = values["y_center"][:, None, None] + radius * torch.sin(angle)
    center = {name: values[name] for name in ("x_center", "y_center")}
    lens_model = [
        MassProfile("sis", values),
        MassProfile(f"multipole-{order}", {"a_m": a_m, "phi_m": phi_m, **center}),
    ]
    inverse = 1.0 / magnification(x, y, lens_model)
    torch.testing.assert_close(inverse, torch.zeros_like(inverse), rtol=0, atol=1e-9)


def tensors(result):
    """What a law returned, as a tuple."""
    return result if isinstance(result, tuple) else (result,)


# isothermal lenses


@given(seed=SEEDS, flattening=st.sampled_from([0.0, 1e-12, 1e-9, 1e-6]))
def test_the_ellipsoid_becomes_the_sphere_as_q_goes_to_one(seed, flattening):
    sphere, values, x, y = drawn_profile("sis", seed)
    round_values = {
        "q": torch.full((3,), 1.0 - flattening).double(),
        "phi": uniform((3,), -3, 3, 7),
    }
    for law in ("deflection", "potential"):
        expected = getattr(sphere, law)(x, y, **values)
        found = getattr(profiles.get("sie"), law)(x, y, **values, **round_values)
        torch.testing.assert_close(found, expected, rtol=0, atol=10 * flattening + 1e-9)


@given(seed=SEEDS)
def test_theta_e_is_the_radius_of_the_circle_with_the_area_inside_the_critical_curve(seed):
    lens = replace(draw_lenses(4, seed), gamma1=torch.zeros(4).double())
    lens = replace(lens, gamma2=torch.zeros(4).double())
    x, y = tangential_critical_curve(lens, 4000)
    area = 0.5 * (x * y.roll(-1, 1) - y * x.roll(-1, 1)).sum(dim=1)
    torch.testing.assert_close((area / math.pi).sqrt(), lens.theta_e, rtol=1e-5, atol=0)


@settings(max_examples=15)
@given(seed=SEEDS)
def test_magnification_diverges_on_the_critical_curve(seed):
    lens = draw_lenses(4, seed)
    x, y = (axis[:, None] for axis in tangential_critical_curve(lens, 60))
    inverse = 1.0 / magnification(x, y, lens.lens_model())
    torch.testing.assert_close(inverse, torch.zeros_like(inverse), rtol=0, atol=1e-8)


@settings(max_examples=15)
@given(seed=SEEDS)
def test_the_caustic_is_the_critical_curve_seen_through_the_lens(seed):
    lens = draw_lenses(4, seed)
    beta = trace(*(axis[:, None] for axis in tangential_critical_curve(lens)), lens.lens_model())
    for ours, expected in zip(tangential_caustic(lens), beta, strict=True):
        torch.testing.assert_close(ours, expected[:, 0], rtol=1e-9, atol=1e-9)


@given(seed=SEEDS)
def test_deflections_of_a_sum_of_profiles_add_up(seed):
    lens = draw_lenses(3, seed)
    x, y = uniform((3, 4, 5), -2, 2, seed), uniform((3, 4, 5), -2, 2, seed + 1)
    parts = [
        profiles.get(mass.name).deflection(x, y, **mass.parameters) for mass in lens.lens_model()
    ]
    total = deflection(x, y, lens.lens_model())
    beta = trace(x, y, lens.lens_model())
    for axis, position in enumerate((x, y)):
        expected = parts[0][axis] + parts[1][axis]
        torch.testing.assert_close(total[axis], expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(beta[axis], position - expected, rtol=1e-12, atol=1e-12)


# how many images a source has


def n_images(lens: SieShear, beta_x, beta_y, n_theta=4000):
    """Images of a point source, counted along the directions in which they can lie.

    An image at direction theta obeys M r (cos, sin) = beta + alpha(theta) with a radius above 0,
    so images are sign changes of the component of M^-1 (beta + alpha) across the direction.
    """
    theta = torch.arange(n_theta, dtype=torch.float64) * (2 * math.pi / n_theta) + 1e-4
    cos, sin = torch.cos(theta)[None, None], torch.sin(theta)[None, None]
    zero = torch.zeros_like(lens.theta_e)
    alpha = sie.deflection(cos, sin, lens.theta_e, lens.q, lens.phi, zero, zero)
    g1, g2 = lens.gamma1[:, None, None], lens.gamma2[:, None, None]
    x = beta_x[:, None, None] - lens.x_center[:, None, None] + alpha[0]
    y = beta_y[:, None, None] - lens.y_center[:, None, None] + alpha[1]
    # the adjoint of M = [[1 - g1, -g2], [-g2, 1 + g1]] has the direction of its inverse
    solved_x, solved_y = (1 + g1) * x + g2 * y, g2 * x + (1 - g1) * y
    across, along = cos * solved_y - sin * solved_x, cos * solved_x + sin * solved_y
    changes = (across * across.roll(-1, 2) < 0) & (along > 0)
    return changes.sum(dim=(1, 2))


def distance_to(curve, beta_x, beta_y):
    return torch.hypot(curve[0] - beta_x[:, None], curve[1] - beta_y[:, None]).amin(dim=1)


@settings(max_examples=20)
@given(seed=SEEDS)
def test_multiply_imaged_sources_are_those_with_images_counted_by_brute_force(seed):
    lens = draw_lenses(60, seed)
    flat = uniform((60,), 0.15, 1.0, seed + 1)
    lens = replace(lens, q=flat)
    beta_x = lens.x_center + uniform((60,), -1.5, 1.5, seed + 2) * lens.theta_e
    beta_y = lens.y_center + uniform((60,), -1.5, 1.5, seed + 3) * lens.theta_e
    found = is_multiply_imaged(lens, beta_x, beta_y)
    counted = n_images(lens, beta_x, beta_y) > 1
    nearest = torch.minimum(
        distance_to(cut(lens), beta_x, beta_y),
        distance_to(tangential_caustic(lens), beta_x, beta_y),
    )
    clear = nearest > 0.02 * lens.theta_e
    assert clear.sum() > 30
    assert torch.equal(found[clear], counted[clear])
    assert 0 < found.sum() < 60


def test_the_source_behind_a_sphere_is_multiply_imaged_inside_one_einstein_radius():
    n = 200
    beta = torch.linspace(0.0, 2.0, n, dtype=torch.float64)
    one, zero = torch.ones(n, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)
    lens = SieShear(one, one, zero, zero, zero, zero, zero)
    found = is_multiply_imaged(lens, beta * math.cos(0.3), beta * math.sin(0.3))
    assert torch.equal(found, beta < 1.0)


@settings(max_examples=10)
@given(seed=SEEDS)
def test_multiply_imaged_does_not_depend_on_where_the_lens_stands_or_how_it_is_turned(seed):
    lens = draw_lenses(50, seed)
    beta = lens.x_center + uniform((50,), -1.2, 1.2, seed), lens.y_center + uniform((50,), -1, 1, 1)
    found = is_multiply_imaged(lens, *beta)
    values = {field.name: getattr(lens, field.name) for field in fields(lens)}
    turned = SieShear(**rotated_parameters(values, 0.7))
    assert (is_multiply_imaged(turned, *rotated(*beta, 0.7)) == found).float().mean() > 0.97
    moved = replace(lens, x_center=lens.x_center + 2.0)
    assert torch.equal(is_multiply_imaged(moved, beta[0] + 2.0, beta[1]), found)


def test_a_small_source_is_magnified_as_the_sum_over_its_images():
    """Away from the caustics; the tolerance is the source's size over the lens's, squared."""
    lens = SieShear(
        *(torch.tensor([v], dtype=torch.float64) for v in (1.3, 0.7, 0.5, 0.1, -0.05, 0.04, -0.03))
    )
    beta = torch.tensor([0.15], dtype=torch.float64), torch.tensor([0.02], dtype=torch.float64)
    flux, r_eff = 100.0, 0.004
    values = (flux, r_eff, 0.5, 1.0, 0.0, float(beta[0]), float(beta[1]))
    source = Sersics(*(torch.full((1, 1), value, dtype=torch.float64) for value in values))
    grid = Grid(800, 800, 0.005, oversample=4)
    image = render_lensed(grid, lens, source)
    mu = total_magnification(lens, *beta)
    assert float(n_images(lens, *beta)) == 4
    torch.testing.assert_close(image.sum() / flux, mu, rtol=2e-3, atol=0)


def total_magnification(lens, beta_x, beta_y, n_theta=400_000):
    """Sum of |mu| over the images found by brute force; they lie between samples of direction."""
    theta = torch.arange(n_theta, dtype=torch.float64) * (2 * math.pi / n_theta)
    cos, sin = torch.cos(theta), torch.sin(theta)
    zero = torch.zeros(1, dtype=torch.float64)
    alpha = sie.deflection(
        cos[None, None], sin[None, None], lens.theta_e, lens.q, lens.phi, zero, zero
    )
    g1, g2 = lens.gamma1, lens.gamma2
    x, y = beta_x - lens.x_center + alpha[0][0, 0], beta_y - lens.y_center + alpha[1][0, 0]
    det = 1 - g1**2 - g2**2
    x, y = ((1 + g1) * x + g2 * y) / det, (g2 * x + (1 - g1) * y) / det
    across = cos * y - sin * x
    at = ((across * across.roll(-1) < 0) & (cos * x + sin * y > 0)).nonzero()[:, 0]
    positions = (x[at] + lens.x_center)[None, None], (y[at] + lens.y_center)[None, None]
    return magnification(*positions, lens.lens_model()).abs().sum()
