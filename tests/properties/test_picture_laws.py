"""Laws that light profiles and pictures obey whatever the numbers, labels included."""

import math
from dataclasses import fields, replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lens_scenes import SEEDS, draw_lenses, draw_sersics, uniform

from stronglens.core.conventions import (
    axis_ratio_from_ellipticity,
    ellipticity_from_axis_ratio,
    flip_labels,
    turn_labels,
)
from stronglens.lensing.records import SieShear
from stronglens.light.sersic import Sersics, surface_brightness
from stronglens.simulation.psf import moffat_kernel
from stronglens.simulation.render import (
    Grid,
    convolve,
    observe_noiseless,
    render_lensed,
    render_light,
)

# light


@settings(max_examples=15)
@given(seed=SEEDS, n_sersic=st.floats(0.5, 6.0))
def test_the_light_of_a_sersic_profile_adds_up_to_its_flux(seed, n_sersic):
    """Summed in rings whose area is known exactly, far beyond the half-light radius."""
    sersic = draw_sersics(1, seed, n_sersic=(n_sersic, n_sersic))
    q, phi, r_eff = sersic.q[0, 0], sersic.phi[0, 0], sersic.r_eff[0, 0]
    edges = torch.logspace(-6, 5, 6001, dtype=torch.float64)
    radius = (edges[1:] * edges[:-1]).sqrt() * r_eff
    x = sersic.x_center[0, 0] + radius * torch.cos(phi)
    y = sersic.y_center[0, 0] + radius * torch.sin(phi)
    brightness = surface_brightness(x[None, None], y[None, None], sersic)[0, 0]
    area = math.pi * q * r_eff**2 * (edges[1:] ** 2 - edges[:-1] ** 2)
    torch.testing.assert_close((brightness * area).sum(), sersic.flux[0, 0], rtol=1e-4, atol=0)
    half = (brightness * area)[radius < r_eff].sum()
    torch.testing.assert_close(half, 0.5 * sersic.flux[0, 0], rtol=2e-3, atol=0)


@given(seed=SEEDS)
def test_components_add_up(seed):
    sersics = draw_sersics(2, seed, n_component=3)
    x, y = uniform((2, 5, 6), -2, 2, seed), uniform((2, 5, 6), -2, 2, seed + 1)
    parts = [
        surface_brightness(x, y, Sersics(*(v[:, k : k + 1] for v in vars(sersics).values())))
        for k in range(3)
    ]
    total = surface_brightness(x, y, sersics)
    torch.testing.assert_close(total, sum(parts), rtol=1e-12, atol=0)


# pictures

FRAME = Grid(18, 25, 0.2, oversample=3, padding=4)


def random_kernels(n, seed, size=13, oversample=3):
    """Moffat kernels made lopsided, so that a wrong flip shows."""
    fwhm = uniform((n,), 0.5, 1.2, seed)
    kernel = moffat_kernel(fwhm, torch.full((n,), 3.0).double(), 0.2 / oversample, size)
    slope = torch.linspace(0.5, 1.5, size, dtype=torch.float64)
    kernel = kernel * slope * slope[:, None] ** 0.5
    return kernel / kernel.sum(dim=(1, 2), keepdim=True)


@settings(max_examples=15)
@given(seed=SEEDS)
def test_the_psf_conserves_flux_on_a_padded_frame(seed):
    """A source well inside; what leaves the picture is still counted in its padding."""
    source = draw_sersics(3, seed, r_eff=(0.1, 0.2), n_sersic=(0.5, 1.0))
    grid = Grid(18, 25, 0.2, oversample=3, padding=10)
    light = render_light(grid, source)
    blurred = convolve(light, random_kernels(3, seed))
    torch.testing.assert_close(blurred.sum(dim=(1, 2)), light.sum(dim=(1, 2)), rtol=1e-6, atol=1e-6)


@settings(max_examples=15)
@given(seed=SEEDS)
def test_a_picture_is_linear_in_its_light(seed):
    one, other = (render_light(FRAME, draw_sersics(2, seed + k)) for k in range(2))
    kernel = random_kernels(2, seed)
    together = observe_noiseless(one + 2.0 * other, kernel, FRAME)
    apart = observe_noiseless(one, kernel, FRAME) + 2.0 * observe_noiseless(other, kernel, FRAME)
    torch.testing.assert_close(together, apart, rtol=1e-9, atol=1e-9)


@settings(max_examples=15)
@given(seed=SEEDS, rows=st.integers(-3, 3), columns=st.integers(-3, 3))
def test_a_scene_moved_by_whole_pixels_gives_the_moved_picture(seed, rows, columns):
    lens, source = draw_lenses(2, seed), draw_sersics(2, seed)
    dx, dy = columns * FRAME.pixel_scale, rows * FRAME.pixel_scale
    moved_lens = replace(lens, x_center=lens.x_center + dx, y_center=lens.y_center + dy)
    moved = replace(source, x_center=source.x_center + dx, y_center=source.y_center + dy)
    inner = (slice(None), slice(3, -3), slice(3, -3))
    before = picture(lens, source, source).roll((rows, columns), dims=(1, 2))
    after = picture(moved_lens, moved, moved)
    torch.testing.assert_close(
        after[inner], before[inner], rtol=1e-9, atol=1e-9 * float(before.max())
    )


