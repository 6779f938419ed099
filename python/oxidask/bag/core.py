"""The bag: what can be done with the elements."""

from __future__ import annotations

import builtins
import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

from oxidask import _oxidask
from oxidask.bag import _steps
from oxidask.bag._collection import BagCollection
from oxidask.bag._steps import no_default
from oxidask.bag.item import Item
from oxidask.bag.keyed import Keyed
from oxidask.bag.partitions import Partitions
from oxidask.bag.reductions import Reductions
from oxidask.bag.strings import StringAccessor
from oxidask.utils import funcname

__all__ = ["Bag", "Item"]


class Bag(Reductions, Keyed, Partitions, BagCollection):
    """A parallel list of any Python objects.

    Bags are made by :func:`from_sequence`, :func:`read_text`,
    :func:`from_delayed` and others. Methods are lazy; ``compute`` answers a list.
    Functions run in child processes unless another scheduler is chosen, so they
    and the elements must be picklable.

    Parameters
    ----------
    dsk : mapping
        A dict graph.
    name : str
        The partitions are ``(name, 0)``, ``(name, 1)`` …
    npartitions : int

    Examples
    --------
    >>> import oxidask.bag as db
    >>> words = db.from_sequence(["a b", "b"], npartitions=2).map(str.split).flatten()
    >>> sorted(words.frequencies().compute())
    [('a', 1), ('b', 2)]
    """

    __slots__ = ()

    def __init__(self, dsk: Any, name: str, npartitions: int) -> None:
        from oxidask._graphs import delayed_of_graph

        parts = [delayed_of_graph(dsk, (name, i)) for i in range(npartitions)]
        whole = Bag._over(_oxidask.bag_concat(parts))
        self._expr, self._name = whole._pipe("from_graph", iter, whole)._expr, name

    @property
    def npartitions(self) -> int:
        """How many partitions there are."""
        return _oxidask.bag_npartitions(self)

    @property
    def str(self) -> StringAccessor:
        """The methods of strings, on each element; and ``match`` for patterns.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence(["Ann", "Bob"]).str.upper().compute()
        ['ANN', 'BOB']
        """
        return StringAccessor(self)

    @property
    def _args(self) -> tuple[Any, ...]:
        return (self.dask, self.name, self.npartitions)

    def __dask_keys__(self) -> list[Any]:
        return [(self.name, i) for i in range(self.npartitions)]

    def _pipe(
        self,
        label: builtins.str,
        function: Callable[..., Any],
        *args: Any,
        kwargs: dict[builtins.str, Any] | None = None,
        listed: bool = False,
    ) -> Bag:
        """Calls ``function`` for each partition; this bag is among the arguments."""
        return Bag._over(_oxidask.bag_pipe(self, label, function, args, kwargs, listed=listed))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.compute())

    def __repr__(self) -> builtins.str:
        return f"oxidask.bag<{funcname_of(self.name)}, npartitions={self.npartitions}>"

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, ...]:
        return _loads, (*_oxidask.bag_dumps(self), self.npartitions, self._name)

    def map(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Bag:
        """Calls a function with each element; see :func:`oxidask.bag.map`.

        Parameters
        ----------
        func : callable
        *args, **kwargs
            Further arguments: bags vary, all else is the same in each call.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> numbers = db.from_sequence([1, 2, 3])
        >>> numbers.map(pow, 2).compute()
        [1, 4, 9]
        """
        from oxidask.bag.creation import map as map_bags

        return map_bags(func, self, *args, **kwargs)

    def starmap(self, func: Callable[..., Any], **kwargs: Any) -> Bag:
        """Calls a function with the elements of each element as its arguments.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence([(1, 2), (3, 4)]).starmap(max).compute()
        [2, 4]
        """
        return self._pipe(funcname(func), _steps.starmap, func, self, kwargs)

    def filter(self, predicate: Callable[[Any], Any] | None) -> Bag:
        """The elements for which ``predicate`` is true; without one, the true elements.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence(range(5)).filter(lambda x: x % 2).compute()
        [1, 3]
        """
        return self._pipe("filter-" + funcname(predicate), builtins.filter, predicate, self)

    def remove(self, predicate: Callable[[Any], Any]) -> Bag:
        """The elements for which ``predicate`` is false.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence(range(5)).remove(lambda x: x % 2).compute()
        [0, 2, 4]
        """
        return self._pipe("remove-" + funcname(predicate), itertools.filterfalse, predicate, self)

    def random_sample(self, prob: float, random_state: Any = None) -> Bag:
        """Each element with the probability ``prob``.

        Parameters
        ----------
        prob : float
            From 0 to 1.
        random_state : int, random.Random or state of one, optional
            Makes the choice repeatable.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> numbers = db.from_sequence(range(100))
        >>> numbers.random_sample(0.1, 7).compute() == numbers.random_sample(0.1, 7).compute()
        True
        """
        if not 0 <= prob <= 1:
            raise ValueError(f"prob must lie between 0 and 1, got {prob}")
        generator = random_state
        if not isinstance(generator, random.Random):
            generator = random.Random()
            if isinstance(random_state, tuple):
                generator.setstate(random_state)
            else:
                generator.seed(random_state)
        seeds = [[random.Random(generator.getrandbits(256)).getstate()] for _ in range(self.npartitions)]
        states = Bag._over(_oxidask.bag_source(seeds, "random_state"))
        return self._pipe("random_sample", _sample, float(prob), self, states)

    def map_partitions(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Bag:
        """Calls a function with each partition; see :func:`oxidask.bag.map_partitions`.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence([3, 1, 2], npartitions=1).map_partitions(sorted).compute()
        [1, 2, 3]
        """
        from oxidask.bag.creation import map_partitions

        return map_partitions(func, self, *args, **kwargs)

    def pluck(self, key: Any, default: Any = no_default) -> Bag:
        """``element[key]`` of each element.

        Parameters
        ----------
        key : any object, or list of these
            A list makes tuples.
        default : any object, optional
            Stands where an element has no such key.

        Raises
        ------
        KeyError or IndexError
            When computed, if an element has no such key and there is no default.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> people = db.from_sequence([{"name": "Ann", "age": 30}, {"name": "Bob"}])
        >>> people.pluck("name").compute()
        ['Ann', 'Bob']
        >>> people.pluck(["name", "age"], None).compute()
        [('Ann', 30), ('Bob', None)]
        """
        if default is no_default:
            return self._pipe("pluck", _steps.pluck, self, key)
        return self._pipe("pluck", _oxidask.bag_pluck, self, key, default)

    def unzip(self, n: int) -> tuple[Bag, ...]:
        """A bag for each of the ``n`` elements that every element has.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> names, ages = db.from_sequence([("Ann", 30), ("Bob", 40)]).unzip(2)
        >>> ages.compute()
        [30, 40]
        """
        return tuple(self.pluck(i) for i in range(n))

    def flatten(self) -> Bag:
        """The elements of the elements.

        Raises
        ------
        TypeError
            When computed, if an element cannot be iterated; it is named.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence([[1], [2, 3]]).flatten().compute()
        [1, 2, 3]
        """
        return self._pipe("flatten", _oxidask.bag_flatten, self)

    def product(self, other: Bag) -> Bag:
        """All pairs of an element of this bag and one of ``other``.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence([1, 2]).product(db.from_sequence("ab", npartitions=1)).compute()
        [(1, 'a'), (1, 'b'), (2, 'a'), (2, 'b')]
        """
        if not isinstance(other, Bag):
            raise TypeError(f"product: a bag is needed, got {type(other).__name__}")
        n, m = self.npartitions, other.npartitions
        left = self._partitions([i for i in range(n) for _ in range(m)])
        right = other._partitions([j for _ in range(n) for j in range(m)])
        return left._pipe("product", _steps.product, left, right)

    def accumulate(self, binop: Callable[[Any, Any], Any], initial: Any = no_default) -> Bag:
        """The running results of ``binop`` over all elements in order.

        Parameters
        ----------
        binop : callable
            Of the result so far and an element.
        initial : any object, optional
            Where to start; it is the first result, then.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> numbers = db.from_sequence([1, 2, 3], npartitions=2)
        >>> numbers.accumulate(lambda x, y: x + y).compute()
        [1, 3, 6]
        """
        state = () if initial is no_default else (initial, True)
        return Bag._over(_oxidask.bag_scan(self, "accumulate", _steps.scan, binop, state))

    def to_delayed(self, optimize_graph: bool = True) -> list[Any]:
        """The partitions as delayed values, each a list.

        Parameters
        ----------
        optimize_graph : bool
            Whether to rewrite the plan first.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> [part.compute() for part in db.from_sequence([1, 2], npartitions=2).to_delayed()]
        [[1], [2]]
        """
        return _oxidask.bag_delayed(self, optimize_graph)

    def to_textfiles(self, path: Any, **kwargs: Any) -> Any:
        """Writes a text file for each partition; see :func:`oxidask.bag.to_textfiles`."""
        from oxidask.bag.text import to_textfiles

        return to_textfiles(self, path, **kwargs)

    def to_avro(self, filename: Any, schema: dict[builtins.str, Any], **kwargs: Any) -> Any:
        """Writes an Avro file for each partition; see :func:`oxidask.bag.to_avro`."""
        from oxidask.bag.avro import to_avro

        return to_avro(self, filename, schema, **kwargs)

    def to_dataframe(self, meta: Any = None, columns: Any = None, optimize_graph: bool = True) -> Any:
        """A dataframe whose rows are the elements.

        Parameters
        ----------
        meta : pandas.DataFrame, dict or list of pairs, optional
            Names and dtypes of the columns; by default those of pandas for the
            first element.
        columns : list of str, optional
            Names of the columns of tuples.
        optimize_graph : bool
            Whether to rewrite the plan first.

        Raises
        ------
        ValueError
            If both are given, or the first partition is empty and there is no
            ``meta``.
        """
        from oxidask.bag.frames import to_dataframe

        return to_dataframe(self, meta, columns, optimize_graph)


def _sample(prob: float, partition: Any, states: list[Any]) -> Any:
    return _steps.sample(prob, partition, states[0])


def funcname_of(name: builtins.str) -> builtins.str:
    """What a name says without its hash."""
    head, _, tail = name.rpartition("-")
    return head if len(tail) == 32 and head else name


def _loads(form: bytes, label: builtins.str, key: builtins.str, n: int, name: builtins.str | None) -> Bag:
    return Bag._over(_oxidask.bag_loads(form, label, key, n, False), name)
