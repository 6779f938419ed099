"""Runs dict graphs on any pool, task by task, from Python.

This serves what the engine's own executors cannot: pools of other libraries
(``concurrent.futures.Executor``, ``multiprocessing.pool``), and callbacks that
want to see each task.
"""

from __future__ import annotations

import contextvars
import queue
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Any

from oxidask._graphs import Literal, mapping_of
from oxidask.core import dependencies_of, flatten, is_node, ishashable, istask


class _Inline(Executor):
    """Runs a call at once."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


class _MultiprocessingPool(Executor):
    """A ``multiprocessing.pool`` with the methods of an executor."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._max_workers = getattr(pool, "_processes", 1)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._pool.apply_async(fn, args, kwargs, future.set_result, future.set_exception)
        return future


def evaluate(task: Any, values: Mapping[Any, Any]) -> Any:
    """The value of a task, given those of the keys that it reads."""
    if is_node(task):
        return task({key: values[key] for key in task.dependencies})
    if istask(task):
        function, *args = task
        if isinstance(function, Literal):
            return function.value
        return function(*[evaluate(arg, values) for arg in args])
    if ishashable(task) and task in values:
        return values[task]
    if type(task) in (list, tuple, set):
        return type(task)(evaluate(item, values) for item in task)
    if type(task) is dict:
        return {key: evaluate(value, values) for key, value in task.items()}
    return task


def _evaluate_packed(packed: bytes) -> bytes:
    """:func:`evaluate` in another process, where only cloudpickle can carry it."""
    import cloudpickle

    return cloudpickle.dumps(evaluate(*cloudpickle.loads(packed)))


def _in_other_process(pool: Any) -> bool:
    from concurrent.futures import ThreadPoolExecutor
    from multiprocessing.pool import ThreadPool

    return not isinstance(pool, (ThreadPoolExecutor, ThreadPool, _Inline)) and hasattr(pool, "submit")


def _as_executor(pool: Any, num_workers: int | None) -> tuple[Any, Callable[[], None]]:
    """The pool as an executor, and what to call at the end."""
    if pool is not None:
        if hasattr(pool, "submit"):
            return pool, lambda: None
        if hasattr(pool, "apply_async"):
            return _MultiprocessingPool(pool), lambda: None
        raise TypeError(f"{pool!r} is no pool\nhint: use a concurrent.futures.Executor or a multiprocessing.pool")
    if num_workers == 1:
        return _Inline(), lambda: None
    from concurrent.futures import ThreadPoolExecutor

    from oxidask.utils import cpu_count

    made = ThreadPoolExecutor(num_workers or cpu_count())
    return made, lambda: made.shutdown(wait=True, cancel_futures=True)


def _is_work(task: Any) -> bool:
    """Whether something is called for a task's value."""
    if type(task) in (list, tuple, set):
        return istask(task) or any(map(_is_work, task))
    if type(task) is dict:
        return any(map(_is_work, task.values()))
    return is_node(task)


