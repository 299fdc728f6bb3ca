"""What a scan gives back, and the exit status for scripts."""

from dataclasses import dataclass

from stronglens.core.task import TaskResult

EXIT_SOME_FAILED = 3
EXIT_NOTHING_DONE = 1


@dataclass(frozen=True)
class ScanResult(TaskResult):
    """How many objects were scored, and how many passed the cut."""

    n_rows: int
    """Rows of the table: one per object."""
    n_ok: int
    """Objects with a score."""
    n_failed: int
    """Objects without one: failed, at an edge, masked, outside, each with its reason."""
    n_candidates: int
    """Objects whose score is above the threshold."""
    threshold: float | None
    """Score above which an object was a candidate; None where several finders scored."""
    prevalence: float = 1e-3
    """Lenses over all objects, for which probabilities are given."""
    expected_lenses: float | None = None
    """Lenses to be expected among the candidates; nothing where the finder is not calibrated."""
    purity: float | None = None
    """Share of the candidates that are expected to be lenses."""
    completeness: float | None = None
    """Share of all expected lenses that are candidates."""
    recovered: float | None = None
    """Share of the injected lenses that were found; nothing where none was injected."""
    first_failure: str = ""
    """Reason of the first object marked as failed; the others stand in the table and the log."""

    @property
    def exit_code(self) -> int:
        """Status for scripts: 0 all scored, 3 some marked as failed, 1 nothing scored."""
        if self.n_ok == 0:
            return EXIT_NOTHING_DONE
        return EXIT_SOME_FAILED if self.n_failed else 0
