"""Dask's collection protocol: default schedulers, keys, graphs that others run."""

from __future__ import annotations

import io
import os

import dask
import numpy as np
import oxidask
import oxidask.array as da
import oxidask.bag as db
import pytest
from oxidask import compute, config, delayed, persist
from oxidask.base import get_scheduler
from oxidask.delayed import Delayed
from oxidask.diagnostics import ProgressBar


def process_id(_: object) -> int:
    return os.getpid()


def test_bags_run_in_processes_by_any_way():
    bag = db.from_sequence([1], npartitions=1).map(process_id)
    assert bag.compute() != [os.getpid()]
    assert compute(bag) != ([os.getpid()],)
    assert compute([bag])[0] != [[os.getpid()]]
    assert persist(bag)[0].compute(scheduler="sync") != [os.getpid()]
    assert bag.compute(scheduler="threads") == [os.getpid()]
    with config.set(scheduler="sync"):
        assert compute(bag) == ([os.getpid()],)
    assert compute(bag, num_workers=1) != ([os.getpid()],)


def test_different_defaults_ask_for_a_choice():
    bag, array = db.from_sequence([1, 2]), da.arange(3, chunks=2)
    for run in (compute, persist):
        with pytest.raises(ValueError, match=r"'(processes|threads)' and '(threads|processes)'"):
            run(array, bag)
    numbers, items = compute(array, bag, scheduler="sync")
    np.testing.assert_array_equal(numbers, [0, 1, 2])
    assert items == [1, 2]


def test_the_default_of_a_class():
    assert get_scheduler(cls=db.Bag) is db.Bag.__dask_scheduler__
    assert get_scheduler(collections=[delayed(1)])({"x": (abs, -1)}, "x") == 1


@pytest.mark.parametrize("key", ["a", ("a-123", 0), ("a", (1.5, "b", (3,)))])
def test_keys_stay_what_they_are(key):
    value = Delayed(key, {key: "b", "b": 1})
    assert value.key == key
    assert value.__dask_keys__() == [key]
    assert value.compute() == 1
    held = value.persist()
    assert held.key == key
    assert dict(held.dask) == {key: 1}
    assert delayed(abs)(-1, dask_key_name=key).key == key
    assert oxidask.delayed(abs)(-1, dask_key_name=key).compute() == 1


def test_a_key_of_another_type_is_refused():
    with pytest.raises(TypeError, match="the name of a task must be"):
        delayed(abs)(-1, dask_key_name=1.5)


def test_a_rebuilt_delayed_takes_its_new_name():
    value = Delayed(("x", 1), {("x", 1): 1})
    rebuild, args = value.__dask_postpersist__()
    renamed = rebuild({("y", 1): 2}, *args, rename={"x": "y"})
    assert renamed.key == ("y", 1)
    assert renamed.compute() == 2


def test_dask_runs_our_bags():
    bag = db.from_sequence([1, 2, 3], npartitions=2).map(lambda x: x * 2)
    assert len(bag.__dask_graph__()) == 4
    assert set(bag.__dask_keys__()) <= set(bag.__dask_graph__())
    assert dask.compute(bag, scheduler="sync") == ([2, 4, 6],)
    held = bag.persist(scheduler="sync")
    assert len(held.__dask_graph__()) == 2
    assert held.name == bag.name
    (there,) = dask.persist(bag, scheduler="sync")
    assert there.compute(scheduler="sync") == [2, 4, 6]


def test_dask_runs_our_collections_by_their_own_default():
    x = da.ones((4, 4), chunks=2)
    total, twice = dask.compute(x.sum(), [x * 2])
    assert total == 16
    np.testing.assert_array_equal(twice[0], np.full((4, 4), 2.0))
    with ProgressBar(out=io.StringIO()):
        assert dask.compute(x.sum()) == (16,)
