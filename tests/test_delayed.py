"""Delayed calls: what they record, what they compute, how fast they are built."""

from __future__ import annotations

import collections
import copy
import dataclasses
import functools
import inspect
import operator
import pickle
import time

import cloudpickle
import numpy as np
import oxidask
import pytest
from oxidask import compute, delayed
from oxidask.delayed import Delayed, DelayedLeaf


def inc(x):
    return x + 1


def add(x, y):
    return x + y


def test_call_records_and_computes():
    calls = []

    @delayed
    def note(x):
        calls.append(x)
        return x

    value = note(3)
    assert isinstance(value, Delayed)
    assert calls == []
    assert value.compute(scheduler="sync") == 3
    assert calls == [3]


def test_decorator_with_arguments():
    @delayed(pure=True, nout=2)
    def halves(x):
        """Both halves."""
        return x // 2, x - x // 2

    low, high = halves(7)
    assert compute(low, high) == (3, 4)
    assert halves(7).key == halves(7).key
    assert halves.__name__ == "halves"
    assert halves.__doc__ == "Both halves."
    assert inspect.signature(halves) == inspect.signature(halves.__wrapped__)


@pytest.mark.parametrize(
    "operation",
    [
        operator.add,
        operator.sub,
        operator.mul,
        operator.truediv,
        operator.floordiv,
        operator.mod,
        operator.pow,
        operator.lshift,
        operator.rshift,
        operator.and_,
        operator.or_,
        operator.xor,
        operator.lt,
        operator.le,
        operator.eq,
        operator.ne,
        operator.gt,
        operator.ge,
    ],
)
def test_operators_both_ways(operation):
    expected = operation(7, 3)
    assert operation(delayed(7), delayed(3)).compute() == expected
    assert operation(delayed(7), 3).compute() == expected
    assert operation(7, delayed(3)).compute() == expected


@pytest.mark.parametrize("operation", [operator.neg, operator.pos, operator.abs, operator.invert])
def test_operators_with_one_operand(operation):
    assert operation(delayed(-7)).compute() == operation(-7)


def test_matmul():
    a = np.arange(4).reshape(2, 2)
    np.testing.assert_array_equal((delayed(a) @ a).compute(), a @ a)
    np.testing.assert_array_equal((delayed(a, pure=True) @ delayed(a)).compute(), a @ a)


def test_operators_are_pure():
    a = delayed(1)
    assert (a + 1).key == (a + 1).key
    assert (a + 1).key != (a + 2).key
    assert (a + 1).key != (a + 1.0).key
    assert a.real.key == a.real.key
    assert a[0].key == a[0].key


def test_attributes_items_and_methods():
    text = delayed("a b c")
    assert text.upper().compute() == "A B C"
    assert text.split(" ", maxsplit=1)[1].compute() == "b c"
    assert delayed(1 + 2j).imag.compute() == 2
    assert delayed({"a": [1, 2]})["a"][delayed(1)].compute() == 2
    assert delayed([1, 2, 3])[delayed(0) : 2].compute() == [1, 2]
    with pytest.raises(AttributeError):
        delayed(1)._private  # noqa: B018
    with pytest.raises(AttributeError, match="nothing"):
        delayed(1).nothing.compute()


def test_method_of_a_class_and_keywords():
    class Counter:
        def __init__(self, start):
            self.start = start

        @delayed
        def plus(self, x, *, times=1):
            return self.start + x * times

    assert Counter(10).plus(2, times=3).compute() == 16
    assert delayed(Counter)(5).start.compute() == 5


def test_call_of_a_result():
    adder = delayed(functools.partial)(add, 10)
    assert adder(delayed(5)).compute() == 15


def test_nested_containers():
    a, b = delayed(1), delayed(2)
    nest = {"list": [a, (b, 3)], "set": {a, b}, b: "key", "frozen": frozenset([a])}
    assert delayed(nest).compute() == {"list": [1, (2, 3)], "set": {1, 2}, 2: "key", "frozen": frozenset([1])}
    assert delayed(len)([a, [b]]).compute() == 2
    assert delayed(sum)(iter([a, b])).compute() == 3


Point = collections.namedtuple("Point", "x y")


def test_namedtuple():
    result = delayed(Point(delayed(1), [delayed(2)])).compute()
    assert result == Point(1, [2])
    assert type(result) is Point


@dataclasses.dataclass(frozen=True)
class Config:
    a: object
    b: object = 2
    c: object = dataclasses.field(init=False, default=5)


class Custom:
    pass


@dataclasses.dataclass
class WithOwnInit:
    value: object

    def __init__(self, twice):
        self.value = [twice, twice]


def test_dataclasses():
    made = delayed(Config(delayed(inc)(1), [delayed(3)])).compute()
    assert made == Config(2, [3])
    assert made.c == 5
    original = WithOwnInit(delayed(1))
    assert delayed(original).compute().value == [1, 1]
    assert isinstance(original.value[0], Delayed)


def test_what_holds_nothing_lazy_stays_itself():
    numbers = [1, 2, 3]
    assert delayed(lambda x: x)(numbers).compute(scheduler="sync") is numbers
    custom = Custom()
    assert delayed(custom).compute() is custom


def test_traverse_false():
    a = delayed(1)
    (found,) = delayed([a], traverse=False).compute()
    assert found is a


def test_argument_nests_too_deeply():
    nest = [delayed(1)]
    for _ in range(1000):
        nest = [nest]
    with pytest.raises(RecursionError):
        delayed(nest)


