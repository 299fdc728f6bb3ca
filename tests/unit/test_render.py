"""Rendering: frames, sub-pixels, convolution against scipy, chunks, and what is refused."""

from dataclasses import replace

import pytest
import torch
from lens_scenes import draw_lenses, draw_sersics, uniform
from scipy.signal import convolve as scipy_convolve

from stronglens.core.errors import OutOfRangeError, WrongShapeError
from stronglens.simulation import render as rendering
from stronglens.simulation.render import (
    Grid,
    bin_to_pixels,
    convolve,
    observe_noiseless,
    observe_planes,
    pixel_coordinates,
    render_lensed,
    render_light,
)

FRAMES = [(7, 10), (16, 15), (1, 1), (9, 9), (12, 12)]
KERNELS = [(1, 1), (3, 9), (21, 5), (37, 37)]


def test_positions_are_measured_from_the_middle_of_the_frame():
    """Odd frames have a pixel at the origin, even ones a corner."""
    x, y = pixel_coordinates(Grid(3, 4, 0.2, oversample=1))
    torch.testing.assert_close(x[0, 1], torch.tensor([-0.3, -0.1, 0.1, 0.3]))
    torch.testing.assert_close(y[0, :, 2], torch.tensor([-0.2, 0.0, 0.2]))
    assert x.shape == y.shape == (1, 3, 4)


def test_sub_pixels_average_to_the_middle_of_their_pixel():
    native = pixel_coordinates(Grid(5, 8, 0.3, oversample=1), torch.float64)
    fine = pixel_coordinates(Grid(5, 8, 0.3, oversample=4), torch.float64)
    for one, other in zip(native, fine, strict=True):
        mean = other.unflatten(2, (-1, 4)).unflatten(1, (-1, 4)).mean(dim=(2, 4))
        torch.testing.assert_close(mean, one)


def test_padding_adds_pixels_around_the_same_frame():
    plain, _ = pixel_coordinates(Grid(5, 8, 0.3, oversample=2), torch.float64)
    padded, _ = pixel_coordinates(Grid(5, 8, 0.3, oversample=2, padding=3), torch.float64)
    torch.testing.assert_close(padded[:, 6:-6, 6:-6], plain)


@pytest.mark.parametrize("padding", [0, 1, 12])
@pytest.mark.parametrize("oversample", [1, 2, 3, 5, 11])
@pytest.mark.parametrize("kernel_size", KERNELS, ids=str)
@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_convolution_equals_that_of_scipy(frame, kernel_size, oversample, padding):
    grid = Grid(*frame, 0.2, oversample, padding)
    image = uniform((2, *grid.fine_shape), -1, 1, 1)
    kernel = uniform((2, *kernel_size), 0, 1, 2)
    expected = torch.stack([same_size(a, k) for a, k in zip(image, kernel, strict=True)])
    tolerance = {"rtol": 1e-9, "atol": 1e-9}
    torch.testing.assert_close(convolve(image, kernel), expected, **tolerance)
    pixels = bin_to_pixels(expected, grid)
    assert pixels.shape == (2, *frame)
    torch.testing.assert_close(observe_noiseless(image, kernel, grid), pixels, **tolerance)
    shared = observe_noiseless(image, kernel[0], grid)
    torch.testing.assert_close(shared[0], pixels[0], **tolerance)


def same_size(image, kernel):
    """Convolution cut to the size of the image, whichever of the two is larger."""
    full = scipy_convolve(image.numpy(), kernel.numpy(), mode="full")
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    inner = full[top : top + image.shape[0], left : left + image.shape[1]]
    return torch.as_tensor(inner.copy())


def test_planes_are_observed_as_each_alone():
    grid = Grid(6, 9, 0.2, oversample=3, padding=2)
    planes = [uniform((4, *grid.fine_shape), 0, 1, k) for k in range(3)]
    kernel = uniform((4, 7, 7), 0, 1, 9)
    for plane, observed in zip(planes, observe_planes(planes, kernel, grid), strict=True):
        torch.testing.assert_close(observed, observe_noiseless(plane, kernel, grid))


def test_sub_pixels_add_up_to_their_pixel():
    grid = Grid(2, 3, 0.2, oversample=2, padding=1)
    image = torch.arange(80.0).reshape(1, 8, 10)
    first = image[0, 2:4, 2:4].sum()
    pixels = bin_to_pixels(image, grid)
    assert pixels.shape == (1, 2, 3)
    torch.testing.assert_close(pixels[0, 0, 0], first)
    torch.testing.assert_close(pixels.sum(), image[:, 2:-2, 2:-2].sum())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [0, 1, 7])
