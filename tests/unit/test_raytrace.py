"""Lens models with a deflection of the user's own among their members."""

import pytest
import torch

from stronglens.core.errors import UnknownNameError, WrongShapeError
from stronglens.lensing.raytrace import deflection, magnification, trace
from stronglens.lensing.records import CallableMass, MassProfile

X = torch.linspace(-1.5, 2.0, 9, dtype=torch.float64)[None, None, :]
Y = torch.linspace(-1.0, 1.2, 6, dtype=torch.float64)[None, :, None]
SIS = MassProfile(
    "sis",
    {name: torch.tensor([1.1, 0.7]).double() for name in ("theta_e", "x_center", "y_center")},
)


def sheet(x, y):
    """A sheet of convergence 0.2."""
    return 0.2 * x, 0.2 * y


def toy_sphere(x, y):
    """Another isothermal sphere, written without batches."""
    radius = torch.hypot(x - 0.1, y + 0.2)
    return 0.9 * (x - 0.1) / radius, 0.9 * (y + 0.2) / radius


@pytest.mark.parametrize("place", [0, 1])
def test_a_callable_adds_its_deflection_wherever_it_stands(place):
    lens_model = [SIS]
    lens_model.insert(place, CallableMass(sheet))
    alpha, beta = deflection(X, Y, lens_model), trace(X, Y, lens_model)
    alone = deflection(X, Y, [SIS])
    for axis, position in enumerate((X, Y)):
        assert alpha[axis].shape == (2, 6, 9)
        torch.testing.assert_close(alpha[axis], alone[axis] + 0.2 * position)
        torch.testing.assert_close(beta[axis], position - alpha[axis])


def test_a_callable_that_returns_what_it_was_given_changes_nothing_else():
    x, y = (axis.expand(1, 6, 9).contiguous() for axis in (X, Y))
    before = x.clone()
    alpha_x, _ = deflection(x, y, [CallableMass(lambda x, y: (x, y)), SIS])
    torch.testing.assert_close(alpha_x, before + deflection(x, y, [SIS])[0])
    assert torch.equal(x, before)


@pytest.mark.parametrize("inference", [False, True])
def test_a_callable_magnifies_as_the_registered_profile_does(inference):
    values = {"theta_e": 0.9, "x_center": 0.1, "y_center": -0.2}
    columns = {name: torch.tensor([v], dtype=torch.float64) for name, v in values.items()}
    own = MassProfile("sis", columns)
    positions = [axis.expand(1, 6, 9).contiguous() for axis in (X, Y)]
    with torch.inference_mode(inference):
        found = magnification(*positions, [CallableMass(toy_sphere)])
        torch.testing.assert_close(found, magnification(*positions, [own]))


def test_gradients_reach_the_parameters_inside_a_callable():
    strength = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    beta_x, _ = trace(X, Y, [CallableMass(lambda x, y: (strength * x, strength * y))])
    (gradient,) = torch.autograd.grad(beta_x.sum(), strength)
    torch.testing.assert_close(gradient, -6 * X.sum())


def test_some_images_keep_a_callable_whole_and_their_own_rows_of_a_profile():
    lens_model = [SIS, CallableMass(sheet)]
    both, second = deflection(X, Y, lens_model), deflection(X, Y, [m[1:] for m in lens_model])
    torch.testing.assert_close(second[0], both[0][1:])


def test_a_callable_that_returns_another_shape_is_refused():
    mass = CallableMass(lambda x, y: (x[..., 1:], y[..., 1:]))
    with pytest.raises(WrongShapeError, match=r"shapes \(1, 6, 8\) and .* shape \(1, 6, 9\)"):
        trace(X, Y, [mass])


def test_an_unknown_profile_is_named_when_it_is_traced():
    with pytest.raises(UnknownNameError, match=r"unknown mass profile 'epI'. Did you mean 'epl'"):
        trace(X, Y, [MassProfile("epI", {})])
