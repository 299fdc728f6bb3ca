"""Distances against astropy, and the lensing relations built on them."""

import math

import numpy as np
import pytest
import torch
from astropy import units
from astropy.cosmology import FlatLambdaCDM

from stronglens.core.errors import OutOfRangeError
from stronglens.lensing import cosmology

PEER = FlatLambdaCDM(H0=70, Om0=0.3)
REDSHIFTS = np.concatenate([[1e-3, 0.01, 0.0999], np.linspace(0.1, 6, 60), [10.0, 19.99, 20.0]])
Z = torch.as_tensor(REDSHIFTS)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (cosmology.comoving_distance, PEER.comoving_distance),
        (cosmology.angular_diameter_distance, PEER.angular_diameter_distance),
        (cosmology.distance_modulus, PEER.distmod),
        (cosmology.comoving_volume_density, PEER.differential_comoving_volume),
    ],
    ids=["comoving", "angular diameter", "modulus", "volume"],
)
def test_distances_equal_those_of_astropy(ours, theirs):
    # astropy's closed form keeps seven digits at the smallest redshift
    np.testing.assert_allclose(ours(Z).numpy(), theirs(REDSHIFTS).value, rtol=1e-7)
    single = ours(Z.float())
    assert single.dtype == torch.float32
    # rounding the smallest redshift to single precision moves it by 6e-8 of itself
    np.testing.assert_allclose(single.numpy(), theirs(REDSHIFTS).value, rtol=1e-6)


def test_the_distance_between_two_redshifts_equals_that_of_astropy():
    z_lens, z_source = np.meshgrid(np.linspace(0.05, 1.5, 20), np.linspace(1.6, 6, 30))
    ours = cosmology.distance_ls(torch.as_tensor(z_lens), torch.as_tensor(z_source)).numpy()
    theirs = PEER.angular_diameter_distance(z_lens, z_source).value
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)
    assert ours.shape == z_lens.shape


def test_the_einstein_radius_follows_from_the_velocity_dispersion():
    """By astropy's constants; the second case is that of the seed notes: 0.93 arcsec."""
    z_lens, z_source = np.array([0.5, 0.7, 0.3]), np.array([1.5, 2.0, 1.0])
    sigma_v = np.array([250.0, 250.0, 250.0])
    ratio = PEER.angular_diameter_distance(z_lens, z_source)
    ratio = (ratio / PEER.angular_diameter_distance(z_source)).value
    expected = 4 * math.pi * (sigma_v / 299792.458) ** 2 * ratio * units.rad.to(units.arcsec)
    tensors = (torch.as_tensor(v) for v in (sigma_v, z_lens, z_source))
    found = cosmology.theta_e_from_sigma_v(*tensors).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    np.testing.assert_allclose(found, [1.02, 0.93, 1.15], atol=0.02)


def test_a_source_in_front_of_the_lens_is_not_lensed():
    one = torch.tensor([200.0])
    theta_e = cosmology.theta_e_from_sigma_v(one, torch.tensor([1.0]), torch.tensor([0.5]))
    assert float(theta_e) == 0.0
    assert float(cosmology.distance_ls(torch.tensor([1.0]), torch.tensor([0.5]))) < 0.0


def test_distances_can_be_differentiated():
    z = torch.tensor([0.2, 1.234, 3.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(cosmology.comoving_distance(z).sum(), z)
    expected = 299792.458 / PEER.H(z.detach().numpy()).value
    np.testing.assert_allclose(slope.numpy(), expected, rtol=1e-5)


def test_no_redshifts_give_no_distances():
    assert cosmology.comoving_distance(torch.zeros(0)).shape == (0,)


@pytest.mark.parametrize("z", [-0.1, 20.1, float("nan")])
def test_redshifts_outside_the_table_are_refused(z):
    with pytest.raises(OutOfRangeError, match="outside 0-20"):
        cosmology.comoving_distance(torch.tensor([0.5, z]))
