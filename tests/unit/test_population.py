"""Draws of the population follow the distributions they name."""

import numpy as np
import torch

from stronglens.lensing.caustics import is_multiply_imaged
from stronglens.lensing.records import SieShear
from stronglens.simulation.population import draw_source_magnitudes, draw_systems
from stronglens.simulation.priors import Population

PRIORS = Population()


def _systems(n_blocks=4):
    blocks = [draw_systems(PRIORS, 1, "test", b, 250) for b in range(n_blocks)]
    return {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}


def test_every_system_is_multiply_imaged_and_inside_its_ranges():
    systems = _systems()
    names = ("theta_e", "q", "phi", "gamma1", "gamma2")
    zeros = torch.zeros(1000, dtype=torch.float64)
    lens = SieShear(
        **{n: torch.as_tensor(systems[n]) for n in names}, x_center=zeros, y_center=zeros
    )
    beta = torch.as_tensor(systems["x_source"]), torch.as_tensor(systems["y_source"])
    assert bool(is_multiply_imaged(lens, *beta).all())
    assert systems["theta_e"].min() > PRIORS.theta_e_min
    assert systems["theta_e"].max() < PRIORS.theta_e_max
    assert (systems["z_source"] > systems["z_lens"]).all()
    assert ((systems["q"] >= 0.2) & (systems["q"] <= 1)).all()


def test_source_positions_are_uniform_in_area():
    systems = _systems()
    # inside the caustic of a nearly round lens, beta^2 / theta_e^2 is uniform: median one half
    is_round = systems["q"] > 0.85
    ratio = np.hypot(systems["x_source"], systems["y_source"]) / systems["theta_e"]
    share = (ratio[is_round] ** 2 < 0.5).mean()
    # about 200 of them: three standard errors of a fraction of one half, and the caustic's shape
    assert 0.38 < share < 0.66


def test_counts_of_sources_rise_by_the_slope_of_the_table():
    magnitudes = draw_source_magnitudes(
        Population(source_mag_faint=27.0), np.linspace(0, 1, 20_001)
    )
    faint, bright = (magnitudes < 26).sum(), (magnitudes < 25).sum()
    # cumulative counts per square arcminute: 53.9 and 24.0, less 1.73 brighter than 22
    np.testing.assert_allclose(faint / bright, (53.9 - 1.73) / (24.0 - 1.73), rtol=0.02)


def test_blocks_differ_and_repeat():
    a, b = (draw_systems(PRIORS, 1, "test", block, 250)["theta_e"] for block in (0, 1))
    assert not np.array_equal(a, b)
    np.testing.assert_array_equal(a, draw_systems(PRIORS, 1, "test", 0, 250)["theta_e"])
