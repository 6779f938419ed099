"""NumPy's elementwise functions, one for each row of the engine's table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oxidask._oxidask import array_functions
from oxidask.array.core import Array, _apply

#: The names of all elementwise functions and how many arguments they take.
NAMES: dict[str, int] = dict(array_functions())

#: Arguments of the examples, for functions that are not defined everywhere.
_EXAMPLES = {
    "arccosh": "[1.0, 2.0]",
    "arctanh": "[0.0, 0.5]",
    "arcsin": "[0.0, 0.5]",
    "arccos": "[0.0, 0.5]",
}
_INTEGERS = {"bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "invert", "left_shift", "right_shift"}


def _is_rows(x: Any) -> bool:
    """Whether ``x`` is a column or frame, of pandas or a lazy one: NumPy's function keeps it one."""
    return type(x).__module__.startswith(("pandas.", "oxidask.dataframe."))


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

        def function(x: Any, /, *, out: Any = None, dtype: Any = None) -> Any:
            if not isinstance(x, Array) and (_is_rows(x) or not hasattr(x, "__len__")):
                return getattr(np, name)(x)
            return _apply(name, x, out=out, dtype=dtype)

    else:

        def function(x1: Any, x2: Any, /, *, out: Any = None, dtype: Any = None) -> Any:
            if _is_rows(x1) or _is_rows(x2):
                return getattr(np, name)(x1, x2)
            return _apply(name, x1, x2, out=out, dtype=dtype)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


for _name, _arity in NAMES.items():
    globals()[_name] = _ufunc(_name, _arity)


def divmod(x1: Any, x2: Any) -> tuple[Array, Array]:
    """The floor of the quotient, and the remainder.

    >>> import oxidask.array as da
    >>> [y.compute().tolist() for y in divmod(da.arange(4, chunks=2), 3)]
    [[0, 0, 0, 1], [0, 1, 2, 0]]
    """
    return _apply("floor_divide", x1, x2), _apply("remainder", x1, x2)


__all__ = [*NAMES, "divmod"]
