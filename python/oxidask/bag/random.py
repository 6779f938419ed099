"""Random elements of bags, all with the same probability.

>>> import oxidask.bag as db
>>> from oxidask.bag import random
>>> numbers = db.from_sequence([1, 2, 3, 4, 5], npartitions=2)
>>> len(random.sample(numbers, 3).compute()), len(random.choices(numbers, 8).compute())
(3, 8)
"""

from __future__ import annotations

import bisect
import functools
import itertools
import random as generators
from collections import Counter
from typing import Any

from oxidask.bag.core import Bag

__all__ = ["choices", "sample"]

#: Random elements of some partitions, and how many elements these have.
Drawn = tuple[list[Any], int]


def choices(population: Bag, k: int = 1, split_every: int | None = None) -> Bag:
    """Draws ``k`` elements, each from all of them.

    Parameters
    ----------
    population : Bag
    k : int
    split_every : int, optional
        How many partitions are combined at once.

    Raises
    ------
    IndexError
        When computed, if the bag has no elements and ``k`` is not 0.

    Examples
    --------
    >>> import oxidask.bag as db
    >>> choices(db.from_sequence("a"), 3).compute()
    ['a', 'a', 'a']
    """
    return _draw("choices", population, k, split_every, _choose, _merge_choices)


def sample(population: Bag, k: int, split_every: int | None = None) -> Bag:
    """Draws ``k`` different elements in random order.

    Parameters
    ----------
    population : Bag
    k : int
    split_every : int, optional
        How many partitions are combined at once.

    Raises
    ------
    ValueError
        When computed, if the bag has fewer elements.

    Examples
    --------
    >>> import oxidask.bag as db
    >>> sorted(sample(db.from_sequence([1, 2, 3]), 3).compute())
    [1, 2, 3]
    """
    return _draw("sample", population, k, split_every, _pick, _merge_picks)


def _draw(name: str, population: Bag, k: int, split_every: int | None, draw: Any, merge: Any) -> Bag:
    if k < 0:
        raise ValueError(f"{name}: k must not be negative, got {k}")
    parts = population._pipe(f"{name}-part", functools.partial(draw, k), population, listed=True)
    merge = functools.partial(merge, k)
    root = functools.partial(_checked, name, k, merge)
    return parts._tree(name, root, split_every, combine=merge, item=False)  # type: ignore[no-any-return]


def _choose(k: int, partition: Any) -> Drawn:
    elements = list(partition)
    return (generators.choices(elements, k=k) if elements else []), len(elements)


def _merge_choices(k: int, parts: list[Drawn]) -> Drawn:
    sizes = [size for _, size in parts]
    if not any(sizes):
        return [], 0
    # Elements of a part are independent of each other, so any of them will do.
    remaining = [iter(drawn) for drawn, _ in parts]
    chosen = generators.choices(range(len(parts)), weights=sizes, k=k)
    return [next(remaining[part]) for part in chosen], sum(sizes)


def _pick(k: int, partition: Any) -> Drawn:
    elements = list(partition)
    return generators.sample(elements, min(k, len(elements))), len(elements)


def _merge_picks(k: int, parts: list[Drawn]) -> Drawn:
    ends = list(itertools.accumulate(size for _, size in parts))
    total = ends[-1] if ends else 0
    # How many elements each part gives is decided by drawing places among all.
    places = generators.sample(range(total), min(k, total))
    counts = Counter(bisect.bisect_right(ends, place) for place in places)
    picked = [element for part, n in counts.items() for element in parts[part][0][:n]]
    generators.shuffle(picked)
    return picked, total


def _checked(name: str, k: int, merge: Any, parts: list[Drawn]) -> list[Any]:
    drawn, size = merge(parts)
    if name == "sample" and size < k:
        raise ValueError(f"Sample larger than population: {k} elements were asked for, the bag has {size}")
    if name == "choices" and size == 0 and k > 0:
        raise IndexError("choices: the bag has no elements")
    return drawn  # type: ignore[no-any-return]
