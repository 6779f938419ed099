"""Linear algebra by blocks.

Factorisations of one block are NumPy's and SciPy's; what is here is how blocks
work together: trees of QR factorisations for tall arrays, rows and columns of
blocks for square ones.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

from oxidask import _oxidask
from oxidask.array._generic import _same, block_numbers, has_unknown, table
from oxidask.array._meta import quiet
from oxidask.array._norms import matrix_norm, norm, vector_norm
from oxidask.array._stacks import (
    cond,
    cross,
    det,
    diagonal,
    eigh,
    eigvalsh,
    matrix_power,
    matrix_rank,
    on_stacks,
    pinv,
    slogdet,
    svdvals,
    trace,
)
from oxidask.array.convert import asanyarray
from oxidask.array.core import Array, _wrap, native
from oxidask.array.products import matmul, outer, tensordot, vecdot
from oxidask.array.shaping import matrix_transpose

__all__ = [
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "lstsq",
    "lu",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "norm",
    "outer",
    "pinv",
    "qr",
    "sfqr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svd_compressed",
    "svd_flip",
    "svdvals",
    "tensordot",
    "trace",
    "tsqr",
    "vecdot",
    "vector_norm",
]


class Factor:
    """A factorisation of a block; answers a tuple."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        self.__name__, self.kwargs = name, kwargs

    def __call__(self, *blocks: Any) -> Any:
        import scipy.linalg

        blocks = tuple(np.asarray(b) for b in blocks)
        if self.__name__ == "qr":
            return np.linalg.qr(blocks[0])
        if self.__name__ == "svd":
            return tuple(np.linalg.svd(blocks[0], full_matrices=False))
        if self.__name__ == "lu":
            p, lower, upper = scipy.linalg.lu(blocks[0])
            return p, lower, upper
        return getattr(scipy.linalg, self.__name__)(*blocks, **self.kwargs)


