"""The form in which every measured number is given: a value and an interval.

How intervals are found is in `metrics.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A number with an interval."""

    value: float
    """The number itself."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""

    def __str__(self) -> str:
        """Return the number and its interval with three digits, four near 0 and 1."""
        digits = 4 if self.value > 0.99 or abs(self.value) < 0.01 else 3
        return f"{self.value:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"
