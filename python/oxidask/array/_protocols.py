"""Answers to NumPy's functions and to the array API standard."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from oxidask.array.core import CHUNK_TYPES, Array


def call_function(func: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
    """Answers a function of NumPy that got a lazy array."""
    import oxidask.array as da

    for kind in types:
        if not issubclass(kind, Array | np.ndarray) and not _known(kind):
            return NotImplemented
    module: Any = da
    for part in (func.__module__ or "numpy").split(".")[1:]:
        if part.startswith("_") or part == "lib":
            continue
        module = getattr(module, part, None)
        if module is None:
            return _computed(func, args, kwargs)
    ours = getattr(module, func.__name__, None)
    if ours is None or ours is func:
        return _computed(func, args, kwargs)
    return ours(*args, **kwargs)


def _known(kind: type) -> bool:
    """Whether arrays of a class may stand beside lazy ones: as blocks, or as lazy ones of another library."""
    module = kind.__module__.split(".")[0]
    return module in ("sparse", "cupy", "dask", "scipy") or any(issubclass(kind, known) for known in CHUNK_TYPES)


def _computed(func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """NumPy's own function, on computed arrays."""
    warnings.warn(
        f"{func.__module__}.{func.__name__} has no lazy form here: its arrays are computed now and given to NumPy\n"
        "hint: map_blocks or apply_gufunc keep the work lazy",
        FutureWarning,
        stacklevel=4,
    )

    def plain(x: Any) -> Any:
        if isinstance(x, Array):
            return x.compute()
        if isinstance(x, list | tuple):
            return type(x)(plain(y) for y in x)
        return x

    return func(*[plain(x) for x in args], **{k: plain(v) for k, v in kwargs.items()})


def namespace(version: str | None) -> Any:
    """The module that has the functions of the array API standard."""
    if version is not None and version not in ("2021.12", "2022.12", "2023.12", "2024.12"):
        raise ValueError(f"version {version!r} of the array API standard is not supported\nhint: use '2024.12'")
    import oxidask.array as da

    return da
