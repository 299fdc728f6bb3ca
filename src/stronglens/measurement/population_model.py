"""The posterior of a population of lenses: exact on a grid for normal slopes, weighted beyond.

Slopes scatter about mean + drift (z_lens - z_pivot). ln of the isothermal ratio scatters about
ln(d_ls/d_source) + 2 ln f_E + h(slope), where h is 0 for isothermal lenses. Mean, drift and ln f_E
are linear and integrated in closed form at every node of Om, w and the two scatters.

References: Kelly 2007 (scatter and errors together); Cao et al. 2015 (ratios).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float

from stronglens.lensing.distance_ratio import distance_ratio, log_dispersion_factor
from stronglens.measurement.importance import pareto_smoothed
from stronglens.measurement.population_table import LensSample
from stronglens.measurement.population_task import Population

GRID = ("matter_density", "w", "ratio_scatter", "slope_scatter")
"""Parameters on the grid."""
LINEAR = ("f_e", "slope_mean", "slope_drift")
"""Parameters that are integrated in closed form; the first as 2 ln f_E."""
SLOPE_PARAMETERS = ("slope_mean", "slope_scatter", "slope_drift")
RATIO_PARAMETERS = ("matter_density", "w", "f_e", "ratio_scatter")
SLOPE_LIMITS = (1.53, 2.47)
"""Slopes between which the dispersion in an aperture is defined [-]."""
MEAN_LIMITS = (1.7, 2.3)
"""Mean slopes that the relation with each lens's own slope allows at any lens [-]."""
_NODES = (24, 24, 12, 12)
_ZOOMS, _TAIL, _WORTH_A_ZOOM = 3, 1e-5, 0.5
_WIDE, _NARROW = 3.0, 1e-6
_TEMPERED = 0.6
_QUADRATURE = 15
_BLOCK = 500
_FEWEST_FOR_A_LINE, _TYPICAL_SCATTER, _LEAST_SCATTER = 5, 0.15, 0.02
_MOST_ROUNDS = 200


@dataclass(frozen=True, eq=False)
class PopulationDraws:
    """Draws from the posterior of a population."""

    values: dict[str, Float[np.ndarray, "n"]]
    """Draws of equal weight by parameter."""
    k_hat: float
    """Shape of the tail of the weights they were drawn by; 0 where none were needed [-]."""
    effective_size: float
    """Independent draws they are worth."""


@dataclass(frozen=True, eq=False)
class _Line:
    """h as a straight line: offset + bend times slope, for every lens."""

    bend: np.ndarray
    offset: np.ndarray
    left: np.ndarray
    """Variance about the line."""


@dataclass(frozen=True, eq=False)
class _Sums:
    """Minus twice the log posterior is quadratic - 2 linear b + b inner b, b linear parameters."""

    quadratic: np.ndarray
    linear: np.ndarray
    inner: np.ndarray


