"""Names made of content: equal objects have equal tokens, in every process.

>>> from oxidask.tokenize import tokenize
>>> tokenize([1, 2], x="a") == tokenize([1, 2], x="a")
True
>>> tokenize(1) == tokenize(1.0)
False

An object is first made into nested tuples of plain values by
:data:`normalize_token`, to which classes can be registered; a class of your own
can also answer ``__dask_tokenize__``.

>>> class Point:
...     def __init__(self, x):
...         self.x = x
...     def __dask_tokenize__(self):
...         return (Point, self.x)
>>> tokenize(Point(1)) == tokenize(Point(1))
True
"""

from __future__ import annotations

import copyreg
import dataclasses
import datetime
import decimal
import enum
import functools
import pathlib
import sys
import types
import uuid
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from oxidask import _oxidask
from oxidask.utils import Dispatch

__all__ = ["TokenizationError", "normalize_token", "tokenize"]

_ATOMS = (int, float, str, bytes, bool, type(None), complex, type(Ellipsis))


class TokenizationError(RuntimeError):
    """An object has no deterministic token, and one was demanded."""


#: Whether an object without a deterministic token is an error.
_demanded: ContextVar[bool] = ContextVar("demanded", default=False)
#: Containers that are being looked into, so that one that contains itself ends.
_open: ContextVar[dict[int, int] | None] = ContextVar("open", default=None)


def tokenize(*args: Any, ensure_deterministic: bool | None = None, **kwargs: Any) -> str:
    """A name for what the arguments hold: 32 hexadecimal digits.

    Parameters
    ----------
    *args, **kwargs : any objects
    ensure_deterministic : bool, optional
        Whether an object whose token would differ between processes is an
        error; the setting ``tokenize.ensure-deterministic`` by default.

    Raises
    ------
    TokenizationError
        If that is demanded and an argument has none.

    Examples
    --------
    >>> tokenize("a") == tokenize("a"), tokenize({"a": 1, "b": 2}) == tokenize({"b": 2, "a": 1})
    (True, True)
    """
    if ensure_deterministic is None:
        from oxidask import config

        ensure_deterministic = config.get("tokenize.ensure-deterministic")
    demanded, opened = _demanded.set(bool(ensure_deterministic)), _open.set({})
    try:
        normal: Any = [normalize_token(arg) for arg in args]
        if kwargs:
            normal.append(normalize_token(kwargs))
    finally:
        _demanded.reset(demanded)
        _open.reset(opened)
    pieces: list[bytes] = []
    _write(normal, pieces)
    return _oxidask.hash_bytes(b"".join(pieces))


def _write(normal: Any, pieces: list[bytes]) -> None:
    """Writes nested plain values so that different ones never look alike."""
    if isinstance(normal, (list, tuple)):
        pieces.append(b"(%d:" % len(normal))
        for item in normal:
            _write(item, pieces)
        return
    kind = type(normal)
    if kind is bytes:
        content = normal
    elif kind is str:
        content = normal.encode("utf-8", "surrogatepass")
    elif isinstance(normal, _ATOMS):
        content = repr(normal).encode()
    else:
        # What a user's own function answered need not be plain.
        _write(normalize_token(normal), pieces)
        return
    pieces.append(b"%s%d:" % (kind.__name__.encode(), len(content)))
    pieces.append(content)


class _Normalize(Dispatch):
    """Makes nested tuples of plain values of an object."""

    def __call__(self, arg: Any, *args: Any, **kwargs: Any) -> Any:
        if type(arg) in _ATOMS:
            return arg
        method = getattr(type(arg), "__dask_tokenize__", None)
        if method is not None:
            own = method(arg)
            return (_type_name(type(arg)), own if isinstance(own, _ATOMS) else normalize_token(own))
        return self.dispatch(type(arg))(arg)


normalize_token = _Normalize("normalize_token")
register = normalize_token.register