def picture(lens, source, deflector, grid=FRAME, kernel=None):
    """Noiseless picture of lensed source and deflector, by default with a round kernel."""
    if kernel is None:
        fwhm = torch.full((len(lens),), 0.7, dtype=torch.float64)
        kernel = moffat_kernel(fwhm, torch.full_like(fwhm, 3.0), grid.fine_scale, 13)
    light = render_lensed(grid, lens, source) + render_light(grid, deflector)
    return observe_noiseless(light, kernel, grid)


def labels_of(lens, source, deflector):
    """Every label of a scene, ellipticities as components and angles as angles."""
    labels = {field.name: getattr(lens, field.name) for field in fields(lens)}
    labels["e1"], labels["e2"] = ellipticity_from_axis_ratio(labels["q"], labels["phi"])
    for prefix, sersics in (("source", source), ("deflector", deflector)):
        for field in fields(sersics):
            labels[f"{prefix}_{field.name}"] = getattr(sersics, field.name)
    return labels


def scene_of(labels):
    """The scene of some labels; the lens's shape comes from e1 and e2."""
    q, phi = axis_ratio_from_ellipticity(labels["e1"], labels["e2"])
    values = {field.name: labels[field.name] for field in fields(SieShear)}
    lens = SieShear(**(values | {"q": q, "phi": phi}))
    source, deflector = (
        Sersics(**{field.name: labels[f"{prefix}_{field.name}"] for field in fields(Sersics)})
        for prefix in ("source", "deflector")
    )
    return lens, source, deflector


@settings(max_examples=15)
@given(seed=SEEDS, axis=st.sampled_from(["x", "y"]))
def test_a_flipped_picture_is_the_picture_of_the_flipped_labels(seed, axis):
    scene = draw_lenses(2, seed), draw_sersics(2, seed), draw_sersics(2, seed + 1, n_component=2)
    flipped_labels = flip_labels(labels_of(*scene), axis)
    flipped = picture(*scene).flip(-1 if axis == "x" else -2)
    expected = picture(*scene_of(flipped_labels))
    torch.testing.assert_close(flipped, expected, rtol=1e-9, atol=1e-9 * float(flipped.max()))
    # the angle says the same as the components
    again = ellipticity_from_axis_ratio(flipped_labels["q"], flipped_labels["phi"])
    for name, value in zip(("e1", "e2"), again, strict=True):
        torch.testing.assert_close(value, flipped_labels[name], rtol=1e-9, atol=1e-12)


@settings(max_examples=15)
@given(seed=SEEDS, turns=st.integers(-3, 7))
def test_a_turned_picture_is_the_picture_of_the_turned_labels(seed, turns):
    scene = draw_lenses(2, seed), draw_sersics(2, seed), draw_sersics(2, seed + 1, n_component=2)
    turned_labels = turn_labels(labels_of(*scene), turns)
    turned = torch.rot90(picture(*scene), turns, dims=(-2, -1))
    grid = replace(FRAME, height=turned.shape[1], width=turned.shape[2])
    expected = picture(*scene_of(turned_labels), grid=grid)
    torch.testing.assert_close(turned, expected, rtol=1e-9, atol=1e-9 * float(turned.max()))
    again = ellipticity_from_axis_ratio(turned_labels["q"], turned_labels["phi"])
    for name, value in zip(("e1", "e2"), again, strict=True):
        torch.testing.assert_close(value, turned_labels[name], rtol=1e-9, atol=1e-12)


@settings(max_examples=15)
@given(seed=SEEDS)
def test_a_lens_without_mass_shows_the_source_as_it_is(seed):
    source = draw_sersics(2, seed)
    nothing = torch.zeros(2, dtype=torch.float64)
    lens = replace(draw_lenses(2, seed), theta_e=nothing, gamma1=nothing, gamma2=nothing)
    grid = replace(FRAME, center_oversample=1)
    plain = render_light(grid, source)
    torch.testing.assert_close(render_lensed(grid, lens, source), plain, rtol=1e-7, atol=1e-9)


def test_gradients_of_a_picture_agree_with_finite_differences():
    lens, source, deflector = draw_lenses(1, 5), draw_sersics(1, 5), draw_sersics(1, 6)
    grid = Grid(5, 6, 0.4, oversample=2, padding=1)
    kernel = random_kernels(1, 5, size=5, oversample=1)
    leaves = [*vars(lens).values(), *vars(source).values(), *vars(deflector).values()]
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]

    def draw(*values):
        parts = SieShear(*values[:7]), Sersics(*values[7:14]), Sersics(*values[14:])
        return picture(*parts, grid=grid, kernel=kernel)

    assert torch.autograd.gradcheck(draw, leaves, eps=1e-7, atol=1e-3, rtol=1e-4)


def test_gradients_are_finite_at_the_centre_of_lens_and_light():
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    for q in (0.6, 1.0):
        values = [one, q * one, zero, zero, zero, zero, zero]
        leaves = [value.clone().requires_grad_() for value in values]
        source = Sersics(*(v[:, None] for v in (one, one, 4 * one, 0.7 * one, zero, zero, zero)))
        grid = Grid(3, 5, 0.5, oversample=1, center_oversample=3)
        total = render_lensed(grid, SieShear(*leaves), source) + render_light(grid, source)
        total.square().sum().backward()
        assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in leaves)
