"""Places of values among all rows."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from oxidask.dataframe import _rows
from oxidask.dataframe._collection import new
from oxidask.dataframe._meta import emulate
from oxidask.dataframe._plan import Plan

__all__ = ["rank"]


def _ranked(parts: list[Any], kwargs: dict[str, Any]) -> list[Any]:
    """The ranks of all rows, cut where the partitions were."""
    ranks = _rows.concat_rows(parts).rank(**kwargs)
    ends = np.cumsum([0, *map(len, parts)])
    return [ranks.iloc[a:b] for a, b in itertools.pairwise(ends)]


def _pick(number: int, pieces: list[Any]) -> Any:
    return pieces[number]


def rank(self: Any, kwargs: dict[str, Any]) -> Any:
    """The ranks of values among those of their column: all rows meet in one task, and part again."""
    n = self.npartitions
    meta = emulate(_rows.call, self, "rank", **kwargs)
    if n == 1:
        return new(self._plan.map("rank", _rows.call, "rank", **kwargs), meta, self.divisions)
    whole = self._plan.groups("rank", _ranked, [(0, n)], kwargs)
    pieces = Plan.source(range(n), "numbers").map("rank", _pick, whole)
    return new(pieces, meta, self.divisions)
