"""The report of a run: where its time went, on a page."""

from __future__ import annotations

import html
import time
from collections.abc import Iterable
from typing import Any

from oxidask.distributed._flame import flame_chart
from oxidask.distributed._pages import Html, lanes, page, table
from oxidask.distributed._watch import get_task_stream

__all__ = ["performance_report"]

#: What threads do: the ledger's name, what the page calls it, its colour. The rest was idle.
_SHARES = [
    ("compute", "compute", "#5aa469"),
    ("gil", "waiting for the GIL", "#d9534f"),
    ("child", "to child processes and back", "#e8a33d"),
    ("input", "waiting for input", "#4f81bd"),
    ("load", "reading spilled results", "#9467bd"),
    ("idle", "idle", "#d0d0d0"),
]


class performance_report(get_task_stream):
    """Writes to an HTML file where the time of a block of code went.

    The page tells of each worker how long its threads computed, waited for inputs,
    for Python's lock (GIL) and for child processes, read and wrote spilled
    results; how many bytes came over the network; how busy the scheduler was;
    which tasks took how long, when and where; and a flame chart of what Python
    functions called.

    Parameters
    ----------
    filename : str
        The file.
    stacklevel, mode, storage_options
        Without effect: the page needs nothing else, and is written to this machine.
    client : Client, optional
        The current one by default.

    Attributes
    ----------
    overhead : dict
        The same for programs: ``seconds`` of the block, ``scheduler`` (seconds that it was busy),
        and ``workers``: by address a dict of seconds (``compute``, ``gil``, ``child``, ``input``, ``load``, ``idle``,
        each summed over threads; ``spill``, beside them), ``threads``, ``tasks`` and ``fetched_bytes``.

    Examples
    --------
    >>> import os, tempfile
    >>> from oxidask.distributed import Client, performance_report
    >>> with tempfile.TemporaryDirectory() as folder, Client(n_workers=1, processes=False) as client:
    ...     path = os.path.join(folder, "report.html")
    ...     with performance_report(path) as report:
    ...         _ = client.gather(client.map(abs, range(3)))
    ...     with open(path) as file:
    ...         "3 tasks" in file.read(), sum(worker["tasks"] for worker in report.overhead["workers"].values())
    (True, 3)
    """

    def __init__(
        self,
        filename: str = "dask-report.html",
        stacklevel: int = 1,
        mode: Any = None,
        storage_options: Any = None,
        client: Any = None,
    ) -> None:
        del stacklevel, mode, storage_options
        super().__init__(client, False, filename)
        self.overhead: dict[str, Any] = {}

    def __enter__(self) -> performance_report:
        super().__enter__()
        self._start = time.time()
        self._before = self._look()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.time() - self._start
        self.overhead = {"seconds": seconds, **_spent(self._before, self._look())}
        super().__exit__()
        question = {"start": self._start, "stop": self._start + seconds}
        profile = self._client._profile(None, question, None, True, False, None, False)
        info = self._client.scheduler_info()
        with open(self._filename, "w", encoding="utf-8") as file:
            file.write(page("Performance report", _body(self.data, info, self.overhead, profile)))

    def _look(self) -> tuple[dict[str, Any], float]:
        return self._client._ledgers(), self._client._questions.info()["scheduler_busy"]


def _spent(before: tuple[dict[str, Any], float], after: tuple[dict[str, Any], float]) -> dict[str, Any]:
    """What two looks at the cluster differ by. A worker that came in between began with nothing."""
    workers = {}
    for address, ledger in after[0].items():
        old = before[0].get(address, {})
        fixed = {"threads": ledger["threads"]}
        workers[address] = {name: max(0, value - old.get(name, 0)) for name, value in ledger.items()} | fixed
    return {"scheduler": max(0.0, after[1] - before[1]), "workers": workers}


def _body(records: list[dict[str, Any]], info: dict[str, Any], overhead: dict[str, Any], profile: Any) -> str:
    from oxidask.utils import format_bytes

    seconds, workers = overhead["seconds"], overhead["workers"]
    capacity = max(1e-9, seconds * max(1, info["total_threads"]))
    computed = sum(worker["compute"] for worker in workers.values())
    fetched = sum(worker["fetched_bytes"] for worker in workers.values())
    spilled = sum(worker["spill"] for worker in workers.values())
    return (
        f"<p>{len(records)} tasks in {seconds:.3f} s on {info['n_workers']} workers with {info['total_threads']} threads; "
        f"{computed:.3f} s were computed, {100 * computed / capacity:.0f} % of what there was. The scheduler was busy for "
        f"{overhead['scheduler']:.3f} s. {html.escape(format_bytes(int(fetched)))} went between workers. The disks were busy with "
        f"spilled results for {spilled:.3f} s.</p>"
        f"<h2>Where the threads' time went</h2>{_key()}{_time_table(workers)}"
        f"<h2>Tasks</h2>{_task_table(records)}"
        f"<h2>Tasks over time</h2><figure>{lanes(records)}</figure>"
        f"<h2>What Python functions called</h2>{flame_chart(profile)}"
    )


def _key() -> str:
    items = "".join(f"<i style='background:{colour}'></i>{html.escape(name)}" for _, name, colour in _SHARES)
    return f"<p class='key'>{items}</p>"


def _time_table(workers: dict[str, dict[str, float]]) -> str:
    from oxidask.utils import format_bytes

    header = ["worker", "", *(name for _, name, _ in _SHARES), "spilling", "fetched"]
    rows: list[Iterable[Any]] = []
    for address, worker in workers.items():
        whole = sum(worker[name] for name, *_ in _SHARES) or 1.0
        parts = "".join(
            f"<i style='width:{100 * worker[name] / whole:.2f}%;background:{colour}' title='{title}'></i>"
            for name, title, colour in _SHARES
        )
        numbers = (f"{worker[name]:.3f} s" for name, *_ in _SHARES)
        fetched = format_bytes(int(worker["fetched_bytes"]))
        rows.append([address, Html(f"<div class='bar'>{parts}</div>"), *numbers, f"{worker['spill']:.3f} s", fetched])
    return f"<figure>{table(header, rows)}</figure>"


def _task_table(records: list[dict[str, Any]]) -> str:
    from oxidask.utils import format_bytes

    busy: dict[str, tuple[int, int, float, int]] = {}
    for record in records:
        span = record["startstops"][0]
        n, n_bad, total, nbytes = busy.get(record["name"], (0, 0, 0.0, 0))
        n_bad += record["status"] != "OK"
        busy[record["name"]] = n + 1, n_bad, total + span["stop"] - span["start"], nbytes + record["nbytes"]
    rows = [
        (name, n, n_bad, f"{total:.3f} s", f"{1000 * total / n:.3f} ms", format_bytes(nbytes))
        for name, (n, n_bad, total, nbytes) in sorted(busy.items(), key=lambda item: -item[1][2])
    ]
    return table(["task", "number", "failed", "time", "mean", "results"], rows)
