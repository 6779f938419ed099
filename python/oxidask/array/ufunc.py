"""NumPy's elementwise functions: one table of names.

The engine has most of them for its own dtypes; NumPy's own run on the blocks for
all others, and for ``where`` and keyword arguments that the engine does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oxidask.array.blockwise import elemwise
from oxidask.array.convert import asanyarray
from oxidask.array.core import Array, _apply, is_chunk
from oxidask.base import is_dask_collection

#: Functions of NumPy that reduce, by the ufunc whose ``reduce`` they are.
REDUCED = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
    "fmax": "nanmax",
    "fmin": "nanmin",
}

#: The ufuncs of NumPy that answer one array, and how many arguments they take.
NAMES: dict[str, int] = {
    name: ufunc.nin
    for name, ufunc in vars(np).items()
    if isinstance(ufunc, np.ufunc) and ufunc.signature is None and ufunc.nout == 1 and not name.startswith("_")
}
NAMES |= {name: 1 for name in ("fix",)}
#: Arguments of the examples, for functions that are not defined everywhere.
_EXAMPLES = {
    "arccosh": "[1.0, 2.0]",
    "acosh": "[1.0, 2.0]",
    "arctanh": "[0.0, 0.5]",
    "atanh": "[0.0, 0.5]",
    "arcsin": "[0.0, 0.5]",
    "asin": "[0.0, 0.5]",
    "arccos": "[0.0, 0.5]",
    "acos": "[0.0, 0.5]",
    "isnat": "['2020-01-01', 'NaT'], dtype='M8[D]'",
}
_INTEGERS = {
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "bitwise_not",
    "bitwise_invert",
    "invert",
    "left_shift",
    "bitwise_left_shift",
    "right_shift",
    "bitwise_right_shift",
    "gcd",
    "lcm",
    "bitwise_count",
    "ldexp",
}


def _ufunc(name: str, arity: int) -> Callable[..., Array]:
    sample = "[1, 2]" if name in _INTEGERS else _EXAMPLES.get(name, "[1.0, 2.0]")
    samples = f"np.array({sample})" + (", 2" if arity == 2 else "")
    lazy = f"da.from_array(np.array({sample}), chunks=1)" + (", 2" if arity == 2 else "")
    one = "x1, x2" if arity == 2 else "x"
    doc = f"""Elementwise ``{name}``, with the results of :func:`numpy.{name}`.

    Parameters
    ----------
    {one} : array_like or number
        Broadcast against one another; Python's own numbers adopt the dtype of
        the array beside them.
    out : Array, optional
        Takes the result.
    where : array_like
        Where to compute it; other elements are those of ``out``.
    dtype : dtype, optional
        In which to compute.

    Returns
    -------
    Array

    Raises
    ------
    TypeError
        If the function is not defined for the dtype.
    ValueError
        If the shapes do not broadcast; all are named.

    Examples
    --------
    >>> import numpy as np
    >>> import oxidask.array as da
    >>> bool(np.allclose(da.{name}({lazy}).compute(), np.{name}({samples})))
    True
    """
    if arity == 1:

        def function(x: Any, out: Any = None, where: Any = True, dtype: Any = None, **kwargs: Any) -> Any:
            return _call(name, (x,), out, where, dtype, kwargs)

    else:

        def function(  # type: ignore[misc]
            x1: Any, x2: Any, out: Any = None, where: Any = True, dtype: Any = None, **kwargs: Any
        ) -> Any:
            return _call(name, (x1, x2), out, where, dtype, kwargs)

    if isinstance(ufunc := getattr(np, name), np.ufunc):
        # NumPy's own asks lazy arrays for the answer, and says what is wrong.
        function.outer = ufunc.outer  # type: ignore[attr-defined]
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__module__ = __name__
    return function


def _call(name: str, args: tuple[Any, ...], out: Any, where: Any, dtype: Any, kwargs: dict[str, Any]) -> Any:
    if _plain(args):
        extra = {k: v for k, v in (("out", out), ("dtype", dtype)) if v is not None}
        if where is not True:
            extra["where"] = where
        if not isinstance(out, Array) and not isinstance(where, Array):
            return getattr(np, name)(*args, **extra, **kwargs)
    return _apply(name, *args, out=out, where=where, dtype=dtype, **kwargs)


def _plain(args: tuple[Any, ...]) -> bool:
    """Whether NumPy answers itself: no argument is a lazy array."""
    return any(_is_rows(x) for x in args) or not any(is_dask_collection(x) for x in args)


def _is_rows(x: Any) -> bool:
    """Whether ``x`` is a column or frame, of pandas or a lazy one: NumPy's function keeps it one."""
    return type(x).__module__.startswith(("pandas.", "oxidask.dataframe."))


