"""Writes the table of dataframe methods in docs/dataframe.md, by calling every one of them.

A method is *native* if its answer for plain columns is a plan of the engine; it is
*pandas* if pandas runs on every partition, or joins partitions as a tree. Run it
after a method was added:

    python scripts/dataframe_states.py

A test calls :func:`table` and compares it with the page.
"""

from __future__ import annotations

import pathlib
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "dataframe.md"
BEGIN, END = "<!-- table of methods: generated -->", "<!-- end of the table -->"


def _times(dd: Any) -> Any:
    index = pd.date_range("2000-01-01", periods=6, freq="6h", name="t")
    return dd.from_pandas(pd.DataFrame({"x": range(6), "t2": index}, index=index), npartitions=2)


#: Calls that need arguments, by the name of the method.
CALLS: dict[str, Any] = {
    "align": lambda o: o.align(o)[0],
    "apply": lambda o: o.apply(_identity, axis=1) if o._kind == "frame" else o.apply(_identity),
    "applymap": lambda o: o.applymap(_identity),
    "map": lambda o: o.map(_identity),
    "assign": lambda o: o.assign(z=o.x),
    "astype": lambda o: o.astype("float64"),
    "between": lambda o: o.between(1, 2),
    "clip": lambda o: o.clip(1, 2),
    "case_when": lambda o: o.case_when([(o > 1, 2)]),
    "combine": lambda o: o.combine(o, max),
    "combine_first": lambda o: o.combine_first(o),
    "corr": lambda o: o.corr(o) if o._kind == "series" else o.corr(),
    "cov": lambda o: o.cov(o) if o._kind == "series" else o.cov(),
    "dot": lambda o: o.dot(o),
    "drop": lambda o: o.drop(columns="x"),
    "eval": lambda o: o.eval("x + y"),
    "explode": lambda o: o.explode("x") if o._kind == "frame" else o.explode(),
    "fillna": lambda o: o.fillna(0),
    "get_partition": lambda o: o.get_partition(0),
    "groupby": lambda o: o.groupby("x" if o._kind == "frame" else o).sum(),
    "head": lambda o: o.head(compute=False, npartitions=-1),
    "isin": lambda o: o.isin([1]),
    "join": lambda o: o[["x"]].join(o[["y"]]),
    "map_overlap": lambda o: o.map_overlap(_identity, 1, 0),
    "map_partitions": lambda o: o.map_partitions(_identity),
    "mask": lambda o: o.mask(o > 1),
    "where": lambda o: o.where(o > 1),
    "melt": lambda o: o.melt(),
    "merge": lambda o: o.merge(o, on="x"),
    "nlargest": lambda o: o.nlargest(1, "x") if o._kind == "frame" else o.nlargest(1),
    "nsmallest": lambda o: o.nsmallest(1, "x") if o._kind == "frame" else o.nsmallest(1),
    "pipe": lambda o: o.pipe(_identity),
    "pivot": lambda o: o.assign(c=o.x.astype("category").cat.as_known()).pivot(index="x", columns="c", values="y"),
    "pivot_table": lambda o: o.assign(c=o.x.astype("category").cat.as_known()).pivot_table("x", "c", "y"),
    "pop": lambda o: o.copy().pop("x"),
    "query": lambda o: o.query("x > 1"),
    "random_split": lambda o: o.random_split([0.5, 0.5])[0],
    "reduction": lambda o: o.reduction(_identity, _identity),
    "rename": lambda o: o.rename(columns={"x": "z"}) if o._kind == "frame" else o.rename("z"),
    "rename_axis": lambda o: o.rename_axis("i"),
    "repartition": lambda o: o.repartition(npartitions=1),
    "replace": lambda o: o.replace(1, 2),
    "resample": lambda o: o[["x"]].resample("1D").sum() if o._kind == "frame" else o.resample("1D").sum(),
    "rolling": lambda o: o.rolling(2).sum(),
    "sample": lambda o: o.sample(frac=0.5),
    "select_dtypes": lambda o: o.select_dtypes("number"),
    "set_index": lambda o: o.set_index("x"),
    "shuffle": lambda o: o.shuffle("x") if o._kind == "frame" else o.shuffle(on_index=True),
    "sort_values": lambda o: o.sort_values("x") if o._kind == "frame" else o.sort_values(),
    "squeeze": lambda o: o[["x"]].squeeze() if o._kind == "frame" else o.squeeze(),
    "tail": lambda o: o.tail(compute=False),
    "to_backend": lambda o: o.to_backend("pandas"),
    "to_timestamp": lambda o: _periods().to_timestamp(),
    "drop_duplicates": lambda o: o.drop_duplicates(),
    "add_prefix": lambda o: o.add_prefix("p"),
    "add_suffix": lambda o: o.add_suffix("s"),
}  # fmt: skip
OPERATORS = [
    "add",
    "sub",
    "mul",
    "div",
    "divide",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "radd",
    "rsub",
    "rmul",
    "rdiv",
    "rtruediv",
    "rfloordiv",
    "rmod",
    "rpow",
]
CALLS.update(
    {name: (lambda o, name=name: getattr(o, name)(2)) for name in [*OPERATORS, *["eq", "ne", "lt", "le", "gt", "ge"]]}
)

