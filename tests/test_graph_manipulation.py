"""Order without data, and doing it again, against what each promises."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import oxidask.array as da
import oxidask.bag as db
import oxidask.dataframe as dd
import pandas as pd
import pytest
from oxidask import compute, delayed
from oxidask.graph_manipulation import bind, checkpoint, clone, wait_on


class Log:
    """What ran, in order; equal only to itself."""

    def __init__(self) -> None:
        self.lines: list[object] = []
        self._lock = threading.Lock()

    def note(self, line: object, *after: object) -> object:
        with self._lock:
            self.lines.append(line)
        return line


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
def test_a_checkpoint_waits_for_every_block(scheduler):
    log = Log()
    parts = [delayed(log.note)(i) for i in range(30)]
    assert checkpoint(parts, split_every=3).compute(scheduler=scheduler) is None
    assert sorted(log.lines) == list(range(30))


def test_a_checkpoint_of_nothing():
    assert checkpoint().compute() is None


@pytest.mark.parametrize("split_every", [1, 0, -3, 1.5])
def test_a_width_that_reduces_nothing_is_refused(split_every):
    with pytest.raises(ValueError, match="split_every must be"):
        checkpoint(delayed(1), split_every=split_every)


def test_a_width_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match="split_every must be a number"):
        checkpoint(delayed(1), split_every={0: 2})


def test_collections_of_all_kinds_wait_for_each_other():
    x = da.arange(10, chunks=3)
    frame = dd.from_pandas(pd.DataFrame({"a": [1, 2, 3]}), npartitions=2)
    bag = db.from_sequence([1, 2, 3], npartitions=2)
    one = delayed(abs)(-1)
    x2, frame2, bag2, one2 = compute(*wait_on(x, frame, bag, one), scheduler="threads")
    np.testing.assert_array_equal(x2, np.arange(10))
    pd.testing.assert_frame_equal(frame2, pd.DataFrame({"a": [1, 2, 3]}))
    assert bag2 == [1, 2, 3]
    assert one2 == 1


def test_who_waits_comes_after_all(tmp_path):
    log = Log()
    slow = [delayed(log.note)(("first", i)) for i in range(20)]
    held = wait_on(slow)
    last = [delayed(log.note)("second", part) for part in held]
    compute(last, scheduler="threads")
    assert all(line != "second" for line in log.lines[:20])
    assert log.lines[20:] == ["second"] * 20


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
def test_bound_work_begins_after_its_parents(scheduler):
    log = Log()
    parents = [delayed(log.note)(("parent", i)) for i in range(10)]
    child = delayed(log.note)("after", delayed(log.note)("child"))
    assert bind(child, parents).compute(scheduler=scheduler) == "after"
    assert log.lines[-2:] == ["child", "after"]
    assert len(log.lines) == 12


def test_bound_arrays_have_the_same_values():
    log = Log()
    x = da.arange(20, chunks=7) * 2
    bound = bind(x, delayed(log.note)("parent"))
    assert isinstance(bound, da.Array)
    np.testing.assert_array_equal(bound.compute(), np.arange(20) * 2)
    assert log.lines == ["parent"]


def test_omitted_tasks_stay_shared():
    calls = itertools.count()
    shared = delayed(calls.__next__)()
    own = delayed(lambda number: (number, object()))(shared)
    again = clone(own, omit=shared)
    first, second = compute(own, again)
    assert first[0] == second[0] == 0
    assert first[1] is not second[1]


def test_a_clone_runs_again_and_shares_within_itself():
    calls = itertools.count()
    number = delayed(calls.__next__)()
    pair = [number, delayed(lambda x: x)(number)]
    once, copy = compute(pair, clone(pair))
    assert once[0] == once[1]
    assert copy[0] == copy[1]
    assert once[0] != copy[0]


def test_seeds_name_clones():
    one = delayed(abs)(-1)
    assert clone(one, seed=1).key == clone(one, seed=1).key
    assert clone(one, seed=1).key != clone(one, seed=2).key
    assert clone(one).key != clone(one).key


def test_clones_run_on_processes():
    def triple(x):
        return 3 * x

    bag = db.from_sequence([1, 2, 3], npartitions=2).map(triple)
    assert bind(bag, delayed(abs)(-1)).compute(scheduler="processes") == [3, 6, 9]
