"""What every registered light profile must do; a new one is tested by existing."""

import math

import pytest
import torch
from jaxtyping import TypeCheckError

from stronglens.core.errors import OutOfRangeError, UnknownNameError
from stronglens.light import lights
from stronglens.light.records import LightComponent

VALUES = {
    "r_eff": 0.4,
    "n_sersic": 1.3,
    "sigma": 0.3,
    "radius": 0.6,
    "width": 0.2,
    "asymmetry": 0.5,
    "asymmetry_phase": 1.0,
    "n_arms": 2.0,
    "pitch": -0.3,
    "arm_contrast": 0.8,
    "arm_phase": 0.4,
    "arm_onset": 0.15,
    "pixel_scale": 0.12,
    "scale": 0.9,
    "q": 0.6,
    "phi": 0.8,
    "x_center": 0.21,
    "y_center": -0.13,
}
LENGTHS = ("r_eff", "sigma", "radius", "width", "arm_onset", "pixel_scale", "x_center", "y_center")
WHOLE = ("n_arms",)


@pytest.fixture(params=lights.names())
def name(request):
    return request.param


def parameters_of(name, n=2, dtype=torch.float64, device="cpu", **changes):
    """Parameters that differ from image to image by up to a fifth."""
    vary = torch.linspace(0.9, 1.1, n, dtype=dtype, device=device)
    values = {}
    for key in lights.get(name).parameters:
        if key == "image":
            generator = torch.Generator().manual_seed(5)
            image = torch.rand(n, 9, 13, generator=generator, dtype=torch.float64)
            values[key] = image.to(device=device, dtype=dtype)
        else:
            value = (VALUES | changes)[key]
            values[key] = torch.full_like(vary, value) if key in WHOLE else value * vary
    return values


def frame(width=34, height=21, half=2.0, dtype=torch.float64, device="cpu"):
    """Row and column of positions that broadcast to (1, height, width), shifted off the centre."""
    make = {"dtype": dtype, "device": device}
    x = torch.linspace(-half, half, width, **make)[None, None, :]
    y = torch.linspace(-half, half, height, **make)[None, :, None]
    return x, y


def test_results_have_the_shape_precision_and_device_of_the_positions(name, shape_case):
    where = {"dtype": shape_case.dtype, "device": shape_case.device}
    centers = {"x_center": shape_case.x_center, "y_center": shape_case.y_center}
    x, y = frame(shape_case.width, shape_case.height, **where)
    component = LightComponent(name, parameters_of(name, shape_case.n, **where, **centers))
    found = component.brightness(x, y)
    assert found.shape == (shape_case.n, shape_case.height, shape_case.width)
    assert found.dtype == shape_case.dtype
    assert found.device.type == shape_case.device
    assert found.isfinite().all()
    assert (found >= 0).all()
    assert len(component) == shape_case.n


def test_the_flux_is_one_analytically(name):
    """Points 0.02 arcsec apart over 16 arcsec.

    Gaussian light is summed to rounding; the cusps of Sersics and discs, the kinks of an image
    between pixels and the light beyond 8 arcsec leave up to 4e-5.
    """
    n = 801
    x, y = frame(n, n, half=8.0)
    step = float(x[0, 0, 1] - x[0, 0, 0])
    found = lights.get(name).brightness(x, y, **parameters_of(name))
    torch.testing.assert_close(
        found.sum(dim=(1, 2)) * step**2, torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-4
    )


def test_moving_the_centre_moves_the_light(name):
    x, y = frame()
    here, there = parameters_of(name), parameters_of(name)
    there["x_center"], there["y_center"] = here["x_center"] + 0.7, here["y_center"] - 1.1
    profile = lights.get(name)
    torch.testing.assert_close(
        profile.brightness(x + 0.7, y - 1.1, **there), profile.brightness(x, y, **here)
    )


def test_adding_to_phi_turns_the_light_counter_clockwise(name):
    x, y = (axis.expand(2, 21, 34) for axis in frame())
    turned_by = 0.9
    cos, sin = math.cos(turned_by), math.sin(turned_by)
    before = parameters_of(name, x_center=0.0, y_center=0.0)
    after = before | {"phi": before["phi"] + turned_by}
    profile = lights.get(name)
    torch.testing.assert_close(
        profile.brightness(x * cos - y * sin, x * sin + y * cos, **after),
        profile.brightness(x, y, **before),
    )


def test_light_twice_as_large_is_a_quarter_as_bright(name):
    x, y = frame()
    small = parameters_of(name)
    large = {key: value * (2.0 if key in LENGTHS else 1.0) for key, value in small.items()}
    profile = lights.get(name)
    torch.testing.assert_close(
        4.0 * profile.brightness(2.0 * x, 2.0 * y, **large), profile.brightness(x, y, **small)
    )


