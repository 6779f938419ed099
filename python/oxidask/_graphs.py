"""Dict graphs and foreign collections as delayed values, and back.

Whatever follows Dask's collection protocol (``__dask_graph__`` and its
companions) or comes as a dict of tasks is turned into :class:`Delayed` values,
which the engine runs like any other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from oxidask._oxidask import Delayed, Executor, compute, delayed
from oxidask.core import dependencies_of, is_node, ishashable, istask


class Literal:
    """A value within a dict graph that is not to be read as a task or key."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self) -> Any:
        return self.value

    def __repr__(self) -> str:
        return f"Literal({self.value!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Literal, (self.value,))


def only(results: Any) -> Any:
    """The one result of a collection with one key."""
    return results[0]


def block(values: Any, index: int) -> Any:
    """What ``values`` is; picks its only block."""
    del index
    return values


def copy_with(prototype: Any, fields: Iterable[tuple[str, Any]]) -> Any:
    """A shallow copy of a dataclass with some fields set, frozen or not."""
    made = copy.copy(prototype)
    for name, value in fields:
        object.__setattr__(made, name, value)
    return made


def run_node(node: Any, keys: tuple[Any, ...], *values: Any) -> Any:
    """Runs one of Dask's task objects with the values of its dependencies."""
    return node(dict(zip(keys, values, strict=True)))


def run_expr(expr: Any) -> Any:
    """Computes another collection's expression on the calling thread."""
    from oxidask._schedulers import sync_executor

    return compute((expr,), sync_executor(), False, True)[0]


def mapping_of(dsk: Any) -> Mapping[Any, Any]:
    """A graph as a mapping: Dask hands its own expressions to the schedulers of collections."""
    return dsk if isinstance(dsk, Mapping) else dsk.__dask_graph__()


def nodes_of_graph(dsk: Mapping[Any, Any], wanted: Iterable[Any]) -> dict[Any, Any]:
    """Delayed values (or plain ones) for the wanted keys and all they need.

    Raises ``KeyError`` for a key that is not in the graph and ``RuntimeError``
    for keys that need each other.
    """
    dsk = mapping_of(dsk)
    done: dict[Any, Any] = {}
    entered: set[Any] = set()
    stack = list(wanted)
    while stack:
        key = stack[-1]
        if key in done:
            stack.pop()
            continue
        if key not in dsk:
            raise KeyError(f"{key!r} is not a key of the graph")
        missing = [other for other in dependencies_of(dsk, dsk[key]) if other not in done]
        if not missing:
            done[key] = _converted(dsk[key], done)
            stack.pop()
            continue
        entered.add(key)
        cycle = entered.intersection(missing)
        if cycle:
            names = ", ".join(sorted(map(repr, cycle | {key})))
            raise RuntimeError(f"tasks of the graph need each other: {names}")
        stack.extend(missing)
    return done


def _converted(task: Any, done: Mapping[Any, Any]) -> Any:
    """A task as a Delayed, a key as what it stands for, all else as it is."""
    if is_node(task):
        keys = tuple(task.dependencies)
        return delayed(run_node, traverse=False)(delayed(task, traverse=False), keys, *[done[key] for key in keys])
    if istask(task):
        function, *args = task
        if isinstance(function, Literal):
            return function.value
        return delayed(function, traverse=False)(*[_converted(arg, done) for arg in args], pure=False)
    if ishashable(task) and task in done:
        return done[task]
    if type(task) in (list, tuple, set):
        return type(task)(_converted(item, done) for item in task)
    if type(task) is dict:
        return {key: _converted(value, done) for key, value in task.items()}
    return task


def delayed_of_graph(dsk: Mapping[Any, Any], key: Any) -> Delayed:
    """The value of ``key`` in a dict graph, as a Delayed."""
    made = nodes_of_graph(dsk, [key])[key]
    return made if isinstance(made, Delayed) else delayed(made)


def rebuild_delayed(dsk: Mapping[Any, Any], key: Any, *, rename: Mapping[str, str] | None = None) -> Delayed:
    """A Delayed over a graph in which its value was computed."""
    return Delayed(renamed(key, rename), dsk)


def renamed(key: Any, rename: Mapping[str, str] | None) -> Any:
    """A key with the name in it replaced.

    >>> renamed(("x", 0), {"x": "y"}), renamed("x", None)
    (('y', 0), 'x')
    """
    if not rename:
        return key
    if isinstance(key, tuple) and key:
        return (renamed(key[0], rename), *key[1:])
    return rename.get(key, key)


def delayed_of_collection(collection: Any) -> Delayed | None:
    """A foreign collection's result as a Delayed; none if it is no collection."""
    dsk = collection.__dask_graph__()
    if dsk is None:
        return None
    optimize = getattr(collection, "__dask_optimize__", None)
    keys = collection.__dask_keys__()
    if optimize is not None:
        dsk = optimize(dsk, keys)
    finalize, extra = collection.__dask_postcompute__()
    results = delayed_results(dict(dsk), keys)
    return delayed(finalize, traverse=False)(results, *[delayed(arg, traverse=False) for arg in extra])


def delayed_results(dsk: Mapping[Any, Any], keys: Any) -> Any:
    """Nested lists of keys with the Delayed of each in its place."""
    wanted: list[Any] = []

    def collect(key: Any) -> None:
        if isinstance(key, list):
            for item in key:
                collect(item)
        else:
            wanted.append(key)

    collect(keys)
    nodes = nodes_of_graph(dsk, wanted)

    def place(key: Any) -> Any:
        return [place(item) for item in key] if isinstance(key, list) else nodes[key]

    return place(keys)


def get(dsk: Mapping[Any, Any], keys: Any, executor: Executor) -> Any:
    """Runs a dict graph; answers the values of nested lists of keys as tuples."""
    (result,) = compute((delayed_results(dsk, keys),), executor, True, False)
    return as_tuples(result, keys)


def as_tuples(result: Any, keys: Any) -> Any:
    """The values in place of keys, lists of keys as tuples."""
    if isinstance(keys, list):
        return tuple(as_tuples(item, key) for item, key in zip(result, keys, strict=True))
    return result


def run_with(exprs: list[Any], get: Callable[..., Any], kwargs: dict[str, Any]) -> list[Any]:
    """Computes expressions with any scheduler function ``get(dsk, keys)``."""
    dsk: dict[Any, Any] = {}
    keys: list[list[Any]] = []
    for expr in exprs:
        layers, own = expr.layers()
        for layer in layers.values():
            dsk.update(layer)
        keys.append(own)
    results = get(dsk, keys, **kwargs)
    return [expr.finish(list(values)) for expr, values in zip(exprs, results, strict=True)]
