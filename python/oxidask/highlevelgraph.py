"""Graphs of tasks in layers, one for each step of a plan.

Whoever makes a collection of his own says its tasks as a dict, and what else
they read, with :meth:`HighLevelGraph.from_collections`:

>>> import oxidask.array as da
>>> from oxidask.highlevelgraph import HighLevelGraph
>>> x = da.ones(4, chunks=2)
>>> tasks = {("twice", i): (lambda block: 2 * block, (x.name, i)) for i in range(2)}
>>> graph = HighLevelGraph.from_collections("twice", tasks, dependencies=[x])
>>> da.Array(graph, "twice", chunks=x.chunks, dtype=x.dtype).compute()
array([2., 2., 2., 2.])
"""

from __future__ import annotations

import html
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence, ValuesView
from typing import Any

from oxidask.core import dependencies_of

__all__ = ["HighLevelGraph"]

#: Layers that a representation lists before it stops.
_LISTED = 50


class HighLevelGraph(Mapping[Any, Any]):
    """A graph of tasks as layers, each a mapping of keys to tasks.

    It reads as the one mapping of all its tasks.

    Parameters
    ----------
    layers : mapping of str to mapping
        The tasks by the name of their layer.
    dependencies : mapping of str to set of str, optional
        The layers that each layer reads; found by looking through the tasks if
        left out.
    key_dependencies : mapping of keys to sets of keys, optional
        The keys that tasks read, for those where it is known already.

    Examples
    --------
    >>> graph = HighLevelGraph({"a": {("a", 0): 1}, "b": {("b", 0): (abs, ("a", 0))}})
    >>> graph.dependencies
    {'a': set(), 'b': {'a'}}
    >>> len(graph), ("b", 0) in graph
    (2, True)
    """

    def __init__(
        self,
        layers: Mapping[str, Mapping[Any, Any]],
        dependencies: Mapping[str, set[str]] | None = None,
        key_dependencies: dict[Any, set[Any]] | None = None,
    ) -> None:
        self.layers = dict(layers)
        self.key_dependencies = {} if key_dependencies is None else key_dependencies
        self._dependencies = None if dependencies is None else {name: set(on) for name, on in dependencies.items()}
        self._flat: dict[Any, Any] | None = None
        if self._dependencies is not None:
            self.validate()

    @classmethod
    def from_collections(cls, name: str, layer: Mapping[Any, Any], dependencies: Sequence[Any] = ()) -> HighLevelGraph:
        """The graph of a new layer that reads collections.

        Parameters
        ----------
        name : str
            The name of the layer; its keys are ``name`` or begin with it.
        layer : mapping
            Its tasks.
        dependencies : sequence of collections
            What the tasks read by key.

        Raises
        ------
        TypeError
            If a dependency is no collection.
        """
        layers: dict[str, Mapping[Any, Any]] = {}
        reads: dict[str, set[str]] = {}
        own: set[str] = set()
        for collection in dependencies:
            if not hasattr(collection, "__dask_graph__"):
                raise TypeError(f"a dependency is {type(collection).__name__}, which is no lazy collection")
            names = collection.__dask_layers__() if hasattr(collection, "__dask_layers__") else ()
            default = names[0] if len(names) == 1 else f"{name}-reads-{len(layers)}"
            graph = _layered(collection.__dask_graph__(), default)
            layers.update(graph.layers)
            reads.update(graph.dependencies)
            own.update(_layers_of(collection, graph))
        layers[name] = layer
        reads[name] = own
        return cls(layers, reads)

    @classmethod
    def merge(cls, *graphs: Mapping[Any, Any]) -> HighLevelGraph:
        """One graph of several; plain mappings become a layer each.

        >>> merged = HighLevelGraph.merge({"x": 1}, HighLevelGraph({"b": {"y": (abs, "x")}}))
        >>> merged["y"], len(merged.layers)
        ((<built-in function abs>, 'x'), 2)
        """
        layers: dict[str, Mapping[Any, Any]] = {}
        for number, graph in enumerate(graphs):
            layers.update(_layered(graph, f"graph-{number}").layers)
        return cls(layers)

    @property
    def dependencies(self) -> dict[str, set[str]]:
        """The names of the layers that each layer reads."""
        if self._dependencies is None:
            layer_of = {key: name for name, layer in self.layers.items() for key in layer}
            self._dependencies = {
                name: {layer_of[key] for task in layer.values() for key in dependencies_of(layer_of, task)} - {name}
                for name, layer in self.layers.items()
            }
        return self._dependencies

    @property
    def dependents(self) -> dict[str, set[str]]:
        """The names of the layers that read each layer."""
        reading: dict[str, set[str]] = {name: set() for name in self.layers}
        for name, on in self.dependencies.items():
            for other in on:
                reading[other].add(name)
        return reading

    def __getitem__(self, key: Any) -> Any:
        return self._tasks()[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._tasks())

    def __len__(self) -> int:
        return len(self._tasks())

    def __contains__(self, key: object) -> bool:
        return key in self._tasks()

    def keys(self) -> KeysView[Any]:
        """All keys."""
        return self._tasks().keys()

    def values(self) -> ValuesView[Any]:
        """All tasks."""
        return self._tasks().values()

    def items(self) -> ItemsView[Any, Any]:
        """All keys with their tasks."""
        return self._tasks().items()

    def get(self, key: Any, default: Any = None) -> Any:
        """The task of a key, or ``default``."""
        return self._tasks().get(key, default)

    def to_dict(self) -> dict[Any, Any]:
        """All tasks as a dict."""
        return dict(self._tasks())

    def copy(self) -> HighLevelGraph:
        """The same graph in containers of its own."""
        copied = HighLevelGraph(self.layers, None, dict(self.key_dependencies))
        copied._dependencies = None if self._dependencies is None else dict(self._dependencies)
        return copied

    def _tasks(self) -> dict[Any, Any]:
        if self._flat is None:
            self._flat = {key: task for layer in self.layers.values() for key, task in layer.items()}
        return self._flat

    def get_all_external_keys(self) -> set[Any]:
        """All keys, as a set."""
        return set(self._tasks())

    def get_all_dependencies(self) -> dict[Any, set[Any]]:
        """The keys that each task reads."""
        tasks = self._tasks()
        known = self.key_dependencies
        return {key: known[key] if key in known else set(dependencies_of(tasks, task)) for key, task in tasks.items()}

    def validate(self) -> None:
        """Checks that layers read only layers that are there.

        Raises
        ------
        ValueError
            If one does not, or is not said to read anything or nothing.
        """
        reads = self.dependencies
        for name, on in reads.items():
            if missing := on - self.layers.keys():
                raise ValueError(f"layer {name!r} reads {sorted(missing)}, which are not layers of the graph")
        if unsaid := self.layers.keys() - reads.keys():
            raise ValueError(f"dependencies do not say what the layers {sorted(unsaid)} read")

    def cull(self, keys: Iterable[Any]) -> HighLevelGraph:
        """The part of the graph that ``keys`` need.

        >>> graph = HighLevelGraph({"a": {("a", 0): 1, ("a", 1): 2}, "b": {("b", 0): (abs, ("a", 0))}})
        >>> graph.cull([("b", 0)]).to_dict()
        {('a', 0): 1, ('b', 0): (<built-in function abs>, ('a', 0))}
        """
        from oxidask._collection import flat

        tasks = self._tasks()
        needed: set[Any] = set()
        stack = [key for key in flat(list(keys)) if key in tasks]
        while stack:
            key = stack.pop()
            if key not in needed:
                needed.add(key)
                stack.extend(dependencies_of(tasks, tasks[key]))
        kept = {
            name: {key: task for key, task in layer.items() if key in needed} for name, layer in self.layers.items()
        }
        return HighLevelGraph({name: layer for name, layer in kept.items() if layer})

    def cull_layers(self, layers: Iterable[str]) -> HighLevelGraph:
        """The layers named, and all that they read, whole."""
        reads = self.dependencies
        needed: set[str] = set()
        stack = list(layers)
        while stack:
            name = stack.pop()
            if name not in needed:
                needed.add(name)
                stack.extend(reads[name])
        return HighLevelGraph(
            {name: layer for name, layer in self.layers.items() if name in needed},
            {name: reads[name] for name in reads if name in needed},
        )

    def visualize(self, filename: str | None = "dask-hlg.svg", format: str | None = None, **kwargs: Any) -> Any:
        """Draws the layers, without Graphviz.

        Parameters
        ----------
        filename : str or None
            Where to write the picture; ``None`` writes nothing.
        format : {"svg", "png"}, optional
            The format, if the file name does not say it.

        Returns
        -------
        What :func:`oxidask.visualize` returns.
        """
        from oxidask import delayed
        from oxidask.base import visualize

        nodes: dict[str, Any] = {}
        for name in self._sorted():
            reads = [nodes[other] for other in sorted(self.dependencies[name], key=str)]
            step = delayed(_nothing, traverse=False)
            nodes[name] = step(*reads, dask_key_name=name) if isinstance(name, str) else step(*reads)
        return visualize(*nodes.values(), filename=filename, format=format, **kwargs)

    def _sorted(self) -> list[str]:
        """The names of the layers, each behind those that it reads."""
        from graphlib import TopologicalSorter

        return list(TopologicalSorter(self.dependencies).static_order())

    def __repr__(self) -> str:
        lines = [f"HighLevelGraph with {_count(len(self.layers), 'layer')}."]
        lines.extend(f" {number}. {name} ({_count(len(layer), 'task')})" for number, name, layer in self._listed())
        if len(self.layers) > _LISTED:
            lines.append(f" ... and {len(self.layers) - _LISTED} more")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{number}</td><td><code>{html.escape(str(name))}</code></td><td>{len(layer):,}</td>"
            f"<td>{', '.join(html.escape(_short(other)) for other in sorted(self.dependencies[name], key=str))}</td></tr>"
            for number, name, layer in self._listed()
        )
        more = len(self.layers) - _LISTED
        rest = f"<p>and {more} more layers</p>" if more > 0 else ""
        n_tasks = sum(map(len, self.layers.values()))
        return (
            f"<div><strong>HighLevelGraph</strong>: {_count(len(self.layers), 'layer')}, {_count(n_tasks, 'task')}"
            "<table><thead><tr><th></th><th>layer</th><th>tasks</th><th>reads</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>{rest}</div>"
        )

    def _listed(self) -> list[tuple[int, str, Mapping[Any, Any]]]:
        named = list(self.layers.items())[:_LISTED]
        return [(number, name, layer) for number, (name, layer) in enumerate(named)]


def _layered(graph: Mapping[Any, Any], name: str) -> HighLevelGraph:
    """A graph as layers; a plain mapping is one layer of this name."""
    if isinstance(graph, HighLevelGraph):
        return graph
    if hasattr(graph, "layers") and hasattr(graph, "dependencies"):
        return HighLevelGraph(graph.layers, graph.dependencies)
    return HighLevelGraph({name: graph})


def _layers_of(collection: Any, graph: HighLevelGraph) -> set[str]:
    """The names of the layers in which the collection's own keys are."""
    from oxidask._collection import flat

    named = set(collection.__dask_layers__()) if hasattr(collection, "__dask_layers__") else set()
    if named and named <= graph.layers.keys():
        return named
    keys = flat(collection.__dask_keys__())
    return {name for name, layer in graph.layers.items() if any(key in layer for key in keys)}


def _nothing(*reads: Any) -> None:
    """The task of a picture, which is never run."""


def _short(name: Any) -> str:
    """A layer's name without the hash in it.

    >>> _short("sum-partial-0123456789abcdef0123456789abcdef")
    'sum-partial'
    """
    text, _, token = str(name).rpartition("-")
    return text if text and len(token) >= 16 else str(name)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
