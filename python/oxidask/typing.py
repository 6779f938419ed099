"""What collections and schedulers have to offer, as types.

A class of your own that has these methods is a collection: :func:`oxidask.compute`, ``persist`` and ``visualize``
take it. ``isinstance(x, DaskCollection)`` asks whether the methods are there, not what they answer.

>>> import oxidask
>>> from oxidask.typing import DaskCollection, HLGDaskCollection
>>> class Two:
...     def __dask_graph__(self): return {"one": 1, "two": (abs, -2)}
...     def __dask_keys__(self): return ["one", "two"]
...     def __dask_postcompute__(self): return list, ()
...     def __dask_postpersist__(self): return (lambda dsk, *, rename=None: Two()), ()
...     def __dask_tokenize__(self): return "two"
...     __dask_optimize__ = None
...     __dask_scheduler__ = staticmethod(oxidask.get)
...     def compute(self, **kwargs): return oxidask.compute(self, **kwargs)[0]
...     def persist(self, **kwargs): return oxidask.persist(self, **kwargs)[0]
...     def visualize(self, **kwargs): return oxidask.visualize(self, **kwargs)
>>> isinstance(Two(), DaskCollection), isinstance(Two(), HLGDaskCollection)
(True, False)
>>> Two().compute()
[1, 2]
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import Enum
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

__all__ = [
    "DaskCollection",
    "Graph",
    "HLGDaskCollection",
    "Key",
    "NestedKeys",
    "NoDefault",
    "PostComputeCallable",
    "PostPersistCallable",
    "SchedulerGetCallable",
    "no_default",
]

CollType = TypeVar("CollType", bound="DaskCollection")
CollType_co = TypeVar("CollType_co", bound="DaskCollection", covariant=True)
PostComputeCallable: TypeAlias = Callable[..., Any]

#: Names a task: text, a number, or a tuple that begins with its collection's name.
Key: TypeAlias = str | int | float | tuple["Key", ...]
#: A graph: tasks by key.
Graph: TypeAlias = Mapping[Key, Any]
#: Keys as they lie in the result.
NestedKeys: TypeAlias = list["Key | NestedKeys"]


class SchedulerGetCallable(Protocol):
    """A scheduler: what ``__dask_scheduler__`` is, and what ``compute(scheduler=…)`` takes."""

    def __call__(self, dsk: Graph, keys: Sequence[Key] | Key, **kwargs: Any) -> Any:
        """Runs ``dsk``; answers the values of ``keys``, in nested tuples for nested lists."""
        raise NotImplementedError


class PostPersistCallable(Protocol[CollType_co]):
    """Makes a collection again after its values were computed."""

    def __call__(self, dsk: Graph, *args: Any, rename: Mapping[str, str] | None = None) -> CollType_co:
        """The collection over ``dsk``, whose tasks are values; ``rename`` maps old names to new ones."""
        raise NotImplementedError


@runtime_checkable
class DaskCollection(Protocol):
    """A collection that is a graph of tasks and knows how to make its value of their results."""

    __dask_optimize__: Any
    """A function ``(dsk, keys, **kwargs)`` that answers a better graph, or none."""
    __dask_scheduler__: staticmethod[..., Any]
    """The scheduler that runs it if nothing else is asked for."""

    def __dask_graph__(self) -> Graph:
        """The tasks by key."""
        raise NotImplementedError

    def __dask_keys__(self) -> NestedKeys:
        """The keys of its blocks, in nested lists if they lie so."""
        raise NotImplementedError

    def __dask_postcompute__(self) -> tuple[PostComputeCallable, tuple[Any, ...]]:
        """A function from the blocks' values, and further arguments, to the value of the whole; and those arguments."""
        raise NotImplementedError

    def __dask_postpersist__(self) -> tuple[PostPersistCallable[Any], tuple[Any, ...]]:
        """A function from a graph of values, and further arguments, to such a collection; and those arguments."""
        raise NotImplementedError

    def __dask_tokenize__(self) -> Hashable:
        """What tells it from others."""
        raise NotImplementedError

    def compute(self, **kwargs: Any) -> Any:
        """Its value."""
        raise NotImplementedError

    def persist(self: CollType, **kwargs: Any) -> CollType:
        """The same collection, computed."""
        raise NotImplementedError

    def visualize(
        self, filename: str | None = "mydask", format: str | None = None, optimize_graph: bool = False, **kwargs: Any
    ) -> Any:
        """A drawing of its graph."""
        raise NotImplementedError


@runtime_checkable
class HLGDaskCollection(DaskCollection, Protocol):
    """A collection whose graph comes in layers, an :class:`oxidask.highlevelgraph.HighLevelGraph`."""

    def __dask_layers__(self) -> Sequence[str]:
        """The names of the layers that hold its keys."""
        raise NotImplementedError


class NoDefault(Enum):
    """The type of :data:`no_default`."""

    no_default = "no_default"


#: Stands for an argument that was not given, where none has a meaning.
no_default = NoDefault.no_default
NoDefaultType: TypeAlias = Literal[NoDefault.no_default]
