"""Clumps: where they lie, how bright and large they are, and that a seed repeats them."""

import pytest
import torch

from stronglens.core.errors import OutOfRangeError
from stronglens.core.seeds import torch_generator
from stronglens.light.clumps import ClumpPriors, draw_clumps

DISC = {
    "r_eff": torch.tensor([0.4, 0.8], dtype=torch.float64),
    "q": torch.tensor([0.5, 0.9], dtype=torch.float64),
    "phi": torch.tensor([0.7, -0.4], dtype=torch.float64),
    "x_center": torch.tensor([0.3, -1.0], dtype=torch.float64),
    "y_center": torch.tensor([-0.2, 2.0], dtype=torch.float64),
}


def clumps(n, priors=None, disc=DISC):
    return draw_clumps(torch_generator(4, "clumps"), n, disc, priors or ClumpPriors())


def test_half_of_the_clumps_lie_inside_the_half_light_ellipse():
    many = clumps(20_000)
    for k in range(2):
        dx, dy = many.x_center[k] - DISC["x_center"][k], many.y_center[k] - DISC["y_center"][k]
        cos, sin = torch.cos(DISC["phi"][k]), torch.sin(DISC["phi"][k])
        u, v = dx * cos + dy * sin, (dy * cos - dx * sin) / DISC["q"][k]
        inside = (torch.hypot(u, v) < DISC["r_eff"][k]).double().mean()
        # five standard deviations of a share of one half of 20,000
        assert float(inside) == pytest.approx(0.5, abs=0.018)
        # seen face-on, no direction is preferred
        assert abs(float(torch.atan2(v, u).cos().mean())) < 0.025


@pytest.mark.parametrize("slope", [1.0, 2.0, 2.5])
def test_luminosities_follow_their_power_law(slope):
    priors = ClumpPriors(slope=slope, luminosity_range=50.0)
    share = clumps(20_000, priors).flux_share
    torch.testing.assert_close(share.sum(dim=1), torch.ones(2, dtype=torch.float64))
    relative = share / share.amin(dim=1, keepdim=True)
    assert 40.0 < float(relative.max()) < 50.1
    grid = torch.linspace(1.0, 50.0, 200_001, dtype=torch.float64)
    density = grid**-slope
    expected = float(density[grid > 5.0].sum() / density.sum())
    found = float((relative > 5.0).double().mean())
    assert found == pytest.approx(expected, abs=0.015)


def test_brighter_clumps_are_larger_and_none_is_larger_than_allowed():
    many = clumps(2000, ClumpPriors(relative_size=0.1))
    order = many.flux_share[0].argsort()
    assert (many.sigma[0, order].diff() >= 0).all()
    assert float(many.sigma[0].max()) == pytest.approx(0.1 * 0.4, rel=0.1)
    brightest, faintest = order[-1], order[0]
    ratio = many.flux_share[0, brightest] / many.flux_share[0, faintest]
    sizes = many.sigma[0, brightest] / many.sigma[0, faintest]
    assert float(sizes**2.72) == pytest.approx(float(ratio), rel=1e-6)


def test_the_same_seed_gives_the_same_clumps():
    assert torch.equal(clumps(7).x_center, clumps(7).x_center)
    assert not torch.equal(clumps(7).x_center[0], clumps(8).x_center[0, :7])


def test_a_clump_is_a_component_at_its_place():
    some = clumps(3)
    component = some.component(1)
    x, y = some.x_center[:, 1, None, None], some.y_center[:, 1, None, None]
    peak = component.brightness(x, y)[:, 0, 0]
    torch.testing.assert_close(peak, 1.0 / (2.0 * torch.pi * some.sigma[:, 1] ** 2))


def test_single_precision_is_kept():
    disc = {name: value[:1].float() for name, value in DISC.items()}
    assert clumps(5, disc=disc).sigma.dtype == torch.float32


@pytest.mark.parametrize("change", [{"luminosity_range": 1.0}, {"relative_size": 0.0}])
def test_impossible_priors_are_refused(change):
    with pytest.raises(OutOfRangeError, match="range must be above 1"):
        ClumpPriors(**change)
