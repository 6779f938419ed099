"""Graphs in layers: what collections answer, and what their users build on them."""

from __future__ import annotations

import html

import dask
import numpy as np
import oxidask
import oxidask.array as da
import oxidask.bag as db
import oxidask.dataframe as dd
import pandas as pd
import pytest
from oxidask.highlevelgraph import HighLevelGraph
from oxidask.threaded import get


def array():
    return da.from_array(np.arange(20.0).reshape(4, 5), chunks=(2, 5))


def frame():
    return dd.from_pandas(pd.DataFrame({"a": range(6), "b": list("xyzxyz")}), npartitions=2)


COLLECTIONS = {
    "array": lambda: (array() + 1).sum(axis=0),
    "native frame": lambda: frame()[["a"]],
    "frame through pandas": lambda: frame().map_partitions(lambda part: part),
    "bag": lambda: db.from_sequence(range(4), npartitions=2).map(abs),
}


@pytest.mark.parametrize("name", COLLECTIONS)
def test_collections_answer_their_layers(name):
    collection = COLLECTIONS[name]()
    graph = collection.dask
    assert isinstance(graph, HighLevelGraph)
    assert graph.layers.keys() == graph.dependencies.keys()
    assert len(graph) == sum(map(len, graph.layers.values())) == len(graph.to_dict())
    assert set(collection.__dask_layers__()) <= graph.layers.keys()
    graph.validate()
    text = repr(graph)
    assert text.startswith("HighLevelGraph with ")
    assert all(layer in text for layer in graph.layers)
    assert all(html.escape(layer) in graph._repr_html_() for layer in graph.layers)


@pytest.mark.parametrize("name", COLLECTIONS)
@pytest.mark.parametrize("run", [get, dask.get], ids=["ours", "Dask's"])
def test_the_keys_of_blocks_hold_what_users_know(name, run):
    from oxidask._collection import flat

    collection = COLLECTIONS[name]()
    blocks = run(collection.dask, flat(collection.__dask_keys__()))
    expected = {"array": np.ndarray, "bag": list}.get(name, pd.DataFrame)
    assert all(isinstance(block, expected) for block in blocks)


def test_a_block_that_others_read_has_its_key_too():
    x = array()
    both = da.concatenate([x, x])
    blocks = get(both.dask, [(both.name, i, 0) for i in range(4)])
    np.testing.assert_array_equal(np.concatenate(blocks), both.compute())


def test_a_layer_of_ones_own():
    x = array()
    tasks = {("shifted", i, 0): (np.add, (x.name, i, 0), 100) for i in range(2)}
    graph = HighLevelGraph.from_collections("shifted", tasks, dependencies=[x])
    assert graph.dependencies["shifted"] == {x.name}
    made = da.Array(graph, "shifted", chunks=x.chunks, dtype=x.dtype)
    np.testing.assert_array_equal(made.compute(), x.compute() + 100)
    # It is an array like any other.
    np.testing.assert_array_equal((made + x).sum(axis=1).compute(), (2 * x.compute() + 100).sum(axis=1))


def test_only_collections_are_dependencies():
    with pytest.raises(TypeError, match="int, which is no lazy collection"):
        HighLevelGraph.from_collections("own", {}, dependencies=[1])


def test_layers_must_be_there():
    with pytest.raises(ValueError, match=r"layer 'b' reads \['a'\], which are not layers"):
        HighLevelGraph({"b": {"y": 1}}, {"b": {"a"}})
    with pytest.raises(ValueError, match=r"do not say what the layers \['b'\] read"):
        HighLevelGraph({"b": {"y": 1}}, {})


def test_parts_of_a_graph():
    graph = HighLevelGraph(
        {
            "a": {("a", 0): 1, ("a", 1): -2},
            "b": {("b", 0): (abs, ("a", 0)), ("b", 1): (abs, ("a", 1))},
            "c": {("c", 0): 3},
        }
    )
    assert graph.cull([[("b", 1)]]).to_dict() == {("a", 1): -2, ("b", 1): (abs, ("a", 1))}
    assert graph.cull_layers(["b"]).layers.keys() == {"a", "b"}
    assert graph.dependents == {"a": {"b"}, "b": set(), "c": set()}
    assert graph.get_all_dependencies()["b", 1] == {("a", 1)}
    assert graph.get_all_external_keys() == set(graph.keys())
    assert get(graph, ("b", 1)) == 2
    assert graph.copy() == graph


def test_graphs_merge():
    merged = HighLevelGraph.merge(array().dask, {"x": 1}, {"y": (abs, "x")})
    assert get(merged, "y") == 1
    assert merged.dependencies["graph-2"] == {"graph-1"}


def test_layers_are_drawn(tmp_path):
    picture = COLLECTIONS["array"]().dask.visualize(str(tmp_path / "layers.svg"))
    text = (tmp_path / "layers.svg").read_text()
    assert text == picture or "IPython" in str(type(picture))
    assert "sum" in text


def test_long_graphs_are_cut_short():
    graph = HighLevelGraph({f"layer-{i}": {f"key-{i}": i} for i in range(60)})
    assert repr(graph).endswith("... and 10 more")
    assert "and 10 more layers" in graph._repr_html_()
    assert oxidask.is_dask_collection(graph) is False
