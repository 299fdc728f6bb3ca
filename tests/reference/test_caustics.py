"""A lens of caustics, if it is installed, as one member of our lens models."""

import pytest
import torch

from stronglens.lensing.raytrace import deflection, magnification, trace
from stronglens.lensing.records import CallableMass, MassProfile

caustics = pytest.importorskip("caustics", reason="caustics is compared where it is installed")

VALUES = {"theta_e": 1.3, "slope": 2.2, "q": 0.6, "phi": 0.7, "x_center": 0.1, "y_center": -0.2}


def caustics_lens():
    cosmology = caustics.FlatLambdaCDM(name="cosmology")
    values = {key: torch.tensor(value, dtype=torch.float64) for key, value in VALUES.items()}
    return caustics.EPL(
        cosmology=cosmology,
        z_l=0.5,
        z_s=1.5,
        x0=values["x_center"],
        y0=values["y_center"],
        q=values["q"],
        phi=values["phi"],
        Rein=values["theta_e"],
        t=values["slope"] - 1.0,
    )


# caustics 1.7.1 hands tensors to scipy
@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")
def test_a_caustics_lens_bends_light_in_our_ray_tracer_as_our_own_does():
    columns = {name: torch.tensor([v], dtype=torch.float64) for name, v in VALUES.items()}
    center = {name: columns[name] for name in ("x_center", "y_center")}
    gamma = {"gamma1": 0.1 * columns["q"], "gamma2": -0.05 * columns["q"]}
    theirs = CallableMass(caustics_lens().reduced_deflection_angle)
    own, shear = MassProfile("epl", columns), MassProfile("shear", gamma | center)
    x = torch.linspace(-2.0, 2.3, 20, dtype=torch.float64)[None, None]
    y = torch.linspace(-1.5, 1.7, 13, dtype=torch.float64)[None, :, None]
    for law in (deflection, trace):
        for found, expected in zip(
            law(x, y, [theirs, shear]), law(x, y, [own, shear]), strict=True
        ):
            assert found.shape == (1, 13, 20)
            # caustics stops its series after 18 terms
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    positions = torch.broadcast_tensors(x, y)
    found, expected = (magnification(*positions, [mass, shear]) for mass in (theirs, own))
    torch.testing.assert_close(1 / found, 1 / expected, rtol=0, atol=1e-3)
