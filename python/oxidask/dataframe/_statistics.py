"""Statistics of frames and columns beyond sums and moments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import empty, emulate
from oxidask.dataframe._reductions import Whole, _is_plain, _numeric
from oxidask.dataframe._statistics_steps import (
    Counts,
    _count_hashed,
    _CountDistinct,
    _distinct,
    _distinct_columns,
    _distinct_values,
    _hashed,
    _join_columns,
    _join_distinct,
    _join_hashed,
    _Mode,
    _Where,
)
from oxidask.dataframe.core import NOT_NATIVE, elemwise, labelled, native_form, split_every_of

__all__ = ["FrameStatistics", "SeriesStatistics", "memory_usage"]


def memory_usage(self: Any, index: bool, deep: bool) -> Any:
    """Bytes, of every column or in all."""
    from oxidask.dataframe.rows import _memory, _sum_up

    def_meta = _memory(self._meta_nonempty, index, deep)
    call = _Memory(index, deep)
    return self._tree("memory_usage", call, _sum_up, meta=empty(def_meta) if isinstance(def_meta, pd.Series) else 0)


class _Memory:
    def __init__(self, index: bool, deep: bool) -> None:
        self.index, self.deep = index, deep

    def __dask_tokenize__(self) -> Any:
        return (_Memory, self.index, self.deep)

    def __call__(self, rows: Any) -> Any:
        from oxidask.dataframe.rows import _memory

        return _memory(rows, self.index, self.deep)


class _Pairs:
    """Sums for covariances of all pairs of columns, over rows where both are there."""

    def __init__(self, corr: bool, min_periods: int, ddof: int, scalar: bool) -> None:
        self.corr, self.min_periods, self.ddof, self.scalar = corr, min_periods, ddof, scalar

    def __dask_tokenize__(self) -> Any:
        return (_Pairs, tuple(vars(self).items()))

    def chunk(self, rows: pd.DataFrame) -> Any:
        values = rows.to_numpy(dtype="float64", na_value=np.nan)
        k = values.shape[1]
        there = ~np.isnan(values)
        n = there.T.astype("float64") @ there.astype("float64")
        mean = np.zeros((k, k))
        c = np.zeros((k, k))
        m2 = np.zeros((k, k))
        with np.errstate(all="ignore"):
            filled = np.where(there, values, 0.0)
            # mean[i, j] is the mean of column i over rows where column j is there too.
            mean = np.where(n > 0, (filled.T @ there) / np.where(n > 0, n, 1), 0.0)
            for i in range(k):
                away = np.where(there & there[:, [i]], values[:, [i]] - mean[i], 0.0)
                other = np.where(there & there[:, [i]], values - mean[:, i], 0.0)
                c[i] = (away * other).sum(axis=0)
                m2[i] = (away**2).sum(axis=0)
        return rows.columns, n, mean, c, m2

    def join(self, parts: list[Any]) -> Any:
        columns, n, mean, c, m2 = parts[0]
        for _, n2, mean2, c2, m22 in parts[1:]:
            total = n + n2
            safe = np.where(total > 0, total, 1)
            d = mean2 - mean
            weight = n * n2 / safe
            c = c + c2 + d * d.T * weight
            m2 = m2 + m22 + d**2 * weight
            mean = (n * mean + n2 * mean2) / safe
            n = total
        return columns, n, mean, c, m2

    def last(self, parts: list[Any]) -> Any:
        columns, n, _, c, m2 = self.join(parts)
        with np.errstate(all="ignore"):
            enough = n >= max(self.min_periods, 1)
            if self.corr:
                value = c / np.sqrt(m2 * m2.T)
                value = np.where(enough, np.clip(value, -1, 1), np.nan)
            else:
                value = np.where(enough & (n - self.ddof > 0), c / np.where(n > self.ddof, n - self.ddof, 1), np.nan)
        if self.scalar:
            return float(value[0, 1])
        return pd.DataFrame(value, index=columns, columns=columns)


def _side_by_side(left: pd.Series, right: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({0: left, 1: right})


def pairs(
    frame: Any, corr: bool, min_periods: Any, numeric_only: bool, split_every: Any, scalar: bool, ddof: int = 1
) -> Any:
    """Correlations or covariances of all pairs of columns."""
    if min_periods is None:
        min_periods = 1 if corr else 2
    if min_periods < 2 and not corr and not scalar:
        min_periods = 2
    if numeric_only:
        frame = frame.select_dtypes(include=["number", "bool"], exclude=["timedelta"])
    step = _Pairs(corr, int(min_periods), ddof, scalar)
    meta = emulate(_rows.call, frame, "corr" if corr else "cov")
    return frame._tree(
        "corr" if corr else "cov", step.chunk, step.last, combine=step.join,
        meta=1.0 if scalar else meta, split_every=split_every,
    )  # fmt: skip


def _numbers_of(frame: Any, numeric_only: bool) -> Any:
    """The columns of which quantiles are made."""
    return _numeric(frame._meta).columns if numeric_only else frame._meta.columns


class FrameStatistics:
    """Statistics of a frame."""

    def idxmin(
        self: Any, axis: Any = 0, skipna: bool = True, numeric_only: bool = False, split_every: Any = False
    ) -> Any:
        """The label of the smallest value of every column."""
        return _extreme_label(self, "idxmin", axis, skipna, numeric_only, split_every)

    def idxmax(
        self: Any, axis: Any = 0, skipna: bool = True, numeric_only: bool = False, split_every: Any = False
    ) -> Any:
        """The label of the largest value of every column."""
        return _extreme_label(self, "idxmax", axis, skipna, numeric_only, split_every)

    def nunique(self: Any, axis: Any = 0, dropna: bool = True, split_every: Any = False) -> Any:
        """How many distinct values every column has."""
        if axis in (1, "columns"):
            return self._each("nunique", axis=1, dropna=dropna)
        if dropna and not split_every:
            answer = native_form(self, "nunique", (), {})
            if answer is not NOT_NATIVE:
                return labelled(answer, self._meta.columns)
        meta = pd.Series(1, index=self._meta.columns).iloc[:0]
        step = _CountDistinct(dropna)
        made = self._tree(
            "nunique",
            _distinct_columns,
            step.of_columns,
            combine=_join_columns,
            meta=meta,
            split_every=split_every or None,
        )
        return labelled(made, self._meta.columns)

    def nunique_approx(self: Any, split_every: Any = None) -> Any:
        """How many distinct rows there are, by their hashes."""
        return self._tree("nunique", _hashed, _count_hashed, combine=_join_hashed, meta=1.0, split_every=split_every)

    def mode(self: Any, dropna: bool = True, split_every: Any = False, numeric_only: bool = False) -> Any:
        """The values that occur most often, in every column."""
        step = _Mode(dropna, numeric_only)
        meta = emulate(_rows.call, self, "mode", dropna=dropna, numeric_only=numeric_only)
        return self._tree("mode", step.chunk, step.last, combine=step.join, meta=meta, split_every=split_every)

    def quantile(self: Any, q: Any = 0.5, axis: Any = 0, numeric_only: bool = False, method: str = "default") -> Any:
        """The values below which a share of the values lies, exact.

        All values of a column come together in one task.
        """
        check_method(method)
        if axis in (1, "columns"):
            return self._each("quantile", q, axis=1, numeric_only=numeric_only)
        made = self._gathered("quantile", Whole("quantile", {"q": _list(q), "numeric_only": numeric_only}))
        return labelled(_with_shares(made, q), _numbers_of(self, numeric_only))

    def median(self: Any, axis: Any = 0, numeric_only: bool = False, method: str = "default") -> Any:
        """The exact median of every column."""
        check_method(method)
        if axis in (1, "columns"):
            return self._each("median", axis=1, numeric_only=numeric_only)
        answer = native_form(self, "median", (), {"numeric_only": numeric_only}) if _plain(self) else NOT_NATIVE
        if answer is NOT_NATIVE:
            answer = self._gathered("median", Whole("median", {"numeric_only": numeric_only}))
        return labelled(answer, _numbers_of(self, numeric_only))

    def median_approximate(self: Any, axis: Any = 0, method: str = "default", numeric_only: bool = False) -> Any:
        """The median; here it is exact."""
        return self.median(axis=axis, numeric_only=numeric_only, method=method)

    def corr(
        self: Any,
        method: str = "pearson",
        min_periods: Any = None,
        numeric_only: bool = False,
        split_every: Any = False,
    ) -> Any:
        """Correlations of all pairs of columns, from sums of the partitions."""
        if method != "pearson":
            raise NotImplementedError(f"method={method!r} is not offered; corr computes 'pearson'")
        return pairs(self, True, min_periods, numeric_only, split_every, False)

    def cov(self: Any, min_periods: Any = None, numeric_only: bool = False, split_every: Any = False) -> Any:
        """Covariances of all pairs of columns, from sums of the partitions."""
        return pairs(self, False, min_periods, numeric_only, split_every, False)

    def describe(
        self: Any, split_every: Any = False, percentiles: Any = None, percentiles_method: str = "default",
        include: Any = None, exclude: Any = None,
    ) -> Any:  # fmt: skip
        """Counts, means, spreads and exact quantiles of columns, as in pandas; lazily.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> df = dd.from_dict({"x": [1.0, 2.0, 4.0]}, npartitions=2)
        >>> df.describe().compute().loc["50%", "x"].item()
        2.0
        """
        check_method(percentiles_method)
        split_every_of(split_every, self.npartitions)
        kwargs = {"percentiles": percentiles, "include": include, "exclude": exclude}
        return self._gathered("describe", Whole("describe", kwargs))

    def value_counts(
        self: Any, subset: Any = None, sort: Any = True, ascending: bool = False, dropna: bool = True,
        normalize: bool = False, split_every: Any = None, split_out: Any = True,
    ) -> Any:  # fmt: skip
        """How often each row occurs."""
        del split_out
        rows = self if subset is None else self[list(subset)]
        step = Counts(dropna, {"sort": sort, "ascending": ascending, "normalize": normalize})
        return rows._tree("value_counts", step.chunk, step.last, combine=step.join, split_every=split_every)

    def memory_usage(self: Any, deep: bool = False, index: bool = True) -> Any:
        """Bytes of every column, and of the index."""
        return memory_usage(self, index, deep)

    def info(self: Any, buf: Any = None, verbose: bool = False, memory_usage: Any = False) -> None:
        """Prints columns, types and, if ``verbose``, how many values are there."""
        import sys

        from oxidask import base

        out = sys.stdout if buf is None else buf
        lines = ["<class 'oxidask.dataframe.DataFrame'>"]
        if not len(self._meta.columns):
            lines += ["Index: 0 entries", "Empty DataFrame"]
            out.write("\n".join(lines) + "\n")
            return
        wanted: list[Any] = []
        if verbose:
            wanted = [self.count(), self.index.min(), self.index.max(), self._length()]
        if memory_usage:
            wanted.append(self.memory_usage(deep=memory_usage == "deep"))
        results = list(base.compute(*wanted))
        if verbose:
            count, low, high, n = results[:4]
            lines.append(f"{type(self._meta.index).__name__}: {n} entries, {low} to {high}")
            lines.append(f"Data columns (total {len(self.columns)} columns):")
            table = pd.DataFrame({"Column": [str(c) for c in self.columns], "Non-Null Count": [f"{v} non-null" for v in count],
                                  "Dtype": [str(t) for t in self.dtypes]})  # fmt: skip
            lines.append(table.to_string())
        else:
            names = self.columns
            lines.append(f"Columns: {len(names)} entries, {names[0]} to {names[-1]}")
        kinds = self.dtypes.map(str).value_counts().sort_index()
        lines.append("dtypes: " + ", ".join(f"{kind}({number})" for kind, number in kinds.items()))
        if memory_usage:
            lines.append(f"memory usage: {float(results[-1].sum()):.1f} bytes")
        out.write("\n".join(lines) + "\n")


class SeriesStatistics:
    """Statistics of a column."""

    def idxmin(
        self: Any, axis: Any = 0, skipna: bool = True, numeric_only: bool = False, split_every: Any = False
    ) -> Any:
        """The label of the smallest value."""
        return _extreme_label(self, "idxmin", axis, skipna, False, split_every)

    def idxmax(
        self: Any, axis: Any = 0, skipna: bool = True, numeric_only: bool = False, split_every: Any = False
    ) -> Any:
        """The label of the largest value."""
        return _extreme_label(self, "idxmax", axis, skipna, False, split_every)

    def nunique(self: Any, dropna: bool = True, split_every: Any = False, split_out: Any = True) -> Any:
        """How many distinct values there are."""
        del split_out
        if dropna and not split_every:
            answer = native_form(self, "nunique", (), {})
            if answer is not NOT_NATIVE:
                return answer
        step = _CountDistinct(dropna)
        return self._tree(
            "nunique", _distinct, step.of_values, combine=_join_distinct, meta=1, split_every=split_every or None
        )

    def nunique_approx(self: Any, split_every: Any = None) -> Any:
        """How many distinct values there are, by their hashes."""
        return self._tree("nunique", _hashed, _count_hashed, combine=_join_hashed, meta=1.0, split_every=split_every)

    def unique(self: Any, split_every: Any = None, split_out: Any = True, shuffle_method: Any = None) -> Any:
        """The distinct values in order of first appearance, as a column.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> list(dd.from_dict({"x": ["b", "a", "b"]}, npartitions=2).x.unique().compute())
        ['b', 'a']
        """
        del split_out, shuffle_method
        meta = empty(_distinct_values([self._meta_nonempty]))
        return self._tree(
            "unique", _distinct, _distinct_values, combine=_join_distinct, meta=meta, split_every=split_every
        )

    def mode(self: Any, dropna: bool = True, split_every: Any = False) -> Any:
        """The values that occur most often."""
        step = _Mode(dropna, False)
        meta = emulate(_rows.call, self, "mode", dropna=dropna)
        return self._tree("mode", step.chunk, step.last_series, combine=step.join, meta=meta, split_every=split_every)

    def value_counts(
        self: Any, sort: Any = True, ascending: bool = False, dropna: bool = True, normalize: bool = False,
        split_every: Any = None, split_out: Any = True,
    ) -> Any:  # fmt: skip
        """How often each value occurs.

        Parameters
        ----------
        sort : bool
            Order by how often, values of equal counts by first appearance.
        ascending : bool
        dropna : bool
            Leave out missing values.
        normalize : bool
            Answer shares of the total instead of counts.
        split_every : int
            How many results a task of the tree takes.
        split_out : ignored
            The answer is one partition.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": ["b", "a", "b"]}, npartitions=2).x.value_counts().compute().to_dict()
        {'b': 2, 'a': 1}
        """
        del split_out
        split_every_of(split_every, self.npartitions)
        sort = True if sort is None else sort
        if split_every is None:
            answer = native_form(self, "value_counts", (sort, ascending, dropna, normalize), {})
            if answer is not NOT_NATIVE:
                return answer
        step = Counts(dropna, {"sort": sort, "ascending": ascending, "normalize": normalize})
        return self._tree("value_counts", step.chunk, step.last, combine=step.join, split_every=split_every)

    def quantile(self: Any, q: Any = 0.5, method: str = "default") -> Any:
        """The value below which a share of the values lies, exact and interpolated linearly.

        A list of shares gives a column. All values come together in one task.
        """
        check_method(method)
        if pd.api.types.is_scalar(q) and _plain(self):
            answer = native_form(self, "quantile", (q,), {})
            if answer is not NOT_NATIVE:
                return answer
        return _with_shares(self._gathered("quantile", Whole("quantile", {"q": _list(q)})), q)

    def median(self: Any, method: str = "default") -> Any:
        """The exact median."""
        check_method(method)
        answer = native_form(self, "median", (), {}) if _plain(self) else NOT_NATIVE
        return answer if answer is not NOT_NATIVE else self._gathered("median", Whole("median", {}))

    def median_approximate(self: Any, method: str = "default") -> Any:
        """The median; here it is exact."""
        return self.median(method)

    def corr(self: Any, other: Any, method: str = "pearson", min_periods: Any = None, split_every: Any = False) -> Any:
        """The correlation with another column."""
        if method != "pearson":
            raise NotImplementedError(f"method={method!r} is not offered; corr computes 'pearson'")
        if not hasattr(other, "_meta") or getattr(other, "_kind", "") != "series":
            raise TypeError("other must be a lazy Series")
        frame = elemwise(_side_by_side, self, other)
        return pairs(frame, True, min_periods, False, split_every, True)

    def cov(self: Any, other: Any, min_periods: Any = None, split_every: Any = False) -> Any:
        """The covariance with another column."""
        if not hasattr(other, "_meta") or getattr(other, "_kind", "") != "series":
            raise TypeError("other must be a lazy Series")
        frame = elemwise(_side_by_side, self, other)
        return pairs(frame, False, min_periods, False, split_every, True)

    def autocorr(self: Any, lag: int = 1, split_every: Any = False) -> Any:
        """The correlation with itself, so many rows later."""
        if not isinstance(lag, (int, np.integer)):
            raise TypeError("lag must be an integer")
        return self.corr(self if lag == 0 else self.shift(lag), split_every=split_every)

    def describe(
        self: Any, split_every: Any = False, percentiles: Any = None, percentiles_method: str = "default",
        include: Any = None, exclude: Any = None,
    ) -> Any:  # fmt: skip
        """Count, mean, spread and exact quantiles, as in pandas; lazily.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": [1.0, 2.0, 4.0]}, npartitions=2).x.describe().compute()["50%"].item()
        2.0
        """
        check_method(percentiles_method)
        split_every_of(split_every, self.npartitions)
        kwargs = {"percentiles": percentiles, "include": include, "exclude": exclude}
        return self._gathered("describe", Whole("describe", kwargs))

    def memory_usage(self: Any, deep: bool = False, index: bool = True) -> Any:
        """Bytes of the values, and of the index."""
        return memory_usage(self, index, deep)


def check_method(method: str) -> None:
    """Raises ``ValueError`` unless a method of quantiles is known; all are exact here."""
    if method not in ("default", "dask", "tdigest"):
        raise ValueError(f"method is 'default', 'dask' or 'tdigest', not {method!r}")


def _with_shares(made: Any, q: Any) -> Any:
    """Quantiles with their shares as divisions."""
    if pd.api.types.is_scalar(q) or not len(q):
        return made
    return new(made._plan, made._meta, (float(min(q)), float(max(q))))


def _list(q: Any) -> Any:
    return q if pd.api.types.is_scalar(q) else [float(one) for one in q]


def _plain(self: Any) -> bool:
    metas = self._meta.dtypes if self._kind == "frame" else [self._meta.dtype]
    return all(_is_plain(dtype) for dtype in metas)


def _extreme_label(self: Any, name: str, axis: Any, skipna: bool, numeric_only: bool, split_every: Any) -> Any:
    if axis in (1, "columns") and self._kind == "frame":
        return self._each(name, axis=1, skipna=skipna, numeric_only=numeric_only)
    if axis not in (0, "index", None):
        raise ValueError(f"No axis named {axis} for object type {type(self).__name__}")
    kwargs = {"skipna": skipna}
    if self._kind == "frame":
        kwargs["numeric_only"] = numeric_only
    meta = getattr(self._meta_nonempty, name)(**kwargs)
    meta = meta.iloc[:0] if isinstance(meta, pd.Series) else meta
    every = split_every_of(split_every, self.npartitions)
    step = _Where(name, skipna, numeric_only, self._kind)
    plan = self._plan.map(f"{name}-chunk", step.chunk).reduce(name, step.join, step.last, every)
    return new(plan, meta, None)