for _name, _arity in NAMES.items():
    globals()[_name] = _ufunc(_name, _arity)


def call_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answers a ufunc of NumPy that got a lazy array."""
    out = kwargs.get("out", ())
    for x in (*inputs, *(out if isinstance(out, tuple) else (out,))):
        if not _accepts(x):
            return NotImplemented
    name = ufunc.__name__
    if method == "reduce" and name in REDUCED:
        import oxidask.array as da

        axis = kwargs.pop("axis", 0)
        kwargs = {k: v for k, v in kwargs.items() if v is not None and not (k == "keepdims" and v is False)}
        return getattr(da, REDUCED[name])(asanyarray(inputs[0]), axis=axis, **kwargs)
    if method == "outer":
        return outer_of(ufunc, *inputs, **kwargs)
    if method != "__call__":
        return NotImplemented
    if ufunc is np.matmul:
        from oxidask.array.products import matmul

        return matmul(*inputs)
    if ufunc.signature is not None:
        from oxidask.array.gufunc import apply_gufunc

        return apply_gufunc(ufunc, ufunc.signature, *inputs, **kwargs)
    if ufunc.nout > 1:
        import oxidask.array as da

        ours = getattr(da, name, None)
        return NotImplemented if ours is None else ours(*inputs, **kwargs)
    if getattr(np, name, None) is ufunc:
        return _apply(name, *inputs, **kwargs)
    return elemwise(ufunc, *inputs, **kwargs)


def _accepts(x: Any) -> bool:
    if x is None or isinstance(x, Array | np.ndarray | np.generic | bool | int | float | complex | list | str):
        return True
    if is_chunk(x):
        return True
    return not hasattr(type(x), "__array_ufunc__") and not hasattr(type(x), "__array_priority__")


def outer_of(ufunc: Any, A: Any, B: Any, **kwargs: Any) -> Array:
    """A ufunc of all pairs of elements."""
    A, B = asanyarray(A), asanyarray(B)
    return ufunc(A[(..., *([None] * B.ndim))], B, **kwargs)  # type: ignore[no-any-return]


class ufunc:
    """A ufunc of NumPy, for lazy arrays as well.

    >>> import oxidask.array as da
    >>> ufunc(np.add)(da.ones(2, chunks=1), 1).compute()
    array([2., 2.])
    """

    def __init__(self, ufunc: Any) -> None:
        if not isinstance(ufunc, np.ufunc):
            raise TypeError(f"only a NumPy ufunc can be wrapped, not a {type(ufunc).__name__}")
        self._ufunc = ufunc
        self.__name__ = ufunc.__name__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_ufunc":
            raise AttributeError(name)
        return getattr(self._ufunc, name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(type(self)), *dir(self._ufunc)})

    def __repr__(self) -> str:
        return repr(self._ufunc)

    def __dask_tokenize__(self) -> Any:
        return ("ufunc", self.__name__, self._ufunc)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if any(isinstance(a, Array) for a in args):
            if getattr(np, self.__name__, None) is self._ufunc:
                return _apply(self.__name__, *args, **kwargs)
            return elemwise(self._ufunc, *args, **kwargs)
        return self._ufunc(*args, **kwargs)

    def outer(self, A: Any, B: Any, **kwargs: Any) -> Any:
        """The function of all pairs of elements."""
        if self.nin != 2:
            raise ValueError("outer needs a function of two arguments")
        if "out" in kwargs:
            raise ValueError("outer takes no out argument")
        if isinstance(A, Array) or isinstance(B, Array):
            return outer_of(self, A, B, **kwargs)
        return self._ufunc.outer(A, B, **kwargs)


class frompyfunc(ufunc):
    """A Python function of numbers as a function of elements; answers objects.

    >>> import oxidask.array as da
    >>> frompyfunc(lambda x: x + 1, 1, 1)(da.arange(2, chunks=1)).compute()
    array([1, 2], dtype=object)
    """

    def __init__(self, func: Callable[..., Any], nin: int, nout: int) -> None:
        if nout > 1:
            raise NotImplementedError("frompyfunc with more than one output is not supported")
        self._python = (func, nin, nout)
        self._ufunc = PyUfunc(func, nin, nout)
        self.__name__ = f"frompyfunc-{getattr(func, '__name__', 'func')}"

    def __repr__(self) -> str:
        return f"da.frompyfunc<{getattr(self._python[0], '__name__', 'func')}, {self._python[1]}, {self._python[2]}>"

    def __dask_tokenize__(self) -> Any:
        from oxidask.tokenize import tokenize

        return ("frompyfunc", tokenize(self._python))


class PyUfunc:
    """NumPy's ``frompyfunc``, in a form that pickles."""

    def __init__(self, func: Callable[..., Any], nin: int, nout: int) -> None:
        self.func, self.nin, self.nout = func, nin, nout
        self.__name__ = getattr(func, "__name__", "func")
        self.ufunc = np.frompyfunc(func, nin, nout)
        self.ntypes, self.nargs, self.types, self.identity = (
            getattr(self.ufunc, n) for n in ("ntypes", "nargs", "types", "identity")
        )
        self.signature = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.ufunc(*args, **kwargs)

    def outer(self, *args: Any, **kwargs: Any) -> Any:
        """The function of all pairs of elements."""
        return self.ufunc.outer(*args, **kwargs)

    def __reduce__(self) -> Any:
        return PyUfunc, (self.func, self.nin, self.nout)


