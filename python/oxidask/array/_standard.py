"""What the array API standard has and Dask does not."""

from __future__ import annotations

from typing import Any

import numpy as np

from oxidask.array._info import check_device
from oxidask.array.blockwise import blockwise
from oxidask.array.convert import asanyarray, from_array
from oxidask.array.core import Array
from oxidask.array.shaping import axis_of

__all__ = ["can_cast", "from_dlpack", "take_along_axis", "unstack"]


def can_cast(from_: Any, to: Any, /, casting: str = "safe") -> bool:
    """Whether an array or dtype can be converted by a rule, as :func:`numpy.can_cast`.

    >>> can_cast("i4", "i8"), can_cast("f8", "i8")
    (True, False)
    """
    return np.can_cast(from_.dtype if isinstance(from_, Array) else from_, to, casting=casting)  # type: ignore[arg-type]


def from_dlpack(x: Any, /, *, device: str | None = None, copy: bool | None = None, chunks: Any = "auto") -> Array:
    """A lazy array over the memory of an array of any library that has DLPack.

    Parameters
    ----------
    x : object with ``__dlpack__``
        Of memory that this process can read. A lazy array is answered as it is.
    device : ``"cpu"``, optional
    copy : bool, optional
        Whether to copy; the memory is shared if that can be.
    chunks : int, tuple or str

    Raises
    ------
    BufferError
        If the memory is on another device, or cannot be shared and ``copy`` is False.

    Examples
    --------
    >>> import numpy as np
    >>> from_dlpack(np.arange(4), chunks=2).sum().compute()
    np.int64(6)
    """
    check_device(device)
    if isinstance(x, Array):
        return x
    return from_array(np.from_dlpack(x, copy=copy), chunks=chunks)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The arrays along an axis, which they do not have.

    >>> [part.compute().tolist() for part in unstack([[1, 2], [3, 4]], axis=1)]
    [[1, 3], [2, 4]]
    """
    x = asanyarray(x)
    before = (slice(None),) * axis_of(axis, x.ndim)
    return tuple(x[(*before, i)] for i in range(x.shape[axis]))


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Array:
    """For every position of ``indices``, the element of ``x`` with that number along an axis.

    Parameters
    ----------
    x : array_like
        A task sees it whole along ``axis``, where it has chunks there.
    indices : array_like of int
        With as many axes as ``x``; the other lengths broadcast.
    axis : int

    Examples
    --------
    >>> take_along_axis([[30, 10, 20]], [[1, 2, 0]]).compute()
    array([[10, 20, 30]])
    """
    x, indices = asanyarray(x), asanyarray(indices)
    if x.ndim != indices.ndim:
        raise ValueError(f"the array and its indices need as many axes, and have shapes {x.shape} and {indices.shape}")
    if indices.dtype.kind not in "iu":
        raise IndexError(f"indices are integers, not {indices.dtype}")
    axis = axis_of(axis, x.ndim)
    labels = tuple(range(x.ndim))
    source = tuple("along" if a == axis else a for a in labels)
    return blockwise(np.take_along_axis, labels, x, source, indices, labels, axis=axis, concatenate=True, dtype=x.dtype)
