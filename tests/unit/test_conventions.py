"""Conversions: round trips by hypothesis, peers as witnesses, labels by hand."""

import math

import galsim
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lenstronomy.Util import param_util

from stronglens.core import conventions
from stronglens.core.errors import UnknownNameError

RATIOS = st.floats(0.05, 0.999)
ANGLES = st.floats(-1.5, 1.5)


@given(q=RATIOS, phi=ANGLES)
def test_ellipticity_is_that_of_lenstronomy_and_galsim(q, phi):
    e1, e2 = conventions.ellipticity_from_axis_ratio(q, phi)
    np.testing.assert_allclose((e1, e2), param_util.phi_q2_ellipticity(phi, q), atol=1e-12)
    shape = galsim.Shear(q=q, beta=phi * galsim.radians)
    np.testing.assert_allclose((e1, e2), (shape.g1, shape.g2), atol=1e-12)
    distortion = conventions.distortion_from_ellipticity(e1, e2)
    np.testing.assert_allclose(distortion, (shape.e1, shape.e2), atol=1e-12)


@given(q=RATIOS, phi=ANGLES)
def test_axis_ratio_and_angle_come_back_from_the_ellipticity(q, phi):
    e1, e2 = conventions.ellipticity_from_axis_ratio(q, phi)
    back = conventions.axis_ratio_from_ellipticity(e1, e2)
    np.testing.assert_allclose(back[0], q, rtol=1e-12)
    np.testing.assert_allclose(math.remainder(back[1] - phi, math.pi), 0, atol=1e-9)
    np.testing.assert_allclose(back[::-1], param_util.ellipticity2phi_q(e1, e2), atol=1e-12)


