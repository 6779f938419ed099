"""Functions that are called while a graph runs.

>>> from oxidask import delayed
>>> from oxidask.callbacks import Callback
>>> class Announce(Callback):
...     def _pretask(self, key, dsk, state):
...         print("runs", key)
>>> with Announce():
...     delayed(abs)(-1, dask_key_name="one").compute()
runs one
1

While a callback is active, local schedulers run graphs task by task in Python,
so that it can see keys, results and the state; this costs the engine's speed.
:class:`oxidask.diagnostics.ProgressBar` does not: the engine itself feeds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

__all__ = ["Callback", "add_callbacks", "local_callbacks", "normalize_callback", "unpack_callbacks"]

_NAMES = ("_start", "_start_state", "_pretask", "_posttask", "_finish")

CallbackTuple = tuple[Any, Any, Any, Any, Any]


class Callback:
    """Functions to call at the steps of a run; subclass it or pass functions.

    Parameters
    ----------
    start : callable(dsk)
        Before a run begins.
    start_state : callable(dsk, state)
        When its tasks are known.
    pretask : callable(key, dsk, state)
        Before a task begins.
    posttask : callable(key, result, dsk, state, worker_id)
        After a task ended.
    finish : callable(dsk, state, errored)
        At the end, also after an error.

    Examples
    --------
    >>> from oxidask.threaded import get
    >>> with Callback(finish=lambda dsk, state, errored: print(errored)):
    ...     get({"x": (abs, -1)}, "x")
    False
    1
    """

    #: The callbacks that see every run.
    active: ClassVar[set[CallbackTuple]] = set()

    def __init__(
        self,
        start: Callable[..., Any] | None = None,
        start_state: Callable[..., Any] | None = None,
        pretask: Callable[..., Any] | None = None,
        posttask: Callable[..., Any] | None = None,
        finish: Callable[..., Any] | None = None,
    ) -> None:
        for name, function in zip(_NAMES, (start, start_state, pretask, posttask, finish), strict=True):
            if function is not None:
                setattr(self, name, function)

    @property
    def _callback(self) -> CallbackTuple:
        return tuple(getattr(self, name, None) for name in _NAMES)  # type: ignore[return-value]

    def __enter__(self) -> Callback:
        self._context = add_callbacks(self)
        self._context.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._context.__exit__(*exc)

    def register(self) -> None:
        """Makes it see every run from now on."""
        Callback.active.add(self._callback)

    def unregister(self) -> None:
        """Ends what :meth:`register` began."""
        Callback.active.discard(self._callback)


class add_callbacks:
    """Makes callbacks see the runs inside a ``with`` block.

    Examples
    --------
    >>> from oxidask.threaded import get
    >>> with add_callbacks(Callback(start=lambda dsk: print(list(dsk)))):
    ...     get({"x": 1}, "x")
    ['x']
    1
    """

    def __init__(self, *callbacks: Any) -> None:
        self.callbacks = [normalize_callback(callback) for callback in callbacks]
        Callback.active.update(self.callbacks)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: Any) -> None:
        for callback in self.callbacks:
            Callback.active.discard(callback)


def normalize_callback(cb: Any) -> CallbackTuple:
    """The tuple of the five functions of a callback.

    Examples
    --------
    >>> normalize_callback((None,) * 5)
    (None, None, None, None, None)
    """
    if isinstance(cb, Callback):
        return cb._callback
    if isinstance(cb, tuple) and len(cb) == len(_NAMES):
        return cb
    raise TypeError(f"callbacks must be Callback objects or tuples of {len(_NAMES)} functions, got {cb!r}")


def unpack_callbacks(cbs: Iterable[CallbackTuple]) -> list[list[Any]]:
    """The functions of several callbacks, by step.

    Examples
    --------
    >>> unpack_callbacks([])
    [[], [], [], [], []]
    """
    rows = [normalize_callback(cb) for cb in cbs]
    return [[row[step] for row in rows if row[step] is not None] for step in range(len(_NAMES))]


@contextmanager
def local_callbacks(callbacks: Iterable[Any] | None = None) -> Iterator[set[CallbackTuple]]:
    """The callbacks for one run; runs inside it do not see the active ones again."""
    own = callbacks is None
    active = Callback.active
    if own:
        Callback.active = set()
    try:
        yield set(active) if own else {normalize_callback(callback) for callback in callbacks or ()}
    finally:
        if own:
            Callback.active = active


def active_task_callbacks() -> set[CallbackTuple]:
    """The callbacks that need a run task by task."""
    return Callback.active
