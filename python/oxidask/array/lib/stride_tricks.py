"""Windows over arrays."""

from __future__ import annotations

from oxidask.array.overlap import sliding_window_view

__all__ = ["sliding_window_view"]
