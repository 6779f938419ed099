"""What a function answers, found out by calling it with empty blocks."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from oxidask.array._generic import empty_block

__all__ = ["compute_meta", "meta_from_array"]


def meta_from_array(x: Any, ndim: int | None = None, dtype: Any = None) -> Any:
    """An empty block like the blocks of an array.

    Parameters
    ----------
    x : array_like, type or None
    ndim : int, optional
        That of ``x`` by default.
    dtype : dtype, optional
        That of ``x`` by default.

    Examples
    --------
    >>> meta_from_array([1, 2], ndim=2).shape
    (0, 0)
    """
    x = getattr(x, "_meta", x)
    if isinstance(x, list | tuple):
        x = np.asarray(x)
    if ndim is None:
        ndim = getattr(x, "ndim", 0)
    return empty_block(x, ndim, None if dtype is None else np.dtype(dtype))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of a call that only shows a dtype."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def compute_meta(func: Callable[..., Any], dtype: Any, *args: Any, **kwargs: Any) -> Any:
    """What ``func`` answers for empty blocks in place of arrays; None if it refuses them.

    >>> compute_meta(np.add, None, np.empty(0), 1).dtype
    dtype('float64')
    """
    from oxidask.array.core import Array

    def empty(x: Any) -> Any:
        return x._meta if isinstance(x, Array) else x

    with quiet():
        try:
            meta = func(*[empty(x) for x in args], **{name: empty(x) for name, x in kwargs.items()})
        except Exception:
            return None
    if isinstance(meta, tuple | list) or not hasattr(meta, "dtype"):
        if np.isscalar(meta):
            meta = np.asarray(meta)
        else:
            return None
    if not hasattr(meta, "ndim"):
        return None
    if np.isscalar(meta):
        meta = np.asarray(meta)
    if dtype is not None and meta.dtype != dtype:
        meta = meta.astype(dtype)
    return meta


def result_of_ones(func: Callable[..., Any], args: Any, kwargs: dict[str, Any], name: str) -> Any:
    """What ``func`` answers for blocks of one element each, where empty ones do not do.

    Raises
    ------
    ValueError
        If it raises; the message says how to announce the dtype.
    """
    from oxidask.array.core import Array

    def sample(x: Any) -> Any:
        return np.ones((1,) * x.ndim, dtype=x.dtype) if isinstance(x, Array) else x

    try:
        with quiet():
            return func(*[sample(x) for x in args], **{key: sample(x) for key, x in kwargs.items()})
    except Exception as error:
        raise ValueError(
            f"`dtype` inference failed in `{name}`: the dtype of what {getattr(func, '__name__', func)!r} answers could"
            f" not be found out by calling it with arrays of one element: {type(error).__name__}: {error}"
            "\nhint: say it with dtype="
        ) from error
