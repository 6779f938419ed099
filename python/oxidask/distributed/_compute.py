"""Collections and graphs that a client computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oxidask import _oxidask
from oxidask.distributed._async import sync_or_async
from oxidask.distributed._future import Future

__all__ = ["Computations"]


class Computations:
    """The part of :class:`Client` that computes collections."""

    _handle: Any
    _asynchronous: bool
    _wishes: Callable[..., Any]
    gather: Callable[..., Any]

    def compute(
        self,
        collections: Any,
        sync: bool = False,
        optimize_graph: bool = True,
        workers: Any = None,
        allow_other_workers: bool = False,
        resources: dict[str, float] | None = None,
        retries: int = 0,
        priority: int = 0,
        fifo_timeout: Any = None,
        actors: Any = None,
        traverse: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Starts to compute collections.

        Parameters
        ----------
        collections : a collection, or a list or tuple of collections and others
        sync : bool
            Whether to wait for the results.
        optimize_graph : bool
            Whether to rewrite the plan before it runs.
        workers, allow_other_workers, resources, retries, priority
            As for :meth:`submit`; they hold for tasks made while this is called.

        Returns
        -------
        A future for each collection, or with ``sync`` the results.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> from oxidask import delayed
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.compute(delayed(abs)(-1)).result()
        1
        """
        del fifo_timeout, actors, traverse, kwargs
        single = not isinstance(collections, (list, tuple))
        items = [collections] if single else list(collections)
        lazy = [_oxidask.is_lazy(item) for item in items]
        wishes = self._wishes(workers, resources, retries, priority, allow_other_workers)
        with wishes:
            # A collection of several parts stays in parts on the workers.
            held = [
                self._persist_parts(item, optimize_graph) if is_lazy else None
                for item, is_lazy in zip(items, lazy, strict=True)
            ]
            exprs = _oxidask.find_lazy(
                tuple(
                    item if parts is None else parts
                    for item, parts, is_lazy in zip(items, held, lazy, strict=True)
                    if is_lazy
                ),
                False,
            )
            handles = iter(self._handle.compute(exprs, optimize_graph))
        answers = [
            Future._of(next(handles), self, parts) if is_lazy else item
            for item, parts, is_lazy in zip(items, held, lazy, strict=True)
        ]
        answer = answers[0] if single else answers
        return self.gather(answer) if sync else answer

    def _persist_parts(self, collection: Any, optimize_graph: bool) -> Any:
        """The collection held in parts; nothing if it is a single value."""
        if isinstance(collection, (_oxidask.Delayed, Future)):
            return None
        from oxidask.base import persist

        return persist(collection, optimize_graph=optimize_graph, scheduler=self)[0]

    def persist(
        self,
        collections: Any,
        optimize_graph: bool = True,
        workers: Any = None,
        allow_other_workers: bool = False,
        resources: dict[str, float] | None = None,
        retries: int | None = None,
        priority: int = 0,
        fifo_timeout: Any = None,
        actors: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Starts to compute collections and keeps their parts on the workers.

        Parameters
        ----------
        collections : a collection, or a list or tuple of collections
        optimize_graph, workers, allow_other_workers, resources, retries, priority
            As for :meth:`compute`.

        Returns
        -------
        The collections over the held results.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> from oxidask import delayed
        >>> with Client(n_workers=1, processes=False) as client:
        ...     held = client.persist(delayed(abs)(-1))
        ...     (held + 1).compute()
        2
        """
        del fifo_timeout, actors, kwargs
        from oxidask.base import persist

        single = not isinstance(collections, (list, tuple))
        items = [collections] if single else list(collections)
        with self._wishes(workers, resources, retries, priority, allow_other_workers):
            held = persist(*items, optimize_graph=optimize_graph, scheduler=self)
        return held[0] if single else list(held)

    def normalize_collection(self, collection: Any) -> Any:
        """The collection itself: what the cluster holds of it is found by its keys.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> from oxidask import delayed
        >>> with Client(n_workers=1, processes=False) as client:
        ...     one = delayed(1)
        ...     client.normalize_collection(one) is one
        True
        """
        return collection

    def get(self, dsk: Any, keys: Any, sync: bool = True, **kwargs: Any) -> Any:
        """Computes keys of a graph in a dict.

        Parameters
        ----------
        dsk : dict
            Keys, and values or tasks: tuples that begin with a function.
        keys : key or nested lists of keys
        sync : bool
            Whether to wait for the values; otherwise futures are answered.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.get({"x": 1, "y": (abs, -2)}, ["x", "y"])
        (1, 2)
        """
        from oxidask import _graphs

        with self._wishes(
            kwargs.get("workers"),
            kwargs.get("resources"),
            kwargs.get("retries"),
            kwargs.get("priority") or 0,
            bool(kwargs.get("allow_other_workers")),
        ):
            if sync:
                return sync_or_async(self._asynchronous, _graphs.get, dict(dsk), keys, self._handle.executor)
            lazy = _graphs.delayed_results(dict(dsk), keys)
            return [self.compute(one) for one in lazy] if isinstance(lazy, list) else self.compute(lazy)
