"""The selection function: chance that a lens is found, as a smooth surface with uncertainty.

A logistic regression on a smooth function of the lens's properties: a line and a Gaussian process
of few centres. Where the properties come from and where the surface is kept is the business of
`stronglens.training.selection`.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import linalg, special, stats

from stronglens.core.errors import MissingDataError
from stronglens.core.seeds import numpy_generator
from stronglens.evaluation.estimate import Estimate

_JITTER = 1e-6
_MOST_EXTREME = 30.0  # log-odds beyond which a completeness is 0 or 1 to any reader
_DRAWS = 400

Columns = dict[str, Float[np.ndarray, "n"]]


@dataclass(frozen=True)
class Variable:
    """A property of lenses on which completeness depends."""

    name: str
    """Its column."""
    is_logarithmic: bool
    """Whether its logarithm counts."""
    center: float
    """Mean over the lenses, of the logarithm if that counts."""
    scale: float
    """Standard deviation over the lenses, of the same."""
    low: float
    """Smallest value the surface was fitted to, but for one lens in a hundred."""
    high: float
    """Largest such value."""

    def scaled(self, values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
        """Values about 0 with deviation 1; NaN where the logarithm has none."""
        if self.is_logarithmic:
            values = np.log10(np.where(values > 0, values, np.nan))
        return (values - self.center) / self.scale

    @classmethod
    def of(cls, name: str, values: Float[np.ndarray, "n"], *, is_logarithmic: bool) -> "Variable":
        """Describe a column of finite values, above 0 if their logarithm counts."""
        used = np.log10(values) if is_logarithmic else values
        low, high = np.quantile(values, [0.01, 0.99])
        scale = float(used.std()) or 1.0
        return cls(name, is_logarithmic, float(used.mean()), scale, float(low), float(high))


@dataclass(frozen=True, eq=False)
class Selection:
    """P(found | properties) with its uncertainty; call it with a column for each variable."""

    variables: tuple[Variable, ...]
    """Properties it depends on."""
    centers: Float[np.ndarray, "center variable"]
    """Places, in scaled variables, at which the smooth part has its weights."""
    length_scales: tuple[float, ...]
    """Distance over which completeness changes along each scaled variable."""
    amplitude: float
    """Size of the smooth part [log-odds]."""
    weights: Float[np.ndarray, "basis"]
    """Most probable weights."""
    covariance: Float[np.ndarray, "basis basis"]
    """Their covariance, from the curvature there."""
    n: int
    """Lenses it was fitted to."""
    n_found: int
    """Those of them that were found."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Of which finder, dataset and threshold it is."""

    def __call__(self, **columns: Any) -> np.ndarray:  # noqa: ANN401 - anything numpy takes
        """Completeness of lenses.

        Args:
            **columns: A number or array for each variable; they broadcast.

        Returns:
            Values between 0 and 1, of the common shape; NaN where a property is.

        Raises:
            MissingDataError: A variable is missing.
        """
        return np.asarray(self.interval(level=0.5, **columns)[0])

    def interval(self, *, level: float = 0.95, **columns: Any) -> np.ndarray:  # noqa: ANN401
        """Completeness with its interval: value, low and high along the first axis."""
        names = [variable.name for variable in self.variables]
        missing = [name for name in names if name not in columns]
        if missing:
            raise MissingDataError(
                f"the selection function needs {', '.join(missing)}. Give all of: "
                f"{', '.join(names)}."
            )
        arrays = np.broadcast_arrays(*(np.asarray(columns[name], float) for name in names))
        table = {name: array.ravel() for name, array in zip(names, arrays, strict=True)}
        basis = self.basis(table)
        middle = basis @ self.weights
        deviation = np.sqrt(np.maximum(((basis @ self.covariance) * basis).sum(axis=1), 0.0))
        reach = float(stats.norm.ppf((1 + level) / 2)) * deviation
        ends = np.stack([middle, middle - reach, middle + reach])
        return special.expit(np.clip(ends, -_MOST_EXTREME, _MOST_EXTREME)).reshape(
            3, *arrays[0].shape
        )

    def mean(
        self, columns: Columns, weights: Float[np.ndarray, "n"] | None = None, level: float = 0.95
    ) -> Estimate:
        """Completeness of a population, with the interval of the surface.

        Args:
            columns: A value of each variable for each lens of the population.
            weights: Weight of each lens; all alike by default.
            level: Probability that the interval holds.
        """
        basis = self.basis(columns)
        share = np.full(len(basis), 1.0) if weights is None else np.asarray(weights, float)
        share = share / share.sum()
        generator = numpy_generator(1, "selection mean")
        drawn = generator.multivariate_normal(
            self.weights, self.covariance, size=_DRAWS, method="eigh"
        )
        means = share @ special.expit(basis @ drawn.T)
        value = float(share @ special.expit(basis @ self.weights))
        low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
        return Estimate(value, min(float(low), value), max(float(high), value))

    def basis(self, columns: Columns) -> Float[np.ndarray, "n basis"]:
        """Constant, line and smooth functions at some lenses."""
        scaled = np.stack([v.scaled(columns[v.name]) for v in self.variables], axis=1)
        return basis_at(scaled, self.centers, self.length_scales, self.amplitude)

    def to_record(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "variables": [asdict(variable) for variable in self.variables],
            "centers": self.centers.tolist(),
            "length_scales": list(self.length_scales),
            "amplitude": self.amplitude,
            "weights": self.weights.tolist(),
            "covariance": self.covariance[np.tril_indices(len(self.weights))].tolist(),
            "n": self.n,
            "n_found": self.n_found,
            "facts": self.facts,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Selection":
        """Build a surface from what `to_record` returned."""
        weights = np.array(record["weights"], float)
        covariance = np.zeros((len(weights), len(weights)))
        covariance[np.tril_indices(len(weights))] = record["covariance"]
        covariance += np.tril(covariance, -1).T
        variables = tuple(Variable(**values) for values in record["variables"])
        return cls(
            variables=variables,
            centers=np.array(record["centers"], float).reshape(-1, len(variables)),
            length_scales=tuple(record["length_scales"]),
            amplitude=float(record["amplitude"]),
            weights=weights,
            covariance=covariance,
            n=int(record["n"]),
            n_found=int(record["n_found"]),
            facts=dict(record["facts"]),
        )


def basis_at(
    scaled: Float[np.ndarray, "n variable"],
    centers: Float[np.ndarray, "center variable"],
    length_scales: tuple[float, ...],
    amplitude: float,
) -> Float[np.ndarray, "n basis"]:
    """Constant, scaled variables, and a Gaussian process seen through its values at the centres.

    Args:
        scaled: Scaled variables of n lenses.
        centers: Places of the process's weights.
        length_scales: Its length along each scaled variable.
        amplitude: Its standard deviation.

    Reference:
        Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, section 8.3.1.
    """
    unit = np.asarray(length_scales)
    places = centers / unit
    root = linalg.cholesky(_kernel(places, places) + _JITTER * np.eye(len(places)), lower=True)
    smooth = linalg.solve_triangular(
        root, _kernel(places, scaled / unit), lower=True, check_finite=False
    )
    return np.concatenate([np.ones((len(scaled), 1)), scaled, amplitude * smooth.T], axis=1)


@dataclass(frozen=True)
class Cell:
    """Lenses of similar properties: what was found, and what the surface says."""

    low: tuple[float, ...]
    """Lower edge of each variable."""
    high: tuple[float, ...]
    """Upper edge of each variable."""
    n: int
    """Lenses in the cell."""
    observed: float
    """Share of them that was found."""
    predicted: float
    """Mean completeness of the same lenses by the surface."""


def cells(
    selection: Selection,
    columns: Columns,
    found: Bool[np.ndarray, "n"],
    *,
    names: tuple[str, ...],
    n_bins: int = 6,
    fewest: int = 20,
) -> list[Cell]:
    """Compare the surface with lenses, cell by cell; let them be others than it was fitted to.

    Args:
        selection: The surface.
        columns: Variables of the lenses.
        found: Whether each was found.
        names: Variables that span the cells.
        n_bins: Bins of each, with equal numbers of lenses.
        fewest: Lenses that a cell must hold to be listed.
    """
    predicted = selection(**columns)
    edges = [np.quantile(columns[name], np.linspace(0, 1, n_bins + 1)) for name in names]
    places = np.stack(
        [
            np.clip(np.searchsorted(edge, columns[name], side="right") - 1, 0, n_bins - 1)
            for name, edge in zip(names, edges, strict=True)
        ],
        axis=1,
    )
    kept = []
    for place in np.unique(places, axis=0):
        rows = (places == place).all(axis=1) & np.isfinite(predicted)
        if rows.sum() >= fewest:
            low = tuple(float(edge[k]) for edge, k in zip(edges, place, strict=True))
            high = tuple(float(edge[k + 1]) for edge, k in zip(edges, place, strict=True))
            shares = float(found[rows].mean()), float(predicted[rows].mean())
            kept.append(Cell(low, high, int(rows.sum()), *shares))
    return kept


def _kernel(
    first: Float[np.ndarray, "a variable"], second: Float[np.ndarray, "b variable"]
) -> Float[np.ndarray, "a b"]:
    """Squared-exponential covariance of length 1."""
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)
    distance = np.maximum(squares - 2 * first @ second.T, 0.0)
    return np.exp(-0.5 * distance)
