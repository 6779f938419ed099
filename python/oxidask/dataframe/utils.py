"""Helpers for metas."""

from __future__ import annotations

from oxidask.dataframe._meta import make_meta
from oxidask.dataframe._meta import nonempty as meta_nonempty

__all__ = ["make_meta", "meta_nonempty"]
