"""Lenses to be expected above each threshold, before anybody looks.

The probabilities are those of a calibrated finder, for a stated prevalence; without calibration
there is nothing to expect.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64

_LENGTHS = tuple(m * 10**k for k in range(1, 9) for m in (1, 3))


@dataclass(frozen=True)
class ListLine:
    """What a list of the first rows of the catalogue holds."""

    n_candidates: int
    """Length of the list."""
    score: float
    """Lowest score in it."""
    p_lens: float
    """Lowest probability in it."""
    n_lenses: float
    """Lenses in it: the sum of the probabilities."""


@dataclass
class Expectation:
    """Running sums over a catalogue that is sorted by falling probability."""

    n: int = 0
    """Rows with a probability so far."""
    n_lenses: float = 0.0
    """Lenses among them."""
    lines: list[ListLine] = field(default_factory=list)
    """Lists of round lengths."""
    last: ListLine | None = None
    """The list of all rows."""
    n_candidates: int = 0
    """Candidates with a probability so far."""
    n_lenses_listed: float = 0.0
    """Lenses among the candidates."""

    @property
    def is_calibrated(self) -> bool:
        """Whether there were any probabilities."""
        return self.n > 0

    def add(
        self,
        p_lens: Float64[np.ndarray, "n"],
        score: Float64[np.ndarray, "n"],
        is_candidate: Bool[np.ndarray, "n"],
    ) -> None:
        """Take in the next rows.

        Args:
            p_lens: Probabilities; NaN where there is none.
            score: Scores of the same rows.
            is_candidate: Whether each is above the threshold.
        """
        known = np.isfinite(p_lens)
        self.n_candidates += int((known & is_candidate).sum())
        self.n_lenses_listed += float(p_lens[known & is_candidate].sum())
        p, s = p_lens[known], score[known]
        sums = self.n_lenses + np.cumsum(p)
        for length in _LENGTHS:
            index = length - self.n - 1
            if 0 <= index < len(p):
                line = ListLine(length, float(s[index]), float(p[index]), float(sums[index]))
                self.lines.append(line)
        if len(p):
            self.n += len(p)
            self.n_lenses = float(sums[-1])
            self.last = ListLine(self.n, float(s[-1]), float(p[-1]), self.n_lenses)

    def purity(self) -> float:
        """Share of the candidates that are expected to be lenses; NaN without candidates."""
        return self.n_lenses_listed / self.n_candidates if self.n_candidates else math.nan

    def completeness(self, n_lenses: float) -> float:
        """Share of all expected lenses; NaN where none is expected.

        Args:
            n_lenses: Lenses in a list.
        """
        return n_lenses / self.n_lenses if self.n_lenses > 0 else math.nan

    def table(self) -> dict[str, np.ndarray]:
        """Return the lists as columns: length, lowest score and p_lens, purity, completeness."""
        lines = [*self.lines]
        if self.last is not None and self.last not in lines:
            lines.append(self.last)
        return {
            "n_candidates": np.array([line.n_candidates for line in lines]),
            "threshold": np.array([line.score for line in lines]),
            "p_lens": np.array([line.p_lens for line in lines]),
            "n_lenses": np.array([line.n_lenses for line in lines]),
            "purity": np.array([line.n_lenses / line.n_candidates for line in lines]),
            "completeness": np.array([self.completeness(line.n_lenses) for line in lines]),
        }

    def to_lines(self, prevalence: float) -> list[str]:
        """Return the lists as lines of text.

        Args:
            prevalence: For which the probabilities are.
        """
        if not self.is_calibrated:
            return [
                "p_lens stays empty: the finder is not calibrated, so that neither purity nor "
                "completeness can be forecast. Rows are sorted by score."
            ]
        rows = self.table()
        head = f"expected at a prevalence of {prevalence:g}: {self.n_lenses:.1f} lenses in {self.n}"
        names = f"{'list':>10} {'score >=':>9} {'p_lens >=':>10} {'purity':>7} {'complete':>9}"
        return [
            head,
            names,
            *(
                f"{n:>10d} {s:>9.4f} {p:>10.2e} {purity:>7.1%} {complete:>9.1%}"
                for n, s, p, purity, complete in zip(
                    rows["n_candidates"],
                    rows["threshold"],
                    rows["p_lens"],
                    rows["purity"],
                    rows["completeness"],
                    strict=True,
                )
            ),
        ]