def test_single_precision_agrees_with_double(name):
    x, y = frame()
    double = parameters_of(name)
    single = LightComponent(name, double).to(torch.float32)
    exact = lights.get(name).brightness(x, y, **double)
    found = single.brightness(x.float(), y.float())
    assert found.dtype == torch.float32
    # some fifty operations of 6e-8 each, multiplied by the arms' and images' gradients
    assert ((found - exact).abs().amax((1, 2)) < 1e-5 * exact.amax((1, 2))).all()


def test_an_image_does_not_depend_on_its_neighbours_in_the_batch(name):
    x, y = frame()
    component = LightComponent(name, parameters_of(name, n=3))
    together = component.brightness(x, y)
    for k in range(3):
        alone = component[k : k + 1].brightness(x, y)
        torch.testing.assert_close(together[k : k + 1], alone)


def test_full_positions_give_what_rows_and_columns_give(name):
    x, y = frame()
    component = LightComponent(name, parameters_of(name))
    full = component.brightness(x.expand(2, 21, 34).clone(), y.expand(2, 21, 34).clone())
    torch.testing.assert_close(full, component.brightness(x, y))


def test_gradients_agree_with_finite_differences(name):
    generator = torch.Generator().manual_seed(3)
    x, y = (torch.rand(2, 2, 3, generator=generator, dtype=torch.float64) + 0.2 for _ in "xy")
    parameters = {k: v for k, v in parameters_of(name).items() if k not in WHOLE}
    fixed = {k: v for k, v in parameters_of(name).items() if k in WHOLE}
    leaves = [leaf.requires_grad_() for leaf in (x, y, *parameters.values())]

    def brightness(x, y, *values):
        given = dict(zip(parameters, values, strict=True))
        return lights.get(name).brightness(x, y, **given, **fixed)

    assert torch.autograd.gradcheck(brightness, leaves, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_finite_at_the_centre_and_far_away(name, dtype):
    parameters = parameters_of(name, n=1, dtype=dtype)
    for value in parameters.values():
        value.requires_grad_()
    center = (parameters["x_center"].detach(), parameters["y_center"].detach())
    offset = torch.tensor([[[0.0, 1e-9, 1e-3, 1e3, 1e6]]], dtype=dtype)
    x, y = ((middle + offset).requires_grad_() for middle in center)
    found = lights.get(name).brightness(x, y, **parameters)
    found.sum().backward()
    assert found.isfinite().all()
    assert found[0, 0, 0] > 0
    for leaf in (x, y, *parameters.values()):
        assert leaf.grad.isfinite().all()


def test_inputs_are_left_as_they_were_in_inference_mode_too(name):
    x, y = frame()
    parameters = parameters_of(name)
    inputs = [x, y, *parameters.values()]
    before = [value.clone() for value in inputs]
    with torch.inference_mode():
        lights.get(name).brightness(x, y, **parameters)
    assert all(torch.equal(now, then) for now, then in zip(inputs, before, strict=True))


def test_positions_of_another_batch_size_are_refused(name):
    x = torch.rand(3, 4, 5, dtype=torch.float64)
    with pytest.raises((TypeCheckError, RuntimeError)):
        lights.get(name).brightness(x, x, **parameters_of(name, n=2))


def test_missing_and_unknown_parameters_are_named(name):
    parameters = parameters_of(name)
    parameters["radios"] = parameters.pop("phi")
    with pytest.raises(UnknownNameError, match=r"missing \['phi'\], unknown \['radios'\]"):
        LightComponent(name, parameters)


def test_an_unknown_profile_is_answered_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match=r"light profile 'sersik'. Did you mean 'sersic'"):
        lights.get("sersik")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("spiral", {"n_arms": 2.5}, "n_arms=.*whole"),
        ("spiral", {"n_arms": 0.0}, "n_arms=.*below 1"),
        ("spiral", {"arm_contrast": 1.2}, "arm_contrast=.*0-1"),
        ("spiral", {"arm_contrast": float("nan")}, "arm_contrast=.*0-1"),
        ("sersic", {"n_sersic": 20.0}, "n_sersic.*outside"),
    ],
)
def test_numbers_that_break_a_profile_are_refused(name, change, message):
    x, y = frame()
    with pytest.raises(OutOfRangeError, match=message):
        lights.get(name).brightness(x, y, **parameters_of(name, **change))


def test_an_image_without_light_is_refused():
    x, y = frame()
    parameters = parameters_of("pixelated")
    parameters["image"] = -parameters["image"]
    with pytest.raises(OutOfRangeError, match="sums above zero"):
        lights.get("pixelated").brightness(x, y, **parameters)
