"""Methods of frames and columns that move rows between partitions, or look at where they are."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import emulate
from oxidask.dataframe._plan import Plan
from oxidask.dataframe.core import NOT_NATIVE, Collection, native_form, split_every_of

__all__ = ["RowsMoved"]


class Duplicates:
    """Rows without those that were there before; also as a tree."""

    def __init__(self, kwargs: dict[str, Any]) -> None:
        self.kwargs = kwargs

    def __dask_tokenize__(self) -> Any:
        return (Duplicates, self.kwargs)

    def chunk(self, rows: Any) -> Any:
        """The rows of one partition."""
        return rows.drop_duplicates(**self.kwargs)

    def join(self, parts: list[Any]) -> Any:
        """The rows of several."""
        return _rows.concat_rows(parts).drop_duplicates(**self.kwargs)

    def last(self, parts: list[Any]) -> Any:
        """The rows of all, numbered anew."""
        return self.join(parts).reset_index(drop=True)


def _least_and_greatest(rows: Any, col: Any) -> Any:
    values = rows.index if col is None else rows[col]
    return (values.min(), values.max()) if len(values) else None


def _within(rows: Any, bounds: Any) -> Any:
    low, high, last = bounds
    index = rows if isinstance(rows, pd.Index) else rows.index
    if len(index):
        below, above = index.min(), index.max()
        if below < low or above > high or (above == high and not last):
            raise RuntimeError(
                f"a partition breaks its divisions: rows from {below!r} to {above!r} lie outside of {low!r} to {high!r}"
            )
    return rows


class RowsMoved(Collection):
    """What depends on the partitions that rows lie in."""

    def repartition(
        self,
        divisions: Any = None,
        npartitions: Any = None,
        partition_size: Any = None,
        freq: Any = None,
        force: bool = False,
    ) -> Any:
        """The same rows in other partitions, in the same order.

        Parameters
        ----------
        divisions : sequence
            New divisions; old ones must be known.
        npartitions : int
            How many.
        partition_size : int or str
            About so many bytes each, such as ``"100MB"``; computes the sizes at once.
        freq : str or timedelta
            A partition for every so long a time.
        force : bool
            Whether new divisions may reach further than the old ones.

        Raises
        ------
        ValueError
            Unless exactly one of the first four is given.
        """
        from oxidask.dataframe._partitioning import repartition

        return repartition(self, divisions, npartitions, partition_size, freq, force)

    def shuffle(
        self,
        on: Any = None,
        ignore_index: bool = False,
        npartitions: int | None = None,
        shuffle_method: str | None = None,
        on_index: bool = False,
        force: bool = False,
        **options: Any,
    ) -> Any:
        """Rows with equal values of ``on`` brought into one partition, in n + n tasks.

        Parameters
        ----------
        on : label, list of them, Series or callable
        ignore_index : bool
            Number the rows of every partition anew.
        npartitions : int
            How many partitions afterwards; as many as before by default.
        on_index : bool
            By the index.
        shuffle_method, force
            Taken for compatibility; there is one way.
        """
        from oxidask.dataframe._shuffle import shuffle_frame

        del shuffle_method, force, options
        if on is None and not on_index:
            raise TypeError("Must shuffle on either columns, as on=, or the index, by on_index=True")
        if isinstance(on, pd.Series):
            on = on.tolist()
        if on is not None and on_index:
            raise TypeError("shuffle takes on= or on_index=True, not both")
        return shuffle_frame(self, None if on_index else on, npartitions, ignore_index)

    def drop_duplicates(
        self,
        subset: Any = None,
        split_every: Any = None,
        split_out: Any = True,
        shuffle_method: str | None = None,
        ignore_index: bool = False,
        keep: Any = "first",
    ) -> Any:
        """One row of each kind.

        Parameters
        ----------
        subset : label or list
            The columns that count; all by default.
        split_every : int
            How many results a task of the tree takes.
        split_out : int or bool
            More than one gives so many partitions, by hash of the rows.
        ignore_index : bool
            Number rows anew.
        keep : {"first", "last", False}
            Which of them stays.
        """
        from oxidask.dataframe._shuffle import by_hash

        del shuffle_method
        if self._kind == "series" and isinstance(subset, str) and subset in ("first", "last"):
            subset, keep = None, subset
        kwargs: dict[str, Any] = {"keep": keep}
        if self._kind == "frame":
            subset = [subset] if subset is not None and not isinstance(subset, (list, tuple, pd.Index)) else subset
            kwargs["subset"] = subset
            for label in subset or ():
                if label not in self._meta.columns:
                    raise KeyError(pd.Index([label]))
        n = split_out if isinstance(split_out, int) and not isinstance(split_out, bool) else 1
        split_every_of(split_every, self.npartitions)
        if keep not in ("first", "last", False):
            raise ValueError('keep must be either "first", "last" or False')
        if n >= 1 and split_every is None and not ignore_index:
            more = {key: value for key, value in kwargs.items() if value is not None}
            answer = native_form(self, "drop_duplicates", (), {**more, "split_out": n})
            if answer is not NOT_NATIVE:
                return answer
        step = Duplicates(kwargs)
        if keep is False or n > 1:
            keys = (list(subset) if subset else list(self._meta.columns)) if self._kind == "frame" else []
            made = new(by_hash(self, keys, n), self._meta, None)
            plan = made._plan.map("drop_duplicates", step.chunk)
            if ignore_index:
                plan = plan.map("reset_index", _rows.call, "reset_index", drop=True)
            return new(plan, emulate(step.chunk, self), None)
        return self._tree(
            "drop_duplicates", step.chunk, step.last if ignore_index else step.join, combine=step.join,
            split_every=split_every,
        )  # fmt: skip

    def compute_current_divisions(self, col: Any = None, set_divisions: bool = False) -> Any:
        """The least value of every partition and the greatest of the last; computes them at once.

        Parameters
        ----------
        col : label
            Of this column; of the index by default.
        set_divisions : bool
            Whether to answer the rows with these as divisions (of the index only).

        Returns
        -------
        tuple, or the same rows with known divisions
            Partitions without rows have none. A warning says if partitions overlap.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> [int(one) for one in dd.from_dict({"x": [1, 4, 6]}, npartitions=2).compute_current_divisions("x")]
        [1, 6, 6]
        """
        from oxidask import base

        if col is not None and set_divisions:
            raise NotImplementedError("set_divisions goes with the index\nhint: set_index(col, sorted=True)")
        ends = base.compute(*self._plan.map("ends", _least_and_greatest, col).delayed())
        there = [(number, end) for number, end in enumerate(ends) if end is not None]
        divisions = (*(end[0] for _, end in there), there[-1][1][1]) if there else (None, None)
        if any(a[1][1] >= b[1][0] for a, b in itertools.pairwise(there)):
            warnings.warn(
                "Partitions have overlapping values, so divisions alone do not say where a value lies\n"
                "hint: set_index without sorted=True brings them in order",
                UserWarning,
                stacklevel=2,
            )
        if not set_divisions:
            return divisions
        return new(self._plan.select([number for number, _ in there]), self._meta, divisions)

    def enforce_runtime_divisions(self) -> Any:
        """The same rows; computing them raises if they lie outside of the divisions.

        Raises
        ------
        ValueError
            If divisions are not known.
        """
        if not self.known_divisions:
            raise ValueError("there are no known divisions to check the rows against")
        n = self.npartitions
        bounds = [(self.divisions[i], self.divisions[i + 1], i == n - 1) for i in range(n)]
        return new(self._plan.map("check", _within, Plan.source(bounds)), self._meta, self.divisions)