@given(gamma_ext=st.floats(1e-4, 0.5), phi_ext=ANGLES)
def test_shear_is_that_of_lenstronomy_and_comes_back(gamma_ext, phi_ext):
    gamma = conventions.shear_from_polar(gamma_ext, phi_ext)
    peer = param_util.shear_polar2cartesian(phi_ext, gamma_ext)
    np.testing.assert_allclose(gamma, peer, atol=1e-15)
    back = conventions.shear_to_polar(*gamma)
    np.testing.assert_allclose(back, (gamma_ext, phi_ext), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(back[::-1], param_util.shear_cartesian2polar(*gamma), rtol=1e-9)


@pytest.mark.parametrize("make", [torch.as_tensor, np.asarray], ids=["torch", "numpy"])
def test_arrays_of_both_kinds_give_what_single_numbers_give(make):
    q, phi = np.array([0.4, 0.8, 0.95]), np.array([-1.0, 0.0, 1.2])
    e1, e2 = conventions.ellipticity_from_axis_ratio(make(q), make(phi))
    assert type(e1) is type(make(q))
    back_q, back_phi = conventions.axis_ratio_from_ellipticity(e1, e2)
    np.testing.assert_allclose(back_q, q)
    np.testing.assert_allclose(back_phi, phi)
    for k in range(3):
        alone = conventions.ellipticity_from_axis_ratio(float(q[k]), float(phi[k]))
        np.testing.assert_allclose((float(e1[k]), float(e2[k])), alone)


def test_ellipticity_keeps_single_precision():
    e1, _ = conventions.ellipticity_from_axis_ratio(torch.tensor([0.5]), torch.tensor([0.1]))
    assert e1.dtype == torch.float32


@given(mag=st.floats(10, 35), zero_point=st.floats(20, 32))
def test_magnitudes_come_back_from_fluxes(mag, zero_point):
    flux = conventions.flux_from_magnitude(mag, zero_point)
    assert conventions.magnitude_from_flux(flux, zero_point) == pytest.approx(mag, abs=1e-9)


def test_a_magnitude_equal_to_the_zero_point_is_one_unit():
    flux = conventions.flux_from_magnitude(torch.tensor([30.0, 25.0]), 30.0)
    torch.testing.assert_close(flux, torch.tensor([1.0, 100.0]))
    torch.testing.assert_close(
        conventions.magnitude_from_flux(flux, 30.0), torch.tensor([30.0, 25.0])
    )


def test_the_width_of_a_gaussian_is_that_of_galsim():
    peer = galsim.Gaussian(fwhm=0.8).sigma
    assert conventions.fwhm_to_sigma(0.8) == pytest.approx(peer, rel=1e-12)


def test_position_angles_are_east_of_north():
    """North up, east left: an ellipse along y has 0, one towards the upper left has 45."""
    for phi, expected in ((math.pi / 2, 0.0), (0.75 * math.pi, 45.0), (math.pi / 4, -45.0)):
        assert conventions.position_angle_from_phi(phi) == pytest.approx(expected)
    assert conventions.position_angle_from_phi(0.0) == pytest.approx(-90.0)


@pytest.mark.parametrize("phi", [-1.5, 0.0, 0.7, math.pi / 2])
def test_angles_come_back_from_position_angles(phi):
    angle = conventions.position_angle_from_phi(phi)
    assert conventions.phi_from_position_angle(angle) == pytest.approx(phi)
    assert conventions.phi_from_position_angle(angle + 180.0) == pytest.approx(phi)


def test_a_good_mask_becomes_a_bad_one():
    good = np.array([True, False])
    assert conventions.bad_mask_from_good_mask(good).tolist() == [False, True]
    assert conventions.bad_mask_from_good_mask(torch.as_tensor(good)).tolist() == [False, True]


LABELS = {
    "theta_e": 1.2,
    "e1": 0.1,
    "e2": 0.2,
    "gamma1": 0.01,
    "gamma2": 0.02,
    "x_center": 0.3,
    "y_center": 0.4,
    "source_x": -0.1,
    "source_y": 0.05,
    "phi_source": 0.7,
    "position_angle": 20.0,
    "mag_lsst-g": 21.0,
}


def test_a_flip_changes_the_signs_it_should_and_no_other():
    flipped = conventions.flip_labels(LABELS)
    changed = {"e2": -0.2, "gamma2": -0.02, "x_center": -0.3, "source_x": 0.1}
    changed |= {"phi_source": math.pi - 0.7, "position_angle": -20.0}
    assert flipped == LABELS | changed
    flipped = conventions.flip_labels(LABELS, "y")
    changed = {"e2": -0.2, "gamma2": -0.02, "y_center": -0.4, "source_y": -0.05}
    changed |= {"phi_source": -0.7, "position_angle": 160.0}
    assert flipped == LABELS | changed


def test_a_quarter_turn_changes_the_signs_it_should_and_no_other():
    turned = conventions.turn_labels(LABELS, 1)
    changed = {"e1": -0.1, "e2": -0.2, "gamma1": -0.01, "gamma2": -0.02}
    changed |= {"x_center": 0.4, "y_center": -0.3, "source_x": 0.05, "source_y": 0.1}
    changed |= {"phi_source": 0.7 - math.pi / 2, "position_angle": -70.0}
    assert turned == LABELS | changed


def test_turns_and_flips_lead_back():
    def same(labels):
        angles = {"phi_source": math.pi, "position_angle": 180.0}
        for name, value in LABELS.items():
            difference = labels[name] - value
            period = angles.get(name)
            difference = math.remainder(difference, period) if period else difference
            assert difference == pytest.approx(0, abs=1e-12)

    turned = LABELS
    for _ in range(4):
        turned = conventions.turn_labels(turned, 1)
    same(turned)
    same(conventions.turn_labels(conventions.turn_labels(LABELS, 3), -3))
    same(conventions.flip_labels(conventions.flip_labels(LABELS)))
    # reversing both axes is half a turn
    both = conventions.flip_labels(conventions.flip_labels(LABELS, "x"), "y")
    same(conventions.turn_labels(both, 2))


def test_a_position_without_its_partner_cannot_be_turned():
    with pytest.raises(UnknownNameError, match="'x_center' cannot be turned without 'y_center'"):
        conventions.turn_labels({"x_center": 0.1}, 1)


def test_the_original_labels_stay_as_they_were():
    before = dict(LABELS)
    conventions.turn_labels(LABELS, 1)
    conventions.flip_labels(LABELS)
    assert before == LABELS
