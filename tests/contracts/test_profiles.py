"""What every registered mass profile must do; a new one is tested by existing."""

import inspect

import pytest
import torch
from jaxtyping import TypeCheckError

from stronglens.core.errors import UnknownNameError
from stronglens.lensing.profiles import profiles
from stronglens.lensing.raytrace import trace
from stronglens.lensing.records import MassProfile

LAWS = ("deflection", "potential", "convergence")
VALUES = {
    "theta_e": 1.1,
    "slope": 2.2,
    "r_scale": 1.7,
    "alpha_r_scale": 0.8,
    "a_m": 0.07,
    "phi_m": 0.3,
    "q": 0.6,
    "phi": 0.8,
    "x_center": 0.0,
    "y_center": 0.0,
    "gamma1": 0.05,
    "gamma2": -0.03,
}


@pytest.fixture(params=profiles.names())
def profile(request):
    return profiles.get(request.param)


def arguments(profile, case):
    """Positions and parameters of the sizes and precision of a case."""
    centers = {"x_center": case.x_center, "y_center": case.y_center}
    make = {"dtype": case.dtype, "device": case.device}
    x = torch.linspace(-3.0, 3.0, case.width, **make)[None, None, :]
    y = torch.linspace(-2.0, 2.5, case.height, **make)[None, :, None]
    x, y = (axis.expand(case.n, case.height, case.width) for axis in (x, y))
    chosen = {name: (VALUES | centers)[name] for name in profile.parameters}
    return x, y, {name: torch.full((case.n,), value, **make) for name, value in chosen.items()}


def values_of(profile, law, *positions, **parameters):
    """One tensor of a law's results, deflections stacked."""
    result = getattr(profile, law)(*positions, **parameters)
    return torch.stack(result) if law == "deflection" else result[None]


@pytest.mark.parametrize("law", LAWS)
def test_results_have_the_shape_precision_and_device_of_the_positions(profile, law, shape_case):
    x, y, parameters = arguments(profile, shape_case)
    result = values_of(profile, law, x, y, **parameters)
    assert result.shape[1:] == x.shape
    assert result.dtype == x.dtype
    assert result.device == x.device
    assert result.isfinite().all()


@pytest.mark.parametrize("law", LAWS)
def test_rows_and_columns_broadcast_to_the_full_frame(profile, law, shape_case):
    x, y, parameters = arguments(profile, shape_case)
    full = values_of(profile, law, x, y, **parameters)
    narrow = values_of(profile, law, x[:1, :1], y[:1, :, :1], **parameters) if len(x) else full
    torch.testing.assert_close(narrow, full)


@pytest.mark.parametrize("law", LAWS)
def test_an_image_does_not_depend_on_its_neighbours_in_the_batch(profile, law, shape_case):
    x, y, parameters = arguments(profile, shape_case)
    n = len(x)
    varied = {
        k: v * torch.linspace(0.8, 1.2, n, dtype=v.dtype, device=v.device)
        for k, v in parameters.items()
    }
    together = values_of(profile, law, x, y, **varied)
    for k in range(n):
        one = slice(k, k + 1)
        alone = values_of(
            profile, law, x[one], y[one], **{key: v[one] for key, v in varied.items()}
        )
        torch.testing.assert_close(together[:, one], alone)


@pytest.mark.parametrize("law", LAWS)
def test_a_position_that_is_not_a_number_spoils_itself_alone(profile, law):
    x = torch.tensor([[[0.3, float("nan"), 1.0]]])
    parameters = {name: torch.tensor([VALUES[name]]) for name in profile.parameters}
    result = values_of(profile, law, x, x.flip(-1), **parameters)[:, 0, 0]
    assert result[:, [0, 2]].isfinite().all()
    # convergence of a shear and of a point mass is zero wherever one looks
    assert result[:, 1].isnan().all() or not result.any()


@pytest.mark.parametrize("law", LAWS)
def test_inputs_are_left_as_they_were(profile, law):
    x, y = torch.rand(2, 3, 4), torch.rand(2, 3, 4)
    parameters = {name: torch.full((2,), VALUES[name]) for name in profile.parameters}
    inputs = [x, y, *parameters.values()]
    before = [value.clone() for value in inputs]
    values_of(profile, law, x, y, **parameters)
    trace(
        x,
        y,
        [
            MassProfile(name, parameters)
            for name in profiles.names()
            if profiles.get(name) is profile
        ],
    )
    assert all(torch.equal(now, then) for now, then in zip(inputs, before, strict=True))


@pytest.mark.parametrize("law", LAWS)
def test_gradients_agree_with_finite_differences(profile, law):
    generator = torch.Generator().manual_seed(3)
    positions = [torch.rand(2, 2, 3, generator=generator, dtype=torch.float64) + 0.2 for _ in "xy"]
    leaves = [torch.full((2,), VALUES[name], dtype=torch.float64) for name in profile.parameters]
    leaves = [leaf.requires_grad_() for leaf in (*positions, *leaves)]
    assert torch.autograd.gradcheck(getattr(profile, law), leaves, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("law", LAWS)
def test_gradients_are_finite_at_the_centre_and_beside_it(profile, law, dtype):
    distances = [0.0, 1e-20, 1e-12, 1e-8, 1e-7, 1.1e-7, 1e-6, 1e-4]
    x = torch.tensor([[distances, [-d for d in distances]]], dtype=dtype)
    leaves = [x, x.flip(-1)]
    leaves += [torch.tensor([VALUES[name]], dtype=dtype) for name in profile.parameters]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    named = dict(zip(profile.parameters, leaves[2:], strict=True))
    result = values_of(profile, law, *leaves[:2], **named)
    assert result.isfinite().all()
    if result.requires_grad:
        gradients = torch.autograd.grad(result.sum(), leaves, allow_unused=True)
        assert all(g is None or g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("law", LAWS)
def test_laws_work_in_inference_mode(profile, law):
    with torch.inference_mode():
        x = torch.rand(2, 3, 4)
        parameters = {name: torch.full((2,), VALUES[name]) for name in profile.parameters}
        assert values_of(profile, law, x, x, **parameters).isfinite().all()


@pytest.mark.parametrize("law", LAWS)
def test_the_parameters_named_are_the_arguments_in_their_order(profile, law):
    names = tuple(inspect.signature(getattr(profile, law)).parameters)
    assert names == ("x", "y", *profile.parameters)


def test_parameters_of_another_batch_size_are_refused(profile):
    x = torch.rand(2, 3, 4)
    parameters = {name: torch.full((3,), VALUES[name]) for name in profile.parameters}
    with pytest.raises((TypeCheckError, RuntimeError)):
        profile.deflection(x, x, **parameters)


def test_an_unknown_profile_is_answered_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match=r"mass profile 'siee'. Did you mean 'sie'"):
        profiles.get("siee")
