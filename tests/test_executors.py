"""What every executor must do, and how each fails."""

from __future__ import annotations

import concurrent.futures
import contextvars
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import oxidask
import pytest
from oxidask import compute, config, delayed, persist
from oxidask.errors import KilledWorker, RemoteTraceback

LOCAL = ["sync", "threads", "processes"]


def inc(x):
    return x + 1


def boom(x):
    raise KeyError("no such thing", x)


class Odd(Exception):
    """Takes arguments that its message does not hold."""

    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")
        self.a = a


class Unpicklable(Exception):
    def __init__(self, message):
        super().__init__(message)
        self.lock = threading.Lock()


def odd():
    raise Odd("first", "second")


def unpicklable():
    raise Unpicklable("holds a lock")


@pytest.mark.parametrize("scheduler", LOCAL)
def test_results(scheduler):
    values = [delayed(inc)(i) for i in range(20)]
    total = delayed(sum)(values)
    assert compute(values, total, scheduler=scheduler) == (list(range(1, 21)), 210)


@pytest.mark.parametrize("scheduler", LOCAL)
def test_exception_arrives_as_itself(scheduler):
    with pytest.raises(KeyError) as caught:
        delayed(inc)(delayed(boom)(1)).compute(scheduler=scheduler)
    assert caught.value.args == ("no such thing", 1)
    if scheduler == "processes":
        assert isinstance(caught.value.__cause__, RemoteTraceback)
        assert "in boom" in str(caught.value.__cause__)
    else:
        names = [entry.name for entry in caught.traceback]
        assert "boom" in names


@pytest.mark.parametrize("scheduler", LOCAL)
@pytest.mark.parametrize("fail", [odd, unpicklable])
def test_exceptions_that_do_not_pickle(scheduler, fail):
    expected = {odd: "first and second", unpicklable: "holds a lock"}[fail]
    with pytest.raises(Exception, match=expected) as caught:
        delayed(fail)().compute(scheduler=scheduler)
    if scheduler == "processes":
        assert f"in {fail.__name__}" in str(caught.value.__cause__)


@pytest.mark.parametrize("scheduler", LOCAL)
def test_system_exit_in_a_task_is_its_error(scheduler):
    with pytest.raises(SystemExit):
        delayed(sys.exit)(3).compute(scheduler=scheduler)
    assert delayed(inc)(1).compute(scheduler=scheduler) == 2


@pytest.mark.parametrize("scheduler", LOCAL)
def test_buffers_come_back_writable(scheduler):
    array = delayed(np.arange)(100_000).compute(scheduler=scheduler)
    array[0] = 7
    assert array[0] == 7


def test_unknown_scheduler_names_the_known():
    with pytest.raises(ValueError, match="'nope' is no scheduler") as caught:
        compute(delayed(inc)(1), scheduler="nope")
    assert "threads" in str(caught.value)
    with pytest.raises(ValueError, match="is no scheduler"):
        compute(delayed(inc)(1), scheduler=object())
    with pytest.raises(ValueError, match="needs a client"):
        compute(delayed(inc)(1), scheduler="distributed")


def test_what_cannot_be_pickled_is_named_at_submission():
    lock = threading.Lock()
    with pytest.raises(TypeError, match=r"argument of 'inc'.*lock"):
        delayed(inc)(lock).compute(scheduler="processes")

    def holds():
        return lock

    with pytest.raises(TypeError, match="function 'holds'"):
        delayed(holds)().compute(scheduler="processes")


def crash():
    import ctypes

    ctypes.string_at(0)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("task", [lambda: os._exit(7), crash, kill])
def test_death_of_a_process_is_an_error_and_costs_no_others(task):
    began = time.monotonic()
    with pytest.raises(KilledWorker):
        delayed(task)().compute(scheduler="processes")
    assert time.monotonic() - began < 30
    assert delayed(inc)(1).compute(scheduler="processes") == 2


def test_processes_are_others_and_keep_the_path():
    here = os.getpid()
    pids = compute([delayed(os.getpid)() for _ in range(4)], scheduler="processes")[0]
    assert here not in pids
    assert delayed(lambda: sys.path)().compute(scheduler="processes")[-1] == sys.path[-1]


def test_scheduler_by_config():
    with config.set(scheduler="processes"):
        assert delayed(os.getpid)().compute() != os.getpid()
        assert delayed(os.getpid)().compute(scheduler="sync") == os.getpid()
    with config.set(scheduler="sync"):
        assert delayed(threading.get_ident)().compute() == threading.get_ident()
    assert delayed(threading.get_ident)().compute() != threading.get_ident()


