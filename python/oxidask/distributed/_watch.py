"""What tasks did: the task stream, progress, and memory over time."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from oxidask import _oxidask
from oxidask.distributed import _context
from oxidask.distributed._async import in_thread, sync_or_async
from oxidask.distributed._pages import lanes, page

__all__ = ["MemorySampler", "Watch", "get_task_stream", "moment", "progress", "span"]

#: Most records that a task stream keeps.
_LIMIT = 1_000_000


def moment(value: Any) -> float | None:
    """A moment as seconds since the epoch; texts such as ``"5 min"`` are that long ago."""
    if value is None:
        return None
    if isinstance(value, str):
        from oxidask.utils import parse_timedelta

        return time.time() - float(parse_timedelta(value))
    return float(value)


class Watch:
    """The part of :class:`Client` that looks at what its tasks did."""

    _handle: Any
    _questions: Any
    _asynchronous: bool
    _task_log: Any = None
    #: What users named, by the key in the engine; none while nothing is recorded.
    _noted_names: dict[str, str] | None = None

    def _note_names(self, names: Iterable[str]) -> None:
        """Keeps names for the records of tasks: the engine's news say only keys."""
        noted = self._noted_names
        if noted is not None and len(noted) < _LIMIT:
            noted.update((_oxidask.key_of_name(name), name) for name in names)

    def _names_of_keys(self) -> dict[str, str]:
        """Names by key in the engine: those of results that are held, and what was noted."""
        held = (name for name, _ in self._questions.sizes())
        return {_oxidask.key_of_name(name): name for name in held} | (self._noted_names or {})

    def _records(self, log: Any) -> list[dict[str, Any]]:
        # News of tasks come before the answer to a question that is asked later.
        addresses = self._addresses()  # type: ignore[attr-defined]
        names = self._names_of_keys()
        return [_record(row, addresses, names) for row in log.rows()]

    def _begin_task_log(self) -> Any:
        self._begin_names()
        if self._task_log is None:
            self._task_log = _oxidask.TaskLog(self._handle.executor, _LIMIT)
        return self._task_log

    def _begin_names(self) -> None:
        if self._noted_names is None:
            self._noted_names = {}

    def _end_task_log(self) -> None:
        log, self._task_log = self._task_log, None
        if log is not None:
            log.close()

    def get_task_stream(
        self,
        start: Any = None,
        stop: Any = None,
        count: int | None = None,
        plot: Any = False,
        filename: str = "task-stream.html",
        bokeh_resources: Any = None,
    ) -> Any:
        """What tasks of this client did, where and when.

        Tasks are recorded from the first call on; :func:`get_task_stream` begins
        a record of its own.

        Parameters
        ----------
        start, stop : number or str, optional
            Moments in seconds since the epoch, or how long ago: ``"10 s"``.
        count : int, optional
            Only so many, the newest.
        plot : bool or "save"
            Also a drawing, as HTML; ``"save"`` writes it to ``filename``.
        filename : str
            The file of the drawing.
        bokeh_resources
            Without effect: the drawing needs nothing else.

        Returns
        -------
        list of dict
            For each task ``key``, ``name``, ``worker`` (address), ``thread``, ``nbytes``,
            ``status`` (``"OK"`` or ``"error"``) and ``startstops``. With ``plot`` a pair of the list
            and the drawing.

        Examples
        --------
        >>> from oxidask.distributed import Client, wait
        >>> with Client(n_workers=1, processes=False) as client:
        ...     _ = client.get_task_stream()
        ...     _ = wait(client.map(abs, range(3)))
        ...     [record["name"] for record in client.get_task_stream()]
        ['abs', 'abs', 'abs']
        """
        del bokeh_resources
        window = moment(start), moment(stop), count
        return sync_or_async(self._asynchronous, self._task_stream, *window, plot, filename)

    def _task_stream(self, start: Any, stop: Any, count: int | None, plot: Any, filename: str) -> Any:
        log = self._begin_task_log()
        records = [
            record
            for record in self._records(log)
            if (start is None or record["startstops"][0]["stop"] >= start)
            and (stop is None or record["startstops"][0]["start"] <= stop)
        ]
        if count is not None:
            records = records[-count:] if count else []
        if not plot:
            return records
        figure = lanes(records)
        if plot == "save":
            with open(filename, "w", encoding="utf-8") as file:
                file.write(page("Task stream", figure))
        return records, figure


