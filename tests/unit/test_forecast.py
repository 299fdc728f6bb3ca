"""The forecast's parts: source catalogue, ideal lenses, strategies, noise law and cuts."""

import dataclasses

import numpy as np
import pytest
import torch

from stronglens.core.errors import OutOfRangeError, UnknownNameError
from stronglens.forecasting.counts import Sample, weighted_quantiles
from stronglens.forecasting.cuts import cuts_passed, difference_passes, is_separable, is_stretched
from stronglens.forecasting.deflectors import DeflectorPopulation
from stronglens.forecasting.frames import batches
from stronglens.forecasting.lenses import LensPopulation
from stronglens.forecasting.noise import StackedBand, highest_snr
from stronglens.forecasting.observations import FULL_SKY, observations
from stronglens.forecasting.observing import Watch, observe_without_gradients
from stronglens.forecasting.strategies import (
    STRATEGIES,
    Exposures,
    draw_exposures,
    largest_seeing,
    stack,
)
from stronglens.forecasting.task import Forecast
from stronglens.simulation.detectability import LensFacts, is_discoverable
from stronglens.simulation.source_catalogue import SourceCatalogue

# summary of the catalogue behind Collett 2015: galaxies per arcmin^2, of 238.4 in all
PER_ARCMIN2 = 34331 / 144.0
COUNTS_I = {22: 3.9, 23: 9.2, 24: 21.0, 25: 43.4, 26: 86.8, 27: 159.5, 28: 233.7}
COUNTS_G = {24: 9.95, 25: 24.0, 26: 53.9, 27: 108.0}
REDSHIFTS = {
    23: (0.47, 0.90, 1.60),
    24: (0.56, 1.06, 1.79),
    25: (0.60, 1.16, 2.03),
    26: (0.65, 1.30, 2.26),
    27: (1.04, 1.80, 2.73),
}
MEDIAN_M_R = {23: -21.1, 24: -20.6, 25: -19.9, 26: -19.1, 27: -18.7}
COLOURS = {
    (0.0, 0.5): (0.97, 0.35),
    (0.5, 1.0): (0.72, 0.73),
    (1.0, 1.5): (0.22, 0.31),
    (1.5, 2.0): (-0.08, 0.19),
    (2.0, 2.5): (-0.03, -0.06),
    (2.5, 3.0): (0.14, -0.08),
    (3.0, 4.0): (0.51, 0.01),
}


@pytest.fixture(scope="module")
def catalogue():
    """Many sources without preference for bright ones."""
    return SourceCatalogue(tilt=0.0).draw(np.random.default_rng(1), 300_000)


@pytest.fixture(scope="module")
def lenses():
    """A few hundred ideal lenses."""
    return LensPopulation().draw(np.random.default_rng(2), 600)


def _share(catalogue, band, limit):
    return PER_ARCMIN2 * np.mean(catalogue[f"mag_source_{band}"] < limit)


@pytest.mark.parametrize("limit", COUNTS_I)
def test_counts_in_i_are_those_of_the_table(catalogue, limit):
    # counting error of the draw at the bright end: 1.4 %
    assert _share(catalogue, "i", limit) == pytest.approx(COUNTS_I[limit], rel=0.04)


@pytest.mark.parametrize("limit", COUNTS_G)
def test_counts_in_g_follow_from_the_colours(catalogue, limit):
    assert _share(catalogue, "g", limit) == pytest.approx(COUNTS_G[limit], rel=0.05)


@pytest.mark.parametrize("bright", REDSHIFTS)
def test_redshifts_of_a_bin_have_the_quantiles_of_the_table(catalogue, bright):
    mag = catalogue["mag_source_i"]
    z = catalogue["z_source"][(mag > bright) & (mag < bright + 1)]
    assert np.percentile(z, [16, 50, 84]) == pytest.approx(REDSHIFTS[bright], rel=0.03)


def test_as_many_sources_are_distant_as_in_the_table(catalogue):
    assert np.mean(catalogue["z_source"] > 3.0) == pytest.approx(0.06, abs=0.01)


@pytest.mark.parametrize("bright", MEDIAN_M_R)
def test_absolute_magnitudes_have_the_medians_of_the_table(catalogue, bright):
    mag, z = catalogue["mag_source_i"], catalogue["z_source"]
    rows = (mag > bright) & (mag < bright + 1)
    found = SourceCatalogue().absolute_magnitude(mag[rows], z[rows])
    assert np.median(found) == pytest.approx(MEDIAN_M_R[bright], abs=0.06)


