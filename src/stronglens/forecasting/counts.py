"""Numbers of lenses, with errors, and quantiles of their properties, from weighted samples."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from stronglens.forecasting.cuts import CUTS
from stronglens.forecasting.observations import FULL_SKY
from stronglens.simulation.relations import Columns

QUANTILES = (0.05, 0.5, 0.95)
"""Quantiles given of each property."""
PROPERTIES = (
    *("theta_e", "z_lens", "z_source", "sigma_v", "magnification", "snr"),
    *("r_eff_source", "mag_source", "mag_deflector"),
)
"""Properties of discoverable lenses whose quantiles are given."""


@dataclass(frozen=True)
class Count:
    """An expected number with its sampling error."""

    number: float
    """Expected number."""
    error: float
    """Standard error, from the finite sample alone."""


@dataclass(frozen=True)
class Sample:
    """Observed ideal lenses, each standing for `weight` lenses of the full sky."""

    lenses: Columns
    """Their columns, as drawn and observed."""
    n_pairs: int
    """Pairs of deflector and source that the lenses were found among."""
    n_cuts: int
    """Cuts that a discoverable lens has passed."""

    def n_ideal(self) -> Count:
        """Return the number of ideal lenses on the full sky."""
        return self._count(np.ones(len(self.lenses["weight"]), dtype=bool), FULL_SKY)

    def n_discoverable(self, area: float) -> Count:
        """Return the number of discoverable lenses.

        Args:
            area: Area of the survey [deg^2].
        """
        return self._count(self.is_discoverable(), area)

    def is_discoverable(self) -> Bool[np.ndarray, " n"]:
        """Whether lenses pass every cut."""
        return self.lenses["cuts_passed"] >= self.n_cuts

    def remaining(self) -> dict[str, float]:
        """Return the fraction of ideal lenses left after each cut in sequence."""
        weight, passed = self.lenses["weight"], self.lenses["cuts_passed"]
        return {
            name: float(weight[passed > k].sum() / weight.sum())
            for k, name in enumerate(CUTS[: self.n_cuts])
        }

    def quantiles(self) -> dict[str, list[float]]:
        """Return 5, 50 and 95 % of each property of the discoverable lenses; none without lens."""
        rows = self.is_discoverable()
        if not rows.any():
            return {}
        weight = self.lenses["weight"][rows]
        return {
            name: weighted_quantiles(self.lenses[name][rows], weight).tolist()
            for name in PROPERTIES
        }

    def _count(self, rows: Bool[np.ndarray, " n"], area: float) -> Count:
        """Count some of the lenses in an area."""
        weight = self.lenses["weight"][rows]
        variance = (weight**2).sum() - weight.sum() ** 2 / self.n_pairs
        share = area / FULL_SKY
        return Count(float(weight.sum() * share), float(np.sqrt(max(variance, 0.0)) * share))


def weighted_quantiles(
    values: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "3"]:
    """Return the weighted quantiles `QUANTILES`.

    Args:
        values: At least one value.
        weight: How much each counts.
    """
    order = np.argsort(values)
    middle = np.cumsum(weight[order]) - 0.5 * weight[order]
    return np.interp(np.array(QUANTILES) * weight.sum(), middle, values[order])
