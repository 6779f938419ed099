"""What the array API standard lets programs ask about a namespace."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["__array_namespace_info__"]

DEVICE = "cpu"


def check_device(device: Any) -> None:
    """Refuses every device but the only one."""
    if device not in (None, DEVICE):
        raise ValueError(f"there is no device {device!r}\nhint: the only one is {DEVICE!r}")


class __array_namespace_info__:
    """The capabilities, devices and dtypes of :mod:`oxidask.array`.

    Examples
    --------
    >>> import oxidask.array as da
    >>> info = da.__array_namespace_info__()
    >>> info.capabilities()["boolean indexing"], info.devices()
    (True, ['cpu'])
    >>> sorted(info.dtypes(kind="real floating"))
    ['float32', 'float64']
    """

    __module__ = "oxidask.array"

    def capabilities(self) -> dict[str, Any]:
        """Whether results may have shapes that depend on data, and how many axes there can be."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """The only device."""
        return DEVICE

    def devices(self) -> list[str]:
        """All devices."""
        return [DEVICE]

    def default_dtypes(self, *, device: str | None = None) -> dict[str, np.dtype]:
        """The dtypes of arrays made without one."""
        check_device(device)
        return {
            "real floating": np.dtype(np.float64),
            "complex floating": np.dtype(np.complex128),
            "integral": np.dtype(np.int64),
            "indexing": np.dtype(np.int64),
        }

    def dtypes(self, *, device: str | None = None, kind: str | tuple[str, ...] | None = None) -> dict[str, np.dtype]:
        """The dtypes of the standard, all or of some kinds, by name."""
        check_device(device)
        return np.__array_namespace_info__().dtypes(kind=kind)