def test_batches_of_any_size_are_rendered_as_image_by_image(n, dtype, monkeypatch):
    grid = Grid(9, 14, 0.2, oversample=3, padding=2)
    lens, source = draw_lenses(n, 1, dtype), draw_sersics(n, 2, n_component=2, dtype=dtype)
    kernel = uniform((n, 5, 5), 0, 1, 3).to(dtype)
    rows, columns = grid.fine_shape
    # three images at a time
    monkeypatch.setattr(rendering, "_RAYS_IN_CACHE", 3.1 * rows * columns / torch.get_num_threads())

    def draw(part):
        light = render_lensed(grid, lens[part], source[part]) + render_light(grid, source[part])
        return light, observe_noiseless(light, kernel[part], grid)

    for mode in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        with mode():
            together = draw(slice(0, n))
            alone = [draw(slice(k, k + 1)) for k in range(n)]
        assert together[0].shape == (n, *grid.fine_shape)
        assert together[1].shape == (n, 9, 14)
        assert together[0].dtype == together[1].dtype == dtype
        for which in range(2):
            for k in range(n):
                # vectorised and scalar code of one function differ in the last digits
                torch.testing.assert_close(
                    together[which][k : k + 1], alone[k][which], rtol=1e-5, atol=1e-6
                )


def test_one_kernel_of_a_batch_of_one_serves_all_images():
    grid = Grid(4, 5, 0.2, oversample=2)
    image = uniform((6, *grid.fine_shape), 0, 1, 1)
    kernel = uniform((1, 3, 3), 0, 1, 2)
    torch.testing.assert_close(
        observe_noiseless(image, kernel, grid), observe_noiseless(image, kernel[0], grid)
    )


def test_finer_centers_change_nothing_far_from_the_centre_and_keep_off_frame_light_off():
    grid = Grid(11, 12, 0.2, oversample=2)
    galaxy = draw_sersics(3, 4, n_sersic=(4.0, 5.0), x_center=(0.3, 0.5))
    plain = render_light(replace(grid, center_oversample=1), galaxy)
    finer = render_light(grid, galaxy)
    assert int(((finer - plain).abs() > 1e-12).sum(dim=(1, 2)).max()) <= 25
    far = draw_sersics(3, 4, x_center=(50.0, 51.0))
    torch.testing.assert_close(
        render_light(grid, far), render_light(replace(grid, center_oversample=1), far)
    )


def test_finer_centers_bring_the_flux_of_a_steep_galaxy_closer_to_its_own():
    galaxy = draw_sersics(4, 5, n_sersic=(3.0, 4.0), r_eff=(0.3, 0.6))
    fine = Grid(40, 40, 0.2, oversample=24)
    truth = render_light(replace(fine, center_oversample=32), galaxy).sum(dim=(1, 2))
    coarse = replace(fine, oversample=3)
    finer = render_light(coarse, galaxy).sum(dim=(1, 2))
    plain = render_light(replace(coarse, center_oversample=1), galaxy).sum(dim=(1, 2))
    assert ((finer - truth).abs() < 0.2 * (plain - truth).abs()).all()


def test_finer_ridges_bring_the_flux_of_a_small_lensed_source_closer_to_its_own():
    lens, source = draw_lenses(4, 6), draw_sersics(4, 6, r_eff=(0.05, 0.1))
    fine = Grid(30, 30, 0.2, oversample=32, center_oversample=1)
    truth = render_lensed(fine, lens, source).sum(dim=(1, 2))
    coarse = Grid(30, 30, 0.2, oversample=2)
    finer = render_lensed(coarse, lens, source).sum(dim=(1, 2))
    plain = render_lensed(replace(coarse, center_oversample=1), lens, source).sum(dim=(1, 2))
    assert ((finer - truth).abs() / truth).median() < 0.01
    assert ((finer - truth).abs() / truth).median() < 0.2 * ((plain - truth).abs() / truth).median()


@pytest.mark.parametrize("flux", [0.0, -5.0])
def test_a_source_without_light_or_out_of_sight_is_rendered(flux):
    lens = draw_lenses(2, 7)
    dark = draw_sersics(2, 7, flux=(flux, flux))
    far = draw_sersics(2, 7, x_center=(90.0, 91.0))
    for source in (dark, far):
        image = render_lensed(Grid(6, 7, 0.2, oversample=2), lens, source)
        assert image.isfinite().all()


def test_lenses_and_sources_of_different_number_are_refused():
    with pytest.raises(WrongShapeError, match="2 lenses do not fit 3 sources"):
        render_lensed(Grid(4, 5, 0.2), draw_lenses(2, 1), draw_sersics(3, 1))


def test_an_image_of_another_frame_is_refused():
    with pytest.raises(WrongShapeError, match="8 x 9 does not fit"):
        bin_to_pixels(torch.zeros(1, 8, 9), Grid(4, 5, 0.2, oversample=2))


@pytest.mark.parametrize("size", [(2, 3), (3, 4)])
def test_a_kernel_without_a_central_pixel_is_refused(size):
    with pytest.raises(WrongShapeError, match="no central pixel"):
        convolve(torch.zeros(1, 5, 6), torch.ones(size))


@pytest.mark.parametrize(
    "fault",
    [
        {"height": 0},
        {"width": -1},
        {"pixel_scale": 0.0},
        {"pixel_scale": float("nan")},
        {"oversample": 0},
        {"padding": -1},
        {"center_oversample": 0},
    ],
    ids=str,
)
def test_a_frame_that_cannot_exist_is_refused(fault):
    with pytest.raises(OutOfRangeError, match="cannot be drawn"):
        Grid(**({"height": 4, "width": 5, "pixel_scale": 0.2} | fault))