def _elementwise(name: str, example: str = "[1.0, -2.0]") -> Callable[..., Array]:
    function_of_blocks = getattr(np, name)

    def function(x: Any, *args: Any, **kwargs: Any) -> Array:
        if _plain((x, *args)):
            return function_of_blocks(x, *args, **kwargs)  # type: ignore[no-any-return]
        return elemwise(function_of_blocks, asanyarray(x), *args, **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""Elementwise ``{name}``, with the arguments and results of :func:`numpy.{name}`.

    >>> import numpy as np
    >>> import oxidask.array as da
    >>> bool((da.{name}(da.from_array(np.array({example}), chunks=1)).compute() == np.{name}(np.array({example}))).all())
    True
    """
    function.__module__ = __name__
    return function


#: Functions of elements that are no ufuncs in NumPy, with samples of arguments.
ELEMENTWISE = {
    "angle": "[1.0, -2.0]",
    "real": "[1.0, -2.0]",
    "imag": "[1.0, -2.0]",
    "iscomplex": "[1.0, -2.0]",
    "isreal": "[1.0, -2.0]",
    "isneginf": "[1.0, -2.0]",
    "isposinf": "[1.0, -2.0]",
    "i0": "[1.0, 2.0]",
    "sinc": "[1.0, 0.5]",
    "nan_to_num": "[1.0, -2.0]",
}
for _name, _sample in ELEMENTWISE.items():
    globals()[_name] = _elementwise(_name, _sample)


class Pick:
    """One of the results of a ufunc with several."""

    def __init__(self, name: str, which: int) -> None:
        self.name, self.which = name, which
        self.__name__ = name

    def __call__(self, *blocks: Any) -> Any:
        return getattr(np, self.name)(*blocks)[self.which]


def _two(name: str) -> Callable[..., tuple[Array, Array]]:
    def function(*args: Any, **kwargs: Any) -> tuple[Array, Array]:
        if any(value is not None for value in kwargs.values()):
            raise NotImplementedError(f"{name} takes no keyword arguments")
        if _plain(args):
            return getattr(np, name)(*args)  # type: ignore[no-any-return]
        args = tuple(asanyarray(x) if not np.isscalar(x) else x for x in args)
        return elemwise(Pick(name, 0), *args), elemwise(Pick(name, 1), *args)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""Elementwise ``{name}``: the two arrays of :func:`numpy.{name}`.

    >>> len({name}(*[[1.5, 2.5]] * np.{name}.nin))
    2
    """
    function.__module__ = __name__
    return function


modf, frexp, divmod = _two("modf"), _two("frexp"), _two("divmod")


def clip(a: Any, min: Any = None, max: Any = None, out: Any = None, *, a_min: Any = None, a_max: Any = None) -> Array:
    """Elements beyond a bound replaced by it.

    >>> clip([1, 5, 9], 2, 8).compute()
    array([2, 5, 8])
    """
    from oxidask.array.core import _into, _is_native_operand, _operand, _wrap, native

    low, high = (min if a_min is None else a_min), (max if a_max is None else a_max)
    if _is_rows(a):
        return a.clip(low, high)  # type: ignore[no-any-return]
    a = asanyarray(a)
    if low is None and high is None:
        return _into(out, a)  # type: ignore[no-any-return]
    if native(a) and all(b is None or _is_native_operand(b) for b in (low, high)):
        try:
            bounds = [None if b is None else _operand(b) for b in (low, high)]
            return _into(out, _wrap(a._core.clip(*bounds)))  # type: ignore[no-any-return]
        except TypeError:
            pass
    return elemwise(np.clip, a, low, high, out=out)


__all__ = [*NAMES, *ELEMENTWISE, "clip", "divmod", "frexp", "frompyfunc", "modf"]
