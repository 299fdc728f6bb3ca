"""From a table of lenses to what they say of all lenses: draws, figures and the check on mocks.

The likelihood is in `population_model`, the mocks in `population_mocks`.
"""

from collections.abc import Mapping

import numpy as np

from stronglens.core.rundir import RunDirectory
from stronglens.core.seeds import numpy_generator
from stronglens.data.catalog import write_table
from stronglens.measurement.csv_tables import write_csv
from stronglens.measurement.population_mocks import Recovery, recover
from stronglens.measurement.population_model import PopulationDraws, PopulationPosterior
from stronglens.measurement.population_table import LensSample, read_sample
from stronglens.measurement.population_task import Population, PopulationResult
from stronglens.plots.corner import corner
from stronglens.plots.population import RatioPanel, SlopePanel, ratio_figure, recovery, slope_figure

LABELS = {
    "slope_mean": "mean slope", "slope_scatter": "scatter of slopes", "slope_drift": "d slope / dz",
    "matter_density": "Om", "w": "w", "f_e": "f_E", "ratio_scatter": "scatter of ln ratio",
}  # fmt: skip
_N_CURVES = 2000
_QUANTILES = (16.0, 50.0, 84.0)


def infer_population(task: Population, run: RunDirectory) -> PopulationResult:
    """Sample the posterior of a population and write what the run leaves behind.

    Args:
        task: The settings.
        run: The open run directory.
    """
    sample = read_sample(task)
    posterior = PopulationPosterior(sample, task)
    run.log(f"{len(sample.name)} lenses; parameters {', '.join(posterior.parameters)}")
    draws = posterior.draw(task.n_draws, numpy_generator(task.seed, "population"))
    for name, column in draws.values.items():
        run.log(_words(name, np.percentile(column, _QUANTILES)))
    recovered = recover(sample, task, task.n_mocks)
    _write(run, draws, sample)
    _draw(run, posterior, draws, recovered)
    return _result(run, posterior, draws, recovered)


def _words(name: str, quantiles: np.ndarray) -> str:
    low, middle, high = quantiles
    return f"{name} {middle:.3f} ({low:.3f} to {high:.3f})"


def _write(run: RunDirectory, draws: PopulationDraws, sample: LensSample) -> None:
    write_table(run.path / "draws.parquet", draws.values)
    write_csv(run.path / "draws.csv", draws.values)
    columns = {"name": np.array(sample.name, object).astype(str)}
    numbers = ("z_lens", "z_source", "slope", "slope_error", "log_ratio", "log_ratio_error")
    write_table(run.path / "lenses.parquet", columns | {n: getattr(sample, n) for n in numbers})


def _draw(
    run: RunDirectory, posterior: PopulationPosterior, draws: PopulationDraws, recovered: Recovery
) -> None:
    labelled = {LABELS[name]: column for name, column in draws.values.items()}
    corner(labelled).savefig(run.path / "corner.png")
    if posterior.has_slope.any() and "slope_mean" in draws.values:
        slope_figure(_slopes(posterior, draws.values)).savefig(run.path / "slopes.png")
    if posterior.has_ratio.any():
        ratio_figure(_ratios(posterior, draws.values)).savefig(run.path / "ratios.png")
    if recovered.truth:
        triples = {
            LABELS[name]: (recovered.truth[name], recovered.median[name],
                           recovered.low[name], recovered.high[name])
            for name in recovered.truth
        }  # fmt: skip
        recovery(triples).savefig(run.path / "recovery.png")


def _slopes(posterior: PopulationPosterior, draws: Mapping[str, np.ndarray]) -> SlopePanel:
    """Slopes against redshift with the mean line and its band."""
    sample, task = posterior.sample, posterior.task
    own = posterior.has_slope
    z = np.linspace(0.0, 1.05 * float(sample.z_lens.max()), 60)
    few = {name: column[:_N_CURVES] for name, column in draws.items()}
    drift = few.get("slope_drift", np.full(len(few["slope_mean"]), task.slope_drift[0]))
    lines = few["slope_mean"][:, None] + drift[:, None] * (z - task.z_pivot)
    scatter = float(np.median(draws.get("slope_scatter", np.array(task.slope_scatter[:1]))))
    low, middle, high = np.percentile(lines, _QUANTILES, axis=0)
    return SlopePanel(
        sample.z_lens[own], sample.slope[own], sample.slope_error[own], z, (low, middle, high),
        scatter,
    )  # fmt: skip


def _ratios(posterior: PopulationPosterior, draws: Mapping[str, np.ndarray]) -> RatioPanel:
    """Observed distance ratios against those of the median cosmology."""
    sample, task, own = posterior.sample, posterior.task, posterior.has_ratio
    middle = {
        name: float(np.median(draws.get(name, np.array(getattr(task, name)[:1]))))
        for name in ("matter_density", "w", "f_e")
    }
    cosmology = np.array([middle["matter_density"]]), np.array([middle["w"]])
    expected = np.exp(posterior.log_ratio_of(*cosmology)[0])
    log_observed = sample.log_ratio - 2.0 * np.log(middle["f_e"])
    log_observed = log_observed - posterior.dispersion_term(posterior.likely_slope())
    words = ", ".join(f"{LABELS[name]} {value:.2f}" for name, value in middle.items())
    return RatioPanel(
        expected[own], np.exp(log_observed[own]), sample.log_ratio_error[own], sample.z_lens[own],
        words,
    )  # fmt: skip


def _result(
    run: RunDirectory, posterior: PopulationPosterior, draws: PopulationDraws, recovered: Recovery
) -> PopulationResult:
    quantiles = {name: np.percentile(v, _QUANTILES) for name, v in draws.values.items()}
    return PopulationResult(
        path=run.path,
        n_lenses=len(posterior.sample.name),
        n_slopes=int(posterior.has_slope.sum()),
        n_ratios=int(posterior.has_ratio.sum()),
        medians={name: float(q[1]) for name, q in quantiles.items()},
        low={name: float(q[0]) for name, q in quantiles.items()},
        high={name: float(q[2]) for name, q in quantiles.items()},
        k_hat=draws.k_hat,
        effective_size=draws.effective_size,
        n_mocks=len(next(iter(recovered.truth.values()), ())),
        coverage=recovered.coverage(),
        summary="; ".join(_words(name, q) for name, q in quantiles.items()),
    )
