"""Parallel arrays, dataframes, bags and tasks: Dask's API on a Rust engine.

>>> import oxidask
>>> @oxidask.delayed
... def double(x):
...     return 2 * x
>>> oxidask.compute(double(1), double(2))
(2, 4)

Submodules are imported when they are first used, so that ``import oxidask``
costs little: ``oxidask.array``, ``oxidask.dataframe``, ``oxidask.bag``,
``oxidask.distributed``, ``oxidask.diagnostics``, ``oxidask.config`` and so on.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from oxidask import _oxidask
from oxidask._oxidask import __version__

# The submodule first: importing it later would hide the function of that name.
from oxidask import delayed as _delayed_module  # noqa: F401  isort: skip
from oxidask._oxidask import delayed

if TYPE_CHECKING:
    from oxidask import config
    from oxidask.base import (
        annotate,
        compute,
        get_annotations,
        is_dask_collection,
        optimize,
        persist,
        visualize,
    )
    from oxidask.core import istask
    from oxidask.local import get_sync as get

__all__ = [
    "__version__",
    "annotate",
    "compute",
    "config",
    "delayed",
    "get",
    "get_annotations",
    "is_dask_collection",
    "istask",
    "optimize",
    "persist",
    "visualize",
]

_NAMES = {
    "annotate": "oxidask.base",
    "compute": "oxidask.base",
    "get_annotations": "oxidask.base",
    "is_dask_collection": "oxidask.base",
    "optimize": "oxidask.base",
    "persist": "oxidask.base",
    "visualize": "oxidask.base",
    "istask": "oxidask.core",
}

_SUBMODULES = frozenset(
    {
        "array",
        "bag",
        "base",
        "bytes",
        "cache",
        "callbacks",
        "config",
        "core",
        "dataframe",
        "datasets",
        "diagnostics",
        "distributed",
        "errors",
        "executors",
        "graph_manipulation",
        "joblib",
        "local",
        "multiprocessing",
        "sizeof",
        "threaded",
        "tokenize",
        "utils",
    }
)


def __getattr__(name: str) -> Any:
    if name == "get":
        return importlib.import_module("oxidask.local").get_sync
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
        globals()[name] = value
        return value
    if name in _SUBMODULES:
        return importlib.import_module(f"oxidask.{name}")
    raise AttributeError(f"module 'oxidask' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})


if hasattr(os, "register_at_fork"):
    # A forked child must not repeat the random keys of its parent.
    os.register_at_fork(after_in_child=_oxidask.reseed_keys)