class Part:
    """One part of a factorisation."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.__name__ = f"part-{at}"

    def __call__(self, parts: Any) -> Any:
        return parts[self.at]


def _nodes(function: Any, label: str, inputs: list[Array], reads: Any, shape: tuple[int, ...]) -> Array:
    """Objects by a table, in a grid of blocks of one object each."""
    from oxidask.tokenize import tokenize

    chunks = tuple((1,) * n for n in shape)
    token = tokenize(
        label,
        getattr(function, "kwargs", None),
        getattr(function, "at", None),
        shape,
        reads if isinstance(reads, np.ndarray) else list(reads),
    )
    return table(function, label, token, inputs, reads, chunks, np.empty((0,) * len(shape), object))  # type: ignore[no-any-return]


def _parts(nodes: Array, at: int, chunks: Any, dtype: Any) -> Array:
    """One part of every factorisation, as an array."""
    from oxidask.tokenize import tokenize

    flat = block_numbers(nodes.numblocks).ravel()
    reads = np.stack([np.zeros_like(flat), flat], -1)[:, None, :]
    return table(
        Part(at),
        f"part-{at}",
        tokenize("part", at, chunks),
        [nodes],
        reads,
        chunks,
        np.empty((0,) * len(chunks), dtype),
    )  # type: ignore[no-any-return]


def _two_axes(a: Any, name: str) -> Array:
    a = asanyarray(a)
    if a.ndim != 2:
        raise ValueError(f"{name} needs a matrix, not an array of shape {a.shape}")
    return a.astype(float) if a.dtype.kind in "iub" else a


def tsqr(data: Any, compute_svd: bool = False, _max_vchunk_size: int | None = None) -> Any:
    """QR of an array with many rows and one chunk of columns, by a tree of small ones.

    Parameters
    ----------
    data : array_like, shape (m, n)
    compute_svd : bool
        Whether to answer the singular value decomposition instead.

    Returns
    -------
    q, r or u, s, v

    Raises
    ------
    ValueError
        If there is more than one chunk of columns.

    Examples
    --------
    >>> import oxidask.array as da
    >>> q, r = tsqr(da.random.default_rng(0).normal(size=(20, 3), chunks=(5, 3)))
    >>> bool(np.allclose((q.T @ q).compute(), np.eye(3)))
    True
    """
    data = _two_axes(data, "qr")
    nr, nc = data.numblocks
    if nc != 1:
        raise ValueError(
            f"tsqr needs a matrix whose columns are in one chunk, not shape {data.shape} in chunks {data.chunks}"
            "\nhint: rechunk the second axis to a single chunk"
        )
    dtype = np.linalg.qr(np.ones((1, 1), data.dtype))[0].dtype
    n = data.shape[1]
    rows = data.chunks[0]
    if native(data) and dtype.kind == "f" and not has_unknown(data.chunks) and min(data.shape) > 0:
        q, r = (_as_blocks(_wrap(core)) for core in _oxidask.array_qr(data._core))
        q = q if q.chunks[0] == rows else q.rechunk({0: rows})
        if not compute_svd:
            return q, r
        u, s, vh = _svd_block(r, r.shape[0], n, dtype)
        return q.dot(u), s, vh
    first = _factor_rows(data)
    heights = [min(m, n) if m == m else n for m in rows]
    unknown = any(m != m for m in rows) or n != n
    if nr == 1:
        q = _parts(first, 0, (rows, (heights[0] if not unknown else float("nan"),)), dtype)
        r = _parts(first, 1, ((heights[0] if not unknown else float("nan"),), (n,)), dtype)
    else:
        nan = float("nan")
        q1 = (
            _parts(first, 0, (rows, (nan,)) if unknown else (rows, (n,)), dtype)
            if unknown or all(h == n for h in heights)
            else None
        )
        r1 = _parts(first, 1, (tuple(nan if unknown else h for h in heights), (n,)), dtype)
        r1 = _grouped(r1, max(2, 4))
        q2, r = tsqr(r1)
        q = _multiply_rows(first, q2, rows, heights, n, dtype, unknown)
        del q1
    if not compute_svd:
        return q, r
    k = r.shape[0]
    u, s, vh = _svd_block(r, k, n, dtype)
    return q.dot(u), s, vh


def _as_blocks(x: Array) -> Array:
    """The array with blocks of its own, which can be persisted, where they are parts of what a task answers."""
    flat = block_numbers(x.numblocks).ravel()
    reads = np.stack([np.zeros_like(flat), flat], -1)[:, None, :]
    return table(_same, "qr", "qr-part", [x], reads, x.chunks, x._meta)  # type: ignore[no-any-return]


def _factor_rows(data: Array) -> Array:
    flat = block_numbers(data.numblocks).ravel()
    reads = np.stack([np.zeros_like(flat), flat], -1)[:, None, :]
    return _nodes(Factor("qr"), "qr", [data], reads, (len(flat), 1))


def _grouped(r: Array, k: int) -> Array:
    """Factors stacked in groups."""
    sizes = r.chunks[0]
    groups = [sizes[i : i + k] for i in range(0, len(sizes), k)]
    if any(s != s for s in sizes):
        from oxidask.array._generic import join

        class_ = JoinRows()
        numbers = np.arange(len(sizes))
        rows = [np.array([[0, i] for i in numbers[at : at + k]]) for at in range(0, len(sizes), k)]
        del join
        return table(
            class_, "stack", f"stack-{k}", [r], rows, (tuple(float("nan") for _ in groups), r.chunks[1]), r._meta
        )  # type: ignore[no-any-return]
    return r.rechunk({0: tuple(sum(g) for g in groups)})


class JoinRows:
    """Blocks on top of one another."""

    __name__ = "stack"

    def __call__(self, *blocks: Any) -> Any:
        return np.concatenate(blocks)


class TimesRows:
    """The orthogonal factor of a block, times its rows of the next one."""

    __name__ = "qr-product"

    def __init__(self, starts: Any, counts: Any) -> None:
        self.starts, self.counts = starts, counts

    def __call__(self, factors: Any, *args: Any) -> Any:
        *others, number = args
        own = factors[0]
        if self.starts is None:
            # Sizes are found out only now: the next factor's rows come in order.
            heights = [f[0].shape[1] for f in others[:-1]]
            start = sum(heights)
            return own @ others[-1][start : start + own.shape[1]]
        start = self.starts[number]
        return own @ others[0][start : start + self.counts[number]]


def _multiply_rows(first: Array, q2: Array, rows: Any, heights: Any, n: Any, dtype: Any, unknown: bool) -> Array:
    nr = len(rows)
    k = 4
    group = np.arange(nr) // k
    if unknown:
        reads = []
        for i in range(nr):
            before = [[0, j] for j in range(int(group[i]) * k, i)]
            reads.append(np.array([[0, i], *before, [1, int(group[i])]]))
        times = TimesRows(None, None)
    else:
        starts, at = [], 0
        for i in range(nr):
            at = 0 if i % k == 0 else at
            starts.append(at)
            at += heights[i]
        times = TimesRows(starts, heights)
        reads = np.stack(
            [np.stack([np.zeros(nr, int), np.arange(nr)], -1), np.stack([np.ones(nr, int), group], -1)], axis=1
        )
    width = q2.shape[1]
    from oxidask.tokenize import tokenize

    return table(
        times,
        "qr",
        tokenize("rows", rows, heights),
        [first, q2],
        reads,
        (rows, (width,)),
        np.empty((0, 0), dtype),
        passes_block=True,
    )  # type: ignore[no-any-return]


def _svd_block(a: Array, m: Any, n: Any, dtype: Any) -> tuple[Array, Array, Array]:
    """The decomposition of an array of one block."""
    k = min(m, n) if m == m and n == n else float("nan")
    if m != m or n != n:
        k = n if n == n else m
    nodes = _nodes(Factor("svd"), "svd", [a], np.array([[[0, 0]]]), (1, 1))
    real = np.empty(0, dtype).real.dtype
    u = _parts(nodes, 0, ((m,), (k,)), dtype)
    flat = np.array([[[0, 0]]])
    s = table(Part(1), "part-1", "singular", [nodes], flat, ((k,),), np.empty((0,), real))
    vh = _parts(nodes, 2, ((k,), (n,)), dtype)
    return u, s, vh


def sfqr(data: Any, name: str | None = None) -> tuple[Array, Array]:
    """QR of an array with many columns and one chunk of rows.

    >>> import oxidask.array as da
    >>> q, r = sfqr(da.random.default_rng(0).normal(size=(3, 20), chunks=(3, 5)))
    >>> q.shape, r.shape
    ((3, 3), (3, 20))
    """
    del name
    data = _two_axes(data, "qr")
    nr, _ = data.numblocks
    if nr != 1:
        raise ValueError(f"sfqr needs a matrix whose rows are in one chunk: shape {data.shape}, chunks {data.chunks}")
    m, _n = data.shape
    sizes = data.chunks[1]
    if sizes and sizes[0] < m and len(sizes) > 1:
        done, wide, rest = 0, 0, list(sizes)
        while rest and wide < m:
            wide += rest.pop(0)
            done += 1
        data = data.rechunk({1: (wide, *rest)})
        sizes = data.chunks[1]
    first = data[:, : sizes[0]]
    q, r_first = tsqr(first)
    if len(sizes) == 1:
        return q, r_first
    from oxidask.array.stacking import concatenate

    right = q.T.conj() if q.dtype.kind == "c" else q.T
    return q, concatenate([r_first, right.dot(data[:, sizes[0] :])], axis=1)


class QRResult(NamedTuple):
    """The factors that :func:`qr` answers."""

    Q: Array
    R: Array


class SVDResult(NamedTuple):
    """The factors that :func:`svd` answers."""

    U: Array
    S: Array
    Vh: Array


def qr(a: Any, mode: str = "reduced") -> QRResult:
    """QR of a matrix with one chunk of rows or of columns.

    Parameters
    ----------
    a : array_like, shape (m, n)
    mode : {"reduced", "complete"}
        Matrices become one chunk each for the complete one, and in stacks of them.

    Raises
    ------
    NotImplementedError
        If both axes have several chunks.

    Examples
    --------
    >>> import oxidask.array as da
    >>> q, r = qr(da.eye(4, chunks=4))
    >>> q.shape
    (4, 4)
    """
    a = asanyarray(a)
    if a.ndim > 2 or mode == "complete":
        parts = {"reduced": "(p,q)->(p,k),(k,q)", "complete": "(p,q)->(p,p),(p,q)"}
        return QRResult(*on_stacks("qr", parts.get(mode, ""), [a], mode=mode))
    a = _two_axes(a, "qr")
    if mode != "reduced":
        raise NotImplementedError("mode is 'reduced' or 'complete'")
    if a.numblocks[1] == 1:
        return QRResult(*tsqr(a))
    if a.numblocks[0] == 1:
        return QRResult(*sfqr(a))
    raise NotImplementedError(
        f"qr needs a matrix with one axis in a single chunk, not chunks {a.chunks}\n"
        "hint: rechunk one axis to a single chunk"
    )


def svd(a: Any, coerce_signs: bool = True, full_matrices: bool = False) -> SVDResult:
    """Singular values and vectors of a matrix with one chunk of rows or of columns.

    Parameters
    ----------
    a : array_like, shape (m, n)
    coerce_signs : bool
        Whether signs are chosen so that results do not depend on chunks.
    full_matrices : bool
        Whether to complete the bases: matrices become one chunk each, as in stacks of them.

    Examples
    --------
    >>> import oxidask.array as da
    >>> u, s, vh = svd(da.eye(3, chunks=3))
    >>> s.compute()
    array([1., 1., 1.])
    """
    a = asanyarray(a)
    if a.ndim > 2 or full_matrices:
        parts = "(p,q)->(p,p),(k),(q,q)" if full_matrices else "(p,q)->(p,k),(k),(k,q)"
        return SVDResult(*on_stacks("svd", parts, [a], full_matrices=full_matrices))
    a = _two_axes(a, "svd")
    nb = a.numblocks
    if nb[0] > 1 and nb[1] > 1:
        raise NotImplementedError(
            f"svd needs one axis in a single chunk, but shape {a.shape} is in {nb} blocks"
            "\nhint: rechunk one axis, or use svd_compressed"
        )
    m, n = a.shape
    dtype = np.linalg.qr(np.ones((1, 1), a.dtype))[0].dtype
    if nb[0] == nb[1] == 1:
        u, s, v = _svd_block(a, m, n, dtype)
    else:
        flip = nb[0] < nb[1]
        u, s, v = tsqr(a.T if flip else a, compute_svd=True)
        k = min(m, n) if m == m and n == n else None
        if k is not None:
            u, v = u[:, :k], v[:k, :]
        if flip:
            u, v = v.T, u.T
    if coerce_signs:
        u, v = svd_flip(u, v)
    return SVDResult(u, s, v)


def svd_flip(u: Any, v: Any, u_based_decision: bool = False) -> tuple[Array, Array]:
    """Singular vectors with signs that do not depend on how they were found.

    >>> u, v = svd_flip([[1.0]], [[-1.0]])
    >>> u.compute(), v.compute()
    (array([[-1.]]), array([[1.]]))
    """
    from oxidask.array.routines import where

    u, v = asanyarray(u), asanyarray(v)
    basis = u.sum(axis=0, keepdims=True) if u_based_decision else v.sum(axis=1, keepdims=True).T
    if basis.dtype.kind == "c":
        basis = basis.real
    kind = u.real.dtype
    signs = where(basis < 0, np.asarray(-1, kind)[()], np.asarray(1, kind)[()]).astype(kind)
    return u * signs, v * signs.T


def compression_level(n: int, q: int, n_oversamples: int = 10, min_subspace_size: int = 20) -> int:
    """How many random directions find ``q`` of ``n`` singular values.

    >>> compression_level(100, 10)
    20
    """
    return int(min(max(min_subspace_size, q + n_oversamples), n))


def svd_compressed(
    a: Any,
    k: int,
    iterator: str = "power",
    n_power_iter: int = 0,
    n_oversamples: int = 10,
    seed: Any = None,
    compute: bool = False,
    coerce_signs: bool = True,
) -> tuple[Array, Array, Array]:
    """The largest singular values and their vectors, by random projections.

    Parameters
    ----------
    a : array_like, shape (m, n)
    k : int
        How many.
    iterator : {"power", "QR"}
        How iterations keep directions apart.
    n_power_iter : int
        More of them find small gaps between singular values.
    n_oversamples : int
        How many more random directions are taken.
    seed : int or RandomState, optional
    compute : bool
        Whether to keep intermediate results in memory.
    coerce_signs : bool
        As for :func:`svd`.

    Examples
    --------
    >>> import oxidask.array as da
    >>> u, s, vh = svd_compressed(da.ones((20, 20), chunks=10), 2, seed=0)
    >>> bool(np.allclose(s.compute(), [20, 0]))
    True
    """
    a = _two_axes(a, "svd_compressed")
    if iterator not in ("power", "QR", "none"):
        raise ValueError(f"unknown iterator {iterator!r}\nhint: use 'power', 'QR' or 'none'")
    level = compression_level(min(a.shape), k, n_oversamples)
    flip = a.shape[0] < a.shape[1]
    data = a.T if flip else a
    q = _range_of(data, level, iterator, n_power_iter, seed, compute)
    small = q.T.conj().dot(data) if q.dtype.kind == "c" else q.T.dot(data)
    if compute:
        small = small.persist()
    small = small.rechunk({0: -1})
    v, s, ut = tsqr(small.T, compute_svd=True)
    u = q.dot(ut.T)
    v = v.T
    if flip:
        u, v = v.T, u.T
    u, s, v = u[:, :k], s[:k], v[:k, :]
    return (*_signed(u, v, coerce_signs, s),)


def _signed(u: Array, v: Array, coerce_signs: bool, s: Array) -> tuple[Array, Array, Array]:
    if coerce_signs:
        u, v = svd_flip(u, v)
    return SVDResult(u, s, v)


def _range_of(data: Array, level: int, iterator: str, n_iter: int, seed: Any, compute: bool) -> Array:
    """An orthonormal basis of nearly all that a matrix maps to."""
    from oxidask.array import random

    state = seed if isinstance(seed, random.RandomState | random.Generator) else random.RandomState(seed)
    omega = state.normal(size=(data.shape[1], level), chunks=(data.chunks[1], (level,)))
    omega = omega.astype(data.dtype) if data.dtype == np.float32 else omega
    product = data.dot(omega)
    right = data.T.conj() if data.dtype.kind == "c" else data.T
    for _ in range(n_iter):
        if compute:
            product = product.persist()
        if iterator == "QR":
            q, _ = tsqr(product.rechunk({1: -1}))
            q, _ = tsqr(right.dot(q).rechunk({1: -1}))
            product = data.dot(q)
        else:
            product = data.dot(right.dot(product))
    q, _ = tsqr(product.rechunk({1: -1}))
    return q.persist() if compute else q  # type: ignore[no-any-return]


def _square_blocks(a: Array, name: str) -> Array:
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise ValueError(f"{name} needs a square matrix, not one of shape {a.shape}")
    if a.chunks[0] != a.chunks[1] or (len(set(a.chunks[0])) > 1 and len(set(a.chunks[0][:-1])) > 1):
        raise ValueError(f"{name} needs square blocks, with the same chunks along both axes\nhint: rechunk first")
    return a


class Call:
    """A function of blocks that is named, with its options."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        self.__name__, self.kwargs = name, kwargs

    def __call__(self, *blocks: Any) -> Any:
        import scipy.linalg

        blocks = tuple(np.asarray(b) for b in blocks)
        if self.__name__ == "minus_products":
            own, *pairs = blocks
            for left, right in zip(pairs[::2], pairs[1::2], strict=True):
                own = own - left @ right
            return own
        if self.__name__ == "dot":
            return operator.matmul(*blocks)
        if self.__name__ == "transpose":
            return blocks[0].conj().T
        if self.__name__ == "triangular":
            return scipy.linalg.solve_triangular(*blocks, **self.kwargs)
        if self.__name__ == "triangular_right":
            # x solves x @ u = b for an upper triangle u.
            upper, b = blocks
            return scipy.linalg.solve_triangular(upper.T, b.T, lower=True).T
        if self.__name__ == "cholesky":
            return scipy.linalg.cholesky(blocks[0], lower=True)
        return getattr(np, self.__name__)(*blocks)