def _record(row: Any, addresses: dict[int, str], names: dict[str, str]) -> dict[str, Any]:
    label, key, worker, thread, start, stop, nbytes, is_fine = row
    return {
        "key": names.get(key) or f"{label}-{key}",
        "name": label,
        "worker": addresses.get(worker, str(worker)),
        "thread": thread,
        "nbytes": nbytes,
        "status": "OK" if is_fine else "error",
        "startstops": [{"action": "compute", "start": start, "stop": stop}],
    }


class get_task_stream:
    """Records what tasks do within a block of code.

    Parameters
    ----------
    client : Client, optional
        The current one by default.
    plot : bool or "save"
        Whether to draw it: ``figure`` is HTML then; ``"save"`` writes it to a file.
    filename : str
        The file.

    Attributes
    ----------
    data : list of dict
        See :meth:`Client.get_task_stream`.

    Examples
    --------
    >>> from oxidask.distributed import Client, get_task_stream, wait
    >>> with Client(n_workers=1, processes=False) as client:
    ...     with get_task_stream() as stream:
    ...         _ = wait(client.map(abs, range(3)))
    ...     len(stream.data)
    3
    """

    def __init__(self, client: Any = None, plot: Any = False, filename: str = "task-stream.html") -> None:
        self._client = client or _context.default_client()
        self._plot, self._filename = plot, filename
        self.data: list[dict[str, Any]] = []
        self.figure: str | None = None

    def __enter__(self) -> get_task_stream:
        self._client._begin_names()
        self._log = _oxidask.TaskLog(self._client._handle.executor, _LIMIT)
        return self

    def __exit__(self, *_: object) -> None:
        self.data = self._client._records(self._log)
        self._log.close()
        if self._plot:
            self.figure = lanes(self.data)
        if self._plot == "save" and self.figure is not None:
            with open(self._filename, "w", encoding="utf-8") as file:
                file.write(page("Task stream", self.figure))

    async def __aenter__(self) -> get_task_stream:
        return await in_thread(self.__enter__)

    async def __aexit__(self, *_: object) -> None:
        await in_thread(self.__exit__)


def progress(*futures: Any, notebook: Any = None, multi: Any = None, complete: Any = None, **kwargs: Any) -> None:
    """Shows a bar of text until futures are done.

    Parameters
    ----------
    futures : futures, persisted collections, or nested containers of those
    notebook, multi, complete, **kwargs
        Without effect: the same bar is shown everywhere.

    Examples
    --------
    >>> from oxidask.distributed import Client, wait
    >>> with Client(n_workers=1, processes=False) as client:
    ...     futures = client.map(abs, range(3))
    ...     _ = wait(futures)
    ...     progress(futures)
    [########################################] | 100% Completed | ...
    """
    del notebook, multi, complete, kwargs
    found = _context.futures_of(list(futures))
    if not found:
        return
    begin = time.monotonic()
    handles = [future._live for future in found]
    client = found[0].client
    while True:
        done = sum(handle.done() for handle in handles)
        share = done / len(handles)
        bar = "#" * int(40 * share)
        seconds = time.monotonic() - begin
        print(f"\r[{bar:<40}] | {int(100 * share):3d}% Completed | {seconds:5.1f}s", end="", flush=True)
        if done == len(handles):
            print()
            return
        client._handle.wait([handle for handle in handles if not handle.done()], False, 0.1)


