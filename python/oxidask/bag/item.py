"""Single values that bags make: sums, counts, folds."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from oxidask import _oxidask
from oxidask.bag._collection import BagCollection

__all__ = ["Item"]


class Item(BagCollection):
    """One lazy value.

    Operators on it are lazy too; ``int``, ``float``, ``bool`` and ``complex``
    compute it.

    Parameters
    ----------
    dsk : mapping
        A dict graph.
    key : hashable
        The key of the value in it.
    layer : str, optional
        Accepted for Dask's sake; it makes no difference.

    Examples
    --------
    >>> import oxidask.bag as db
    >>> total = db.from_sequence([1, 2, 3]).sum()
    >>> (total * 2).compute(), int(total)
    (12, 6)
    """

    __slots__ = ()

    def __init__(self, dsk: Any, key: Any, layer: str | None = None) -> None:
        from oxidask._graphs import delayed_of_graph

        del layer
        self._expr, self._name = _oxidask.bag_item(delayed_of_graph(dsk, key)), key

    @property
    def key(self) -> Any:
        """The name in graphs."""
        return self.name

    @property
    def _args(self) -> tuple[Any, ...]:
        return (self.dask, self.key)

    def __dask_keys__(self) -> list[Any]:
        return [self.key]

    def __dask_postcompute__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _only, ()

    @staticmethod
    def from_delayed(value: Any) -> Item:
        """An item of a delayed value, or of anything else lazy.

        Examples
        --------
        >>> from oxidask import delayed
        >>> Item.from_delayed(delayed(abs)(-1)).compute()
        1
        """
        from oxidask import delayed
        from oxidask.base import is_dask_collection

        return Item._over(_oxidask.bag_item(value if is_dask_collection(value) else delayed(value)))

    def to_delayed(self, optimize_graph: bool = True) -> Any:
        """The value as a :class:`oxidask.delayed.Delayed`.

        Parameters
        ----------
        optimize_graph : bool
            Whether to rewrite the plan first.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence([1, 2]).sum().to_delayed().compute()
        3
        """
        return _oxidask.bag_delayed(self, optimize_graph)[0]

    def apply(self, func: Callable[[Any], Any]) -> Item:
        """The result of a function of the value.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence([1, 2]).sum().apply(str).compute()
        '3'
        """
        return self._call(func, self)

    def _call(self, function: Callable[..., Any], *args: Any) -> Item:
        from oxidask.utils import funcname

        return Item._over(_oxidask.bag_pipe(self, funcname(function), function, args, item=True))

    def __repr__(self) -> str:
        return f"oxidask.bag.Item<{self.key}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _loads, (*_oxidask.bag_dumps(self), self._name)

    def __bool__(self) -> bool:
        return bool(self.compute())

    def __int__(self) -> int:
        return int(self.compute())

    def __float__(self) -> float:
        return float(self.compute())

    def __complex__(self) -> complex:
        return complex(self.compute())

    def __index__(self) -> int:
        return operator.index(self.compute())

    __hash__ = object.__hash__


def _loads(form: bytes, label: str, key: str, name: str | None) -> Item:
    return Item._over(_oxidask.bag_loads(form, label, key, 1, True), name)


def _only(results: Any) -> Any:
    return results[0]


def _add_operators() -> None:
    def infix(function: Callable[..., Any]) -> Callable[..., Item]:
        return lambda self, other: self._call(function, self, other)

    def reflected(function: Callable[..., Any]) -> Callable[..., Item]:
        return lambda self, other: self._call(function, other, self)

    def prefix(function: Callable[..., Any]) -> Callable[..., Item]:
        return lambda self: self._call(function, self)

    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift"):
        function = getattr(operator, f"__{name}__")
        setattr(Item, f"__{name}__", infix(function))
        setattr(Item, f"__r{name}__", reflected(function))
    for name in ("eq", "ne", "lt", "le", "gt", "ge", "getitem", "matmul"):
        setattr(Item, f"__{name}__", infix(getattr(operator, f"__{name}__")))
    for name in ("neg", "pos", "abs", "invert"):
        setattr(Item, f"__{name}__", prefix(getattr(operator, f"__{name}__")))


_add_operators()
