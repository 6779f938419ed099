"""Bags as dataframes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxidask.bag import _steps

if TYPE_CHECKING:
    from oxidask.bag.core import Bag


def to_dataframe(bag: Bag, meta: Any, columns: Any, optimize_graph: bool) -> Any:
    """A dataframe whose rows are the elements; see :meth:`Bag.to_dataframe`."""
    import pandas

    from oxidask.dataframe import from_delayed

    if meta is None:
        first = bag.take(1, warn=False)
        if not first:
            raise ValueError(
                "to_dataframe: the first partition is empty, so that the columns cannot be told from it\n"
                "hint: name them and their dtypes: meta=[('name', 'int64'), …]"
            )
        if columns is None and not isinstance(first[0], (dict, tuple)):
            # Single values are one column.
            first = [(element,) for element in first] if isinstance(first[0], list) else list(first)
        sample = pandas.DataFrame(list(first), columns=columns)
    elif columns is not None:
        raise ValueError("to_dataframe: only one of meta and columns can be given")
    elif isinstance(meta, pandas.DataFrame):
        sample = meta
    else:
        pairs = dict(meta)
        sample = pandas.DataFrame({name: pandas.Series([], dtype=dtype) for name, dtype in pairs.items()})
    names, dtypes = list(sample.columns), sample.dtypes.to_dict()
    frames = bag._pipe("to_dataframe", _steps.to_frame, bag, names, dtypes, listed=True)
    return from_delayed(frames.to_delayed(optimize_graph), meta=sample.iloc[:0])