class PopulationPosterior:
    """Posterior of one sample of lenses.

    Args:
        sample: The lenses.
        task: Priors and relation.
    """

    def __init__(self, sample: LensSample, task: Population) -> None:
        self.sample, self.task = sample, task
        self.has_slope = np.isfinite(sample.slope)
        self.has_ratio = np.isfinite(sample.log_ratio)
        self.is_power_law = task.relation == "power-law" and bool(self.has_ratio.any())
        self.typical = self._typical()

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Parameters that the sample has to do with and whose prior is not a point."""
        names: tuple[str, ...] = ()
        if self.has_slope.any() or self.is_power_law:
            names += SLOPE_PARAMETERS
        if self.has_ratio.any():
            names += RATIO_PARAMETERS
        return tuple(n for n in names if np.ptp(getattr(self.task, n)) > 0)

    def draw(self, n: int, generator: np.random.Generator) -> PopulationDraws:
        """Draw from the posterior.

        Args:
            n: Number of draws.
            generator: Source of randomness.
        """
        power = _TEMPERED if self.is_power_law else 1.0
        axes, log_height = self._zoomed(power)
        values, log_proposal = self._draws_from(axes, power * log_height, (n, power), generator)
        if not self.is_power_law:
            return PopulationDraws(self._named(values), 0.0, float(n))
        log_ratios = self.log_likelihood(values) - log_proposal
        smoothed, k_hat = pareto_smoothed(log_ratios)
        weights = np.exp(smoothed - np.logaddexp.reduce(smoothed))
        chosen = generator.choice(n, n, p=weights)
        even = {name: column[chosen] for name, column in values.items()}
        return PopulationDraws(self._named(even), k_hat, float(1.0 / (weights**2).sum()))

    def log_likelihood(self, values: dict[str, np.ndarray]) -> Float[np.ndarray, "draw"]:
        """Exact logarithm of the likelihood at draws, slopes integrated by quadrature.

        Args:
            values: Every one of `GRID` and `LINEAR`, the latter's first as 2 ln f_E.
        """
        n = len(values["w"])
        parts = [
            self._block_likelihood({k: v[start : start + _BLOCK] for k, v in values.items()})
            for start in range(0, n, _BLOCK)
        ]
        height = np.concatenate(parts)
        return np.where(
            self.is_within(values["slope_mean"], values["slope_drift"]), height, -np.inf
        )

    def is_within(self, slope_mean: np.ndarray, slope_drift: np.ndarray) -> np.ndarray:
        """Whether the mean slope at every lens is one whose dispersion is defined."""
        away = self.sample.z_lens - self.task.z_pivot
        ends = slope_mean[:, None] + slope_drift[:, None] * np.array([away.min(), away.max()])
        low, high = MEAN_LIMITS
        is_allowed = np.logical_and(ends > low, ends < high).all(axis=1)
        return np.asarray(is_allowed) if self.is_power_law else np.ones(len(ends), bool)

    def log_ratio_of(self, matter_density: np.ndarray, w: np.ndarray) -> np.ndarray:
        """ln(d_ls/d_source) of every lens (cosmology, lens)."""
        lens = torch.from_numpy(self.sample.z_lens), torch.from_numpy(self.sample.z_source)
        columns = (torch.from_numpy(np.ascontiguousarray(v))[:, None] for v in (matter_density, w))
        return np.log(distance_ratio(*lens, *columns).numpy())

    def dispersion_term(self, slope: np.ndarray) -> np.ndarray:
        """h: change of the isothermal ratio's logarithm where the slope is not 2 (..., lens)."""
        if not self.is_power_law:
            return np.zeros_like(slope)
        inside = np.clip(slope, *SLOPE_LIMITS)
        factor = log_dispersion_factor(torch.from_numpy(np.ascontiguousarray(inside))).numpy()
        return factor - (2.0 - inside) * self.sample.log_aperture

    def likely_slope(self) -> np.ndarray:
        """Slope of every lens, drawn towards the mean by its error."""
        error = np.where(self.has_slope, self.sample.slope_error, np.inf) ** 2
        known = np.where(self.has_slope, self.sample.slope, self.typical)
        return self.typical + (known - self.typical) / (1.0 + error / _TYPICAL_SCATTER**2)

    def _typical(self) -> np.ndarray:
        """Mean slope at every lens, roughly: a line through the measured ones."""
        away = self.sample.z_lens - self.task.z_pivot
        if self.has_slope.sum() < _FEWEST_FOR_A_LINE:
            return np.full(len(away), float(np.mean(self.task.slope_mean)))
        own = self.has_slope
        weight = 1.0 / np.sqrt(self.sample.slope_error[own] ** 2 + _TYPICAL_SCATTER**2)
        drift, mean = np.polyfit(away[own], self.sample.slope[own], 1, w=weight)
        return np.clip(mean + drift * away, *MEAN_LIMITS)

    def _line(self, slope_scatter: float) -> _Line:
        """The straight line that h is closest to, over the slopes each lens may have."""
        n = len(self.sample.z_lens)
        if not self.is_power_law:
            return _Line(np.zeros(n), np.zeros(n), np.zeros(n))
        variance = max(slope_scatter, _LEAST_SCATTER) ** 2
        error = np.where(self.has_slope, self.sample.slope_error, np.inf) ** 2
        share = variance / (variance + error)
        known = np.where(self.has_slope, self.sample.slope, self.typical)
        middle = self.typical + share * (known - self.typical)
        width = np.sqrt(variance * (1.0 - share))
        nodes, weights = np.polynomial.hermite_e.hermegauss(_QUADRATURE)
        weights = weights / weights.sum()
        terms = np.array([self.dispersion_term(middle + width * node) for node in nodes])
        mean = weights @ terms
        bend = (weights * nodes) @ terms / width
        left = weights @ (terms - mean - bend * width * nodes[:, None]) ** 2
        return _Line(bend, mean - bend * middle, left)

    def _design(self, bend: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Change of slope and of ratio with the linear parameters, each (lens, 3)."""
        away = self.sample.z_lens - self.task.z_pivot
        zeros, ones = np.zeros_like(away), np.ones_like(away)
        slope = np.stack([zeros, ones, away], axis=-1)
        return slope, np.stack([ones, bend, bend * away], axis=-1)

    def _linear_prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Middle and precision; wide beyond the ranges, which draws are held to afterwards."""
        limits = np.array([self._limits(name) for name in LINEAR])
        sd = np.maximum(_WIDE * np.ptp(limits, axis=1), _NARROW)
        return limits.mean(axis=1), np.diag(sd**-2.0)

    def _limits(self, name: str) -> tuple[float, float]:
        """Prior range; the middle of it where the sample has nothing to do with the parameter."""
        low, high = getattr(self.task, name)
        low, high = (2.0 * np.log(low), 2.0 * np.log(high)) if name == "f_e" else (low, high)
        return (low, high) if name in self.parameters else (0.5 * (low + high),) * 2

    def _zoomed(self, power: float) -> tuple[list[np.ndarray], np.ndarray]:
        """Grid about the posterior (edges of the cells along each axis), and its logarithm there.

        Every zoom keeps the cells that hold all but a tiny share of each marginal.
        """
        limits = [self._limits(name) for name in GRID]
        axes: list[np.ndarray] = []
        log_height = np.zeros(0)
        for _ in range(_ZOOMS):
            axes = [
                np.linspace(low, high, (n if name in self.parameters else 1) + 1)
                for (low, high), n, name in zip(limits, _NODES, GRID, strict=True)
            ]
            log_height = self._on_grid([0.5 * (a[1:] + a[:-1]) for a in axes])
            mass = np.exp(power * (log_height - log_height.max()))
            before = [edges[-1] - edges[0] for edges in axes]
            for k, edges in enumerate(axes):
                share = mass.sum(axis=tuple(j for j in range(4) if j != k))
                share /= share.sum()
                kept = np.flatnonzero(share > _TAIL)
                first, last = max(kept[0] - 1, 0), min(kept[-1] + 2, len(edges) - 1)
                limits[k] = (float(edges[first]), float(edges[last]))
            after = [high - low for low, high in limits]
            if all(new >= _WORTH_A_ZOOM * old for new, old in zip(after, before, strict=True)):
                break
        return axes, log_height

    def _on_grid(self, nodes: list[np.ndarray]) -> np.ndarray:
        """Logarithm of the posterior, linear parameters integrated (Om, w, scatter, scatter)."""
        density, w = (grid.ravel() for grid in np.meshgrid(nodes[0], nodes[1], indexing="ij"))
        residual = self._residual(density, w)
        height = np.empty((len(density), len(nodes[2]), len(nodes[3])))
        for j, slope_scatter in enumerate(nodes[3]):
            line = self._line(slope_scatter)
            left = self._less_offset(residual, line)
            squares = left**2
            for i, ratio_scatter in enumerate(nodes[2]):
                precision, log_det = self._precision(ratio_scatter, slope_scatter, line)
                sums = self._sums(precision, (left, squares), line)
                best = np.linalg.solve(sums.inner, sums.linear.T)
                explained = (sums.linear.T * best).sum(axis=0)
                log_inner = np.linalg.slogdet(sums.inner)[1]
                height[:, i, j] = 0.5 * (explained - sums.quadratic + log_det - log_inner)
        return height.reshape(*(len(line) for line in nodes))

    def _residual(self, density: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Ratios less what cosmology makes of them, 0 where there is none (cosmology, lens)."""
        if not self.has_ratio.any():
            return np.zeros((len(density), len(self.has_ratio)))
        return np.where(self.has_ratio, self.sample.log_ratio - self.log_ratio_of(density, w), 0.0)

    def _less_offset(self, residual: np.ndarray, line: _Line) -> np.ndarray:
        return np.where(self.has_ratio, residual - line.offset, 0.0)

    def _precision(
        self, ratio_scatter: float, slope_scatter: float, line: _Line
    ) -> tuple[np.ndarray, float]:
        """Inverse covariance of slope and ratio (3: slope, both, ratio; lens), ln determinant."""
        sample, tiny = self.sample, 1e-12
        own = np.where(self.has_slope, sample.slope_error, 0.0) ** 2
        other = np.where(self.has_ratio, sample.log_ratio_error, 0.0) ** 2 + line.left
        slope = slope_scatter**2 + own + tiny
        ratio = (line.bend * slope_scatter) ** 2 + other + ratio_scatter**2 + tiny
        both = np.where(self.has_slope & self.has_ratio, line.bend * slope_scatter**2, 0.0)
        det = np.where(self.has_slope, slope, 1.0) * np.where(self.has_ratio, ratio, 1.0) - both**2
        first = np.where(self.has_slope, np.where(self.has_ratio, ratio, 1.0) / det, 0.0)
        second = np.where(self.has_ratio, np.where(self.has_slope, slope, 1.0) / det, 0.0)
        return np.stack([first, -both / det, second]), -float(np.log(det).sum())

    def _sums(
        self, precision: np.ndarray, residual: tuple[np.ndarray, np.ndarray], line: _Line
    ) -> _Sums:
        """Parts of the log posterior by power of the linear parameters, their prior included."""
        p11, p12, p22 = precision
        left, squares = residual
        on_slope, on_ratio = self._design(line.bend)
        slope = np.where(self.has_slope, self.sample.slope, 0.0)
        middle, held = self._linear_prior()
        from_slope = p11[:, None] * on_slope + p12[:, None] * on_ratio
        from_ratio = p12[:, None] * on_slope + p22[:, None] * on_ratio
        quadratic = (p11 * slope**2).sum() + left @ (2.0 * p12 * slope) + squares @ p22
        return _Sums(
            quadratic + middle @ held @ middle,
            slope @ from_slope + left @ from_ratio + held @ middle,
            from_slope.T @ on_slope + from_ratio.T @ on_ratio + held,
        )

    def _draws_from(
        self,
        axes: list[np.ndarray],
        log_height: np.ndarray,
        plan: tuple[int, float],
        generator: np.random.Generator,
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Draws inside the prior ranges, and the logarithm of their density."""
        n, power = plan
        share = np.exp(log_height - log_height.max()).ravel()
        share /= share.sum()
        limits = np.array([self._limits(name) for name in LINEAR])
        slack = 10.0 * _NARROW * (np.ptp(limits, axis=1) == 0)
        middles = [0.5 * (edges[1:] + edges[:-1]) for edges in axes]
        density, w = (line.ravel() for line in np.meshgrid(*middles[:2], indexing="ij"))
        residual = self._residual(density, w)
        rows: list[np.ndarray] = []
        heights: list[np.ndarray] = []
        for _ in range(_MOST_ROUNDS):
            cells = generator.choice(len(share), n, p=share)
            index = np.array(np.unravel_index(cells, log_height.shape))
            u = generator.random((4, n))
            grid = np.array([
                edges[i] + v * (edges[i + 1] - edges[i])
                for edges, i, v in zip(axes, index, u, strict=True)
            ])  # fmt: skip
            linear, log_linear = self._linear_draws((middles, residual), index, power, generator)
            keep = ((linear >= limits[:, 0] - slack) & (linear <= limits[:, 1] + slack)).all(axis=1)
            rows.append(np.concatenate([grid.T, linear], axis=1)[keep])
            heights.append((log_height.ravel()[cells] + log_linear)[keep])
            if sum(map(len, rows)) >= n:
                break
        points, height = np.concatenate(rows)[:n], np.concatenate(heights)[:n]
        if len(points) < n:
            again = generator.choice(len(points), n) if len(points) else np.zeros(0, int)
            points, height = points[again], height[again]
        return dict(zip((*GRID, *LINEAR), points.T, strict=True)), height

    def _linear_draws(
        self,
        grid: tuple[list[np.ndarray], np.ndarray],
        index: np.ndarray,
        power: float,
        generator: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws of the linear parameters in cells of the grid (n, 3), and their log density."""
        middles, residual = grid
        place = index[0] * len(middles[1]) + index[1]
        linear, log_density = np.empty((index.shape[1], 3)), np.empty(index.shape[1])
        pairs, group = np.unique(index[2:].T, axis=0, return_inverse=True)
        for k, (i, j) in enumerate(pairs):
            own = np.flatnonzero(group.ravel() == k)
            scatters = float(middles[2][i]), float(middles[3][j])
            line = self._line(scatters[1])
            left = self._less_offset(residual[place[own]], line)
            precision, _ = self._precision(*scatters, line)
            sums = self._sums(precision, (left, left**2), line)
            best = np.linalg.solve(sums.inner, sums.linear.T).T
            lower = np.linalg.cholesky(power * sums.inner)
            normal = generator.standard_normal((len(own), 3))
            linear[own] = best + np.linalg.solve(lower.T, normal.T).T
            log_density[own] = np.log(np.diag(lower)).sum() - 0.5 * (normal**2).sum(axis=1)
        return linear, log_density

    def _block_likelihood(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """Log likelihood of a block of draws: Gauss-Hermite over each lens's slope."""
        sample = self.sample
        away = sample.z_lens - self.task.z_pivot
        mean = values["slope_mean"][:, None] + values["slope_drift"][:, None] * away
        variance = values["slope_scatter"][:, None] ** 2 + 1e-12
        error = np.where(self.has_slope, sample.slope_error, 1.0) ** 2
        known = np.where(self.has_slope, sample.slope, 0.0)
        total = variance + error
        log_slope = np.where(
            self.has_slope, -0.5 * (np.log(total) + (known - mean) ** 2 / total), 0.0
        )
        share = np.where(self.has_slope, variance / total, 0.0)
        middle = mean + share * (known - mean)
        width = np.sqrt(variance * (1.0 - share))
        nodes, weights = np.polynomial.hermite_e.hermegauss(_QUADRATURE)
        expected = self.log_ratio_of(values["matter_density"], values["w"])
        expected = expected + values["f_e"][:, None]
        noise = np.where(self.has_ratio, sample.log_ratio_error, 1.0) ** 2
        noise = noise + values["ratio_scatter"][:, None] ** 2 + 1e-12
        density = np.zeros_like(mean)
        observed = np.where(self.has_ratio, sample.log_ratio, 0.0)
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            left = observed - expected - self.dispersion_term(middle + width * node)
            density += weight * np.exp(-0.5 * left**2 / noise)
        log_ratio = np.log(np.maximum(density, 1e-300)) - 0.5 * np.log(noise)
        return (log_slope + np.where(self.has_ratio, log_ratio, 0.0)).sum(axis=1)

    def _named(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        plain = values | {"f_e": np.exp(0.5 * values["f_e"])}
        return {name: plain[name] for name in self.parameters}