#: What computes, writes or is no method of rows.
NO_PLAN = [
    "compute",
    "persist",
    "visualize",
    "explain",
    "pprint",
    "analyze",
    "info",
    "items",
    "iterrows",
    "itertuples",
    "keys",
    "to_csv",
    "to_hdf",
    "to_json",
    "to_orc",
    "to_parquet",
    "to_sql",
    "to_string",
    "to_html",
    "to_records",
    "to_bag",
    "to_dask_array",
    "to_delayed",
    "from_dict",
    "columns",
    "dtypes",
    "dtype",
    "ndim",
    "shape",
    "axes",
    "npartitions",
    "divisions",
    "known_divisions",
    "dask",
    "empty",
    "name",
    "size",
    "index",
    "values",
    "partitions",
    "loc",
    "iloc",
    "str",
    "dt",
    "cat",
    "optimize",
    "enforce_runtime_divisions",
    "memory_usage_per_partition",
    "nbytes",
    "is_monotonic_increasing",
    "is_monotonic_decreasing",
    "categorize",
]

#: What pandas or Dask have and this does not, with the reason.
NOT_OFFERED = {
    "DataFrame.apply(axis=0)": "a function of whole columns would need all rows at once; use map_partitions or reduction",
    "DataFrame.iloc[rows]": "positions of rows are not known before the partitions are; use head, tail, partitions or loc",
    "DataFrame.drop(index)": "rows are dropped by a condition",
    "MultiIndex": "divisions are those of one level; a frame in pandas' hands may have several within a partition",
    "inplace=True": "a collection is a plan; assign the answer",
    "to_backend('cudf')": "partitions are pandas objects or native",
    "read_bcolz": "the format is dead",
}


def _identity(rows: Any) -> Any:
    return rows


def _periods() -> Any:
    import oxidask.dataframe as dd

    index = pd.period_range("2000-01", periods=4, freq="M")
    return dd.from_pandas(pd.DataFrame({"x": range(4)}, index=index), npartitions=2)


def state_of(obj: Any, name: str) -> str:
    """Whether a method's answer for ``obj`` is native or goes through pandas."""
    call = CALLS.get(name, lambda o: getattr(o, name)())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = call(obj)
    return "native" if getattr(answer, "_native", None) is not None else "pandas"


def _public(cls: type) -> list[str]:
    return sorted(name for name in dir(cls) if not name.startswith("_") and name not in NO_PLAN)


def rows() -> list[tuple[str, str]]:
    """(method, state) of every method of frames and columns."""
    import oxidask.dataframe as dd

    frame = dd.from_pandas(pd.DataFrame({"x": np.arange(6), "y": np.arange(6.0)}), npartitions=2)
    made = []
    for label, obj in (("DataFrame", frame), ("Series", frame.x)):
        timed = _times(dd) if label == "DataFrame" else _times(dd).x
        for name in _public(type(obj)):
            made.append((f"{label}.{name}", state_of(timed if name == "resample" else obj, name)))
    text = dd.from_pandas(pd.DataFrame({"x": ["a", "b"]}), npartitions=1).x
    made += [(f"Series.str.{name}", _accessor_state(text.str, name)) for name in _public(type(text.str))]
    times = dd.from_pandas(pd.DataFrame({"t": pd.date_range("2000-01-01", periods=4, freq="6h")}), npartitions=2).t
    made += [(f"Series.dt.{name}", _accessor_state(times.dt, name)) for name in _public(type(times.dt))]
    return made


ACCESSOR_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "contains": ("a",), "count": ("a",), "endswith": ("a",), "startswith": ("a",), "extract": ("(a)",), "extractall": ("(a)",),
    "find": ("a",), "findall": ("a",), "fullmatch": ("a",), "match": ("a",), "index": ("",), "rindex": ("",), "rfind": ("a",),
    "center": (3,), "ljust": (3,), "rjust": (3,), "pad": (3,), "zfill": (3,), "wrap": (3,), "repeat": (2,), "get": (0,),
    "join": ("-",), "normalize": ("NFC",), "replace": ("a", "b"), "removeprefix": ("a",), "removesuffix": ("a",),
    "translate": ({97: "b"},), "encode": ("utf-8",), "partition": ("a", False), "rpartition": ("a", False),
}  # fmt: skip
TIME_ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "ceil": ("h",), "floor": ("h",), "round": ("h",), "strftime": ("%Y",), "tz_localize": ("UTC",), "as_unit": ("ns",),
    "to_period": ("D",),
}  # fmt: skip
#: Functions of lengths of time, of spans, of bytes or of times with a zone.
OTHER_TYPES = [
    "days",
    "seconds",
    "microseconds",
    "nanoseconds",
    "components",
    "total_seconds",
    "to_pytimedelta",
    "qyear",
    "to_timestamp",
    "tz_convert",
    "decode",
]


def _accessor_state(accessor: Any, name: str) -> str:
    if name in OTHER_TYPES:
        return "native or pandas, by type"
    arguments = TIME_ARGUMENTS.get(name) if type(accessor).__name__.startswith("Date") else ACCESSOR_ARGUMENTS.get(name)
    answer = getattr(accessor, name)
    if callable(answer) and not hasattr(answer, "_plan"):
        answer = answer(*(arguments or ()))
    return "native" if getattr(answer, "_native", None) is not None else "pandas"


def table() -> str:
    """The table, as the page has it."""
    lines = ["| method | state |", "|---|---|"]
    lines += [f"| `{name}` | {state} |" for name, state in rows()]
    lines += [f"| `{name}` | not offered: {why} |" for name, why in NOT_OFFERED.items()]
    return "\n".join(lines)


def main() -> None:
    """Puts the table into the page."""
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}")


if __name__ == "__main__":
    sys.exit(main())
