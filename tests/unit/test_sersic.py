"""Sersic profiles: b_n against scipy, the half-light radius by hand, records and refusals."""

import math

import numpy as np
import pytest
import torch
from lens_scenes import draw_sersics
from scipy.special import gammaincinv

from stronglens.core.errors import OutOfRangeError
from stronglens.light.sersic import (
    Sersics,
    central_brightness,
    coefficients,
    sersic_b,
    surface_brightness,
)

INDICES = np.concatenate([[0.2, 0.2001, 11.9999, 12.0], np.linspace(0.21, 11.99, 997)])


def test_b_n_solves_its_equation():
    exact = gammaincinv(2 * INDICES, 0.5)
    np.testing.assert_allclose(sersic_b(torch.as_tensor(INDICES)).numpy(), exact, rtol=1e-7)
    single = sersic_b(torch.as_tensor(INDICES, dtype=torch.float32))
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), exact, rtol=3e-6)


def test_the_linear_b_n_is_that_of_lenstronomy():
    from lenstronomy.LensModel.Profiles.sersic_utils import SersicUtil

    peer = [SersicUtil().b_n(n) for n in (1.0, 2.5, 4.0)]
    ours = sersic_b(torch.tensor([1.0, 2.5, 4.0]).double(), "linear")
    np.testing.assert_allclose(ours.numpy(), peer, rtol=1e-12)


@pytest.mark.parametrize("n_sersic", [0.1, 12.5, float("nan")])
def test_an_index_outside_the_table_is_refused(n_sersic):
    with pytest.raises(OutOfRangeError, match=r"n_sersic .* outside 0.2-12"):
        sersic_b(torch.tensor([[1.0], [n_sersic]]))


def test_an_exponential_disc_is_that_of_the_textbook():
    """By hand: I0 exp(-r/h), total flux 2 pi h^2 I0, half of it inside 1.67835 h."""
    values = {"flux": 50.0, "r_eff": 1.6783469900166605, "n_sersic": 1.0, "q": 1.0}
    values |= {"phi": 0.3, "x_center": 0.5, "y_center": -1.0}
    disc = Sersics(*(torch.tensor([[value]], dtype=torch.float64) for value in values.values()))
    x = torch.tensor([[[0.5, 2.5]]], dtype=torch.float64)
    y = torch.tensor([[[-1.0, -1.0]]], dtype=torch.float64)
    expected = 50.0 / (2 * math.pi) * torch.tensor([1.0, math.exp(-2.0)], dtype=torch.float64)
    found = surface_brightness(x, y, disc)[0, 0]
    # the centre is flat below 1e-7 r_eff
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_the_isophotes_have_the_axis_ratio_and_angle_given():
    galaxy = draw_sersics(4, 11)
    q, phi, r_eff = galaxy.q[:, 0], galaxy.phi[:, 0], galaxy.r_eff[:, 0]
    along = r_eff * torch.cos(phi), r_eff * torch.sin(phi)
    across = -r_eff * q * torch.sin(phi), r_eff * q * torch.cos(phi)
    x = torch.stack([galaxy.x_center[:, 0] + v for v in (along[0], across[0])], dim=1)[:, None]
    y = torch.stack([galaxy.y_center[:, 0] + v for v in (along[1], across[1])], dim=1)[:, None]
    found = surface_brightness(x, y, galaxy)[:, 0]
    b_n = sersic_b(galaxy.n_sersic)
    at_r_eff = (central_brightness(galaxy, b_n) * torch.exp(-b_n)).expand(4, 2)
    torch.testing.assert_close(found, at_r_eff, rtol=1e-9, atol=0)


def test_brightness_at_rows_and_columns_equals_that_at_full_positions():
    galaxy = draw_sersics(3, 12, n_component=2)
    x, y = (
        torch.linspace(-2, 3, 7).double()[None, None],
        torch.linspace(-1, 2, 5).double()[None, :, None],
    )
    narrow = surface_brightness(x, y, galaxy)
    wide = surface_brightness(*torch.broadcast_tensors(x, y), galaxy)
    assert narrow.shape == (3, 5, 7)
    torch.testing.assert_close(narrow, wide)


def test_a_record_is_cut_counted_and_converted():
    galaxies = draw_sersics(5, 13, n_component=2)
    assert len(galaxies) == 5
    assert len(galaxies[1:3]) == 2
    picked = galaxies[torch.tensor([4, 0])]
    torch.testing.assert_close(picked.flux, galaxies.flux[[4, 0]])
    assert galaxies.to(torch.float32).q.dtype == torch.float32
    assert coefficients(galaxies).shape == (8, 5, 2, 1, 1)


def test_a_profile_without_images_is_empty():
    x = torch.zeros(1, 3, 4, dtype=torch.float64)
    assert surface_brightness(x, x, draw_sersics(2, 14)[:0]).shape == (0, 3, 4)