class _Run:
    """One run of a graph."""

    def __init__(self, dsk: Mapping[Any, Any], wanted: list[Any]) -> None:
        self.dsk = dsk
        self.cache: dict[Any, Any] = {}
        self.dependencies: dict[Any, set[Any]] = {}
        self.dependents: dict[Any, set[Any]] = {}
        self.order: list[Any] = []
        self._sort(wanted)
        self.waiting = {key: set(deps) for key, deps in self.dependencies.items() if deps}
        self.readers = {key: len(readers) for key, readers in self.dependents.items()}
        for key in wanted:
            self.readers[key] = self.readers.get(key, 0) + 1
        ready = deque(key for key in self.order if not self.dependencies[key] and _is_work(dsk[key]))
        self.state: dict[str, Any] = {
            "dependencies": self.dependencies,
            "dependents": self.dependents,
            "waiting": self.waiting,
            "waiting_data": self.dependents,
            "ready": ready,
            "running": set(),
            "finished": set(),
            "released": set(),
            "cache": self.cache,
        }
        # Plain data are there from the beginning; nothing runs for them.
        for key in self.order:
            if not self.dependencies[key] and not _is_work(dsk[key]):
                self.finished(key, evaluate(dsk[key], {}))

    def _sort(self, wanted: list[Any]) -> None:
        """Tasks below the wanted ones, inputs first."""
        entered: set[Any] = set()
        stack = list(reversed(wanted))
        while stack:
            key = stack[-1]
            if key in self.dependencies:
                stack.pop()
                continue
            if key not in self.dsk:
                raise KeyError(f"{key!r} is not a key of the graph")
            deps = dependencies_of(self.dsk, self.dsk[key])
            missing = [dep for dep in deps if dep not in self.dependencies]
            if not missing:
                self.dependencies[key] = set(deps)
                self.dependents.setdefault(key, set())
                for dep in deps:
                    self.dependents[dep].add(key)
                self.order.append(key)
                stack.pop()
                continue
            entered.add(key)
            if entered.intersection(missing):
                names = ", ".join(sorted(map(repr, entered.intersection(missing))))
                raise RuntimeError(f"tasks of the graph need each other: {names}")
            stack.extend(reversed(missing))

    def finished(self, key: Any, value: Any) -> None:
        self.cache[key] = value
        self.state["running"].discard(key)
        self.state["finished"].add(key)
        for dependent in self.dependents[key]:
            waits = self.waiting[dependent]
            waits.discard(key)
            if not waits:
                del self.waiting[dependent]
                # What was just made is read next, so that it can go soon.
                self.state["ready"].appendleft(dependent)

    def release_inputs(self, key: Any) -> None:
        for dep in self.dependencies[key]:
            self.readers[dep] -= 1
            if self.readers[dep] == 0:
                del self.cache[dep]
                self.state["released"].add(dep)


def get(
    dsk: Mapping[Any, Any],
    keys: Any,
    pool: Any = None,
    num_workers: int | None = None,
    callbacks: Any = None,
    **kwargs: Any,
) -> Any:
    """Runs a dict graph on a pool; answers the values of nested lists of keys."""
    del kwargs
    from oxidask.callbacks import local_callbacks, unpack_callbacks
    from oxidask.diagnostics import progress

    # Some callers hand over Dask's own layered graphs, which are mappings.
    dsk = dict(mapping_of(dsk))
    wanted = list(flatten([keys]))
    with local_callbacks(callbacks) as active:
        active |= {bar._callback for bar in progress.active_bars()}
        start, start_state, pretask, posttask, finish = unpack_callbacks(active)
        executor, close = _as_executor(pool, num_workers)
        started: list[Callable[..., Any]] = []
        state: dict[str, Any] = {}
        succeeded = False
        try:
            for call in start:
                call(dsk)
            # Only who saw the start is told of the end.
            started = finish
            run = _Run(dsk, wanted)
            state = run.state
            for call in start_state:
                call(dsk, state)
            _run_tasks(run, executor, pretask, posttask)
            succeeded = True
        finally:
            close()
            for call in started:
                call(dsk, state, not succeeded)
    return _nested(run.cache, keys)


def _run_tasks(run: _Run, executor: Any, pretask: list[Any], posttask: list[Any]) -> None:
    done: queue.SimpleQueue[tuple[Any, Future[Any]]] = queue.SimpleQueue()
    ready, running = run.state["ready"], run.state["running"]
    width = getattr(executor, "_max_workers", None) or 1
    packed = _in_other_process(executor)
    try:
        while ready or running:
            while ready and len(running) < width:
                key = ready.popleft()
                running.add(key)
                for call in pretask:
                    call(key, run.dsk, run.state)
                values = {dep: run.cache[dep] for dep in run.dependencies[key]}
                future = _submit(executor, run.dsk[key], values, packed)
                future.add_done_callback(lambda future, key=key: done.put((key, future)))
            key, future = done.get()
            value = future.result()
            if packed:
                import cloudpickle

                value = cloudpickle.loads(value)
            run.finished(key, value)
            for call in posttask:
                call(key, value, run.dsk, run.state, None)
            run.release_inputs(key)
    finally:
        while not done.empty():
            done.get()


def _submit(executor: Any, task: Any, values: dict[Any, Any], packed: bool) -> Future[Any]:
    if packed:
        import cloudpickle

        return executor.submit(_evaluate_packed, cloudpickle.dumps((task, values)))  # type: ignore[no-any-return]
    context = contextvars.copy_context()
    return executor.submit(context.run, evaluate, task, values)  # type: ignore[no-any-return]


def _nested(cache: Mapping[Any, Any], keys: Any) -> Any:
    if isinstance(keys, list):
        return tuple(_nested(cache, key) for key in keys)
    return cache[keys]
