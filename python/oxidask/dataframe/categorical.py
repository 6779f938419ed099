"""Categories: known ones are in the meta, others only in the rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import emulate
from oxidask.dataframe.core import elemwise

__all__ = ["CategoricalAccessor", "categorize", "clear_known", "converted_meta", "is_known"]

#: The one category of a meta whose categories are not known.
UNKNOWN = "__UNKNOWN_CATEGORIES__"


def is_known(dtype: Any) -> bool:
    """Whether the categories of a type are known."""
    return UNKNOWN not in dtype.categories


def _unknown(dtype: Any) -> pd.CategoricalDtype:
    return pd.CategoricalDtype([UNKNOWN], ordered=bool(dtype.ordered))


def clear_known(meta: Any, columns: Any = None, dtype_index: bool = False) -> Any:
    """A meta in which categories (of these columns) are not known."""
    if isinstance(meta, pd.DataFrame):
        made = meta.copy(deep=False)
        for position, name in enumerate(meta.columns):
            dtype = meta.dtypes.iloc[position]
            if isinstance(dtype, pd.CategoricalDtype) and (columns is None or name in columns):
                made.isetitem(position, pd.Series([], dtype=_unknown(dtype), index=meta.index))
        if dtype_index and isinstance(meta.index.dtype, pd.CategoricalDtype):
            made.index = pd.CategoricalIndex([], dtype=_unknown(meta.index.dtype), name=meta.index.name)
        return made
    if isinstance(getattr(meta, "dtype", None), pd.CategoricalDtype):
        if isinstance(meta, pd.Index):
            return pd.CategoricalIndex([], dtype=_unknown(meta.dtype), name=meta.name)
        return pd.Series([], dtype=_unknown(meta.dtype), index=meta.index, name=meta.name)
    return meta


def _is_open(dtype: Any) -> bool:
    if isinstance(dtype, pd.CategoricalDtype):
        return dtype.categories is None
    return isinstance(dtype, str) and dtype == "category"


def converted_meta(meta: Any, dtypes: Any) -> Any:
    """The meta of ``astype``: categories that were not given are not known."""
    made = meta.astype(dtypes)
    if isinstance(dtypes, Mapping):
        names = [name for name, dtype in dtypes.items() if _is_open(dtype)]
        names = [name for name in names if not _was_known(meta, name)]
        return clear_known(made, names) if isinstance(made, pd.DataFrame) and names else made
    if _is_open(dtypes):
        if isinstance(made, pd.DataFrame):
            return clear_known(made, [name for name in made.columns if not _was_known(meta, name)])
        return made if isinstance(meta.dtype, pd.CategoricalDtype) and is_known(meta.dtype) else clear_known(made)
    return made


def _was_known(meta: Any, name: Any) -> bool:
    dtype = meta[name].dtype if isinstance(meta, pd.DataFrame) else meta.dtype
    return isinstance(dtype, pd.CategoricalDtype) and is_known(dtype)


class _Seen:
    """The categories that occur in a partition, or in several."""

    def __init__(self, columns: list[Any], index: bool) -> None:
        self.columns, self.index = columns, index

    def __dask_tokenize__(self) -> Any:
        return (_Seen, self.columns, self.index)

    def chunk(self, rows: Any) -> Any:
        if isinstance(rows, pd.DataFrame):
            seen = {name: _seen(rows[name]) for name in self.columns}
        else:
            seen = {name: _seen(rows) for name in self.columns}
        return seen, _seen(rows.index.to_series()) if self.index else None

    def join(self, parts: list[Any]) -> Any:
        seen = {name: _joined([part[0][name] for part in parts]) for name in self.columns}
        return seen, _joined([part[1] for part in parts]) if self.index else None


def _seen(column: pd.Series) -> Any:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.categories
    return pd.Index(column.dropna().drop_duplicates())


def _joined(parts: list[pd.Index]) -> pd.Index:
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.append(part[~part.isin(whole)])
    return whole


def _with_categories(rows: Any, categories: Any, index: Any) -> Any:
    rows = rows.copy(deep=False)
    if isinstance(rows, pd.DataFrame):
        for name, values in categories.items():
            rows[name] = _set(rows[name], values)
    else:
        for values in categories.values():
            rows = _set(rows, values)
    if index is not None:
        dtype = pd.CategoricalDtype(index, ordered=getattr(rows.index.dtype, "ordered", False))
        rows.index = pd.CategoricalIndex(rows.index, dtype=dtype, name=rows.index.name)
    return rows


def _set(column: pd.Series, values: Any) -> pd.Series:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.set_categories(values)
    return column.astype(pd.CategoricalDtype(values))


def categorize(df: Any, columns: Any = None, index: Any = None, split_every: Any = None) -> Any:
    """The frame with columns as categories that are known; computes them at once."""
    meta = df._meta
    if columns is None:
        kinds = ("category", "object", "string", "str")
        columns = [n for n in meta.columns if str(meta[n].dtype) in kinds or isinstance(meta[n].dtype, pd.StringDtype)]
        columns = [
            n for n in columns if not (isinstance(meta[n].dtype, pd.CategoricalDtype) and is_known(meta[n].dtype))
        ]
    elif pd.api.types.is_scalar(columns):
        columns = [columns]
    columns = [n for n in columns if not (isinstance(meta[n].dtype, pd.CategoricalDtype) and is_known(meta[n].dtype))]
    own = meta.index
    if index is None:
        index = isinstance(own.dtype, pd.CategoricalDtype) and not is_known(own.dtype)
    if isinstance(own, pd.CategoricalIndex) and is_known(own.dtype):
        index = False
    if not columns and not index:
        return df
    step = _Seen(list(columns), bool(index))
    seen = df._tree("categories", step.chunk, step.join, meta={}, split_every=split_every)
    categories, labels = seen.compute()
    categories = {name: _in_order(values) for name, values in categories.items()}
    labels = None if labels is None else _in_order(labels)
    made = emulate(_with_categories, df, categories, labels)
    plan = df._plan.map("categorize", _with_categories, categories, labels)
    return new(plan, made, df.divisions)


def _in_order(values: pd.Index) -> pd.Index:
    try:
        return values.sort_values()
    except TypeError:
        return values


class CategoricalAccessor:
    """Functions of categories.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> x = dd.from_dict({"x": ["a", "b", "a"]}, npartitions=2).x.astype("category")
    >>> x.cat.known, list(x.cat.as_known().cat.categories)
    (False, ['a', 'b'])
    """

    def __init__(self, series: Any) -> None:
        if not isinstance(series._meta.dtype, pd.CategoricalDtype):
            raise AttributeError("Can only use .cat accessor with a 'category' dtype")
        self._series = series

    @property
    def known(self) -> bool:
        """Whether the categories are known before computing."""
        return is_known(self._series._meta.dtype)

    @property
    def ordered(self) -> bool:
        """Whether they have an order."""
        return bool(self._series._meta.dtype.ordered)

    @property
    def categories(self) -> pd.Index:
        """The categories.

        Raises
        ------
        NotImplementedError
            If they are not known.
        """
        if not self.known:
            raise NotImplementedError(
                "the categories of this column are not known before it is computed\n"
                "hint: cat.as_known() or DataFrame.categorize() finds them"
            )
        return self._series._meta.dtype.categories

    @property
    def codes(self) -> Any:
        """The number of the category of every value; ``-1`` for a missing one."""
        if not self.known:
            raise NotImplementedError(
                "codes number the categories, which are not known before the column is computed\n"
                "hint: cat.as_known() or DataFrame.categorize() finds them"
            )
        return elemwise(_codes, self._series)

    def as_known(self, **kwargs: Any) -> Any:
        """With known categories; computes them at once, unless they are known."""
        if self.known:
            return self._series
        series = self._series
        step = _Seen([0], False)
        source = series.to_series() if series._kind == "index" else series
        seen, _ = source._tree("categories", step.chunk, step.join, meta={}).compute(**kwargs)
        return self.set_categories(_in_order(seen[0]))

    def as_unknown(self) -> Any:
        """With categories that are not known."""
        series = self._series
        return new(series._plan, clear_known(series._meta), series.divisions) if self.known else series

    def _apply(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return elemwise(_categorical_call, self._series, name, args, kwargs, _label=name)


def _codes(column: Any) -> Any:
    return pd.Index(column.codes) if isinstance(column, pd.Index) else column.cat.codes


def _categorical_call(column: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if isinstance(column, pd.Index):
        return getattr(column, name)(*args, **kwargs)
    return getattr(column.cat, name)(*args, **kwargs)


def _generated(name: str, needs_known: bool) -> Any:
    def method(self: CategoricalAccessor, *args: Any, **kwargs: Any) -> Any:
        if needs_known and not self.known:
            raise NotImplementedError(f"`cat.{name}` needs known categories\nhint: use cat.as_known() first")
        made = self._apply(name, *args, **kwargs)
        if not self.known and name not in ("set_categories",):
            return new(made._plan, clear_known(made._meta), made.divisions)
        return made

    return method


def _remove_unused(self: CategoricalAccessor) -> Any:
    """Without categories that do not occur; computes which do."""
    series = self._series
    present = series.dropna().unique() if series._kind == "series" else series.to_series().dropna().unique()
    values = present.compute()
    used = pd.Index(values)
    if isinstance(used, pd.CategoricalIndex):
        used = pd.Index(used.categories[sorted(set(used.codes))])
    known = self.categories if self.known else used
    kept = [value for value in known if value in set(used)]
    return self._apply("set_categories", kept)


for _name in ("add_categories", "as_ordered", "as_unordered", "remove_categories", "rename_categories",
              "reorder_categories", "set_categories"):  # fmt: skip
    _method = _generated(_name, False)
    _method.__name__ = _name
    _method.__doc__ = f"``cat.{_name}`` of pandas, partition by partition."
    from oxidask.dataframe._methods import signature_of as _signature_of

    _method.__signature__ = _signature_of(pd.core.arrays.Categorical, _name)
    setattr(CategoricalAccessor, _name, _method)
CategoricalAccessor.remove_unused_categories = _remove_unused  # type: ignore[attr-defined]
