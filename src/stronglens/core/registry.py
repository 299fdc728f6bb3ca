"""A name becomes a factory by a decorator; listings and contract tests follow by themselves.

Registries hold kinds (networks, profiles, surveys); what a kind does lives in its own file.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from stronglens.core.errors import unknown_name

T = TypeVar("T")


class Registry(Generic[T]):
    """Names of one kind of thing, each with the thing and the facts stated about it.

    Args:
        kind: What is registered, in the singular, as it should read in an error message.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}
        self._facts: dict[str, dict[str, Any]] = {}

    def register(self, name: str, **facts: Any) -> Callable[[T], T]:  # noqa: ANN401 - facts are free
        """Return a decorator that enters a thing under a name.

        Args:
            name: The public name; it is API from then on.
            **facts: What the registry should know about it, such as its citation.

        Returns:
            The decorator, which gives the thing back untouched.
        """

        def enter(thing: T) -> T:
            self._entries[name] = thing
            self._facts[name] = facts
            return thing

        return enter

    def get(self, name: str) -> T:
        """Return the thing of that name.

        Raises:
            UnknownNameError: No such name; the message lists those that exist.
        """
        if name not in self._entries:
            raise unknown_name(self.kind, name, self._entries)
        return self._entries[name]

    def facts(self, name: str) -> dict[str, Any]:
        """Return what was stated about the thing of that name when it was registered."""
        self.get(name)
        return dict(self._facts[name])

    def names(self) -> list[str]:
        """Return every name, sorted."""
        return sorted(self._entries)