def _unknown(obj: Any, why: object = "") -> Any:
    """What stands for an object without a deterministic token."""
    if _demanded.get():
        raise TokenizationError(
            f"{obj!r} of {type(obj)} has no deterministic token {why}\n"
            "hint: give its class a method __dask_tokenize__, or register it with normalize_token"
        )
    return uuid.uuid4().hex


def _type_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _inside(container: Any, items: Callable[[], Any]) -> Any:
    """Normal items of a container that may contain itself."""
    opened = _open.get()
    if opened is None:
        opened = {}
        _open.set(opened)
    number = opened.get(id(container))
    if number is not None:
        return ("seen", number)
    opened[id(container)] = len(opened)
    try:
        return items()
    finally:
        del opened[id(container)]


@register((list, tuple))
def _sequence(seq: Any) -> Any:
    return _inside(seq, lambda: (_type_name(type(seq)), [normalize_token(item) for item in seq]))


@register((set, frozenset))
def _set(items: Any) -> Any:
    return (_type_name(type(items)), _sorted(normalize_token(item) for item in items))


def _sorted(normal: Any) -> list[Any]:
    def bytes_of(item: Any) -> bytes:
        pieces: list[bytes] = []
        _write(item, pieces)
        return b"".join(pieces)

    return sorted(normal, key=bytes_of)


@register(dict)
def _dict(mapping: Any) -> Any:
    pairs = lambda: _sorted([normalize_token(key), normalize_token(value)] for key, value in mapping.items())  # noqa: E731
    return _inside(mapping, lambda: (_type_name(type(mapping)), pairs()))


@register(OrderedDict)
def _ordered(mapping: Any) -> Any:
    return _inside(
        mapping, lambda: ("OrderedDict", [[normalize_token(k), normalize_token(v)] for k, v in mapping.items()])
    )


@register(types.MappingProxyType)
def _proxy(mapping: Any) -> Any:
    return ("mappingproxy", normalize_token(dict(mapping)))


@register(slice)
def _slice(s: slice) -> Any:
    return ("slice", normalize_token(s.start), normalize_token(s.stop), normalize_token(s.step))


@register(range)
def _range(r: range) -> Any:
    return ("range", r.start, r.stop, r.step)


@register((datetime.date, datetime.time, datetime.datetime, datetime.timedelta, datetime.timezone))
def _time(value: Any) -> Any:
    return (_type_name(type(value)), repr(value))


@register((decimal.Decimal, uuid.UUID, pathlib.PurePath))
def _text(value: Any) -> Any:
    return (_type_name(type(value)), str(value))


@register(enum.Enum)
def _enum(member: enum.Enum) -> Any:
    return (_type_name(type(member)), member.name)


@register(functools.partial)
def _partial(partial: Any) -> Any:
    return ("partial", normalize_token(partial.func), normalize_token(partial.args), normalize_token(partial.keywords))


@register((types.MethodType, types.MethodWrapperType))
def _method(method: Any) -> Any:
    return ("method", method.__name__, normalize_token(method.__self__))


@register(types.ModuleType)
def _module(module: types.ModuleType) -> Any:
    return ("module", module.__name__)


def _importable(obj: Any) -> bool:
    """Whether ``obj`` is what its module and name say, in every process."""
    module = sys.modules.get(getattr(obj, "__module__", None) or "")
    if module is None or module.__name__ == "__main__":
        return False
    found: Any = module
    for name in getattr(obj, "__qualname__", "<none>").split("."):
        found = getattr(found, name, None)
    return found is obj


@register((types.BuiltinFunctionType, types.WrapperDescriptorType, types.MethodDescriptorType))
def _builtin(function: Any) -> Any:
    owner = getattr(function, "__self__", None)
    if owner is not None and not isinstance(owner, types.ModuleType):
        return ("builtin method", function.__name__, normalize_token(owner))
    return ("builtin", getattr(function, "__module__", None) or "", function.__qualname__)


@register(types.FunctionType)
def _function(function: Any) -> Any:
    if _importable(function):
        # The name alone would not notice that an edited file was loaded anew.
        return ("function", function.__module__, function.__qualname__, _code(function.__code__))
    return _inside(function, lambda: ("function", _code(function.__code__), _surroundings(function)))