def _grid(a: Array) -> list[list[Any]]:
    """The blocks of a matrix as delayed values."""
    return a.to_delayed().tolist()  # type: ignore[no-any-return]


def _assembled(rows: list[list[Any]], chunks: Any, dtype: Any, label: str, token: str) -> Array:
    """A matrix of delayed blocks; None stands for zeros."""
    from oxidask import delayed
    from oxidask.array.delayed import _over

    values = [
        block if block is not None else delayed(np.zeros)((m, n), dtype)
        for row, m in zip(rows, chunks[0], strict=True)
        for block, n in zip(row, chunks[1], strict=True)
    ]
    return _over(values, chunks, np.empty((0, 0), dtype), label, token)


def _lazy(name: str, *args: Any, **kwargs: Any) -> Any:
    from oxidask import delayed

    return delayed(Call(name, **kwargs), pure=True)(*args)


def _minus(own: Any, pairs: list[tuple[Any, Any]]) -> Any:
    return _lazy("minus_products", own, *[x for pair in pairs for x in pair]) if pairs else own


def lu(a: Any) -> tuple[Array, Array, Array]:
    """Permutation, lower and upper triangle of a square matrix of square chunks.

    >>> import oxidask.array as da
    >>> p, l, u = lu(da.eye(4, chunks=2) * 2)
    >>> bool(np.allclose((p @ l @ u).compute(), np.eye(4) * 2))
    True
    """
    from oxidask import delayed

    a = asanyarray(a)
    if a.ndim != 2:
        raise ValueError(f"lu needs a matrix, not an array of shape {a.shape}")
    a = _square_blocks(a, "lu")
    n = a.numblocks[0]
    with quiet():
        import scipy.linalg

        dtype = scipy.linalg.lu(np.ones((1, 1), a.dtype))[1].dtype
    blocks = _grid(a)
    lower: list[list[Any]] = [[None] * n for _ in range(n)]
    upper: list[list[Any]] = [[None] * n for _ in range(n)]
    perms: list[Any] = [None] * n
    for k in range(n):
        target = _minus(blocks[k][k], [(lower[k][j], upper[j][k]) for j in range(k)])
        parts = delayed(Factor("lu"), pure=True, nout=3)(target)
        perms[k], lower[k][k], upper[k][k] = parts[0], parts[1], parts[2]
        turn = _lazy("transpose", perms[k])
        # Rows that were exchanged within the block are exchanged in what lies left of it.
        for j in range(k):
            lower[k][j] = _lazy("dot", turn, lower[k][j])
        for j in range(k + 1, n):
            rest = _minus(_lazy("dot", turn, blocks[k][j]), [(lower[k][i], upper[i][j]) for i in range(k)])
            upper[k][j] = _lazy("triangular", lower[k][k], rest, lower=True)
            below = _minus(blocks[j][k], [(lower[j][i], upper[i][k]) for i in range(k)])
            lower[j][k] = _lazy("triangular_right", upper[k][k], below)
    diagonal_blocks: list[list[Any]] = [[perms[i] if i == j else None for j in range(n)] for i in range(n)]
    token = a.key
    p = _assembled(diagonal_blocks, a.chunks, dtype, "lu-p", f"lu-p-{token}")
    return (
        p,
        _assembled(lower, a.chunks, dtype, "lu-l", f"lu-l-{token}"),
        _assembled(upper, a.chunks, dtype, "lu-u", f"lu-u-{token}"),
    )


