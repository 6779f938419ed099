"""Computing several things, tokens, annotations, callbacks, import costs."""

from __future__ import annotations

import dataclasses
import functools
import io
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import oxidask
import pandas as pd
import pytest
from oxidask import annotate, compute, config, delayed, get_annotations, optimize, persist
from oxidask.base import unpack_collections
from oxidask.callbacks import Callback
from oxidask.diagnostics import ProgressBar
from oxidask.sizeof import sizeof
from oxidask.tokenize import TokenizationError, normalize_token, tokenize
from oxidask.utils import format_bytes, format_time, key_split, parse_bytes, parse_timedelta


def inc(x):
    return x + 1


def test_compute_leaves_other_objects_alone():
    numbers = [1, 2]
    result = compute(numbers, "text", {"a": delayed(inc)(1)}, None)
    assert result == ([1, 2], "text", {"a": 2}, None)
    assert result[0] is numbers
    assert compute() == ()


def test_compute_without_traversing():
    a = delayed(inc)(1)
    nest = [a]
    assert compute(nest, a, traverse=False) == (nest, 2)


def test_shared_work_runs_once():
    calls = []

    def note(x):
        calls.append(x)
        return x

    shared = delayed(note)(1)
    assert compute(shared + 1, shared + 2, scheduler="sync") == (2, 3)
    assert calls == [1]


def test_optimize_and_persist_keep_structure():
    a = delayed(inc)(1)
    (nest, other) = optimize({"a": [a]}, 3)
    assert other == 3
    assert compute(nest) == ({"a": [2]},)
    (held,) = persist([a, (a, 5)])
    assert compute(held) == ([2, (2, 5)],)
    assert held[0].key == a.key


def test_dict_graphs():
    graph = {"x": 1, "y": (inc, "x"), "z": (sum, ["x", "y", (inc, "y")]), "w": "z"}
    for get in (oxidask.get, oxidask.threaded.get, oxidask.multiprocessing.get):
        assert get(graph, "w") == 6
        assert get(graph, ["x", ["y", "z"]]) == (1, (2, 6))
    with pytest.raises(KeyError, match="nope"):
        oxidask.get(graph, "nope")
    with pytest.raises(RuntimeError, match="need each other"):
        oxidask.get({"a": (inc, "b"), "b": (inc, "a")}, "a")


def test_foreign_collection():
    class Collection:
        def __dask_graph__(self):
            return {("c", 0): 1, ("c", 1): (inc, ("c", 0))}

        def __dask_keys__(self):
            return [("c", 0), ("c", 1)]

        def __dask_postcompute__(self):
            return (lambda results, extra: (sum(results), extra)), ("extra",)

    assert compute(Collection(), [Collection()]) == ((3, "extra"), [(3, "extra")])
    assert delayed(len)(Collection()).compute() == 2


def test_unpack_collections():
    a, b = delayed(1), delayed(2)
    found, repack = unpack_collections([a, {"x": (b, 3)}])
    assert found == [a, b] or [f.key for f in found] == [a.key, b.key]
    assert repack([10, 20]) == ([10, {"x": (20, 3)}],)


@dataclasses.dataclass
class Pair:
    a: int
    b: object


def free():
    return inc(THREE)


THREE = 3


@pytest.mark.parametrize(
    "obj",
    [
        1,
        1.5,
        "a",
        b"a",
        None,
        True,
        1 + 2j,
        ...,
        [1, [2]],
        (1,),
        {1, 2},
        {"a": {"b": 1}},
        slice(1, None),
        range(3),
        inc,
        lambda x: x,
        functools.partial(inc, 1),
        len,
        str.upper,
        "a".upper,
        int,
        np.sin,
        np.float64,
        np.int8(3),
        np.arange(5),
        np.arange(12).reshape(3, 4)[::2],
        np.array(["a", None], dtype=object),
        np.dtype("f4"),
        np.random.default_rng(1),
        pd.Series([1, 2]),
        pd.DataFrame({"a": [1], "b": ["x"]}),
        pd.Index(["a"]),
        pd.Timestamp("2020-01-01"),
        pd.Categorical(["a", "b"]),
        Pair(1, [2]),
        Pair,
        os,
        delayed(inc, pure=True)(1),
    ],
    ids=lambda obj: type(obj).__name__,
)
def test_tokens_are_deterministic(obj):
    token = tokenize(obj, ensure_deterministic=True)
    assert len(token) == 32
    assert tokenize(obj) == token
    assert tokenize(obj, 1) != token
    assert tokenize([obj]) != token