@contextlib.contextmanager
def span(*tags: str) -> Iterator[str]:
    """Tags the tasks that are made within a block of code.

    Parameters
    ----------
    tags : str
        At least one; blocks may be nested.

    Returns
    -------
    str
        An identifier of the block, as a context.

    Raises
    ------
    ValueError
        Without tags.

    Examples
    --------
    >>> from oxidask import get_annotations
    >>> with span("load"):
    ...     with span("parse"):
    ...         get_annotations()["span"]["name"]
    ('load', 'parse')
    """
    if not tags:
        raise ValueError("Must specify at least one span tag")
    from oxidask.base import annotate, get_annotations

    outer = get_annotations().get("span") or {"name": (), "ids": ()}
    identifier = str(uuid.uuid4())
    with annotate(span={"name": (*outer["name"], *map(str, tags)), "ids": (*outer["ids"], identifier)}):
        yield identifier


class MemorySampler:
    """Records the memory of a cluster over time.

    Examples
    --------
    >>> from oxidask.distributed import Client
    >>> with Client(n_workers=1, processes=False) as client:
    ...     sampler = MemorySampler()
    ...     with sampler.sample("sums", interval=0.01):
    ...         total = client.submit(sum, range(10)).result()
    ...     list(sampler.to_pandas().columns)
    ['sums']
    """

    #: What may be measured, and how it comes about.
    _MEASURES: ClassVar[dict[str, Any]] = {
        "process": lambda worker: worker["process_bytes"],
        "managed": lambda worker: worker["managed_bytes"] + worker["spilled_bytes"],
        "managed_in_memory": lambda worker: worker["managed_bytes"],
        "managed_spilled": lambda worker: worker["spilled_bytes"],
        "unmanaged": lambda worker: max(0, worker["process_bytes"] - worker["managed_bytes"]),
    }

    def __init__(self) -> None:
        #: By label, moments in seconds since the epoch and bytes.
        self.samples: dict[str, list[tuple[float, int]]] = {}

    @contextlib.contextmanager
    def sample(
        self, label: str | None = None, *, client: Any = None, measure: str = "process", interval: float = 0.5
    ) -> Iterator[MemorySampler]:
        """Records while a block of code runs.

        Parameters
        ----------
        label : str, optional
            A name of the record.
        client : Client, optional
            The current one by default.
        measure : {"process", "managed", "managed_in_memory", "managed_spilled", "unmanaged"}
        interval : float
            Seconds between samples.

        Raises
        ------
        ValueError
            If there is no such measure.
        """
        if measure not in self._MEASURES:
            raise ValueError(f"measure is {measure!r}; it must be one of {', '.join(self._MEASURES)}")
        client = client or _context.default_client()
        record = self.samples.setdefault(label or str(uuid.uuid4()), [])
        is_over = threading.Event()

        def look() -> None:
            total = sum(self._MEASURES[measure](worker) for worker in client._questions.info()["workers"])
            record.append((time.time(), total))

        def run() -> None:
            while not is_over.wait(interval):
                look()

        look()
        thread = threading.Thread(target=run, name="oxidask-memory-sampler", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            is_over.set()
            thread.join()
            look()

    def to_pandas(self, *, align: bool = False) -> Any:
        """The records as the columns of a ``pandas.DataFrame``, by moment.

        Parameters
        ----------
        align : bool
            Whether each record begins at time 0.
        """
        import pandas as pd

        columns = {}
        for label, record in self.samples.items():
            moments = pd.to_datetime([moment for moment, _ in record], unit="s")
            column = pd.Series([total for _, total in record], index=moments)
            column = column[~column.index.duplicated(keep="last")]
            if align:
                column.index = column.index - column.index[0]
            columns[label] = column
        return pd.DataFrame(columns).interpolate("index" if align else "time")

    def plot(self, *, align: bool = False, **kwargs: Any) -> Any:
        """Draws the records with ``pandas.DataFrame.plot``; memory in GiB."""
        table = self.to_pandas(align=align) / 2**30
        return table.plot(ylabel="Cluster memory (GiB)", **kwargs)
