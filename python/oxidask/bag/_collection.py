"""What bags and items have in common: computing, and Dask's protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from oxidask import _oxidask
from oxidask.base import DaskMethodsMixin, named_schedulers


def _processes(dsk: Mapping[Any, Any], keys: Any, **kwargs: Any) -> Any:
    return named_schedulers["processes"](dsk, keys, **kwargs)


def with_scheduler(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``compute``, with child processes where nothing else was chosen.

    Functions of bags are the user's and hold Python's lock; a setting or an
    active client comes first.
    """
    if any(kwargs.get(name) is not None for name in ("scheduler", "get", "pool")):
        return kwargs
    from oxidask import config
    from oxidask.base import _client_executor

    chosen = config.get("scheduler", None) or config.get("pool", None) or _client_executor(required=False)
    return kwargs if chosen is not None else {**kwargs, "scheduler": "processes"}


class BagCollection(DaskMethodsMixin):
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
        return self._name or f"{self._expr.label}-{self._expr.key}"

    def __dask_tokenize__(self) -> str:
        return self._expr.key  # type: ignore[no-any-return]

    def compute(self, **kwargs: Any) -> Any:
        """The result; takes the arguments of :func:`oxidask.compute`.

        Unlike there, functions run in child processes unless a scheduler is
        given, set or a client is active.
        """
        return super().compute(**with_scheduler(kwargs))

    def persist(self, **kwargs: Any) -> Any:
        """The same collection with its result held; see :func:`oxidask.persist`."""
        return super().persist(**with_scheduler(kwargs))

    def _graph(self) -> tuple[dict[Any, Any], list[Any]]:
        graph, keys = self._expr.dict_graph(False)
        return graph, keys

    def __dask_graph__(self) -> dict[Any, Any]:
        graph, keys = self._graph()
        return {**graph, **{own: key for own, key in zip(self.__dask_keys__(), keys, strict=True) if own != key}}

    def __dask_keys__(self) -> list[Any]:
        raise NotImplementedError

    def __dask_layers__(self) -> tuple[str, ...]:
        return (self.name,)

    def __dask_postcompute__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._expr.finish, ()

    def __dask_postpersist__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuild, (type(self), self.__dask_keys__())

    __dask_scheduler__ = staticmethod(_processes)

    @property
    def dask(self) -> dict[Any, Any]:
        """The plan as a dict of tasks."""
        return self.__dask_graph__()


def _rebuild(dsk: Mapping[Any, Any], cls: Any, keys: list[Any], *, rename: Mapping[str, str] | None = None) -> Any:
    from oxidask._graphs import delayed_of_graph

    del rename
    parts = [delayed_of_graph(dsk, key) for key in keys]
    return cls.from_delayed(parts[0]) if hasattr(cls, "from_delayed") else cls._over(_oxidask.bag_concat(parts))