def test_tokens_differ():
    different = [
        1,
        1.0,
        True,
        "1",
        b"1",
        [1],
        (1,),
        {1},
        {1: 1},
        [1, [2]],
        [[1], 2],
        [1, 2],
        np.array(1),
        np.array([1]),
        np.array([1.0]),
        np.array([[1]]),
        pd.Series([1]),
        pd.Series([1], name="x"),
        pd.Series([1], index=[1]),
        Pair(1, 2),
        Pair(2, 1),
        slice(1),
        lambda: 1,
        lambda: 2,
        functools.partial(inc, 1),
        functools.partial(inc, 2),
    ]
    assert len({tokenize(obj) for obj in different}) == len(different)


def test_tokens_see_what_functions_use():
    def make(n):
        return lambda x: x + n

    assert tokenize(make(1)) == tokenize(make(1))
    assert tokenize(make(1)) != tokenize(make(2))


def test_tokens_agree_between_processes():
    code = (
        "import numpy as np; from oxidask.tokenize import tokenize\n"
        "print(tokenize({'b', 'a', 'c'}, {'x': np.arange(3)}, len, np.sin, lambda x: {x, 'k'}))"
    )
    outs = set()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed}
        outs.add(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout)
    assert len(outs) == 1


def test_tokens_of_containers_within_themselves():
    loop: list = [1]
    loop.append(loop)
    assert tokenize(loop) == tokenize(loop)


def test_what_has_no_token():
    assert tokenize(object()) != tokenize(object())
    with pytest.raises(TokenizationError):
        tokenize(object(), ensure_deterministic=True)
    with pytest.raises(TokenizationError), config.set({"tokenize.ensure-deterministic": True}):
        tokenize(threading.Lock())


def test_normalize_token_is_registrable():
    class Own:
        def __init__(self, x, cache):
            self.x, self.cache = x, cache

    @normalize_token.register(Own)
    def _(own):
        return "Own", own.x

    assert tokenize(Own(1, object())) == tokenize(Own(1, object()))
    assert tokenize(Own(1, None)) != tokenize(Own(2, None))


def test_annotations():
    with annotate(priority=1, resources={"GPU": 1}):
        with annotate(priority=2):
            assert get_annotations() == {"priority": 2, "resources": {"GPU": 1}}
        assert get_annotations()["priority"] == 1
    assert get_annotations() == {}
    for wrong in ({"retries": "x"}, {"priority": "high"}, {"workers": 3}, {"resources": 1}):
        with pytest.raises(TypeError, match=next(iter(wrong))), annotate(**wrong):
            pass


def test_retries():
    tries = []

    def flaky():
        tries.append(1)
        if len(tries) < 3:
            raise OSError("not yet")
        return len(tries)

    with annotate(retries=5):
        value = delayed(flaky)()
    assert value.compute(scheduler="threads") == 3


def test_callbacks_see_every_task():
    seen = []
    with Callback(
        start=lambda dsk: seen.append(("start", len(dsk))),
        pretask=lambda key, dsk, state: seen.append(("pre", key)),
        posttask=lambda key, value, dsk, state, worker: seen.append(("post", value)),
        finish=lambda dsk, state, errored: seen.append(("finish", errored)),
    ):
        assert delayed(inc)(delayed(inc)(1, dask_key_name="a"), dask_key_name="b").compute() == 3
    assert seen == [("start", 2), ("pre", "a"), ("post", 2), ("pre", "b"), ("post", 3), ("finish", False)]
    seen.clear()
    with pytest.raises(ZeroDivisionError), Callback(finish=lambda dsk, state, errored: seen.append(errored)):
        (delayed(1) / 0).compute()
    assert seen == [True]
    assert not Callback.active


@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
def test_progress_bar(scheduler):
    out = io.StringIO()
    with ProgressBar(out=out, dt=0.01) as bar:
        compute([delayed(inc)(i) for i in range(20)], scheduler=scheduler)
    assert out.getvalue().endswith("\n")
    assert "100% Completed" in out.getvalue().splitlines()[-1]
    assert bar.last_duration > 0
    before = len(out.getvalue())
    compute(delayed(inc)(1), scheduler=scheduler)
    assert len(out.getvalue()) == before
    assert not any(thread.name == "oxidask-progress" for thread in threading.enumerate())


