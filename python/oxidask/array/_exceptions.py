"""Floating-point errors of the engine, handled as the caller wants NumPy's to be."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np

__all__ = ["report"]

_TEXTS = {"divide": "divide by zero", "over": "overflow", "invalid": "invalid value"}

#: What NumPy gives a function that was set with ``np.seterrcall``, besides the text.
_FLAGS = {"divide": 1, "over": 2, "invalid": 8}

_PACKAGE = str(Path(__file__).parents[1])


def report(noted: list[tuple[str, str]]) -> None:
    """Handles floating-point errors, pairs of a kind and a function, by ``np.errstate`` of the caller.

    Raises
    ------
    FloatingPointError
        For the first that the caller wants raised; those after it are forgotten.
    """
    modes = np.geterr()
    for kind, function in noted:
        _handle(modes[kind], kind, f"{_TEXTS[kind]} encountered in {function}")  # type: ignore[literal-required]


def _handle(mode: str, kind: str, text: str) -> None:
    if mode == "warn":
        warnings.warn(text, RuntimeWarning, stacklevel=_level_of_user())
    elif mode == "raise":
        raise FloatingPointError(text)
    elif mode == "print":
        print(f"Warning: {text}")
    elif mode == "call":
        if (function := np.geterrcall()) is not None:
            function(_TEXTS[kind], _FLAGS[kind])  # type: ignore[operator]
    elif mode == "log" and (log := np.geterrcall()) is not None:
        log.write(f"Warning: {text}\n")  # type: ignore[union-attr]


def _level_of_user() -> int:
    """The ``stacklevel`` that makes a warning of :func:`_handle` point to the user's line."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level