def test_num_workers():
    barrier = threading.Barrier(3)
    waits = [delayed(barrier.wait)(timeout=20) for _ in range(3)]
    assert sorted(compute(*waits, num_workers=3)) == [0, 1, 2]
    with pytest.raises(ValueError, match="num_workers"):
        compute(delayed(inc)(1), num_workers=0)


def test_scheduler_function():
    seen = []

    def get(dsk, keys, **kwargs):
        seen.append((len(dsk), kwargs))
        return oxidask.get(dsk, keys)

    assert compute(delayed(inc)(delayed(inc)(1)), scheduler=get, flag=1) == (3,)
    assert seen == [(2, {"flag": 1})]
    assert compute(delayed(inc)(1), scheduler=oxidask.threaded.get) == (2,)


def test_pools():
    with concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="mine") as pool:
        name = delayed(threading.current_thread)().name
        assert name.compute(pool=pool).startswith("mine")
        assert name.compute(scheduler=pool).startswith("mine")
        with config.set(pool=pool):
            assert name.compute().startswith("mine")
    with ThreadPool(2) as pool:
        assert delayed(inc)(delayed(inc)(1)).compute(pool=pool) == 3
    with pytest.raises(TypeError, match="no pool"):
        delayed(inc)(1).compute(pool=3)


def test_process_pool():
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        value = delayed(lambda x: (x, os.getpid()))(delayed(inc)(1))
        number, pid = value.compute(scheduler=pool)
        assert number == 2
        assert pid != os.getpid()
        with pytest.raises(KeyError):
            delayed(boom)(1).compute(scheduler=pool)


@pytest.mark.parametrize("scheduler", LOCAL)
def test_persist(scheduler):
    calls = []

    def note(x):
        calls.append(x)
        return x

    value = delayed(note)(5)
    (held,) = persist(value, scheduler=scheduler)
    assert (held + 1).compute(scheduler=scheduler) == 6
    assert (held + 2).compute(scheduler=scheduler) == 7
    assert held.compute(scheduler="sync") == 5
    if scheduler != "processes":
        assert calls == [5]


@pytest.mark.parametrize("scheduler", LOCAL)
def test_persist_of_a_failure(scheduler):
    (held,) = persist(delayed(boom)(1), scheduler=scheduler)
    with pytest.raises(KeyError):
        held.compute(scheduler=scheduler)


def test_nested_compute():
    def outer(n):
        return sum(compute(*[delayed(inc)(i) for i in range(n)], scheduler="threads"))

    assert compute(*[delayed(outer)(4) for _ in range(8)], scheduler="threads") == (10,) * 8


def run_script(tmp_path: Path, text: str, **kwargs):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(text))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, str(script)], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs
    )


def test_script_without_a_main_guard(tmp_path):
    process = run_script(
        tmp_path,
        """
        from oxidask import delayed, compute
        FACTOR = 3
        class Box:
            def __init__(self, x):
                self.x = x * FACTOR
        def box(x):
            return Box(x)
        (boxes,) = compute([delayed(box)(i) for i in range(4)], scheduler="processes")
        print([type(b) is Box and b.x for b in boxes])
        """,
    )
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.strip() == "[0, 3, 6, 9]"


def children_of(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


@pytest.mark.parametrize("scheduler", LOCAL)
def test_ctrl_c_returns_soon_and_leaves_no_child(tmp_path, scheduler):
    process = run_script(
        tmp_path,
        f"""
        import signal
        import time
        from oxidask import delayed
        # A shell that starts tests in the background makes them ignore interrupts.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        def wait():
            print("begun", flush=True)
            for _ in range(600):
                time.sleep(0.1)
        try:
            delayed(wait)().compute(scheduler={scheduler!r})
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    children = children_of(process.pid)
    assert bool(children) == (scheduler == "processes")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    assert time.monotonic() - began < 1
    process.communicate(timeout=20)
    for child in children:
        assert not Path(f"/proc/{child}").exists()


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
def test_context_variables_reach_tasks(scheduler):
    variable = contextvars.ContextVar("variable", default=1)

    def change():
        before = variable.get()
        variable.set(before + 100)
        return before

    def run():
        variable.set(5)
        values = compute(*[delayed(change)() for _ in range(4)], scheduler=scheduler)
        return values, variable.get()

    assert contextvars.copy_context().run(run) == ((5, 5, 5, 5), 5)
    assert compute(delayed(change)(), scheduler=scheduler) == (1,)


def begin():
    os.environ["BEGUN"] = "yes"


def test_initializer_of_children():
    with config.set({"multiprocessing.initializer": begin, "scheduler": "processes"}):
        assert delayed(os.getenv)("BEGUN").compute() == "yes"
    assert delayed(os.getenv)("BEGUN").compute(scheduler="processes") is None
