"""Light profiles against lenstronomy, where it has the same, and against sums by hand."""

import math

import numpy as np
import pytest
import torch
from lens_scenes import draw_sersics
from lenstronomy.LightModel.Profiles.gaussian import GaussianEllipse
from lenstronomy.LightModel.Profiles.interpolation import Interpol

from stronglens.core.conventions import ellipticity_from_axis_ratio
from stronglens.light.records import LightComponent
from stronglens.light.sersic import surface_brightness

N = 4


def positions(height=23, width=36):
    generator = torch.Generator().manual_seed(2)
    shape = (1, height, width)
    return tuple(3.0 * torch.rand(shape, generator=generator).double() - 1.5 for _ in "xy")


def varied(low, high):
    return torch.linspace(low, high, N, dtype=torch.float64)


PLACES = {"phi": varied(-1.2, 2.0), "x_center": varied(-0.3, 0.4), "y_center": varied(0.5, -0.2)}


def test_gaussian_equals_that_of_lenstronomy():
    x, y = positions()
    values = {"sigma": varied(0.2, 0.9), "q": varied(0.3, 0.99), **PLACES}
    ours = LightComponent("gaussian", values).brightness(x, y).numpy()
    e1, e2 = ellipticity_from_axis_ratio(values["q"], values["phi"])
    for k in range(N):
        theirs = GaussianEllipse().function(
            *(x[0].numpy(), y[0].numpy(), 1.0),
            *(float(values["sigma"][k] * values["q"][k] ** 0.5), float(e1[k]), float(e2[k])),
            *(float(values["x_center"][k]), float(values["y_center"][k])),
        )
        # exponents are cut at -70
        np.testing.assert_allclose(ours[k], theirs, rtol=1e-10, atol=1e-28)


@pytest.mark.parametrize(("height", "width"), [(12, 17), (15, 8)])
def test_pixelated_light_equals_the_interpolation_of_lenstronomy(height, width):
    x, y = positions()
    image = torch.rand(N, height, width, generator=torch.Generator().manual_seed(4)).double()
    scale = varied(0.6, 1.5)
    values = {"image": image, "pixel_scale": torch.full_like(scale, 0.15), "scale": scale, **PLACES}
    ours = LightComponent("pixelated", values).brightness(x, y).numpy()
    for k in range(N):
        side = 0.15 * float(scale[k])
        theirs = Interpol().function(
            *(x[0].numpy().ravel(), y[0].numpy().ravel(), image[k].numpy()),
            *(1.0, float(PLACES["x_center"][k]), float(PLACES["y_center"][k])),
            *(float(PLACES["phi"][k]), side),
        )
        expected = theirs.reshape(ours[k].shape) / (float(image[k].sum()) * side**2)
        # values are about one; both are zero from one pixel outside
        np.testing.assert_allclose(ours[k], expected, atol=1e-10)


def test_registered_sersic_is_the_sersic_of_the_renderer():
    x, y = positions()
    galaxies = draw_sersics(N, 3, flux=(1.0, 1.0))
    names = ("r_eff", "n_sersic", "q", "phi", "x_center", "y_center")
    component = LightComponent("sersic", {name: getattr(galaxies, name)[:, 0] for name in names})
    assert torch.equal(component.brightness(x, y), surface_brightness(x, y, galaxies))


def spiral(**changes):
    values = {"r_eff": 0.5, "n_arms": 3.0, "pitch": 0.35, "arm_contrast": 1.0, "arm_phase": 0.6}
    values |= {"arm_onset": 0.2, "q": 1.0, "phi": 0.0, "x_center": 0.0, "y_center": 0.0} | changes
    return LightComponent(
        "spiral", {k: torch.tensor([v], dtype=torch.float64) for k, v in values.items()}
    )


def on_circle(radius, n=720):
    angle = torch.arange(n, dtype=torch.float64) * (2.0 * math.pi / n)
    return angle, radius * torch.cos(angle)[None, None], radius * torch.sin(angle)[None, None]


@pytest.mark.parametrize("radius", [0.03, 0.3, 0.5, 1.7])
def test_arms_move_light_along_circles_only(radius):
    """The mean over a circle is that of the disc: flux and half-light radius do not change."""
    _, x, y = on_circle(radius)
    h = 0.5 / 1.6783469900166605
    disc = math.exp(-radius / h) / (2.0 * math.pi * h * h)
    # 720 equal steps integrate exp(2 cos 3a) exactly
    assert float(spiral().brightness(x, y).mean()) == pytest.approx(disc, rel=1e-12)


@pytest.mark.parametrize("n_arms", [2, 3, 4])
def test_arms_stand_where_the_logarithmic_spiral_says(n_arms):
    radius = 1.1
    angle, x, y = on_circle(radius, n=36000)
    light = spiral(n_arms=float(n_arms), arm_onset=1e-4).brightness(x, y)[0, 0]
    is_crest = (light > light.roll(1)) & (light > light.roll(-1))
    crests = torch.sort(angle[is_crest]).values
    assert len(crests) == n_arms
    expected = 0.6 + math.log(radius / 0.5) / math.tan(0.35)
    period = 2.0 * math.pi / n_arms
    miss = (crests - expected + 0.5 * period) % period - 0.5 * period
    # one step of the circle is 1.7e-4 rad
    assert miss.abs().max() < 2e-4


def test_a_spiral_without_contrast_is_the_exponential_sersic():
    x, y = positions()
    disc = {
        key: torch.tensor([value], dtype=torch.float64)
        for key, value in {"r_eff": 0.5, "q": 0.6}.items()
    }
    place = {key: value[:1] for key, value in PLACES.items()}
    plain = spiral(arm_contrast=0.0, q=0.6).parameters | place
    sersic = disc | place | {"n_sersic": torch.ones(1).double()}
    torch.testing.assert_close(
        LightComponent("spiral", plain).brightness(x, y),
        LightComponent("sersic", sersic).brightness(x, y),
        # b_n from a table, good to 1e-7, times radii of some ten scale lengths
        rtol=1e-5,
        atol=0,
    )


def test_the_bright_side_of_a_ring_lies_at_its_phase():
    values = {"radius": 1.0, "width": 0.1, "asymmetry": 0.7, "asymmetry_phase": 2.0, "q": 1.0}
    values |= {"phi": 0.5, "x_center": 0.0, "y_center": 0.0}
    ring = LightComponent(
        "ring", {k: torch.tensor([v], dtype=torch.float64) for k, v in values.items()}
    )
    angle, x, y = on_circle(1.0, n=3600)
    light = ring.brightness(x, y)[0, 0]
    assert float(angle[light.argmax()]) == pytest.approx(2.5, abs=2e-3)
    # (1 + a c) / (1 - a c) with c = 1 / sqrt(1 + 0.1^2)
    share = 0.7 / math.sqrt(1.01)
    assert float(light.max() / light.min()) == pytest.approx((1 + share) / (1 - share), rel=1e-6)
    _, near_x, near_y = on_circle(0.9)
    ratio = ring.brightness(near_x, near_y).mean() / light.mean()
    assert float(ratio) == pytest.approx(math.exp(-0.5), rel=1e-9)
