"""What clusters have in common, whoever starts their workers."""

from __future__ import annotations

import html
from typing import Any

from oxidask.distributed._async import in_thread, sync_or_async

__all__ = ["Cluster"]


class Cluster:
    """A scheduler and workers that somebody starts and ends.

    Subclasses start and end them in ``_start``, ``_end`` and ``_scale``, which
    block. Everything that may block answers an awaitable if the cluster is
    asynchronous.

    Parameters
    ----------
    asynchronous : bool
        Whether coroutines use the cluster.
    name : str, optional
        A name for people.
    """

    #: Where clients find the scheduler, and what they must know.
    scheduler_address: str = ""
    _secret: str | None = None
    security: Any = None
    #: How many workers there shall be.
    _n_workers = 0

    def __init__(self, asynchronous: bool = False, name: str | None = None) -> None:
        self._asynchronous = bool(asynchronous)
        self._name = name
        self._adaptive: Any = None
        self._is_running = self._is_closed = False

    # -- for subclasses ----------------------------------------------------------

    def _start(self) -> None:
        """Starts it; nothing if it runs or was closed."""
        raise NotImplementedError

    def _end(self) -> None:
        """Ends what runs."""
        raise NotImplementedError

    def _scale(self, n: int) -> None:
        """Starts workers, or lets the newest leave, until there are ``n``."""
        raise NotImplementedError

    def _worker_size(self) -> tuple[int, int]:
        """Threads of a worker, and bytes of results that it may hold."""
        raise NotImplementedError

    # -- state -------------------------------------------------------------------

    @property
    def asynchronous(self) -> bool:
        """Whether the cluster is used by coroutines."""
        return self._asynchronous

    @property
    def status(self) -> str:
        """``"created"``, ``"running"`` or ``"closed"``."""
        if self._is_closed:
            return "closed"
        return "running" if self._is_running else "created"

    @property
    def name(self) -> str:
        """A name for people."""
        return self._name or type(self).__name__

    @property
    def workers(self) -> dict[Any, Any]:
        """The workers by name."""
        raise NotImplementedError

    @property
    def scheduler(self) -> Any:
        """The scheduler: its ``address``."""
        from oxidask.distributed._connect import Target

        return Target.of(self)

    @property
    def scheduler_info(self) -> dict[str, Any]:
        """What the scheduler knows of itself and its workers; see :meth:`Client.scheduler_info`."""
        with self._client() as client:
            return client.scheduler_info()  # type: ignore[no-any-return]

    @property
    def dashboard_link(self) -> str:
        """Where the scheduler's pages for monitors are; empty if it serves none."""
        return ""

    @property
    def observed(self) -> set[str]:
        """The names of the workers that have joined."""
        return {worker["id"] for worker in self.scheduler_info["workers"].values()}

    # -- size --------------------------------------------------------------------

    def scale(self, n: int = 0, memory: Any = None, cores: int | None = None) -> Any:
        """Starts workers, or lets the newest leave, until there are ``n``.

        What only a leaving worker holds is copied to others first.

        Parameters
        ----------
        n : int
            Number of workers.
        memory : int or str, optional
            Memory of all workers together, in place of ``n``.
        cores : int, optional
            Threads of all workers together, in place of ``n``.

        Raises
        ------
        ValueError
            If there cannot be so many.

        Examples
        --------
        >>> from oxidask.distributed import LocalCluster
        >>> with LocalCluster(n_workers=1, processes=False) as cluster:
        ...     cluster.scale(2)
        ...     with cluster.get_client() as client:
        ...         client.wait_for_workers(2)
        """
        if cores is not None or memory is not None:
            threads, limit = self._worker_size()
            if cores is not None:
                n = max(n, -(-cores // threads))
            if memory is not None:
                from oxidask.utils import parse_bytes

                n = max(n, -(-int(parse_bytes(memory)) // limit))
        if n < 0:
            raise ValueError(f"a cluster cannot have {n} workers")
        return sync_or_async(self._asynchronous, self._scale, n)

    def scale_up(self, n: int = 1) -> Any:
        """Starts workers until there are ``n``."""
        return self.scale(max(n, self._n_workers))

    def scale_down(self, workers: Any) -> Any:
        """Lets the workers of these names leave; what only they hold is copied first."""
        from oxidask.distributed._members import names_of

        return sync_or_async(self._asynchronous, self._scale_down, names_of(workers))

    def _scale_down(self, names: list[str]) -> None:
        with self._client() as client:
            left = client._retire_workers(names)
        self._n_workers = max(0, self._n_workers - len(left))

    def adapt(self, Adaptive: Any = None, **kwargs: Any) -> Any:
        """Keeps the number of workers between two bounds, as there is work.

        Parameters
        ----------
        Adaptive : type, optional
            A class in place of :class:`Adaptive`.
        **kwargs
            ``minimum``, ``maximum`` and others: see :class:`Adaptive`. Bounds may also
            be given as ``minimum_cores``, ``maximum_cores``, ``minimum_memory`` and
            ``maximum_memory`` of all workers together.

        Returns
        -------
        Adaptive
        """
        if Adaptive is None:
            from oxidask.distributed._adaptive import Adaptive
        if any(name.endswith(("_cores", "_memory")) for name in kwargs):
            from oxidask.utils import parse_bytes

            threads, limit = self._worker_size()
            for name in ("minimum", "maximum"):
                shares = []
                if kwargs.get(f"{name}_cores") is not None:
                    shares.append(-(-int(kwargs[f"{name}_cores"]) // threads))
                if kwargs.get(f"{name}_memory") is not None:
                    shares.append(-(-int(parse_bytes(kwargs[f"{name}_memory"])) // limit))
                kwargs = {key: value for key, value in kwargs.items() if key not in (f"{name}_cores", f"{name}_memory")}
                if shares and kwargs.get(name) is None:
                    kwargs[name] = (max if name == "minimum" else min)(shares)
        if self._adaptive is not None:
            self._adaptive.stop()
        self._adaptive = Adaptive(self, **kwargs)
        return self._adaptive

    # -- logs ------------------------------------------------------------------

    def get_logs(self, cluster: bool = True, scheduler: bool = True, workers: bool | list[str] = True) -> Any:
        """What the members have logged; see :meth:`Client.get_worker_logs`.

        Parameters
        ----------
        cluster, scheduler : bool
            Whether these are meant, too: they keep no log, so theirs are empty.
        workers : bool or list of str
            Whether workers are meant, or which, by name or address.

        Returns
        -------
        Logs
            Texts by name: ``"Cluster"``, ``"Scheduler"``, and the addresses of workers.

        Examples
        --------
        >>> from oxidask.distributed import LocalCluster
        >>> with LocalCluster(n_workers=1, processes=False) as cluster:
        ...     list(cluster.get_logs(workers=False))
        ['Cluster', 'Scheduler']
        """
        return sync_or_async(self._asynchronous, self._get_logs, cluster, scheduler, workers)

    def _get_logs(self, cluster: bool, scheduler: bool, workers: bool | list[str]) -> Any:
        from oxidask.distributed.utils import Log, Logs

        logs = Logs()
        if cluster:
            logs["Cluster"] = Log()
        if scheduler:
            logs["Scheduler"] = Log()
        if workers:
            with self._client() as client:
                found = client._worker_logs(None, None if workers is True else workers, False)
            logs |= {address: Log("\n".join(line for _, line in lines[::-1])) for address, lines in found.items()}
        return logs

    # -- clients -----------------------------------------------------------------

    def _client(self) -> Any:
        from oxidask.distributed._client import Client

        return Client(self, set_as_default=False)

    def get_client(self) -> Any:
        """A new client of this cluster."""
        from oxidask.distributed._client import Client

        return Client(self, asynchronous=self._asynchronous)

    def wait_for_workers(self, n_workers: int, timeout: Any = None) -> Any:
        """Waits until at least ``n_workers`` are there.

        Raises
        ------
        TimeoutError
            If they are not there in time.
        """
        return sync_or_async(self._asynchronous, self._wait_for_workers, n_workers, timeout)

    def _wait_for_workers(self, n_workers: int, timeout: Any) -> None:
        with self._client() as client:
            client.wait_for_workers(n_workers, timeout)

    # -- life --------------------------------------------------------------------

    def close(self, timeout: Any = None) -> Any:
        """Ends the workers and the scheduler, and deletes what they left."""
        del timeout
        return sync_or_async(self._asynchronous, self._close)

    def _close(self) -> None:
        was_running, self._is_running, self._is_closed = self._is_running, False, True
        adaptive, self._adaptive = self._adaptive, None
        if adaptive is not None:
            adaptive.stop()
        if was_running:
            self._end()

    def __await__(self) -> Any:
        return self._started().__await__()

    async def _started(self) -> Any:
        await in_thread(self._start)
        return self

    def __enter__(self) -> Any:
        if self._asynchronous:
            raise TypeError("an asynchronous cluster is used with 'async with', not 'with'")
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    async def __aenter__(self) -> Any:
        return await self

    async def __aexit__(self, *_: object) -> None:
        await in_thread(self._close)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def _threads(self) -> list[int]:
        """The threads of each worker that is there."""
        with self._client() as client:
            return list(client._nthreads(None).values())

    def __repr__(self) -> str:
        if self.status != "running":
            return f"{type(self).__name__}({self.status})"
        threads = self._threads()
        return f"{type(self).__name__}({self.scheduler_address!r}, workers={len(threads)}, threads={sum(threads)})"

    def _repr_html_(self) -> str:
        link = self.dashboard_link
        pages = f"<br><a href='{html.escape(link)}'>{html.escape(link)}</a>" if link else ""
        return f"<b>{type(self).__name__}</b> <code>{html.escape(repr(self))}</code>{pages}"
