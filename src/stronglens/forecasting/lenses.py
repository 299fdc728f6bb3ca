"""Ideal lenses of the full sky: deflectors with a source inside their Einstein radius.

What a survey sees of them is in `observing`.
"""

from dataclasses import dataclass, field

import numpy as np

from stronglens.forecasting.deflectors import DeflectorPopulation
from stronglens.simulation.relations import Columns, theta_e_of
from stronglens.simulation.source_catalogue import SourceCatalogue


@dataclass(frozen=True)
class LensPopulation:
    """Deflectors and the sources behind them."""

    deflectors: DeflectorPopulation = field(default_factory=DeflectorPopulation)
    """The deflectors."""
    sources: SourceCatalogue = field(default_factory=SourceCatalogue)
    """The sources."""

    def draw(self, rng: np.random.Generator, n: int) -> Columns:
        """Draw n pairs of deflector and source and keep the lenses among them.

        Sources lie uniformly in a box that holds one on average; a lens has its source inside the
        Einstein radius (Collett 2015). Here they are placed inside the Einstein radius at once,
        and the chance of that is part of the weight.

        Args:
            rng: Source of randomness.
            n: Number of pairs.

        Returns:
            A column per quantity, among them `weight`: the sum of the weights of many draws over
            their number of pairs is the number of ideal lenses on the full sky.
        """
        pairs = self.deflectors.draw(rng, n) | self.sources.draw(rng, n)
        theta_e = theta_e_of(pairs["sigma_v"], pairs["z_lens"], pairs["z_source"])
        radius, angle = theta_e * np.sqrt(rng.random(n)), rng.uniform(0.0, 2.0 * np.pi, n)
        x_source, y_source = radius * np.cos(angle), radius * np.sin(angle)
        chance = np.pi * theta_e**2 * self.sources.density
        half_box = 0.5 * self.sources.density**-0.5
        is_lens = (theta_e > 0.0) & (np.maximum(abs(x_source), abs(y_source)) < half_box)
        weight = self.deflectors.n_full_sky() * chance
        weight *= pairs.pop("deflector_weight") * pairs.pop("source_weight")
        lenses = {"weight": weight, "theta_e": theta_e} | pairs
        lenses |= {"x_source": x_source, "y_source": y_source}
        return {name: values[is_lens] for name, values in lenses.items()}
