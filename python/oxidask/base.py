"""Computing collections: ``compute``, ``persist``, ``optimize``, ``visualize``.

Which scheduler runs them is said, in this order, by the argument ``scheduler``
(or ``pool``), by the setting of that name, and by an active
:class:`oxidask.distributed.Client`; otherwise it is a pool of threads.

>>> from oxidask import compute, config, delayed
>>> numbers = [delayed(abs)(i) for i in (-1, 2)]
>>> compute(numbers, {"first": numbers[0]}, "and text")
([1, 2], {'first': 1}, 'and text')
>>> with config.set(scheduler="sync"):
...     compute(numbers)
([1, 2],)
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from oxidask import _oxidask
from oxidask._oxidask import Delayed, Executor

__all__ = [
    "DaskMethodsMixin",
    "annotate",
    "compute",
    "compute_as_if_collection",
    "get_annotations",
    "get_scheduler",
    "is_dask_collection",
    "named_schedulers",
    "normalize_token",
    "optimize",
    "persist",
    "tokenize",
    "unpack_collections",
    "visualize",
]

#: The names of schedulers, and the kind of executor that each stands for.
NAMES = {
    "threads": "threads",
    "threading": "threads",
    "threaded": "threads",
    "sync": "sync",
    "synchronous": "sync",
    "single-threaded": "sync",
    "processes": "processes",
    "multiprocessing": "processes",
    "distributed": "distributed",
    "dask.distributed": "distributed",
}

_executors: dict[tuple[str, int | None, Any], Executor] = {}
_executors_lock = threading.Lock()
_abandoned: list[Any] = []


def _after_fork() -> None:
    # The threads of a parent's executors do not exist in its forked child, and
    # closing an executor would wait for them.
    _abandoned.append(dict(_executors))
    _executors.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def local_executor(kind: str, num_workers: int | None = None) -> Executor:
    """The executor of a kind, started when first asked for and then kept."""
    if num_workers is None:
        from oxidask import config

        num_workers = config.get("num-workers", None) or config.get("num_workers", None)
    if num_workers is not None:
        num_workers = int(num_workers)
        if num_workers < 1:
            raise ValueError(f"num_workers must be at least 1, got {num_workers}")
    key = (kind, None if kind == "sync" else num_workers, _start_of_children() if kind == "processes" else None)
    with _executors_lock:
        executor = _executors.get(key)
        if executor is None:
            executor = _executors[key] = _oxidask.local_executor(key[0], key[1])
        return executor


def _start_of_children() -> Any:
    """What children do first; those that did something else are no use."""
    from oxidask import config

    return config.get("multiprocessing.initializer", None)


def sync_executor() -> Executor:
    """The executor of the calling thread."""
    return local_executor("sync")


def close_executors() -> None:
    """Ends the threads and child processes of all local executors.

    Python calls it at exit. The next computation starts new ones.
    """
    with _executors_lock:
        executors = list(_executors.values())
        _executors.clear()
    for executor in executors:
        executor.close()


atexit.register(close_executors)


def _client_executor(*, required: bool) -> Executor | None:
    """The executor of the active client, if there is one."""
    module = sys.modules.get("oxidask.distributed")
    executor = None if module is None else module.current_executor()
    if executor is None and required:
        raise ValueError("scheduler 'distributed' needs a client\nhint: create one first: oxidask.distributed.Client()")
    return executor


def _unknown_scheduler(scheduler: Any) -> ValueError:
    names = ", ".join(repr(name) for name in NAMES)
    return ValueError(
        f"{scheduler!r} is no scheduler\nhint: use one of {names}, "
        "a function get(dsk, keys), a concurrent.futures.Executor or a Client"
    )


def _pool_get(pool: Any) -> Callable[..., Any]:
    from oxidask import _pools

    return functools.partial(_pools.get, pool=pool)


def choose_scheduler(
    scheduler: Any = None, *, get: Callable[..., Any] | None = None, pool: Any = None, num_workers: int | None = None
) -> Executor | Callable[..., Any]:
    """What will run a graph: an executor of ours, or a function on dict graphs."""
    if get is not None and scheduler is None:
        scheduler = get
    if scheduler is None and pool is None:
        from oxidask import config

        scheduler = config.get("scheduler", None)
        if scheduler is None:
            pool = config.get("pool", None)
        if scheduler is None and pool is None:
            client = _client_executor(required=False)
            if client is not None:
                return client
            scheduler = "threads"
    if scheduler is None or (pool is not None and isinstance(scheduler, str)):
        return _pool_get(pool)
    if isinstance(scheduler, str):
        kind = NAMES.get(scheduler.lower())
        if kind is None:
            raise _unknown_scheduler(scheduler)
        if kind == "distributed":
            client = _client_executor(required=True)
            assert client is not None
            return client
        return local_executor(kind, num_workers)
    return _scheduler_object(scheduler)


def _scheduler_object(scheduler: Any) -> Executor | Callable[..., Any]:
    if isinstance(scheduler, Executor):
        return scheduler
    executor = getattr(type(scheduler), "__oxidask_executor__", None)
    if executor is not None:
        return executor(scheduler)  # type: ignore[no-any-return]
    function = getattr(scheduler, "get", None)
    if callable(scheduler):
        name = getattr(scheduler, "__module__", "")
        own = {"oxidask.threaded": "threads", "oxidask.local": "sync", "oxidask.multiprocessing": "processes"}
        if name in own and isinstance(scheduler, type(_unknown_scheduler)):
            return local_executor(own[name])
        return scheduler  # type: ignore[no-any-return]
    if hasattr(scheduler, "submit") or hasattr(scheduler, "apply_async"):
        return _pool_get(scheduler)
    if callable(function):
        return function  # type: ignore[no-any-return]
    raise _unknown_scheduler(scheduler)


def _callbacks_active() -> bool:
    module = sys.modules.get("oxidask.callbacks")
    return module is not None and bool(module.active_task_callbacks())


def _bars_active() -> bool:
    module = sys.modules.get("oxidask.diagnostics.progress")
    return module is not None and bool(module.active_bars())


def _with_bars(executor: Executor, run: Callable[[], Any]) -> Any:
    """Calls ``run`` while the active progress bars show what ``executor`` does."""
    module = sys.modules.get("oxidask.diagnostics.progress")
    for bar in module.active_bars() if module is not None else ():
        run = functools.partial(bar.run, executor, run)
    return run()


def compute(
    *args: Any,
    traverse: bool = True,
    optimize_graph: bool = True,
    scheduler: Any = None,
    get: Callable[..., Any] | None = None,
    pool: Any = None,
    num_workers: int | None = None,
    **kwargs: Any,
) -> tuple[Any, ...]:
    """Computes several collections at once, sharing what they have in common.

    Parameters
    ----------
    args : any objects
        Collections are computed wherever they are: alone, or inside lists,
        tuples, dicts, sets and dataclasses. Other objects pass unchanged.
    traverse : bool
        Whether to look inside containers.
    optimize_graph : bool
        Whether to rewrite the plan before it runs.
    scheduler : str, callable, executor or client, optional
        ``"threads"``, ``"sync"``, ``"processes"``, ``"distributed"``, a function
        ``get(dsk, keys)``, a ``concurrent.futures.Executor`` or a client.
    get : callable, optional
        The same as ``scheduler`` with a function.
    pool : concurrent.futures.Executor or multiprocessing.pool.ThreadPool, optional
        A pool to run on.
    num_workers : int, optional
        Threads or processes to run on; all cores by default.
    **kwargs
        Passed to a scheduler function.

    Returns
    -------
    tuple
        The arguments with results in place of collections.

    Raises
    ------
    ValueError
        If there is no such scheduler.
    Exception
        Whatever a task raises, as itself.

    Examples
    --------
    >>> from oxidask import delayed
    >>> a = delayed(abs)(-1)
    >>> compute(a, [a + 1, (a + 2,)], 7)
    (1, [2, (3,)], 7)
    """
    target = choose_scheduler(scheduler, get=get, pool=pool, num_workers=num_workers)
    if isinstance(target, Executor):
        if not _bars_active() and not _callbacks_active():
            return _oxidask.compute(args, target, traverse, optimize_graph)
        if not _callbacks_active():
            run = functools.partial(_oxidask.compute, args, target, traverse, optimize_graph)
            return _with_bars(target, run)
        # Callbacks see keys, tasks and results, which only a run in Python has.
        from oxidask import _pools

        target = functools.partial(_pools.get, pool=None, num_workers=target.n_slots)
    if num_workers is not None:
        kwargs["num_workers"] = num_workers
    from oxidask._graphs import run_with

    return _oxidask.compute_with(args, functools.partial(run_with, get=target, kwargs=kwargs), traverse)


def persist(
    *args: Any,
    traverse: bool = True,
    optimize_graph: bool = True,
    scheduler: Any = None,
    pool: Any = None,
    num_workers: int | None = None,
    **kwargs: Any,
) -> tuple[Any, ...]:
    """Computes collections and answers collections of the held results.

    Local executors and clusters begin at once and return before the work is
    done; what is derived from the answer waits for it.

    Parameters
    ----------
    args, traverse, optimize_graph, scheduler, pool, num_workers
        As for :func:`compute`.

    Returns
    -------
    tuple
        The arguments with persisted collections in place of collections. They
        compare with the originals by value, not by key.

    Examples
    --------
    >>> from oxidask import delayed
    >>> (held,) = persist(delayed(abs)(-1))
    >>> (held + 1).compute()
    2
    """
    target = choose_scheduler(scheduler, pool=pool, num_workers=num_workers)
    if isinstance(target, Executor):
        return _oxidask.persist(args, target, traverse, optimize_graph)
    from oxidask._graphs import run_with

    run = functools.partial(run_with, get=target, kwargs=kwargs)
    return _oxidask.persist_with(args, run, traverse)


def optimize(*args: Any, traverse: bool = True, **kwargs: Any) -> tuple[Any, ...]:
    """Answers equivalent collections with rewritten plans.

    ``compute`` does this by itself; it is for looking at.

    Parameters
    ----------
    args : any objects
    traverse : bool
        Whether to look inside containers.

    Returns
    -------
    tuple
        The arguments with optimised collections in place of collections.

    Examples
    --------
    >>> from oxidask import delayed
    >>> a, b = optimize(delayed(abs)(-1), 2)
    >>> a.compute(), b
    (1, 2)
    """
    del kwargs
    return _oxidask.optimize(args, traverse)


def visualize(
    *args: Any,
    filename: str | None = "mydask",
    format: str | None = None,
    traverse: bool = True,
    optimize_graph: bool = False,
    **kwargs: Any,
) -> Any:
    """Draws the graph of collections, without Graphviz.

    Parameters
    ----------
    args : collections, alone or in containers
    filename : str or None
        Where to write the picture; an extension says the format. ``None``
        writes nothing.
    format : {"png", "svg"}, optional
        The format, if the file name does not say it; ``"png"`` by default.
    traverse : bool
        Whether to look inside containers.
    optimize_graph : bool
        Whether to draw the plan as it will run.

    Returns
    -------
    A picture: ``IPython.display.SVG`` or ``Image`` if IPython is there, else the
    SVG text or PNG bytes.

    Raises
    ------
    ValueError
        If the format is neither.

    Examples
    --------
    >>> from oxidask import delayed
    >>> picture = visualize(delayed(abs)(-1), filename=None, format="svg")
    """
    from oxidask._draw import draw

    return draw(args, filename, format, traverse, optimize_graph, **kwargs)


def is_dask_collection(x: Any) -> bool:
    """Whether ``x`` is a lazy collection, ours or any that follows the protocol.

    Examples
    --------
    >>> from oxidask import delayed
    >>> is_dask_collection(delayed(1)), is_dask_collection(1)
    (True, False)
    """
    if isinstance(x, Delayed):
        return True
    if isinstance(x, type) or not hasattr(type(x), "__dask_graph__"):
        return False
    return x.__dask_graph__() is not None


_annotations: ContextVar[dict[str, Any] | None] = ContextVar("annotations", default=None)


def get_annotations() -> dict[str, Any]:
    """The annotations of the ``annotate`` contexts around the caller.

    Examples
    --------
    >>> with annotate(priority=1):
    ...     get_annotations()
    {'priority': 1}
    """
    return dict(_annotations.get() or {})


@contextmanager
def annotate(**annotations: Any) -> Iterator[None]:
    """Attaches wishes to the tasks that are made inside the context.

    Parameters
    ----------
    priority : number
        Larger runs earlier.
    retries : int
        How often to run a task again after its function failed.
    workers : str or list of str
        The workers that may run a task.
    allow_other_workers : bool
        Whether others may if none of those is there.
    resources : dict of str to number
        Abstract resources that a task occupies.
    **annotations
        Other names are kept for other tools.

    Raises
    ------
    TypeError
        If a value has the wrong type.

    Examples
    --------
    >>> from oxidask import delayed
    >>> with annotate(priority=10, retries=2):
    ...     a = delayed(abs)(-1)
    >>> a.compute()
    1
    """
    _check_annotations(annotations)
    token = _annotations.set({**(_annotations.get() or {}), **annotations})
    _oxidask.annotations_active(1)
    try:
        yield
    finally:
        _oxidask.annotations_active(-1)
        _annotations.reset(token)


def _check_annotations(annotations: Mapping[str, Any]) -> None:
    for name, kinds, text in (
        ("retries", int, "an integer"),
        ("priority", (int, float), "a number"),
        ("workers", (str, list, tuple, set), "a name or a list of names"),
        ("allow_other_workers", bool, "a bool"),
        ("resources", dict, "a dict"),
    ):
        value = annotations.get(name)
        if value is not None and not callable(value) and not isinstance(value, kinds):  # type: ignore[arg-type]
            raise TypeError(f"'{name}' must be {text}, got {value!r}")


def run_graph(dsk: Mapping[Any, Any], keys: Any, *, scheduler: str, **kwargs: Any) -> Any:
    """Runs a dict graph on a local scheduler, as the ``get`` functions do."""
    from oxidask import _graphs, _pools

    pool = kwargs.pop("pool", None)
    num_workers = kwargs.pop("num_workers", None)
    if pool is None and scheduler == "threads":
        from oxidask import config

        pool = config.get("pool", None)
    if pool is not None:
        return _pools.get(dsk, keys, pool=pool)
    if kwargs.get("callbacks") or _callbacks_active():
        workers = 1 if scheduler == "sync" else num_workers
        return _pools.get(dsk, keys, pool=None, num_workers=workers, callbacks=kwargs.get("callbacks"))
    executor = local_executor(scheduler, num_workers)
    return _with_bars(executor, functools.partial(_graphs.get, dsk, keys, executor))


def get_scheduler(
    get: Callable[..., Any] | None = None,
    scheduler: Any = None,
    collections: Any = None,
    cls: Any = None,
) -> Callable[..., Any]:
    """The function ``get(dsk, keys)`` of a scheduler.

    Examples
    --------
    >>> get_scheduler(scheduler="sync")({"x": (abs, -1)}, "x")
    1
    """
    del collections, cls
    target = choose_scheduler(scheduler, get=get)
    if isinstance(target, Executor):
        from oxidask import _graphs

        return functools.partial(_graphs.get, executor=target)
    return target


class _NamedSchedulers(dict[str, Callable[..., Any]]):
    """The ``get`` functions by name, imported when asked for."""

    def __missing__(self, name: str) -> Callable[..., Any]:
        if NAMES.get(name) is None:
            raise KeyError(name)
        return get_scheduler(scheduler=name)

    def __contains__(self, name: object) -> bool:
        return name in NAMES

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)


named_schedulers: Mapping[str, Callable[..., Any]] = _NamedSchedulers()


def compute_as_if_collection(
    cls: Any, dsk: Mapping[Any, Any], keys: Any, scheduler: Any = None, get: Any = None, **kwargs: Any
) -> Any:
    """Runs a dict graph with the scheduler that collections would use.

    Examples
    --------
    >>> compute_as_if_collection(None, {"x": (abs, -1)}, "x")
    1
    """
    return get_scheduler(get=get, scheduler=scheduler, cls=cls)(dict(dsk), keys, **kwargs)


def unpack_collections(*args: Any, traverse: bool = True) -> tuple[list[Any], Callable[[Any], tuple[Any, ...]]]:
    """Finds the collections in ``args``; the inverse puts others in their place.

    Returns
    -------
    collections : list
    repack : callable
        Given as many objects, answers ``args`` with these instead.

    Examples
    --------
    >>> from oxidask import delayed
    >>> found, repack = unpack_collections([delayed(1), 2])
    >>> len(found), repack(["one"])
    (1, (['one', 2],))
    """
    found: list[Any] = []

    def note(x: Any) -> bool:
        if is_dask_collection(x):
            found.append(x)
            return True
        return False

    _walk(args, note, traverse)

    def repack(results: Any) -> tuple[Any, ...]:
        replaced = iter(results)
        return tuple(_replace(arg, replaced, traverse) for arg in args)

    return found, repack


def _walk(items: Any, note: Callable[[Any], bool], traverse: bool) -> None:
    for item in items:
        if note(item) or not traverse:
            continue
        if isinstance(item, (list, tuple, set, frozenset)):
            _walk(item, note, traverse)
        elif isinstance(item, dict):
            _walk((part for pair in item.items() for part in pair), note, traverse)


def _replace(item: Any, replaced: Iterator[Any], traverse: bool) -> Any:
    if is_dask_collection(item):
        return next(replaced)
    if not traverse:
        return item
    if type(item) in (list, tuple, set, frozenset):
        return type(item)(_replace(part, replaced, traverse) for part in item)
    if type(item) is dict:
        return {_replace(key, replaced, traverse): _replace(value, replaced, traverse) for key, value in item.items()}
    return item


class DaskMethodsMixin:
    """The methods that every collection has.

    A collection of your own inherits it and answers Dask's protocol:
    ``__dask_graph__``, ``__dask_keys__``, ``__dask_postcompute__`` and
    ``__dask_postpersist__``.
    """

    __slots__ = ("__weakref__",)

    def compute(self, **kwargs: Any) -> Any:
        """The result; takes the arguments of :func:`oxidask.compute`."""
        return compute(self, traverse=False, **kwargs)[0]

    def persist(self, **kwargs: Any) -> Any:
        """A collection of held results; see :func:`oxidask.persist`."""
        return persist(self, traverse=False, **kwargs)[0]

    def visualize(self, filename: str | None = "mydask", format: str | None = None, **kwargs: Any) -> Any:
        """Draws the graph; see :func:`oxidask.visualize`."""
        return visualize(self, filename=filename, format=format, **kwargs)


def __getattr__(name: str) -> Any:
    if name in ("tokenize", "normalize_token", "TokenizationError"):
        from oxidask import tokenize

        return getattr(tokenize, name)
    raise AttributeError(f"module 'oxidask.base' has no attribute {name!r}")
