"""Methods of frames that bring rows together, or call functions of them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._meta import make_meta
from oxidask.dataframe.core import elemwise, own_meta, warn_guessed
from oxidask.dataframe.rows import Rows

__all__ = ["FrameJoined"]


def _apply_rows(rows: pd.DataFrame, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return rows.apply(func, axis=1, args=args, **kwargs)


class FrameJoined(Rows):
    """What meets other frames, groups, and functions of rows."""

    def merge(
        self,
        right: Any,
        how: str = "inner",
        on: Any = None,
        left_on: Any = None,
        right_on: Any = None,
        left_index: bool = False,
        right_index: bool = False,
        suffixes: tuple[str, str] = ("_x", "_y"),
        indicator: Any = False,
        shuffle_method: str | None = None,
        npartitions: int | None = None,
        broadcast: Any = None,
    ) -> Any:
        """Rows of both frames with equal keys, side by side; see ``oxidask.dataframe.merge``.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> a = dd.from_dict({"k": [1, 2], "x": [3, 4]}, npartitions=2)
        >>> b = dd.from_dict({"k": [2, 5], "y": [6, 7]}, npartitions=1)
        >>> a.merge(b, on="k").compute().values.tolist()
        [[2, 4, 6]]
        """
        from oxidask.dataframe.merging import merge

        return merge(
            self, right, how, on, left_on, right_on, left_index, right_index, suffixes, indicator, shuffle_method,
            npartitions, broadcast,
        )  # fmt: skip

    def join(
        self,
        other: Any,
        on: Any = None,
        how: str = "left",
        lsuffix: str = "",
        rsuffix: str = "",
        shuffle_method: str | None = None,
        npartitions: int | None = None,
    ) -> Any:
        """Columns of other frames, by their index.

        Parameters
        ----------
        other : DataFrame, Series, or list of them
        on : label or list
            Columns of this frame that are matched with the other's index; its index by default.
        how : {"left", "right", "inner", "outer"}
        lsuffix, rsuffix : str
            What tells columns of the same name apart.
        shuffle_method, npartitions
            As for ``merge``.
        """
        from oxidask.dataframe.merging import join

        return join(self, other, on, how, lsuffix, rsuffix, shuffle_method, npartitions)

    def groupby(
        self,
        by: Any,
        group_keys: bool = True,
        sort: Any = None,
        observed: Any = None,
        dropna: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Groups of rows with equal keys.

        Parameters
        ----------
        by : label, function of the index, Series of the same rows, or a list of them
        group_keys : bool
            Whether ``apply`` puts keys into the index.
        sort : bool
            Order groups by their keys (the default), else by first appearance.
        observed : bool
            Leave out categories that do not occur.
        dropna : bool
            Leave out groups with a missing key.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> df = dd.from_dict({"k": ["a", "b", "a"], "x": [1, 2, 3]}, npartitions=2)
        >>> df.groupby("k").x.sum().compute().to_dict()
        {'a': 4, 'b': 2}
        """
        from oxidask.dataframe.groupby import DataFrameGroupBy

        return DataFrameGroupBy(self, by, group_keys=group_keys, sort=sort, observed=observed, dropna=dropna, **kwargs)

    def apply(self, function: Any, axis: Any = 0, args: tuple[Any, ...] = (), meta: Any = None, **kwargs: Any) -> Any:
        """A Python function on every row, through pandas.

        Parameters
        ----------
        function : callable
        axis : {1, "columns"}
            Rows; functions of whole columns are not offered.
        args, **kwargs
            Further arguments of the function.
        meta : optional
            What it answers, if a call with made-up rows does not show it.

        Raises
        ------
        NotImplementedError
            For ``axis=0``.
        """
        if axis not in (1, "columns"):
            raise NotImplementedError(
                f"apply(axis={axis!r}) is not offered: it goes through rows, with axis=1\n"
                "hint: map_partitions sees whole partitions"
            )
        if meta is None:
            warn_guessed("apply")
            meta = own_meta(_apply_rows, "apply", (self, function, args, kwargs), {})
            call: Any = _apply_rows
        else:
            meta = make_meta(meta, index=self._meta.index)
            call = _rows.Enforced(_apply_rows, meta)
        label = getattr(function, "__name__", "apply")
        return elemwise(call, self, function, args, kwargs, _label=label, _meta=meta)

    def categorize(self, columns: Any = None, index: Any = None, split_every: Any = None) -> Any:
        """With text and unknown categories of columns as known ones; computes them at once.

        Parameters
        ----------
        columns : list
            Which; all of text or unknown categories by default.
        index : bool
            Whether the index too; if its categories are unknown by default.
        split_every : int
            How many results a task of the tree takes.
        """
        from oxidask.dataframe.categorical import categorize

        return categorize(self, columns, index, split_every)

    def pivot(self, *, columns: Any, index: Any, values: Any) -> Any:
        """A table of values as they are; see ``oxidask.dataframe.pivot``."""
        from oxidask.dataframe.functions import pivot

        return pivot(self, columns, index, values)

    def pivot_table(self, index: Any, columns: Any, values: Any, aggfunc: Any = "mean") -> Any:
        """A table of aggregated values; see ``oxidask.dataframe.pivot_table``."""
        from oxidask.dataframe.functions import pivot_table

        return pivot_table(self, index, columns, values, aggfunc)
