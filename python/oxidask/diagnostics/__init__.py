"""Watching a run: a progress bar, profiles, callbacks.

>>> import io
>>> from oxidask import delayed
>>> from oxidask.diagnostics import ProgressBar
>>> out = io.StringIO()
>>> with ProgressBar(out=out):
...     delayed(abs)(-1).compute()
1
>>> "100% Completed" in out.getvalue()
True
"""

from __future__ import annotations

from oxidask.callbacks import Callback
from oxidask.diagnostics.profile import CacheProfiler, Profiler, ResourceProfiler
from oxidask.diagnostics.profile_visualize import visualize
from oxidask.diagnostics.progress import ProgressBar

__all__ = ["CacheProfiler", "Callback", "Profiler", "ProgressBar", "ResourceProfiler", "visualize"]
