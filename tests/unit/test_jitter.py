"""Jitter: ranges, what bands have in common, and bands that are missing."""

import numpy as np
import pytest

from stronglens.core.errors import OutOfRangeError
from stronglens.simulation.jitter import SHARE, Jitter, draw_jitter

N = 20_000
WAVELENGTH = np.array([480.0, 620.0, 770.0])


def drawn(settings=None, shape=(N, 3), seed=1, wavelength=None):
    return draw_jitter(settings or Jitter(), shape, np.random.default_rng(seed), wavelength)


def fields(draw):
    return {name: getattr(draw, name) for name in draw.__dataclass_fields__}


@pytest.mark.parametrize("n_band", [1, 3])
def test_everything_lies_in_its_range_and_reaches_for_its_ends(n_band):
    draw = drawn(shape=(N, n_band))
    ranges = {
        "fwhm_factor": (0.8, 1.2),
        "beta": (2.0, 4.0),
        "zero_point_shift": (-0.1, 0.1),
        "noise_factor": (0.7, 1.5),
    }
    for name, (low, high) in ranges.items():
        values = getattr(draw, name)
        assert values.min() >= low - 1e-9
        assert values.max() <= high + 1e-9
        assert np.ptp(values) > 0.85 * (high - low)
    for x, y, largest in ((draw.e1, draw.e2, 0.06), (draw.x_shift, draw.y_shift, 0.3)):
        length = np.hypot(x, y)
        assert length.max() <= largest + 1e-9
        assert length.max() > 0.85 * largest
        assert abs(x.mean()) < 5 * largest / N**0.5
    assert all(values.shape == (N, n_band) for values in fields(draw).values())


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("fwhm_factor", "fwhm"),
        ("beta", "beta"),
        ("zero_point_shift", "zero_point"),
        ("e1", "ellipticity"),
        ("noise_factor", "noise"),
    ],
)
def test_bands_have_in_common_what_their_cause_is(name, cause):
    values = getattr(drawn(), name)
    share = SHARE[cause]
    expected = share**2 / (share**2 + (1 - share) ** 2)
    measured = np.corrcoef(np.log(values) if name == "noise_factor" else values, rowvar=False)
    # 5 standard errors of a correlation of 20,000 pairs
    assert abs(measured[0, 1] - expected) < 5 / N**0.5
    assert abs(measured[1, 2] - expected) < 5 / N**0.5


def test_bands_are_shifted_independently():
    shift = drawn().x_shift
    assert abs(np.corrcoef(shift, rowvar=False)[0, 2]) < 5 / N**0.5


def test_seeing_falls_with_wavelength_where_one_width_serves_all_bands():
    law = drawn(wavelength=WAVELENGTH).fwhm_factor / drawn().fwhm_factor
    np.testing.assert_allclose(law[0, 0] / law[0, 2], (770 / 480) ** 0.2)
    np.testing.assert_allclose(np.prod(law, axis=1), 1.0)


def test_bands_are_missing_as_often_as_stated_and_never_all():
    missing = drawn(Jitter(missing_band=0.1)).is_missing
    assert abs(missing.mean() - 0.1) < 5 * (0.09 / missing.size) ** 0.5
    always = drawn(Jitter(missing_band=1.0)).is_missing
    assert (always.sum(axis=1) == 2).all()
    # the one that stays is any of them
    assert (~always).mean(axis=0).min() > 0.3
    assert not drawn(Jitter(missing_band=1.0), (50, 1)).is_missing.any()
    assert not drawn(Jitter(missing_band=0.0)).is_missing.any()


def test_no_jitter_changes_nothing():
    still = Jitter(0.0, 3.0, 3.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0)
    draw = drawn(still, (5, 2))
    np.testing.assert_allclose(draw.fwhm_factor, 1.0)
    np.testing.assert_allclose(draw.noise_factor, 1.0)
    np.testing.assert_allclose(draw.beta, 3.0)
    for values in (draw.e1, draw.e2, draw.x_shift, draw.y_shift, draw.zero_point_shift):
        assert not values.any()


def test_the_same_seed_gives_the_same_jitter_and_another_does_not():
    one, other, third = (fields(drawn(shape=(9, 3), seed=seed)) for seed in (5, 5, 6))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert not np.array_equal(one["beta"], third["beta"])


@pytest.mark.parametrize("shape", [(0, 3), (1, 1)])
def test_few_images_and_bands_are_fine(shape):
    assert all(values.shape == shape for values in fields(drawn(shape=shape)).values())


@pytest.mark.parametrize(
    "fault", [{"fwhm": 1.0}, {"beta_min": 5.0}, {"missing_band": 1.2}, {"noise_min": 0.0}], ids=str
)
def test_impossible_settings_are_refused(fault):
    with pytest.raises(OutOfRangeError, match=next(iter(fault))):
        Jitter(**fault).check()


def test_wavelengths_of_other_bands_are_refused():
    with pytest.raises(OutOfRangeError, match="for 2 bands"):
        drawn(shape=(4, 2), wavelength=WAVELENGTH)
