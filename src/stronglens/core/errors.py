"""Exception classes and their message form: what is wrong, what is allowed, what to do.

Nothing here decides when to raise; that is the business of the code that checks.
"""

import difflib
from collections.abc import Iterable


class StronglensError(Exception):
    """Base of every error that stronglens raises on purpose."""


class UnknownNameError(StronglensError, KeyError):
    """A survey, network, profile, verb or band that does not exist."""

    def __str__(self) -> str:
        """Return the message without the quotes that KeyError puts around it."""
        return str(self.args[0]) if self.args else ""


class OutOfRangeError(StronglensError, ValueError):
    """A number outside its physical or supported range."""


class WrongShapeError(StronglensError, ValueError):
    """Sizes, bands or batches that do not fit."""


class MissingDataError(StronglensError, FileNotFoundError):
    """A file, dataset or run that is not there."""


class UnreadableFileError(StronglensError, OSError):
    """A file that is there and cannot be understood: truncated, corrupted, of another kind."""


class StaleCheckpointError(StronglensError, RuntimeError):
    """Weights or a run directory made with other settings."""


class InterruptedRunError(StronglensError, RuntimeError):
    """A run that has not finished is used as if it had."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Build the error for a name that is not known, with the nearest ones that are.

    Args:
        kind: What was looked up, such as "network".
        name: The name that was asked for.
        known: Every name that exists.

    Returns:
        The error, to be raised by the caller.
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UnknownNameError(f"unknown {kind} {name!r}.{hint} Known: {', '.join(names)}.")