def test_nout():
    with pytest.raises(ValueError, match="nout"):
        delayed(add, nout=-1)
    with pytest.raises(ValueError, match="nout"):
        delayed(add, nout="two")
    value = delayed(lambda: (1, 2, 3), nout=3)()
    assert len(value) == 3
    assert compute(*value) == (1, 2, 3)
    with pytest.raises(IndexError):
        value[3]
    assert len(delayed(tuple, nout=0)()) == 0


def test_what_is_not_known_is_an_error():
    value = delayed(1)
    for use in (bool, len, iter, lambda v: [*v]):
        with pytest.raises(TypeError, match="Delayed"):
            use(value)
    with pytest.raises(TypeError, match="immutable"):
        value.x = 1
    with pytest.raises(TypeError, match="immutable"):
        value[0] = 1


def test_names_and_keys():
    assert delayed(1, name="one").key == "one"
    assert repr(delayed(inc)(1, dask_key_name="two")) == "Delayed('two')"
    key = delayed(inc)(1).key
    assert key.startswith("inc-")
    assert key != delayed(inc)(1).key
    with pytest.raises(TypeError, match="name"):
        delayed(inc)(1, dask_key_name=1.5)


def test_purity():
    pure = delayed(inc, pure=True)
    assert pure(1).key == pure(1).key
    assert pure(1).key != pure(2).key
    assert pure(1).key != pure(1, pure=False).key
    assert delayed(inc)(1, pure=True).key == delayed(inc)(1, pure=True).key
    with oxidask.config.set(delayed_pure=True):
        assert delayed(inc)(1).key == delayed(inc)(1).key
    assert delayed(inc)(1).key != delayed(inc)(1).key


def test_equal_pure_calls_run_once():
    calls = []

    def note(x):
        calls.append(x)
        return x

    pure = delayed(note, pure=True)
    assert compute(pure(1), pure(1), pure(2), scheduler="sync") == (1, 1, 2)
    assert sorted(calls) == [1, 2]


def test_delayed_of_delayed_is_itself():
    a = delayed(1)
    assert delayed(a) is a
    assert copy.copy(a) is a


def test_wrong_arguments_show_at_compute():
    with pytest.raises(TypeError, match="positional argument"):
        delayed(inc)(1, 2).compute()


@pytest.mark.parametrize("module", [pickle, cloudpickle])
def test_pickle(module):
    value = delayed(add)(delayed(inc)(1), {"x": [delayed(2)]}["x"][0]) + np.arange(3)
    again = module.loads(module.dumps(value))
    assert again.key == value.key
    np.testing.assert_array_equal(again.compute(), value.compute())
    named = delayed(inc, nout=2)(1, dask_key_name="mine")
    again = module.loads(module.dumps(named))
    assert again.key == "mine"
    assert len(again) == 2
    leaf = module.loads(module.dumps(delayed(inc)))
    assert leaf(1).compute() == 2


def test_dask_runs_our_graph_and_we_run_dasks():
    dask = pytest.importorskip("dask")
    ours = delayed(add)(delayed(inc)(1), [delayed(2), "text", ("tuple",)][0])
    assert dask.compute(ours, scheduler="sync") == (4,)
    theirs = dask.delayed(add)(dask.delayed(inc)(1), 2)
    assert compute(theirs, [theirs], scheduler="sync") == (4, [4])
    assert delayed(inc)(theirs).compute() == 5


def test_dict_graph_has_the_tasks():
    value = delayed(add)(delayed(inc)(1), y=delayed(5))
    graph = value.dask
    assert set(value.__dask_keys__()) <= set(graph)
    assert len(graph) == 3
    assert oxidask.get(graph, value.key) == 7
    assert oxidask.is_dask_collection(value)


def test_visualise_warns():
    with pytest.warns(UserWarning, match="visualize"):
        delayed(1).visualise  # noqa: B018


def test_np_dtype_of_delayed():
    with pytest.raises((TypeError, ValueError)):
        np.dtype(delayed(1))


def test_leaf_class():
    assert isinstance(delayed(inc), DelayedLeaf)
    assert not isinstance(delayed(inc)(1), DelayedLeaf)
    with pytest.raises(AttributeError):
        delayed(1).__name__  # noqa: B018


@pytest.mark.parametrize("n", [20_000])
def test_long_chain(n):
    value = delayed(0)
    step = delayed(inc)
    for _ in range(n):
        value = step(value)
    assert value.compute() == n
    del value


def test_wide_tree():
    layer = [delayed(inc)(i) for i in range(2**12)]
    plus = delayed(add)
    while len(layer) > 1:
        layer = [plus(a, b) for a, b in zip(layer[::2], layer[1::2], strict=True)]
    n = 2**12
    assert layer[0].compute() == n * (n - 1) // 2 + n


def test_building_stays_linear():
    def seconds(n):
        began = time.process_time()
        values = [delayed(inc)(i) for i in range(n)]
        result = compute(*values, scheduler="sync")
        took = time.process_time() - began
        assert result[-1] == n
        return took

    seconds(1_000)
    small = min(seconds(5_000) for _ in range(3))
    large = min(seconds(50_000) for _ in range(2))
    assert large < 10 * small * 3


def test_cycles_by_name_are_an_error():
    a = delayed(inc)(1, dask_key_name="same")
    b = delayed(inc)(a, dask_key_name="same")
    with pytest.raises(ValueError, match="same"):
        b.compute()
