"""How bags begin: sequences, delayed values, ranges, other bags."""

from __future__ import annotations

import builtins
import io
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from oxidask import _oxidask
from oxidask.bag import _steps
from oxidask.bag.core import Bag
from oxidask.utils import funcname

__all__ = ["concat", "from_delayed", "from_sequence", "from_url", "map", "map_partitions", "range", "zip"]


def from_sequence(seq: Iterable[Any], partition_size: int | None = None, npartitions: int | None = None) -> Bag:
    """A bag of the elements of a sequence.

    Parameters
    ----------
    seq : iterable
        Is read at once; for data that lies elsewhere, let tasks load it.
    partition_size : int, optional
        How many elements a partition holds.
    npartitions : int, optional
        About how many partitions to make; 100 by default.

    Raises
    ------
    ValueError
        If a number is smaller than one.

    Examples
    --------
    >>> from_sequence(["Alice", "Bob", "Carol"], partition_size=2).npartitions
    2
    """
    elements = list(seq)
    for name, number in (("partition_size", partition_size), ("npartitions", npartitions)):
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
    if partition_size is None:
        if npartitions is None:
            partition_size = 1 if len(elements) <= 100 else max(1, math.ceil(math.sqrt(len(elements)) / 10))
            partition_size = max(partition_size, math.ceil(len(elements) / 100))
        else:
            partition_size = max(1, math.ceil(len(elements) / npartitions))
    parts = [elements[i : i + partition_size] for i in builtins.range(0, len(elements), partition_size)]
    return Bag._over(_oxidask.bag_source(parts or [[]], "from_sequence"))


