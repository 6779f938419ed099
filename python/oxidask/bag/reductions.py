"""Reductions of bags, all as trees over partitions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from oxidask import _oxidask
from oxidask.bag import _steps
from oxidask.bag._steps import no_default
from oxidask.bag.item import Item
from oxidask.utils import funcname

__all__ = ["Reductions"]

#: How many results are combined at once where the user does not say.
SPLIT_EVERY = 8


class Reductions:
    """The methods of :class:`oxidask.bag.Bag` that combine all elements."""

    __slots__ = ()

    npartitions: int
    _pipe: Callable[..., Any]

    def _tree(self, label: str, aggregate: Any, split_every: Any, *, combine: Any = None, item: bool = True) -> Any:
        """Combines the values of all partitions, ``split_every`` at a time."""
        from oxidask.bag.core import Bag

        if split_every is None:
            split_every = SPLIT_EVERY
        elif split_every is False:
            split_every = max(2, self.npartitions)
        expr = _oxidask.bag_reduce(self, label, combine or aggregate, aggregate, split_every, item)
        return (Item if item else Bag)._over(expr)

    def reduction(
        self,
        perpartition: Callable[[Any], Any],
        aggregate: Callable[[Any], Any],
        split_every: Any = None,
        out_type: Any = Item,
        name: str | None = None,
    ) -> Any:
        """Reduces each partition, then the results.

        Parameters
        ----------
        perpartition : callable
            Of a partition as a list. Empty partitions are left out, unless all
            elements lie in a single one.
        aggregate : callable
            Of a list of results; it is called on several levels.
        split_every : int or False, optional
            How many results are aggregated at once; 8 by default, all for False.
        out_type : Item or Bag
            What is answered; a bag has one partition.
        name : str, optional
            What users read.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence(range(10)).reduction(sum, sum).compute()
        45
        """
        return self._reduced(perpartition, aggregate, split_every, out_type, name, listed=True)

    def _reduced(
        self, perpartition: Any, aggregate: Any, split_every: Any, out_type: Any, name: str | None, *, listed: bool
    ) -> Any:
        """A reduction whose function of a partition needs a list, or just an iterator."""
        is_only = self.npartitions == 1
        label = name or funcname(perpartition)
        on_part = _steps.on_partition if listed else _steps.on_elements
        parts = self._pipe(f"{label}-part", on_part, perpartition, is_only, self, listed=listed)
        root = functools.partial(_steps.on_results, aggregate, True)
        combine = functools.partial(_steps.on_results, aggregate, False)
        is_item = not (isinstance(out_type, type) and not issubclass(out_type, Item))
        return parts._tree(name or funcname(aggregate), root, split_every, combine=combine, item=is_item)

    def fold(
        self,
        binop: Callable[[Any, Any], Any],
        combine: Callable[[Any, Any], Any] | None = None,
        initial: Any = no_default,
        split_every: Any = None,
        out_type: Any = Item,
    ) -> Any:
        """Reduces with a function of two arguments.

        Parameters
        ----------
        binop : callable
            Of the result so far and an element.
        combine : callable, optional
            Of two results; ``binop`` by default.
        initial : any object, optional
            Where each partition starts; each gets a copy of its own.
        split_every, out_type
            As for :meth:`reduction`.

        Raises
        ------
        TypeError
            When computed, if there are neither elements nor an initial value.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> numbers = db.from_sequence(range(5), npartitions=2)
        >>> numbers.fold(lambda total, x: total | {x}, set.union, initial=set()).compute()
        {0, 1, 2, 3, 4}
        """
        start = () if initial is no_default else (initial,)
        return self._reduced(
            functools.partial(_steps.fold, binop, start),
            functools.partial(_steps.fold_results, combine or binop, start),
            split_every,
            out_type,
            "fold-" + funcname(binop),
            listed=False,
        )

    def topk(self, k: int, key: Any = None, split_every: Any = None) -> Any:
        """The ``k`` largest elements, the largest first.

        Parameters
        ----------
        k : int
        key : callable or key, optional
            What is compared.
        split_every : int or False, optional
            How many partitions are combined at once.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence([10, 3, 5, 7]).topk(2).compute()
        [10, 7]
        """
        key = None if key is None else _steps.key_function(key)
        largest = self._pipe("topk-part", functools.partial(_steps.topk, k, key), self)
        return largest._tree("topk", functools.partial(_steps.topk_of, k, key), split_every, item=False)

    def sum(self, split_every: Any = None) -> Item:
        """The sum of the elements; 0 if there are none.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence([1, 2, 3]).sum().compute()
        6
        """
        return self._reduced(sum, sum, split_every, Item, "sum", listed=False)  # type: ignore[no-any-return]

    def max(self, split_every: Any = None) -> Item:
        """The largest element.

        Raises ``ValueError`` when computed if there is none.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence([1, 3, 2]).max().compute()
        3
        """
        return self._reduced(max, max, split_every, Item, "max", listed=False)  # type: ignore[no-any-return]

    def min(self, split_every: Any = None) -> Item:
        """The smallest element.

        Raises ``ValueError`` when computed if there is none.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence([2, 1, 3]).min().compute()
        1
        """
        return self._reduced(min, min, split_every, Item, "min", listed=False)  # type: ignore[no-any-return]

    def any(self, split_every: Any = None) -> Item:
        """Whether any element is true.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> bool(db.from_sequence([0, 1]).any())
        True
        """
        return self._reduced(any, any, split_every, Item, "any", listed=False)  # type: ignore[no-any-return]

    def all(self, split_every: Any = None) -> Item:
        """Whether all elements are true.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> bool(db.from_sequence([0, 1]).all())
        False
        """
        return self._reduced(all, all, split_every, Item, "all", listed=False)  # type: ignore[no-any-return]

    def count(self, split_every: Any = None) -> Item:
        """How many elements there are.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> int(db.from_sequence("abc").count())
        3
        """
        return self._reduced(_steps.count, sum, split_every, Item, "count", listed=False)  # type: ignore[no-any-return]

    def mean(self) -> Item:
        """The mean of the elements.

        Raises ``ZeroDivisionError`` when computed if there is none.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence([1, 2, 6]).mean().compute()
        3.0
        """
        parts = self._pipe("mean-part", _steps.sum_and_count, self, listed=True)
        return parts._tree("mean", _steps.mean_of, None, combine=_steps.sums_and_counts)  # type: ignore[no-any-return]

    def var(self, ddof: int = 0) -> Item:
        """The variance of the elements.

        Parameters
        ----------
        ddof : int
            The divisor is the number of elements less this.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence([1, 2, 3, 4]).var().compute()
        1.25
        """
        return self._variance("var", ddof, False)

    def std(self, ddof: int = 0) -> Item:
        """The standard deviation of the elements; the root of :meth:`var`.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence([1, 3]).std().compute()
        1.0
        """
        return self._variance("std", ddof, True)

    def _variance(self, name: str, ddof: int, root: bool) -> Item:
        parts = self._pipe(f"{name}-part", _steps.moments, self, listed=True)
        aggregate = functools.partial(_steps.variance_of, ddof, root)
        return parts._tree(name, aggregate, None, combine=_steps.merge_moments)  # type: ignore[no-any-return]
