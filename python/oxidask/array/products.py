"""Products of arrays: dot, matmul, tensordot, einsum, outer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from oxidask import _oxidask
from oxidask.array._meta import compute_meta, quiet
from oxidask.array.blockwise import blockwise, broadcast_shape
from oxidask.array.convert import asanyarray
from oxidask.array.core import Array, _wrap, native
from oxidask.array.shaping import axis_of

__all__ = ["dot", "einsum", "matmul", "outer", "tensordot", "vdot", "vecdot"]


def _both_native(a: Array, b: Array) -> bool:
    return native(a, b) and not {a.dtype.kind, b.dtype.kind} & set("mM")


class Contract:
    """A product of blocks with the summed axes kept, at length one."""

    def __init__(self, left: tuple[int, ...], right: tuple[int, ...], is_matmul: bool = False) -> None:
        self.left, self.right = left, right
        self.__name__ = "tensordot"

    def __call__(self, a: Any, b: Any) -> Any:
        if isinstance(a, np.ma.MaskedArray) or isinstance(b, np.ma.MaskedArray):
            a, b = np.ma.filled(a, 0), np.ma.filled(b, 0)
        product = np.tensordot(a, b, axes=(self.left, self.right))
        shape = list(product.shape)
        kept = [1 if i in self.left else None for i in range(a.ndim)]
        lengths = iter(shape)
        full = [1 if one else next(lengths) for one in kept] + list(lengths)
        return product.reshape(full)


def tensordot(lhs: Any, rhs: Any, axes: Any = 2) -> Array:
    """Sums of products over pairs of axes.

    Parameters
    ----------
    lhs, rhs : array_like
    axes : int or pair of sequences of int
        The last ``axes`` of ``lhs`` with the first of ``rhs``, or which of either.

    Raises
    ------
    ValueError
        If paired axes differ in length; both shapes are named.

    Examples
    --------
    >>> import oxidask.array as da
    >>> tensordot(da.ones((2, 3, 4), chunks=2), da.ones((3, 4, 5), chunks=2)).shape
    (2, 5)
    """
    lhs, rhs = asanyarray(lhs), asanyarray(rhs)
    if isinstance(axes, int | np.integer):
        pairs = [(i - axes, i) for i in range(axes)]
    else:
        left, right = ([a] if isinstance(a, int | np.integer) else list(a) for a in axes)
        if len(left) != len(right):
            raise ValueError(f"{len(left)} axes cannot be paired with {len(right)}")
        pairs = list(zip(left, right, strict=True))
    pairs = [(axis_of(a, lhs.ndim), axis_of(b, rhs.ndim)) for a, b in pairs]
    for a, b in pairs:
        if lhs.shape[a] != rhs.shape[b]:
            raise ValueError(f"shape-mismatch for sum: axis {a} of {lhs.shape} and axis {b} of {rhs.shape}")
    if _both_native(lhs, rhs):
        try:
            return _wrap(lhs._core.tensordot(rhs._core, pairs))
        except TypeError:
            pass
    with quiet():
        dtype = np.tensordot(np.ones((1,), lhs.dtype), np.ones((1,), rhs.dtype), 1).dtype
    left, right = tuple(a for a, _ in pairs), tuple(b for _, b in pairs)
    names_l = list(range(lhs.ndim))
    names_r = [("r", i) for i in range(rhs.ndim)]
    for a, b in pairs:
        names_r[b] = names_l[a]  # type: ignore[call-overload]
    out = [*names_l, *(n for i, n in enumerate(names_r) if i not in right)]
    masked = any(isinstance(x._meta, np.ma.MaskedArray) for x in (lhs, rhs))
    partial = blockwise(
        Contract(left, right),
        tuple(out),
        lhs,
        tuple(names_l),
        rhs,
        tuple(names_r),
        dtype=dtype,
        adjust_chunks={names_l[a]: 1 for a in left},
        meta=np.empty((0,) * len(out), dtype),
        token="tensordot",
    )
    del masked
    return partial.sum(axis=left) if left else partial


def dot(a: Any, b: Any) -> Array:
    """The product of numbers, vectors and matrices, as :func:`numpy.dot`.

    >>> dot([1, 2], [3, 4]).compute()
    np.int64(11)
    """
    a, b = asanyarray(a), asanyarray(b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return tensordot(a, b, axes=((a.ndim - 1,), (max(b.ndim - 2, 0),)))


def vdot(a: Any, b: Any) -> Array:
    """The sum of the products of all elements, those of the first conjugated.

    >>> vdot([[1, 2]], [[3, 4]]).compute()
    np.int64(11)
    """
    a, b = asanyarray(a), asanyarray(b)
    return dot((a.conj() if a.dtype.kind == "c" else a).ravel(), b.ravel())


def vecdot(x1: Any, x2: Any, axis: int = -1) -> Array:
    """The sums of products along one axis, the first conjugated.

    >>> vecdot([[1, 2]], [[3, 4]]).compute()
    array([11])
    """
    x1, x2 = asanyarray(x1), asanyarray(x2)
    # NumPy adds in the dtype of the products, where sums of small integers are wider.
    dtype = np.result_type(x1.dtype, x2.dtype)
    return ((x1.conj() if x1.dtype.kind == "c" else x1) * x2).sum(axis=axis, dtype=dtype)


def _matmul_blocks(a: Any, b: Any) -> Any:
    return np.matmul(a, b)[..., None, :]


def matmul(a: Any, b: Any) -> Array:
    """The matrix product; leading axes of stacks of matrices broadcast.

    >>> matmul([[1, 0], [0, 2]], [3, 4]).compute()
    array([3, 8])
    """
    a, b = asanyarray(a), asanyarray(b)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError("matmul takes arrays of at least one axis, not scalars\nhint: multiply by a scalar with *")
    if _both_native(a, b):
        try:
            return _wrap(a._core.matmul(b._core))
        except TypeError:
            pass
    one_a, one_b = a.ndim == 1, b.ndim == 1
    a = a[None, :] if one_a else a
    b = b[:, None] if one_b else b
    if a.shape[-1] != b.shape[-2] and not (math.isnan(a.shape[-1]) or math.isnan(b.shape[-2])):
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit: {a.shape[-1]} is not {b.shape[-2]}")
    n = max(a.ndim, b.ndim)
    broadcast_shape(a.shape[:-2], b.shape[:-2])
    a, b = (x[(None,) * (n - x.ndim) + (...,)] if x.ndim < n else x for x in (a, b))
    lead = tuple(range(n - 2))
    with quiet():
        meta = compute_meta(np.matmul, None, a, b)
        dtype = np.matmul(np.ones((1, 1), a.dtype), np.ones((1, 1), b.dtype)).dtype if meta is None else meta.dtype
    parts = blockwise(
        _matmul_blocks,
        (*lead, "i", "k", "j"),
        a,
        (*lead, "i", "k"),
        b,
        (*lead, "k", "j"),
        dtype=dtype,
        adjust_chunks={"k": 1},
        meta=np.empty((0,) * (n + 1), dtype),
        token="matmul",
    )
    made = parts.sum(axis=-2)
    if one_a:
        made = made[..., 0, :]
    if one_b:
        made = made[..., 0]
    return made


def outer(a: Any, b: Any) -> Array:
    """The products of all pairs of elements.

    >>> outer([1, 2], [3, 4]).compute()
    array([[3, 4],
           [6, 8]])
    """
    return asanyarray(a).ravel()[:, None] * asanyarray(b).ravel()[None, :]


def _einsum_of_pairs(arrays: list[Array], names: list[str], output: str, dtype: np.dtype) -> Array | None:
    """An einsum as products of two arrays each, by the engine; None where blocks of all of them are needed."""
    lengths: dict[str, Any] = {}
    for x, own in zip(arrays, names, strict=True):
        fits = all(lengths.setdefault(name, n) == n for name, n in zip(own, x.shape, strict=True))
        if not fits or len(set(own)) < len(own) or not native(x) or x.dtype.kind not in "iufc" or x.dtype == np.float16:
            return None
    if np.result_type(*[x.dtype for x in arrays]) != dtype or len(set(output)) < len(output):
        return None
    terms = [(x.astype(dtype), own) for x, own in zip(arrays, names, strict=True)]
    samples = [np.broadcast_to(np.empty((), dtype), x.shape) for x in arrays]
    path = np.einsum_path(f"{','.join(names)}->{output}", *samples, optimize="greedy")[0][1:]
    for step in path:
        chosen = [terms.pop(at) for at in sorted(step, reverse=True)][::-1]
        term = chosen[0]
        for i, other in enumerate(chosen[1:], start=2):
            needed = set(output).union(*[own for _, own in terms], *[own for _, own in chosen[i:]])
            term = _product(term, other, needed, dtype)
        terms.append(term)
    made, own = _summed(terms[0], set(output), dtype)
    return made.transpose(tuple(own.index(name) for name in output)) if own != output else made


def _summed(term: tuple[Array, str], needed: set[str], dtype: np.dtype) -> tuple[Array, str]:
    """The array without the axes that nothing else needs."""
    x, own = term
    gone = tuple(axis for axis, name in enumerate(own) if name not in needed)
    return (x.sum(axis=gone, dtype=dtype), "".join(n for n in own if n in needed)) if gone else term


def _product(left: tuple[Array, str], right: tuple[Array, str], needed: set[str], dtype: np.dtype) -> tuple[Array, str]:
    """The product of two arrays, summed over the axes that nothing else needs."""
    (a, own_a), (b, own_b) = _summed(left, needed | set(right[1]), dtype), _summed(right, needed | set(left[1]), dtype)
    common = [name for name in own_a if name in own_b]
    batch, summed = [n for n in common if n in needed], [n for n in common if n not in needed]
    only_a, only_b = ("".join(n for n in own if n not in common) for own in (own_a, own_b))
    if summed and only_a and only_b:
        pairs = [[(own_a.index(n), own_b.index(n)) for n in group] for group in (batch, summed)]
        return _wrap(_oxidask.array_contract(a._core, b._core, *pairs)), "".join(batch) + only_a + only_b
    # Little is multiplied: the products run into the sum.
    letters = "".join(common) + only_a + only_b
    spread = []
    for x, own in ((a, own_a), (b, own_b)):
        x = x.transpose(tuple(own.index(name) for name in letters if name in own))
        spread.append(x[tuple(slice(None) if name in own else None for name in letters)])
    return _summed((spread[0] * spread[1], letters), needed, dtype)


class Einsum:
    """An einsum of blocks with the summed axes kept, at length one."""

    __name__ = "einsum"

    def __init__(self, subscripts: str, kept: int, kwargs: dict[str, Any]) -> None:
        self.subscripts, self.kept, self.kwargs = subscripts, kept, kwargs

    def __call__(self, *blocks: Any) -> Any:
        made = np.asarray(np.einsum(self.subscripts, *blocks, **self.kwargs))
        return made.reshape(made.shape + (1,) * self.kept)


def einsum(*args: Any, dtype: Any = None, optimize: Any = False, split_every: Any = None, **kwargs: Any) -> Array:
    """Sums of products by Einstein's convention.

    Parameters
    ----------
    *args
        Subscripts and operands, as for :func:`numpy.einsum`.
    dtype : dtype, optional
    optimize : bool or str
        How blocks are multiplied.
    split_every : int, optional
        How many partial sums one task combines.

    Examples
    --------
    >>> import oxidask.array as da
    >>> einsum("ij,jk->ik", da.ones((2, 3), chunks=2), da.ones((3, 2), chunks=2)).compute()
    array([[3., 3.],
           [3., 3.]])
    """
    from numpy._core.einsumfunc import _parse_einsum_input

    operands = list(args)
    samples = [np.empty((1,) * len(getattr(x, "shape", np.shape(x)))) if isinstance(x, Array) else x for x in operands]
    inputs, output, _ = _parse_einsum_input(tuple(samples))
    if isinstance(operands[0], str):
        arrays = [asanyarray(x) for x in operands[1:]]
    else:
        arrays = [asanyarray(x) for x in operands[: 2 * (len(operands) // 2) : 2]]
    if dtype is None:
        dtype = np.result_type(*[x.dtype for x in arrays])
    names = inputs.split(",")
    made = _einsum_of_pairs(arrays, names, output, np.dtype(dtype))
    if made is not None:
        return made
    summed = tuple(sorted(set("".join(names)) - set(output)))
    # Of length one, an axis broadcasts; blockwise lines up what is equal.
    pairs: list[Any] = []
    for x, own in zip(arrays, names, strict=True):
        pairs += [x, tuple(own)]
    extra = {k: v for k, v in kwargs.items() if k in ("casting", "order")}
    function = Einsum(f"{inputs}->{output}", len(summed), {"dtype": dtype, "optimize": optimize, **extra})
    out = (*output, *summed)
    made = blockwise(
        function,
        out,
        *pairs,
        adjust_chunks=dict.fromkeys(summed, 1),
        dtype=dtype,
        meta=np.empty((0,) * len(out), dtype),
        token="einsum",
    )
    if not summed:
        return made
    return made.sum(axis=tuple(range(len(output), len(out))), split_every=split_every)