def cholesky(a: Any, lower: bool = False, *, upper: bool | None = None) -> Array:
    """The triangle whose product with itself is a positive definite matrix of square chunks.

    It is the upper one by default, as in Dask; ``upper`` says the same as ``not lower``.

    >>> import oxidask.array as da
    >>> cholesky(da.eye(2, chunks=1) * 4).compute()
    array([[2., 0.],
           [0., 2.]])
    """
    if upper is not None:
        lower = not upper
    a = asanyarray(a)
    if a.ndim > 2:
        return on_stacks("cholesky", "(p,p)->(p,p)", [a], upper=not lower)  # type: ignore[no-any-return]
    a = _square_blocks(a, "cholesky")
    n = a.numblocks[0]
    dtype = np.linalg.cholesky(np.eye(1, dtype=a.dtype)).dtype
    blocks = _grid(a)
    made: list[list[Any]] = [[None] * n for _ in range(n)]
    turned: list[list[Any]] = [[None] * n for _ in range(n)]
    for j in range(n):
        for i in range(j, n):
            rest = _minus(blocks[i][j], [(made[i][k], turned[k][j]) for k in range(j)])
            made[i][j] = _lazy("cholesky", rest) if i == j else _lazy("triangular_right", turned[j][j], rest)
            turned[j][i] = _lazy("transpose", made[i][j])
    result = made if lower else turned
    return _assembled(result, a.chunks, dtype, "cholesky", f"cholesky-{lower}-{a.key}")


