"""Accessors of your own, under names that pandas uses too."""

from __future__ import annotations

from oxidask.dataframe.accessors import (
    register_dataframe_accessor,
    register_index_accessor,
    register_series_accessor,
)

__all__ = ["register_dataframe_accessor", "register_index_accessor", "register_series_accessor"]