def _surroundings(function: Any) -> Any:
    """The values that a function's code refers to."""
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(normalize_token(cell.cell_contents))
        except ValueError:
            cells.append("empty")
    names = _names(function.__code__)
    used = {name: function.__globals__[name] for name in names if name in function.__globals__}
    defaults = [normalize_token(function.__defaults__), normalize_token(function.__kwdefaults__)]
    return (function.__qualname__, defaults, cells, normalize_token(used))


def _names(code: types.CodeType) -> set[str]:
    found = set(code.co_names)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            found |= _names(const)
    return found


@register(types.CodeType)
def _code(code: types.CodeType) -> Any:
    consts = [normalize_token(const) for const in code.co_consts]
    return ("code", code.co_code, consts, list(code.co_names), list(code.co_varnames), list(code.co_freevars))


@register(type)
def _class(cls: type) -> Any:
    if _importable(cls):
        return ("class", _type_name(cls))
    members = {
        name: value
        for name, value in vars(cls).items()
        if name not in ("__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__", "__static_attributes__")
        and not isinstance(value, (types.GetSetDescriptorType, types.MemberDescriptorType))
    }
    bases = [normalize_token(base) for base in cls.__bases__]
    return _inside(cls, lambda: ("class", cls.__qualname__, bases, normalize_token(members)))


@register((staticmethod, classmethod))
def _wrapped(method: Any) -> Any:
    return (type(method).__name__, normalize_token(method.__func__))


@register(property)
def _property(prop: property) -> Any:
    return ("property", normalize_token(prop.fget), normalize_token(prop.fset))


@register(object)
def _object(obj: Any) -> Any:
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        fields = {f.name: getattr(obj, f.name) for f in dataclasses.fields(obj) if hasattr(obj, f.name)}
        return _inside(obj, lambda: ("dataclass", normalize_token(type(obj)), normalize_token(fields)))
    if type(obj) is object:
        return _unknown(obj)
    return _inside(obj, lambda: _reduced(obj))


def _reduced(obj: Any) -> Any:
    """An object by what pickle would make of it."""
    try:
        reduced = obj.__reduce_ex__(5)
    except Exception as error:
        return _unknown(obj, f"({error})")
    if isinstance(reduced, str):
        return ("global", _type_name(type(obj)), reduced)
    function, args, *rest = reduced
    state = rest[0] if rest else None
    items = [list(part) if part is not None else None for part in rest[1:3]]
    if function is copyreg.__newobj__ or getattr(function, "__name__", "") == "_reconstructor":
        head: Any = ("new", normalize_token(args))
    else:
        head = (normalize_token(function), normalize_token(args))
    return ("object", head, normalize_token(state), normalize_token(items))


@normalize_token.register_lazy("numpy")
def _register_numpy() -> None:
    import numpy as np

    @register(np.ndarray)
    def _array(array: Any) -> Any:
        if not array.shape:
            return ("scalar", str(array.dtype), normalize_token(array.item()))
        if array.dtype.hasobject:
            return (_type_name(type(array)), array.shape, str(array.dtype), normalize_token(array.ravel().tolist()))
        contiguous = np.ascontiguousarray(array)
        content = _oxidask.hash_bytes(contiguous.reshape(-1).view(np.uint8).data)
        return (_type_name(type(array)), array.shape, normalize_token(array.dtype), content)

    @register(np.ma.MaskedArray)
    def _masked(array: Any) -> Any:
        # What is masked away is part of the value too: it shows again once the mask is gone.
        parts = (array.data, array.mask, array.fill_value, array.hardmask)
        return (_type_name(type(array)), *map(normalize_token, parts))

    @register(np.dtype)
    def _dtype(dtype: Any) -> Any:
        return ("dtype", dtype.str if dtype.fields is None else repr(dtype), dtype.kind)

    @register(np.generic)
    def _scalar(scalar: Any) -> Any:
        return ("scalar", scalar.dtype.str, scalar.tobytes() if not scalar.dtype.hasobject else repr(scalar))

    @register(np.ufunc)
    def _ufunc(ufunc: Any) -> Any:
        if getattr(np, ufunc.__name__, None) is ufunc:
            return ("ufunc", ufunc.__name__)
        return _reduced(ufunc)