def solve_triangular(a: Any, b: Any, lower: bool = False) -> Array:
    """The solution of a triangular system of square chunks.

    >>> import oxidask.array as da
    >>> solve_triangular(da.eye(2, chunks=1), da.ones(2, chunks=1)).compute()
    array([1., 1.])
    """
    a, b = asanyarray(a), asanyarray(b)
    if a.ndim != 2:
        raise ValueError("a must be 2 dimensional")
    if b.ndim not in (1, 2):
        raise ValueError("b must be 1 or 2 dimensional")
    if a.shape[1] != b.shape[0]:
        raise ValueError(
            f"a of shape {a.shape} does not fit b of shape {b.shape}: columns of a are to be as many as rows of b"
        )
    if a.chunks[1] != b.chunks[0]:
        raise ValueError(
            f"chunks {a.chunks[1]} of the columns of a differ from {b.chunks[0]} of the rows of b\nhint: rechunk one of them"
        )
    one = b.ndim == 1
    matrix = b[:, None] if one else b
    blocks, right = _grid(a), _grid(matrix)
    n, columns = a.numblocks[0], matrix.numblocks[1]
    with quiet():
        dtype = np.linalg.solve(np.eye(1, dtype=a.dtype), np.ones((1, 1), b.dtype)).dtype
    made: list[list[Any]] = [[None] * columns for _ in range(n)]
    order = range(n) if lower else range(n - 1, -1, -1)
    for i in order:
        known = range(i) if lower else range(i + 1, n)
        for j in range(columns):
            rest = _minus(right[i][j], [(blocks[i][k], made[k][j]) for k in known])
            made[i][j] = _lazy("triangular", blocks[i][i], rest, lower=lower)
    result = _assembled(
        made, (a.chunks[0], matrix.chunks[1]), dtype, "solve-triangular", f"solve-{lower}-{a.key}-{b.key}"
    )
    return result[:, 0] if one else result


