"""What bags do by key: folds, counts, groups and joins."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

from oxidask import _oxidask
from oxidask.bag import _steps
from oxidask.bag._steps import no_default
from oxidask.bag.item import Item

__all__ = ["Keyed"]

#: Into how many shards keys are cut where they are exchanged: enough for the last
#: tasks to keep the threads of a machine busy, few enough to cost little where
#: there are few keys.
SHARDS = 8

#: How many partitions' shards are merged at once: each level of merging looks all
#: keys up again, and so many shards take no more memory than four partitions.
MERGED_AT_ONCE = 32


class Keyed:
    """The methods of :class:`oxidask.bag.Bag` that look at keys."""

    __slots__ = ()

    npartitions: int
    _pipe: Callable[..., Any]
    _tree: Callable[..., Any]
    _over: Callable[..., Any]

    def _merged(self, label: str, finish: str, combine: Any, start: Any, split_every: Any) -> Any:
        """Merges the dicts in all partitions; the keys stay in the order of first sight.

        A tree is what the user asked for by ``split_every``, and enough for a
        single partition. All else is an exchange of trees: each shard of the keys
        has its own, so that many keys are merged by many tasks, none of which
        holds all.
        """
        if split_every is None and self.npartitions > 1:
            merge = functools.partial(_oxidask.bag_merge_shards, combine, start)
            join = functools.partial(_steps.joined, finish)
            shards = min(SHARDS, self.npartitions)
            return self._over(_oxidask.bag_exchange(self, label, merge, join, shards, MERGED_AT_ONCE))
        merge = functools.partial(_oxidask.bag_merge_by, combine, start)
        root = functools.partial(_steps.merged, finish, combine, start)
        return self._tree(label, root, split_every, combine=merge, item=False)

    def foldby(
        self,
        key: Any,
        binop: Callable[[Any, Any], Any],
        initial: Any = no_default,
        combine: Callable[[Any, Any], Any] | None = None,
        combine_initial: Any = no_default,
        split_every: Any = None,
    ) -> Any:
        """Folds the elements of each key; answers pairs of key and result.

        Parameters
        ----------
        key : callable or key
            Of an element.
        binop : callable
            Of the result so far and an element.
        initial : any object, optional
            Where each key starts in each partition.
        combine : callable, optional
            Of two results; ``binop`` by default.
        combine_initial : any object, optional
            Where combining starts.
        split_every : int or False, optional
            How many partitions are combined at once, all keys in one task; by
            default an exchange combines some of the keys in each.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> numbers = db.from_sequence(range(6), npartitions=2)
        >>> sorted(numbers.foldby(lambda x: x % 2, lambda total, x: total + x, 0).compute())
        [(0, 6), (1, 9)]
        """
        start = None if initial is no_default else (initial,)
        combine_start = None if combine_initial is no_default else (combine_initial,)
        folded = self._pipe("foldby-part", _oxidask.bag_fold_by, _steps.key_function(key), binop, start, self)
        return folded._merged("foldby", "pairs", combine or binop, combine_start, split_every)

    def frequencies(self, split_every: Any = None, sort: bool = False) -> Any:
        """Pairs of each element and how often it occurs, in the order of first sight.

        Parameters
        ----------
        split_every : int or False, optional
            How many partitions are combined at once, all keys in one task; by
            default an exchange combines some of the keys in each.
        sort : bool
            Whether the most frequent comes first.

        Raises
        ------
        TypeError
            When computed, if an element cannot be hashed.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence(["a", "b", "b"]).frequencies(sort=True).compute()
        [('b', 2), ('a', 1)]
        """
        counted = self._pipe("frequencies-part", _steps.counts, self)
        return counted._merged("frequencies", "sorted" if sort else "pairs", operator.add, None, split_every)

    def distinct(self, key: Any = None) -> Any:
        """Each element once, or the first element of each key.

        Parameters
        ----------
        key : callable or key, optional
            What is compared; it must be hashable.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence(["b", "a", "b"]).distinct().compute()
        ['b', 'a']
        """
        if key is None:
            counted = self._pipe("distinct-part", _steps.counts, self)
            return counted._merged("distinct", "keys", operator.add, None, None)
        first = self._pipe(
            "distinct-part", _oxidask.bag_fold_by, _steps.key_function(key), _steps.keep_first, None, self
        )
        return first._merged("distinct", "values", _steps.keep_first, None, None)

    def groupby(
        self,
        grouper: Any,
        method: str | None = None,
        npartitions: int | None = None,
        blocksize: int = 2**20,
        max_branch: int | None = None,
        shuffle: str | None = None,
    ) -> Any:
        """Pairs of a key and the list of all elements with that key.

        All elements move between partitions; :meth:`foldby` is cheaper where the
        groups are reduced anyway.

        Parameters
        ----------
        grouper : callable or key
            The key of an element, which must be hashable.
        npartitions : int, optional
            How many partitions to make; as many as there are by default.
        method, blocksize, max_branch, shuffle
            Accepted for Dask's sake: there is one way, in which partitions are
            cut once and their pieces sent where they belong.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> sorted(db.from_sequence(range(5)).groupby(lambda x: x % 2).compute())
        [(0, [0, 2, 4]), (1, [1, 3])]
        """
        for name in (method, shuffle):
            if name not in (None, "disk", "tasks"):
                raise NotImplementedError(f"groupby: there is no shuffle method {name!r}")
        del blocksize, max_branch
        key = _steps.key_function(grouper)
        n = self.npartitions if npartitions is None else npartitions
        return self._over(_oxidask.bag_shuffle(self, key, _oxidask.bag_scatter, _oxidask.bag_group, n))

    def join(self, other: Any, on_self: Any, on_other: Any = None) -> Any:
        """Pairs of an element of ``other`` and one of the bag that have equal keys.

        Parameters
        ----------
        other : iterable, Item, Delayed, or Bag of one partition
        on_self, on_other : callable or key
            What is compared; ``on_other`` is ``on_self`` by default.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> people = db.from_sequence(["Alice", "Bob"])
        >>> people.join(["Apple", "Banana"], lambda x: x[0]).compute()
        [('Apple', 'Alice'), ('Banana', 'Bob')]
        """
        from oxidask.bag.core import Bag

        on_self = _steps.key_function(on_self)
        on_other = on_self if on_other is None else _steps.key_function(on_other)
        if isinstance(other, Bag):
            if other.npartitions != 1:
                raise NotImplementedError(
                    f"join: the other bag has {other.npartitions} partitions\n"
                    "hint: join with one of a single partition: other.repartition(npartitions=1)"
                )
            other = Item._over(_oxidask.bag_item(other))
        return self._pipe("join", _oxidask.bag_join, self, other, on_self, on_other)
