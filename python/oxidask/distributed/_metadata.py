"""Where, when and how the tasks of a block of code ended."""

from __future__ import annotations

from typing import Any

from oxidask.distributed._watch import get_task_stream

__all__ = ["get_task_metadata"]


class get_task_metadata(get_task_stream):
    """Collects what became of the tasks that end within a block of code.

    Of a task that ran more than once, the last run counts. Tasks whose results
    were there already did not run, and are not named.

    Parameters
    ----------
    client : Client, optional
        The current one by default.

    Attributes
    ----------
    metadata : dict
        By key, a dict with ``worker`` (address), ``start_time`` and ``stop_time`` (seconds since
        the epoch) and ``nbytes`` (of the result).
    state : dict
        By key, ``"memory"`` or ``"erred"``.

    Notes
    -----
    Dask lets plugins of its workers write the metadata; here it is what the engine knows.

    Examples
    --------
    >>> from oxidask.distributed import Client, get_task_metadata, wait
    >>> with Client(n_workers=1, processes=False) as client:
    ...     with get_task_metadata() as tasks:
    ...         _ = wait(client.submit(abs, -1, key="one"))
    ...     tasks.state, sorted(tasks.metadata["one"])
    ({'one': 'memory'}, ['nbytes', 'start_time', 'stop_time', 'worker'])
    """

    def __init__(self, client: Any = None) -> None:
        super().__init__(client)
        self.metadata: dict[str, dict[str, Any]] = {}
        self.state: dict[str, str] = {}

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        for record in self.data:
            span = record["startstops"][0]
            self.state[record["key"]] = "memory" if record["status"] == "OK" else "erred"
            self.metadata[record["key"]] = {
                "worker": record["worker"],
                "start_time": span["start"],
                "stop_time": span["stop"],
                "nbytes": record["nbytes"],
            }
