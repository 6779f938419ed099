"""Reductions: a step on every partition, a tree of joins, and an end.

Sums, extremes and counts keep one row for every partition, so that pandas itself
decides types; spreads keep moments, which join without loss of precision. What
needs all values at once (medians, quantiles) takes them to one task, column by
column, and is exact.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._methods import finished
from oxidask.dataframe.core import NOT_NATIVE, Collection, elemwise, labelled, native_form, split_every_of

__all__ = ["add_reductions"]

SIMPLE = ["sum", "prod", "min", "max", "any", "all", "count"]
SPREADS = ["mean", "var", "std", "sem", "skew", "kurtosis"]


def _as_frame(rows: Any) -> pd.DataFrame:
    return rows if isinstance(rows, pd.DataFrame) else rows.to_frame("x" if rows.name is None else rows.name)


def _numeric(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.select_dtypes(include=["number", "bool"], exclude=["timedelta"])


class Simple:
    """One row with the reduction of every column; joined by the same reduction."""

    def __init__(self, name: str, skipna: bool, numeric_only: bool, min_count: int, shape: str) -> None:
        self.name, self.skipna, self.numeric_only = name, skipna, numeric_only
        self.min_count, self.shape = min_count, shape

    def __dask_tokenize__(self) -> Any:
        return (Simple, tuple(sorted(vars(self).items())))

    def one(self, column: Any, name: str) -> Any:
        """The reduction of a column, or of the reductions of its partitions."""
        if name == "count":
            return column.count()
        if isinstance(column, pd.Index):
            return getattr(column, name)(skipna=self.skipna) if name in ("min", "max") else getattr(column, name)()
        return getattr(column, name)(skipna=self.skipna)

    def chunk(self, rows: Any) -> Any:
        """The rows of one partition, as one row; none if extremes of nothing are asked for."""
        if self.shape == "index":
            rows = rows.to_frame(index=False, name="x")
        frame = _as_frame(rows)
        if self.numeric_only:
            frame = _numeric(frame)
        if not len(frame) and self.name in ("min", "max"):
            return frame.iloc[:0].reset_index(drop=True)
        made = {
            i: _held(self.one(frame.iloc[:, i], self.name), frame.iloc[:, i], self.name) for i in range(frame.shape[1])
        }
        answer = pd.DataFrame(made, index=[0])
        answer.columns = frame.columns
        if self.min_count > 0:
            counts = frame.count().to_frame().T.reset_index(drop=True)
            return (answer, counts)
        return answer

    def joined(self, parts: list[Any]) -> pd.DataFrame:
        """One row for every partition."""
        return _rows.concat_rows(parts, ignore_index=True)

    def combine(self, parts: list[Any]) -> Any:
        """One row of several."""
        if self.min_count > 0:
            return (
                self._again(self.joined([a for a, _ in parts])),
                self.joined([b for _, b in parts]).sum().to_frame().T,
            )
        return self._again(self.joined(parts))

    def _again(self, frame: pd.DataFrame) -> pd.DataFrame:
        again = "sum" if self.name == "count" else self.name
        if not len(frame) and again in ("min", "max"):
            return frame
        made = {i: _held(self.one(frame.iloc[:, i], again), frame.iloc[:, i], again) for i in range(frame.shape[1])}
        answer = pd.DataFrame(made, index=[0])
        answer.columns = frame.columns
        return answer

    def aggregate(self, parts: list[Any]) -> Any:
        """The answer as pandas gives it."""
        again = "sum" if self.name == "count" else self.name
        counts = None
        if self.min_count > 0:
            counts = self.joined([b for _, b in parts]).sum()
            parts = [a for a, _ in parts]
        frame = self.joined(parts)
        if self.shape == "frame":
            answer = frame.sum() if again == "count" else getattr(frame, again)(skipna=self.skipna)
            if self.name == "count":
                answer = answer.astype("int64")
            return answer if counts is None else answer.where(counts >= self.min_count)
        value = self.one(frame.iloc[:, 0], again)
        if counts is not None and counts.iloc[0] < self.min_count:
            return np.nan
        return value


def _held(value: Any, column: Any, name: str) -> Any:
    """A value as a column of one row, of the same type where that can hold it."""
    if name in ("min", "max"):
        try:
            return pd.Series([value], dtype=column.dtype)
        except (TypeError, ValueError):
            pass
    if isinstance(value, (str, list)) or value is None:
        return pd.Series([value], dtype=column.dtype if isinstance(value, str) else object)
    if value is pd.NA:
        return pd.Series([value], dtype=column.dtype)
    made = pd.Series([value])
    return made if name == "count" else masked_like(made, column.dtype)


#: The nullable types, by the kind of values that they hold.
_MASKED = {"i": "Int64", "u": "UInt64", "f": "Float64", "b": "boolean"}


def masked_like(made: pd.Series, dtype: Any) -> pd.Series:
    """Values that were made of a column of this type: nullable if that is, as pandas has it."""
    if not isinstance(dtype, pd.core.dtypes.dtypes.BaseMaskedDtype) or not isinstance(made.dtype, np.dtype):
        return made
    return made.astype(_MASKED[made.dtype.kind]) if made.dtype.kind in _MASKED else made


class Moments:
    """Counts, means and powers of differences from them, up to the fourth."""

    def __init__(self, name: str, skipna: bool, numeric_only: bool, ddof: int, shape: str) -> None:
        self.name, self.skipna, self.numeric_only, self.ddof, self.shape = name, skipna, numeric_only, ddof, shape

    def __dask_tokenize__(self) -> Any:
        return (Moments, tuple(sorted(vars(self).items())))

    def chunk(self, rows: Any) -> Any:
        """Moments of the columns of one partition, and their names."""
        frame = _as_frame(rows)
        if self.numeric_only:
            frame = _numeric(frame)
        values = frame.to_numpy(dtype="float64", na_value=np.nan)
        with np.errstate(all="ignore"):
            n = (~np.isnan(values)).sum(axis=0).astype("float64")
            if not self.skipna:
                n = np.full(values.shape[1], float(len(values)))
            total = np.nansum(values, axis=0) if self.skipna else values.sum(axis=0)
            mean = np.where(n > 0, total / np.where(n > 0, n, 1), 0.0)
            away = values - mean
            if self.skipna:
                away = np.where(np.isnan(values), 0.0, away)
            order = {"mean": 1, "var": 2, "std": 2, "sem": 2, "skew": 3, "kurtosis": 4}[self.name]
            powers = [(away**k).sum(axis=0) for k in range(2, order + 1)]
        return (frame.columns, n, mean, *powers)

    def combine(self, parts: list[Any]) -> Any:
        """Moments of all together."""
        whole = parts[0]
        for part in parts[1:]:
            whole = _join_moments(whole, part)
        return whole

    def aggregate(self, parts: list[Any]) -> Any:
        """The answer, a row for every column."""
        columns, n, mean, *powers = self.combine(parts)
        with np.errstate(all="ignore"):
            values = _from_moments(self.name, self.ddof, n, mean, powers)
        return pd.Series(values, index=columns) if self.shape == "frame" else values[0]


def _join_moments(a: Any, b: Any) -> Any:
    columns, na, ma, *pa = a
    _, nb, mb, *pb = b
    n = na + nb
    with np.errstate(all="ignore"):
        safe = np.where(n > 0, n, 1)
        d = mb - ma
        mean = np.where(na == 0, mb, np.where(nb == 0, ma, (na * ma + nb * mb) / safe))
        out = []
        if pa:
            out.append(pa[0] + pb[0] + d**2 * na * nb / safe)
        if len(pa) > 1:
            out.append(pa[1] + pb[1] + d**3 * na * nb * (na - nb) / safe**2 + 3 * d * (na * pb[0] - nb * pa[0]) / safe)
        if len(pa) > 2:
            out.append(
                pa[2]
                + pb[2]
                + d**4 * na * nb * (na**2 - na * nb + nb**2) / safe**3
                + 6 * d**2 * (na**2 * pb[0] + nb**2 * pa[0]) / safe**2
                + 4 * d * (na * pb[1] - nb * pa[1]) / safe
            )
    return (columns, n, mean, *out)


def _from_moments(name: str, ddof: int, n: Any, mean: Any, powers: list[Any]) -> Any:
    if name == "mean":
        return np.where(n > 0, mean, np.nan)
    if name in ("var", "std", "sem"):
        var = np.where(n - ddof > 0, powers[0] / np.where(n - ddof > 0, n - ddof, 1), np.nan)
        return var if name == "var" else np.sqrt(var) if name == "std" else np.sqrt(var / n)
    m2, m3 = powers[0], powers[1]
    if name == "skew":
        value = n * np.sqrt(n - 1) / (n - 2) * m3 / m2**1.5
        return np.where(n < 3, np.nan, np.where(m2 == 0, 0.0, value))
    value = n * (n + 1) * (n - 1) * powers[2] / ((n - 2) * (n - 3) * m2**2) - 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))
    return np.where(n < 4, np.nan, np.where(m2 == 0, 0.0, value))


# -- methods ------------------------------------------------------------------------


def _is_plain(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in "iufb"


def reduce_rows(
    self: Any, name: str, axis: Any, skipna: bool, numeric_only: bool, split_every: Any, **more: Any
) -> Any:
    """A reduction of a frame, a column or an index."""
    if axis in (1, "columns") and self._kind == "frame":
        own = {} if name in ("any", "all") else {"numeric_only": numeric_only}
        own = own if name == "count" else {**own, "skipna": skipna}
        return elemwise(_rows.call, self, name, axis=1, **own, **more)
    if axis not in (None, 0, "index", 1, "columns"):
        raise ValueError(f"No axis named {axis} for object type {type(self).__name__}")
    if axis in (1, "columns"):
        raise ValueError(f"No axis named {axis} for object type Series")
    numeric_only = bool(numeric_only)
    if axis is None and self._kind == "frame" and name in ("sum", "prod", "min", "max", "mean", "any", "all"):
        return _of_all(self, name, skipna, numeric_only, split_every, more)
    args = {"skipna": skipna, "numeric_only": numeric_only}
    # Pandas' own call on made-up rows decides the meta, and raises what is wrong.
    meta, labels = _reduced_meta(self, name, args, more)
    ddof = int(more.get("ddof", 1))
    plain = _answers_natively(self, name, skipna, more)
    if not plain and numeric_only and self._kind == "frame" and self._native is not None:
        numbers = [label for label, dtype in self._meta.dtypes.items() if _is_plain(dtype)]
        others = self._meta.select_dtypes(exclude=["number", "bool"]).columns
        if numbers and len(numbers) + len(others) == len(self._meta.columns):
            return reduce_rows(self[numbers], name, axis, skipna, False, split_every, **more)
    if plain and split_every in (None, False):
        kwargs: dict[str, Any] = {"numeric_only": numeric_only} if self._kind == "frame" else {}
        if name in ("var", "std"):
            kwargs["ddof"] = ddof
        answer = native_form(self, name, (), kwargs)
        if answer is not NOT_NATIVE:
            return labelled(answer, labels)
    made = _reduced(self, name, skipna, numeric_only, split_every, more, meta)
    return labelled(made, labels)


def _of_all(self: Any, name: str, skipna: bool, numeric_only: bool, split_every: Any, more: dict[str, Any]) -> Any:
    """The reduction of all values of a frame, which ``axis=None`` asks for."""
    if name == "mean":
        total = _of_all(self, "sum", skipna, numeric_only, split_every, {"min_count": 0})
        return total / reduce_rows(self, "count", 0, True, numeric_only, split_every).sum()
    dtypes = [dtype for dtype in self._meta.dtypes if getattr(dtype, "kind", "O") in "iuf"]
    if name in ("sum", "prod") and len(dtypes) == len(self._meta.columns) and len(set(dtypes)) > 1:
        # All values have one type, as pandas sees them: whole numbers beside floats do not overflow.
        self = self.astype(np.result_type(*dtypes))
    columns = reduce_rows(self, name, 0, skipna, numeric_only, split_every, **more)
    return reduce_rows(columns, name, 0, skipna, False, False, **more)


def _answers_natively(self: Any, name: str, skipna: bool, more: dict[str, Any]) -> bool:
    """Whether the engine's answer is pandas' for these types and arguments."""
    if self._native is None or not skipna or more.get("min_count", 0) > 0 or name == "prod":
        return False
    metas = self._meta.dtypes if self._kind == "frame" else [self._meta.dtype]
    if name in ("skew", "kurtosis", "sem", "any", "all"):
        return name in ("any", "all") and self._kind == "series" and all(_is_plain(dtype) for dtype in metas)
    return name == "count" or all(_is_plain(dtype) for dtype in metas) or name in ("min", "max")


def _reduced_meta(self: Any, name: str, args: dict[str, Any], more: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
    """The meta of a reduction, and the columns of a frame that label its rows."""
    sample = self._meta_nonempty
    if self._kind == "index":
        return (getattr(sample, name)() if name != "count" else 1), ()
    kwargs = {**args, **more}
    if self._kind == "series":
        kwargs.pop("numeric_only")
    if name == "count":
        kwargs = {"numeric_only": args["numeric_only"]} if self._kind == "frame" else {}
    if name in ("any", "all"):
        kwargs.pop("numeric_only", None)
    answer = getattr(sample, name)(**kwargs)
    return (answer.iloc[:0], tuple(answer.index)) if isinstance(answer, pd.Series) else (answer, ())


def _reduced(
    self: Any, name: str, skipna: bool, numeric_only: bool, split_every: Any, more: dict[str, Any], meta: Any
) -> Any:
    if name in SIMPLE:
        step: Any = Simple(name, skipna, numeric_only, int(more.get("min_count", 0)), self._kind)
    else:
        metas = _numeric(self._meta).dtypes if numeric_only and self._kind == "frame" else None
        if metas is None:
            metas = self._meta.dtypes if self._kind == "frame" else [self._meta.dtype]
        if not all(_is_plain(dtype) for dtype in metas):
            split_every_of(split_every, self.npartitions)
            kwargs = {"skipna": skipna, **more}
            if self._kind == "frame":
                kwargs["numeric_only"] = numeric_only
            return self._gathered(name, Whole(name, kwargs), meta=meta)
        step = Moments(name, skipna, numeric_only, int(more.get("ddof", 1)), self._kind)
    every = split_every_of(split_every, self.npartitions)
    plan = self._plan.map(f"{name}-chunk", step.chunk).reduce(name, step.combine, step.aggregate, every)
    from oxidask.dataframe._collection import new

    return new(plan, meta, None)


class Whole:
    """A method of pandas on all rows."""

    def __init__(self, name: str, kwargs: dict[str, Any], args: tuple[Any, ...] = ()) -> None:
        self.name, self.kwargs, self.args = name, kwargs, args

    def __dask_tokenize__(self) -> Any:
        return (Whole, self.name, self.args, self.kwargs)

    def __call__(self, rows: Any) -> Any:
        return getattr(rows, self.name)(*self.args, **self.kwargs)


_DOCS = {
    "sum": "The sum of the values that are there.",
    "prod": "Their product.",
    "min": "The smallest.",
    "max": "The largest.",
    "any": "Whether any holds.",
    "all": "Whether all hold.",
    "count": "How many values are there.",
    "mean": "Their mean.",
    "var": "Their variance, joined from moments of the partitions.",
    "std": "Their standard deviation.",
    "sem": "The standard error of their mean.",
    "skew": "Their skewness, without bias, as in pandas.",
    "kurtosis": "Their excess kurtosis, without bias, as in pandas.",
}

_MORE: dict[str, list[tuple[str, Any]]] = {
    "sum": [("min_count", 0)],
    "prod": [("min_count", 0)],
    "var": [("ddof", 1)],
    "std": [("ddof", 1)],
    "sem": [("ddof", 1)],
}


def _method(name: str, kind: str) -> Any:
    extra = dict(_MORE.get(name, []))

    def method(self: Collection, *args: Any, **kwargs: Any) -> Any:
        # NumPy's functions of the same name pass these along.
        for name_of_numpy in ("out", "dtype", "keepdims"):
            kwargs.pop(name_of_numpy, None)
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        given = dict(bound.arguments)
        given.pop("self")
        more = {key: given[key] for key in extra}
        return reduce_rows(
            self, name, given["axis"], given["skipna"], given["numeric_only"], given["split_every"], **more
        )

    kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter("self", kinds)]
    names = [("axis", 0), ("skipna", True), *extra.items(), ("numeric_only", False), ("split_every", False)]
    parameters += [inspect.Parameter(one, kinds, default=default) for one, default in names]
    signature = inspect.Signature(parameters)
    return method, signature


def add_reductions(owner: type, kind: str) -> None:
    """Gives a class the reductions."""
    names = ["min", "max", "count"] if kind == "index" else [*SIMPLE, *SPREADS]
    for name in names:
        method, signature = _method(name, kind)
        doc = (
            f"{_DOCS[name]}\n\n"
            "Parameters\n----------\naxis : {0, 1}\n    1 goes along rows, in every partition by itself; ``None`` takes all values together.\n"
            "skipna : bool\n    Leave out missing values; else one makes the answer missing.\n"
            "numeric_only : bool\n    Leave out columns that hold no numbers.\n"
            "split_every : int\n    How many results a task of the tree takes; 8 by default.\n"
        )
        finished(method, owner, name, doc, signature)
    if kind != "index":
        owner.product = owner.prod  # type: ignore[attr-defined]
        owner.kurt = owner.kurtosis  # type: ignore[attr-defined]
