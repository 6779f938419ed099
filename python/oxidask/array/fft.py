"""Fourier transforms along axes that are whole in one chunk."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from oxidask import _oxidask
from oxidask.array._info import check_device
from oxidask.array._meta import quiet
from oxidask.array.blockwise import blockwise
from oxidask.array.convert import asanyarray
from oxidask.array.core import Array, _wrap, native
from oxidask.array.shaping import axis_of, roll

#: The transforms, and how long the last axis of a result is.
_LENGTHS: dict[str, Callable[[int], int]] = {
    "fft": lambda n: n,
    "ifft": lambda n: n,
    "fft2": lambda n: n,
    "ifft2": lambda n: n,
    "fftn": lambda n: n,
    "ifftn": lambda n: n,
    "rfft": lambda n: n // 2 + 1,
    "rfft2": lambda n: n // 2 + 1,
    "rfftn": lambda n: n // 2 + 1,
    "irfft": lambda n: 2 * (n - 1),
    "irfft2": lambda n: 2 * (n - 1),
    "irfftn": lambda n: 2 * (n - 1),
    "hfft": lambda n: 2 * (n - 1),
    "ihfft": lambda n: n // 2 + 1,
}


class Transform:
    """A transform of a block."""

    def __init__(self, func: Callable[..., Any], kwargs: dict[str, Any]) -> None:
        self.func, self.kwargs = func, kwargs
        self.__name__ = getattr(func, "__name__", "fft")

    def __call__(self, block: Any) -> Any:
        return self.func(block, **self.kwargs)


def _whole(a: Array, axes: Sequence[int], name: str) -> None:
    for axis in axes:
        if a.numblocks[axis] > 1:
            raise ValueError(
                f"an FFT needs its axes in one chunk each, and axis {axis} has {a.chunks[axis]}\n"
                f"hint: call rechunk({{{axis}: -1}}) first"
            )


def fft_wrap(
    fft_func: Callable[..., Any], kind: str | None = None, dtype: Any = None, allow_fftpack: bool = False
) -> Callable[..., Array]:
    """A transform of NumPy's or SciPy's kind for lazy arrays.

    Parameters
    ----------
    fft_func : callable
        Such as ``numpy.fft.fft`` or ``scipy.fft.rfftn``.
    kind : str, optional
        Which transform it is, if its name does not say so.
    dtype : dtype, optional
        Of the result.
    allow_fftpack : bool
        Accepted for compatibility.

    Examples
    --------
    >>> import oxidask.array as da
    >>> fft_wrap(np.fft.fft)(da.ones(4, chunks=4)).compute().real
    array([4., 0., 0., 0.])
    """
    if getattr(fft_func, "__module__", "").startswith("scipy.fftpack") and not allow_fftpack:
        raise ValueError("scipy.fftpack has other shapes of results\nhint: use scipy.fft, or allow_fftpack=True")
    kind = fft_func.__name__ if kind is None else kind
    if kind.rstrip("2n") not in {k.rstrip("2n") for k in _LENGTHS}:
        raise ValueError(f"there is no FFT of kind {kind!r}")
    several = kind.endswith(("2", "n"))

    def transform(a: Any, n: Any, axes: Any, extra: dict[str, Any]) -> Array:
        a = asanyarray(a)
        if axes is None:
            axes = (-2, -1) if kind.endswith("2") else tuple(range(a.ndim)) if n is None else tuple(range(-len(n), 0))
        axes = tuple(axis_of(axis, a.ndim) for axis in axes)
        if len(axes) == 0:
            return a
        if len(set(axes)) < len(axes):
            raise ValueError(f"an axis comes twice in {axes}")
        _whole(a, axes, kind)
        lengths = None if n is None else tuple(int(m) for m in n)
        if lengths is not None and len(lengths) != len(axes):
            raise ValueError(f"{len(lengths)} lengths do not fit {len(axes)} axes")
        if lengths is not None and any(m < 1 for m in lengths):
            raise ValueError(f"invalid number of data points in {lengths}: they must be positive")
        sizes = {axis: a.shape[axis] if lengths is None else m for axis, m in zip(axes, lengths or axes, strict=True)}
        last = axes[-1]
        rule = _LENGTHS[kind]
        if lengths is None or not kind.startswith(("irfft", "hfft")):
            sizes[last] = rule(sizes[last])
        # In single precision NumPy's last digits are its own.
        double = a.dtype.kind in "biu" or a.dtype in (np.float64, np.complex128)
        if native(a) and double and dtype is None and fft_func is getattr(np.fft, kind, None):
            try:
                # Whole numbers are transformed in double precision, however short they are.
                core = a._core.astype("float64") if a.dtype.kind in "biu" else a._core
                made = _oxidask.array_fourier(
                    core, kind.rstrip("2n"), None if lengths is None else list(lengths), list(axes), extra.get("norm")
                )
                return _wrap(made)
            except TypeError:
                pass
        kwargs: dict[str, Any] = (
            {"s": lengths, "axes": axes} if several else {"n": None if lengths is None else lengths[0], "axis": axes[0]}
        )
        function = Transform(fft_func, {**kwargs, **extra})
        kindof = dtype
        if kindof is None:
            with quiet():
                kindof = fft_func(
                    np.ones((2,) * a.ndim, dtype=a.dtype), **({"axes": axes} if several else {"axis": axes[0]})
                ).dtype
        ind = tuple(range(a.ndim))
        return blockwise(
            function, ind, a, ind, adjust_chunks=sizes, dtype=kindof, meta=np.empty((0,) * a.ndim, kindof), token=kind
        )

    if several:

        def function(a: Any, s: Any = None, axes: Any = None, norm: str | None = None) -> Array:
            return transform(a, s, axes, {} if norm is None else {"norm": norm})

    else:

        def function(a: Any, n: Any = None, axis: int = -1, norm: str | None = None) -> Array:  # type: ignore[misc]
            return transform(a, None if n is None else (n,), (axis,), {} if norm is None else {"norm": norm})

    function.__name__ = function.__qualname__ = kind
    function.__module__ = __name__
    function.__doc__ = f"""The transform :func:`numpy.fft.{kind}` along axes that are whole in one chunk.

    Parameters
    ----------
    a : array_like
    {"s : sequence of int, optional" if several else "n : int, optional"}
        Lengths to which axes are cut or filled up with zeros.
    {"axes : sequence of int, optional" if several else "axis : int"}

    Raises
    ------
    ValueError
        If an axis has more than one chunk.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(16.0).reshape(4, 4)
    >>> bool(np.allclose({kind}(x).compute(), np.fft.{kind}(x)))
    True
    """
    return function


for _name in _LENGTHS:
    globals()[_name] = fft_wrap(getattr(np.fft, _name), kind=_name)


def fftfreq(n: int, d: float = 1.0, chunks: Any = "auto", *, dtype: Any = None, device: Any = None) -> Array:
    """The frequencies of a transform of ``n`` points.

    >>> fftfreq(4).compute()
    array([ 0.  ,  0.25, -0.5 , -0.25])
    """
    from oxidask.array.creation import arange
    from oxidask.array.routines import where

    at = arange(int(n), dtype=float, chunks=chunks)
    half = (int(n) + 1) // 2
    return _frequencies(where(at < half, at, at - int(n)) / (n * d), dtype, device)


def rfftfreq(n: int, d: float = 1.0, chunks: Any = "auto", *, dtype: Any = None, device: Any = None) -> Array:
    """The frequencies of a transform of ``n`` real points.

    >>> rfftfreq(4).compute()
    array([0.  , 0.25, 0.5 ])
    """
    from oxidask.array.creation import arange

    return _frequencies(arange(int(n) // 2 + 1, dtype=float, chunks=chunks) / (n * d), dtype, device)


def _frequencies(made: Array, dtype: Any, device: Any) -> Array:
    check_device(device)
    return made if dtype is None else made.astype(dtype)


def _shifted(x: Any, axes: Any, *, inverse: bool) -> Array:
    x = asanyarray(x)
    if axes is None:
        axes = range(x.ndim)
    elif isinstance(axes, int):
        axes = (axes,)
    for axis in axes:
        n = x.shape[axis]
        if math.isnan(n):
            raise ValueError("the lengths of axes must be known\nhint: call compute_chunk_sizes() first")
        half = n // 2 if not inverse else -(n // 2)
        chunks = x.chunks
        x = roll(x, half, axis)
        if x.chunks != chunks:
            x = x.rechunk(chunks)
    return x


def fftshift(x: Any, axes: Any = None) -> Array:
    """The zero frequency moved to the middle.

    >>> fftshift([0, 1, 2, 3]).compute()
    array([2, 3, 0, 1])
    """
    return _shifted(x, axes, inverse=False)


def ifftshift(x: Any, axes: Any = None) -> Array:
    """The inverse of :func:`fftshift`.

    >>> ifftshift([2, 3, 0, 1]).compute()
    array([0, 1, 2, 3])
    """
    return _shifted(x, axes, inverse=True)


__all__ = [*_LENGTHS, "fft_wrap", "fftfreq", "fftshift", "ifftshift", "rfftfreq"]
