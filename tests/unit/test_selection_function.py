"""A selection function recovers a known completeness within its own uncertainty."""

import json

import numpy as np
import pytest
from scipy import special

from stronglens.core.errors import MissingDataError, WrongShapeError
from stronglens.evaluation.selection import Selection, cells
from stronglens.evaluation.selection_fit import Shape, fit_selection

FOUR = Shape({"ratio": True, "arc_snr": True, "magnification": True, "mag": False})
TWO = Shape({"ratio": True, "arc_snr": True}, n_centers=30)


def draw(n, seed):
    generator = np.random.default_rng(seed)
    return {
        "ratio": 10 ** generator.uniform(-0.3, 0.6, n),
        "arc_snr": 10 ** generator.uniform(0.3, 2.3, n),
        "magnification": 10 ** generator.uniform(0.2, 1.3, n),
        "mag": generator.normal(20.0, 1.0, n),
    }


def known(columns):
    """Completeness that rises with S/N, the faster the wider the lens, and ends below 1."""
    snr, ratio = np.log10(columns["arc_snr"]), np.log10(columns["ratio"])
    tilt = 3.0 * ratio * np.minimum(1.0, snr) + 0.3 * (columns["mag"] - 20.0)
    return 0.97 * special.expit(4.0 * snr - 4.5 + tilt)


@pytest.fixture(scope="module")
def fitted():
    columns = draw(8000, seed=1)
    found = np.random.default_rng(9).random(8000) < known(columns)
    return fit_selection(columns, found, FOUR, {"threshold": 0.5})


def test_known_completeness_is_recovered_within_the_stated_uncertainty():
    columns = draw(4000, seed=2)
    truth = known(columns)
    held, errors = [], []
    for seed in range(5):
        lenses = draw(1500, seed=20 + seed)
        found = np.random.default_rng(seed).random(1500) < known(lenses)
        value, low, high = fit_selection(lenses, found, FOUR).interval(level=0.95, **columns)
        held.append(((low <= truth) & (truth <= high)).mean())
        errors.append(np.abs(value - truth).mean())
        assert (low <= value).all()
        assert (value <= high).all()
    # the errors of one surface hang together, so the share that holds scatters between surfaces
    assert np.mean(held) > 0.88
    assert np.mean(errors) < 0.03


def test_cells_of_other_lenses_agree(fitted):
    columns = draw(20_000, seed=3)
    found = np.random.default_rng(4).random(20_000) < known(columns)
    compared = cells(fitted, columns, found, names=("ratio", "arc_snr"))
    assert len(compared) == 36
    assert sum(cell.n for cell in compared) == 20_000
    errors = [abs(cell.observed - cell.predicted) for cell in compared]
    assert np.mean(errors) <= 0.03
    assert max(errors) <= 0.10


def test_completeness_of_a_population_is_stated_with_its_interval(fitted):
    columns = draw(5000, seed=5)
    got = fitted.mean(columns)
    assert got.low <= known(columns).mean() <= got.high
    assert got.high - got.low < 0.05
    weights = (columns["arc_snr"] > 30).astype(float)
    assert fitted.mean(columns, weights).value > got.value + 0.1


def test_uncertainty_grows_where_no_lens_has_been(fitted):
    inside = fitted.interval(ratio=1.5, arc_snr=20.0, magnification=5.0, mag=20.0)
    outside = fitted.interval(ratio=1.5, arc_snr=20.0, magnification=5.0, mag=29.0)
    assert outside[2] - outside[1] > 2 * (inside[2] - inside[1])


def test_more_lenses_make_it_narrower():
    widths = []
    for n in (300, 6000):
        columns = draw(n, seed=6)
        found = np.random.default_rng(6).random(n) < known(columns)
        low, high = fit_selection(columns, found, TWO).interval(ratio=1.0, arc_snr=10.0)[1:]
        widths.append(float(high - low))
    assert widths[1] < 0.6 * widths[0]


def test_call_takes_numbers_and_arrays_of_any_shape(fitted):
    rest = {"magnification": 5.0, "mag": 20.0}
    grid = fitted(ratio=np.ones((3, 1)), arc_snr=np.array([[5.0, 50.0]]), **rest)
    assert grid.shape == (3, 2)
    assert grid[0, 1] == pytest.approx(float(fitted(ratio=1.0, arc_snr=50.0, **rest)))
    assert fitted(ratio=np.zeros(0), arc_snr=1.0, **rest).shape == (0,)
    assert np.isnan(fitted(ratio=np.nan, arc_snr=1.0, **rest))
    assert np.isnan(fitted(ratio=0.0, arc_snr=1.0, **rest))


def test_surface_survives_json(fitted):
    again = Selection.from_record(json.loads(json.dumps(fitted.to_record())))
    columns = draw(20, seed=7)
    np.testing.assert_allclose(again.interval(**columns), fitted.interval(**columns), atol=1e-10)
    assert (again.n, again.n_found, again.facts) == (fitted.n, fitted.n_found, {"threshold": 0.5})


@pytest.mark.parametrize("all_found", [True, False])
def test_all_or_none_found_gives_no_certainty(all_found):
    columns = draw(200, seed=8)
    surface = fit_selection(columns, np.full(200, all_found), TWO)
    value, low, high = surface.interval(ratio=1.0, arc_snr=10.0)
    assert (value > 0.9) if all_found else (value < 0.1)
    assert 0 < low < high < 1


def test_useless_input_is_refused(fitted):
    columns, found = draw(200, seed=1), np.ones(200, bool)
    with pytest.raises(MissingDataError, match="99 lenses are too few"):
        fit_selection({k: v[:99] for k, v in columns.items()}, found[:99], TWO)
    with pytest.raises(MissingDataError, match="column 'ratio' is missing"):
        fit_selection({"arc_snr": columns["arc_snr"]}, found, TWO)
    with pytest.raises(WrongShapeError, match="0 or below, or not finite"):
        fit_selection({**columns, "ratio": np.zeros(200)}, found, TWO)
    with pytest.raises(WrongShapeError, match="199 values for 200"):
        fit_selection({**columns, "ratio": np.ones(199)}, found, TWO)
    with pytest.raises(MissingDataError, match="needs magnification, mag"):
        fitted(ratio=1.0, arc_snr=2.0)
