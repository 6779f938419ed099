"""Frames joined: side by side by key or index, or by nearest key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._align import align_all
from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import emulate
from oxidask.dataframe.core import NOT_NATIVE, Collection, native_form

__all__ = ["join", "merge", "merge_asof"]


def _lazy(rows: Any, what: str) -> Any:
    from oxidask.dataframe.creation import from_pandas

    if isinstance(rows, Collection):
        if rows._kind not in ("frame", "series"):
            raise TypeError(f"{what} must be a DataFrame, not {type(rows).__name__}")
        return rows
    if isinstance(rows, (pd.DataFrame, pd.Series)):
        return from_pandas(rows, npartitions=1, sort=not isinstance(rows.index, pd.MultiIndex))
    raise TypeError(f"{what} must be a DataFrame, not {type(rows).__name__}")


def _merge_rows(left: Any, right: Any, kwargs: dict[str, Any]) -> Any:
    if isinstance(left, pd.Series):
        left = left.to_frame()
    return left.merge(right, **kwargs)


def _merge_matched(left: Any, right: Any, kwargs: dict[str, Any], empty: Any) -> Any:
    """A merge of partitions whose keys lie in the same place; categories are united first."""
    del empty
    names = [kwargs.get("left_on"), kwargs.get("right_on")]
    pairs = (
        zip(*[name if isinstance(name, list) else [name] for name in names], strict=True) if None not in names else []
    )
    if kwargs.get("on") is not None:
        on = kwargs["on"] if isinstance(kwargs["on"], list) else [kwargs["on"]]
        pairs = zip(on, on, strict=True)
    for a, b in pairs:
        if a in left.columns and b in right.columns:
            one, two = left[a].dtype, right[b].dtype
            if isinstance(one, pd.CategoricalDtype) and isinstance(two, pd.CategoricalDtype) and one != two:
                dtype = pd.CategoricalDtype(one.categories.union(two.categories, sort=False), ordered=one.ordered)
                left, right = left.assign(**{a: left[a].astype(dtype)}), right.assign(**{b: right[b].astype(dtype)})
    return left.merge(right, **kwargs)


def merge(
    left: Any,
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
    """Rows of both frames with equal keys, side by side.

    A frame of one partition meets every partition of the other; two indexed
    frames with known divisions are aligned by these; otherwise both are shuffled by
    hash of the keys, in as many tasks as there are partitions.

    Parameters
    ----------
    left, right : DataFrame, or pandas.DataFrame
    how : {"inner", "left", "right", "outer", "leftsemi"}
    on, left_on, right_on : label or list
        The key columns; those that both have, if none are given.
    left_index, right_index : bool
        Whether the index is the key.
    suffixes : (str, str)
        What tells other columns of the same name apart.
    indicator : bool or str
        Whether to add a column that says where a row comes from.
    npartitions : int
        How many partitions after a shuffle.
    shuffle_method, broadcast
        Taken for compatibility.

    Returns
    -------
    DataFrame

    Raises
    ------
    KeyError
        If a key is no column.
    TypeError, ValueError
        If keys are of types that do not compare.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> a = dd.from_dict({"k": [1, 2], "x": [3, 4]}, npartitions=2)
    >>> dd.merge(a, a, on="k", suffixes=("", "2")).compute().x2.tolist()
    [3, 4]
    """
    del shuffle_method
    if how not in ("inner", "left", "right", "outer", "leftsemi", "left_anti", "right_anti"):
        raise ValueError(f"{how!r} is not a valid Merge type: left, right, inner, outer, leftsemi")
    left, right = _lazy(left, "left"), _lazy(right, "right")
    for name in (left_on, right_on, on):
        if isinstance(name, Collection) and name._kind == "frame":
            raise NotImplementedError("keys are labels or Series")
    left, left_on = _with_key(left, left_on, "__left_key__")
    right, right_on = _with_key(right, right_on, "__right_key__")
    if on is not None and (left_on is not None or right_on is not None):
        raise ValueError('Can only pass argument "on" OR "left_on" and "right_on", not a combination of both.')
    if on is None and not (left_on is not None or right_on is not None or left_index or right_index):
        on = [name for name in left._meta.columns if name in right._meta.columns]
        if not on:
            left_index = right_index = True
            on = None
    if left_on is None and right_on is None and on is not None:
        left_on = right_on = on
    if (left_on is None and not left_index) or (right_on is None and not right_index):
        raise ValueError("a merge needs keys of both frames: on, left_on and right_on, or left_index and right_index")
    _check_keys(left, left_on, left_index)
    _check_keys(right, right_on, right_index)
    if how == "leftsemi":
        return _semi(left, right, left_on, right_on)
    kwargs: dict[str, Any] = {"how": how, "suffixes": suffixes, "indicator": indicator}
    kwargs.update({"left_index": left_index} if left_index else {"left_on": left_on})
    kwargs.update({"right_index": right_index} if right_index else {"right_on": right_on})
    if on is not None and not left_index and not right_index:
        kwargs = {"how": how, "suffixes": suffixes, "indicator": indicator, "on": on}
    made = _merged(left, right, left_on, right_on, left_index, right_index, how, kwargs, npartitions, broadcast)
    hidden = [name for name in ("__left_key__", "__right_key__") if name in made._meta.columns]
    return made.drop(columns=hidden) if hidden else made


def _with_key(rows: Any, key: Any, name: str) -> tuple[Any, Any]:
    """A key that is a Series as a hidden column."""
    if isinstance(key, Collection):
        return rows.assign(**{name: key}), name
    return rows, key


def _check_keys(rows: Any, keys: Any, index: bool) -> None:
    if index or keys is None:
        return
    meta = rows._meta if isinstance(rows._meta, pd.DataFrame) else rows._meta.to_frame()
    for key in (
        keys if isinstance(keys, (list, tuple)) and not (isinstance(keys, tuple) and keys in meta.columns) else [keys]
    ):
        if key not in meta.columns and key not in meta.index.names:
            from oxidask.dataframe.frame import no_column

            raise no_column(key, meta.columns)


def _semi(left: Any, right: Any, left_on: Any, right_on: Any) -> Any:
    keys = right_on if isinstance(right_on, list) else [right_on]
    wanted = right[keys].drop_duplicates()
    names = left_on if isinstance(left_on, list) else [left_on]
    wanted = wanted.rename(columns=dict(zip(keys, names, strict=True)))
    return merge(left, wanted, how="inner", on=names)


def _merged(
    left: Any, right: Any, left_on: Any, right_on: Any, left_index: bool, right_index: bool, how: str,
    kwargs: dict[str, Any], npartitions: Any, broadcast: Any,
) -> Any:  # fmt: skip
    native = not left_index and not right_index and npartitions is None
    if native and _labels(left_on, left) and _labels(right_on, right):
        names = {"left_on": left_on, "right_on": right_on, "how": how, "suffixes": tuple(kwargs["suffixes"])}
        names["indicator"] = kwargs["indicator"]
        if _are_told_apart(left, right, _list(left_on), _list(right_on), names["suffixes"]):
            answer = native_form(left, "merge", (right,), names)
            if answer is not NOT_NATIVE:
                return answer
    # Pandas says on made-up rows what the answer looks like, or what is wrong.
    meta = emulate(_merge_rows, left, right, kwargs)
    one_left, one_right = left.npartitions == 1, right.npartitions == 1
    call_args = (kwargs, meta)
    if one_left and one_right:
        divisions = _single_divisions(left, right, left_index, right_index)
        return new(left._plan.map("merge", _merge_matched, right._plan, *call_args), meta, divisions)
    if one_right and how in ("inner", "left"):
        by_level = _is_level(left, left_on) and _is_level(right, right_on)
        keep = left.divisions if right_index or by_level else None
        return new(left._plan.map("merge", _merge_matched, right._plan, *call_args), meta, keep)
    if one_left and how in ("inner", "right"):
        keep = right.divisions if left_index else None
        return new(right._plan.map("merge", _merge_from_right, left._plan, *call_args), meta, keep)
    if left_index and right_index and left.known_divisions and right.known_divisions:
        a, b = align_all([left, right])
        return new(a._plan.map("merge", _merge_matched, b._plan, *call_args), meta, a.divisions)
    from oxidask.dataframe._shuffle import by_hash

    n = npartitions or max(left.npartitions, right.npartitions)
    left_keys = None if left_index else _list(left_on)
    right_keys = None if right_index else _list(right_on)
    a, b = by_hash(left, left_keys, n), by_hash(right, right_keys, n)
    return new(a.map("merge", _merge_matched, b, *call_args), meta, None)


def _is_level(rows: Any, key: Any) -> bool:
    """Whether the key is the index, by its name: pandas keeps it as the index of the answer."""
    name = rows._meta.index.name
    return name is not None and key == name and key not in rows._meta.columns


def _are_told_apart(left: Any, right: Any, left_on: list[Any], right_on: list[Any], suffixes: tuple[Any, ...]) -> bool:
    """Whether columns of the same name get suffixes that leave all names of a merge different."""
    if len(suffixes) != 2 or not all(isinstance(suffix, str) for suffix in suffixes):
        return False
    shared = {a for a, b in zip(left_on, right_on, strict=False) if a == b}
    sides = [list(left._meta.columns), list(right._meta.columns)]
    clashes = (set(sides[0]) & set(sides[1])) - shared
    if not clashes:
        return True
    if any(not isinstance(name, str) for name in clashes) or suffixes[0] == suffixes[1]:
        return False
    named = [
        f"{name}{suffix}" if name in clashes else name
        for side, suffix in zip(sides, suffixes, strict=True)
        for name in side
        if name not in shared
    ]
    return len({*named, *shared}) == len(named) + len(shared)


def _merge_from_right(right: Any, left: Any, kwargs: dict[str, Any], empty: Any) -> Any:
    return _merge_matched(left, right, kwargs, empty)


def _labels(keys: Any, rows: Any) -> bool:
    return all(isinstance(key, str) and key in rows._meta.columns for key in _list(keys))


def _list(keys: Any) -> list[Any]:
    return list(keys) if isinstance(keys, (list, tuple)) else [keys]


def _single_divisions(left: Any, right: Any, left_index: bool, right_index: bool) -> Any:
    if left_index and right_index and left.known_divisions and right.known_divisions:
        return (min(left.divisions[0], right.divisions[0]), max(left.divisions[-1], right.divisions[-1]))
    return None


def join(
    self: Any, other: Any, on: Any, how: str, lsuffix: str, rsuffix: str, shuffle_method: Any, npartitions: Any
) -> Any:
    """``DataFrame.join``."""
    del shuffle_method
    if isinstance(other, Iterable) and isinstance(other, (list, tuple)):
        if on is not None or lsuffix or rsuffix:
            raise ValueError("joining several frames takes neither on nor suffixes")
        if how not in ("left", "outer"):
            raise ValueError(f"joining several frames at once only supports left or outer joins, not {how!r}")
        other = [_lazy(one, "other") for one in other]
        if not all(one._meta.columns.is_unique if hasattr(one._meta, "columns") else True for one in other):
            raise ValueError("columns overlap but no suffix specified")
        made = self
        for one in other:
            made = join(made, one, None, how, "", "", None, npartitions)
        return made
    other = _lazy(other, "other")
    if other._kind == "series":
        if other.name is None:
            raise ValueError("Other Series must have a name")
        other = other.to_frame()
    return merge(
        self, other, how=how, left_on=on, left_index=on is None, right_index=True, suffixes=(lsuffix, rsuffix),
        npartitions=npartitions,
    )  # fmt: skip


# -- by nearest key -------------------------------------------------------------------------


def _asof_rows(left: Any, right: Any, kwargs: dict[str, Any]) -> Any:
    return pd.merge_asof(left, right, **kwargs)


def merge_asof(
    left: Any,
    right: Any,
    on: Any = None,
    left_on: Any = None,
    right_on: Any = None,
    left_index: bool = False,
    right_index: bool = False,
    by: Any = None,
    left_by: Any = None,
    right_by: Any = None,
    suffixes: tuple[str, str] = ("_x", "_y"),
    tolerance: Any = None,
    allow_exact_matches: bool = True,
    direction: str = "backward",
) -> Any:
    """Rows of the left frame with the nearest row of the right one; both are in order of their keys.

    Arguments are those of ``pandas.merge_asof``. The right frame comes together in
    one task, which every partition of the left one reads.

    Raises
    ------
    ValueError
        If keys are missing, as in pandas.

    Examples
    --------
    >>> import oxidask.dataframe as dd
    >>> a = dd.from_dict({"t": [1, 5], "x": [1, 2]}, npartitions=2)
    >>> b = dd.from_dict({"t": [0, 4], "y": [3, 4]}, npartitions=1)
    >>> dd.merge_asof(a, b, on="t").compute().y.tolist()
    [3, 4]
    """
    if direction not in ("backward", "forward", "nearest"):
        raise ValueError(f"direction is 'backward', 'forward' or 'nearest', not {direction!r}")
    kwargs = {
        "on": on, "left_on": left_on, "right_on": right_on, "left_index": left_index, "right_index": right_index,
        "by": by, "left_by": left_by, "right_by": right_by, "suffixes": suffixes, "tolerance": tolerance,
        "allow_exact_matches": allow_exact_matches, "direction": direction,
    }  # fmt: skip
    if by is not None and (left_by is not None or right_by is not None):
        raise ValueError('Can only pass argument "by" OR "left_by" and "right_by", not a combination of both.')
    if isinstance(left, pd.DataFrame) and isinstance(right, pd.DataFrame):
        return pd.merge_asof(left, right, **kwargs)
    left, right = _lazy(left, "left"), _lazy(right, "right")
    for what, index, one in (("left", left_index, left), ("right", right_index, right)):
        if index and not one.known_divisions:
            raise ValueError(f"the {what} rows must be sorted by their key\nhint: use sort_values first")
        del what
    meta = emulate(_asof_rows, left, right, kwargs)
    whole = right._plan.groups("gather", _rows.Joined(_same), [(0, right.npartitions)])
    plan = left._plan.map("merge_asof", _asof_rows, whole, kwargs)
    return new(plan, meta, left.divisions if left_index else None)


def _same(rows: Any) -> Any:
    return rows