@pytest.mark.parametrize(("low", "high"), COLOURS)
def test_colours_have_the_medians_of_the_table(catalogue, low, high):
    rows = (catalogue["z_source"] > low) & (catalogue["z_source"] < high)
    g, r, i = (np.median(catalogue[f"mag_source_{band}"][rows]) for band in "gri")
    g_r, r_i = COLOURS[low, high]
    median = [
        np.median((catalogue[f"mag_source_{a}"] - catalogue[f"mag_source_{b}"])[rows])
        for a, b in (("g", "r"), ("r", "i"))
    ]
    # colours run on linearly inside a bin: its median lies where the curve bends
    assert median == pytest.approx([g_r, r_i], abs=0.12)
    assert np.isfinite([g, r, i]).all()


def test_preference_for_bright_sources_is_undone_by_the_weight(catalogue):
    tilted = SourceCatalogue(tilt=0.3).draw(np.random.default_rng(3), 200_000)
    weight = tilted["source_weight"]
    assert weight.mean() == pytest.approx(1.0, abs=0.02)
    for limit in (24, 26):
        bright = tilted["mag_source_i"] < limit
        assert bright.mean() > 1.5 * np.mean(catalogue["mag_source_i"] < limit)
        share = PER_ARCMIN2 * (weight * bright).mean()
        assert share == pytest.approx(COUNTS_I[limit], rel=0.04)


def test_deflectors_are_as_many_as_integrated_elsewhere():
    # 1.9026e-3 Mpc^-3 in 5.822e11 Mpc^3, both worked out by hand
    assert DeflectorPopulation().n_full_sky() == pytest.approx(1.108e9, rel=2e-3)


def test_preference_for_massive_deflectors_is_undone_by_the_weight():
    drawn = DeflectorPopulation().draw(np.random.default_rng(4), 200_000)
    plain = DeflectorPopulation(massive=0.0).draw(np.random.default_rng(4), 200_000)
    massive = drawn["sigma_v"] > 200.0
    share = (drawn["deflector_weight"] * massive).mean()
    assert share == pytest.approx(np.mean(plain["sigma_v"] > 200.0), rel=0.03)
    assert massive.mean() > 3 * share


def test_ideal_lenses_on_the_full_sky_are_within_five_per_cent_of_the_paper():
    n = 150_000
    found = LensPopulation().draw(np.random.default_rng(5), n)
    # sampling error 0.8 %
    assert found["weight"].sum() / n == pytest.approx(1.25e7, rel=0.05)


def test_ideal_lenses_have_their_source_behind_and_inside_the_einstein_radius(lenses):
    assert (lenses["z_source"] > lenses["z_lens"]).all()
    assert (np.hypot(lenses["x_source"], lenses["y_source"]) <= lenses["theta_e"]).all()


@pytest.mark.parametrize("name", observations.names())
def test_seeing_is_drawn_with_the_stated_quantiles(name):
    observation = observations.get(name)
    drawn = draw_exposures(observation, np.random.default_rng(6), 3000)
    for k, band in enumerate(observation.bands):
        low, median, high = np.percentile(np.log(drawn.seeing[:, k]), [5, 50, 95])
        spread = band.log_seeing
        assert median == pytest.approx(spread.median, abs=0.03)
        assert low == pytest.approx(spread.median - 1.645 * spread.below, abs=0.04)
        assert high == pytest.approx(spread.median + 1.645 * spread.above, abs=0.04)


def test_des_seeing_has_the_published_quantiles():
    drawn = draw_exposures(observations.get("des-dr2"), np.random.default_rng(7), 5000)
    assert np.percentile(drawn.seeing[:, 0], [5, 50, 95]) == pytest.approx(
        (0.99, 1.24, 1.65), rel=0.02
    )


@pytest.fixture
def exposures():
    """Two lenses, one band, three exposures."""
    seeing = np.array([[[0.6, 0.9, 1.4]], [[0.7, 0.8, 1.0]]])
    return Exposures(seeing, np.array([[[20.0, 21.0, 22.0]], [[21.0, 21.0, 21.0]]]))


def test_all_exposures_have_the_worst_seeing(exposures):
    stacks = stack(exposures, largest_seeing("all", np.ones(2), np.ones(2)), "all")
    assert stacks.psf_fwhm[:, 0].tolist() == [1.4, 1.0]
    assert stacks.n_kept[:, 0].tolist() == [3.0, 3.0]
    mean_flux = np.mean(10 ** (-0.4 * np.array([20.0, 21.0, 22.0])))
    assert stacks.sky[0, 0] == pytest.approx(-2.5 * np.log10(mean_flux))


def test_the_best_exposure_is_the_sharpest(exposures):
    stacks = stack(exposures, largest_seeing("best", np.ones(2), np.ones(2)), "best")
    assert stacks.psf_fwhm[:, 0].tolist() == [0.6, 0.7]
    assert stacks.n_kept[:, 0].tolist() == [1.0, 1.0]
    assert stacks.sky[:, 0] == pytest.approx([20.0, 21.0])


