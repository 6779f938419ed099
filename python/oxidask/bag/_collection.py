"""What bags and items have in common."""

from __future__ import annotations

from typing import Any

from oxidask.base import LazyCollection, named_schedulers


class BagCollection(LazyCollection):
    """A lazy thing over an expression of the engine."""

    __slots__ = ("_expr", "_name")

    _expr: Any
    _name: str | None

    @classmethod
    def _over(cls, expr: Any, name: str | None = None) -> Any:
        made = cls.__new__(cls)
        made._expr, made._name = expr, name
        return made

    def __oxidask_expr__(self) -> Any:
        return self._expr

    @property
    def name(self) -> str:
        """The name in graphs: what it does, and a hash of how."""
        return self._name or self._name_in_graphs

    def __dask_layers__(self) -> tuple[str, ...]:
        return (self.name,)

    # Functions of bags are the user's and hold Python's lock.
    __dask_scheduler__ = staticmethod(named_schedulers["processes"])
