"""Linear algebra of stacks of small matrices: each is one chunk, and NumPy's function answers for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oxidask.array._meta import quiet
from oxidask.array.blockwise import unify_chunks
from oxidask.array.convert import asanyarray
from oxidask.array.core import Array
from oxidask.array.gufunc import apply_gufunc

__all__ = [
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "matrix_power",
    "matrix_rank",
    "pinv",
    "slogdet",
    "svdvals",
    "trace",
]


class Linear:
    """A function of NumPy's linear algebra on the last two axes of a block."""

    def __init__(self, name: str, n_arrays: int, args: Any, kwargs: Any) -> None:
        self.__name__, self.n_arrays, self.args, self.kwargs = name, n_arrays, args, kwargs

    def __call__(self, *blocks: Any) -> Any:
        made = getattr(np.linalg, self.__name__)(*blocks, *self.args, **self.kwargs)
        return tuple(made) if isinstance(made, tuple) else made


def on_stacks(name: str, signature: str, arrays: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
    """A function of ``numpy.linalg`` on the last two axes of arrays, each made one chunk along them.

    ``p`` and ``q`` in the signature are the rows and columns of the first array, ``k`` the fewer of them.
    """
    arrays = [asanyarray(x) for x in arrays]
    for x in arrays:
        if x.ndim < 2:
            raise ValueError(f"{name} needs matrices, not an array of shape {x.shape}")
    arrays = [x.rechunk({x.ndim - 2: -1, x.ndim - 1: -1}) for x in arrays]
    if len(arrays) > 1:
        # Stacks lie on one another, block by block; the matrices are blocks of their own.
        pairs = [y for i, x in enumerate(arrays) for y in (x, (*range(-x.ndim, -2), f"rows{i}", f"columns{i}"))]
        _, arrays = unify_chunks(*pairs)
    n, m = arrays[0].shape[-2:]
    if signature.startswith("(p,p)") and n != m:
        raise ValueError(f"{name} needs square matrices, not an array of shape {arrays[0].shape}")
    with quiet():
        sample = getattr(np.linalg, name)(*[np.eye(2, dtype=x.dtype) for x in arrays], *args, **kwargs)
    several = isinstance(sample, tuple)
    kinds = [np.asarray(part).dtype for part in (sample if several else (sample,))]
    made = apply_gufunc(
        Linear(name, len(arrays), args, kwargs),
        signature,
        *arrays,
        output_dtypes=kinds if several else kinds[0],
        output_sizes={"p": n, "q": m, "k": min(n, m)},
    )
    # NumPy names the parts; so do we.
    return type(sample)(*made) if several else made


def _stacked(name: str, signature: str, doc: str, nout: int = 1, tolerance: bool = False) -> Any:
    if tolerance:

        def function(x: Any, /, *args: Any, rtol: Any = None, **kwargs: Any) -> Any:
            return on_stacks(name, signature, [x], *args, **kwargs, **({} if rtol is None else {"rtol": rtol}))
    else:

        def function(x: Any, /, *args: Any, **kwargs: Any) -> Any:  # type: ignore[misc]
            return on_stacks(name, signature, [x], *args, **kwargs)

    power = ", 2" if name == "matrix_power" else ""
    function.__name__ = function.__qualname__ = name
    function.__module__ = "oxidask.array.linalg"
    function.__doc__ = f"""{doc} of matrices that become one chunk each; as :func:`numpy.linalg.{name}`.

    >>> import numpy as np
    >>> x = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> ours, numpys = {name}(x{power}), np.linalg.{name}(x{power})
    >>> bool(np.allclose({"ours[0]" if nout > 1 else "ours"}, {"numpys[0]" if nout > 1 else "numpys"}))
    True
    """
    return function


eigh = _stacked("eigh", "(p,p)->(p),(p,p)", "Eigenvalues and eigenvectors of symmetric", 2)
eigvalsh = _stacked("eigvalsh", "(p,p)->(p)", "Eigenvalues of symmetric")
det = _stacked("det", "(p,p)->()", "Determinants")
slogdet = _stacked("slogdet", "(p,p)->(),()", "Signs and logarithms of determinants", 2)
pinv = _stacked("pinv", "(p,q)->(q,p)", "Pseudo-inverses", tolerance=True)
cond = _stacked("cond", "(p,q)->()", "Condition numbers")
matrix_rank = _stacked("matrix_rank", "(p,q)->()", "Ranks", tolerance=True)
matrix_power = _stacked("matrix_power", "(p,p)->(p,p)", "Powers")
svdvals = _stacked("svdvals", "(p,q)->(k)", "Singular values")


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Array:
    """The cross products of vectors of three elements, which broadcast.

    >>> cross([1, 0, 0], [0, 1, 0]).compute()
    array([0, 0, 1])
    """
    from oxidask.array.shaping import broadcast_arrays, moveaxis
    from oxidask.array.stacking import stack

    a, b = (asanyarray(x) for x in (x1, x2))
    if a.shape[axis] != 3 or b.shape[axis] != 3:
        raise ValueError(
            f"cross products need 3 elements along axis {axis}, and the arrays have shapes {a.shape} and {b.shape}"
        )
    a, b = broadcast_arrays(a, b)
    (a0, a1, a2), (b0, b1, b2) = (tuple(moveaxis(x, axis, 0)) for x in (a, b))
    made = stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0])
    return moveaxis(made.rechunk({0: 3}), 0, axis)


def diagonal(x: Any, /, *, offset: int = 0) -> Array:
    """The diagonals of stacks of matrices.

    >>> diagonal([[1, 2], [3, 4]]).compute()
    array([1, 4])
    """
    from oxidask.array.creation import diagonal as plain

    return plain(x, offset=offset, axis1=-2, axis2=-1)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """The sums of diagonals of stacks of matrices.

    >>> trace([[1, 2], [3, 4]]).compute()
    np.int64(5)
    """
    return diagonal(x, offset=offset).sum(axis=-1, dtype=dtype)