def test_the_optimal_stack_keeps_what_resolves_the_lens(exposures):
    theta_e, r_eff = np.array([0.8, 0.5]), np.array([0.4, 0.2])
    limit = largest_seeing("optimal", theta_e, r_eff, np.array([3.0, 2.0]))
    # sqrt(2 x 0.64 - 2 x 0.16) = 0.98 and 1.2; sqrt(2 x 0.25 - 2 x 0.04) = 0.65 and 0.4
    assert limit == pytest.approx([0.9798, 0.4], abs=1e-4)
    stacks = stack(exposures, limit, "optimal")
    assert stacks.psf_fwhm[:, 0].tolist() == [0.9, 0.0]
    assert stacks.n_kept[:, 0].tolist() == [2.0, 0.0]


def test_an_unknown_strategy_is_refused_by_name():
    with pytest.raises(UnknownNameError, match=r"unknown strategy 'bets'\. Did you mean 'best'"):
        largest_seeing("bets", np.ones(1), np.ones(1))


def _stacked(n_kept, *, as_in_2015):
    observation = observations.get("des-dr2")
    kind = observation.bands[0], observation, as_in_2015
    return StackedBand(*kind, sky=np.array([21.7]), n_kept=np.array([n_kept]))


@pytest.mark.parametrize(
    ("as_in_2015", "n_kept", "read"),
    [(True, 4.0, 10 * 10 / 4.5), (False, 4.0, 4 * (10 / 4.5) ** 2)],
)
def test_variance_is_the_law_of_the_paper(as_in_2015, n_kept, read):
    light = torch.full((1, 2, 3), 7.0)
    found = _stacked(n_kept, as_in_2015=as_in_2015).variance(light)
    electrons = 900 / 90 * n_kept / 10 * 4.5
    sky = 10 ** (-0.4 * (21.7 - 30.0)) * 0.263**2
    expected = ((7.0 + sky) * electrons + read) / electrons**2
    assert found.shape == (1, 2, 3)
    assert found.numpy() == pytest.approx(expected, rel=1e-5)


def test_cuts_agree_with_those_for_one_image():
    rng = np.random.default_rng(8)
    n = 2000
    facts = {
        "theta_e": rng.uniform(0.3, 2.0, n),
        "r_eff_source": rng.uniform(0.05, 0.6, n),
        "magnification": rng.uniform(1.0, 12.0, n),
    }
    psf_fwhm, snr = rng.uniform(0.2, 1.5, (n, 1)), rng.uniform(0.0, 60.0, (n, 1))
    passed, best = cuts_passed(facts, psf_fwhm, snr)
    separable = is_separable(facts["theta_e"], facts["r_eff_source"], psf_fwhm[:, 0])
    single = LensFacts(
        theta_e=torch.as_tensor(facts["theta_e"]),
        source_offset=torch.zeros(n, dtype=torch.float64),
        r_eff_source=torch.as_tensor(facts["r_eff_source"]),
        magnification=torch.as_tensor(facts["magnification"]),
        psf_fwhm=torch.as_tensor(psf_fwhm[:, 0]),
    )
    expected = is_discoverable(torch.as_tensor(snr[:, 0]), single).numpy()
    assert 50 < expected.sum() < n - 50
    assert ((passed == 5) == expected).all()
    assert (difference_passes(facts, psf_fwhm[:, 0], snr[:, 0]) == expected).all()
    assert (best == 0).all()
    assert (separable[passed == 5]).all()


def test_the_best_band_is_the_clearest_in_which_arcs_are_stretched():
    facts = {
        "theta_e": np.array([1.5]),
        "r_eff_source": np.array([0.2]),
        "magnification": np.array([4.0]),
    }
    psf_fwhm = np.array([[0.9, 0.7, 0.0]])
    passed, best = cuts_passed(facts, psf_fwhm, np.array([[90.0, 25.0, 99.0]]))
    assert (passed[0], best[0]) == (5, 1)
    passed, _ = cuts_passed(facts, psf_fwhm, np.array([[90.0, 15.0, 0.0]]))
    assert passed[0] == 3
    assert is_stretched(facts["magnification"], facts["r_eff_source"], psf_fwhm).tolist() == [
        [False, True, False]
    ]


