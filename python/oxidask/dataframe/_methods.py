"""Methods of pandas that are the same on every partition, made from tables.

A row of a table is a name; the arguments are those of pandas' method of that
name, and so is the answer. A method takes the engine's own form where it has one.

>>> import oxidask.dataframe as dd
>>> df = dd.from_dict({"x": [1.0, None, -3.0]}, npartitions=2)
>>> df.x.abs().fillna(0).compute().tolist()
[1.0, 0.0, 3.0]
>>> df.add(1).x.compute().tolist()
[2.0, nan, -2.0]
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe import _rows
from oxidask.dataframe.core import NOT_NATIVE, Collection, elemwise, native_form

__all__ = ["add_elementwise", "add_operators", "signature_of"]

#: Methods with an operator of their own, and whether one with swapped operands exists.
ARITHMETIC = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]
LOGIC = ["and", "or", "xor"]

EACH_FRAME = [
    "abs",
    "clip",
    "eval",
    "explode",
    "fillna",
    "isin",
    "isna",
    "isnull",
    "mask",
    "melt",
    "notna",
    "notnull",
    "query",
    "rename_axis",
    "replace",
    "round",
    "select_dtypes",
    "where",
    "add_prefix",
    "add_suffix",
    "dropna",
    "combine_first",
]

EACH_SERIES = [
    "abs",
    "between",
    "clip",
    "dropna",
    "fillna",
    "isin",
    "isna",
    "isnull",
    "explode",
    "mask",
    "notna",
    "notnull",
    "replace",
    "round",
    "where",
    "rename_axis",
    "add_prefix",
    "add_suffix",
    "combine_first",
]

EACH_INDEX = ["fillna", "isin", "isna", "isnull", "notna", "notnull", "where"]


def signature_of(owner: Any, name: str, extra: Iterable[str] = ()) -> inspect.Signature | None:
    """The parameters of pandas' method, and optional ones of ours."""
    try:
        signature = inspect.signature(getattr(owner, name))
    except (AttributeError, TypeError, ValueError):
        return None
    parameters = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    more = [inspect.Parameter(one, inspect.Parameter.KEYWORD_ONLY, default=None) for one in extra]
    have = {p.name for p in parameters}
    more = [one for one in more if one.name not in have]
    if parameters and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:
        parameters = [*parameters[:-1], *more, parameters[-1]]
    else:
        parameters = [*parameters, *more]
    return signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)


def finished(method: Any, owner: type, name: str, doc: str, signature: inspect.Signature | None) -> None:
    """Names a generated method and puts it into its class."""
    method.__name__, method.__doc__ = name, doc
    method.__qualname__ = f"{owner.__name__}.{name}"
    if signature is not None:
        method.__signature__ = signature
    setattr(owner, name, method)


def add_elementwise(owner: type, pandas_owner: Any, names: Iterable[str]) -> None:
    """Gives a class methods that pandas runs on every partition."""
    for name in names:
        if name in vars(owner) or not hasattr(pandas_owner, name):
            continue
        doc = (
            f"``{pandas_owner.__name__}.{name}`` of pandas, partition by partition.\n\n"
            "Arguments and answer are those of pandas, except that ``inplace`` is not offered. Lazy arguments are\n"
            "aligned by their divisions.\n"
        )
        finished(_elementwise(name), owner, name, doc, signature_of(pandas_owner, name))


def _elementwise(name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("inplace"):
            raise NotImplementedError(f"{name}(inplace=True) is not offered\nhint: assign the answer")
        kwargs.pop("inplace", None)
        answer = native_form(self, name, args, kwargs)
        if answer is not NOT_NATIVE:
            return answer
        return elemwise(_rows.call, self, name, *args, **kwargs)

    return method


# -- operators ---------------------------------------------------------------------


def _flipped(left: Any, right: Any, func: Callable[[Any, Any], Any]) -> Any:
    return func(right, left)


def operate(self: Any, other: Any, name: str, reflected: bool) -> Any:
    """An operator between a collection and another, or a value."""
    dunder = f"__{'r' if reflected else ''}{name}__"
    if self._kind == "scalar" and isinstance(other, Collection) and other._kind != "scalar":
        return NotImplemented
    if _is_foreign(other):
        return NotImplemented
    # Pandas also says where the divisions of an index go.
    answer = native_form(self, dunder, (other,), {}) if self._kind != "index" else NOT_NATIVE
    if answer is not NOT_NATIVE and answer is not NotImplemented:
        return answer
    func = FUNCTIONS[name]
    if isinstance(other, np.ndarray) and other.ndim == 0:
        other = other.item()
    other = _lazy_of_pandas(self, other)
    if reflected:
        return elemwise(_flipped, self, other, func, _label=name)
    return elemwise(func, self, other, _label=name)


def _is_foreign(other: Any) -> bool:
    """Whether another library should decide: it knows us, not we it."""
    return type(other).__module__.startswith(("xarray", "dask."))


def _lazy_of_pandas(self: Any, other: Any) -> Any:
    """A pandas object among operands as a lazy one, so that it aligns."""
    if self._kind in ("frame", "series") and isinstance(other, (pd.Series, pd.DataFrame)):
        if self._kind == "frame" and isinstance(other, pd.Series):
            return other
        from oxidask.dataframe.creation import from_pandas

        return from_pandas(other, npartitions=1)
    return other


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(operator, name) for name in [*ARITHMETIC, *COMPARISONS]},
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "divmod": divmod,
}


