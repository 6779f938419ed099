"""Rewriting graphs that are dicts of tasks: for authors of collections of their own.

Oxidask's own collections are optimised as expressions before they become graphs and need nothing of this;
a collection that follows the protocol (``__dask_graph__`` and its companions) calls these from its
``__dask_optimize__``. Each function answers a new dict and leaves the one it was given alone.

>>> from oxidask.optimization import cull, fuse
>>> graph = {"x": 1, "y": (abs, "x"), "z": (str, "y"), "unused": (abs, -3)}
>>> graph, dependencies = cull(graph, ["z"])
>>> sorted(graph)
['x', 'y', 'z']
>>> fuse(graph, ["z"], rename_keys=False)[0]
{'z': (<class 'str'>, (<built-in function abs>, 1))}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from oxidask import config
from oxidask.core import dependencies_of, flatten, is_node, ishashable, istask
from oxidask.utils import key_split

__all__ = ["cull", "functions_of", "fuse", "inline", "inline_functions"]

Graph = Mapping[Any, Any]

#: Longer names of fused tasks are cut, so that keys stay readable.
MAX_NAME = 120


def _listed(keys: Any) -> list[Any]:
    """One key, or nested lists of keys, as a list."""
    if isinstance(keys, (list, set)):
        return list(flatten(list(keys), container=(list, set)))
    return [keys]


def _in_order(dsk: Graph, dependencies: Mapping[Any, Iterable[Any]]) -> list[Any]:
    """All keys, each behind those it reads."""
    done: dict[Any, None] = {}
    for root in dsk:
        pending = [root]
        entered: set[Any] = set()
        while pending:
            key = pending[-1]
            missing = [] if key in entered else [other for other in dependencies[key] if other not in done]
            if key in done or not missing:
                done.setdefault(pending.pop())
                continue
            entered.add(key)
            if not entered.isdisjoint(missing):
                raise RuntimeError(f"tasks of the graph need each other, among them {key!r}")
            pending.extend(missing)
    return list(done)


def _substitute(task: Any, values: Mapping[Any, Any]) -> Any:
    """The task with other tasks or values in place of keys."""
    if is_node(task):
        return task
    if istask(task):
        return (task[0], *[_substitute(arg, values) for arg in task[1:]])
    if ishashable(task) and task in values:
        return values[task]
    if type(task) is list:
        return [_substitute(item, values) for item in task]
    if type(task) is dict:
        return {key: _substitute(value, values) for key, value in task.items()}
    return task


def cull(dsk: Graph, keys: Any) -> tuple[dict[Any, Any], dict[Any, list[Any]]]:
    """Leaves out the tasks that nothing wanted needs.

    Parameters
    ----------
    dsk
        The graph.
    keys
        A key, or nested lists of keys, to keep.

    Returns
    -------
    The smaller graph, and for each of its keys the keys that it reads.

    Raises
    ------
    KeyError
        If a wanted key is not in the graph.

    Examples
    --------
    >>> cull({"x": 1, "y": (abs, "x"), "z": (abs, "x")}, "y")
    ({'y': (<built-in function abs>, 'x'), 'x': 1}, {'y': ['x'], 'x': []})
    """
    kept: dict[Any, Any] = {}
    dependencies: dict[Any, list[Any]] = {}
    pending = _listed(keys)[::-1]
    while pending:
        key = pending.pop()
        if key in kept:
            continue
        if key not in dsk:
            raise KeyError(f"{key!r} is not a key of the graph")
        kept[key] = dsk[key]
        dependencies[key] = dependencies_of(dsk, dsk[key])
        pending.extend(dependencies[key])
    return kept, dependencies


def inline(
    dsk: Graph,
    keys: Any = None,
    inline_constants: bool = True,
    dependencies: Mapping[Any, Iterable[Any]] | None = None,
) -> dict[Any, Any]:
    """Writes tasks into those that read them, in place of their keys.

    The tasks themselves stay in the graph; :func:`cull` takes them out.

    Parameters
    ----------
    dsk
        The graph.
    keys
        A key or keys to write out where they are read.
    inline_constants
        Whether keys of values that are no tasks are written out too.
    dependencies
        What each key reads, if that is known.

    Examples
    --------
    >>> inline({"x": 1, "y": (abs, "x"), "z": (str, "y")}, keys="y")["z"]
    (<class 'str'>, (<built-in function abs>, 1))
    """
    wanted = {key for key in _listed(keys) if key in dsk} if keys is not None else set()
    if inline_constants:
        wanted.update(key for key, task in dsk.items() if _is_constant(dsk, task))
    if dependencies is None:
        dependencies = {key: dependencies_of(dsk, task) for key, task in dsk.items()}
    values: dict[Any, Any] = {}
    for key in _in_order(dsk, dependencies):
        if key in wanted:
            values[key] = _substitute(dsk[key], values)
    return {key: values[key] if key in values else _substitute(task, values) for key, task in dsk.items()}


def _is_constant(dsk: Graph, task: Any) -> bool:
    if is_node(task):
        return False
    return not istask(task) and not dependencies_of(dsk, task)


def functions_of(task: Any) -> set[Callable[..., Any]]:
    """The functions that a task and the tasks within it call.

    Examples
    --------
    >>> functions_of((str, (abs, -1), [(abs, 2)])) == {abs, str}
    True
    """
    found: set[Callable[..., Any]] = set()
    pending = [task]
    while pending:
        item = pending.pop()
        if istask(item):
            found.add(item[0])
            pending.extend(item[1:])
        elif type(item) in (list, set):
            pending.extend(item)
        elif type(item) is dict:
            pending.extend(item.values())
        elif is_node(item) and callable(getattr(item, "func", None)):
            found.add(item.func)
    return found


def inline_functions(
    dsk: Graph,
    output: Any,
    fast_functions: Iterable[Callable[..., Any]] | None = None,
    inline_constants: bool = False,
    dependencies: Mapping[Any, Iterable[Any]] | None = None,
) -> dict[Any, Any]:
    """Writes cheap calls into the tasks that read them, which then make them again each.

    Parameters
    ----------
    dsk
        The graph.
    output
        Keys that stay tasks of their own.
    fast_functions
        The functions that are cheap.
    inline_constants, dependencies
        As for :func:`inline`.

    Returns
    -------
    A graph without the tasks that were written into others.

    Examples
    --------
    >>> inline_functions({"x": (abs, -1), "y": (str, "x")}, ["y"], [abs])
    {'y': (<class 'str'>, (<built-in function abs>, -1))}
    """
    fast = set(fast_functions or ())
    if not fast:
        return dict(dsk)
    kept = set(_listed(output))
    if dependencies is None:
        dependencies = {key: dependencies_of(dsk, task) for key, task in dsk.items()}
    read = {other for found in dependencies.values() for other in found}
    cheap = {
        key
        for key, task in dsk.items()
        if key in read and key not in kept and istask(task) and functions_of(task) <= fast
    }
    if not cheap:
        return dict(dsk)
    written = inline(dsk, list(cheap), inline_constants, dependencies)
    return {key: task for key, task in written.items() if key not in cheap}


@dataclass
class _Fused:
    """Tasks that became one: what it is, and how it came about."""

    task: Any
    reads: dict[Any, None]
    keys: list[Any] = field(default_factory=list)
    width: int = 1
    height: int = 1


def fuse(
    dsk: Graph,
    keys: Any = None,
    dependencies: Mapping[Any, Iterable[Any]] | None = None,
    ave_width: float | None = None,
    max_width: float | None = None,
    max_height: float | None = None,
    max_depth_new_edges: float | None = None,
    rename_keys: bool | Callable[[list[Any]], Hashable] | None = None,
) -> tuple[dict[Any, Any], dict[Any, set[Any]]]:
    """Makes one task of tasks whose results only one other task reads.

    Fewer and larger tasks cost less to schedule; what is fused runs one after another. A chain is always
    fused; with an ``ave_width`` above 1 so are small trees.

    Parameters
    ----------
    dsk
        The graph.
    keys
        A key or keys that stay tasks of their own.
    dependencies
        What each key reads, if that is known.
    ave_width
        Largest mean number of tasks a level that are made one; setting ``optimization.fuse.ave-width``, else 1.
    max_width
        Largest number of leaves; ``optimization.fuse.max-width``, else a little above ``ave_width``.
    max_height
        Largest number of levels; ``optimization.fuse.max-height``, else unbounded.
    max_depth_new_edges
        Beyond so many levels nothing is fused that reads what its reader does not read itself;
        ``optimization.fuse.max-depth-new-edges``, else 1.5 times ``ave_width``.
    rename_keys
        Whether a fused task is named for all it does, with its old key as an alias, or a function from the
        fused keys to the new one; ``optimization.fuse.rename-keys``, else true.

    Returns
    -------
    The graph, and for each of its keys the set of keys that it reads.

    Examples
    --------
    >>> fuse({"x": 1, "y": (abs, "x"), "z": (str, "y")}, rename_keys=False)
    ({'z': (<class 'str'>, (<built-in function abs>, 1))}, {'z': set()})
    >>> sorted(fuse({"x": 1, "y": (abs, "x"), "z": (str, "y")})[0])
    ['x-y-z', 'z']
    """
    ave_width = _setting(ave_width, "ave-width", 1)
    max_width = _setting(max_width, "max-width", 1.5 + ave_width * math.log(ave_width + 1))
    max_height = _setting(max_height, "max-height", math.inf)
    max_depth = _setting(max_depth_new_edges, "max-depth-new-edges", ave_width * 1.5)
    rename_keys = _setting(rename_keys, "rename-keys", True)
    kept = set(_listed(keys)) if keys is not None else set()
    if dependencies is None:
        dependencies = {key: dependencies_of(dsk, task) for key, task in dsk.items()}
    n_readers: dict[Any, int] = dict.fromkeys(dsk, 0)
    for found in dependencies.values():
        for key in set(found):
            n_readers[key] += 1

    made: dict[Any, _Fused] = {}
    for key in _in_order(dsk, dependencies):
        reads = dict.fromkeys(dependencies[key])
        one = _Fused(dsk[key], reads, [key])
        movable = [
            made[other]
            for other in reads
            if n_readers[other] == 1 and other not in kept and not is_node(dsk[other]) and _uses(dsk[key], other) == 1
        ]
        if movable and _fits(one, movable, ave_width, max_width, max_height, max_depth):
            one = _joined(one, movable)
            for part in movable:
                del made[part.keys[-1]]
        made[key] = one
    return _named(made, rename_keys)


def _uses(task: Any, key: Any) -> int:
    """How often a task reads a key: what is read twice must not be computed twice.

    A task object counts as nothing, because it reads by names and cannot be rewritten.
    """
    if istask(task):
        return sum(_uses(arg, key) for arg in task[1:])
    if ishashable(task) and task == key:
        return 1
    if type(task) is list:
        return sum(_uses(item, key) for item in task)
    if type(task) is dict:
        return sum(_uses(item, key) for item in task.values())
    return 0


def _setting(given: Any, name: str, default: Any) -> Any:
    if given is None:
        given = config.get(f"optimization.fuse.{name}", None)
    return default if given is None else given


def _fits(
    reader: _Fused, parts: list[_Fused], ave_width: float, max_width: float, max_height: float, max_depth: float
) -> bool:
    """Whether ``parts`` may become one with the task that reads them."""
    height = 1 + max(part.height for part in parts)
    if height > max_height:
        return False
    if len(parts) == 1 and len(reader.reads) == 1:
        return True
    width = sum(part.width for part in parts)
    n_tasks = 1 + sum(len(part.keys) for part in parts)
    brings_new = any(other not in reader.reads for part in parts for other in part.reads)
    return width <= max_width and n_tasks <= height * ave_width and (height <= max_depth or not brings_new)


def _joined(reader: _Fused, parts: list[_Fused]) -> _Fused:
    """The reader with its parts written into it."""
    values = {part.keys[-1]: part.task for part in parts}
    reads = {key: None for key in reader.reads if key not in values}
    for part in parts:
        reads.update(part.reads)
    return _Fused(
        _substitute(reader.task, values),
        reads,
        [key for part in parts for key in part.keys] + reader.keys,
        sum(part.width for part in parts),
        1 + max(part.height for part in parts),
    )


def _named(
    made: Mapping[Any, _Fused], rename_keys: bool | Callable[[list[Any]], Hashable]
) -> tuple[dict[Any, Any], dict[Any, set[Any]]]:
    """The graph of fused tasks under their names."""
    rename = rename_keys if callable(rename_keys) else (_joined_name if rename_keys else None)
    graph: dict[Any, Any] = {}
    reads: dict[Any, set[Any]] = {}
    for key, one in made.items():
        name = rename(one.keys) if rename is not None and len(one.keys) > 1 else key
        # A name that is taken would lose a task.
        if name is not None and name != key and name not in made and name not in graph:
            graph[key], reads[key] = name, {name}
        else:
            name = key
        graph[name], reads[name] = one.task, set(one.reads)
    return graph, reads


def _joined_name(keys: list[Any]) -> Hashable:
    """A name that tells what a fused task does, last the key whose value it makes."""
    *before, last = keys
    first = last[0] if isinstance(last, tuple) and last else last
    if not isinstance(first, str):
        return last
    names = list(dict.fromkeys(key_split(key) for key in before))
    names = [name for name in names if name != key_split(last)]
    joined = "-".join([*names, first])
    if len(joined) > MAX_NAME:
        joined = joined[: MAX_NAME - len(first) - 1] + "-" + first if len(first) < MAX_NAME else first
    return (joined, *last[1:]) if isinstance(last, tuple) else joined