def range(n: int, npartitions: int) -> Bag:
    """The numbers from 0 to ``n``, without ``n``.

    Parameters
    ----------
    n : int
    npartitions : int
        How many partitions to make, at most one for each number.

    Examples
    --------
    >>> range(5, npartitions=2).compute()
    [0, 1, 2, 3, 4]
    """
    if npartitions < 1:
        raise ValueError(f"npartitions must be at least 1, got {npartitions}")
    size = max(1, n // npartitions)
    starts = [*builtins.range(0, n, size)][:npartitions] or [0]
    parts = [builtins.range(start, end) for start, end in itertools.pairwise([*starts, n])]
    source = Bag._over(_oxidask.bag_source(parts, "range"))
    return source._pipe("range", list, source)


def from_delayed(values: Any) -> Bag:
    """A bag whose partitions are the results of delayed values.

    Parameters
    ----------
    values : Delayed or iterable of Delayed
        Each result must be iterable; it is one partition.

    Examples
    --------
    >>> from oxidask import delayed
    >>> from_delayed([delayed(list)("ab"), delayed(list)("c")]).compute()
    ['a', 'b', 'c']
    """
    from oxidask.delayed import Delayed, delayed

    values = [values] if isinstance(values, Delayed) else list(values)
    values = [value if isinstance(value, Delayed) else delayed(value) for value in values]
    if not values:
        return from_sequence([])
    whole = Bag._over(_oxidask.bag_concat(values))
    # What can be read only once becomes a list.
    return whole._pipe("from_delayed", iter, whole)


def from_url(urls: Any) -> Bag:
    """A bag of the lines, as bytes, of the files at some addresses.

    Parameters
    ----------
    urls : str or list of str
        Each is a partition.

    Raises
    ------
    OSError
        When computed, if a file cannot be read; it is ``FileNotFoundError`` if there is none. The address is named.

    Examples
    --------
    >>> from_url(["http://127.0.0.1/a", "http://127.0.0.1/b"]).npartitions
    2
    """
    urls = [urls] if isinstance(urls, str) else list(urls)
    source = from_sequence(urls, partition_size=1)
    return source._pipe("from_url", _lines_at, source, listed=True)


def _lines_at(urls: Sequence[str]) -> list[bytes]:
    lines: list[bytes] = []
    for url in urls:
        lines += io.BytesIO(_content_at(url))
    return lines


def _content_at(url: str) -> bytes:
    try:
        return _oxidask.bag_read_block((url, [], 0, None, None), b"")
    except NotImplementedError:
        # The engine knows no such protocol; Python may.
        from urllib.request import urlopen

    try:
        with urlopen(url) as response:
            return response.read()  # type: ignore[no-any-return]
    except OSError as error:
        raise OSError(f"{url} cannot be read: {error}") from error


def concat(bags: Iterable[Any]) -> Bag:
    """The partitions of several bags, one bag after another.

    Parameters
    ----------
    bags : iterable of Bag
        Items and delayed values are partitions, too.

    Examples
    --------
    >>> concat([from_sequence([1, 2]), from_sequence([3])]).compute()
    [1, 2, 3]
    """
    return Bag._over(_oxidask.bag_concat(list(bags)))


def zip(*bags: Bag) -> Bag:
    """Tuples of the elements of bags that are partitioned alike.

    Parameters
    ----------
    *bags : Bag
        Of the same number of partitions. Partitions of different length are cut
        to the shortest.

    Raises
    ------
    ValueError
        If the numbers of partitions differ.

    Examples
    --------
    >>> numbers = from_sequence([1, 2, 3], npartitions=2)
    >>> zip(numbers, numbers.map(str)).compute()
    [(1, '1'), (2, '2'), (3, '3')]
    """
    if not bags:
        raise ValueError("zip: at least one bag is needed")
    return bags[0]._pipe("zip", builtins.zip, *bags)


def map(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Bag:
    """Calls a function with the elements of one or several bags.

    Parameters
    ----------
    func : callable
    *args, **kwargs
        Bags give one element to each call; items, delayed values and all else
        are the same in each.

    Raises
    ------
    ValueError
        If there is no bag among the arguments, or bags differ in their numbers
        of partitions, or (when computed) of elements.

    Examples
    --------
    >>> numbers = from_sequence([1, 2, 3], npartitions=2)
    >>> map(lambda x, y, z: x + y + z, numbers, numbers, numbers.max()).compute()
    [5, 7, 9]
    """
    names = tuple(name for name, value in kwargs.items() if isinstance(value, Bag))
    given = [*args, *(kwargs[name] for name in names)]
    bags = [value for value in given if isinstance(value, Bag)]
    if not bags:
        raise ValueError("map: at least one argument must be a bag")
    _check_alike("map", bags)
    base = bags[0]
    if len(given) == 1 and not kwargs:
        return base._pipe(funcname(func), builtins.map, func, base)
    repeated = tuple(place for place, value in enumerate(given) if not isinstance(value, Bag))
    others = {name: value for name, value in kwargs.items() if name not in names}
    return base._pipe(funcname(func), _steps.map_all, func, given, repeated, names, others)


def _check_alike(what: str, bags: list[Bag]) -> None:
    numbers = sorted({bag.npartitions for bag in bags})
    if len(numbers) > 1:
        text = " and ".join(builtins.map(str, numbers))
        raise ValueError(
            f"{what}: the bags have {text} partitions\nhint: give them the same number: bag.repartition(npartitions=…)"
        )


def map_partitions(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Bag:
    """Calls a function with each partition, as a list.

    Parameters
    ----------
    func : callable
        Answers the new partition; an iterator becomes a list.
    *args, **kwargs
        Bags give one partition to each call; items, delayed values and all else
        are the same in each. ``token`` is the name that users read.

    Raises
    ------
    ValueError
        If there is no bag among the arguments, or bags differ in their numbers
        of partitions.

    Examples
    --------
    >>> map_partitions(len, from_sequence(builtins.range(5), npartitions=2)).compute()
    [3, 2]
    """
    label = kwargs.pop("token", None) or funcname(func)
    bags = [value for value in (*args, *kwargs.values()) if isinstance(value, Bag)]
    if not bags:
        raise ValueError("map_partitions: at least one argument must be a bag")
    _check_alike("map_partitions", bags)
    return bags[0]._pipe(label, func, *args, listed=True, kwargs=kwargs)
