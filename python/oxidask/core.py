"""Graphs as dicts of tasks, the form in which other tools make and read them.

A graph maps keys to tasks. A task is a tuple of a callable and its arguments;
arguments may be keys, lists and further tasks. Anything else is a value.

>>> from oxidask.core import get_dependencies, istask
>>> graph = {"x": 1, "y": (sum, ["x", 2])}
>>> istask(graph["y"]), istask(graph["x"])
(True, False)
>>> get_dependencies(graph, "y")
{'x'}
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

__all__ = ["flatten", "get", "get_dependencies", "ishashable", "iskey", "istask"]


def istask(x: Any) -> bool:
    """Whether ``x`` is a task: a tuple that begins with a callable.

    >>> istask((abs, -1)), istask((1, 2))
    (True, False)
    """
    return type(x) is tuple and bool(x) and callable(x[0])


def ishashable(x: Any) -> bool:
    """Whether ``x`` can be a key of a dict.

    >>> ishashable("x"), ishashable([])
    (True, False)
    """
    try:
        hash(x)
    except TypeError:
        return False
    return True


def iskey(key: Any) -> bool:
    """Whether ``key`` has the form of a key: text, a number, or a tuple of such.

    >>> iskey(("x", 0)), iskey((abs, 1))
    (True, False)
    """
    if isinstance(key, tuple) and type(key) is tuple:
        return bool(key) and all(map(iskey, key))
    return isinstance(key, (str, int, float, bytes)) and not isinstance(key, bool)


def is_node(task: Any) -> bool:
    """Whether ``task`` is one of Dask's task objects.

    Called with a dict of the values that its ``dependencies`` name, it answers its own value.
    """
    return hasattr(type(task), "dependencies") and callable(task)


def dependencies_of(graph: Mapping[Any, Any], task: Any) -> list[Hashable]:
    """The keys of ``graph`` that ``task`` reads, in the order of their first use."""
    found: dict[Hashable, None] = {}
    pending = [task]
    while pending:
        item = pending.pop()
        if is_node(item):
            found.update((key, None) for key in item.dependencies)
        elif istask(item):
            pending.extend(reversed(item[1:]))
        elif ishashable(item) and item in graph:
            found[item] = None
        elif type(item) in (list, tuple, set):
            pending.extend(reversed(list(item)))
        elif type(item) is dict:
            pending.extend(reversed(list(item.values())))
    return list(found)


def get_dependencies(dsk: Mapping[Any, Any], key: Any = None, task: Any = None) -> set[Any]:
    """The keys that a key's task, or ``task``, reads.

    >>> get_dependencies({"x": 1, "y": (abs, "x")}, "y")
    {'x'}
    """
    return set(dependencies_of(dsk, dsk[key] if task is None else task))


def flatten(seq: Any, container: type | tuple[type, ...] = list) -> Any:
    """The elements of nested lists, one after another.

    >>> list(flatten([[1, 2], [3, [4]]]))
    [1, 2, 3, 4]
    """
    pending = [iter((seq,) if isinstance(seq, str) else seq)]
    while pending:
        for item in pending[-1]:
            if isinstance(item, container):
                pending.append(iter(item))
                break
            yield item
        else:
            pending.pop()


def get(dsk: Mapping[Any, Any], out: Any) -> Any:
    """Runs a graph on the calling thread and answers the value of ``out``.

    >>> get({"x": 1, "y": (abs, "x")}, "y")
    1
    """
    from oxidask.local import get_sync

    return get_sync(dsk, out)
