"""The methods of strings on bags of strings."""

from __future__ import annotations

import fnmatch
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oxidask.bag.core import Bag

__all__ = ["StringAccessor"]


class StringAccessor:
    """What ``bag.str`` is: each method of ``str`` maps it over the bag."""

    def __init__(self, bag: Bag) -> None:
        self._bag = bag

    def __dir__(self) -> list[str]:
        return sorted({"match", *(name for name in dir(str) if not name.startswith("_"))})

    def __getattr__(self, name: str) -> Callable[..., Bag]:
        if name.startswith("_") or not hasattr(str, name):
            raise AttributeError(f"strings have no method {name!r}")

        def method(*args: Any, **kwargs: Any) -> Bag:
            return self._bag._pipe(name, map, operator.methodcaller(name, *args, **kwargs), self._bag)

        method.__name__ = name
        method.__doc__ = getattr(str, name).__doc__
        return method

    def match(self, pattern: str) -> Bag:
        """The strings that match a pattern with ``*`` and ``?``.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence(["a.txt", "b.csv"]).str.match("*.txt").compute()
        ['a.txt']
        """
        return self._bag._pipe("match", _matching, self._bag, pattern, listed=True)


def _matching(strings: Any, pattern: str) -> Any:
    return fnmatch.filter(strings, pattern)