def _operator(name: str, reflected: bool) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        if name == "divmod":
            return tuple(operate(self, other, one, reflected) for one in ("floordiv", "mod"))
        return operate(self, other, name, reflected)

    return method


def _unary(name: str, func: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any) -> Any:
        answer = native_form(self, f"__{name}__", (), {}) if self._kind != "index" else NOT_NATIVE
        return answer if answer is not NOT_NATIVE else elemwise(func, self)

    return method


def _no_axis(name: str) -> ValueError:
    return ValueError(f"Unable to {name} dd.Series with axis=1\nhint: a lazy Series goes down the rows: pass axis=0")


def _named_operator(name: str, pandas_name: str, reflected: bool, frame: bool) -> Callable[..., Any]:
    default = "columns" if frame else 0
    plain = name if name in FUNCTIONS else None

    def method(self: Any, other: Any, axis: Any = default, level: Any = None, fill_value: Any = None) -> Any:
        if level is not None:
            raise NotImplementedError(f"level must be None, and {name} got {level!r}")
        if plain and fill_value is None and axis in (default, 0 if not frame else default) and not reflected:
            answer = native_form(self, f"__{plain}__", (other,), {})
            if answer is not NOT_NATIVE and answer is not NotImplemented:
                return answer
        kwargs = {"axis": axis}
        if fill_value is not None:
            kwargs["fill_value"] = fill_value
        lazy_column = isinstance(other, Collection) and other._kind == "series" and frame
        if lazy_column and axis in (1, "columns") and not other._broadcast:
            raise _no_axis(name)
        return elemwise(_rows.call, self, pandas_name, _lazy_of_pandas(self, other), **kwargs)

    return method


def _named_comparison(name: str, frame: bool) -> Callable[..., Any]:
    default = "columns" if frame else 0

    def method(self: Any, other: Any, level: Any = None, fill_value: Any = None, axis: Any = default) -> Any:
        if level is not None:
            raise NotImplementedError(f"level must be None, and {name} got {level!r}")
        if frame:
            lazy_column = isinstance(other, Collection) and other._kind == "series"
            if lazy_column and axis in (1, "columns") and not other._broadcast:
                raise _no_axis(name)
            return elemwise(_rows.call, self, name, _lazy_of_pandas(self, other), axis=axis)
        if fill_value is not None:
            return elemwise(_rows.call, self, name, _lazy_of_pandas(self, other), fill_value=fill_value)
        return operate(self, other, name, False)

    return method


def add_operators(owner: type, kind: str) -> None:
    """Gives a class operators and their methods with names."""
    for name in [*ARITHMETIC, *COMPARISONS, *LOGIC, "divmod"]:
        symbol = f"``{name}`` with a value, or with rows that are aligned by their divisions."
        finished(_operator(name, False), owner, f"__{name}__", symbol, None)
        if name not in COMPARISONS:
            finished(_operator(name, True), owner, f"__r{name}__", symbol, None)
    for name, func in {
        "neg": operator.neg,
        "invert": operator.invert,
        "abs": operator.abs,
        "pos": operator.pos,
    }.items():
        finished(_unary(name, func), owner, f"__{name}__", f"``{name}`` of every value.", None)
    if kind == "scalar":
        return
    frame = kind == "frame"
    names = [(name, name) for name in ARITHMETIC] + [("div", "truediv"), ("divide", "truediv")]
    for name, pandas_name in names:
        doc = f"``{pandas_name}`` with a value or with rows, aligned by labels, as in pandas.\n"
        if name not in vars(owner):
            finished(_named_operator(name, pandas_name, False, frame), owner, name, doc, None)
        if name != "divide":
            finished(_named_operator(f"r{name}", f"r{pandas_name}", True, frame), owner, f"r{name}", doc, None)
    for name in COMPARISONS:
        doc = f"Whether values are ``{name}`` to others, as in pandas.\n"
        finished(_named_comparison(name, frame), owner, name, doc, None)