def solve(a: Any, b: Any, sym_pos: bool | None = None, assume_a: str = "gen") -> Array:
    """The solution of a linear system of square chunks.

    Parameters
    ----------
    a : array_like, shape (m, m)
    b : array_like, shape (m,) or (m, k)
    sym_pos : bool, optional
        The same as ``assume_a="pos"``.
    assume_a : {"gen", "pos"}
        Whether the matrix is positive definite.

    Examples
    --------
    >>> import oxidask.array as da
    >>> solve(da.eye(2, chunks=1) * 2, da.ones(2, chunks=1)).compute()
    array([0.5, 0.5])
    """
    a, b = asanyarray(a), asanyarray(b)
    if sym_pos is not None:
        import warnings

        warnings.warn(
            "sym_pos is going away\nhint: use assume_a='pos'",
            FutureWarning,
            stacklevel=2,
        )
        assume_a = "pos" if sym_pos else "gen"
    if a.ndim > 2 or b.ndim > 2:
        right = b[..., None] if b.ndim == 1 else b
        made = on_stacks("solve", "(p,p),(p,r)->(p,r)", [a, right])
        return made[..., 0] if b.ndim == 1 else made  # type: ignore[no-any-return]
    if assume_a == "pos":
        lower = cholesky(a, lower=True)
        upper = lower.T.conj() if lower.dtype.kind == "c" else lower.T
    elif assume_a == "gen":
        p, lower, upper = lu(a)
        b = p.T.dot(b)
    else:
        raise ValueError(f"unknown assume_a {assume_a!r}\nhint: use 'pos' or 'gen'")
    return solve_triangular(upper, solve_triangular(lower, b, lower=True))


