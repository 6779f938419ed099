"""The order of work that does not depend on each other's results, and doing it again.

>>> from oxidask import delayed
>>> from oxidask.graph_manipulation import bind
>>> done = []
>>> first = delayed(done.append)("first")
>>> second = bind(delayed(done.append)("second"), first)
>>> second.compute()
>>> done
['first', 'second']
"""

from __future__ import annotations

import uuid
from collections.abc import Hashable
from typing import Any, Literal, TypeVar

from oxidask import _oxidask
from oxidask._oxidask import Delayed
from oxidask.base import unpack_collections

__all__ = ["bind", "checkpoint", "clone", "wait_on"]

T = TypeVar("T")

#: How many tasks one task of a barrier waits for.
SPLIT_EVERY = 8

SplitEvery = float | Literal[False] | None


def _width(split_every: SplitEvery) -> int:
    if split_every is None:
        return SPLIT_EVERY
    if split_every is False:
        return 2**62
    if not isinstance(split_every, (int, float)):
        raise TypeError(f"split_every must be a number, False or None, got {split_every!r}")
    if split_every < 2:
        raise ValueError(f"split_every must be False, None or at least 2, got {split_every!r}")
    return int(split_every)


def _exprs(objects: Any) -> list[Any]:
    return [] if objects is None else _oxidask.find_lazy((objects,), True)


def checkpoint(*collections: Any, split_every: SplitEvery = None) -> Delayed:
    """A delayed ``None`` that is there when all of the collections are computed.

    Parameters
    ----------
    collections : collections, alone or in containers
    split_every : int, False or None
        How many tasks one task of the barrier waits for; 8 by default, ``False``
        for one task that waits for all.

    Raises
    ------
    ValueError
        If ``split_every`` is less than 2.
    TypeError
        If it is no number.

    Examples
    --------
    >>> from oxidask import delayed
    >>> checkpoint(delayed(abs)(-1), [delayed(abs)(-2)]).compute() is None
    True
    """
    width = _width(split_every)
    return _oxidask.checkpoint(_exprs(list(collections)), width)


def wait_on(*collections: Any, split_every: SplitEvery = None) -> Any:
    """The same collections, of which no block is there before all blocks are.

    Parameters
    ----------
    collections : collections, alone or in containers
    split_every : int, False or None
        See :func:`checkpoint`.

    Returns
    -------
    The collection for one argument, else a tuple.

    Examples
    --------
    >>> from oxidask import compute, delayed
    >>> a, b = wait_on(delayed(abs)(-1), delayed(abs)(-2))
    >>> compute(a, b)
    (1, 2)
    """
    width = _width(split_every)
    found, repack = unpack_collections(*collections)
    waiting = repack(_oxidask.wait_on([_expr(one) for one in found], width))
    return waiting[0] if len(collections) == 1 else waiting


def clone(*collections: Any, omit: Any = None, seed: Hashable = None, assume_layers: bool = True) -> Any:
    """Collections that compute the same again, with tasks of their own.

    Parameters
    ----------
    collections : collections, alone or in containers
    omit : collections, optional
        Whose tasks stay shared.
    seed : hashable, optional
        Equal seeds give equal clones; by default every clone is different.
    assume_layers : bool
        Taken for compatibility; it changes nothing here.

    Returns
    -------
    The clone for one argument, else a tuple.

    Examples
    --------
    >>> from oxidask import compute, delayed
    >>> from itertools import count
    >>> number = delayed(count().__next__)()
    >>> sorted(compute(number, clone(number)))
    [0, 1]
    """
    del assume_layers
    found, repack = unpack_collections(*collections)
    omitted, text = _exprs(omit), _seed_text(seed)
    cloned = repack([_oxidask.remade(_expr(one), omitted, [], text, SPLIT_EVERY) for one in found])
    return cloned[0] if len(collections) == 1 else cloned


def bind(
    children: T,
    parents: Any,
    *,
    omit: Any = None,
    seed: Hashable | None = None,
    assume_layers: bool = True,
    split_every: SplitEvery = None,
) -> T:
    """Clones of the children whose work begins when the parents are computed.

    Parameters
    ----------
    children : collection, or containers of collections
    parents : collections, alone or in containers
    omit : collections, optional
        Whose tasks stay shared and wait for nothing.
    seed, assume_layers
        See :func:`clone`.
    split_every : int, False or None
        See :func:`checkpoint`.

    Examples
    --------
    See :mod:`oxidask.graph_manipulation`.
    """
    del assume_layers
    width = _width(split_every)
    found, repack = unpack_collections(children)
    omitted, before, text = _exprs(omit), _exprs(parents), _seed_text(seed)
    return repack([_oxidask.remade(_expr(one), omitted, before, text, width) for one in found])[0]  # type: ignore[no-any-return]


def _expr(collection: Any) -> Any:
    (expr,) = _oxidask.find_lazy((collection,), False)
    return expr


def _seed_text(seed: Hashable | None) -> str:
    from oxidask.tokenize import tokenize

    return uuid.uuid4().hex if seed is None else str(tokenize(seed))
