"""Many lenses: distances of any flat universe, slopes, priors divided out, truths recovered."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.cosmology import FlatwCDM
from scipy.integrate import quad
from scipy.stats import kstest

from stronglens.core.errors import (
    MissingDataError,
    OutOfRangeError,
    StronglensError,
    UnreadableFileError,
)
from stronglens.data.catalog import read_table, write_fits_table, write_table
from stronglens.lensing.cosmology import theta_e_from_sigma_v
from stronglens.lensing.distance_ratio import distance_ratio, log_dispersion_factor
from stronglens.measurement.population_mocks import mock_sample, recover
from stronglens.measurement.population_model import PopulationPosterior
from stronglens.measurement.population_table import LensSample, read_sample
from stronglens.measurement.population_task import Population

NOWHERE = Path("lenses.csv")
TRUTH = {"matter_density": 0.3, "w": -1.0, "ratio_scatter": 0.08, "slope_scatter": 0.14,
         "f_e": 1.0, "slope_mean": 2.07, "slope_drift": -0.2}  # fmt: skip


def sample(n=60, *, slopes=True, ratios=True, seed=1):
    """Redshifts, errors and radii; values are to be drawn."""
    rng = np.random.default_rng(seed)
    z_lens = rng.uniform(0.1, 0.8, n)
    slope_error = np.full(n, 0.1) if slopes else np.full(n, np.nan)
    ratio_error = np.full(n, 0.12) if ratios else np.full(n, np.nan)
    aperture = np.log(1.5 / rng.uniform(0.7, 1.8, n))
    names = [f"lens {k}" for k in range(n)]
    z_source = z_lens + rng.uniform(0.2, 1.5, n)
    return LensSample(names, z_lens, z_source, 0 * slope_error + 2.0, slope_error,
                      0 * ratio_error, ratio_error, aperture)  # fmt: skip


def drawn(task, n=60, seed=2, **kinds):
    generator = np.random.default_rng(seed)
    return mock_sample(sample(n, **kinds), task, TRUTH, generator)


def write_csv(path, columns):
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def lenses(n=5, **changes):
    columns = {"name": [f"J{k}" for k in range(n)], "z_lens": [0.2 + 0.05 * k for k in range(n)],
               "z_source": [0.9] * n, "theta_e": [1.1] * n, "theta_e_error": [0.02] * n,
               "sigma_v": [250 + k for k in range(n)], "sigma_v_error": [15] * n,
               "slope": [2.0 + 0.02 * k for k in range(n)], "slope_error": [0.08] * n}  # fmt: skip
    return {k: v for k, v in (columns | changes).items() if v is not None}


# physics


@pytest.mark.parametrize(("density", "w"), [(0.3, -1.0), (0.15, -1.6), (0.9, -0.5), (1.0, -1.0)])
def test_distance_ratios_are_those_of_astropy(density, w):
    z_lens, z_source = np.array([0.01, 0.3, 0.9, 2.0]), np.array([0.5, 0.35, 3.0, 9.0])
    universe = FlatwCDM(H0=70, Om0=density, w0=w, Tcmb0=0)
    # flat: the comoving distance between lens and source is the difference
    lens, source = (universe.comoving_distance(z).value for z in (z_lens, z_source))
    theirs = 1.0 - lens / source
    universes = torch.tensor([[density], [w]]).double()
    ours = distance_ratio(torch.from_numpy(z_lens), torch.from_numpy(z_source), *universes)
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-7)


@pytest.mark.parametrize("slope", [1.7, 2.0, 2.2, 2.4])
def test_the_dispersion_in_an_aperture_follows_from_the_jeans_equation(slope):
    """Mass and stars fall as r^-slope; orbits are isotropic; the aperture is 1.3 Einstein radii."""
    aperture = 1.3

    def projected(power, radius):
        # integral along the line of sight of r^-power
        inner = quad(lambda t: np.cosh(t) ** (1.0 - power), 0.0, 60.0)[0]
        return 2.0 * radius ** (1.0 - power) * inner

    def disc(power):
        return quad(lambda r: projected(power, r) * r, 0.0, aperture)[0]

    # masses in units of that inside the Einstein cylinder; M(r) grows as r^(3 - slope)
    cylinder = quad(lambda r: projected(slope, r) * 2 * math.pi * r, 0.0, 1.0)[0]
    sphere = 4.0 * math.pi / (3.0 - slope) / cylinder
    # nu sigma_r^2 = integral of nu G M / r^2 outwards, in units of G M_e / r_e
    pressure = sphere / (2.0 * slope - 2.0)
    dispersion = pressure * disc(2.0 * slope - 2.0) / disc(slope)
    # G M_e / r_e is c^2 theta_e d_source / (4 d_ls), an isothermal sphere has 1 / pi of it
    expected = math.log(1.0 / (math.pi * dispersion)) + (2.0 - slope) * math.log(aperture)
    found = float(log_dispersion_factor(torch.tensor([slope]).double()))
    assert found == pytest.approx(expected, abs=1e-4)


def test_an_isothermal_lens_gives_the_distance_ratio_back(tmp_path):
    z_lens, z_source = torch.tensor([0.25]).double(), torch.tensor([0.8]).double()
    theta_e = float(theta_e_from_sigma_v(torch.tensor([240.0]).double(), z_lens, z_source))
    columns = lenses(1, z_lens=[0.25], z_source=[0.8], theta_e=[theta_e], sigma_v=[240.0])
    found = read_sample(Population(write_csv(tmp_path / "a.csv", columns)))
    expected = distance_ratio(z_lens, z_source, *torch.tensor([[0.3], [-1.0]]).double())
    assert math.exp(found.log_ratio[0]) == pytest.approx(float(expected), rel=1e-6)
    assert found.log_ratio_error[0] == pytest.approx(np.hypot(0.02 / theta_e, 30 / 240), rel=1e-6)


# the posterior


def test_with_scatter_known_the_slopes_are_a_weighted_straight_line():
    task = Population(NOWHERE, slope_scatter=(0.14, 0.14))
    made = drawn(task, ratios=False)
    values = PopulationPosterior(made, task).draw(40_000, np.random.default_rng(3)).values
    assert set(values) == {"slope_mean", "slope_drift"}
    weight = 1.0 / (0.14**2 + made.slope_error**2)
    design = np.stack([np.ones(60), made.z_lens - 0.3], axis=1)
    inverse = np.linalg.inv((design.T * weight) @ design)
    best = inverse @ (design.T * weight) @ made.slope
    for k, name in enumerate(("slope_mean", "slope_drift")):
        error = math.sqrt(inverse[k, k])
        assert values[name].mean() == pytest.approx(best[k], abs=0.03 * error)
        assert values[name].std() == pytest.approx(error, rel=0.03)


def test_many_slopes_give_mean_scatter_and_drift():
    task = Population(NOWHERE)
    posterior = PopulationPosterior(drawn(task, 2000, ratios=False), task)
    values = posterior.draw(4000, np.random.default_rng(3)).values
    for name in ("slope_mean", "slope_scatter", "slope_drift"):
        error = values[name].std()
        assert abs(values[name].mean() - TRUTH[name]) < 3 * error
    assert values["slope_scatter"].std() < 0.006
    assert np.cov(values["slope_mean"], values["slope_drift"])[0, 1] != 0.0


def test_slopes_of_many_mock_surveys_are_covered():
    task = Population(NOWHERE, seed=4)
    found = recover(sample(40, ratios=False), task, 150)
    for name, share in found.coverage().items():
        # 3.3 standard errors of 150
        assert share == pytest.approx(0.68, abs=0.126), name
        assert kstest(found.rank[name], "uniform").pvalue > 1e-3, name


def test_matter_density_of_many_mock_surveys_is_covered():
    task = Population(NOWHERE, w=(-1.0, -1.0), seed=5)
    found = recover(sample(40, slopes=False), task, 100)
    assert set(found.truth) == {"matter_density", "f_e", "ratio_scatter"}
    for name, share in found.coverage().items():
        assert share == pytest.approx(0.68, abs=0.154), name
        assert kstest(found.rank[name], "uniform").pvalue > 1e-3, name


def test_draws_stay_inside_the_priors_and_a_lone_lens_returns_them():
    task = Population(NOWHERE)
    values = PopulationPosterior(drawn(task, 1), task).draw(2000, np.random.default_rng(0)).values
    for name, column in values.items():
        low, high = getattr(task, name)
        assert column.min() >= low - 1e-9, name
        assert column.max() <= high + 1e-9, name
    # one lens says next to nothing of Om
    assert kstest(values["matter_density"], "uniform").statistic < 0.2


def test_slopes_that_are_not_isothermal_bias_the_isothermal_relation_and_not_the_other():
    narrow = {"w": (-1.0, -1.0), "f_e": (0.999, 1.001), "ratio_scatter": (0.0, 0.2)}
    task = Population(NOWHERE, relation="power-law", **narrow)
    truth = TRUTH | {"slope_mean": 2.2, "slope_scatter": 0.05, "slope_drift": 0.0}
    seen = replace(sample(150), slope_error=np.full(150, 0.05), log_ratio_error=np.full(150, 0.06))
    made = mock_sample(seen, task, truth, np.random.default_rng(6))
    power_law = PopulationPosterior(made, task).draw(1500, np.random.default_rng(1))
    isothermal = PopulationPosterior(made, replace(task, relation="sis"))
    biased = isothermal.draw(1500, np.random.default_rng(1)).values["matter_density"]
    found = power_law.values["matter_density"]
    assert power_law.k_hat < 0.7
    assert abs(found.mean() - 0.3) < 3 * found.std()
    assert abs(biased.mean() - 0.3) > 3 * biased.std()


# tables


def test_the_interim_prior_is_divided_out(tmp_path):
    rng = np.random.default_rng(0)
    slope, error = rng.normal(2.1, 0.3, 8), rng.uniform(0.05, 0.15, 8)
    precision = 1 / error**2 + 1 / 0.2**2
    columns = lenses(8, slope=(slope / error**2 + 2.0 / 0.2**2) / precision,
                     slope_error=precision**-0.5)  # fmt: skip
    path = write_csv(tmp_path / "a.csv", columns)
    found = read_sample(Population(path, interim_sd=0.2))
    np.testing.assert_allclose(found.slope, slope, rtol=1e-6)
    np.testing.assert_allclose(found.slope_error, error, rtol=1e-6)
    np.testing.assert_allclose(read_sample(Population(path)).slope, columns["slope"])


def test_a_slope_as_wide_as_its_prior_or_held_fixed_says_nothing(tmp_path):
    columns = lenses(3, slope_error=[0.2, 0.0, 0.1])
    found = read_sample(Population(write_csv(tmp_path / "a.csv", columns), interim_sd=0.2))
    assert np.isfinite(found.slope).tolist() == [False, False, True]


def test_a_run_of_measure_is_joined_with_redshifts_by_name(tmp_path, empty_folder):
    run = tmp_path / "run"
    run.mkdir()
    (run / "status.json").write_text('{"state": "finished", "verb": "measure"}')
    (run / "settings.toml").write_text("")
    (run / "result.json").write_text("{}")
    names = np.array(["a", "b", "c", "d"])
    table = {"name": names, "verdict": np.array(["verified", "rejected", "refined", "verified"]),
             "slope": np.array([2.0, 2.1, 2.2, 1.9])}  # fmt: skip
    table |= {"slope_16": table["slope"] - 0.1, "slope_84": table["slope"] + 0.1}
    radii = {"theta_e": 1.2, "theta_e_16": 1.19, "theta_e_84": 1.21}
    table |= {name: np.full(4, value) for name, value in radii.items()}
    write_table(run / "measurements.parquet", table)
    more = {"name": np.array(["c", "a", "b"]), "z_lens": np.array([0.3, 0.1, 0.2]),
            "z_source": np.full(3, 0.9), "sigma_v": np.array([230.0, np.nan, 200.0]),
            "sigma_v_error": np.full(3, 10.0)}  # fmt: skip
    write_fits_table(tmp_path / "z.fits", more)
    found = read_sample(Population(run, tmp_path / "z.fits"))
    assert found.name == ["a", "c"]
    assert found.z_lens.tolist() == [0.1, 0.3]
    # the prior of measure was divided out: 0.1 becomes wider
    assert found.slope_error[0] == pytest.approx((100 - 25) ** -0.5)
    assert np.isfinite(found.log_ratio).tolist() == [False, True]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"z_source": None}, MissingDataError, "column 'z_source' is missing.*--redshifts"),
        ({"z_source": [0.9, 0.2, 0.9, 0.9, 0.9]}, OutOfRangeError,
         r"z_source=0.2 of lens 'J1' \(row 1; 1 such rows\) is not above z_lens"),
        ({"z_lens": [0.2, "", 0.3, 0.3, 0.3]}, OutOfRangeError, "z_lens=nan of lens 'J1'"),
        ({"z_lens": [0.2, "far", 0.3, 0.3, 0.3]}, StronglensError, "far"),
        ({"sigma_v": [250, 250, -3, 250, 250]}, OutOfRangeError, "sigma_v=-3 of lens 'J2'"),
        ({"slope_error": None}, MissingDataError, "'slope' has no errors. Add 'slope_error'"),
        ({"slope_error": [0.1, "", 0.1, 0.1, 0.1]}, OutOfRangeError, "slope_error=nan of lens"),
        ({"slope": None, "sigma_v": None}, MissingDataError, "no lens .* has a slope"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_said(tmp_path, changes, error, words):
    path = write_csv(tmp_path / "a.csv", lenses(**changes))
    with pytest.raises(error, match=words):
        read_sample(Population(path))


def test_tables_that_share_no_name_are_refused(tmp_path):
    path = write_csv(tmp_path / "a.csv", lenses())
    other = write_csv(tmp_path / "b.csv", lenses(name=["x"] * 5))
    with pytest.raises(MissingDataError, match=r"no name of .*J0, J1, J2.* is in .*x, x, x"):
        read_sample(Population(path, other))
    with pytest.raises((MissingDataError, UnreadableFileError), match="none of the columns"):
        read_sample(Population(write_csv(tmp_path / "c.csv", {"a": [1], "b": [2]})))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"w": (-0.5, -1.0)}, "w=-0.5 -1 is no range"),
        ({"matter_density": (0.1, math.nan)}, "matter_density=0.1 nan is no range"),
        ({"slope_mean": (1.2, 2.0)}, "no range inside 1.55 to 2.45"),
        ({"n_mocks": -1}, "n_mocks=-1 is outside"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, settings, words):
    path = write_csv(tmp_path / "a.csv", lenses())
    with pytest.raises(OutOfRangeError, match=words):
        Population(path, **settings).check()


def test_a_run_writes_draws_and_figures(tmp_path):
    path = write_csv(tmp_path / "a.csv", lenses(8))
    task = Population(path, w=(-1.0, -1.0), n_draws=300, n_mocks=3)
    result = task.run(tmp_path / "run")
    assert (result.n_lenses, result.n_slopes, result.n_ratios, result.n_mocks) == (8, 8, 8, 3)
    assert "w" not in result.medians
    assert result.low["slope_mean"] < result.medians["slope_mean"] < result.high["slope_mean"]
    assert set(result.coverage) == set(result.medians)
    assert len(read_table(tmp_path / "run" / "draws.parquet")["slope_mean"]) == 300
    for name in ("corner", "slopes", "ratios", "recovery"):
        assert (tmp_path / "run" / f"{name}.png").stat().st_size > 5000
