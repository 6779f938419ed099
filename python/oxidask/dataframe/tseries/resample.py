"""Groups of rows by spans of time, under the name that Dask has."""

from __future__ import annotations

from oxidask.dataframe.resample import Resampler

__all__ = ["Resampler"]