@normalize_token.register_lazy("pandas")
def _register_pandas() -> None:
    import pandas as pd

    @register(pd.DataFrame)
    def _frame(frame: Any) -> Any:
        columns = [normalize_token(frame.iloc[:, position].array) for position in range(frame.shape[1])]
        return (_type_name(type(frame)), columns, normalize_token(frame.columns), normalize_token(frame.index))

    @register(pd.Series)
    def _series(series: Any) -> Any:
        name = normalize_token(series.name)
        return (_type_name(type(series)), name, normalize_token(series.array), normalize_token(series.index))

    @register(pd.RangeIndex)
    def _range_index(index: Any) -> Any:
        return ("RangeIndex", index.start, index.stop, index.step, normalize_token(index.name))

    @register(pd.MultiIndex)
    def _multi(index: Any) -> Any:
        codes = [normalize_token(code) for code in index.codes]
        return (
            "MultiIndex",
            codes,
            [normalize_token(level) for level in index.levels],
            normalize_token(list(index.names)),
        )

    @register(pd.Index)
    def _index(index: Any) -> Any:
        return (_type_name(type(index)), normalize_token(index.array), normalize_token(index.name))

    @register(pd.Categorical)
    def _categorical(values: Any) -> Any:
        return ("Categorical", normalize_token(values.codes), normalize_token(values.dtype))

    @register(pd.CategoricalDtype)
    def _categories(dtype: Any) -> Any:
        return ("CategoricalDtype", normalize_token(dtype.categories), dtype.ordered)

    @register(pd.api.extensions.ExtensionArray)
    def _extension(values: Any) -> Any:
        arrow = getattr(values, "__arrow_array__", None)
        if arrow is not None:
            return (_type_name(type(values)), str(values.dtype), normalize_token(arrow()))
        return (_type_name(type(values)), str(values.dtype), normalize_token(values.to_numpy()))

    @register(pd.api.extensions.ExtensionDtype)
    def _extension_dtype(dtype: Any) -> Any:
        return (_type_name(type(dtype)), str(dtype))

    @register((pd.Timestamp, pd.Timedelta, pd.Period, pd.Interval, type(pd.NaT), type(pd.NA)))
    def _moment(value: Any) -> Any:
        return (_type_name(type(value)), repr(value))


@normalize_token.register_lazy("pyarrow")
def _register_pyarrow() -> None:
    import pyarrow as pa

    @register((pa.Array, pa.ChunkedArray))
    def _array(values: Any) -> Any:
        table = pa.table({"": values})
        return ("arrow", str(values.type), _content(table))

    @register((pa.Table, pa.RecordBatch))
    def _table(table: Any) -> Any:
        if isinstance(table, pa.RecordBatch):
            table = pa.Table.from_batches([table])
        return ("arrow", table.schema.to_string(), _content(table))

    def _content(table: Any) -> str:
        # The stream format leaves out what lies beyond a slice's ends.
        sink = pa.BufferOutputStream()
        table = table.combine_chunks()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return _oxidask.hash_bytes(memoryview(sink.getvalue()).cast("B"))

    @register((pa.DataType, pa.Schema, pa.Field, pa.Scalar))
    def _described(value: Any) -> Any:
        return (_type_name(type(value)), str(value))


@normalize_token.register_lazy("scipy")
def _register_scipy() -> None:
    import scipy.sparse as sp

    def _sparse(matrix: Any) -> Any:
        parts = [normalize_token(getattr(matrix.tocoo(), name)) for name in ("data", "row", "col")]
        return (_type_name(type(matrix)), matrix.shape, parts)

    for name in ("spmatrix", "sparray"):
        if hasattr(sp, name):
            register(getattr(sp, name), _sparse)
