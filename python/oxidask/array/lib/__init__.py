"""NumPy's ``lib``: stride tricks."""

from __future__ import annotations

from oxidask.array.lib import stride_tricks

__all__ = ["stride_tricks"]
