"""Dict graphs rewritten, against Dask's own functions and the values of the graphs."""

from __future__ import annotations

import random
from collections import Counter

import dask.optimization
import oxidask.array as da
import oxidask.bag as db
import oxidask.dataframe as dd
import pandas as pd
import pytest
from oxidask import config, delayed
from oxidask.core import get
from oxidask.optimization import cull, functions_of, fuse, inline, inline_functions
from oxidask.typing import DaskCollection, HLGDaskCollection


def inc(x):
    return x + 1


def add(x, y):
    return x + y


def total(values):
    return sum(values)


def random_graph(seed: int) -> tuple[dict[str, object], list[str]]:
    """A graph in which later tasks read earlier ones, and the keys wanted of it."""
    rng = random.Random(seed)
    graph: dict[str, object] = {}
    for i in range(rng.randint(2, 14)):
        known = list(graph)
        kind = rng.random()
        if not known or kind < 0.2:
            graph[f"k{i}"] = i if kind < 0.1 else (inc, i)
        elif kind < 0.6:
            graph[f"k{i}"] = (inc, rng.choice(known))
        elif kind < 0.8:
            graph[f"k{i}"] = (add, rng.choice(known), rng.choice(known))
        else:
            graph[f"k{i}"] = (total, [rng.choice(known) for _ in range(rng.randint(1, 4))])
    return graph, rng.sample(list(graph), 2)


@pytest.mark.parametrize("seed", range(200))
def test_random_graphs_keep_their_values(seed):
    graph, wanted = random_graph(seed)
    before = dict(graph)
    values = get(graph, wanted)
    small, reads = cull(graph, wanted)
    theirs, their_reads = dask.optimization.cull(graph, wanted)
    assert small == theirs
    assert {key: set(found) for key, found in reads.items()} == {key: set(found) for key, found in their_reads.items()}
    assert inline(small, wanted[:1]) == dask.optimization.inline(small, wanted[:1])
    fast = inline_functions(small, wanted, [inc])
    assert fast == dask.optimization.inline_functions(small, wanted, [inc])
    assert get(fast, wanted) == values
    for width in (1, 2, 3):
        fused, reads = fuse(small, wanted, ave_width=width, rename_keys=False)
        assert get(fused, wanted) == values
        assert set(reads) == set(fused) and len(fused) <= len(small)
        renamed, _ = fuse(small, wanted, ave_width=width)
        assert get(renamed, wanted) == values
    assert graph == before


def test_nothing_is_computed_twice_by_fusing():
    calls = Counter()

    def count(x):
        calls["count"] += 1
        return x

    graph = {"a": (count, 1), "b": (add, "a", "a"), "c": (total, ["b", "b"])}
    fused, _ = fuse(graph, ["c"], ave_width=5)
    assert get(fused, "c") == 4 and calls["count"] == 1


def test_limits_of_fusing_hold():
    tree = {"a": (inc, 1), "b": (inc, 2), "c": (add, "a", "b"), "d": (inc, "c")}
    assert set(fuse(tree, ["d"], rename_keys=False)[0]) == {"a", "b", "d"}
    assert set(fuse(tree, ["d"], ave_width=2, rename_keys=False)[0]) == {"d"}
    assert set(fuse(tree, ["d"], ave_width=2, max_width=1, rename_keys=False)[0]) == {"a", "b", "d"}
    chain = {f"k{i}": (inc, f"k{i - 1}" if i else 0) for i in range(6)}
    assert len(fuse(chain, max_height=3, rename_keys=False)[0]) > 1
    with config.set({"optimization.fuse.ave-width": 2}):
        assert set(fuse(tree, ["d"], rename_keys=False)[0]) == {"d"}


def test_names_of_fused_tasks():
    graph = {("x-1", 0): (inc, 1), ("y-1", 0): (inc, ("x-1", 0))}
    fused, reads = fuse(graph, [("y-1", 0)])
    assert set(fused) == {("y-1", 0), ("x-y-1", 0)}
    assert reads[("y-1", 0)] == {("x-y-1", 0)}
    fused, _ = fuse(graph, [("y-1", 0)], rename_keys=lambda keys: f"all-{len(keys)}")
    assert set(fused) == {("y-1", 0), "all-2"}


def test_mistakes_are_named():
    with pytest.raises(KeyError, match="'nothing' is not a key"):
        cull({"a": 1}, ["nothing"])
    with pytest.raises(RuntimeError, match="need each other"):
        fuse({"a": (inc, "b"), "b": (inc, "a")})
    assert functions_of((add, (inc, 1), [{"k": (total, [1])}])) == {add, inc, total}


def test_collections_are_collections():
    frame = dd.from_pandas(pd.DataFrame({"a": [1, 2]}), npartitions=1)
    for collection in (da.ones(3), db.from_sequence([1]), frame, frame.a, delayed(1)):
        assert isinstance(collection, DaskCollection)
        assert isinstance(collection, HLGDaskCollection)
    assert not isinstance([1], DaskCollection)
