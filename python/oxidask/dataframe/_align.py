"""Frames with different divisions brought to the same ones.

Rows with the same label are then in partitions of the same number, so that
pandas aligns them within a partition. Also: new divisions for one frame.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe._collection import new
from oxidask.dataframe.core import NOT_NATIVE, native_form

__all__ = ["aligned", "is_broadcast", "repartition_divisions", "union_divisions"]


def is_broadcast(one: Any, others: Sequence[Any]) -> bool:
    """Whether a column of one partition is indexed by the columns of a frame, as ``df.mean()`` is."""
    if one._kind == "scalar":
        return True
    if one._kind != "series" or one.npartitions != 1 or not one._broadcast:
        return False
    return any(other._kind == "frame" for other in others)


def aligned(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with collections brought to the same divisions.

    Raises
    ------
    ValueError
        If divisions are not known and the numbers of partitions differ.
    """
    from oxidask.dataframe.core import Collection

    lazy: list[Any] = []
    for arg in (*args, *kwargs.values()):
        if isinstance(arg, Collection):
            lazy.append(arg)
        elif isinstance(arg, list):
            lazy.extend(item for item in arg if isinstance(item, Collection))
    rows = [one for one in lazy if not is_broadcast(one, lazy)]
    if len(rows) < 2:
        return args, kwargs
    brought = dict(zip(map(id, rows), align_all(rows), strict=True))

    def place(arg: Any) -> Any:
        if isinstance(arg, list):
            return [brought.get(id(item), item) for item in arg]
        return brought.get(id(arg), arg)

    return tuple(place(arg) for arg in args), {name: place(value) for name, value in kwargs.items()}


def align_all(rows: list[Any]) -> list[Any]:
    """Collections brought to the same divisions, in their order."""
    first = rows[0]
    counts = {one.npartitions for one in rows}
    if all(one.divisions == first.divisions for one in rows) and len(counts) == 1:
        return rows
    if not all(one.known_divisions for one in rows):
        if len(counts) == 1:
            return rows
        raise ValueError(
            f"partitions of {len(rows)} collections do not line up, and not all have known divisions to cut them by\n"
            "hint: set_index makes divisions known"
        )
    divisions = union_divisions(rows)
    return [repartition_divisions(one, divisions, force=True) for one in rows]


def union_divisions(rows: Sequence[Any]) -> tuple[Any, ...]:
    """The divisions of all of some collections, each once, in order."""
    merged = sorted({bound for one in rows for bound in one.divisions})
    return (merged[0], merged[0]) if len(merged) == 1 else tuple(merged)


def _cut(parts: list[Any], bounds: tuple[Any, Any, bool]) -> Any:
    """The rows of sorted partitions from one bound to before (or to) another."""
    low, high, inclusive = bounds
    rows = _rows.concat_rows(parts)
    index = rows if isinstance(rows, pd.Index) else rows.index
    if isinstance(index.dtype, pd.CategoricalDtype):
        categories = index.categories
        position = pd.Index(index.codes)
        low, high = categories.get_loc(low), categories.get_loc(high)
    else:
        position = index
    if not position.is_monotonic_increasing:
        keep = (position >= low) & ((position <= high) if inclusive else (position < high))
        return rows[keep]
    start = position.searchsorted(low, side="left")
    stop = position.searchsorted(high, side="right" if inclusive else "left")
    return rows[start:stop] if isinstance(rows, pd.Index) else rows.iloc[start:stop]


def repartition_divisions(rows: Any, divisions: Sequence[Any], force: bool = False) -> Any:
    """The same rows with other divisions.

    Raises
    ------
    ValueError
        If divisions are unknown, not in order, or, unless ``force``, begin or end elsewhere.
    """
    old, divisions = rows.divisions, tuple(divisions)
    if not rows.known_divisions:
        raise ValueError("rows with unknown divisions cannot be cut at others\nhint: use set_index first")
    check_divisions(divisions)
    if tuple(old) == divisions:
        return rows
    if not force and (divisions[0] != old[0] or divisions[-1] != old[-1]):
        raise ValueError(
            f"the divisions go from {old[0]!r} to {old[-1]!r}, and the new ones from {divisions[0]!r} to "
            f"{divisions[-1]!r}\n"
            "hint: pass force=True to let partitions be empty or rows be left out of none"
        )
    if force and (divisions[0] > old[0] or divisions[-1] < old[-1]):
        raise ValueError(
            f"divisions from {divisions[0]!r} to {divisions[-1]!r} do not cover the old ones, "
            f"from {old[0]!r} to {old[-1]!r}"
        )
    answer = _divided(rows, divisions)
    if answer is not NOT_NATIVE:
        return answer
    n_old, n_new = len(old) - 1, len(divisions) - 1
    ranges, bounds = [], []
    for number in range(n_new):
        low, high = divisions[number], divisions[number + 1]
        last = number == n_new - 1
        # The last partition of the old frame holds its upper bound too, and a bound
        # that occurs several times lies in several partitions.
        start = max(bisect_right(old, low) - 1, 0)
        stop = bisect_right(old, high) if last else bisect_left(old, high)
        ranges.append((min(start, n_old - 1), max(min(stop, n_old), min(start, n_old - 1) + 1)))
        bounds.append((low, high, last))
    from oxidask.dataframe._plan import Plan

    plan = rows._plan.groups("repartition", _cut, ranges, Plan.source(bounds, "bounds"))
    return new(plan, rows._meta, divisions)


def _divided(rows: Any, divisions: tuple[Any, ...]) -> Any:
    """The engine's form of new divisions."""
    from oxidask.dataframe._set_index import _is_exact

    index = rows._meta.index if rows._kind in ("frame", "series") else None
    if index is None or index.nlevels > 1 or not _is_exact(index.dtype):
        return NOT_NATIVE
    try:
        return native_form(rows, "repartition_at", (divisions,), {})
    except ValueError:
        # Divisions of another type than the index, which pandas compares.
        return NOT_NATIVE


def check_divisions(divisions: Sequence[Any]) -> None:
    """Raises ``ValueError`` unless divisions are in order, with at most the last two equal."""
    if len(divisions) < 2:
        raise ValueError("divisions are two values or more: where the first partition begins, and where the last ends")
    if not isinstance(divisions, (tuple, list)):
        raise ValueError("divisions are given as a list or a tuple")
    if list(divisions) != sorted(divisions):
        raise ValueError("divisions must be sorted, from low to high")
    if len(set(divisions[:-1])) != len(divisions[:-1]):
        raise ValueError("divisions hold a value twice; only the last may repeat the one before")
