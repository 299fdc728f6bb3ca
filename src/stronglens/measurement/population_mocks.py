"""Mock samples with the redshifts and errors of a real one, to see whether truths are recovered."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from stronglens.core.errors import OutOfRangeError
from stronglens.core.seeds import numpy_generator
from stronglens.measurement.population_model import (
    GRID,
    LINEAR,
    MEAN_LIMITS,
    PopulationPosterior,
)
from stronglens.measurement.population_table import LensSample
from stronglens.measurement.population_task import Population

_N_DRAWS = {"sis": 1000, "power-law": 3000}
_MOST_TRUTHS = 1000


@dataclass(frozen=True, eq=False)
class Recovery:
    """Truths of mock samples, and what was made of them."""

    truth: dict[str, Float[np.ndarray, "mock"]]
    """True parameters."""
    median: dict[str, Float[np.ndarray, "mock"]]
    """Medians of the posteriors."""
    low: dict[str, Float[np.ndarray, "mock"]]
    """16 % quantiles."""
    high: dict[str, Float[np.ndarray, "mock"]]
    """84 % quantiles."""
    rank: dict[str, Float[np.ndarray, "mock"]]
    """Share of the draws below the truth, even between 0 and 1 where posteriors are right."""

    def coverage(self) -> dict[str, float]:
        """Share of the truths in the 68 % interval, by parameter."""
        return {
            name: float(((self.low[name] <= true) & (true <= self.high[name])).mean())
            for name, true in self.truth.items()
        }


def recover(sample: LensSample, task: Population, n: int) -> Recovery:
    """Analyse mock samples whose truths come from the prior ranges.

    Args:
        sample: Lenses whose redshifts, radii and errors the mocks have.
        task: Priors, relation, seed.
        n: Number of mock samples.
    """
    rows: list[dict[str, tuple[float, ...]]] = []
    for k in tqdm(range(n), desc="mocks", unit="sample", disable=None):
        generator = numpy_generator(task.seed, "mock", k)
        truth = draw_truth(sample, task, generator)
        posterior = PopulationPosterior(mock_sample(sample, task, truth, generator), task)
        values = posterior.draw(_N_DRAWS[task.relation], generator).values
        rows.append({
            name: (truth[name], *np.percentile(v, [50, 16, 84]), float((v < truth[name]).mean()))
            for name, v in values.items()
        })  # fmt: skip
    names = rows[0] if rows else {}
    columns = {name: np.array([row[name] for row in rows]).T for name in names}
    parts = ({name: column[j] for name, column in columns.items()} for j in range(5))
    return Recovery(*parts)


def draw_truth(
    sample: LensSample, task: Population, generator: np.random.Generator
) -> dict[str, float]:
    """Parameters drawn evenly from their ranges, f_E evenly in its logarithm.

    Args:
        sample: Lenses at whose redshifts the mean slope must be one that the relation allows.
        task: Ranges and relation.
        generator: Source of randomness.

    Raises:
        OutOfRangeError: No truth in the ranges is allowed.
    """
    posterior = PopulationPosterior(sample, task)
    for _ in range(_MOST_TRUTHS):
        truth = {}
        for name in (*GRID, *LINEAR):
            low, high = getattr(task, name)
            u = generator.random()
            truth[name] = low * (high / low) ** u if name == "f_e" else low + (high - low) * u
        mean, drift = (np.array([truth[name]]) for name in ("slope_mean", "slope_drift"))
        if posterior.is_within(mean, drift)[0]:
            return truth
    raise OutOfRangeError(
        f"slope_mean={task.slope_mean} and slope_drift={task.slope_drift} leave no mean slope "
        f"between {MEAN_LIMITS[0]} and {MEAN_LIMITS[1]} at every lens. Choose other ranges."
    )


def mock_sample(
    sample: LensSample, task: Population, truth: dict[str, float], generator: np.random.Generator
) -> LensSample:
    """The sample with slopes and ratios that follow from a truth.

    Args:
        sample: Redshifts, radii and errors.
        task: The relation and the pivot.
        truth: Every parameter.
        generator: Source of randomness.
    """
    posterior = PopulationPosterior(sample, task)
    n = len(sample.z_lens)
    mean = truth["slope_mean"] + truth["slope_drift"] * (sample.z_lens - task.z_pivot)
    slope = mean + truth["slope_scatter"] * generator.standard_normal(n)
    log_ratio = posterior.dispersion_term(slope) + 2.0 * np.log(truth["f_e"])
    log_ratio += truth["ratio_scatter"] * generator.standard_normal(n)
    if posterior.has_ratio.any():
        cosmology = np.array([truth["matter_density"]]), np.array([truth["w"]])
        log_ratio += posterior.log_ratio_of(*cosmology)[0]
    # a value that is missing stays so: its error is NaN
    return replace(
        sample,
        slope=slope + sample.slope_error * generator.standard_normal(n),
        log_ratio=log_ratio + sample.log_ratio_error * generator.standard_normal(n),
    )