def inv(a: Any) -> Array:
    """The inverse of a square matrix of square chunks.

    >>> import oxidask.array as da
    >>> inv(da.eye(2, chunks=1) * 2).compute()
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    from oxidask.array.creation import eye

    a = asanyarray(a)
    if a.ndim > 2:
        return on_stacks("inv", "(p,p)->(p,p)", [a])  # type: ignore[no-any-return]
    # The identity in the dtype of the matrix widens no floats of 32 bits.
    dtype = a.dtype if a.dtype.kind in "fc" else float
    return solve(a, eye(a.shape[0], chunks=a.chunks[0][0], dtype=dtype).rechunk((a.chunks[0], a.chunks[0])))


def lstsq(a: Any, b: Any) -> tuple[Array, Array, Array, Array]:
    """The solution of least squares, residuals, rank and singular values.

    Parameters
    ----------
    a : array_like, shape (m, n), one chunk of columns
    b : array_like, shape (m,) or (m, k)

    Examples
    --------
    >>> import oxidask.array as da
    >>> x, *_ = lstsq(da.eye(3, chunks=3), da.ones(3, chunks=3))
    >>> x.compute()
    array([1., 1., 1.])
    """
    from oxidask.array.ufunc import sqrt  # type: ignore[attr-defined]

    a, b = asanyarray(a), asanyarray(b)
    q, r = qr(a)
    adjoint = q.T.conj() if q.dtype.kind == "c" else q.T
    x = solve_triangular(r, adjoint.dot(b))
    gap = b - a.dot(x)
    residuals = (abs(gap) ** 2).sum(axis=0, keepdims=b.ndim == 1)
    with quiet():
        kind = np.empty(0, r.dtype).real.dtype
    flat = np.array([[[0, 0]]])
    rank = table(Rank(), "matrix_rank", "rank", [r], flat, (), np.empty((), np.intp))
    gram = (r.T.conj() if r.dtype.kind == "c" else r.T).dot(r)
    s = table(Spectrum(), "eigvals", "spectrum", [gram.rechunk(-1)], flat, ((r.shape[0],),), np.empty((0,), kind))
    return x, residuals, rank, sqrt(s)


class Rank:
    """The rank of a block."""

    __name__ = "matrix_rank"

    def __call__(self, block: Any) -> Any:
        return np.asarray(np.linalg.matrix_rank(block))


class Spectrum:
    """The eigenvalues of a symmetric block, the largest first."""

    __name__ = "eigvalsh"

    def __call__(self, block: Any) -> Any:
        return np.maximum(np.linalg.eigvalsh(block)[::-1], 0)