def test_progress_bar_minimum_and_errors():
    out = io.StringIO()
    with ProgressBar(minimum=60, out=out):
        delayed(inc)(1).compute()
    assert out.getvalue() == ""
    with pytest.raises(ZeroDivisionError), ProgressBar(out=out):
        (delayed(1) / 0).compute()
    assert "100%" not in out.getvalue()


def test_sizeof():
    assert sizeof(np.ones(1000)) == pytest.approx(8000, rel=0.1)
    assert sizeof(np.broadcast_to(1.0, (1000, 1000))) < 1000
    assert sizeof(b"x" * 5000) == pytest.approx(5000, rel=0.1)
    assert sizeof(["x" * 1000] * 100) == pytest.approx(105_000, rel=0.2)
    frame = pd.DataFrame({"a": np.arange(10_000), "b": ["text"] * 10_000})
    assert 80_000 < sizeof(frame) < 2_000_000
    assert sizeof(object()) > 0


@pytest.mark.parametrize(
    "rows",
    [
        pd.DataFrame({"a": np.arange(10_000), "b": 1.5}),
        pd.DataFrame({"a": ["some text"] * 10_000}),
        pd.DataFrame({"a": ["some text"] * 10_000}, dtype=object),
        pd.DataFrame({"a": pd.Categorical(["x", "y"] * 5_000)}),
        pd.DataFrame({"a": pd.array([1, None] * 5_000, dtype="Int64")}),
        pd.Series(pd.date_range("2000", periods=10_000, tz="UTC")),
        pd.DataFrame({"a": range(10_000)}, index=[f"row {i}" for i in range(10_000)]),
        pd.DataFrame({"a": range(10_000)}, index=pd.MultiIndex.from_product([range(100), range(100)])),
        pd.DataFrame({"a": ["some text"] * 10_000}).iloc[:100],
    ],
    ids=["numbers", "text", "objects", "categories", "nullable", "times", "named", "levels", "slice"],
)
def test_sizeof_rows_is_what_pandas_says(rows):
    usage = rows.memory_usage(deep=True)
    assert sizeof(rows) == pytest.approx(int(getattr(usage, "sum", lambda: usage)()), rel=0.1, abs=2_000)


@pytest.mark.parametrize(
    "call, value",
    [
        (lambda: parse_bytes("100 MB"), 100_000_000),
        (lambda: parse_bytes("1.5GiB"), 1610612736),
        (lambda: parse_bytes(5.7), 5),
        (lambda: parse_timedelta("300ms"), 0.3),
        (lambda: parse_timedelta("1 hour"), 3600),
        (lambda: parse_timedelta(3, default="ms"), 0.003),
        (lambda: parse_timedelta(None), None),
        (lambda: format_bytes(123456), "120.56 kiB"),
        (lambda: format_time(0.00001), "10.00 us"),
        (lambda: key_split("x-y-abcdef0123"), "x-y"),
        (lambda: key_split(("x-1", 0)), "x"),
        (lambda: key_split("_inc-1"), "inc"),
        (lambda: key_split("0123456789abcdef0123456789abcdef"), "data"),
    ],
)
def test_utilities(call, value):
    assert call() == value


def test_utilities_refuse_nonsense():
    with pytest.raises(ValueError, match="parsecs"):
        parse_bytes("5 parsecs")
    with pytest.raises(ValueError, match="unit"):
        parse_timedelta("5", default=False)


def test_import_stays_light():
    code = (
        "import sys, oxidask; from oxidask import delayed; delayed(abs)(-1).compute()\n"
        "print(*[m for m in ('pandas', 'cloudpickle', 'yaml', 'pyarrow', 'asyncio', 'dask') if m in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OXIDASK_ROOT_CONFIG": "/nowhere", "HOME": "/nowhere"}
    out = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert out.stdout.split() == []


def test_a_forked_child_can_compute():
    assert delayed(inc)(1).compute() == 2
    pid = os.fork()
    if pid == 0:
        try:
            code = 0 if delayed(inc)(1).compute() == 2 else 1
        except BaseException:
            code = 2
        os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_pickled_errors_have_their_classes():
    from oxidask.errors import MissingError

    error = pickle.loads(pickle.dumps(MissingError("line\nline")))
    assert str(error) == "line\nline"
    assert isinstance(error, KeyError)
