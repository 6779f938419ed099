"""Computing collections: ``compute``, ``persist``, ``optimize``, ``visualize``.

Which scheduler runs them is said, in this order, by the argument ``scheduler``
(or ``pool``), by the setting of that name, and by an active
:class:`oxidask.distributed.Client`; otherwise it is child processes for bags and
a pool of threads for all else.

>>> from oxidask import compute, config, delayed
>>> numbers = [delayed(abs)(i) for i in (-1, 2)]
>>> compute(numbers, {"first": numbers[0]}, "and text")
([1, 2], {'first': 1}, 'and text')
>>> with config.set(scheduler="sync"):
...     compute(numbers)
([1, 2],)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from oxidask import _oxidask
from oxidask._annotations import annotate, get_annotations
from oxidask._blas import one_thread
from oxidask._collection import DaskMethodsMixin, LazyCollection
from oxidask._oxidask import Delayed, Executor
from oxidask._schedulers import (
    bars_active,
    callbacks_active,
    chosen_scheduler,
    compute_as_if_collection,
    get_scheduler,
    local_executor,
    named_schedulers,
    with_bars,
)

__all__ = [
    "DaskMethodsMixin",
    "LazyCollection",
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
        ``initializer``: a function that child processes call first. ``retries``,
        ``priority``, ``workers``, ``allow_other_workers`` and ``resources`` hold for all
        tasks, as those of :func:`annotate`. All else is passed to a scheduler
        function.

    Returns
    -------
    tuple
        The arguments with results in place of collections.

    Raises
    ------
    ValueError
        If there is no such scheduler, or none was chosen and the collections
        have different defaults.
    Exception
        Whatever a task raises, as itself.

    Examples
    --------
    >>> from oxidask import delayed
    >>> a = delayed(abs)(-1)
    >>> compute(a, [a + 1, (a + 2,)], 7)
    (1, [2, (3,)], 7)
    """
    if "initializer" in kwargs:
        from oxidask import config

        # Child processes are kept, by what they did first.
        with config.set({"multiprocessing.initializer": kwargs.pop("initializer")}):
            return compute(
                *args,
                traverse=traverse,
                optimize_graph=optimize_graph,
                scheduler=scheduler,
                get=get,
                pool=pool,
                num_workers=num_workers,
                **kwargs,
            )
    target = chosen_scheduler(scheduler, get=get, pool=pool, num_workers=num_workers)
    wishes = {} if target is not None and not isinstance(target, Executor) else _wishes_in(kwargs)
    if wishes:
        with annotate(**wishes):
            return compute(
                *args,
                traverse=traverse,
                optimize_graph=optimize_graph,
                scheduler=scheduler,
                get=get,
                pool=pool,
                num_workers=num_workers,
                **kwargs,
            )
    if target is None:
        if not bars_active() and not callbacks_active():
            # Which executor it is depends on what is found in the arguments.
            default = functools.partial(local_executor, num_workers=num_workers)
            with one_thread():
                return _run(functools.partial(_oxidask.compute, args, default, traverse, optimize_graph))
        target = local_executor(_oxidask.default_scheduler(args, traverse), num_workers)
    if isinstance(target, Executor):
        if not bars_active() and not callbacks_active():
            with one_thread():
                return _run(functools.partial(_oxidask.compute, args, target, traverse, optimize_graph))
        if not callbacks_active():
            run = functools.partial(_oxidask.compute, args, target, traverse, optimize_graph)
            return _run(functools.partial(with_bars, target, run))
        # Callbacks see keys, tasks and results, which only a run in Python has.
        from oxidask import _pools

        target = functools.partial(_pools.get, pool=None, num_workers=target.n_slots)
    if num_workers is not None:
        kwargs["num_workers"] = num_workers
    from oxidask._graphs import run_with

    return _oxidask.compute_with(args, functools.partial(run_with, get=target, kwargs=kwargs), traverse)


def _run(run: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
    """Runs a computation in this process, and handles the floating-point errors that arrays had in it."""
    try:
        results = run()
    except BaseException:
        # They are not those of the next computation.
        _oxidask.array_exceptions()
        raise
    if noted := _oxidask.array_exceptions():
        from oxidask.array._exceptions import report

        report(noted)
    return results


def _wishes_in(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Takes the wishes about where and how tasks run out of keyword arguments."""
    names = ("retries", "priority", "workers", "allow_other_workers", "resources")
    found = {name: kwargs.pop(name) for name in names if name in kwargs}
    return {name: value for name, value in found.items() if value is not None}


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
    blocks = {number: _blocks_of(arg) for number, arg in enumerate(args)}
    pairs = {number: pair for number, pair in blocks.items() if pair is not None}
    if pairs:
        # Collections whose blocks another kind holds: that kind is persisted.
        inner = [pairs[number][0] if number in pairs else arg for number, arg in enumerate(args)]
        if chosen_scheduler(scheduler, pool=pool, num_workers=num_workers) is None:
            scheduler = _oxidask.default_scheduler(args, traverse)
        choice = {"scheduler": scheduler, "pool": pool, "num_workers": num_workers}
        held = persist(*inner, traverse=traverse, optimize_graph=optimize_graph, **choice, **kwargs)
        return tuple(pairs[number][1](one) if number in pairs else one for number, one in enumerate(held))
    target = chosen_scheduler(scheduler, pool=pool, num_workers=num_workers)
    if target is None:
        target = functools.partial(local_executor, num_workers=num_workers)
        return _oxidask.persist(args, target, traverse, optimize_graph)
    if isinstance(target, Executor):
        return _oxidask.persist(args, target, traverse, optimize_graph)
    from oxidask._graphs import run_with

    run = functools.partial(run_with, get=target, kwargs=kwargs)
    return _oxidask.persist_with(args, run, traverse)


def _blocks_of(arg: Any) -> Any:
    """Another collection of the blocks of ``arg`` and the way back, if it has its blocks elsewhere."""
    blocks = getattr(type(arg), "__oxidask_blocks__", None)
    return None if blocks is None else blocks(arg)


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
    if isinstance(x, type):
        return False
    if hasattr(type(x), "__oxidask_expr__"):
        return True
    if not hasattr(type(x), "__dask_graph__"):
        return False
    return x.__dask_graph__() is not None


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


def __getattr__(name: str) -> Any:
    if name in ("tokenize", "normalize_token", "TokenizationError"):
        from oxidask import tokenize

        return getattr(tokenize, name)
    raise AttributeError(f"module 'oxidask.base' has no attribute {name!r}")
