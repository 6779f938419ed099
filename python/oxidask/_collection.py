"""What all collections have in common: computing, and Dask's protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from oxidask._schedulers import named_schedulers
from oxidask.highlevelgraph import HighLevelGraph


class DaskMethodsMixin:
    """The methods that every collection has.

    A collection of your own inherits it and answers Dask's protocol:
    ``__dask_graph__``, ``__dask_keys__``, ``__dask_postcompute__`` and
    ``__dask_postpersist__``.
    """

    __slots__ = ("__weakref__",)

    def compute(self, **kwargs: Any) -> Any:
        """The result; takes the arguments of :func:`oxidask.compute`."""
        from oxidask.base import compute

        return compute(self, traverse=False, **kwargs)[0]

    def persist(self, **kwargs: Any) -> Any:
        """A collection of held results; see :func:`oxidask.persist`."""
        from oxidask.base import persist

        return persist(self, traverse=False, **kwargs)[0]

    def visualize(self, filename: str | None = "mydask", format: str | None = None, **kwargs: Any) -> Any:
        """Draws the graph; see :func:`oxidask.visualize`."""
        from oxidask.base import visualize

        return visualize(self, filename=filename, format=format, **kwargs)

    def __await__(self) -> Any:
        """Waits, in a coroutine, until what a cluster persists of it is there; answers the collection."""
        return _once_held(self).__await__()


async def _once_held(collection: Any) -> Any:
    from oxidask.distributed import futures_of
    from oxidask.distributed._async import until_done

    await until_done([future._live for future in futures_of(collection)])
    return collection


class LazyCollection(DaskMethodsMixin):
    """A collection over an expression of the engine.

    A class says what its expression is (``__oxidask_expr__``) and how its blocks
    are called (``__dask_keys__``); the rest of Dask's protocol follows, so that
    other libraries' schedulers and tools can read it.
    """

    __slots__ = ()

    def __oxidask_expr__(self) -> Any:
        """The expression, an ``oxidask._oxidask.Expr``."""
        raise NotImplementedError

    @property
    def _name_in_graphs(self) -> str:
        return self.__oxidask_expr__().name  # type: ignore[no-any-return]

    def __dask_keys__(self) -> list[Any]:
        """The keys of the blocks, in nested lists."""
        raise NotImplementedError

    def __dask_graph__(self) -> HighLevelGraph:
        """The plan as a graph of tasks in layers."""
        layers, _ = self.__oxidask_expr__().layers(False, flat(self.__dask_keys__()))
        return HighLevelGraph(layers)

    @property
    def dask(self) -> HighLevelGraph:
        """The plan as a graph of tasks in layers."""
        return self.__dask_graph__()

    def __dask_layers__(self) -> tuple[str, ...]:
        return (self._name_in_graphs,)

    def __dask_tokenize__(self) -> Any:
        return self.__oxidask_expr__().key

    #: The plan is optimised before it becomes a dict of tasks, if at all.
    __dask_optimize__ = None

    __dask_scheduler__ = staticmethod(named_schedulers["threads"])

    def __dask_postcompute__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _finish, (self.__oxidask_expr__(), self.__dask_keys__())

    def __dask_postpersist__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuild, (self.__oxidask_expr__(), flat(self.__dask_keys__()))


def flat(keys: Any) -> list[Any]:
    """The items of nested lists and of tuples of them, in order.

    >>> flat([["a", "b"], [["c"]]])
    ['a', 'b', 'c']
    """
    found: list[Any] = []
    stack = [keys]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(reversed(item))
        else:
            found.append(item)
    return found


def _finish(results: Any, expr: Any, keys: Any) -> Any:
    """The user's result, from the results of nested lists of keys."""
    values: list[Any] = []

    def collect(result: Any, key: Any) -> None:
        # A block may be a tuple itself: the keys say how deep the nesting is.
        if isinstance(key, list):
            for part, one in zip(result, key, strict=True):
                collect(part, one)
        else:
            values.append(result)

    collect(results, keys)
    return expr.finish(values)


def _rebuild(dsk: Mapping[Any, Any], expr: Any, keys: list[Any], *, rename: Mapping[str, str] | None = None) -> Any:
    """The collection of an expression whose blocks are in a dict graph."""
    from oxidask._graphs import delayed_results, renamed
    from oxidask.base import compute

    wanted = [renamed(key, rename) for key in keys]
    values = compute(delayed_results(dsk, wanted))[0]
    return expr.with_blocks(list(values))