def test_no_lens_has_a_higher_snr_than_the_bound_that_decides_what_is_drawn(lenses, monkeypatch):
    observation = observations.get("euclid-vis")
    exposures = draw_exposures(observation, np.random.default_rng(9), len(lenses["weight"]))
    bound = highest_snr(lenses, observation, exposures)
    home = "stronglens.forecasting.observing.highest_snr"
    monkeypatch.setattr(home, lambda lenses, *_: np.full(len(lenses["weight"]), np.inf))
    seen = observe_without_gradients(Watch(observation, "all"), lenses, np.random.default_rng(9))
    drawn = np.isfinite(seen["snr"])
    assert drawn.sum() > 50
    assert (seen["snr"][drawn] < bound[drawn]).all()


def test_a_circular_lens_magnifies_a_small_centred_source_as_the_formula_says():
    theta_e, r_eff = 1.2, 0.3
    lens = {
        "theta_e": theta_e, "q": 1.0, "phi": 0.3, "x_source": 0.0, "y_source": 0.0,
        "r_eff_source": r_eff, "q_source": 1.0, "phi_source": 0.0, "r_eff_deflector": 0.5,
    }  # fmt: skip
    columns = {name: np.array([value]) for name, value in lens.items()}
    ((_, frames),) = batches(columns, observations.get("euclid-vis"), 0.5)
    # sum over the disc of 2 theta_e / beta inside theta_e and 1 + theta_e / beta outside, which
    # for an exponential of scale h is 2 theta_e / h - (theta_e / h) e^-t + (1 + t) e^-t
    h = r_eff / 1.67835
    t = theta_e / h
    expected = 2 * t * (1 - np.exp(-t)) + (1 + t) * np.exp(-t) + t * np.exp(-t)
    assert frames.magnification() == pytest.approx(expected, rel=0.02)


def test_wider_seeing_lowers_the_snr(lenses):
    sharp = observations.get("des-dr2")
    blurred = dataclasses.replace(
        sharp,
        bands=tuple(
            dataclasses.replace(
                band, log_seeing=dataclasses.replace(band.log_seeing, median=np.log(1.6))
            )
            for band in sharp.bands
        ),
    )
    chosen = {name: values[np.argsort(-lenses["theta_e"])[:40]] for name, values in lenses.items()}
    snr = [
        observe_without_gradients(Watch(kind, "all"), chosen, np.random.default_rng(10))["snr"]
        for kind in (sharp, blurred)
    ]
    both = np.isfinite(snr[0]) & np.isfinite(snr[1])
    assert both.sum() > 3
    assert np.median(snr[1][both] / snr[0][both]) < 1.0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_lenses_pass_the_cuts_of_their_own_columns(lenses, strategy):
    watch = Watch(observations.get("lsst-y10"), strategy)
    seen = observe_without_gradients(watch, lenses, np.random.default_rng(11))
    rows = seen["cuts_passed"] == 5
    assert set(np.unique(seen["cuts_passed"])) <= {1, 2, 3, 4, 5}
    facts = {name: lenses[name][rows] for name in ("theta_e", "r_eff_source")}
    assert (seen["snr"][rows] > 20.0).all()
    assert (seen["magnification"][rows] > 3.0).all()
    assert is_separable(*facts.values(), seen["psf_fwhm"][rows]).all()


def test_a_count_and_its_error_are_those_of_the_weights():
    lenses = {"weight": np.full(4, 0.5), "cuts_passed": np.array([1, 5, 5, 2])}
    sample = Sample(lenses, n_pairs=1000, n_cuts=5)
    assert sample.n_ideal().number == pytest.approx(2.0)
    assert sample.n_discoverable(FULL_SKY / 2).number == pytest.approx(0.5)
    # a Poisson count of four, each worth one half
    assert sample.n_ideal().error == pytest.approx(0.5 * 4**0.5, rel=1e-2)
    assert list(sample.remaining().values()) == [1.0, 0.75, 0.5, 0.5, 0.5]


def test_weighted_quantiles_count_each_value_as_often_as_it_weighs():
    values, weight = np.array([3.0, 1.0, 2.0]), np.array([1.0, 98.0, 1.0])
    low, median, high = weighted_quantiles(values, weight)
    assert (low, median) == pytest.approx((1.0, 1.0), abs=0.05)
    assert median < high < 2.0


def test_an_unknown_survey_names_those_that_are_known():
    with pytest.raises(UnknownNameError, match=r"cfhtls, des-dr2, euclid-vis, lsst-y10"):
        Forecast(survey="euclid").resolved()


def test_the_difference_finder_needs_two_bands():
    with pytest.raises(OutOfRangeError, match="needs the bands g and i, which 'euclid-vis' lacks"):
        Forecast(survey="euclid-vis", strategy="g-i").check()


@pytest.mark.parametrize("wrong", [{"n": 0}, {"seed": -1}, {"area": 0.0}, {"area": 5e4}])
def test_numbers_outside_their_range_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(OutOfRangeError, match=name):
        Forecast(**wrong).check()
