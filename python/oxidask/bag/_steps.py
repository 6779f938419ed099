"""What tasks of bags do with a partition.

The functions answer iterators made of ``map``, ``filter`` and ``itertools``, or
work in compiled code: no loop over elements runs as Python bytecode. They are
functions of a module, so that other processes import them by name.
"""

from __future__ import annotations

import copy
import functools
import heapq
import inspect
import io
import itertools
import math
import operator
import random
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from oxidask._oxidask import bag_accumulate, bag_fold, bag_join_shards, bag_merge_by, bag_write_file


class Nothing:
    """Stands for the result of a partition without elements."""


class NoDefault:
    """Stands for an argument that was not given."""

    def __repr__(self) -> str:
        return "no_default"

    def __reduce__(self) -> str:
        return "no_default"


no_default = NoDefault()


class WithKeywords:
    """Calls a function with its last arguments under the given names."""

    def __init__(self, function: Callable[..., Any], names: tuple[str, ...]) -> None:
        self.function, self.names = function, names

    def __call__(self, *args: Any) -> Any:
        n = len(args) - len(self.names)
        return self.function(*args[:n], **dict(zip(self.names, args[n:], strict=True)))


def map_all(
    function: Callable[..., Any],
    columns: list[Any],
    repeated: tuple[int, ...],
    names: tuple[str, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Maps over columns of equal length and the values at the places ``repeated``.

    The last columns are the keyword arguments ``names``.
    """
    if kwargs:
        function = functools.partial(function, **kwargs)
    if names:
        function = WithKeywords(function, names)
    varied = [column for place, column in enumerate(columns) if place not in repeated]
    if len(varied) == 1:
        return map(function, *[itertools.repeat(c) if place in repeated else c for place, c in enumerate(columns)])
    # Of several bags all but the first are lists; repeated values get their length.
    length = len(next(column for column in varied if hasattr(column, "__len__")))
    ended = [itertools.repeat(c, length) if place in repeated else c for place, c in enumerate(columns)]
    return itertools.starmap(function, aligned(*ended))


def aligned(*columns: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """Tuples of the columns' elements; columns must end together."""
    return zip(*columns, strict=True)


def starmap(function: Callable[..., Any], partition: Any, kwargs: dict[str, Any]) -> Any:
    """Calls a function with the elements of each element."""
    return itertools.starmap(functools.partial(function, **kwargs) if kwargs else function, partition)


def pluck(partition: Any, key: Any) -> Any:
    """``element[key]`` of each element; a list of keys makes tuples."""
    if not isinstance(key, list):
        return map(operator.itemgetter(key), partition)
    if len(key) == 1:
        return zip(map(operator.itemgetter(key[0]), partition))
    return map(operator.itemgetter(*key), partition) if key else map(tuple, [() for _ in partition])


def lines_of(text: str, delimiter: str | None) -> list[str]:
    """The lines of a text, each with its end; without a delimiter any newline ends one."""
    if delimiter is None:
        return list(io.StringIO(text, newline=None))
    pieces = text.split(delimiter)
    last = pieces.pop()
    lines = [piece + delimiter for piece in pieces]
    return [*lines, last] if last else lines


def is_empty(partition: Any) -> bool:
    """Whether there is no element."""
    return hasattr(partition, "__len__") and len(partition) == 0


def on_partition(function: Callable[[Any], Any], is_only: bool, partition: Any) -> Any:
    """A function of a partition; an empty one has no result unless it is the only one."""
    return Nothing if not is_only and is_empty(partition) else function(partition)


def on_elements(function: Callable[[Any], Any], is_only: bool, partition: Any) -> Any:
    """As ``on_partition``, for functions that need nothing but an iterator."""
    elements = iter(partition)
    first = next(elements, Nothing)
    if first is Nothing:
        return function(()) if is_only else Nothing
    return function(itertools.chain((first,), elements))


def on_results(function: Callable[[Any], Any], is_root: bool, results: list[Any]) -> Any:
    """A function of a list of results, without those of empty partitions."""
    results = [result for result in results if result is not Nothing]
    return Nothing if not results and not is_root else function(results)


def fold(binop: Callable[..., Any], initial: tuple[Any, ...], partition: Any) -> Any:
    """Reduces from a fresh copy of the initial value, which ``binop`` may change."""
    return bag_fold(binop, copy.deepcopy(initial), partition)


def fold_results(combine: Callable[..., Any], initial: tuple[Any, ...], results: list[Any]) -> Any:
    """Reduces results; the initial value is the answer only if there is none."""
    return bag_fold(combine, (), results) if results or not initial else copy.deepcopy(initial[0])


def count(partition: Any) -> int:
    """How many elements there are."""
    if hasattr(partition, "__len__"):
        return len(partition)
    # A zip with numbers that nobody keeps counts at C speed.
    numbers = itertools.count()
    deque(zip(partition, numbers, strict=False), maxlen=0)
    return next(numbers)


def counts(partition: Any) -> dict[Any, int]:
    """How often each element occurs."""
    return dict(Counter(partition))


def keep_first(first: Any, other: Any) -> Any:
    """The first of two values."""
    return first


_FINISHES: dict[str, Callable[[dict[Any, Any]], list[Any]]] = {
    "pairs": lambda groups: list(groups.items()),
    "sorted": lambda groups: sorted(groups.items(), key=operator.itemgetter(1), reverse=True),
    "keys": lambda groups: list(groups),
    "values": lambda groups: list(groups.values()),
}


def merged(finish: str, combine: Callable[[Any, Any], Any], start: Any, parts: list[dict[Any, Any]]) -> list[Any]:
    """Merges dicts of values by key, and makes a list of that."""
    return _FINISHES[finish](bag_merge_by(combine, start, parts))


def joined(finish: str, shards: list[dict[Any, tuple[int, Any]]]) -> list[Any]:
    """Dicts of different keys as one, in the order of the ranks that values come with, and a list of that."""
    return _FINISHES[finish](bag_join_shards(shards))


def topk(k: int, key: Any, partition: Any) -> list[Any]:
    """The ``k`` largest elements, the largest first."""
    return heapq.nlargest(k, partition, key=key)


def topk_of(k: int, key: Any, parts: list[Any]) -> list[Any]:
    """As ``topk``, for several partitions."""
    return heapq.nlargest(k, itertools.chain.from_iterable(parts), key=key)


def key_function(key: Any) -> Any:
    """A function of an element: the one given, or ``element[key]``.

    A function of several arguments gets the element's elements.
    """
    if not callable(key):
        return operator.itemgetter(*key) if isinstance(key, list) else operator.itemgetter(key)
    return Unpacking(key) if _takes_several(key) else key


class Unpacking:
    """Calls a function with the elements of its argument."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, element: Any) -> Any:
        return self.function(*element)


def _takes_several(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    needed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]
    return len(needed) > 1


def moments(partition: Any) -> tuple[int, Any, Any]:
    """The count, the mean and the sum of squared deviations from it."""
    n = len(partition)
    if n == 0:
        return 0, 0.0, 0.0
    mean = sum(partition) / n
    deviations = list(map(operator.sub, partition, itertools.repeat(mean)))
    return n, mean, sum(map(operator.mul, deviations, deviations))


def merge_moments(parts: list[tuple[int, Any, Any]]) -> tuple[int, Any, Any]:
    """The moments of several partitions together."""
    n, mean, squares = 0, 0.0, 0.0
    for other_n, other_mean, other_squares in parts:
        if other_n:
            difference, both = other_mean - mean, n + other_n
            squares += other_squares + difference * difference * (n * other_n / both)
            mean += difference * (other_n / both)
            n = both
    return n, mean, squares


def mean_of(parts: list[tuple[Any, int]]) -> Any:
    """The mean from sums and counts."""
    total, n = sum(part[0] for part in parts), sum(part[1] for part in parts)
    if n == 0:
        raise ZeroDivisionError("mean: the bag has no elements")
    return total / n


def sum_and_count(partition: Any) -> tuple[Any, int]:
    """The sum and the number of elements."""
    return sum(partition), len(partition)


def sums_and_counts(parts: list[tuple[Any, int]]) -> tuple[Any, int]:
    """As ``sum_and_count``, for several partitions."""
    return sum(part[0] for part in parts), sum(part[1] for part in parts)


def variance_of(ddof: int, root: bool, parts: list[tuple[int, Any, Any]]) -> Any:
    """The variance, or its root, from moments."""
    n, _, squares = merge_moments(parts)
    if n == 0:
        raise ZeroDivisionError("var: the bag has no elements")
    variance = squares / (n - ddof) if n > ddof else math.nan
    return math.sqrt(variance) if root else variance


def take(k: int, partition: Any) -> Any:
    """The first ``k`` elements."""
    return list(itertools.islice(partition, k))


def take_of(k: int, parts: list[Any]) -> list[Any]:
    """The first ``k`` elements of several partitions."""
    return list(itertools.islice(itertools.chain.from_iterable(parts), k))


def scan(binop: Callable[..., Any], partition: Any, state: tuple[Any, ...]) -> list[Any]:
    """The running results of a partition, and the last one.

    ``state`` is empty before the first element; ``(value, True)`` if the value
    itself is to be among the results, else ``(value, False)``.
    """
    results = bag_accumulate(binop, state[:1], partition)
    last = (results[-1], False) if results else state
    return [results[1:] if state and not state[1] else results, last]


def sample(prob: float, partition: Any, seed: tuple[Any, ...]) -> Any:
    """Each element with the same probability."""
    generator = random.Random()
    generator.setstate(seed)
    chosen = map(prob.__gt__, iter(generator.random, None))
    return itertools.compress(partition, chosen)


def chain(parts: Any) -> Any:
    """The elements of all parts."""
    return itertools.chain.from_iterable(parts)


def product(left: Any, right: Any) -> Any:
    """All pairs."""
    return itertools.product(left, right)


def size_of(partition: Any) -> int:
    """The estimated memory of a partition in bytes."""
    from oxidask.sizeof import sizeof

    return sizeof(partition)


def write_lines(
    partition: Any,
    path: str,
    storage: list[tuple[str, str]],
    encoding: str,
    compression: str | None,
    last_endline: bool,
) -> str:
    """Writes each element as a line; answers the path."""
    partition = list(partition)
    try:
        text = "\n".join(partition)
    except TypeError:
        text = "\n".join(map(str, partition))
    if last_endline and partition:
        text += "\n"
    bag_write_file(path, storage, compression, text.encode(encoding))
    return path


def to_frame(partition: Any, columns: Any, dtypes: Any) -> Any:
    """A pandas dataframe of the elements."""
    import pandas

    return pandas.DataFrame(list(partition), columns=list(columns)).astype(dtypes, copy=False)


def warn_few(wanted: int, found: int) -> None:
    """Warns that there are fewer elements than were asked for."""
    warnings.warn(
        f"take: {wanted} elements were asked for and {found} are in the partitions looked at; "
        "npartitions=-1 looks at all",
        stacklevel=3,
    )
