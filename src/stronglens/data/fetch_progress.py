"""What a fetch shows and notes while it goes on: a bar, and a line in the log for each failure.

The objects themselves are fetched in `stronglens.data.fetch`.
"""

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType

from tqdm import tqdm

from stronglens.core.rundir import RunDirectory

_LOGGED = 1000
_SECONDS = 5.0


class FetchProgress:
    """Bar of progress on the screen, counts in status.json, reasons in log.txt.

    Args:
        run: Directory of the run.
        sizes: Number of objects of each input, None where only reading tells.
    """

    def __init__(self, run: RunDirectory, sizes: Sequence[int | None]) -> None:
        self.run = run
        self.first_failure = ""
        self.counts: Counter[str] = Counter()
        known = [n for n in sizes if n is not None]
        total = sum(known) if len(known) == len(sizes) else None
        self._bar = tqdm(total=total, desc="fetch", unit="object", disable=None)
        self._noted = time.monotonic()
        self._lines = 0

    def __enter__(self) -> "FetchProgress":
        """Return the progress itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the bar and note the last counts."""
        self._bar.close()
        self.run.progress(**self.counts)

    def add(self, name: str, status: str, reason: str) -> None:
        """Count one object.

        Args:
            name: Its name.
            status: What became of it.
            reason: Why.
        """
        self.counts[status] += 1
        self._bar.update()
        if status == "failed" and not self.first_failure:
            self.first_failure = reason
        if status != "ok" and self._lines < _LOGGED:
            self._lines += 1
            self.run.log(f"{status} {name}: {reason}")
        if time.monotonic() - self._noted > _SECONDS:
            self._noted = time.monotonic()
            self._bar.set_postfix({k: v for k, v in self.counts.items() if k != "ok"})
            self.run.progress(**self.counts)
